"""How one call is sent until it is answered: through the lane of each model that may answer, again where it helps.

An attempt reserves the worst case, waits for its turn in the lane, records the intent, and sends. What was surely
not billed is given back; what may have been (the connection broke, no answer came in time, the attempt was
cancelled) is settled at the worst, and recorded. `Usage.calls` counts replies and such attempts; a refusal by
status counts as none. A model that computes in this process passes no lane. This module knows no schema.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from swarm.errors import (
    CallFailed,
    LimitReached,
    PromptTooLong,
    RateLimited,
    Refused,
    RunError,
    StoreError,
    Unavailable,
)
from swarm.limits.budget import Budget, Reservation
from swarm.limits.flights import Flights
from swarm.limits.lanes import Lane, Passage, Terms, lane_of
from swarm.models.base import Completion, Model
from swarm.models.fallback import first_answer
from swarm.models.sending import sure_of
from swarm.observe.log import get_logger
from swarm.observe.scope import scope, within
from swarm.observe.telemetry import asked, tried
from swarm.prompts.typed import Prompt
from swarm.store.journal import Intent, Journal
from swarm.task import Usage

log = get_logger("attempts")

ATTEMPTS = 6
"""Of one call, until a failure that may pass is taken for final."""
SLOWED = 60
"""Of one call, where the provider only says to slow down: that is no failure."""
GIVEN_UP = "given up while it was on its way"
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_LONG_SECONDS = 1.0  # of waiting for a turn, after which the run may be at a limit of its own


@dataclass(kw_only=True, slots=True)
class Call:
    """What is to be sent: `tokens` of input as counted, at most `output` of reply. `key` is its name in the
    journal; `budget` pays for it."""

    key: str
    budget: Budget
    model: Model
    prompt: Prompt[Any]
    tokens: int
    output: int
    begun: bool = False
    """Whether the journal knows of it."""
    late: Intent | None = None
    """What it is begun with once its reply is there, where it is answered in this process."""
    tried: bool = False
    """Whether the journal may know of it."""
    known: bool = False
    """Whether the journal had its reply by the time that it was about to be sent: nobody was asked."""
    noted: RunError | None = None
    """The last failure that the journal knows of."""
    worst: Usage = field(init=False)
    """The most that one attempt can come to."""

    def __post_init__(self) -> None:
        self.worst = Usage(
            calls=1,
            input_tokens=self.tokens,
            output_tokens=self.output,
            cost_usd=self.model.price.worst(self.tokens, self.output),
        )


class _Unsent(Exception):
    """The journal did not let a call leave, as a replay's does where the recorded one failed."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error)
        self.error = error


class _Known(Exception):
    """The journal has a reply by now, which another has come by: nothing is sent."""

    def __init__(self, reply: Completion) -> None:
        super().__init__(reply)
        self.reply = reply


class Attempts:
    """Sends the calls of one run. `on_attempt` is told when an attempt was settled, `flights` what is on its
    way."""

    def __init__(
        self, journal: Journal, run: str, terms: Terms, on_attempt: Callable[[], None], flights: Flights
    ) -> None:
        self._journal, self._run, self._terms, self.on_attempt = journal, run, terms, on_attempt
        self.leave: Callable[[], Awaitable[None]] | None = None
        """Waited for before each attempt."""
        self.sure: Callable[[], Awaitable[None]] | None = None
        """Waited for as the last thing before a call is sent: it raises where another may be sending it."""
        self._flights = flights

    async def complete(self, call: Call) -> Completion:
        """The reply, recorded, be it by another meanwhile (`call.known`).

        Raises:
            LimitReached: a limit does not allow the next attempt.
            PromptTooLong: the provider's count is above its window.
            CallFailed: the failure is final, or the attempts are used up; this is recorded too.
        """
        with asked(self._run, call) as told:
            try:
                completion: Completion = told(await self._complete(call))
            except _Known as known:
                completion, call.known = known.reply, True
                told(replace(completion, usage=Usage()))  # which is not paid here
        return completion

    async def _complete(self, call: Call) -> Completion:
        tries = failed = 0
        while True:
            order = _order(call.model)
            try:
                completion = await first_answer(order, partial(self._attempt, call, order[-1]))
                await self._finish(call, completion)
                return completion
            except _Unsent as unsent:
                raise unsent.error from None
            except LimitReached as error:
                if call.begun:
                    await self._note(call, error, Usage())
                raise
            except (CallFailed, PromptTooLong) as error:
                tries += 1
                failed += not isinstance(error, RateLimited)
                if not isinstance(error, Unavailable) or failed >= ATTEMPTS or tries >= SLOWED:
                    await self._give_up(call, error)
                    raise
                wait = await self._wait_after(call, error, _lane(order[-1]), tries)
            await asyncio.sleep(wait)

    async def _attempt(self, call: Call, last: Model, model: Model) -> Completion:
        if self.leave is not None:
            await self.leave()
        lane = _lane(model)
        reservation, passage = await self._turn(call, lane, patient=model is last)
        spent = Usage()
        outcome: Completion | RunError | None = None
        noted = call.noted
        try:
            await self._ready(call, lane)
            if lane is not None:
                spent = call.worst  # until it is known better
                self._flights.leave(call.key, lane, call.prompt.kind, spent)
            with within(call=call.key), sure_of(self.sure):
                completion = outcome = await model.call(call.prompt, max_output=call.output)
            spent = completion.usage
        except RunError as error:
            outcome, spent = error, call.worst if error.in_doubt else Usage()
            if call.late is not None:
                call.late = None
                await self._begin(call)
            await self._note(call, error, spent)
            raise
        except asyncio.CancelledError:
            if spent.calls:
                with suppress(StoreError):  # then it counts as lost, which is as much
                    await self._note(call, Unavailable(GIVEN_UP, in_doubt=True), spent)
            raise
        finally:
            self._flights.end(call.key, answered=isinstance(outcome, Completion))
            call.budget.settle(reservation, spent)
            if not isinstance(outcome, Completion):
                self._adrift(call, spent, noted)
            if lane is not None and passage is not None:
                lane.leave(passage, outcome)
            self.on_attempt()
        if completion.refusal is not None and model is not last:
            await self._note(call, Refused(f"{model.name} declined: {completion.refusal}"), completion.usage)
        return completion

    async def _turn(self, call: Call, lane: Lane | None, *, patient: bool) -> tuple[Reservation, Passage | None]:
        """Reserve the worst case, and wait in the lane with it: what waits there is promised to nobody else."""
        worst = (call.model.price, call.tokens, call.output)
        while True:
            reservation = await call.budget.acquire(*worst)
            if lane is None:
                return reservation, None
            try:
                passage = await lane.enter(
                    self._terms, call.prompt.kind, call.tokens, call.output, patient=patient
                )
            except BaseException:
                call.budget.settle(reservation, Usage())
                raise
            if not call.budget.void(reservation):
                break
            call.budget.settle(reservation, Usage())
            lane.leave(passage, None)
        if passage.waited > _LONG_SECONDS:
            call.budget.settle(reservation, Usage())
            try:
                reservation = call.budget.reserve(*worst)
            except LimitReached:
                lane.leave(passage, None)
                raise
        return reservation, passage

    async def _ready(self, call: Call, lane: Lane | None) -> None:
        """All that comes before a call is sent."""
        if lane is None and not call.worst.cost_usd and not call.begun and self._journal.begins_late:
            call.late = replace(self._intent(call), begun=time.time())
        else:
            await self._begin(call)
        if self.sure is not None:
            await self.sure()

    def _adrift(self, call: Call, spent: Usage, noted: RunError | None) -> None:
        """A try is over, and nobody knows how; `noted` is the failure that was noted before it."""
        if call.tried and call.noted is noted:
            call.budget.adrift(spent, call.worst)

    def _intent(self, call: Call) -> Intent:
        worst = call.worst
        return Intent(
            run=self._run,
            key=call.key,
            model=call.model.name,
            kind=call.prompt.kind,
            tokens=worst.tokens,
            cost_usd=worst.cost_usd,
            asker=scope().asker,
            window=call.model.window,
        )

    async def _finish(self, call: Call, completion: Completion) -> None:
        try:
            await self._journal.finish_call(self._run, call.key, completion, call.late)
        except BaseException:
            call.budget.adrift(completion.usage, call.worst)
            raise
        call.budget.recorded(completion.usage)

    async def _begin(self, call: Call) -> None:
        call.tried = True
        try:
            begun = await self._journal.begin_call(self._intent(call))
        except RunError as error:
            raise _Unsent(error) from None
        if begun.reply is not None:
            call.tried = False  # nothing of it is open in the journal
            raise _Known(begun.reply)
        call.begun = True

    async def _wait_after(self, call: Call, error: Unavailable, lane: Lane | None, tries: int) -> float:
        """Seconds until the call is tried again; raises where that is hopeless."""
        log.info("call tried again", kind=call.prompt.kind, model=call.model.name, tries=tries, reason=str(error))
        if lane is None:
            told = error.retry_after if isinstance(error, RateLimited) else None
            return _jitter(tries) if told is None else told
        if (reason := lane.hopeless(self._terms)) is not None:
            final = Unavailable(reason)
            await self._give_up(call, final)
            raise final from None
        if isinstance(error, RateLimited) and error.retry_after is not None:
            return 0.0  # the whole lane pauses
        if not lane.may_retry():
            log.warning("retries used up", lane=lane.name)
        return _jitter(tries)

    async def _give_up(self, call: Call, error: RunError) -> None:
        """Record what a call failed of in the end, where that was not an attempt: the lane let none leave."""
        if call.noted is not error:
            if not call.begun:
                await self._begin(call)
            await self._note(call, error, Usage())

    async def _note(self, call: Call, error: RunError, usage: Usage) -> None:
        """Record a failed attempt. Its kind comes first: a replay raises the same again."""
        tried(error, usage)
        await self._journal.fail_call(self._run, call.key, f"{type(error).__name__}: {error}", usage)
        call.budget.recorded(usage)
        call.noted = error


def _order(model: Model) -> tuple[Model, ...]:
    """The models that may answer. Those that are down, or want to be left alone, come last, and the one that is
    back first as the very last, because that one is waited for."""
    members: tuple[Model, ...] = getattr(model, "members", (model,))
    if len(members) == 1:
        return members

    def place(member: Model) -> tuple[bool, float]:
        lane = _lane(member)
        return (True, -lane.opens_in()) if lane is not None and lane.shut() else (False, 0.0)

    return tuple(sorted(members, key=place))


def _lane(model: Model) -> Lane | None:
    return lane_of(model) if getattr(model, "remote", True) else None


def _jitter(tries: int) -> float:
    return random.uniform(0.0, min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**tries))  # noqa: S311
