"""What a model is to the rest of Swarm: something that answers typed prompts, one call at a time.

Adapters raise the errors of `swarm.errors` and nothing else, retry nothing themselves, and log no content. Limits,
retries, the journal and the window are the business of the gate that every call passes
(`swarm.limits.gate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from swarm.models.quota import Quota
from swarm.prompts.typed import Prompt
from swarm.task import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """Dollars for a million tokens. `known` is false where no published price was found and the highest price
    of the table stands in, so that a limit in dollars holds all the same."""

    input_usd: float
    output_usd: float
    cached_usd: float
    written_usd: float | None = None
    """For input that a provider writes to its cache; None where that costs no more than other input."""
    as_of: str = ""
    known: bool = True

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Dollars for one call; `cached_tokens` are a part of `input_tokens`."""
        fresh = input_tokens - cached_tokens
        dollars = fresh * self.input_usd + cached_tokens * self.cached_usd + output_tokens * self.output_usd
        return dollars / 1e6

    def worst(self, input_tokens: int, output_tokens: int) -> float:
        """Dollars that one call can come to at the most: nothing cached, all of it written to the cache."""
        return (
            input_tokens * max(self.input_usd, self.written_usd or 0.0) + output_tokens * self.output_usd
        ) / 1e6


FREE = Price(input_usd=0.0, output_usd=0.0, cached_usd=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """What came back: `text` is the JSON of the prompt's reply schema, not yet validated, also where it was cut at
    `max_output`. A `refusal` is what the model said instead of an answer: paid for, and not asked again. `quota`
    is what the response's headers told of the provider's rates."""

    text: str
    usage: Usage
    refusal: str | None = None
    quota: Quota | None = None


class Model(Protocol):
    """Answers typed prompts.

    `name` is what a user types, such as `anthropic:claude-sonnet-5`. `window` is the context window and
    `max_output` the longest reply, in tokens. A `selective` model wants, of a slice that is read for a
    question, only the passages that a search ranked: the index has already read the rest for it. A `revision`
    is a part of what names a call in the journal: where it changes, what was answered before is asked again.
    A `remote` model is reached over a network, by a lane that it shares with every model of the same `lane`: one
    set of rates at one provider. One that is not remote computes here, and nothing holds it back.
    """

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int: ...
    @property
    def max_output(self) -> int: ...
    @property
    def selective(self) -> bool: ...
    @property
    def revision(self) -> str: ...
    @property
    def price(self) -> Price: ...
    @property
    def remote(self) -> bool: ...
    @property
    def lane(self) -> str: ...

    def count(self, prompt: Prompt[Any]) -> int:
        """Tokens of the request as it would be sent, schema included: never fewer than the provider counts."""

    def ratio(self) -> float:
        """This model's tokens for each o200k token, at the most."""

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        """Send one request with at most `max_output` tokens of reply.

        Raises:
            PromptTooLong: the provider's count is above its window; nothing was answered.
            CallFailed: see the tree in `swarm.errors`.
        """

    async def close(self) -> None:
        """Release connections. Called once, also after a failure."""
