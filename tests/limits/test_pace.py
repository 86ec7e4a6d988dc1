import asyncio

from swarm.limits.pace import Pace


async def test_no_more_calls_leave_in_a_period_than_were_asked_for_and_in_order() -> None:
    pace = Pace(20, period_seconds=0.2)
    left: list[tuple[int, float]] = []
    clock = asyncio.get_running_loop().time

    async def call(number: int) -> None:
        await pace.wait()
        left.append((number, clock()))

    async with asyncio.TaskGroup() as group:
        for number in range(45):
            group.create_task(call(number))
    assert [number for number, _ in left] == list(range(45))
    times = [moment for _, moment in left]
    # counted by events and not by speed: the 21st after any call leaves at least a period later
    assert all(times[n + 20] - times[n] >= 0.19 for n in range(25))


async def test_without_a_rate_nothing_waits() -> None:
    await asyncio.wait_for(Pace(None).wait(), 1)
