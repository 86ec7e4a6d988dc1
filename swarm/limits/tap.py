"""What the lane of one machine has of the rates and places that all machines share, and how it comes by more.

It draws small blocks ahead, of about what leaves in half a second, and more for those that wait, so that a call
costs far less than a round trip. What is not used within a second is given back. While the store is away nothing
leaves once that is used up. See `swarm.limits.flow` for what holds over all machines.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from swarm.limits.common import Tokens
from swarm.limits.flow import KINDS, Amounts, Answer, Ask, draw
from swarm.limits.lanes import Lane
from swarm.limits.present import FRESH_SECONDS, TICK_SECONDS
from swarm.limits.rounds import Rounds
from swarm.store.shares import Shares

_SOON_SECONDS = 0.02  # between two exchanges: many that come to want something ask together
_HEARTBEAT_SECONDS = 1.0
_PACE_SECONDS = 1.0  # over which what leaves in a second is looked at
_LONG_SECONDS = 2.0  # of an exchange, for which longer ones count
_SAME_SECONDS = 0.25  # two pauses, or two failures, so close are one

Drawn = dict[str, tuple[int, int]]
"""What one call has taken of each kind: the stamp that it counts under, and how much."""


@dataclass(slots=True)
class _Block:
    """What was drawn together and not used yet, until it is too late."""

    stamp: int
    until: float
    amounts: dict[str, int]


class Tap:
    """See `swarm.limits.lanes.Common`. `holder` is the name under which it draws."""

    def __init__(self, lane: Lane, shares: Shares, holder: str, loop: asyncio.AbstractEventLoop) -> None:
        self._lane, self._shares, self._holder, self._loop = lane, shares, holder, loop
        self._rounds = Rounds(self._exchange, loop)
        self._blocks: deque[_Block] = deque()
        self._back: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        """What is to be put right at the server, by stamp."""
        self._places = self._target = 0
        self._peak = 0
        """Calls in flight and waiting, the most since the last exchange."""
        self._limits: Amounts = {}
        self._need: dict[str, int] = {}
        self._used: defaultdict[str, int] = defaultdict(int)
        self._pace: defaultdict[str, float] = defaultdict(float)
        """What leaves in a second, of late."""
        self._asking: Ask | None = None
        self._number = 0
        self._met = True
        """Whether what the next call needed last was there, and"""
        self._seated = True
        """whether there were as many places as were wanted."""
        self._took = 0.0
        """Seconds of an exchange, of late."""
        self._sent = self._fresh_until = float("-inf")
        self._tick = TICK_SECONDS
        self._stamp, self._stamped = 0, 0.0
        self._paused_until = lane.paused_until
        self._down_since = lane.breaker.down_since
        self._down_known = float("-inf")

    @property
    def free(self) -> bool:
        return self._lane.places.taken < min(self._places, self._target) and self._loop.time() < self._fresh_until

    def wait(self, tokens: Mapping[Tokens, int]) -> float:
        need: dict[str, int] = {"requests": 1} | dict(tokens.items())
        if not self._number:
            self._limits = self._lane.asked
        self._need = {kind: amount for kind, amount in need.items() if kind in self._limits}
        self._drop_late()
        if self.free and all(self._has(kind) >= amount for kind, amount in self._need.items()):
            self._need = {}
            return 0.0
        self._peak = max(self._peak, self._lane.places.taken + self._lane.waiting)
        met = self._met if self.free else self._seated
        self._rounds.by(self._sent + (_SOON_SECONDS if met else self._tick))
        return float("inf")

    def take(self, tokens: Mapping[Tokens, int]) -> Drawn:
        drawn: Drawn = {}
        amounts: dict[str, int] = {"requests": 1} | dict(tokens.items())
        for kind, amount in amounts.items():
            self._used[kind] += amount
            drawn[kind] = self._consume(kind, amount), amount
        self._peak = max(
            self._peak, self._lane.places.taken + self._lane.waiting - 1
        )  # it is not yet out of the queue
        low = any(self._has(kind) < self._ahead(kind) / 2 for kind in self._limits)
        self._rounds.by(self._sent + (self._tick if low else _HEARTBEAT_SECONDS))
        return drawn

    def settle(self, drawn: Drawn, used: Mapping[Tokens, int]) -> None:
        for kind, amount in used.items():
            stamp, taken = drawn[kind]
            if amount != taken:
                self._back[stamp][kind] += amount - taken
        self._rounds.by(self._sent + (self._tick if self._places > self._target else _HEARTBEAT_SECONDS))

    def tell(self) -> None:
        self._rounds.by(self._loop.time() + _SOON_SECONDS)

    async def close(self) -> None:
        """Give all back that is not in use."""
        await self._rounds.end()
        for block in self._blocks:
            block.until = float("-inf")
        self._need, self._peak = {}, 0
        self._used.clear()
        self._pace.clear()
        self._target = 0
        if self._sent > float("-inf"):
            await self._shares.change(self._name, draw(self._asking or self._ask(closing=True)))

    @property
    def _name(self) -> str:
        return f"lane:{self._lane.name}"

    def _has(self, kind: str) -> int:
        return sum(block.amounts.get(kind, 0) for block in self._blocks)

    def _ahead(self, kind: str) -> int:
        """What leaves until there is more."""
        return int(min(self._pace[kind] * (2 * (self._tick + self._took) + 0.1), self._limits[kind] / 120))

    def _consume(self, kind: str, amount: int) -> int:
        """Take it from the oldest blocks; what has no limit is only counted. The stamp that it counts under."""
        stamp = self._stamp + int(self._loop.time() - self._stamped)
        if kind not in self._limits:
            self._back[stamp][kind] += amount
            return stamp
        for block in self._blocks:
            taken = min(amount, block.amounts.get(kind, 0))
            if taken:
                block.amounts[kind] -= taken
                amount -= taken
                stamp = block.stamp
            if not amount:
                return stamp
        self._back[stamp][kind] += amount  # a limit that was not there when this call looked
        return stamp

    def _drop_late(self) -> None:
        now = self._loop.time()
        while self._blocks and self._blocks[0].until <= now:
            block = self._blocks.popleft()
            for kind, amount in block.amounts.items():
                if amount:
                    self._back[block.stamp][kind] -= amount

    def _ask(self, *, closing: bool = False) -> Ask:
        """What to ask for. From here on no more places are used than are kept."""
        lane, now = self._lane, self._loop.time()
        self._drop_late()
        self._keep_pace(now)
        self._sent = now
        taken = lane.places.taken
        wanted = 0 if closing else max(self._peak, taken + lane.waiting)
        self._peak = taken + lane.waiting
        self._places = max(taken, min(self._places, self._target, wanted))
        self._number += 1
        want = {} if closing or not wanted else self._wanted()
        back, self._back = self._back, defaultdict(lambda: defaultdict(int))
        told, lane.news = lane.news, {}
        if not wanted:
            for block in self._blocks:
                for kind, amount in block.amounts.items():
                    back[block.stamp][kind] -= amount
            self._blocks.clear()
        return Ask(
            holder=self._holder,
            number=self._number,
            ceiling=lane.places.ceiling,
            taken=self._places,
            wanted=min(wanted, lane.places.ceiling),
            limits=lane.asked,
            told=told,
            need=self._need,
            want=want,
            back=[(stamp, dict(amounts)) for stamp, amounts in back.items()],
            unused=lane.unused,
            pause=self._own_pause(now),
            down=self._went_down(),
            took=self._took,
        )

    def _wanted(self) -> dict[str, int]:
        """What those need that wait and have a place, and what leaves soon."""
        leaving = max(1, min(self._lane.waiting, self._lane.places.limit - self._lane.places.taken))
        wanted = {kind: self._need.get(kind, 0) * leaving + self._ahead(kind) for kind in self._limits}
        return {kind: amount - self._has(kind) for kind, amount in wanted.items() if amount > self._has(kind)}

    def _keep_pace(self, now: float) -> None:
        seconds = max(_SOON_SECONDS, min(now - self._sent, 10.0))
        weight = min(1.0, seconds / _PACE_SECONDS)
        for kind in KINDS:
            self._pace[kind] += weight * (self._used[kind] / seconds - self._pace[kind])
        self._used.clear()

    def _own_pause(self, now: float) -> float:
        """Seconds for which this provider asked here to be left alone, where the others do not know it."""
        until = self._lane.paused_until
        if until <= self._paused_until + _SAME_SECONDS:
            return 0.0
        self._paused_until = until
        return max(0.0, until - now)

    def _went_down(self) -> bool:
        since, self._down_since = self._down_since, self._lane.breaker.down_since
        return self._down_since is not None and self._down_since != since

    async def _exchange(self) -> None:
        if self._asking is None:
            self._asking = self._ask()
        asked, first, sent = self._asking, self._sent, self._loop.time()
        answer = await self._shares.change(self._name, draw(asked))
        self._asking = None
        self._took += (min(_LONG_SECONDS, self._loop.time() - sent) - self._took) / 4
        self._take_in(asked, answer, first)
        self._fresh_until = sent + FRESH_SECONDS
        self._lane.stir()
        if asked.wanted or self._lane.places.taken or self._lane.waiting:
            self._rounds.by(self._sent + _HEARTBEAT_SECONDS)

    def _take_in(self, asked: Ask, answer: Answer, sent: float) -> None:
        now = self._loop.time()
        self._places += answer.places - asked.taken
        self._target = answer.target
        self._limits, self._tick = answer.limits, answer.seconds
        self._met, self._seated = bool(answer.drawn or not asked.need), answer.places >= asked.wanted
        self._stamp, self._stamped = answer.stamp, sent
        if answer.drawn:
            self._blocks.append(_Block(stamp=answer.stamp, until=sent + answer.life, amounts=dict(answer.drawn)))
        told = {kind: limit for kind, limit in answer.told.items() if kind not in self._lane.news}
        self._lane.know(told, answer.limits, answer.used, answer.unused)
        if answer.pause > 0:
            self._lane.hush(now + answer.pause)
            self._paused_until = max(self._paused_until, self._lane.paused_until)
        if answer.down_for is not None:
            self._hear_of_failure(now, now - answer.down_for)

    def _hear_of_failure(self, now: float, at: float) -> None:
        """The provider went down somewhere: so it did here, unless it has answered since."""
        if at <= self._down_known + _SAME_SECONDS:
            return
        self._down_known = at
        if self._lane.breaker.down_since is None and self._lane.answered_at < at:
            self._lane.breaker.trip(now)
            self._down_since = self._lane.breaker.down_since
