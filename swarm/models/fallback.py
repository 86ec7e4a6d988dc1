"""Several models in a row: the next is asked where the one before cannot or will not answer.

What is sent fits all of them: the window is the smallest, the count the largest. This module knows no provider.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

from swarm.errors import ModelError, PromptTooLong, Refused, Rejected, Unavailable
from swarm.models.base import Completion, Model, Price
from swarm.observe.log import get_logger
from swarm.prompts.typed import Prompt

log = get_logger("models")


class Fallback:
    """Asks `models` in their order until one answers. The price is the dearest of each kind, so that what is
    reserved covers whichever answers; what is spent is what that one costs."""

    def __init__(self, *models: Model) -> None:
        if len(models) < 2:
            raise ModelError("a fallback needs two models or more, such as 'anthropic:…|openai:…'")
        if len({model.selective for model in models}) > 1:
            raise ModelError(
                "a fallback mixes a language model and extractive: what they are given to read differs"
            )
        self.models = models

    @property
    def members(self) -> tuple[Model, ...]:
        """The models in their order. The gate sends to each by a lane of its own."""
        return self.models

    @property
    def remote(self) -> bool:
        return any(model.remote for model in self.models)

    @property
    def lane(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return "|".join(model.name for model in self.models)

    @property
    def window(self) -> int:
        return min(model.window for model in self.models)

    @property
    def max_output(self) -> int:
        return min(model.max_output for model in self.models)

    @property
    def selective(self) -> bool:
        return self.models[0].selective

    @property
    def revision(self) -> str:
        return "|".join(model.revision for model in self.models).strip("|")

    @property
    def price(self) -> Price:
        prices = [model.price for model in self.models]
        written = [price.written_usd for price in prices if price.written_usd is not None]
        return Price(
            input_usd=max(price.input_usd for price in prices),
            output_usd=max(price.output_usd for price in prices),
            cached_usd=max(price.cached_usd for price in prices),
            written_usd=max(written) if written else None,
            as_of=prices[0].as_of,
            known=all(price.known for price in prices),
        )

    def count(self, prompt: Prompt[Any]) -> int:
        return max(model.count(prompt) for model in self.models)

    def ratio(self) -> float:
        return max(model.ratio() for model in self.models)

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        return await first_answer(self.models, lambda model: model.call(prompt, max_output=max_output))

    async def close(self) -> None:
        for model in self.models:
            await model.close()


async def first_answer(models: Sequence[Model], ask: Callable[[Model], Awaitable[Completion]]) -> Completion:
    """What the first of `models` says that answers; the last one's failure or refusal where none does.

    A prompt that is too long for one goes on only to a larger window: else the slice is to be split.
    """
    for model, after in pairwise(models):
        try:
            completion = await ask(model)
        except PromptTooLong:
            if after.window <= model.window:
                raise
            reason = "prompt too long"
        except (Unavailable, Refused, Rejected) as error:
            reason = str(error)
        else:
            if completion.refusal is None:
                return completion
            reason = "declined"
        log.warning("model passed over", model=model.name, next=after.name, reason=reason)
    return await ask(models[-1])
