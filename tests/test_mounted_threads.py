"""A swarm in a parent graph goes by the thread of its parent: the same thread leads to the same run, here and in
another process after a kill; and its events come through the stream of the parent."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send

from swarm.coordinator.named import Place, chosen, named
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.task import Task
from swarm.testing.process import Apart
from tests.kill.conftest import write_corpus
from tests.test_mounted import QUESTION, Parent, asks, at, corpus, model, nothing_twice, parent

__all__ = ["corpus"]
RUN_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")


class Asking(TypedDict, total=False):
    question: str
    paths: list[str]
    run_id: str
    answer: str


class Several(TypedDict, total=False):
    question: str
    paths: list[str]
    seen: Annotated[list[str], lambda old, new: [*old, *new]]


def runs(store: Path) -> set[str]:
    with open_store(store) as opened:
        return {account.run for account in opened.journal.accounts()}


# Named


async def test_a_thread_names_its_run_and_another_question_is_a_fork_of_it(corpus: Path, tmp_path: Path) -> None:
    one, store = model(), tmp_path / "store.db"
    first = await Swarm(one, store=store).compiled().ainvoke(asks(corpus), at("churn"))
    assert first["run_id"] == "churn"
    calls = len(one.calls)
    again = await Swarm(one, store=store).compiled().ainvoke(asks(corpus), at("churn"))  # no checkpoint says so
    assert (again["run_id"], len(one.calls)) == ("churn", calls)
    graph = Swarm(one, store=store).compiled()
    other = await graph.ainvoke(asks(corpus, "Which keys are there?"), at("churn"))
    assert re.fullmatch(r"churn~[0-9a-f]{6}", other["run_id"])
    assert (await graph.ainvoke(asks(corpus, "Which keys are there?"), at("churn")))["run_id"] == other["run_id"]
    assert (await graph.ainvoke(asks(corpus, run_id="mine"), at("churn")))["run_id"] == "mine"
    assert (await graph.ainvoke(asks(corpus, fork="new"), at("churn")))["run_id"].startswith("churn~")
    assert nothing_twice(one)


async def test_without_a_thread_each_invocation_is_a_run_of_its_own(corpus: Path, tmp_path: Path) -> None:
    graph = Swarm(model(), store=tmp_path / "store.db").compiled()
    outs = [await graph.ainvoke(asks(corpus)) for _ in range(2)]
    assert len({out["run_id"] for out in outs}) == 2
    assert all(RUN_ID.fullmatch(out["run_id"]) for out in outs)


ODD = ["a/b", "../../etc", "Zoë 👋", "a\x00b\n", "x" * 5_000, "~", ".", "a.b", "", " ", "a|b:c", "ünï", "-"]


def test_any_thread_makes_a_run_id_of_plain_characters_and_no_two_the_same() -> None:
    names = [named(Place(thread, "begin:1")) for thread in ODD if thread]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}", name or "") for name in names)
    assert named(Place(str(uuid.UUID(int=7)), "begin:1")) == str(uuid.UUID(int=7))
    assert named(Place("", "begin:1")) is named(Place(None, "begin:1")) is None


def test_a_place_is_told_by_the_nodes_around_and_not_by_the_step() -> None:
    assert named(Place("t", "outer:3f|swarm:1c|begin:77")) == "t.outer.swarm"
    assert named(Place("t", "outer:99|swarm:98|begin:97")) == "t.outer.swarm"
    assert named(Place("t", "swarm:1|1|begin:2")) == "t.swarm.1"
    split = {
        named(Place("t.a", "b:1|begin:2")),
        named(Place("t", "a.b:1|begin:2")),
        named(Place("t", "a:1|b:3|c:2")),
    }
    assert len(split) == 3


def test_a_fork_whose_name_another_question_has_gets_a_longer_one() -> None:
    task, other = Task(questions=("A?",), paths=("a",)), Task(questions=("B?",), paths=("a",))
    asked = {"t": other}
    short = chosen("t", task, "", asked.get)
    asked[short] = other
    long = chosen("t", task, "", asked.get)
    assert long.startswith(short)
    assert len(long) > len(short)
    asked[long] = task
    assert chosen("t", task, "", asked.get) == chosen(short, task, "", asked.get) == long
    assert chosen("t", other, "", asked.get) == "t"


@pytest.mark.parametrize("thread", ODD[:6])
async def test_an_odd_thread_is_gone_on_with_like_any_other(corpus: Path, tmp_path: Path, thread: str) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(
        Task(questions=(), paths=(str(corpus / "house-1.md"),)), checkpointer=InMemorySaver()
    )
    first = await graph.ainvoke({"question": QUESTION}, at(thread))
    calls = len(one.calls)
    again = Swarm(one, store=tmp_path / "store.db").compiled(
        Task(questions=(), paths=(str(corpus / "house-1.md"),)), checkpointer=InMemorySaver()
    )
    assert (await again.ainvoke({"question": QUESTION}, at(thread)))["run_id"] == first["run_id"]
    assert len(one.calls) == calls


# Places in a parent


async def test_two_swarms_of_one_parent_are_two_runs_and_a_loop_forks(corpus: Path, tmp_path: Path) -> None:
    store, one = tmp_path / "store.db", model()
    child = Swarm(one, store=store).compiled()

    async def turn(state: Asking) -> Asking:
        return {"question": "Which keys are there?"}

    def ends(state: Asking) -> str:
        return END if state["question"] != QUESTION else "turn"

    graph = StateGraph(Asking)
    for name in ("left", "right"):
        graph.add_node(name, child)
    graph.add_node("turn", turn)
    graph.add_edge(START, "left")
    graph.add_edge("left", "right")
    graph.add_conditional_edges("right", ends, ["turn", END])
    graph.add_edge("turn", "left")
    # the parent's own key keeps the two apart: without it each is named by its place
    unshared = StateGraph(Parent)
    unshared.add_node("left", child)
    unshared.add_node("right", child)
    unshared.add_edge(START, "left")
    unshared.add_edge("left", "right")
    unshared.add_edge("right", END)
    await unshared.compile().ainvoke(asks(corpus), at())
    assert runs(store) == {"1.left", "1.right"}
    await unshared.compile().ainvoke(asks(corpus, "Which keys are there?"), at())
    assert len(runs(store)) == 4
    assert {run.partition("~")[0] for run in runs(store)} == {"1.left", "1.right"}
    out = await graph.compile(checkpointer=InMemorySaver()).ainvoke(asks(corpus), at("2"))
    assert out["run_id"].startswith("2.left~")  # it shares `run_id`, so that right goes on with what left began
    assert nothing_twice(one)


async def test_one_node_that_is_sent_several_questions_at_once_has_a_run_for_each(
    corpus: Path, tmp_path: Path
) -> None:
    store, one = tmp_path / "store.db", model()
    child = Swarm(one, store=store).compiled()

    def fan(state: Several) -> list[Send]:
        return [Send("swarm", asks(corpus, f"Where is the key of house {n}?")) for n in range(4)]

    graph = StateGraph(Several)
    graph.add_node("swarm", child)
    graph.add_conditional_edges(START, fan, ["swarm"])
    app = graph.compile(checkpointer=InMemorySaver())
    await app.ainvoke({"seen": []}, at())
    first, calls = runs(store), len(one.calls)
    assert len(first) == 4
    assert {run.partition("~")[0] for run in first} == {"1.swarm"}
    await graph.compile(checkpointer=InMemorySaver()).ainvoke({"seen": []}, at())
    assert (runs(store), len(one.calls)) == (first, calls)


async def test_a_node_that_is_tried_again_pays_nothing_again(corpus: Path, tmp_path: Path) -> None:
    store, one = tmp_path / "store.db", model()
    child, left = Swarm(one, store=store).compiled(), [1]

    async def ask(state: Parent) -> Any:
        out = await child.ainvoke(asks(corpus))
        if left:
            left.pop()
            raise ConnectionError
        return {"answer": out["answer"]}

    graph = StateGraph(Parent)
    graph.add_node("ask", ask, retry_policy=RetryPolicy(initial_interval=0.01))
    graph.add_edge(START, "ask")
    await graph.compile(checkpointer=InMemorySaver()).ainvoke(asks(corpus), at())
    assert runs(store) == {"1.ask", "1.ask.1"}
    assert nothing_twice(one)


# Its events in the parent's stream


async def _events(graph: Any, given: Any, **settings: Any) -> list[Any]:
    return [part async for part in graph.astream(given, at(), version="v2", **settings)]


@pytest.mark.parametrize("modes", ["custom", ["values", "custom"]])
async def test_its_events_come_through_the_plain_stream_of_its_parent(
    corpus: Path, tmp_path: Path, modes: Any
) -> None:
    graph = parent(Swarm(model(), store=tmp_path / "store.db").compiled(), corpus, InMemorySaver())
    parts = await _events(graph, {"topic": "key"}, stream_mode=modes)
    types = [part["data"]["type"] for part in parts if part["type"] == "custom"]
    assert (types[0], types[-1]) == ("RunStarted", "Finished")
    assert types.count("SliceFinished") > 3
    assert all(part["ns"] == () for part in parts)


async def test_each_event_comes_once_whoever_listens(corpus: Path, tmp_path: Path) -> None:
    child = Swarm(model(), store=tmp_path / "store.db").compiled()
    heard = []

    async def inside(state: Asking) -> Asking:
        async for event in child.astream(asks(corpus), stream_mode="custom"):
            heard.append(event["type"])
        return {"answer": "seen"}

    async def asked(state: Asking) -> Asking:
        return {"answer": (await child.ainvoke(asks(corpus, fork="x")))["answer"]}

    graph = StateGraph(Asking)
    graph.add_node("inside", inside)
    graph.add_node("asked", asked)
    graph.add_edge(START, "inside")
    graph.add_edge("inside", "asked")
    graph.add_edge("asked", END)
    for subgraphs in (False, True):
        heard.clear()
        parts = await _events(graph.compile(), {}, stream_mode="custom", subgraphs=subgraphs)
        assert heard.count("Finished") == 1  # whoever streams it has its events, and the parent does not
        types = [part["data"]["type"] for part in parts]
        assert types.count("Finished") == 1
        assert all(bool(part["ns"]) == subgraphs for part in parts)


async def test_two_graphs_up_its_events_come_with_subgraphs(corpus: Path, tmp_path: Path) -> None:
    child = Swarm(model(), store=tmp_path / "store.db").compiled()
    graph = StateGraph(Parent)
    graph.add_node("inner", parent(child, corpus))
    graph.add_edge(START, "inner")
    graph.add_edge("inner", END)
    app = graph.compile(checkpointer=InMemorySaver())
    parts = await _events(app, {"topic": "key"}, stream_mode="custom", subgraphs=True)
    assert [part["data"]["type"] for part in parts].count("Finished") == 1
    assert runs(tmp_path / "store.db") == {"1.inner.swarm"}
    again = await app.ainvoke({"topic": "key"}, at())
    assert again["shown"].startswith("6 for $")


async def test_an_agents_tool_streams_through_the_agent(corpus: Path, tmp_path: Path) -> None:
    from langchain_core.messages import AIMessage
    from langgraph.prebuilt import ToolNode

    child = Swarm(model(), store=tmp_path / "store.db").compiled(Task(questions=(), paths=(str(corpus),)))

    @tool
    async def look(question: str) -> str:
        """Look for keys."""
        return str((await child.ainvoke({"question": question}))["answer"])

    class Talk(TypedDict, total=False):
        messages: list[Any]

    graph = StateGraph(Talk)
    graph.add_node("tools", ToolNode([look]))
    graph.add_edge(START, "tools")
    calls = [{"name": "look", "args": {"question": QUESTION}, "id": "1"}]
    given = {"messages": [AIMessage("", tool_calls=calls)]}
    parts = await _events(graph.compile(), given, stream_mode="custom")
    assert [part["data"]["type"] for part in parts].count("Finished") == 1
    assert runs(tmp_path / "store.db") == {"1.tools"}


# Killed


GIVEN: Any = {"question": "Who was the keeper of the lighthouse?"}


def asker(child: Any, saver: Any) -> Any:
    async def show(state: Parent) -> Parent:
        return {"shown": state["answer"]}

    graph = StateGraph(Parent)
    graph.add_node("swarm", child)
    graph.add_node("show", show)
    graph.add_edge(START, "swarm")
    graph.add_edge("swarm", "show")
    graph.add_edge("show", END)
    return graph.compile(checkpointer=saver)


VICTIM = """
import asyncio, os, signal, sys
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from swarm.run import Swarm
from swarm.task import Task
from tests.test_mounted import at
from tests.test_mounted_threads import GIVEN, asker

async def main(folder, corpus, url, durability):
    swarm = Swarm("openai:any", base_url=url, store=f"{folder}/store.db", window=5_500, concurrency=2)
    async with AsyncSqliteSaver.from_conn_string(f"{folder}/checkpoints.db") as saver:
        graph = asker(swarm.compiled(Task(questions=(), paths=(corpus,))), saver)
        seen = 0
        async for part in graph.astream(
            GIVEN, at("the thread"), stream_mode="custom", version="v2", durability=durability
        ):
            seen += part["data"]["type"] == "SliceFinished"
            if seen == 3:
                os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


def killed(folder: Path, corpus: Path, url: str, durability: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VICTIM, str(folder), str(corpus), url, durability],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OPENAI_API_KEY": "none"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("left", ["the parent's checkpoints", "no checkpoint"])
async def test_a_parent_killed_in_mid_dispatch_goes_on_with_the_very_same_run(
    tmp_path: Path, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIMULATED: the provider, in a process of its own, which counts what comes."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    corpus = write_corpus(tmp_path / "mills", 20)
    with Apart(latency=0.05) as provider:
        durability = "exit" if left == "no checkpoint" else "sync"
        await asyncio.to_thread(killed, tmp_path, corpus, provider.openai_url, durability)
        provider.wait_for(quiet=True)
        before = provider.counts()
        (run,) = runs(tmp_path / "store.db")
        if left == "the parent's checkpoints":  # as if the process had died before the first one of the subgraph
            with closing(sqlite3.connect(tmp_path / "checkpoints.db")) as saved:
                for table in ("checkpoints", "writes"):
                    assert saved.execute(f"DELETE FROM {table} WHERE checkpoint_ns != ''").rowcount > 0
                saved.commit()
        swarm = Swarm(
            "openai:any", base_url=provider.openai_url, store=tmp_path / "store.db", window=5_500, concurrency=2
        )
        async with AsyncSqliteSaver.from_conn_string(f"{tmp_path}/checkpoints.db") as saver:
            graph = asker(swarm.compiled(Task(questions=(), paths=(str(corpus),))), saver)
            given = GIVEN if left == "no checkpoint" else None
            out = await graph.ainvoke(given, at("the thread"))
        after = provider.counts()
    assert "Ida Lewis" in out["shown"]
    assert runs(tmp_path / "store.db") == {run}
    assert run.startswith("the-thread.swarm-")
    assert before["requests"] > 3
    again = after["requests"] - after["distinct"]
    assert again <= 2  # what was in flight when it was killed
    assert max(count for count, _ in after["contents"].values()) <= 2
