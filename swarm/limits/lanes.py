"""A lane is the way to one model at one provider: all calls of the process to it pass there, in their order.

It knows how many calls and tokens may leave in a minute (what the user said, or what the provider's headers say),
how many calls may be in flight, whether the provider wants to be left alone for a while, and whether it is down.
Whoever must wait, waits in a queue with one head, and only the head looks at the clock: a thousand waiters cost
nothing. A lane sends nothing itself and knows no prompt.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any
from weakref import WeakSet

from swarm.errors import RateLimited, RunError, Unavailable
from swarm.limits.breaker import Breaker
from swarm.limits.common import TOKENS, Common, Tokens
from swarm.limits.meter import Meter, Requests, Taken
from swarm.limits.places import Places
from swarm.limits.rates import Rates, lower
from swarm.models.base import Completion, Model
from swarm.models.quota import Level, Quota
from swarm.observe.log import get_logger

log = get_logger("lanes")

PATIENCE_SECONDS = 300.0
"""How long a provider may be down, or ask to be left alone, before calls fail."""
_RETRY_CALLS = 5  # that must be answered for one retry
_RETRY_FLOOR = 10
"""Retries that are granted at first, and the most that are saved up."""
_SOON_SECONDS = 1.0  # a pause of so little is no reason to ask another model


class Terms:
    """What one run asks of the lanes that it uses, for as long as it holds on to this. `began` is in seconds of
    the monotonic clock: a provider that was down before is waited for all the same."""

    __slots__ = ("__weakref__", "began", "concurrency", "rates")

    def __init__(self, rates: Rates, concurrency: int, began: float = 0.0) -> None:
        self.rates, self.concurrency, self.began = rates, concurrency, began


@dataclass(slots=True)
class Passage:
    """A call that has left and must come back, through `Lane.leave`."""

    sent: float
    """In seconds of the lane's clock."""
    waited: float
    """Seconds in the queue."""
    taken: dict[Tokens, Taken]
    trial: bool
    drawn: Any = None
    """From what all machines share, where they do."""


class Lane:
    """Use: `passage = await lane.enter(...)`, send, and in every case `lane.leave(passage, ...)`."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self.places = Places(1)
        self.breaker = Breaker()
        self._clock = clock
        self._requests = Requests(clock)
        self._meters: dict[Tokens, Meter] = {kind: Meter(clock) for kind in TOKENS}
        self._told: dict[str, int] = {}
        """Limits from response headers, by what they count."""
        self.news: dict[str, int] = {}
        """Those that are new since somebody looked and cleared this."""
        self.asked: dict[str, int] = {}
        """Limits that the runs of this process want kept."""
        self._for_all: dict[str, int] = {}
        """Limits of all machines, where they share them."""
        self.common: Common | None = None
        self.waiting = 0  # calls in the queue
        self.answered_at = float("-inf")
        """When the provider answered last, be it with a refusal."""
        self._terms: WeakSet[Terms] = WeakSet()
        self._parties = 0
        self.paused_until = 0.0
        self._earned = _RETRY_FLOOR * _RETRY_CALLS
        self._turn = asyncio.Lock()
        self._head: asyncio.Future[None] | None = None

    def opens_in(self) -> float:
        """Seconds for which nothing may be sent, because the provider is down or asked for it; 0 for none."""
        now = self._clock()
        down = self.breaker.opens - now if self.breaker.shut(now) else 0.0
        return max(0.0, down, self.paused_until - now, 0.001 if self.breaker.shut(now) else 0.0)

    @property
    def open(self) -> bool:
        """Whether a call would leave at once, and nobody waits to."""
        free = self.places.free and (self.common is None or self.common.free)
        return free and not self._turn.locked() and self.opens_in() == 0

    def shut(self) -> bool:
        """Whether another model had better be asked, where there is one."""
        return self.breaker.shut(self._clock()) or self.opens_in() > _SOON_SECONDS

    async def enter(
        self, terms: Terms, kind: str, input_tokens: int, output_tokens: int, *, patient: bool = True
    ) -> Passage:
        """Wait for this call's turn. Cancelled, it leaves nothing behind. One that is not `patient`, because
        another model can answer, waits for its turn and not for the provider.

        Raises:
            Unavailable: the provider has been down for too long, or asks for more patience than there is.
        """
        came = self._clock()
        most: dict[Tokens, int] = {
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "tokens": input_tokens + output_tokens,
        }
        self.waiting += 1
        try:
            async with self._turn:
                return await self._pass(terms, kind, most, came, patient)
        finally:
            self.waiting -= 1

    async def _pass(self, terms: Terms, kind: str, most: dict[Tokens, int], came: float, patient: bool) -> Passage:
        """As the head of the queue."""
        self._join(terms)
        paced = False
        while True:
            tokens = {name: self._meters[name].estimate(kind, n, self.places.taken) for name, n in most.items()}
            if not patient and self.shut():
                raise Unavailable(f"{self.name} is not available now")
            wait = self._wait(terms, tokens)
            if wait > 0:
                await self._rest(wait)
                paced = False
            elif paced or not await self._requests.turn():
                break
            else:
                paced = True  # but that took a while, in which anything may have happened
        now = self._clock()
        self.places.take()
        taken = {name: self._meters[name].take(kind, n, most[name]) for name, n in tokens.items()}
        drawn = None if self.common is None else self.common.take(tokens)
        return Passage(sent=now, waited=now - came, taken=taken, trial=self.breaker.leave(), drawn=drawn)

    def leave(self, passage: Passage, outcome: Completion | RunError | None) -> None:
        """The call is over: answered, failed, or, with None, cancelled or broken in a way that tells nothing."""
        self.places.give_back()
        match outcome:
            case Completion():
                self._answered(passage, outcome)
            case RunError():
                self._failed(passage, outcome)
            case _:
                self._forget(passage, used=True)
                if passage.trial:
                    self.breaker.abandoned()
        self.stir()

    def may_retry(self) -> bool:
        """Whether one more retry is within their share of the calls; if not, the lane waits as if it were down."""
        if self._earned >= _RETRY_CALLS:
            self._earned -= _RETRY_CALLS
            return True
        self.breaker.trip(self._clock())
        self._tell()
        return False

    def hopeless(self, terms: Terms) -> str | None:
        """Why waiting makes no sense any more: the provider has been down for too long, or asks for more patience
        than there is. None while it does."""
        now = self._clock()
        if (pause := self.paused_until - now) > PATIENCE_SECONDS:
            return f"{self.name} asks to be left alone for {pause:,.0f} seconds: resume the run after that"
        if self.breaker.shut(now) and (down := now - self._down_since(terms)) >= PATIENCE_SECONDS:
            return f"{self.name} has not been available for {down:,.0f} seconds: resume the run later"
        return None

    def pause(self, seconds: float) -> None:
        """Let nothing leave for so long, and a little more, at random."""
        until = self._clock() + seconds + random.uniform(0.0, min(1.0, 0.05 + seconds / 10))  # noqa: S311
        self.hush(until)
        self._tell()

    def hush(self, until: float) -> None:
        """Let nothing leave before that time of the lane's clock."""
        self.paused_until = max(self.paused_until, until)

    def know(
        self,
        told: Mapping[str, int],
        limits: Mapping[str, int],
        used: Mapping[str, int],
        unused: Mapping[str, int],
    ) -> None:
        """Hear what all machines know: what the provider told, which limits hold, what was used in the last
        minute, and what the calls of the other machines might still use."""
        for name, meter in self._meters.items():
            meter.know(used.get(name, 0), unused.get(name, 0))
        self._requests.know(used.get("requests", 0))
        before = self._told, self._for_all
        self._told, self._for_all = {**self._told, **told}, dict(limits)
        if before != (self._told, self._for_all):
            self._agree()

    @property
    def unused(self) -> dict[str, int]:
        """What the calls in flight might use beyond what is taken for them."""
        return {name: meter.unused for name, meter in self._meters.items()}

    def _wait(self, terms: Terms, tokens: dict[Tokens, int]) -> float:
        """Seconds for which the head must wait; infinite where only a call that comes back can help."""
        if (reason := self.hopeless(terms)) is not None:
            raise Unavailable(reason)
        if not self.places.free:
            return float("inf")
        now = self._clock()
        wait = max(0.0, self.paused_until - now)
        if self.breaker.shut(now):
            ends = self._down_since(terms) + PATIENCE_SECONDS
            opens = ends if self.breaker.trying else min(ends, self.breaker.opens)
            wait = max(wait, 0.001, opens - now)
        wait = max(wait, self._requests.wait(), *(self._meters[name].wait(n) for name, n in tokens.items()))
        return wait if wait > 0 or self.common is None else self.common.wait(tokens)

    def _down_since(self, terms: Terms) -> float:
        return max(self.breaker.down_since or 0.0, terms.began)

    async def _rest(self, seconds: float) -> None:
        """Until something changes, or the time is over. Only the head of the queue rests."""
        loop = asyncio.get_running_loop()
        self._head = head = loop.create_future()
        timer = None if seconds == float("inf") else loop.call_later(seconds, _resolve, head)
        try:
            await head
        finally:
            self._head = None
            if timer is not None:
                timer.cancel()

    def stir(self) -> None:
        """Have the head of the queue look again."""
        if self._head is not None:
            _resolve(self._head)

    def _answered(self, passage: Passage, completion: Completion) -> None:
        usage = completion.usage
        used = dict(zip(TOKENS, (usage.input_tokens, usage.output_tokens, usage.tokens), strict=True))
        for name, taken in passage.taken.items():
            self._meters[name].settle(taken, used[name], learn=True)
        self._put_right(passage, used)
        self.places.grow()
        self._alive()
        self._earned = min(_RETRY_FLOOR * _RETRY_CALLS, self._earned + 1)
        if completion.quota is not None:
            self._hear(completion.quota)

    def _failed(self, passage: Passage, error: RunError) -> None:
        now = self._clock()
        self._forget(passage, used=error.in_doubt)
        if not isinstance(error, Unavailable):
            self._alive()
            return
        if error.overloaded and self.places.shrink(passage.sent, now):
            log.info("fewer calls at a time", lane=self.name, places=self.places.limit, reason=str(error))
        if isinstance(error.quota, Quota):
            self._hear(error.quota)
        if isinstance(error, RateLimited):
            if error.retry_after is not None:
                self.pause(error.retry_after)
            self._alive()
        elif self.breaker.failed(now, trial=passage.trial):
            log.warning("provider down", lane=self.name, reason=str(error))
            self._tell()

    def _tell(self) -> None:
        if self.common is not None:
            self.common.tell()

    def _alive(self) -> None:
        self.breaker.answered()
        self.answered_at = self._clock()

    def _put_right(self, passage: Passage, used: Mapping[Tokens, int]) -> None:
        if self.common is not None and passage.drawn is not None:
            self.common.settle(passage.drawn, used)

    def _forget(self, passage: Passage, *, used: bool) -> None:
        """Settle a call that says nothing of what it used: at the estimate, or at nothing."""
        amounts = {name: taken.tokens if used else 0 for name, taken in passage.taken.items()}
        for name, taken in passage.taken.items():
            self._meters[name].settle(taken, amounts[name], learn=False)
        self._put_right(passage, amounts)

    def _hear(self, quota: Quota) -> None:
        """Learn from what a response told of the provider's rates."""
        known = dict(self._told)
        pause = 0.0
        if quota.requests is not None:
            pause = self._learn("requests", quota.requests, self._requests)
        split = quota.input_tokens is not None or quota.output_tokens is not None
        for name, meter in self._meters.items():
            level: Level | None = getattr(quota, name)
            if level is not None and not (name == "tokens" and split):  # Anthropic repeats the tightest there
                pause = max(pause, self._learn(name, level, meter))
        if pause > 0:
            self.pause(pause)
        if self._told != known:
            log.info("rates learnt", lane=self.name, **self._told)
            self._agree()

    def _learn(self, name: str, level: Level, counted: Meter | Requests) -> float:
        if level.limit is not None:
            if self._told.get(name) != level.limit:
                self.news[name] = level.limit
            self._told[name] = level.limit
        return counted.hear(level)

    def _join(self, terms: Terms) -> None:
        known = terms in self._terms
        self._terms.add(terms)
        if not known or len(self._terms) != self._parties:
            self._agree()

    def _agree(self) -> None:
        """Set the limits that suit all: the lowest of each run's and the provider's."""
        parties = list(self._terms)
        self._parties = len(parties)
        self.places.ceiling = max((terms.concurrency for terms in parties), default=1)
        self.asked = {}
        for name in ("requests", "input_tokens", "output_tokens"):
            said: list[int | None] = [getattr(terms.rates, f"{name}_per_minute") for terms in parties]
            if (limit := reduce(lower, said, None)) is not None:
                self.asked[name] = limit
        limits = {name: self._lowest(name) for name in ("requests", *TOKENS)}
        self._requests.allow(limits["requests"])
        for name, meter in self._meters.items():
            meter.allow(limits[name])

    def _lowest(self, name: str) -> int | None:
        return lower(lower(self._told.get(name), self.asked.get(name)), self._for_all.get(name))


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_lanes: dict[asyncio.AbstractEventLoop, dict[str, Lane]] = {}
_in_common: dict[asyncio.AbstractEventLoop, list[Callable[[Lane], Common]]] = {}


@contextmanager
def in_common(make: Callable[[Lane], Common]) -> Iterator[None]:
    """Have every lane of the running event loop, now and later, draw on what `make` makes for it; where several
    ask for that, on what the first of those that are left makes."""
    loop = asyncio.get_running_loop()
    makers = _in_common.setdefault(loop, [])
    makers.append(make)
    if len(makers) == 1:
        _draw_on(loop, make)
    try:
        yield
    finally:
        first = makers[0] is make
        makers.remove(make)
        if not makers:
            del _in_common[loop]
        if first:
            _draw_on(loop, makers[0] if makers else None)


def _draw_on(loop: asyncio.AbstractEventLoop, make: Callable[[Lane], Common] | None) -> None:
    for lane in _lanes.get(loop, {}).values():
        lane.common = None if make is None else make(lane)
        if make is None:
            lane.know({}, {}, {}, {})
            lane.stir()


def lane_of(model: Model) -> Lane:
    """The lane of a model in the running event loop. Lanes of loops that have ended are dropped."""
    loop = asyncio.get_running_loop()
    if (lanes := _lanes.get(loop)) is None:
        for ended in [other for other in _lanes if other.is_closed()]:
            del _lanes[ended]
        lanes = _lanes.setdefault(loop, {})
    name: str = getattr(model, "lane", model.name)
    if name not in lanes:
        lanes[name] = lane = Lane(name, loop.time)
        if makers := _in_common.get(loop):
            lane.common = makers[0](lane)
    return lanes[name]
