"""Long tasks as tools of agents that we did not write: the SDKs of Anthropic and OpenAI, OpenAI's Agents SDK and
LangChain, over HTTP, at a SIMULATED provider whose model is scripted."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swarm.embed.agents import agents_tools
from swarm.embed.anthropic import anthropic_tools
from swarm.embed.called import called
from swarm.embed.jobs import Jobs
from swarm.embed.langchain import langchain_tools
from swarm.embed.openai import OpenAITools
from swarm.embed.tools import job_tools
from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.testing.analyst import analyst, calling
from swarm.testing.provider import Provider
from swarm.testing.seen import Seen
from tests.embed.agents import DRIVES, Drive
from tests.test_mounted import Held, corpus

__all__ = ["corpus"]
ASKED = "Question: Where is the key of house 3?"


@pytest.fixture
async def jobs(corpus: Path, tmp_path: Path) -> AsyncIterator[Jobs]:
    async with Jobs(tmp_path / "tasks.db", roots=[corpus]) as jobs:
        yield jobs


@pytest.fixture(params=DRIVES.values(), ids=list(DRIVES))
def drive(request: pytest.FixtureRequest) -> Drive:
    found: Drive = request.param
    return found


async def test_an_agent_starts_a_task_waits_asks_its_graph_and_opens_a_citation(
    drive: Drive, jobs: Jobs, corpus: Path
) -> None:
    async with Provider(hands=analyst).here() as provider:
        said = await drive(provider, job_tools(jobs), ASKED)
    assert re.search(r"house-3\.md:61\b.*The key of house 3 lies under stone 24\.", said), said
    assert (
        str(provider.requests[-1]).count("lies under stone 24") >= 3
    )  # in the answer, the graph and the citation


async def test_a_runner_that_asks_for_a_conversation_at_the_server_goes_on_without(jobs: Jobs) -> None:
    async with Provider(hands=analyst).here() as provider:
        await DRIVES["anthropic"](provider, job_tools(jobs), ASKED)
    assert ["thread" in body for body in provider.requests][:3] == [True, False, False]


async def test_two_agents_at_once_have_a_task_each(jobs: Jobs) -> None:
    async with Provider(hands=analyst, latency=0.01).here() as provider:
        said = await asyncio.gather(
            *(
                drive(provider, job_tools(jobs), f"Question: Where is the key of house {number}?")
                for number, drive in enumerate(DRIVES.values())
            )
        )
    for number, text in enumerate(said):
        assert f"The key of house {number} lies under stone {number * 7 + 3}." in text
    assert len({text.split(":")[0] for text in said}) == len(DRIVES)
    assert len(await jobs.runs(100)) == len(DRIVES)


def clumsy(seen: Seen) -> dict[str, Any]:
    mistakes = [
        calling("start_task", question="Which?", paths=["/etc/passwd"]),
        calling("start_task", question="Which?", paths=["."], max_cost_usd=-1),
        calling("task_status", run="none of them"),
        calling("open_citation", run="none of them"),
    ]
    if len(seen.turns) < len(mistakes):
        return mistakes[len(seen.turns)]
    return {"says": "\n".join(result for _, results in seen.turns for result in results)}


async def test_a_mistake_is_told_in_one_line_and_the_agent_goes_on(drive: Drive, jobs: Jobs) -> None:
    async with Provider(hands=clumsy).here() as provider:
        said = (await drive(provider, job_tools(jobs), ASKED)).splitlines()
    assert len(said) == 4
    assert all(line.startswith("Error: ") for line in said), said
    assert "/etc/passwd" in said[0]
    assert "lies in none of the folders" in said[0]
    assert "max_cost_usd" in said[1]
    assert "id: is missing" in said[3]
    assert "Traceback" not in str(provider.requests)


async def test_what_is_no_json_is_told_too(jobs: Jobs) -> None:
    tools = OpenAITools(job_tools(jobs))
    chat = {"id": "1", "type": "function", "function": {"name": "task_status", "arguments": "[1, 2"}}
    came = await tools.handle(chat)
    assert (came["role"], came["tool_call_id"]) == ("tool", "1")
    assert came["content"].startswith("Error: The arguments are no JSON")
    item = {"type": "function_call", "call_id": "2", "name": "forget", "arguments": "{}"}
    came = await tools.handle(item)
    assert (came["type"], came["call_id"]) == ("function_call_output", "2")
    assert came["output"].startswith("Error: there is no tool 'forget'. There are: start_task, task_status")


@pytest.mark.parametrize("name", DRIVES)
async def test_an_agent_that_is_cancelled_leaves_its_task_at_work(name: str, corpus: Path, tmp_path: Path) -> None:
    model = Held(1, window=2_500)

    def patient(seen: Seen) -> dict[str, Any]:
        if not seen.turns:
            return calling("start_task", question="Under which stone does each key lie?", paths=["."])
        return calling("wait_task", run="last", seconds=600)

    async with Jobs(tmp_path / "tasks.db", model, roots=[corpus]) as jobs:
        before = asyncio.all_tasks()
        async with Provider(hands=patient).here() as provider:
            running = asyncio.create_task(DRIVES[name](provider, job_tools(jobs), ASKED))
            await model.waits.wait()
            while len(provider.requests) < 2:  # noqa: ASYNC110 - until it waits
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        (status,) = await jobs.runs(10)
        assert status.at_work
        model.go_on.set()
        status = await jobs.wait(status.run)
        assert (status.status, status.answer is not None) == ("answered", True)
        assert not [task for task in asyncio.all_tasks() - before if "wait_task" in repr(task)]


# The tools themselves


def broken(**given: Any) -> Tool:
    async def call(_arguments: Any) -> str:
        raise given.get("error") or ToolFailed("no\n\n  such thing ")

    schema = {"type": "object", "properties": {}}
    return Tool(name=given.get("name", "fails"), description="It fails.", parameters=schema, call=call)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "no; such thing"),
        (KeyError("x"), "KeyError: 'x'"),
        (UsageError("give a question"), "give a question"),
        (ToolFailed(""), "it failed, and does not say why"),
    ],
)
async def test_whatever_a_tool_raises_is_one_line(error: Exception | None, said: str) -> None:
    came = await called(broken(error=error), {})
    assert (came.failed, came.text, came.line) == (True, said, f"Error: {said}")


async def test_to_cancel_a_call_is_no_error_of_the_tool() -> None:
    with pytest.raises(asyncio.CancelledError):
        await called(broken(error=asyncio.CancelledError()), {})


@pytest.mark.parametrize("made", [agents_tools, anthropic_tools, langchain_tools, OpenAITools])
def test_two_tools_of_one_name_are_refused(made: Any) -> None:
    with pytest.raises(UsageError, match="two tools are called 'same'"):
        made([broken(name="same"), broken(name="same")])


async def test_the_agents_sdk_is_told_strict_only_where_nothing_may_be_left_out(jobs: Jobs) -> None:
    strict = {one.name: one.strict_json_schema for one in agents_tools(job_tools(jobs))}
    assert strict["task_status"]
    assert not strict["start_task"]
    for one, ours in zip(agents_tools(job_tools(jobs)), job_tools(jobs), strict=True):
        assert one.params_json_schema == ours.parameters


def test_without_the_agents_sdk_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agents", None)
    with pytest.raises(UsageError, match="needs a package: pip install 'swarm-memory"):
        agents_tools([])
