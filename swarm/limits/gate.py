"""The one gate that every model call passes: window, journal, limits, lanes, retries, schema.

In this order: the request is counted and refused if it does not fit its window; a finished call of the same
identity is taken from the journal; the worst case is reserved; the call waits for its turn; the intent is
recorded; the call is sent, again after a failure that may pass (`attempts`); the reply is settled, recorded, and
only then read. A reply that does not fit its schema is sent back once with the error. The gate knows no slices and
no sources.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from hashlib import blake2b
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from swarm.errors import InvalidReply, PromptTooLong, Refused
from swarm.limits.attempts import Attempts, Call
from swarm.limits.budget import Budget
from swarm.limits.flights import Flights
from swarm.limits.lanes import Terms
from swarm.limits.rates import Rates
from swarm.models.base import Completion, Model
from swarm.observe.log import get_logger
from swarm.prompts.render import prompt_version
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Prompt, Repair
from swarm.store.journal import Journal
from swarm.task import Usage

R = TypeVar("R", bound=Reply)

log = get_logger("gate")


def reserved_output(model: Model) -> int:
    """Tokens kept free for the reply: at most a quarter of the window."""
    return min(model.max_output, model.window // 4)


class Gate:
    """Sends typed prompts for one run.

    `rates` hold for each model that it asks, and `concurrency` is the most calls that it may have in flight at one
    model; both are shared with every other run of the process that asks the same model, and the lower rate counts.
    `on_spent` hears the running total after each settled attempt.
    """

    def __init__(
        self,
        journal: Journal,
        run: str,
        budget: Budget,
        rates: Rates,
        concurrency: int,
        on_spent: Callable[[Usage], None],
    ) -> None:
        self.budget = budget
        self.peak = 0
        """The largest request so far, in tokens: prompt and reserved reply."""
        self._terms = Terms(rates, concurrency, time.monotonic())
        self._journal = journal
        self.flights = Flights()
        """The calls that are on their way."""
        self._run = run
        self.seen: Callable[[str, Prompt[Any]], None] | None = None
        """Told of each prompt that is asked for, with the key of its call: prompts are not kept, and a replay
        makes them again."""
        self._attempts = Attempts(journal, run, self._terms, lambda: on_spent(budget.spent), self.flights)

    def onto(self, journal: Journal) -> Gate:
        """The same gate onto another journal of the run: what passes there counts with what passes here, but for
        its `peak` and for what is waited for."""
        made = copy(self)
        made.peak, made._journal = 0, journal
        made._attempts = Attempts(journal, self._run, self._terms, self._attempts.on_attempt, self.flights)
        return made

    def pay_from(self, budget: Budget) -> None:
        """Pay from this account from now on, of which `on_spent` hears nothing: others pay from it, too."""
        self.budget = budget
        self._attempts.on_attempt = lambda: None

    def wait_for(self, leave: Callable[[], Awaitable[None]]) -> None:
        """Have each call, and each try of one, wait for this before it is sent: a run may be paused."""
        self._attempts.leave = leave

    def sure_before_sending(self, sure: Callable[[], Awaitable[None]]) -> None:
        """Have each call, and each try of one, wait for this as the last thing before it is sent, once it is begun
        in the journal. What it raises comes through."""
        self._attempts.sure = sure

    async def ask(
        self, model: Model, prompt: Prompt[R], attempt: int = 0, *, budget: Budget | None = None, mend: bool = True
    ) -> R:
        """The model's validated reply. `attempt` tells a fresh try from the one before it; `budget` is a share of
        the run's, where the call is to be paid from one. Without `mend`, a reply that does not fit its schema is
        not sent back to be repaired.

        Raises:
            PromptTooLong: the request does not fit the window; nothing was sent, or the provider refused it.
            LimitReached: a limit does not allow the call.
            InvalidReply: the reply was repaired once and is still not what was asked for.
            CallFailed: the call failed, after retries where they could help.
        """
        budget = budget or self.budget
        completion, known = await self._complete(model, prompt, attempt, budget)
        try:
            return _validated(prompt, completion.text, known=known)
        except InvalidReply as error:
            if not mend:
                raise
            log.info("reply repaired", kind=prompt.kind, model=model.name, error=error.message)
            invalid = error
        again = _mended(prompt, invalid)
        try:
            repaired, known_too = await self._complete(model, again, attempt, budget)
        except PromptTooLong:  # with the reply in it, which is no reason to halve a slice
            raise invalid from None
        return _validated(again, repaired.text, known=known and known_too)

    async def finished(self, model: Model, prompt: Prompt[Any], attempt: int = 0) -> bool:
        """Whether the journal holds a reply, be it valid or not."""
        return await self._journal.finished_call(key_of(model, prompt, attempt)) is not None

    async def known(self, model: Model, prompt: Prompt[R], attempt: int = 0) -> R | None:
        """The valid reply that the journal holds, as it came or mended, if it holds one. Nothing is sent."""
        completion = await self._journal.finished_call(key_of(model, prompt, attempt))
        if completion is None or completion.refusal is not None:
            return None
        try:
            return _validated(prompt, completion.text, known=True)
        except InvalidReply as error:
            if prompt.repair is not None:
                return None
            return await self.known(model, _mended(prompt, error), attempt)

    async def stand_in(self, model: Model, prompt: Prompt[R], attempt: int, reply: R) -> R:
        """Record the reply to another attempt as the reply to this one, which this run has begun and given up; it
        costs nothing more. What the journal holds then is returned: a reply of its own may just have come.

        Raises:
            InvalidReply: that is not valid.
            Refused: that is a refusal.
        """
        key = key_of(model, prompt, attempt)
        await self._journal.finish_call(self._run, key, Completion(text=reply.model_dump_json(), usage=Usage()))
        held = await self._journal.finished_call(key)
        assert held is not None
        return _validated(prompt, _accepted(held).text, known=True)

    async def _complete(
        self, model: Model, prompt: Prompt[R], attempt: int, budget: Budget
    ) -> tuple[Completion, bool]:
        """What came back, and whether the journal had it already."""
        output = reserved_output(model)
        tokens = model.count(prompt)
        if tokens + output > model.window:
            raise PromptTooLong(
                f"the {prompt.kind} prompt counts {tokens:,} tokens and {output:,} are kept for the reply: "
                f"more than the window of {model.window:,}",
                tokens=tokens,
                limit=model.window - output,
            )
        key = key_of(model, prompt, attempt)
        if self.seen is not None:
            self.seen(key, prompt)
        if (known := await self._journal.finished_call(key)) is not None:
            budget.note(known.usage)
            return _accepted(known), True
        self.peak = max(self.peak, tokens + output)
        call = Call(key=key, budget=budget, model=model, prompt=prompt, tokens=tokens, output=output)
        completion = await self._attempts.complete(call)
        budget.note(completion.usage)
        return _accepted(completion), call.known


def _mended(prompt: Prompt[R], invalid: InvalidReply) -> Prompt[R]:
    """What asks for a valid reply in place of one that is not."""
    return replace(prompt, repair=Repair(text=invalid.text, error=invalid.message))


def _accepted(completion: Completion) -> Completion:
    if completion.refusal is not None:
        raise Refused(f"the model declined: {completion.refusal}")
    return completion


def key_of(model: Model, prompt: Prompt[Any], attempt: int) -> str:
    identity = [model.name, model.revision, prompt_version(prompt.kind), prompt.identity(), attempt]
    return blake2b(json.dumps(identity, ensure_ascii=False).encode(), digest_size=16).hexdigest()


def _validated(prompt: Prompt[R], text: str, *, known: bool) -> R:
    try:
        return cast("R", prompt.reply.model_validate_json(text))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'reply'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)[:5]
        )
        said = f"the reply to the {prompt.kind} prompt is not valid: {problems}"
        raise InvalidReply(said, text, known=known) from None
