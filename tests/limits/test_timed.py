"""A share's seconds hold while a call is on its way."""

import asyncio

import pytest

from swarm.errors import LimitReached
from swarm.limits.budget import Budget
from swarm.limits.timed import in_time
from swarm.task import Limits
from tests.limits.clock import in_no_time


async def takes(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def share(seconds: float | None = 5.0) -> Budget:
    loop = asyncio.get_running_loop()
    return Budget(Limits(), clock=loop.time).share(Limits(wall_seconds=seconds))


def test_what_is_done_in_time_comes_through() -> None:
    async def main() -> None:
        assert await in_time(takes(4.9), share()) == "done"
        assert await in_time(takes(1_000), share(None)) == "done"
        assert await in_time(takes(1_000), None) == "done"

    in_no_time(main())


def test_what_takes_longer_is_cancelled_and_fails_the_slice() -> None:
    async def main() -> float:
        with pytest.raises(LimitReached, match="the slice took longer than 5 seconds") as raised:
            await in_time(takes(6), share())
        assert (raised.value.limit, raised.value.scope) == ("wall_seconds", "slice")
        return asyncio.get_running_loop().time()

    assert in_no_time(main()) == 5.0


def test_the_seconds_are_counted_from_when_the_share_was_made() -> None:
    async def main() -> None:
        one = share()
        await in_time(takes(3), one)
        with pytest.raises(LimitReached):
            await in_time(takes(3), one)

    in_no_time(main())


def test_where_none_are_left_at_the_start_it_is_the_budget_that_refuses_calls() -> None:
    async def main() -> None:
        one = share()
        await asyncio.sleep(6)
        assert await in_time(takes(1), one) == "done"  # it was in the journal

    in_no_time(main())


def test_the_time_for_which_a_run_is_paused_does_not_count() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        one = Budget(Limits(), clock=lambda: max(0.0, loop.time() - 10)).share(Limits(wall_seconds=5.0))
        with pytest.raises(LimitReached):
            await in_time(takes(100), one)
        return loop.time()

    assert in_no_time(main()) == pytest.approx(15.0)


def test_a_time_out_of_the_work_itself_is_passed_on() -> None:
    async def broken() -> str:
        raise TimeoutError("its own")

    async def main() -> None:
        with pytest.raises(TimeoutError, match="its own"):
            await in_time(broken(), share())

    in_no_time(main())


def test_cancelled_from_outside_it_is_cancelled_and_no_failure() -> None:
    async def main() -> None:
        task = asyncio.create_task(in_time(takes(3), share()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_no_time(main())
