"""The budget of a run that is worked on several machines: it spends from a purse that it fills through the store.

What a call may come to is reserved from the purse at once, as from any budget. The purse is filled in blocks, for
about as much as was used in the last second, and what is not needed is given back. See `swarm.limits.stock` for
what holds over all machines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from swarm.limits.budget import Budget, Reservation
from swarm.limits.present import FRESH_SECONDS
from swarm.limits.rounds import Rounds
from swarm.limits.stock import ROUNDING, Draw, Drawn, draw
from swarm.limits.sums import NOTHING, UNITS, Room, Sum, sum_of
from swarm.store.shares import Shares
from swarm.task import Limits, Usage

_SOON_SECONDS = 0.02  # between two exchanges: many that come to want something ask together
_AHEAD_SECONDS = 1.0  # for which as much is held as was used in the last one
_HEARTBEAT_SECONDS = 1.0
_ADRIFT_SECONDS = 5.0  # after which what was given up is in the journal, or never will be


@dataclass(slots=True)
class _Adrift:
    """Tries that were given up when they may have been open in the journal, and since when there is no new one."""

    most: Sum = NOTHING
    since: float = 0.0


class PooledBudget(Budget):
    """See `Budget`: of a run as a whole. `holder` is the name of its purse. Dropped, it holds nothing after a
    second or two."""

    def __init__(self, run: str, limits: Limits, clock: Callable[[], float], shares: Shares, holder: str) -> None:
        """Raises:
        StoreError: the store cannot be reached.
        """
        super().__init__(limits, clock=clock)
        self._run, self._shares, self._holder = run, shares, holder
        self._loop = asyncio.get_running_loop()
        self._rounds = Rounds(self._exchange, self._loop)
        self._held = NOTHING
        """What the purse held when it was last told, or less."""
        self._recorded = NOTHING
        self._mark = NOTHING
        """Of what is recorded, as much as the purse does not cover, because the journal has it."""
        self._recorded_usage = Usage()
        self._paid_by_all, self._paid_mark = Usage(), Usage()
        self._free_of_all = self._most()
        self._needs: list[Sum] = []
        self._used = NOTHING
        """What was reserved since the last exchange."""
        self._pace = NOTHING
        """What is reserved in a second."""
        self._adrift = _Adrift()
        self._lost: set[int] = set()
        """Reservations that the purse does not cover any more."""
        self._made: dict[int, Reservation] = {}
        self._short = False
        self._met = True
        """Whether all that was needed last was there."""
        self._sent = self._loop.time()
        self._fresh_until = 0.0
        asked = self._asked()
        self._take(asked, shares.change_sync(self._name, draw(run, asked)), self._sent)

    @property
    def spent(self) -> Usage:
        """What was paid by all machines as far as it is known here, and what was settled here since."""
        return self._paid_by_all + (super().spent - self._paid_mark)

    def recorded(self, usage: Usage) -> None:
        self._recorded = self._recorded.plus(sum_of(usage))
        self._recorded_usage += usage

    def adrift(self, spent: Usage, worst: Usage) -> None:
        self.recorded(spent)  # in its place stands the worst, until the journal has counted it
        self._adrift = _Adrift(self._adrift.most.plus(sum_of(worst)), self._loop.time())

    def void(self, reservation: Reservation) -> bool:
        if id(reservation) not in self._lost:
            return False
        self._held = self._held.less(reservation.sum)
        return True

    async def close(self) -> None:
        """Give back what is not in use."""
        await self._rounds.end()
        self._short = True
        self._needs.clear()
        asked = self._asked()
        await self._shares.change(self._name, draw(self._run, asked))

    # As the budgets above and below see it

    def _free(self, *, in_flight: bool) -> Room:
        if not in_flight:
            return self._limit().less(sum_of(self._paid_by_all))
        spare = self._spare() if self._loop.time() < self._fresh_until else NOTHING
        return Room(*(None if most is None else left for most, left in zip(self._most(), spare, strict=True)))

    def _left(self) -> Room:
        spare = self._spare()
        return Room(
            *(None if left is None else left + own for left, own in zip(self._free_of_all, spare, strict=True))
        )

    def _short_of(self, wanted: Sum) -> None:
        self._needs.append(wanted)
        wait = _SOON_SECONDS if self._met else self._tick
        self._rounds.by(max(self._loop.time(), self._sent + wait))

    def _put(self, most: Reservation, change: Sum) -> None:
        super()._put(most, change)
        if change.calls > 0:
            self._made[id(most)] = most
            self._used = self._used.plus(change)
            if any(left < pace / 2 for left, pace in zip(self._spare(), self._pace, strict=True)):
                self._rounds.by(max(self._loop.time(), self._sent + self._tick))
            else:
                self._rounds.by(self._sent + _HEARTBEAT_SECONDS)
        else:
            self._made.pop(id(most), None)
            self._lost.discard(id(most))

    def _pay(self, usage: Usage, paid: int) -> None:  # noqa: ARG002
        super()._pay(usage, sum_of(usage).units)  # as the server counts it

    def _wake(self) -> None:
        self._needs.clear()  # who still waits says so again
        super()._wake()

    # The purse

    @property
    def _name(self) -> str:
        return f"stock:{self._run}"

    def _limit(self) -> Room:
        return self._most().less(NOTHING.less(ROUNDING))

    def _owed(self) -> Sum:
        """What may still come of what was begun here, beyond what the journal is known to have."""
        return self._reserved.plus(self._settled).less(self._mark).plus(self._adrift.most)

    def _spare(self) -> Sum:
        return self._held.less(self._owed())

    def _asked(self) -> Draw:
        """What to ask for. From here on no more is used than is kept."""
        now = self._loop.time()
        seconds = max(_SOON_SECONDS, now - self._sent)
        self._pace = Sum(*(_paced(was, used, seconds) for was, used in zip(self._pace, self._used, strict=True)))
        ahead = NOTHING if self._short else self._pace
        self._used, self._sent = NOTHING, now
        had = self._held != NOTHING
        spare = Sum(*(max(0, left) for left in self._spare()))
        self._held, self._mark = self._held.less(self._recorded.less(self._mark)), self._recorded
        kept = NOTHING if self._short or now >= self._fresh_until else spare
        if not self._needs:
            kept = Sum(*map(min, kept, ahead))
        keep = self._held = self._owed().plus(kept)
        need = _beyond(self._needs[0], kept) if self._needs else NOTHING
        wanted = ahead
        for one in self._needs:
            wanted = wanted.plus(one)
        want = Sum(*map(max, need, _beyond(wanted, kept)))
        doubt = self._adrift.most != NOTHING and now - self._adrift.since > _ADRIFT_SECONDS
        return Draw(holder=self._holder, keep=keep, need=need, want=want, most=self._limit(), had=had, doubt=doubt)

    async def _exchange(self) -> None:
        marked, sent, adrift = self._recorded_usage, self._loop.time(), self._adrift
        asked = self._asked()
        drawn = await self._shares.change(self._name, draw(self._run, asked))
        self._paid_mark = marked
        if drawn.doubt is not None and asked.doubt and self._adrift is adrift:
            self._adrift = _Adrift(Sum(*map(min, adrift.most, drawn.doubt)), sent)
        self._take(asked, drawn, sent)
        self._wake()

    def _take(self, asked: Draw, drawn: Drawn, sent: float) -> None:
        self._held = self._held.plus(drawn.held.less(asked.keep))
        if drawn.lost:
            self._lost |= self._made.keys()
        paid = drawn.paid
        self._paid_by_all = Usage(
            calls=paid.calls,
            input_tokens=paid.input_tokens,
            output_tokens=paid.output_tokens,
            cached_tokens=paid.cached_tokens,
            cost_usd=paid.units / UNITS,
        )
        self._free_of_all, self._short, self._tick = drawn.free, drawn.short, drawn.seconds
        self._met = asked.need == NOTHING or drawn.held != asked.keep
        self._fresh_until = sent + FRESH_SECONDS
        if self._short and self._spare() != NOTHING and asked.need == NOTHING:
            self._rounds.by(self._loop.time() + _SOON_SECONDS)
        elif self._held != NOTHING:
            self._rounds.by(sent + _HEARTBEAT_SECONDS)


def _paced(was: int, used: int, seconds: float) -> int:
    """What is used in a second, of late; nothing where nothing was for a while."""
    if not used and seconds > _HEARTBEAT_SECONDS / 2:
        return 0
    weight = min(1.0, seconds / _AHEAD_SECONDS)
    return int(was + weight * (used / seconds - was))


def _beyond(wanted: Sum, has: Sum) -> Sum:
    return Sum(*(max(0, want - left) for want, left in zip(wanted, has, strict=True)))
