"""All that is set of a simulated provider, as one value, and the provider that goes by it.

    with swarm.testing.simulated(window=16_000, ability=Ability(recall=0.9)) as provider:
        answer = await Swarm("openai:any", base_url=provider.openai_url).run(task)

Every figure that is made with it is simulated: it says what Swarm does with such a provider, and nothing of a
model. This module decides nothing; the parts are `latency`, `faults`, `allowance` and `ability`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from swarm.testing.ability import Ability
from swarm.testing.allowance import Allowance
from swarm.testing.faults import Fault, faults_by, kinds
from swarm.testing.latency import Delays

if TYPE_CHECKING:
    from swarm.testing.provider import Provider
    from swarm.testing.seen import Hands
    from swarm.testing.thoughts import Think

WAIT_SECONDS = 2.0
"""For which a 429 asks to be left alone."""


def errors(wait_seconds: float = WAIT_SECONDS) -> dict[str, Fault]:
    """What may go wrong, by the names that `Simulated.errors` takes."""
    known = kinds(wait_seconds)
    return {
        "429": known["429 with retry-after"],
        "500": known["500"],
        "529": known["529"],
        "cut": known["cut stream"],
        "stall": known["stalled stream"],
        "invalid": known["truncated JSON"],
        "refusal": known["refusal"],
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """What a simulated provider does.

    `window` is in tokens. `errors` holds the share of the requests (0 to 1) that fail in each way: 429 (slow
    down), 500, 529 (overloaded), cut (the reply breaks off), stall (it falls silent, until the client has waited
    long enough), invalid (JSON that ends too early) and refusal. `rates` are what may be used in a minute, None
    any amount. `seed` throws other dice, for all of it.
    """

    window: int = 32_768
    delays: Delays = field(default_factory=Delays)
    errors: Mapping[str, float] = field(default_factory=dict)
    rates: Allowance | None = None
    ability: Ability = field(default_factory=Ability)
    seed: int = 0

    def __post_init__(self) -> None:
        known = errors()
        for name, share in self.errors.items():
            if name not in known:
                raise ValueError(f"no error is called {name!r}: there are {', '.join(known)}")
            if not 0 <= share <= 1:
                raise ValueError(f"the share of {name} is {share}: give one from 0 to 1")
        if sum(self.errors.values()) > 1:
            raise ValueError("the shares of the errors come to more than 1")

    def provider(self, **more: Any) -> Provider:
        """A provider that goes by these settings; `more` are those of `Provider` beside them."""
        from swarm.testing.provider import Provider

        given: dict[str, Any] = {
            "window": self.window,
            "latency": self.delays.latency(self.seed),
            "token_seconds": self.delays.token_seconds,
            "faults": faults_by([(errors()[name], share) for name, share in self.errors.items()], self.seed),
            "allowance": self.rates,
            "ability": self.ability,
            "seed": self.seed,
        }
        return Provider(**(given | more))


def simulated(
    settings: Simulated | None = None,
    *,
    mind: Think | None = None,
    hands: Hands | None = None,
    key: str | None = None,
    **changes: Any,
) -> Provider:
    """A simulated provider on this machine, for the length of a `with` block: `provider.url` is the base URL of
    `anthropic:` models and `provider.openai_url` that of `openai:` ones, of any name.

    `changes` are fields of `Simulated`. `mind` answers in place of the mimic: it is handed the text of a request
    and the JSON schema of its reply, and returns the reply as a dict. `hands` acts where a request brings tools
    (`swarm.testing.seen`). `key` is the only one accepted, None any.
    """
    return replace(settings or Simulated(), **changes).provider(mind=mind, hands=hands, key=key)
