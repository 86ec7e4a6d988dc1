"""Tokens of one kind that may be used in any minute: an estimate is taken before a call and put right after it.

Two things hold at once. A token bucket (pyrate-limiter's algorithm, whose state we keep, because no library takes
an estimate back) spreads tokens over the minute. A window adds up what was taken in the last 60 seconds, so that a
provider that counts in a sliding window is never passed, which a bucket alone would be by up to its depth. What
others use with the same key is taken from what the provider says is left. This module waits for nothing and knows
no provider.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt

from asyncio_throttle.throttler import Throttler
from pyrate_limiter import Rate, TokenBucket

from swarm.models.quota import Level

PERIOD_SECONDS = 60.0
SLACK_SECONDS = 1.0
"""A provider counts a call when it arrives. How much longer one may be on its way than another: with 64 calls in
flight and 7 ms of work in the SDK for each, half a second is nothing unusual."""
_SURE = 3.0  # mean deviations that an estimate lies above the mean: less, and a provider refuses now and then
_BURST = 0.25  # of a minute's tokens that may leave at once
_TICKS = 1_000_000  # of pyrate-limiter's clock in a second: its milliseconds are too coarse for millions a minute
_SMOOTHING = 0.02  # the last fifty calls or so; the mean of fewer is off by more than the sum of those in flight
_ROUNDED = 1_000  # Anthropic rounds what is left of tokens to thousands
_POLL_SECONDS = (0.001, 0.05)
_LOOK_SECONDS = 0.25  # how often others' use, which fades by itself, is looked at
_bucket = TokenBucket()


class Forecast:
    """What calls use of what they might: the mean share, and how far from it they are."""

    def __init__(self) -> None:
        self._mean = 1.0
        self._spread = 0.0
        self._seen = 0

    def of(self, most: int, flying: int) -> int:
        """Tokens to take for a call that uses `most` at the most, while `flying` others are on their way: the sum
        of many is closer to its mean than each, though the mean itself is not quite known."""
        off = self._spread * sqrt(1.0 / (flying + 1) + _SMOOTHING / 2)
        return max(1, ceil(most * min(1.0, self._mean + _SURE * off)))

    def learn(self, most: int, used: int) -> None:
        share = used / most if most else 1.0
        weight = max(_SMOOTHING, 1.0 / (self._seen + 1))
        self._seen += 1
        self._spread += weight * (abs(share - self._mean) - self._spread) if self._seen > 1 else 0.0
        self._mean += weight * (share - self._mean)


@dataclass(slots=True)
class Taken:
    """What one call has taken: `tokens` as estimated, of `most`."""

    at: float
    tokens: int
    most: int
    kind: str
    counts: bool = True
    """Whether it is in the window still."""


class Meter:
    """Tokens a minute, shared by all calls of a lane. None: they are counted, and nothing is held back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limit: int | None = None
        self._rate: Rate | None = None
        self._state: tuple[float, ...] = (0,)
        self._offered: tuple[int, tuple[float, ...]] | None = None
        """What `wait` found to be there, and the bucket's state once it is taken."""
        self._window: deque[Taken] = deque()
        self._sum = 0
        self._unused = 0
        """By how much the calls in flight are estimated below the most that they might use."""
        self._forecasts: dict[str, Forecast] = {}
        self._others = _Others()
        self._peers = 0

    @property
    def unused(self) -> int:
        """What the calls in flight might use beyond what is taken for them."""
        return self._unused

    def know(self, used: int, unused: int) -> None:
        """Hear what all machines that share the limit have used in the last minute, this one included, and what
        the calls of the others might still use: that is not the use of strangers."""
        self._peers = max(0, used - self._sum) + unused

    def allow(self, limit: int | None) -> None:
        """Set how many tokens a minute may hold; None for no limit."""
        if limit == self._limit:
            return
        self._limit = limit
        self._rate = None
        if limit is not None:
            self._rate = Rate(limit, int(PERIOD_SECONDS * _TICKS), burst=max(1, int(limit * _BURST)))

    def estimate(self, kind: str, most: int, flying: int) -> int:
        """Tokens that a call of this kind will use, of `most`; one larger than a minute holds counts as if it
        filled the minute, and leaves alone."""
        if self._rate is None:
            return most
        forecast = self._forecasts.get(kind)
        tokens = most if forecast is None else forecast.of(most, flying)
        return max(1, min(tokens, self._rate.limit))

    def wait(self, tokens: int) -> float:
        """Seconds until that many may be taken; 0 for now."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        return max(self._window_wait(now, tokens), self._bucket_wait(now, tokens))

    def take(self, kind: str, tokens: int, most: int) -> Taken:
        """Take what `wait` found to be there."""
        now = self._clock()
        self._drop_old(now)
        if self._offered is not None and self._offered[0] == tokens:
            self._state = self._offered[1]
        self._offered = None
        taken = Taken(now, tokens, most, kind)
        self._window.append(taken)
        self._sum += tokens
        self._unused += most - tokens
        return taken

    def settle(self, taken: Taken, used: int, *, learn: bool) -> None:
        """Put a call's estimate right, once, when it is over."""
        change = used - taken.tokens
        self._unused -= taken.most - taken.tokens
        self._offered = None
        if self._rate is not None:
            self._state = (self._state[0] + change * self._unit_ticks(),)
        if taken.counts:
            self._sum += change
        taken.tokens = used
        if learn:
            self._forecasts.setdefault(taken.kind, Forecast()).learn(taken.most, used)

    def hear(self, level: Level) -> float:
        """What the provider says. Seconds in which nothing may be sent, because others have used up the rest. It
        may count a call in flight at the most that it can use, as OpenAI does: that is not others' use."""
        now = self._clock()
        self._drop_old(now)
        limit = level.limit or 0
        tolerance = limit // 50 + (_ROUNDED if limit >= 20 * _ROUNDED else 0)
        return self._others.hear(now, self._sum + self._unused + self._peers, level, tolerance)

    def _window_wait(self, now: float, tokens: int) -> float:
        assert self._rate is not None
        self._drop_old(now)
        others = self._others.now(now)
        over = self._sum + (others + self._peers if others else 0) + tokens - self._rate.limit
        if over <= 0:
            return 0.0
        for taken in self._window:
            over -= taken.tokens
            if over <= 0:
                return max(0.001, taken.at + PERIOD_SECONDS + SLACK_SECONDS - now)
        return _LOOK_SECONDS if self._sum + others > 0 else 0.0  # others' use fades by itself

    def _bucket_wait(self, now: float, tokens: int) -> float:
        state, decision = _bucket.step([self._deep(tokens)], self._state, int(now * _TICKS), tokens)
        if decision.allowed:
            self._offered = (tokens, state)
            return 0.0
        return max(0.001, (decision.retry_after_ms or 0) / _TICKS)

    def _deep(self, tokens: int) -> Rate:
        """The bucket, deep enough for a call: a larger one leaves when nothing is owed."""
        rate = self._rate
        assert rate is not None
        return rate if tokens <= rate.burst else Rate(rate.limit, rate.interval, burst=tokens)

    def _unit_ticks(self) -> int:
        """By how much one token moves the bucket's state, which is in thousandths of its clock's ticks."""
        assert self._rate is not None
        return max(1, ceil(self._rate.interval * 1_000 / self._rate.limit))

    def _drop_old(self, now: float) -> None:
        horizon = now - PERIOD_SECONDS - SLACK_SECONDS
        while self._window and self._window[0].at <= horizon:
            gone = self._window.popleft()
            gone.counts = False
            self._sum -= gone.tokens


class Requests:
    """Calls a minute, by asyncio-throttle: it keeps a sliding window to the full. It polls for whoever waits, so
    the lane lets one wait at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._limit: int | None = None
        self._throttler = _Counting(clock)
        self._others = _Others()
        self._peers = 0

    def know(self, used: int) -> None:
        """As `Meter.know`."""
        self._peers = max(0, used - self._throttler.used())

    def allow(self, limit: int | None) -> None:
        """Set how many calls a minute may hold; None for no limit."""
        self._limit = limit
        if limit is not None:
            shortest, longest = _POLL_SECONDS
            self._throttler.rate_limit = limit
            self._throttler.retry_interval = max(shortest, min(longest, PERIOD_SECONDS / limit / 4))

    def wait(self) -> float:
        """Seconds until it makes sense to ask for a turn; 0 for now. Only what others use is waited for here."""
        others = self._others.now(self._clock()) if self._limit is not None else 0
        used = self._throttler.used() + others + self._peers
        return _LOOK_SECONDS if others and used >= (self._limit or 0) else 0.0

    async def turn(self) -> bool:
        """Return when the next call may leave: whether that took any time. To be awaited by one at a time."""
        if self._limit is None:
            self._throttler.count(self._clock())
            return False
        full = self._throttler.used() >= self._limit
        await self._throttler.acquire()
        return full

    def hear(self, level: Level) -> float:
        """As `Meter.hear`."""
        ours = self._throttler.used() + self._peers
        return self._others.hear(self._clock(), ours, level, max(1, (level.limit or 0) // 50))


class _Counting(Throttler):
    """A throttler by a clock of ours, that tells how many calls left in the last period."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(1, period=PERIOD_SECONDS + SLACK_SECONDS)
        self._clock = clock

    def flush(self) -> None:
        horizon = self._clock() - self.period
        while self._task_logs and self._task_logs[0] < horizon:
            self._task_logs.popleft()

    async def acquire(self) -> None:
        await super().acquire()  # type: ignore[no-untyped-call]
        self._task_logs[-1] = self._clock()  # it was noted by the clock of this machine

    def used(self) -> int:
        self.flush()
        return len(self._task_logs)

    def count(self, now: float) -> None:
        """Note a call that needs not wait, for when a limit becomes known."""
        self.flush()
        self._task_logs.append(now)


class _Others:
    """What other processes use with the same key: what is missing from a provider's count and is not ours. It
    fades until the provider says that all is there again, as its own count does."""

    def __init__(self) -> None:
        self._amount = 0
        self._since = 0.0
        self._until = 0.0

    def now(self, now: float) -> int:
        if not self._amount or now >= self._until:
            return 0
        return int(self._amount * (self._until - now) / (self._until - self._since))

    def hear(self, now: float, ours: int, level: Level, tolerance: int) -> float:
        if level.limit is None or level.remaining is None:
            return 0.0
        missing = level.limit - ours - level.remaining
        self._amount = missing if missing > tolerance else 0
        reset = PERIOD_SECONDS if level.reset_seconds is None else min(level.reset_seconds, PERIOD_SECONDS)
        self._since, self._until = now, now + max(0.001, reset)
        return reset if self._amount and level.remaining == 0 else 0.0
