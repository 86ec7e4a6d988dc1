"""A second copy of a call that takes far longer than such calls do: the first reply of the two counts.

Asked only where it does no harm: a place is spare, nothing waits for one, the lane would let it leave at once, the
budget is ample, and few calls were asked twice so far. The copy has a name of its own in the journal, so it is
paid and settled as any call. Its reply, where it is first, is recorded as the reply to the call as well: whoever
asks the same later, or plays the run again, finds it there. After Dean and Barroso 2013, "The tail at scale".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from swarm.errors import CallFailed, InvalidReply, Refused, Rejected, RunError
from swarm.limits.budget import Budget
from swarm.limits.flights import Flight
from swarm.limits.gate import Gate, key_of
from swarm.models.base import Model
from swarm.observe.log import get_logger
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Prompt

R = TypeVar("R", bound=Reply)

log = get_logger("hedged")

AGAIN = 1_000_000
"""Added to the number of an attempt: that of its copy, which nobody else uses."""
TIMES_USUAL = 2.0
"""A call is late when it lasts so many times as long as all but a few."""
FLOOR_SECONDS = 5.0
"""Sooner than this no call is late."""
SHARE = 0.05
"""Of the calls may be asked twice."""
AMPLE = 10
"""Worst cases of the call that must be free in every limit, beside those of what is still to be worked."""
_LOOK_SECONDS = 1.0  # between two looks at the calls that are on their way


@dataclass(eq=False, slots=True)
class _Asked:
    """A call that waits for its reply. `scope` is there as long as it does; `copy` once it was asked again, by the
    same that asked first (`where`)."""

    model: Model
    prompt: Prompt[Any]
    attempt: int
    budget: Budget | None
    mend: bool
    key: str = ""
    scope: asyncio.Timeout | None = None
    copy: asyncio.Task[Any] | None = None
    where: Context = field(default_factory=copy_context)


class Hedged:
    """Asks as the gate does. `spare` tells how many places are idle while nothing waits for one, `ahead` how many
    slices are still to be worked. Where a run has been `resumed`, or is replayed, a copy may have been answered
    when its process died: that reply counts, and nothing is sent."""

    def __init__(
        self,
        gate: Gate,
        spare: Callable[[], int],
        *,
        ahead: Callable[[], int] = lambda: 0,
        resumed: bool = False,
    ) -> None:
        self.hedges = 0
        """Calls that were asked twice."""
        self.won = 0
        """Those of them whose copy was answered first."""
        self._gate, self._spare, self._ahead, self._resumed = gate, spare, ahead, resumed
        self._waiting: dict[_Asked, None] = {}
        self._copies = 0  # on their way, each at a spare place
        self._timer: asyncio.TimerHandle | None = None

    @property
    def budget(self) -> Budget:
        return self._gate.budget

    async def ask(
        self, model: Model, prompt: Prompt[R], attempt: int = 0, *, budget: Budget | None = None, mend: bool = True
    ) -> R:
        """See `Gate.ask`."""
        gate = self._gate
        if self._resumed and not await gate.finished(model, prompt, attempt):
            known = await gate.known(model, prompt, attempt + AGAIN)
            if known is not None:
                return known
        if not getattr(model, "remote", True):
            return await gate.ask(model, prompt, attempt, budget=budget, mend=mend)
        call = _Asked(model, prompt, attempt, budget, mend)
        self._watch(call)
        try:
            return await self._first_reply(call, prompt)
        finally:
            await self._forget(call)

    async def _first_reply(self, call: _Asked, prompt: Prompt[R]) -> R:
        """The call's own, or that of its copy, which ends the wait for the other."""
        try:
            async with asyncio.timeout(None) as call.scope:
                try:
                    return await self._gate.ask(
                        call.model, prompt, call.attempt, budget=call.budget, mend=call.mend
                    )
                finally:
                    scope, call.scope = call.scope, None
        except TimeoutError:
            if call.copy is None or not scope.expired():
                raise
        except CallFailed as failure:
            if call.copy is None or not await self._may_be_saved(call, failure):
                raise
            await asyncio.wait((call.copy,))
            if call.copy.cancelled() or call.copy.exception() is not None:
                raise
        self.won += 1
        reply: R = call.copy.result()
        return await self._gate.stand_in(call.model, prompt, call.attempt, reply)

    async def _ask_again(self, call: _Asked) -> Any:
        """The copy: once it is answered, the call itself is given up. Where that has been answered too, and its
        reply is being written or mended, it is waited for: that reply is the one that the journal tells."""
        gate = self._gate
        reply = await gate.ask(call.model, call.prompt, call.attempt + AGAIN, budget=call.budget, mend=call.mend)
        own = await gate.finished(call.model, call.prompt, call.attempt)
        if not own and call.scope is not None:
            call.scope.reschedule(asyncio.get_running_loop().time())
        return reply

    async def _may_be_saved(self, call: _Asked, failure: CallFailed) -> bool:
        """Whether a failure leaves the copy a chance: no reply of its own is in the journal, and the copy is not
        bound to fail as well."""
        if isinstance(failure, (Rejected, Refused, InvalidReply)):
            return False
        return not await self._gate.finished(call.model, call.prompt, call.attempt)

    def look(self) -> None:
        """Have the calls that are late asked again, as far as nothing speaks against it."""
        usual: dict[tuple[str, str], float | None] = {}
        flights = self._gate.flights
        for call in list(self._waiting):
            if self._copies >= self._spare() or self.hedges + 1 > SHARE * flights.sent:
                return
            if call.copy is not None or call.scope is None:
                continue
            call.key = call.key or key_of(call.model, call.prompt, call.attempt)
            flight = flights.get(call.key)
            if flight is None:
                continue
            name = (flight.lane.name, flight.kind)
            if name not in usual:
                usual[name] = flights.usual(flight.lane, flight.kind)
            lasted = flights.clock() - flight.sent
            if self._is_late(lasted, usual[name]) and self._does_no_harm(flight, call.budget or self.budget):
                log.info("hedged", lane=flight.lane.name, kind=flight.kind, seconds=round(lasted, 1))
                self.hedges += 1
                self._copies += 1
                call.copy = asyncio.get_running_loop().create_task(self._ask_again(call), context=call.where)

    def _is_late(self, lasted: float, usual: float | None) -> bool:
        return usual is not None and lasted > max(TIMES_USUAL * usual, FLOOR_SECONDS)

    def _does_no_harm(self, flight: Flight, budget: Budget) -> bool:
        return flight.lane.open and budget.ample(flight.worst, AMPLE + self._ahead())

    def _watch(self, call: _Asked) -> None:
        self._waiting[call] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._tick)

    async def _forget(self, call: _Asked) -> None:
        del self._waiting[call]
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if call.copy is not None:
            try:
                await _end(call.copy)
            finally:
                self._copies -= 1

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._tick)
        self.look()


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel what is not over, and wait until it is. Of its failures only a mistake of ours matters."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    failure = None if task.cancelled() else task.exception()
    if failure is not None and not isinstance(failure, RunError):
        raise failure
