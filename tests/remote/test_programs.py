"""A worker learns the plan of a run by calling its recipe, which runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarm.errors import UsageError
from swarm.invocation import KEY
from swarm.models.extractive import Extractive
from swarm.program import Program
from swarm.remote import programs
from swarm.store.journal import Entry
from swarm.store.opening import Store, open_store

RECIPE = '''
"""Two runs: the second goes by what the first came to."""
from swarm import Order, Program, Task, recipe

@recipe
async def two(swarm, paths: list[str], *, goal: str):
    first = await swarm.run(Task(questions=("q",), paths=tuple(paths)))
    plan = Program(orders=lambda: [Order(name="a", objective=f"{goal} after {first.text}")])
    return await swarm.run(Task(questions=(goal,), paths=(), mode="work"), plan=plan)
'''
MODELS = (Extractive(), Extractive())


async def program_of(*arguments: Any) -> Program | None:
    async with programs.program_of(*arguments) as plan:
        return plan


@pytest.fixture
def store(tmp_path: Path):
    (tmp_path / "two.py").write_text(RECIPE)
    with open_store(tmp_path / "swarm.db") as opened:
        yield opened


def called(tmp_path: Path, place: int) -> dict[str, object]:
    body = {"recipe": str(tmp_path / "two.py"), "paths": [], "options": {"goal": "g"}, "folder": "/", "id": "c"}
    return {KEY: body | {"place": place}}


async def answered(store: Store, tmp_path: Path) -> None:
    """The first run of the call came to something."""
    answer = {
        "run_id": "one", "status": "answered", "text": "the first", "short": None, "statements": [],
        "citations": [], "cells": [], "contradictions": [], "findings": 0, "rejected_quotes": 0,
        "coverage": {},
        "window_limit": 1, "window_peak": 1, "usage": {}, "slices": 0, "rounds": 1, "failures": [],
        "stopped": None, "graph": "", "elapsed_seconds": 0.0,
    }  # fmt: skip
    session = Entry(kind="session", key="1", body=called(tmp_path, 1))
    await store.journal.append("one", session, Entry(kind="answer", key="1", body=answer))


async def test_the_plan_is_what_the_recipe_would_run_in_that_place(store: Store, tmp_path: Path) -> None:
    assert await program_of(store, called(tmp_path, 1), MODELS, None) is None
    await answered(store, tmp_path)
    plan = await program_of(store, called(tmp_path, 2), MODELS, None)
    assert plan is not None
    assert plan.orders is not None
    assert [order.objective for order in plan.orders()] == ["g after the first"]


async def test_a_recipe_is_called_only_where_the_worker_was_told_to_trust_it(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"let the worker call it with --recipe .*two\.py"):
        await program_of(store, called(tmp_path, 1), MODELS, ("other",))
    assert await program_of(store, called(tmp_path, 1), MODELS, (str(tmp_path / "two.py"),)) is None
    assert await program_of(store, {}, MODELS, ()) is None, "a run of no recipe has no program"


async def test_of_a_trusted_recipe_the_worker_calls_its_own_file(store: Store, tmp_path: Path) -> None:
    own = tmp_path / "own" / "two.py"
    own.parent.mkdir()
    own.write_text(RECIPE)
    (tmp_path / "two.py").write_text("raise SystemExit('what the store names')")
    assert await program_of(store, called(tmp_path, 1), MODELS, (str(own),)) is None


async def test_a_recipe_that_makes_fewer_runs_than_it_did_says_so(store: Store, tmp_path: Path) -> None:
    await answered(store, tmp_path)
    (tmp_path / "two.py").write_text(RECIPE.replace("return await", "return first or await"))
    with pytest.raises(UsageError, match="is not what it was"):
        await program_of(store, called(tmp_path, 2), MODELS, None)


SERVER = """
from contextlib import asynccontextmanager
from swarm import Order, Program, Task, recipe
STATE = []

@asynccontextmanager
async def server():
    STATE.append("up")
    try:
        yield
    finally:
        STATE.append("down")

@recipe
async def with_server(swarm, paths: list[str], *, goal: str):
    async with server():
        plan = Program(orders=lambda: [Order(name=str(STATE), objective=goal)])
        return await swarm.run(Task(questions=(goal,), paths=(), mode="work"), plan=plan)
"""


async def test_what_a_recipe_holds_open_stays_open_while_its_plan_is_used(store: Store, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(SERVER)
    async with programs.program_of(store, called(tmp_path, 1), MODELS, None) as plan:
        assert plan is not None
        assert plan.orders is not None
        assert [order.name for order in plan.orders()] == ["['up']"]
    assert [order.name for order in plan.orders()] == ["['up', 'down']"]
