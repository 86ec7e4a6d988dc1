"""The lane of a model: order, pauses, places, rates that are learnt, nothing left behind by a cancelled call."""

import asyncio
import gc
import random
import time
from collections.abc import Callable

import pytest

from swarm.errors import RateLimited, Rejected, Unavailable
from swarm.limits.breaker import FAILURES
from swarm.limits.lanes import PATIENCE_SECONDS, Lane, Passage, Terms, lane_of
from swarm.limits.rates import Rates
from swarm.models.base import Completion
from swarm.models.quota import Level, Quota
from swarm.models.scripted import Scripted
from swarm.task import Usage
from tests.limits.clock import ClockLoop, in_no_time

FREE = Terms(Rates(), 64)


def new_lane() -> Lane:
    return Lane("test", asyncio.get_running_loop().time)


def said(input_tokens: int = 100, output_tokens: int = 10, quota: Quota | None = None) -> Completion:
    usage = Usage(calls=1, input_tokens=input_tokens, output_tokens=output_tokens)
    return Completion(text="{}", usage=usage, quota=quota)


async def call(
    lane: Lane, terms: Terms = FREE, outcome: Completion | Exception | None = None, took: float = 0.1
) -> float:
    """When a call left that came back with `outcome`."""
    passage = await lane.enter(terms, "read", 100, 1_000)
    await asyncio.sleep(took)
    lane.leave(passage, said() if outcome is None else outcome)  # type: ignore[arg-type]
    return passage.sent


def test_calls_leave_in_the_order_in_which_they_came() -> None:
    async def main() -> list[int]:
        lane, left = new_lane(), []
        terms = Terms(Rates(requests_per_minute=7), 3)

        async def one(number: int) -> None:
            passage = await lane.enter(terms, "read", 100, 1_000)
            left.append(number)
            await asyncio.sleep(random.random())
            lane.leave(passage, said())

        await asyncio.gather(*(one(number) for number in range(40)))
        return left

    assert in_no_time(main()) == list(range(40))


def test_a_pause_that_the_provider_asks_for_holds_for_the_whole_lane() -> None:
    async def main() -> tuple[float, float]:
        lane = new_lane()
        await call(lane, outcome=RateLimited("slow", retry_after=20.0), took=0)
        times = await asyncio.gather(*(call(lane) for _ in range(10)))
        return min(times), max(times)

    first, last = in_no_time(main())
    assert 20 <= first <= last <= 22


def test_a_pause_longer_than_any_patience_is_said_and_not_sat_out() -> None:
    async def main() -> None:
        lane = new_lane()
        await call(lane, outcome=RateLimited("slow", retry_after=86_400.0))
        with pytest.raises(Unavailable, match=r"left alone for 8\d,\d\d\d seconds"):
            await call(lane)

    in_no_time(main())


def test_many_overloads_at_once_halve_the_places_once() -> None:
    async def main() -> int:
        lane = new_lane()
        passages = [await lane.enter(FREE, "read", 100, 1_000) for _ in range(16)]
        await asyncio.sleep(1)
        for passage in passages:
            lane.leave(passage, Unavailable("overloaded", overloaded=True))
        return lane.places.limit

    assert in_no_time(main()) == 8


def test_limits_are_learnt_from_responses_and_the_users_own_win_where_they_are_lower() -> None:
    told = Quota(requests=Level(limit=10, remaining=9), input_tokens=Level(limit=10**6, remaining=10**6))

    async def last_of(terms: Terms, calls: int) -> float:
        lane = new_lane()
        await call(lane, terms, said(quota=told))
        return max([await call(lane, terms) for _ in range(calls - 1)])

    assert in_no_time(last_of(FREE, 10)) < 5
    assert in_no_time(last_of(FREE, 11)) > 60
    assert in_no_time(last_of(Terms(Rates(requests_per_minute=5), 64), 6)) > 60
    assert in_no_time(last_of(Terms(Rates(requests_per_minute=50), 64), 11)) > 60


def test_openais_tokens_count_input_and_output_together() -> None:
    async def main() -> float:
        lane = new_lane()
        await call(lane, outcome=said(600, 300, Quota(tokens=Level(limit=1_000, remaining=100))))
        return await call(lane)

    assert in_no_time(main()) > 30


def test_a_run_that_ends_takes_its_rates_with_it() -> None:
    async def main() -> tuple[float, float]:
        lane = new_lane()
        slow = Terms(Rates(requests_per_minute=1), 4)
        await call(lane, slow)
        await call(lane, Terms(Rates(), 4))
        at = asyncio.get_running_loop().time()
        del slow
        gc.collect()
        return at, await call(lane, Terms(Rates(), 4))

    shared, after = in_no_time(main())
    assert shared > 60
    assert after - shared < 1


def test_while_the_provider_is_down_one_call_tries_and_the_others_wait_and_do_not_fail() -> None:
    tries: list[float] = []

    async def main() -> list[float]:
        lane = new_lane()
        now = asyncio.get_running_loop().time

        async def one() -> float:
            while True:
                passage = await lane.enter(FREE, "read", 100, 1_000)
                tries.append(now())
                await asyncio.sleep(0.1)
                if now() < 30:
                    lane.leave(passage, Unavailable("down"))
                else:
                    lane.leave(passage, said())
                    return passage.sent

        return await asyncio.gather(*(one() for _ in range(50)))

    answered = in_no_time(main())
    assert len(answered) == 50
    assert len([at for at in tries if 1 < at < 30]) < 8
    assert max(answered) < 70


def test_a_provider_that_stays_down_is_given_up_after_a_while() -> None:
    async def main() -> float:
        lane = new_lane()
        for _ in range(FAILURES):
            await call(lane, outcome=Unavailable("down"))
        down = [call(lane, outcome=Unavailable("down")) for _ in range(40)]
        failures = await asyncio.gather(*down, return_exceptions=True)
        assert isinstance(failures[-1], Unavailable)
        assert "has not been available for" in str(failures[-1])
        return asyncio.get_running_loop().time()

    assert PATIENCE_SECONDS <= in_no_time(main()) <= PATIENCE_SECONDS + 80


def test_what_a_provider_rejects_does_not_mean_that_it_is_down() -> None:
    async def main() -> bool:
        lane = new_lane()
        for _ in range(3 * FAILURES):
            await call(lane, outcome=Rejected("no such model"))
            await call(lane, outcome=RateLimited("slow"))
        return lane.shut()

    assert in_no_time(main()) is False


def test_retries_are_a_share_of_the_calls_that_were_answered() -> None:
    async def main() -> None:
        lane = new_lane()
        granted = 0
        while lane.may_retry():
            granted += 1
        assert granted == 10
        assert lane.shut(), "and then the lane waits as if the provider were down"
        for _ in range(10):
            await call(lane)
        assert [lane.may_retry() for _ in range(3)] == [True, True, False]

    in_no_time(main())


@pytest.mark.parametrize("seed", range(20))
def test_a_cancelled_call_leaves_no_place_no_tokens_and_no_lock(seed: int) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        lane = new_lane()
        terms = Terms(Rates(requests_per_minute=30, input_tokens_per_minute=2_500), 4)

        async def one() -> None:
            passage = await lane.enter(terms, "read", 100, 1_000)
            outcome: Completion | None = None
            try:
                await asyncio.sleep(rng.random() * 5)
                outcome = said()
            finally:
                lane.leave(passage, outcome)

        tasks = [asyncio.create_task(one()) for _ in range(60)]
        for task in rng.sample(tasks, 50):
            await asyncio.sleep(rng.random() * 3)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert lane.places.taken == 0
        assert not lane._turn.locked()
        assert lane._head is None
        await asyncio.sleep(61)
        before = asyncio.get_running_loop().time()
        await asyncio.gather(*(call(lane, terms) for _ in range(4)))
        assert asyncio.get_running_loop().time() - before < 10

    in_no_time(main())


def test_a_trial_that_is_cancelled_does_not_block_the_lane() -> None:
    async def main() -> float:
        lane = new_lane()
        for _ in range(FAILURES):
            await call(lane, outcome=Unavailable("down"))
        passage = await lane.enter(FREE, "read", 100, 1_000)
        assert passage.trial
        lane.leave(passage, None)
        return await call(lane)

    assert in_no_time(main()) < 5


def test_models_of_one_name_share_a_lane_in_a_loop_and_loops_that_ended_are_dropped() -> None:
    from swarm.limits import lanes

    async def lane(name: str) -> Lane:
        assert lane_of(Scripted([], name=name)) is lane_of(Scripted([], name=name))
        return lane_of(Scripted([], name=name))

    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        one, other = runner.run(lane("one")), runner.run(lane("other"))
        assert one is runner.run(lane("one"))
        assert one is not other
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        assert runner.run(lane("one")) is not one
        assert all(not loop.is_closed() for loop in lanes._lanes)


def test_a_thousand_that_wait_cost_next_to_nothing() -> None:
    """Counted in turns of the loop, not in seconds."""

    async def main() -> int:
        lane = new_lane()
        terms = Terms(Rates(input_tokens_per_minute=60_000), 64)
        loop = asyncio.get_running_loop()
        turns = 0

        def count() -> None:
            nonlocal turns
            turns += 1

        select: Callable[[float | None], list[object]] = loop.selector.select  # type: ignore[attr-defined]

        def counted(timeout: float | None = None) -> list[object]:
            count()
            return select(timeout)

        loop.selector.select = counted  # type: ignore[attr-defined]
        await asyncio.gather(*(call(lane, terms) for _ in range(1_000)))
        return turns

    assert in_no_time(main()) < 20_000


def test_a_passage_says_how_long_it_took() -> None:
    async def main() -> Passage:
        lane = new_lane()
        lane.pause(5.0)
        return await lane.enter(FREE, "read", 100, 1_000)

    assert 5 <= in_no_time(main()).waited <= 6


def test_the_clock_of_a_loop_is_the_clock_of_a_run() -> None:
    async def main() -> float:
        return asyncio.get_running_loop().time() - time.monotonic()

    assert abs(asyncio.run(main())) < 1, "what `Terms.began` is compared with"
