import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from swarm.errors import StoreError
from swarm.store.grouped import Grouped


class Doubling:
    """Doubles numbers, a group at a time, and waits for `go` before the first; 13 is refused and 666 fails all."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.groups: list[list[int]] = []
        self.grouped: Grouped[int, int] = Grouped("test", self._work)

    def _work(self, numbers: list[int]) -> list[int | Exception]:
        self.go.wait(20)
        self.groups.append(numbers)
        if 666 in numbers:
            raise LookupError("all")
        return [ValueError("one") if number == 13 else 2 * number for number in numbers]


async def test_those_who_wait_are_served_together_and_in_order() -> None:
    doubling = Doubling()
    asked = [asyncio.create_task(doubling.grouped.ask(number)) for number in range(100, 200)]
    await asyncio.sleep(0)
    doubling.go.set()
    assert await asyncio.gather(*asked) == [2 * number for number in range(100, 200)]
    assert len(doubling.groups) <= 2
    assert [number for group in doubling.groups for number in group] == list(range(100, 200))
    doubling.grouped.close()


async def test_what_is_asked_in_one_turn_of_a_loop_is_one_group() -> None:
    doubling = Doubling()
    doubling.go.set()
    for _ in range(3):
        await asyncio.gather(*[doubling.grouped.ask(number) for number in range(100, 120)])
    assert [len(group) for group in doubling.groups] == [20, 20, 20]
    doubling.grouped.close()


async def test_an_error_is_raised_where_it_belongs() -> None:
    doubling = Doubling()
    doubling.go.set()
    came = await asyncio.gather(*[doubling.grouped.ask(n) for n in (1, 13)], return_exceptions=True)
    assert came[0] == 2
    assert isinstance(came[1], ValueError)
    with pytest.raises(LookupError):
        await doubling.grouped.ask(666)
    assert await doubling.grouped.ask(4) == 8
    doubling.grouped.close()


async def test_closing_finishes_what_waits_and_refuses_what_comes_later() -> None:
    doubling = Doubling()
    waiting = asyncio.create_task(doubling.grouped.ask(1))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(doubling.grouped.close))
    doubling.go.set()
    await closing
    assert await waiting == 2
    with pytest.raises(StoreError, match="closed"):
        await doubling.grouped.ask(2)
    with pytest.raises(StoreError, match="closed"):
        doubling.grouped.ask_sync(2)
    doubling.grouped.close()


async def test_one_who_gave_up_does_not_disturb_the_others() -> None:
    doubling = Doubling()
    asked = [asyncio.create_task(doubling.grouped.ask(number)) for number in range(3)]
    await asyncio.sleep(0)
    asked[1].cancel()
    doubling.go.set()
    came = await asyncio.gather(*asked, return_exceptions=True)
    assert [came[0], came[2]] == [0, 4]
    assert isinstance(came[1], asyncio.CancelledError)
    doubling.grouped.close()


def test_a_loop_that_is_gone_does_not_disturb_the_others() -> None:
    doubling = Doubling()

    async def give_up() -> None:
        task = asyncio.create_task(doubling.grouped.ask(1))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    doubling.go.set()
    assert doubling.grouped.ask_sync(2) == 4
    doubling.grouped.close()


def test_threads_and_loops_may_ask_at_once() -> None:
    doubling = Doubling()
    doubling.go.set()

    async def many(start: int) -> list[int]:
        return await asyncio.gather(*[doubling.grouped.ask(start + number) for number in range(200, 250)])

    with ThreadPoolExecutor(8) as pool:
        loops = [pool.submit(asyncio.run, many(1_000 * number)) for number in range(1, 5)]
        plain = [pool.submit(doubling.grouped.ask_sync, number) for number in range(14, 18)]
        assert [one.result() for one in plain] == [28, 30, 32, 34]
        for number, loop in enumerate(loops, start=1):
            assert loop.result() == [2 * (1_000 * number + more) for more in range(200, 250)]
    doubling.grouped.close()
