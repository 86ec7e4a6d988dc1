"""The one gate that every model call passes: window, journal, limits, pace, retries, schema.

In this order: the request is counted and refused if it does not fit its window; a finished call of the same
identity is taken from the journal; the worst case is reserved; the intent is recorded; the call is sent, again
after a transient failure; the reply is recorded, settled, and only then read. A reply that does not fit its
schema is sent back once with the error. The gate knows no slices and no sources.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, TypeVar, cast

import tenacity
from pydantic import ValidationError

from swarm.errors import InvalidReply, PromptTooLong, RateLimited, Refused, Unavailable
from swarm.limits.budget import Budget
from swarm.limits.pace import Pace
from swarm.models.base import Completion, Model
from swarm.observe.log import get_logger
from swarm.prompts.render import prompt_version
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Prompt, Repair
from swarm.store.journal import Journal
from swarm.task import Usage

R = TypeVar("R", bound=Reply)

log = get_logger("gate")

ATTEMPTS = 6
_MAX_WAIT_SECONDS = 60.0
_jitter = tenacity.wait_random_exponential(multiplier=0.5, max=30.0)


def reserved_output(model: Model) -> int:
    """Tokens kept free for the reply: at most a quarter of the window."""
    return min(model.max_output, model.window // 4)


class Gate:
    """Sends typed prompts for one run. `on_spent` hears the running total after each settled call."""

    def __init__(
        self, journal: Journal, run: str, budget: Budget, pace: Pace, on_spent: Callable[[Usage], None]
    ) -> None:
        self.budget = budget
        self.peak = 0
        """The largest request so far, in tokens: prompt and reserved reply."""
        self._journal, self._run, self._pace, self._on_spent = journal, run, pace, on_spent

    async def ask(self, model: Model, prompt: Prompt[R], attempt: int = 0) -> R:
        """The model's validated reply. `attempt` tells a fresh try from the one before it.

        Raises:
            PromptTooLong: the request does not fit the window; nothing was sent, or the provider refused it.
            LimitReached: a limit does not allow the call.
            InvalidReply: the reply was repaired once and is still not what was asked for.
            CallFailed: the call failed, after retries where they could help.
        """
        completion = await self._complete(model, prompt, attempt)
        try:
            return _validated(prompt, completion.text)
        except InvalidReply as error:
            log.info("reply repaired", kind=prompt.kind, model=model.name, error=error.message)
            mend = Repair(text=error.text, error=error.message)
        again = replace(prompt, repair=mend)
        return _validated(again, (await self._complete(model, again, attempt)).text)

    async def _complete(self, model: Model, prompt: Prompt[R], attempt: int) -> Completion:
        output = reserved_output(model)
        tokens = model.count(prompt)
        if tokens + output > model.window:
            raise PromptTooLong(
                f"the {prompt.kind} prompt counts {tokens:,} tokens and {output:,} are kept for the reply: "
                f"more than the window of {model.window:,}",
                tokens=tokens,
                limit=model.window - output,
            )
        key = _key(model, prompt, attempt)
        if (known := self._journal.finished_call(key)) is not None:
            return _accepted(known)
        self.peak = max(self.peak, tokens + output)
        await self._journal.begin_call(
            self._run, key, {"model": model.name, "kind": prompt.kind, "tokens": tokens, "attempt": attempt}
        )
        completion = await self._send(model, prompt, tokens, output)
        await self._journal.finish_call(key, completion)
        return _accepted(completion)

    async def _send(self, model: Model, prompt: Prompt[R], tokens: int, output: int) -> Completion:
        """Send until it succeeds, the failure is not transient, or the attempts are used up."""
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Unavailable),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_patience,
            reraise=True,
        )
        async for send in retrying:
            with send:
                await self._pace.wait()
                reservation = self.budget.reserve(model.price, tokens, output)
                usage = Usage()
                try:
                    completion = await model.call(prompt, max_output=output)
                    usage = completion.usage
                finally:
                    self.budget.settle(reservation, usage)
        self._on_spent(self.budget.spent)
        return completion


def _accepted(completion: Completion) -> Completion:
    if completion.refusal is not None:
        raise Refused(f"the model declined: {completion.refusal}")
    return completion


def _patience(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: what the provider asked for, within reason, or a growing random wait."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return min(error.retry_after, _MAX_WAIT_SECONDS) + _jitter(state) / 10
    return _jitter(state)


def _key(model: Model, prompt: Prompt[Any], attempt: int) -> str:
    identity = [model.name, model.revision, prompt_version(prompt.kind), prompt.identity(), attempt]
    return blake2b(json.dumps(identity, ensure_ascii=False).encode(), digest_size=16).hexdigest()


def _validated(prompt: Prompt[R], text: str) -> R:
    try:
        return cast("R", prompt.reply.model_validate_json(text))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'reply'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)[:5]
        )
        raise InvalidReply(f"the reply to the {prompt.kind} prompt is not valid: {problems}", text) from None
