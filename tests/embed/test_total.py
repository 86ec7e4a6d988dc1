"""What all tasks of a store may cost together: set aside before each begins, and counted across processes."""

import asyncio
from math import inf
from pathlib import Path
from typing import Any

import pytest

from swarm.embed.jobs import Jobs
from swarm.embed.status import Status
from swarm.errors import UsageError
from swarm.task import Limits
from tests.embed.tasks import QUESTION, Held, write_corpus

ENOUGH = 0.25  # dollars, for one task


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "houses", houses=2, rooms=30)


def door(root: Path, model: Any = None, **more: Any) -> Jobs:
    settings: dict[str, Any] = {"roots": root, "limits": Limits(cost_usd=ENOUGH), "concurrency": 1} | more
    return Jobs(root.parent / "tasks.db", model or Held(), **settings)


@pytest.fixture(autouse=True)
def _nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm.embed.running.LEAVE_SECONDS", 0.0)


async def begun(jobs: Jobs, question: str = QUESTION, **more: Any) -> str:
    return await jobs.start(question, ["."], **more)


async def over(jobs: Jobs, run: str) -> Status:
    async with asyncio.timeout(60):
        return await jobs.wait(run)


async def test_tasks_at_work_have_their_limits_set_aside_and_give_back_what_they_leave(root: Path) -> None:
    model = Held(after=0)
    async with door(root, model, total_usd=2.5 * ENOUGH) as jobs:
        runs = [await begun(jobs) for _ in range(3)]
        limits = [(await jobs.status(run)).limits["cost_usd"] for run in runs]
        assert limits == [ENOUGH, ENOUGH, pytest.approx(ENOUGH / 2, abs=1e-5)]
        with pytest.raises(UsageError, match=r"\$0.62, and of that nothing is left") as error:
            await begun(jobs)
        assert "\n" not in str(error.value)
        model.go_on.set()
        spent = sum([(await over(jobs, run)).cost_usd for run in runs])
        assert 0 < spent < ENOUGH
        assert (await jobs.status(await begun(jobs))).limits["cost_usd"] == ENOUGH


async def test_of_a_thousand_that_are_asked_for_at_once_none_is_begun_above_the_total(root: Path) -> None:
    model = Held(after=0)
    async with door(root, model, total_usd=3 * ENOUGH, most=1_000) as jobs:
        asked = await asyncio.gather(*(begun(jobs) for _ in range(30)), return_exceptions=True)
        assert sum(isinstance(one, str) for one in asked) == 3
    async with door(root, total_usd=3 * ENOUGH, most=1_000) as jobs:
        assert len(jobs._running.live) == 3  # those that were refused do not go on


async def test_what_earlier_processes_spent_counts_and_so_does_what_goes_on(root: Path) -> None:
    async with door(root) as jobs:
        spent = (await over(jobs, await begun(jobs))).cost_usd
    model = Held(after=0)
    async with door(root, model) as jobs:
        left = await begun(jobs, "And the mill?", limits={"cost_usd": ENOUGH / 2})
        await model.waits.wait()
    async with door(root, Held(after=0), total_usd=ENOUGH + spent) as jobs:
        assert (await jobs.status(left)).limits["cost_usd"] == ENOUGH / 2
        run = await begun(jobs, "And the river?")
        assert (await jobs.status(run)).limits["cost_usd"] == pytest.approx(ENOUGH / 2, abs=1e-5)
    async with door(root, total_usd=spent) as jobs:
        assert not jobs._running.live  # nothing is left for them to go on with
        with pytest.raises(UsageError, match="nothing is left"):
            await jobs.resume(left)


async def test_a_task_without_a_limit_of_its_own_has_all_that_is_left(root: Path) -> None:
    async with door(root, Held(after=0), limits=Limits(cost_usd=inf), total_usd=ENOUGH) as jobs:
        run = await begun(jobs)
        assert (await jobs.status(run)).limits == {"cost_usd": ENOUGH}
        with pytest.raises(UsageError, match="nothing is left"):
            await begun(jobs)
    async with door(root, Held(after=0), limits=Limits(cost_usd=inf), total_usd=inf) as jobs:
        await begun(jobs, "And the mill?")
        await begun(jobs, "And the river?")
    async with door(root, total_usd=ENOUGH, takes_up=False) as other, door(root, Held(after=0)) as jobs:
        await begun(jobs, "And the bridge?", limits={"cost_usd": ENOUGH})
        with pytest.raises(UsageError, match="nothing is left"):
            await begun(other)  # it counts those of others, too


async def test_a_model_that_costs_nothing_is_not_held_to_it(root: Path) -> None:
    async with door(root, "extractive", total_usd=0) as jobs:
        assert (await over(jobs, await begun(jobs))).status == "answered"


@pytest.mark.parametrize("total", [-1.0, float("nan")])
def test_a_total_that_makes_no_sense_is_refused(root: Path, total: float) -> None:
    with pytest.raises(UsageError, match="total_usd"):
        door(root, total_usd=total)
