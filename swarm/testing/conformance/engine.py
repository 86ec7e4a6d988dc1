"""What every engine is held to, ours and yours: a class of tests for pytest with `pytest-asyncio`.

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def engine(self):
            return lambda places: MyEngine("my://server/queue", places)

`engine` makes engines on one and the same queue, which is empty at first; the suite closes what it makes. One in
one process may return from `serve` where nothing is left, and raise what a handler raised: then it serves again.
The suite knows the protocol and no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from swarm.engine.base import Engine, Handler

MakeEngine = Callable[[int], Engine]

PATIENT = 60.0  # seconds, for what takes a fraction of one
ODD = (
    "a b", "'", '"', "\\", "%s %(a)s $1", "'; DROP TABLE jobs;--", "{a,b}", "NULL", "null", "run/äöü",
    "run/日本語", "run/🐝", "a\tb", "[1]", "/", "..", "r" * 500, "🐝" * 500,
)  # fmt: skip
"""References that are expressions somewhere, or long."""


class Told(Exception):
    """What a handler raises when it is told to."""


class Hand:
    """A handler that keeps what it is given, and is at it until it is let go; at most so many were `at` it."""

    def __init__(self, *held: str, fails: int = 0) -> None:
        self.given: list[str] = []
        self.done: list[str] = []
        self.at: list[str] = []
        self.peak = 0
        self._gates = {ref: asyncio.Event() for ref in held}
        self._fails = fails

    def let_go(self, *refs: str) -> None:
        for ref in refs:
            self._gates[ref].set()

    async def __call__(self, ref: str) -> None:
        self.given.append(ref)
        self.at.append(ref)
        self.peak = max(self.peak, len(self.at))
        try:
            if self._fails > 0:
                self._fails -= 1
                raise Told(ref)
            if ref in self._gates:
                await self._gates[ref].wait()
            self.done.append(ref)
        finally:
            self.at.remove(ref)


@asynccontextmanager
async def used(engine: MakeEngine, places: int = 2) -> AsyncIterator[Engine]:
    made = engine(places)
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def serving(engine: Engine, handler: Handler) -> AsyncIterator[None]:
    """It serves while the block lasts, in one call of `serve` or in several."""

    async def serve() -> None:
        while True:
            with suppress(Told):
                await engine.serve(handler)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve())
        yield
        task.cancel()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENT):
        while not true():  # noqa: ASYNC110  (what it waits for may come from another process)
            await asyncio.sleep(0.002)


class EngineConformance:
    """All of it: derive from this."""

    async def test_every_reference_is_delivered(self, engine: MakeEngine) -> None:
        refs, hand = [f"run/{number}" for number in range(40)], Hand()
        async with used(engine, 3) as one:
            await one.submit(refs[:30])
            async with serving(one, hand):
                await one.submit(refs[30:])
                await until(lambda: len(hand.done) == 40)
        assert sorted(hand.given) == sorted(refs)
        assert hand.peak <= 3

    async def test_a_reference_is_delivered_as_it_is(self, engine: MakeEngine) -> None:
        hand = Hand()
        async with used(engine) as one:
            await one.submit(ODD)
            async with serving(one, hand):
                await until(lambda: len(hand.done) == len(ODD))
        assert sorted(hand.given) == sorted(ODD)

    async def test_what_waits_is_not_added_again(self, engine: MakeEngine) -> None:
        hand = Hand()
        async with used(engine, 1) as one:
            await one.submit(["a", "b", "a"])
            await one.submit(["b", "a"])
            async with serving(one, hand):
                await until(lambda: len(hand.done) == 2)
                await one.submit(["last"])
                await until(lambda: "last" in hand.done)
        assert sorted(hand.given) == ["a", "b", "last"]

    async def test_what_is_served_is_not_added_again(self, engine: MakeEngine) -> None:
        hand = Hand("a")
        async with used(engine) as one:
            await one.submit(["a"])
            async with serving(one, hand):
                await until(lambda: hand.at == ["a"])
                await one.submit(["a", "between"])
                await until(lambda: "between" in hand.done)
                hand.let_go("a")
                await one.submit(["last"])
                await until(lambda: {"a", "last"} <= {*hand.done})
        assert sorted(hand.given) == ["a", "between", "last"]

    async def test_what_was_served_and_is_submitted_again_is_delivered_again(self, engine: MakeEngine) -> None:
        hand = Hand()
        async with used(engine) as one:
            await one.submit(["a"])
            async with serving(one, hand):
                await until(lambda: hand.done == ["a"])
                async with asyncio.timeout(PATIENT):
                    while len(hand.given) < 2:  # until it is acknowledged it counts as being served
                        await one.submit(["a"])
                        await asyncio.sleep(0.005)
        assert {*hand.given} == {"a"}

    async def test_so_many_are_served_at_once_as_there_are_places_and_none_stands_idle(
        self, engine: MakeEngine
    ) -> None:
        refs = [str(number) for number in range(6)]
        hand = Hand(*refs)
        async with used(engine, 3) as one:
            assert one.free_slots() == 3
            await one.submit(refs)
            async with serving(one, hand):
                await until(lambda: len(hand.at) == 3)
                assert one.free_slots() == 0
                hand.let_go(hand.at[1])
                await until(lambda: len(hand.given) == 4)  # whatever the others do
                assert len(hand.at) == 3
                hand.let_go(*refs)
                await until(lambda: len(hand.done) == 6)
                await until(lambda: one.free_slots() == 3)
        assert hand.peak == 3

    async def test_one_place_is_enough(self, engine: MakeEngine) -> None:
        hand = Hand()
        async with used(engine, 1) as one:
            await one.submit(["a", "b", "c"])
            async with serving(one, hand):
                await until(lambda: len(hand.done) == 3)
        assert hand.peak == 1

    async def test_what_is_cancelled_before_it_was_delivered_is_not(self, engine: MakeEngine) -> None:
        hand = Hand("a")
        async with used(engine, 1) as one:
            await one.submit(["a"])
            async with serving(one, hand):
                await until(lambda: hand.at == ["a"])
                await one.submit(["b", "c"])
                await one.cancel(["b", "a", "never submitted"])
                await one.cancel([])
                assert hand.at == ["a"]
                hand.let_go("a")
                await until(lambda: "c" in hand.done)
                await one.submit(["b"])  # and it may be submitted after that
                await until(lambda: "b" in hand.done)
        assert hand.given == ["a", "c", "b"]

    async def test_what_a_handler_failed_at_is_delivered_again(self, engine: MakeEngine) -> None:
        hand = Hand(fails=2)
        async with used(engine, 1) as one:
            await one.submit(["a"])
            async with serving(one, hand):
                await until(lambda: hand.done == ["a"])
                await one.submit(["last"])
                await until(lambda: "last" in hand.done)
        assert hand.given == ["a", "a", "a", "last"]

    async def test_what_was_cancelled_by_itself_is_delivered_again_and_its_place_is_not_lost(
        self, engine: MakeEngine
    ) -> None:
        given: list[str] = []

        async def handler(ref: str) -> None:
            given.append(ref)
            if len(given) == 1:
                raise asyncio.CancelledError

        async with used(engine, 1) as one:
            await one.submit(["a"])
            async with serving(one, handler):
                await until(lambda: given == ["a", "a"])

    async def test_what_was_served_when_serving_is_cancelled_is_delivered_by_the_next(
        self, engine: MakeEngine
    ) -> None:
        first, second = Hand("a", "b"), Hand()
        async with used(engine) as one, used(engine) as another:
            await one.submit(["a", "b", "c"])
            before = asyncio.all_tasks()
            task = asyncio.create_task(one.serve(first))
            await until(lambda: len(first.at) == 2)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert first.at == []
            assert asyncio.all_tasks() == before
            assert one.free_slots() == 2
            async with serving(another, second):
                await until(lambda: sorted(second.done) == ["a", "b", "c"])

    async def test_what_drains_begins_nothing_more_and_leaves_it_to_others(self, engine: MakeEngine) -> None:
        first, second = Hand("a", "b"), Hand()
        async with used(engine, 1) as one, used(engine, 1) as another:
            await one.submit(["a", "b"])
            task = asyncio.create_task(one.serve(first))
            await until(lambda: len(first.at) == 1)
            one.drain()
            one.drain()
            assert one.free_slots() == 0
            (here,) = first.at
            (there,) = {"a", "b"} - {here}
            async with serving(another, second):
                await until(lambda: second.done == [there])
                assert not task.done()
                first.let_go(here)
                async with asyncio.timeout(PATIENT):
                    await task
                await another.submit(["last"])
                await until(lambda: "last" in second.done)
        assert (first.given, second.given) == ([here], [there, "last"])

    async def test_what_drained_before_it_served_serves_nothing(self, engine: MakeEngine) -> None:
        hand = Hand()
        async with used(engine) as one:
            await one.submit(["a"])
            one.drain()
            async with asyncio.timeout(PATIENT):
                await one.serve(hand)
        assert hand.given == []

    async def test_nothing_may_be_submitted_and_closing_twice_is_safe(self, engine: MakeEngine) -> None:
        async with used(engine) as one:
            await one.submit([])
            await one.cancel([])
            await one.close()
        await engine(1).close()
