"""What a worker does with what it is delivered: it works what it may, once, and leaves the rest to others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.coordinator.offers import Offer, offer_to_bytes
from swarm.errors import ModelError, RecipeError
from swarm.models.extractive import Extractive
from swarm.orders import Order
from swarm.program import Done, Piece, Program, Role
from swarm.remote.joined import Terms
from swarm.remote.serve import NotHere, Worker
from swarm.run import Swarm
from swarm.store.shared import shared_store
from swarm.task import Slice, Task
from tests.remote.conftest import Embedded, working

SLICE = Slice(id="s1", question="q", spans=(), tokens=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    with shared_store(tmp_path / "swarm.db"):
        yield str(tmp_path / "swarm.db")


def no_key(*_: object) -> Extractive:
    raise ModelError("set OPENAI_API_KEY")


async def test_what_it_cannot_work_is_given_back_at_once_and_it_says_why(store: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The keeper was called Ida.")
    await Swarm("extractive", store=store).run(Task(questions=("Who?",), paths=(str(tmp_path),)), run_id="run")
    with shared_store(store) as opened:
        worker = Worker(opened.store, Embedded(1), Terms(models=no_key, places=1))
        await opened.store.claims.offer("run", {"s1": offer_to_bytes(Offer(session=1, slice=SLICE))})
        serves = asyncio.create_task(worker.serve())
        await asyncio.sleep(0)
        with pytest.raises(NotHere):
            await worker.handle("run/s1")
        worker.drain()
        await serves
        assert worker.count.note == "run run: set OPENAI_API_KEY"
        (standing,) = opened.store.claims.standings("run")
        assert standing.state == "offered"


async def test_what_is_not_offered_any_more_is_not_worked(store: str) -> None:
    with shared_store(store) as opened:
        worker = Worker(opened.store, Embedded(1), Terms(models=no_key, places=1))
        serves = asyncio.create_task(worker.serve())
        await asyncio.sleep(0)
        await worker.handle("run/s1")
        worker.drain()
        await serves
        assert worker.count.note == ""


async def test_a_slice_that_is_delivered_over_and_over_is_worked_once(tmp_path: Path, store: str) -> None:
    done: list[str] = []

    async def code(piece: Piece) -> Done:
        done.append(piece.order.name)
        await asyncio.sleep(0.05)
        return Done(result=piece.order.name)

    names = [f"piece {n}" for n in range(6)]
    plan = Program(
        orders=lambda: (Order(name=name, objective="Make it.", role="code") for name in names),
        roles=(Role(name="code", code=code, view_tokens=0),),
        answer=lambda results: ", ".join(sorted(results)),
    )
    engine = Embedded(4)
    submit = engine.submit

    async def often(refs: list[str]) -> None:
        for _ in range(3):
            await submit([*reversed(refs)])
            await asyncio.sleep(0.02)

    engine.submit = often  # type: ignore[method-assign]
    swarm = Swarm("openai:any", base_url="http://127.0.0.1:9/v1", store=store, engine=engine)
    async with working(store, engine, plan):
        answer = await swarm.run(Task(questions=("All",), paths=(), mode="work"), plan=plan, run_id="run")
    assert answer.text == ", ".join(names)
    assert sorted(done) == names


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("it is empty"), r"a slice broke off: ValueError: it is empty \(.*test_worker.py:"),
        (RecipeError("give it a folder"), "^give it a folder"),
    ],
)
async def test_a_mistake_in_the_users_code_ends_the_run_as_it_would_in_one_process(
    error: Exception, told: str, store: str
) -> None:
    async def code(_: Piece) -> Done:
        raise error

    plan = Program(
        orders=lambda: [Order(name="a", objective="Make it.", role="code")],
        roles=(Role(name="code", code=code, view_tokens=0),),
        answer=lambda _: "",
    )
    engine = Embedded(2)
    swarm = Swarm("openai:any", base_url="http://127.0.0.1:9/v1", store=store, engine=engine)
    async with working(store, engine, plan):
        with pytest.raises(RecipeError, match=told):
            await swarm.run(Task(questions=("All",), paths=(), mode="work"), plan=plan, run_id="run")
    with shared_store(store) as opened:
        assert not opened.store.claims.standings("run")
