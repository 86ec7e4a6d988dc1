"""Tokens and calls a minute: a sliding window is used to the full and never passed, estimates are put right."""

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.limits.meter import PERIOD_SECONDS, SLACK_SECONDS, Forecast, Meter, Requests
from swarm.models.quota import Level
from tests.limits.clock import in_no_time


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def spend(meter: Meter, clock: Clock, sizes: Iterable[int]) -> list[tuple[float, int]]:
    """When each call left, one after another, as soon as it could."""
    left = []
    for size in sizes:
        tokens = meter.estimate("read", size, 0)
        while (wait := meter.wait(tokens)) > 0:
            clock.now += wait
        meter.settle(meter.take("read", tokens, size), size, learn=True)
        left.append((clock.now, size))
    return left


def most_in_a_minute(left: list[tuple[float, int]]) -> int:
    return max(sum(n for at, n in left if start <= at < start + PERIOD_SECONDS) for start, _ in left)


@given(st.lists(st.integers(1, 5_000), min_size=5, max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_minute_holds_more_than_the_limit(sizes: list[int]) -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(5_100)
    assert most_in_a_minute(spend(meter, clock, sizes)) <= 5_100


@pytest.mark.parametrize("size", [100, 4_000, 20_000])
def test_what_a_minute_holds_is_used(size: int) -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(400_000)
    left = spend(meter, clock, [size] * (1_600_000 // size))
    sent = sum(n for at, n in left if 60 <= at < 180)
    assert 0.97 * 800_000 <= sent <= 800_000


def test_tokens_are_spread_over_the_minute_and_do_not_all_leave_at_once() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(60_000)
    left = spend(meter, clock, [1_000] * 60)
    assert sum(n for at, n in left if at < 1) <= 16_000
    assert left[-1][0] > 30


def test_what_was_not_used_can_be_used_by_others_at_once() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(10_000)
    taken = meter.take("read", 9_800, 9_800)
    assert meter.wait(5_000) > 0
    meter.settle(taken, 100, learn=True)
    assert meter.wait(2_000) == 0


def test_what_was_used_beyond_the_estimate_is_waited_for() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(10_000)
    meter.settle(meter.take("read", 100, 9_000), 9_000, learn=True)
    clock.now = 1
    assert meter.wait(2_000) > 30


def test_a_call_larger_than_a_minute_holds_leaves_alone() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(1_000)
    (first, _), (second, _) = spend(meter, clock, [5_000, 5_000])
    assert (first, second >= PERIOD_SECONDS) == (0, True)


def test_a_large_reply_that_never_comes_is_soon_not_reserved_any_more() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(80_000)
    assert meter.estimate("read", 16_000, 0) == 16_000
    for _ in range(5):
        meter.settle(meter.take("read", 16_000, 16_000), 400, learn=True)
    assert meter.estimate("read", 16_000, 8) < 800
    assert meter.estimate("answer", 16_000, 8) == 16_000, "another kind of prompt has replies of its own"


@given(st.lists(st.floats(0.05, 1.0), min_size=20, max_size=80))
@settings(max_examples=40, deadline=None)
def test_a_forecast_for_many_covers_what_they_use_on_average(shares: list[float]) -> None:
    forecast = Forecast()
    for share in shares:
        forecast.learn(1_000, int(share * 1_000))
    assert forecast.of(1_000, 100) <= forecast.of(1_000, 0) <= 1_000
    assert forecast.of(1_000, 100) >= min(int(share * 1_000) for share in shares)


def test_what_is_settled_after_its_minute_changes_nothing() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(1_000)
    taken = meter.take("read", 900, 900)
    clock.now = PERIOD_SECONDS + SLACK_SECONDS
    assert meter.wait(900) == 0
    meter.settle(taken, 10, learn=True)
    assert meter._sum == 0


def test_use_by_others_is_seen_in_what_the_provider_says_is_left() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(100_000)
    meter.take("read", 10_000, 10_000)
    meter.hear(Level(limit=100_000, remaining=90_000))
    assert meter.wait(10_000) == 0, "what is missing is our own"
    meter.hear(Level(limit=100_000, remaining=5_000))
    assert meter.wait(10_000) > 0
    clock.now = 59
    assert meter.wait(10_000) == 0, "it fades"


def test_a_reply_that_the_provider_counts_at_its_longest_until_it_is_there_is_not_others_use() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.allow(100_000)
    meter.settle(meter.take("read", 16_000, 16_000), 500, learn=True)
    flying = [meter.take("read", meter.estimate("read", 16_000, n), 16_000) for n in range(5)]
    assert meter.hear(Level(limit=100_000, remaining=20_000)) == 0
    assert meter.wait(2_000) == 0
    for taken in flying:
        meter.settle(taken, taken.tokens, learn=False)
    assert meter.hear(Level(limit=100_000, remaining=0, reset_seconds=9.0)) == 9.0


def test_nothing_is_sent_before_the_reset_when_others_have_used_up_everything() -> None:
    meter = Meter(Clock())
    assert meter.hear(Level(limit=100_000, remaining=0, reset_seconds=7.0)) == 7.0
    assert meter.hear(Level(limit=100_000, remaining=0, reset_seconds=86_400.0)) == PERIOD_SECONDS


def test_an_empty_count_that_is_our_own_doing_is_no_reason_to_stop() -> None:
    meter = Meter(Clock())
    meter.take("read", 100_000, 100_000)
    assert meter.hear(Level(limit=100_000, remaining=0, reset_seconds=60.0)) == 0


def test_requests_leave_in_a_sliding_window_that_is_used_to_the_full() -> None:
    async def main() -> list[float]:
        clock = asyncio.get_running_loop().time
        requests = Requests(clock)
        requests.allow(20)
        left = []
        for _ in range(61):
            await requests.turn()
            left.append(clock())
        return left

    left = in_no_time(main())
    assert all(after - before > PERIOD_SECONDS for before, after in zip(left, left[20:], strict=False))
    assert left[60] < 3 * (PERIOD_SECONDS + SLACK_SECONDS) * 1.01


def test_calls_before_a_limit_is_known_count_once_it_is() -> None:
    async def main() -> float:
        clock = asyncio.get_running_loop().time
        requests = Requests(clock)
        for _ in range(5):
            await requests.turn()
        requests.allow(5)
        await requests.turn()
        return clock()

    assert in_no_time(main()) > PERIOD_SECONDS
