"""What is shown of a run is true of it, whatever kind of run it is, and however often somebody looks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm.inspect.calls import UNDER_WAY
from swarm.inspect.follow import Follower, Rate
from swarm.inspect.opened import open_run
from swarm.models.base import Completion
from swarm.store.database import Database
from swarm.store.journal import Entry, Intent
from swarm.store.sqlite import SqliteJournal
from swarm.task import Usage
from swarm.testing.staged import Script, Stage
from tests.inspect.real_runs import KINDS, Kind, in_haste
from tests.inspect.truth import holds_at_last, pieces_are_the_whole, taped


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_what_is_shown_is_true_of_a_run(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_haste(monkeypatch)
    with taped(monkeypatch) as tape:
        async for answer in kind(tmp_path, 1):
            holds_at_last(tmp_path / "swarm.db", "run", answer)
    pieces_are_the_whole(monkeypatch, tmp_path / "swarm.db", tape, range(3))


async def test_a_run_that_ends_while_it_is_looked_at_is_not_taken_for_one_whose_process_died(
    tmp_path: Path,
) -> None:
    path = tmp_path / "swarm.db"
    stage = Stage(path, Script(findings=40))
    await stage.__aenter__()
    await stage.open()
    with open_run("last", path) as opened:
        follower = Follower(opened)
        follower.catch_up()
        assert follower.status == "running"
        loop, held = asyncio.get_running_loop(), opened.journal.held

        def ends_just_now(run: str) -> bool:
            asyncio.run_coroutine_threadsafe(_end(stage), loop).result()
            return held(run)

        opened.journal.held = ends_just_now  # type: ignore[method-assign]
        await asyncio.to_thread(follower.poll)
        assert follower.status == "answered"


async def _end(stage: Stage) -> None:
    await stage.end()
    await stage.__aexit__(None, None, None)


async def test_the_time_in_which_nobody_was_at_a_run_is_not_that_of_a_call_that_was_lost(tmp_path: Path) -> None:
    path, clock = tmp_path / "swarm.db", [1_000.0]
    database = Database.open(path)
    journal = SqliteJournal(database, lambda: clock[0])
    call = Intent(run="run", key="0" * 32, model="m", kind="read", tokens=100, cost_usd=0.5, asker="plan")
    await journal.append("run", Entry(kind="task", key="", body={"task": {}}))
    await journal.begin_call(call)
    clock[0] += 86_400
    await journal.settle_lost("run")
    with open_run("run", path) as opened:
        follower = Follower(opened, lambda: clock[0])
        follower.catch_up()
        assert (follower.spent.calls, follower.spent.tokens) == (1, 100)
        assert [cost.seconds for cost in follower.costs.values()] == [0.0]
        assert follower.rate() == Rate()
        clock[0] += 5
        await journal.begin_call(call)
        follower.catch_up()
        assert (follower.calls.begun[0], follower.calls.state[0]) == (clock[0], UNDER_WAY)
        assert follower.rate() == Rate(requests=1)
        clock[0] += 7
        await journal.finish_call("run", call.key, Completion(text="{}", usage=Usage(calls=1, input_tokens=90)))
        follower.catch_up()
        assert [cost.seconds for cost in follower.costs.values()] == [7.0]
        assert follower.rate() == Rate(requests=1, input_tokens=90)
        clock[0] += 61
        assert follower.rate() == Rate()
    database.close()
