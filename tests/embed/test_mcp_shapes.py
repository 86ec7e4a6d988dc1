"""What the tools tell has the shape that they promise, is bounded, and keeps what is data apart."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest

from swarm.embed.jobs import Jobs
from swarm.embed.shapes import SHAPES, STATUS
from swarm.embed.tools import READING, job_tools
from swarm.embed.words import NOTE
from swarm.equipment import ToolFailed
from swarm.errors import UsageError
from swarm.models.scripted import Scripted
from tests.embed.tasks import QUESTION, Held, keys, write_corpus

CHECKS = {name: fastjsonschema.compile(shape) for name, shape in SHAPES.items()}
OF_STATUS = fastjsonschema.compile(STATUS)


class Tools:
    """The tools over some jobs; all that they tell is checked."""

    def __init__(self, jobs: Jobs) -> None:
        self._tools = {tool.name: tool for tool in job_tools(jobs)}

    async def __call__(self, name: str, **arguments: Any) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(await self._tools[name].call(arguments))
        CHECKS.get(name, OF_STATUS)(told)
        assert ("material" in told) == ("note" in told)
        assert told.get("note", NOTE) == NOTE
        return told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    write_corpus(tmp_path / "root" / "houses")
    return tmp_path / "root"


def made(root: Path, model: Any, **more: Any) -> Jobs:
    return Jobs(root.parent / "tasks.db", model, roots=[root], concurrency=2, **more)


async def test_every_tool_tells_what_it_promises(root: Path) -> None:
    model = Held(after=2)
    async with made(root, model) as jobs:
        tools = Tools(jobs)
        run = (await tools("start_task", question=QUESTION, paths=["houses"]))["run"]
        await model.waits.wait()
        await tools("steer_task", run=run, instruction="Be short.")
        await tools("pause_task", run=run)
        await tools("resume_task", run=run)
        assert "material" not in await tools("task_status", run=run)
        await tools("ask_graph", run=run, question="the keys")
        model.go_on.set()
        done = await tools("wait_task", run=run, seconds=60)
        opened = await tools("open_citation", run=run, id="1")
        await tools("open_citation", run=run, id=(await jobs.graph(run))["findings"][0]["id"])
        assert opened["material"]["evidence"][0]["quote"] == done["material"]["citations"][0]["quote"]
        await tools("list_tasks")


async def test_one_that_was_stopped_and_one_that_failed_are_told_in_the_same_shape(root: Path) -> None:
    model = Held(after=2)
    async with made(root, model) as jobs:
        tools = Tools(jobs)
        run = (await tools("start_task", question=QUESTION, paths=["houses"]))["run"]
        await model.waits.wait()
        model.go_on.set()
        await tools("stop_task", run=run)
        stopped = await tools("wait_task", run=run, seconds=60)
        assert (stopped["status"], stopped["complete"]) == ("partial", False)
    async with made(root, Scripted(keys, window=500)) as jobs:  # which holds no prompt
        tools = Tools(jobs)
        with suppress(ToolFailed):  # told at once, where it comes to light at once
            await tools("start_task", question=QUESTION, paths=["houses"])
        (latest, _) = (await tools("list_tasks"))["tasks"]
        failed = await tools("wait_task", run=latest["run"], seconds=60)
        assert failed["status"] == "failed"
        assert "window" in failed["why"]


async def test_what_is_told_of_a_large_answer_is_bounded_and_says_what_is_left_out(root: Path) -> None:
    for number in range(100):
        (root / f"{number:03}.md").write_text(f"The key of house {number} lies under stone {number}. " * 3)
    async with made(root, Scripted(keys, window=2_500)) as jobs:
        tools = Tools(jobs)
        asked = "Is there a mill?\nIs there a key?"
        table = await tools("start_task", question=asked, paths=["*.md"], output="table", wait_seconds=60)
        assert len(table["material"]["cells"]) == 60
        assert table["material"]["left_out"]["cells"] == 140
        assert len(json.dumps(table)) < 60_000


def test_some_of_the_tools_may_be_taken(root: Path) -> None:
    jobs = made(root, "extractive")
    assert [tool.name for tool in job_tools(jobs, only=READING)] == [
        "task_status", "wait_task", "ask_graph", "open_citation", "list_tasks"
    ]  # fmt: skip
    assert not any(tool.changes for tool in job_tools(jobs, only=READING))
    with pytest.raises(UsageError, match="no tool 'nothing'"):
        job_tools(jobs, only=["nothing"])
