import asyncio

import pytest

from swarm.engine.local import LocalEngine


async def test_no_more_than_the_places_run_at_once_and_none_stands_idle() -> None:
    engine = LocalEngine(3)
    gates = {str(n): asyncio.Event() for n in range(6)}
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

    engine.submit(gates)
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.serve(handler))
        await started["2"].wait()
        gates["1"].set()  # one slow slice holds no other back
        await started["3"].wait()
        for gate in gates.values():
            gate.set()
    assert peak == 3
    assert not running


async def test_what_a_handler_submits_starts_while_others_still_run() -> None:
    engine = LocalEngine(2)
    done: list[str] = []
    child = asyncio.Event()

    async def handler(ref: str) -> None:
        if ref == "parent":
            engine.submit(["child", "parent"])
            await child.wait()
        else:
            child.set()
        done.append(ref)

    engine.submit(["parent"])
    await engine.serve(handler)
    assert done == ["child", "parent"]


async def test_cancelling_what_is_ready_lets_what_runs_finish() -> None:
    engine = LocalEngine(1)
    done: list[str] = []

    async def handler(ref: str) -> None:
        engine.cancel_ready()
        done.append(ref)

    engine.submit(["a", "b", "c"])
    await engine.serve(handler)
    assert done == ["a"]


async def test_the_first_error_cancels_the_others_and_is_raised_as_it_is() -> None:
    engine = LocalEngine(3)
    engine.submit("abc")
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


async def test_cancelling_the_engine_leaves_no_task_behind() -> None:
    engine = LocalEngine(4)
    engine.submit("abcdef")
    before = asyncio.all_tasks()

    async def handler(_: str) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await engine.serve(handler)
    assert asyncio.all_tasks() == before
