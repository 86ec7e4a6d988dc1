"""Models that are called, priced, counted and asked as the user's own, whose every request goes to a provider on
this machine; and what was heard of each call.

This module knows no recipe and no figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from swarm.coordinator.ahead import billed
from swarm.errors import ModelError, RunError
from swarm.models.anthropic import Anthropic
from swarm.models.base import Completion, Model
from swarm.models.fallback import Fallback
from swarm.models.openai import OpenAI
from swarm.models.registry import connect
from swarm.prompts.typed import Prompt
from swarm.task import Usage
from swarm.testing.provider import Provider
from swarm.testing.thoughts import Hosted

NO_KEY = "rehearsed-without-a-key"
"""What stands where a key would: the user's own is not even sent to this machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """One attempt of a call. `began` and `ended` are in seconds of the loop's clock, `outcome` is `answered`,
    `refused`, or the name of the error. `first_reading` is true where a slice of the corpus was read for the first
    time, which is what grows with the corpus."""

    kind: str
    model: str
    began: float
    ended: float
    usage: Usage
    outcome: str = "answered"
    repair: bool = False
    first_reading: bool = False

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(kw_only=True)
class Hearing:
    """All calls so far, and how many to a provider are under way. `first_reading` is set while the corpus is
    read."""

    clock: Callable[[], float]
    calls: list[Heard] = field(default_factory=list)
    under_way: int = 0
    first_reading: bool = False


class _Listened:
    """A model, all of whose calls are heard."""

    def __init__(self, model: Model, hearing: Hearing) -> None:
        self._model, self._hearing = model, hearing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        hearing = self._hearing
        began, first = hearing.clock(), hearing.first_reading and prompt.kind == "read"
        usage, outcome = Usage(), "cancelled"
        hearing.under_way += self._model.remote
        try:
            completion = await self._model.call(prompt, max_output=max_output)
            usage, outcome = completion.usage, "answered" if completion.refusal is None else "refused"
            return completion
        except RunError as error:
            outcome = type(error).__name__
            raise
        finally:
            hearing.under_way -= self._model.remote
            heard = Heard(
                kind=prompt.kind,
                model=self._model.name,
                began=began,
                ended=hearing.clock(),
                usage=usage,
                outcome=outcome,
                repair=prompt.repair is not None,
                first_reading=first,
            )
            hearing.calls.append(heard)


def stand_in(name: str, provider: Provider, hearing: Hearing, **settings: Any) -> Model:
    """The model of that name, as `connect` makes it with these `settings`, with `provider` in its place.

    Raises:
        ModelError: as `connect`; or it cannot be rehearsed.
    """
    parts = [_one(part.strip(), provider, hearing, settings) for part in name.split("|")]
    return Fallback(*parts) if len(parts) > 1 else parts[0]


def _one(name: str, provider: Provider, hearing: Hearing, settings: dict[str, Any]) -> Model:
    if name.startswith("langchain"):
        raise ModelError(f"{name} cannot be rehearsed: name the same model as anthropic:… or openai:…")
    model = connect(name, api_key=NO_KEY, **settings)
    if isinstance(model, Anthropic):
        model.redirect(provider.url, NO_KEY)
    elif isinstance(model, OpenAI):
        model.redirect(provider.openai_url, NO_KEY)
    if model.remote:
        ratio = billed(model, 1_000_000 * model.ratio()) / 1_000_000
        known = name.partition(":")[2]
        provider.models = {**provider.models, known: Hosted(window=model.window, ratio=max(1.0, ratio))}
    return cast("Model", _Listened(model, hearing))
