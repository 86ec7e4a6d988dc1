"""A run is followed from its journal: what it is at, what it found, what it cost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from swarm.errors import StoreError
from swarm.history import show
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.task import Usage
from swarm.testing.staged import MODEL, READER, Script, Stage


def followed(path: Path, clock: float | None = None) -> Follower:
    with open_run("last", path) as opened:
        follower = Follower(opened) if clock is None else Follower(opened, lambda: clock)
        follower.catch_up()
        return follower


def test_a_run_that_is_over_is_told_as_its_history_tells_it(mills: Path) -> None:
    follower, shown = followed(mills), show("last", mills)
    assert follower.status == shown.run.status == "answered"
    assert (follower.spent.calls, follower.spent.tokens) == (shown.run.usage.calls, shown.run.usage.tokens)
    assert follower.spent.cost_usd == pytest.approx(shown.run.usage.cost_usd)
    assert follower.plan.states["done"] == shown.run.slices_done == 19
    assert follower.plan.states["failed"] == len(shown.failures) == 1
    assert follower.sessions == list(shown.sessions)
    assert follower.phase == ""
    assert not follower.live


def test_costs_by_model_kind_and_branch_come_to_what_was_spent(mills: Path) -> None:
    follower = followed(mills)
    costs = follower.costs.values()
    total = Usage(
        calls=sum(cost.calls for cost in costs),
        input_tokens=sum(cost.input_tokens for cost in costs),
        output_tokens=sum(cost.output_tokens for cost in costs),
        cached_tokens=sum(cost.cached_tokens for cost in costs),
    )
    assert total == Usage(
        calls=follower.spent.calls,
        input_tokens=follower.spent.input_tokens,
        output_tokens=follower.spent.output_tokens,
        cached_tokens=follower.spent.cached_tokens,
    )
    assert sum(cost.cost_usd for cost in costs) == pytest.approx(follower.spent.cost_usd)
    assert {(model, kind) for model, kind, _ in follower.costs} == {
        (MODEL, "plan"), (READER, "read"), (MODEL, "answer"),
    }  # fmt: skip
    (branch,) = {branch for _, kind, branch in follower.costs if kind == "read"}
    assert follower.plan.branches[branch].asked.startswith("Which mills")
    spent = sum(seen.cost_usd for seen in follower.plan.slices.values())
    read = sum(cost.cost_usd for (_, kind, _), cost in follower.costs.items() if kind == "read")
    assert spent == pytest.approx(read)


def test_a_slice_tells_when_it_was_worked_and_never_more_at_once_than_there_are_places(mills: Path) -> None:
    follower = followed(mills)
    spans = [(seen.begun, seen.ended) for seen in follower.plan.slices.values()]
    assert all(begun is not None and ended is not None and begun < ended for begun, ended in spans)
    moments = sorted(begun for begun, _ in spans if begun is not None)
    at_once = [sum(1 for b, e in spans if b is not None and e is not None and b <= at < e) for at in moments]
    assert max(at_once) == follower.places[1] == 8


async def test_a_run_is_followed_while_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100, left=3)) as stage:
        await stage.open()
        with open_run("last", path) as opened:
            follower = Follower(opened, lambda: stage.now)
            follower.catch_up()
            assert (follower.status, follower.phase) == ("running", "dispatch")
            assert follower.plan.states["ready"] == 8
            before = follower.version
            assert not follower.poll()
            assert follower.version == before

            await stage.work(2)
            await stage.begin_call(4)
            await stage.cut(5)
            follower.catch_up()
            assert follower.version > before
            states = follower.plan.states
            assert (states["done"], states["failed"], states["running"], states["split"]) == (1, 1, 1, 1)
            assert states["ready"] == 6
            assert follower.places == (1, 8)
            assert [found.claim for found in follower.latest(3)] == [
                "Mill 20 was rebuilt in 1710 and driven by water.",
                "Mill 21 was rebuilt in 1723 and driven by wind.",
                "Mill 22 was rebuilt in 1736 and driven by steam.",
            ]
            assert follower.rate().requests == 4

            await stage.end(stopped="interrupted")
            follower.catch_up()
            assert (follower.status, follower.why) == ("partial", "interrupted")
            assert (follower.plan.states["running"], follower.places[0]) == (0, 0)


async def test_what_was_at_work_when_a_process_died_waits(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100)) as stage:
        await stage.open()
        await stage.work(2)
        await stage.begin_call(4)
    follower = followed(path)
    assert follower.status == "interrupted"
    assert (follower.plan.states["running"], follower.plan.states["ready"]) == (0, 3)


def test_a_look_reads_nothing_twice(mills: Path) -> None:
    with open_run("last", mills) as opened:
        follower = Follower(opened)
        follower.catch_up()
        spent, slices, calls = follower.spent, len(follower.plan.slices), len(follower.calls)
        for _ in range(3):
            assert not follower.poll()
        assert (follower.spent, len(follower.plan.slices), len(follower.calls)) == (spent, slices, calls)


def test_windows_are_told_by_call(mills: Path) -> None:
    calls = followed(mills).calls
    fills = [calls.fill(row) for row in range(len(calls))]
    assert all(fill is not None and 0 < fill <= 1 for fill in fills)
    assert {calls.asked_by(row) for row in range(len(calls))} >= {"plan", "finish"}


@pytest.mark.parametrize("kind", ["task", "session", "plan", "answer"])
def test_a_record_that_cannot_be_read_is_named(mills: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(mills.read_bytes())
    with closing(sqlite3.connect(path)) as store, store:
        store.execute("UPDATE records SET body = '{}' WHERE kind = ?", (kind,))
    with open_run("last", path) as opened:
        follower = Follower(opened)
        for _ in range(2):  # it is not passed over by who looks again
            with pytest.raises(StoreError, match=f"the record {kind}.* of staged is not as this version"):
                follower.catch_up()
