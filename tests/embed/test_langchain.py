"""Swarm as tools of a LangChain agent: a tool that answers over fixed paths, and the long tasks; with a chat model
of LangChain's that is scripted, and LangGraph's own tool node."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command

from swarm.embed.jobs import Jobs
from swarm.embed.langchain import ask_tool, langchain_tools
from swarm.embed.tools import job_tools
from swarm.errors import UsageError
from swarm.run import Swarm
from swarm.task import Limits
from tests.test_mounted import at, corpus, model, nothing_twice

__all__ = ["corpus"]
QUESTION = "Where is the key of house 3?"


class Bound(GenericFakeChatModel):
    """Says what it is given to say, whatever tools it has."""

    tools: list[Any] = []  # noqa: RUF012 - a field of pydantic

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Bound:
        self.tools += tools
        return self


def saying(*messages: AIMessage) -> Bound:
    return Bound(messages=iter(messages))


def call(name: str, **arguments: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"{name} 1"}])


def result_of(out: dict[str, Any]) -> ToolMessage:
    (found,) = [message for message in out["messages"] if isinstance(message, ToolMessage)]
    return found


def tool_graph(tools: Sequence[BaseTool]) -> StateGraph[MessagesState]:
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "tools")
    graph.add_edge("tools", END)
    return graph


async def test_an_agent_asks_and_has_the_answer_with_the_exact_places_as_artifact(
    corpus: Path, tmp_path: Path
) -> None:
    ask = ask_tool(Swarm(store=tmp_path / "store.db"), [corpus])
    agent: Any = create_agent(saying(call("ask", question=QUESTION), AIMessage("Under stone 24.")), [ask])
    out = await agent.ainvoke({"messages": [HumanMessage("Where is it?")]})
    assert out["messages"][-1].content == "Under stone 24."
    result = result_of(out)
    told = json.loads(result.text)
    assert "stone 24" in told["material"]["answer"]
    assert told["material"]["citations"][0]["place"].endswith("house-3.md:61")
    cited = result.artifact["citations"][0]
    text = Path(cited["source"]).read_text("utf-8")
    assert text[cited["start"] : cited["end"]] == cited["quote"]


async def test_the_run_goes_by_the_thread_of_the_agent_and_its_events_come_through_its_stream(
    corpus: Path, tmp_path: Path
) -> None:
    one = model()
    ask = ask_tool(Swarm(one, store=tmp_path / "store.db"), [corpus])
    given = {"messages": [HumanMessage("?")]}
    runs = []
    for _ in range(2):
        agent: Any = create_agent(
            saying(call("ask", question=QUESTION), AIMessage("Done.")), [ask], checkpointer=InMemorySaver()
        )
        events = [part async for part in agent.astream(given, at("talk"), stream_mode="custom")]
        runs.append(events[-1]["run_id"])
        assert events[-1]["type"] == "Finished"
    assert runs == ["talk.tools", "talk.tools"]
    assert nothing_twice(one)


async def test_what_it_asks_a_person_interrupts_the_agent(corpus: Path, tmp_path: Path) -> None:
    one = model()
    ask = ask_tool(Swarm(one, store=tmp_path / "store.db"), [corpus], approve="budget")
    agent: Any = create_agent(
        saying(call("ask", question=QUESTION), AIMessage("Done.")), [ask], checkpointer=InMemorySaver()
    )
    out = await agent.ainvoke({"messages": [HumanMessage("?")]}, at())
    (asked,) = out["__interrupt__"]
    assert (asked.value["asks"], one.calls) == ("budget", [])
    out = await agent.ainvoke(Command(resume=True), at())
    assert "stone 24" in result_of(out).text
    assert nothing_twice(one)


async def test_several_questions_of_one_turn_are_several_runs(corpus: Path, tmp_path: Path) -> None:
    ask = ask_tool(Swarm(model(), store=tmp_path / "store.db"), [corpus])
    calls = [
        {"name": "ask", "args": {"question": f"Where is the key of house {n}?"}, "id": str(n)} for n in range(3)
    ]
    app = tool_graph([ask]).compile(checkpointer=InMemorySaver())
    out = await app.ainvoke({"messages": [AIMessage("", tool_calls=calls)]}, at())
    results = [message for message in out["messages"] if isinstance(message, ToolMessage)]
    assert [message.status for message in results] == ["success"] * 3
    assert len({message.artifact["run_id"] for message in results}) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Error: nothing is asked: give a question"),
        ({"question": " "}, "Error: nothing is asked: give a question"),
        ({"question": QUESTION}, "Error: nowhere: no such file"),
    ],
)
async def test_what_fails_is_a_message_with_an_error_and_no_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    app = tool_graph([ask_tool(Swarm(store=tmp_path / "store.db"), ["nowhere"])]).compile()
    result = result_of(await app.ainvoke({"messages": [call("ask", **arguments)]}))
    assert (result.status, "\n" in result.text) == ("error", False)
    assert result.text.startswith(said[:14])


async def test_a_limit_of_its_owner_holds_and_is_told(corpus: Path, tmp_path: Path) -> None:
    ask = ask_tool(Swarm(model(), store=tmp_path / "store.db"), [corpus], limits=Limits(calls=5))
    told = json.loads(await ask.ainvoke({"question": QUESTION}))
    assert (told["status"], told["complete"]) == ("partial", False)
    assert "calls" in told["why"]


def test_without_paths_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is to be read"):
        ask_tool(Swarm(), [])


async def test_long_tasks_are_tools_of_a_tool_node(corpus: Path, tmp_path: Path) -> None:
    async with Jobs(tmp_path / "tasks.db", roots=[corpus]) as jobs:
        app = tool_graph(langchain_tools(job_tools(jobs))).compile()

        async def made(name: str, **arguments: Any) -> ToolMessage:
            return result_of(await app.ainvoke({"messages": [call(name, **arguments)]}))

        begun = await made("start_task", question=QUESTION, paths=["."], wait_seconds=60)
        assert begun.status == "success"
        assert "stone 24" in begun.text
        run = json.loads(begun.text)["run"]
        assert "stone 24" in (await made("ask_graph", run=run, question="the key of house 3")).text
        assert "house-3.md:61" in (await made("open_citation", run=run, id="1")).text
        failed = await made("open_citation", run="another", id="1")
        assert (failed.status, failed.text.startswith("Error: ")) == ("error", True)
