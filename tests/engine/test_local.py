import asyncio
from collections import deque
from collections.abc import Iterable

import pytest

from swarm.agenda.agenda import Agenda
from swarm.engine.local import LocalEngine


class Line:
    """A queue and no more."""

    def __init__(self, refs: Iterable[str] = ()) -> None:
        self.refs = deque(refs)

    def take(self) -> str | None:
        return self.refs.popleft() if self.refs else None


async def test_no_more_than_the_places_run_at_once_and_none_stands_idle() -> None:
    gates = {str(n): asyncio.Event() for n in range(6)}
    engine = LocalEngine(3, Line(gates))
    started = {ref: asyncio.Event() for ref in gates}
    running: set[str] = set()
    peak = 0

    async def handler(ref: str) -> None:
        nonlocal peak
        running.add(ref)
        peak = max(peak, len(running))
        started[ref].set()
        await gates[ref].wait()
        running.remove(ref)

    async with asyncio.TaskGroup() as group:
        group.create_task(engine.serve(handler))
        await started["2"].wait()
        assert (engine.running, engine.free_slots()) == (3, 0)
        gates["1"].set()  # one slow slice holds no other back
        await started["3"].wait()
        for gate in gates.values():
            gate.set()
    assert peak == 3
    assert not running
    assert (engine.running, engine.free_slots()) == (0, 3)


async def test_what_becomes_ready_during_a_handler_starts_while_others_still_run() -> None:
    agenda = Agenda()
    engine = LocalEngine(2, agenda)
    agenda.wake = engine.wake
    done: list[str] = []
    child = asyncio.Event()

    async def handler(ref: str) -> None:
        if ref == "parent":
            agenda.add("child")
            await child.wait()
        else:
            child.set()
        done.append(ref)
        agenda.settle(ref)

    agenda.add("parent")
    await engine.serve(handler)
    assert done == ["child", "parent"]
    assert len(agenda) == 0


async def test_of_several_that_become_ready_in_one_step_the_highest_priority_starts_first() -> None:
    agenda = Agenda()
    engine = LocalEngine(2, agenda)
    agenda.wake = engine.wake
    started: list[str] = []
    both = asyncio.Event()

    async def handler(ref: str) -> None:
        started.append(ref)
        if ref == "parent":
            agenda.add("low")
            agenda.add("high", priority=1)
            await both.wait()
        if len(started) == 3:
            both.set()
        agenda.settle(ref)

    agenda.add("parent")
    await engine.serve(handler)
    assert started == ["parent", "high", "low"]


async def test_a_slice_whose_end_makes_many_ready_fills_every_place() -> None:
    agenda = Agenda()  # that nobody is told of
    engine = LocalEngine(4, agenda)
    together = asyncio.Barrier(4)

    async def handler(ref: str) -> None:
        if ref != "first":
            await together.wait()
        agenda.settle(ref)

    agenda.add("first")
    for n in range(4):
        agenda.add(str(n), needs=["first"])
    async with asyncio.timeout(5):
        await engine.serve(handler)


async def test_what_becomes_ready_from_outside_starts_once_the_engine_is_told() -> None:
    line = Line(["long"])
    engine = LocalEngine(2, line)
    started = {"long": asyncio.Event(), "late": asyncio.Event()}
    end = asyncio.Event()

    async def handler(ref: str) -> None:
        started[ref].set()
        await end.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(engine.serve(handler))
        await started["long"].wait()
        line.refs.append("late")
        engine.wake()
        await started["late"].wait()
        end.set()


async def test_dropping_what_is_ready_lets_what_runs_finish() -> None:
    agenda = Agenda()
    engine = LocalEngine(1, agenda)
    done: list[str] = []

    async def handler(ref: str) -> None:
        assert agenda.clear() == ["b", "c"]
        agenda.settle(ref)
        done.append(ref)

    for ref in "abc":
        agenda.add(ref)
    await engine.serve(handler)
    assert done == ["a"]


async def test_while_it_is_paused_nothing_starts_and_what_runs_goes_on() -> None:
    engine = LocalEngine(1, Line("ab"))
    done: list[str] = []
    first, end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(ref: str) -> None:
        first.set()
        await end.wait()
        done.append(ref)
        ended.set()

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(engine.serve(handler))
        await first.wait()
        engine.pause()
        end.set()
        await ended.wait()
        await asyncio.sleep(0)
        assert done == ["a"]
        assert engine.paused
        assert engine.free_slots() == 0
        assert not serving.done()
        engine.go_on()
    assert done == ["a", "b"]


async def test_it_can_be_paused_before_it_begins_and_waits_though_nothing_is_ready() -> None:
    line = Line()
    engine = LocalEngine(1, line)
    engine.pause()
    done: list[str] = []

    async def handler(ref: str) -> None:
        done.append(ref)

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(engine.serve(handler))
        await asyncio.sleep(0)
        line.refs.append("a")
        engine.wake()
        await asyncio.sleep(0)
        assert not serving.done()
        assert not done
        engine.go_on()
    assert done == ["a"]


async def test_the_first_error_cancels_the_others_and_is_raised_as_it_is() -> None:
    line = Line("abcd")
    engine = LocalEngine(3, line)
    cancelled = 0

    async def handler(ref: str) -> None:
        nonlocal cancelled
        if ref == "c":
            raise LookupError("no such slice")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise

    with pytest.raises(LookupError, match="no such slice"):
        await engine.serve(handler)
    assert cancelled == 2
    assert [*line.refs] == ["d"]
    assert engine.running == 0


async def test_a_handler_that_swallows_the_end_gets_nothing_more_to_do() -> None:
    engine = LocalEngine(2, Line("abc"))
    started: list[str] = []

    async def handler(ref: str) -> None:
        started.append(ref)
        if ref == "b":
            raise LookupError("no such slice")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    with pytest.raises(LookupError):
        await engine.serve(handler)
    assert started == ["a", "b"]


async def test_a_place_whose_handler_was_cancelled_by_itself_is_not_lost() -> None:
    engine = LocalEngine(1, Line("abc"))
    done: list[str] = []

    async def handler(ref: str) -> None:
        if ref == "a":
            raise asyncio.CancelledError
        done.append(ref)

    await engine.serve(handler)
    assert done == ["b", "c"]


async def test_cancelling_the_engine_leaves_no_task_behind() -> None:
    engine = LocalEngine(4, Line("abcdef"))
    before = asyncio.all_tasks()

    async def handler(_: str) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await engine.serve(handler)
    assert asyncio.all_tasks() == before
    assert engine.running == 0


async def test_it_serves_one_handler_at_a_time_and_another_one_after_it() -> None:
    line = Line("a")
    engine = LocalEngine(1, line)
    done: list[str] = []

    async def handler(ref: str) -> None:
        done.append(ref)
        if ref == "a":
            with pytest.raises(RuntimeError, match="already"):
                await engine.serve(handler)

    await engine.serve(handler)
    line.refs.append("b")
    await engine.serve(handler)
    assert done == ["a", "b"]


async def test_submitting_tells_it_that_something_is_ready_in_a_queue_of_another_s() -> None:
    line = Line(["long"])
    engine = LocalEngine(2, line)
    started, end = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def handler(ref: str) -> None:
        if ref == "long":
            started.set()
            await end.wait()
        else:
            end.set()
        done.append(ref)

    async with asyncio.TaskGroup() as group:
        group.create_task(engine.serve(handler))
        await started.wait()
        line.refs.append("late")
        await engine.submit(["late"])
    assert done == ["late", "long"]


async def test_draining_ends_it_though_it_is_paused() -> None:
    engine = LocalEngine(1, Line("a"))
    engine.pause()

    async def handler(_: str) -> None:
        raise AssertionError

    async with asyncio.TaskGroup() as group:
        serving = group.create_task(engine.serve(handler))
        await asyncio.sleep(0)
        assert not serving.done()
        engine.drain()
