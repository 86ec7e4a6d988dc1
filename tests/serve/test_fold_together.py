"""Requests that need the same reading: they wait for it together, and it ends with the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarm.models.extractive import Extractive
from swarm.run import Swarm
from swarm.serve.readings import Readings
from swarm.source import Corpus
from swarm.store.shared import shared_store
from swarm.task import Answer, Task


class Held(Swarm):
    """Reads nothing until it is let go, and then fails or says what it was given."""

    def __init__(self) -> None:
        super().__init__(Extractive())
        self.begun = self.ended = 0
        self.go, self.fails = asyncio.Event(), False

    async def read(self, task: Task, corpus: Corpus, *, run_id: str | None = None) -> Answer:
        self.begun += 1
        try:
            await self.go.wait()
        finally:
            self.ended += 1
        if self.fails:
            raise RuntimeError("it broke")
        made: Any = run_id
        return made


@pytest.fixture
async def readings(tmp_path: Path) -> AsyncIterator[Readings]:
    where = tmp_path / "s.db"
    with shared_store(where) as opened:
        yield Readings(swarm=Held(), model=Extractive(), store=opened.store, where=str(where))


def held(readings: Readings) -> Held:
    assert isinstance(readings.swarm, Held)
    return readings.swarm


async def ask(readings: Readings, run: str = "a") -> Answer:
    return await readings.answer(run, Task(questions=(), paths=()), Corpus(sources=()))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_two_that_need_one_run_begin_it_once(readings: Readings) -> None:
    both = [asyncio.create_task(ask(readings)) for _ in range(2)]
    other = asyncio.create_task(ask(readings, "b"))
    await settled()
    assert (held(readings).begun, readings.at_work) == (2, 2)
    held(readings).go.set()
    assert await asyncio.gather(*both, other) == ["a", "a", "b"]
    assert readings.at_work == 0


async def test_it_goes_on_as_long_as_one_waits_and_ends_with_the_last(readings: Readings) -> None:
    first, second = asyncio.create_task(ask(readings)), asyncio.create_task(ask(readings))
    await settled()
    first.cancel()
    await settled()
    assert held(readings).ended == 0
    second.cancel()
    await settled()
    assert (held(readings).ended, readings.at_work) == (1, 0)


async def test_one_that_comes_while_it_ends_begins_it_anew(readings: Readings) -> None:
    first = asyncio.create_task(ask(readings))
    await settled()
    first.cancel()
    second = asyncio.create_task(ask(readings))
    held(readings).go.set()
    assert await second == "a"
    assert held(readings).begun == 2


async def test_what_breaks_is_told_to_all_who_wait(readings: Readings) -> None:
    both = [asyncio.create_task(ask(readings)) for _ in range(2)]
    await settled()
    held(readings).fails = True
    held(readings).go.set()
    told = await asyncio.gather(*both, return_exceptions=True)
    assert [str(one) for one in told] == ["it broke", "it broke"]
    assert readings.at_work == 0


async def test_one_that_is_cancelled_twice_leaves_nothing_that_hangs(readings: Readings) -> None:
    first = asyncio.create_task(ask(readings))
    await settled()
    first.cancel()
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait((first,))
    await settled()
    assert readings.at_work == 0
    held(readings).go.set()
    assert await ask(readings) == "a"
