"""A swarm as a LangGraph graph: invoked, mounted, streamed, interrupted, resumed elsewhere, drained and forked;
what was answered is never paid again."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command

from swarm.coordinator import machine, steering
from swarm.errors import StoreInUse, UsageError
from swarm.models.base import Completion, Price
from swarm.models.scripted import Scripted
from swarm.orders import Order
from swarm.playback import replay
from swarm.program import Program
from swarm.prompts.typed import AnswerPrompt, JudgePrompt, Prompt, ReadPrompt, WorkPrompt
from swarm.run import Swarm
from swarm.store.mailbox import request
from swarm.store.opening import open_mailbox, open_store
from swarm.task import Limits, Task
from swarm.testing.postgres import LocalPostgres

PAID = Price(input_usd=2.0, output_usd=8.0, cached_usd=2.0)
QUESTION = "Under which stone does each key lie?"
KEY = re.compile(r"The key of house \d+ lies under stone \d+\.")


def keys(prompt: Prompt[Any]) -> Any:
    """A model that finds every key, and says what it found."""
    match prompt:
        case ReadPrompt():
            found = KEY.findall(" ".join(passage.text for passage in prompt.passages))
            return {"findings": [{"claim": key, "quote": key, "relevance": 0.9} for key in found]}
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt():
            statements = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": ["key"], "reading": "look for keys"}


class Held(Scripted):
    """Its readers wait after the first few of them, until they are let go."""

    def __init__(self, after: int, **settings: Any) -> None:
        super().__init__(keys, **settings)
        self.go_on, self.waits = asyncio.Event(), asyncio.Event()
        self.after = after

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if isinstance(prompt, ReadPrompt):
            self.after -= 1
            if self.after < 0:
                self.waits.set()
                await self.go_on.wait()
        return await super().call(prompt, max_output=max_output)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(6):
        lines = [f"House {number} has a room {n} that looks upon the river and the mill." for n in range(60)]
        lines.insert(30, f"The key of house {number} lies under stone {number * 7 + 3}.")
        (folder / f"house-{number}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


def model(**settings: Any) -> Scripted:
    return Scripted(keys, **({"window": 2_500, "price": PAID} | settings))


def at(thread: str = "1") -> Any:
    return {"configurable": {"thread_id": thread}}


def asks(corpus: Path, question: str = QUESTION, **more: Any) -> Any:
    return {"question": question, "paths": [str(corpus)], **more}


def sent(*models: Scripted) -> list[str]:
    """What was sent, one text for each call."""
    return [json.dumps(prompt.identity(), sort_keys=True) for one in models for prompt in one.calls]


def nothing_twice(*models: Scripted) -> bool:
    return len(sent(*models)) == len(set(sent(*models)))


def asked_of(out: dict[str, Any]) -> dict[str, Any]:
    (one,) = out["__interrupt__"]
    return dict(one.value)


def is_free(store: Path) -> bool:
    """Whether another process could open it."""
    script = "import sys; from swarm.store.opening import open_store; open_store(sys.argv[1]).close()"
    return subprocess.run([sys.executable, "-c", script, str(store)], capture_output=True).returncode == 0


# Alone


async def test_it_answers_in_plain_values(corpus: Path, tmp_path: Path) -> None:
    out = await Swarm(store=tmp_path / "store.db").compiled().ainvoke(asks(corpus, "Where is the key of house 3?"))
    assert json.loads(json.dumps(out)) == out
    assert "stone 24" in out["answer"]
    assert (out["status"], out["complete"], out["cost_usd"]) == ("answered", True, 0.0)
    assert out["coverage"]["chars_read"] == out["coverage"]["chars_total"]
    (cited,) = {(one["source"], one["line"]) for one in out["citations"] if "stone 24" in one["quote"]}
    assert cited == (str(corpus / "house-3.md"), 61)
    with open_store(tmp_path / "store.db") as store:
        assert store.journal.latest(out["run_id"], "answer") is not None


async def test_what_the_input_leaves_out_is_as_the_graph_was_made(corpus: Path, tmp_path: Path) -> None:
    task = Task(questions=(QUESTION,), paths=(str(corpus),), limits=Limits(calls=3))
    graph = Swarm(model(), store=tmp_path / "store.db").compiled(task)
    out = await graph.ainvoke({"run_id": "mine"})
    assert (out["run_id"], out["status"], out["limit"]) == ("mine", "partial", "calls")
    out = await graph.ainvoke({"run_id": "mine", "limits": {"calls": 1_000}})
    assert (out["run_id"], out["status"]) == ("mine", "answered")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing is asked: give a question"),
        ({"question": "?", "paths": "docs/"}, "paths: "),
        ({"question": "?", "output": "poem"}, "output: "),
        ({"question": "?", "limits": {"dollars": 3}}, "limits: dollars is none: give"),
        ({"question": "?", "limits": {"cost_usd": -1}}, r"limits\.cost_usd is -1"),
        ({"question": "?", "limits": {"calls": "many"}}, r"limits\.calls: "),
    ],
)
async def test_an_input_that_makes_no_sense_is_told_in_a_line(tmp_path: Path, given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        await Swarm(store=tmp_path / "store.db").compiled().ainvoke(given)


async def test_a_table_comes_in_cells(corpus: Path, tmp_path: Path) -> None:
    graph = Swarm(model(), store=tmp_path / "store.db").compiled()
    given = {"questions": ["Where is the key?"], "paths": [str(corpus)], "output": "table", "slicing": "source"}
    out = await graph.ainvoke(given)
    assert len(out["cells"]) == 6
    for cell in out["cells"]:
        assert KEY.fullmatch(cell["text"])
        assert out["citations"][cell["citations"][0]]["source"] == cell["item"]


async def test_the_checkpoints_stay_small_and_hold_no_live_object(corpus: Path, tmp_path: Path) -> None:
    saver = InMemorySaver()
    graph = Swarm(model(), store=tmp_path / "store.db").compiled(checkpointer=saver)
    await graph.ainvoke(asks(corpus), at())
    states = [state async for state in graph.aget_state_history(at())]
    assert [state.next for state in reversed(states)] == [
        ("__start__",), ("begin",), ("plan",), ("dispatch",), ("judge",), ("consolidate",), ("finish",), (),
    ]  # fmt: skip
    sizes = [len(json.dumps(state.values)) for state in states]
    assert max(sizes[1:]) < 1_000  # all but the last, which holds the answer
    assert sizes[0] < 10_000


async def test_the_same_question_is_answered_from_the_journal_and_another_is_another_run(
    corpus: Path, tmp_path: Path
) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(checkpointer=InMemorySaver())
    first = await graph.ainvoke(asks(corpus), at())
    calls = len(one.calls)
    assert await graph.ainvoke(asks(corpus), at()) == first
    assert len(one.calls) == calls
    other = await graph.ainvoke({"question": "Which key lies under which stone?"}, at())
    assert other["run_id"].startswith(first["run_id"] + "~")
    assert len(one.calls) > calls
    assert (await graph.ainvoke({"question": QUESTION}, at()))["run_id"] == first["run_id"]


# Streamed


async def test_events_come_through_the_custom_stream_without_content(corpus: Path, tmp_path: Path) -> None:
    graph = Swarm(model(), store=tmp_path / "store.db").compiled()
    parts = [part["data"] async for part in graph.astream(asks(corpus), stream_mode="custom", version="v2")]
    types = [part["type"] for part in parts]
    assert types[0] == "RunStarted"
    assert types[-1] == "Finished"
    assert types.count("SliceStarted") == types.count("SliceFinished") > 3
    assert {"CorpusReady", "Estimated", "SlicesPlanned", "PhaseChanged", "Spent"} <= set(types)
    text = json.dumps(parts)
    assert "lies under" not in text
    assert max(len(json.dumps(part)) for part in parts) < 1_000


# Mounted


class Parent(TypedDict, total=False):
    topic: str
    question: str
    paths: list[str]
    answer: str
    cost_usd: float
    shown: str


def parent(child: Any, corpus: Path, saver: Any = None) -> Any:
    async def before(state: Parent) -> Parent:
        return {"question": f"Where is the {state['topic']} of each house?", "paths": [str(corpus)]}

    async def after(state: Parent) -> Parent:
        return {"shown": f"{state['answer'].count('stone')} for ${state['cost_usd']:.2f}"}

    graph = StateGraph(Parent)
    graph.add_node("before", before)
    graph.add_node("swarm", child)
    graph.add_node("after", after)
    graph.add_edge(START, "before")
    graph.add_edge("before", "swarm")
    graph.add_edge("swarm", "after")
    graph.add_edge("after", END)
    return graph.compile(checkpointer=saver)


async def test_mounted_as_a_node_it_shares_keys_and_streams_through_its_parent(
    corpus: Path, tmp_path: Path
) -> None:
    graph = parent(Swarm(model(), store=tmp_path / "store.db").compiled(), corpus)
    parts = [
        part
        async for part in graph.astream(
            {"topic": "key"}, stream_mode=["custom", "values"], subgraphs=True, version="v2"
        )
    ]
    values = [part["data"] for part in parts if part["type"] == "values" and not part["ns"]]
    assert re.fullmatch(r"6 for \$0\.\d\d", values[-1]["shown"])
    assert "citations" not in values[-1]  # the parent has no such key
    events = [part for part in parts if part["type"] == "custom"]
    assert all(part["ns"][0].startswith("swarm:") for part in events)
    assert sum(part["data"]["type"] == "SliceFinished" for part in events) > 3


async def test_mounted_it_is_interrupted_and_resumed_through_its_parent(corpus: Path, tmp_path: Path) -> None:
    one, saver = model(), InMemorySaver()
    graph = parent(Swarm(one, store=tmp_path / "store.db").compiled(approve="plan"), corpus, saver)
    asked = asked_of(await graph.ainvoke({"topic": "key"}, at()))
    assert (asked["asks"], asked["plan"]["reading"]) == ("plan", "look for keys")
    assert is_free(tmp_path / "store.db")
    out = await graph.ainvoke(Command(resume={"approved": True}), at())
    assert out["shown"].startswith("6 for $")
    assert nothing_twice(one)


async def test_a_loop_of_its_parent_asks_on_without_paying_again(corpus: Path, tmp_path: Path) -> None:
    """The parent shares `run_id`, so that the second question is a fork of the first one's run."""

    class Looping(TypedDict, total=False):
        question: str
        paths: list[str]
        run_id: str
        answer: str
        seen: list[str]

    async def again(state: Looping) -> Looping:
        return {"question": "And the first one?", "seen": [*state.get("seen", []), state["run_id"]]}

    graph = StateGraph(Looping)
    graph.add_node("swarm", Swarm(model(), store=tmp_path / "store.db").compiled())
    graph.add_node("again", again)
    graph.add_edge(START, "swarm")
    graph.add_edge("swarm", "again")
    graph.add_conditional_edges("again", lambda state: "swarm" if len(state["seen"]) < 3 else END)
    out = await graph.compile().ainvoke(asks(corpus))
    first, second, third = out["seen"]
    assert second == third != first
    assert second.startswith(first + "~")


# Asked


async def test_a_budget_is_approved_before_anything_is_sent(corpus: Path, tmp_path: Path) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(approve="budget", checkpointer=InMemorySaver())
    asked = asked_of(await graph.ainvoke(asks(corpus, limits={"cost_usd": 1}), at()))
    assert one.calls == []
    assert (asked["asks"], asked["limits"]) == ("budget", {"cost_usd": 1.0})
    assert 0 < asked["likely"]["cost_usd"] < asked["most_usd"] <= 1.0
    assert asked["slices"] > 3
    out = await graph.ainvoke(Command(resume=True), at())
    assert (out["status"], nothing_twice(one)) == ("answered", True)
    assert out["cost_usd"] < 2 * asked["likely"]["cost_usd"]


@pytest.mark.parametrize("approve", ["budget", "plan"])
async def test_without_approval_nothing_more_is_sent(corpus: Path, tmp_path: Path, approve: Any) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(approve=approve, checkpointer=InMemorySaver())
    await graph.ainvoke(asks(corpus), at())
    out = await graph.ainvoke(Command(resume={"approved": False}), at())
    assert (out["status"], out["stopped"], out["complete"]) == ("partial", "not approved", False)
    assert [prompt.kind for prompt in one.calls] == ([] if approve == "budget" else ["plan"])
    out = await graph.ainvoke(asks(corpus), at())  # asked for again, it is shown again
    assert asked_of(out)["asks"] == approve


async def test_what_a_person_says_holds_from_then_on(corpus: Path, tmp_path: Path) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(approve="plan", checkpointer=InMemorySaver())
    run = asked_of(await graph.ainvoke(asks(corpus), at()))["run_id"]
    said = {"limits": {"calls": 5}, "instruction": "Leave house 4 alone."}
    out = await graph.ainvoke(Command(resume=said), at())
    assert (out["status"], out["limit"], out["usage"]["calls"] <= 5) == ("partial", "calls", True)
    with open_store(tmp_path / "store.db") as store:
        (record,) = store.journal.records(run, "instruction")
    assert record.body["text"] == "Leave house 4 alone."
    reads = [prompt for prompt in one.calls if isinstance(prompt, ReadPrompt)]
    assert reads
    assert all("Leave house 4 alone." in prompt.reading for prompt in reads)
    other = await graph.ainvoke({"question": "Which keys are there?"}, at())  # raised for that run alone
    assert "calls" not in asked_of(other)["limits"]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({"limits": {"dollars": 3}}, "limits: dollars is none"),
        ({"aproved": True}, "aproved: "),
        ("yes", "the reply: "),
        ({"instruction": "x" * 5_000}, "the instruction has 5,000 characters"),
    ],
)
async def test_a_reply_that_is_not_understood_is_asked_for_again(
    corpus: Path, tmp_path: Path, reply: Any, problem: str
) -> None:
    graph = Swarm(model(), store=tmp_path / "store.db").compiled(approve="budget", checkpointer=InMemorySaver())
    await graph.ainvoke(asks(corpus), at())
    again = asked_of(await graph.ainvoke(Command(resume=reply), at()))
    assert again["problem"].startswith(problem)
    assert (await graph.ainvoke(Command(resume=True), at()))["status"] == "answered"


async def test_a_limit_that_is_reached_may_be_raised(corpus: Path, tmp_path: Path) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(on_limit="ask", checkpointer=InMemorySaver())
    asked = asked_of(await graph.ainvoke(asks(corpus, limits={"calls": 5}), at()))
    assert (asked["asks"], asked["limit"]) == ("limit", "calls")
    assert asked["reason"] == "the limit of 5 calls is reached"
    assert (asked["left"], asked["spent"]["calls"]) == (asked["slices"], len(one.calls))
    again = asked_of(await graph.ainvoke(Command(resume=True), at()))
    assert "say which limits" in again["problem"]
    assert asked_of(await graph.ainvoke(Command(resume={"limits": {"calls": 6}}), at()))["spent"]["calls"] <= 6
    out = await graph.ainvoke(Command(resume={"limits": {"calls": 100}}), at())
    assert (out["status"], out["limit"], nothing_twice(one)) == ("answered", None, True)


async def test_a_limit_that_is_not_raised_ends_the_run_with_what_it_has(corpus: Path, tmp_path: Path) -> None:
    graph = Swarm(model(), store=tmp_path / "store.db").compiled(on_limit="ask", checkpointer=InMemorySaver())
    await graph.ainvoke(asks(corpus, limits={"calls": 6}), at())
    out = await graph.ainvoke(Command(resume=False), at())
    assert (out["status"], out["limit"], out["usage"]["calls"] <= 6) == ("partial", "calls", True)
    assert "lies under stone" in out["answer"]


async def test_who_asks_needs_a_checkpointer(corpus: Path, tmp_path: Path) -> None:
    one = model()
    with pytest.raises(UsageError, match="needs a checkpointer"):
        await Swarm(one, store=tmp_path / "store.db").compiled(approve="plan").ainvoke(asks(corpus))
    assert one.calls == []


# Stopped, and gone on with


@pytest.mark.parametrize("before", ["plan", "dispatch", "judge", "consolidate", "finish"])
async def test_it_goes_on_from_before_any_phase_with_nothing_open_meanwhile(
    corpus: Path, tmp_path: Path, before: str
) -> None:
    one, store = model(), tmp_path / "store.db"
    graph = Swarm(one, store=store).compiled(checkpointer=InMemorySaver())
    await graph.ainvoke(asks(corpus), at(), interrupt_before=[before])
    assert (await graph.aget_state(at())).next == (before,)
    open_store(store).close()
    out = await graph.ainvoke(None, at())
    assert (out["status"], out["answer"].count("stone"), nothing_twice(one)) == ("answered", 6, True)


async def test_a_drain_ends_the_reading_and_it_goes_on_later(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_POLL_SECONDS", 0.0)
    store, saver, control = tmp_path / "store.db", InMemorySaver(), RunControl()
    first, rest = model(), model()
    graph = Swarm(first, store=store, concurrency=1).compiled(checkpointer=saver)

    async def drain() -> None:
        async for part in graph.astream(asks(corpus), at(), stream_mode="custom", version="v2", control=control):
            if part["data"]["type"] == "SliceFinished":
                control.request_drain()

    with pytest.raises(GraphDrained):
        await drain()
    open_store(store).close()
    assert (await graph.aget_state(at())).next == ("dispatch",)
    out = await Swarm(rest, store=store).compiled(checkpointer=saver).ainvoke(None, at())
    assert (out["status"], out["stopped"], nothing_twice(first, rest)) == ("answered", None, True)
    kinds = [[prompt.kind for prompt in one.calls] for one in (first, rest)]
    assert kinds[0].count("read") < kinds[1].count("read")
    assert (kinds[0].count("answer"), kinds[1].count("plan")) == (0, 0)


@pytest.mark.parametrize("how", ["cancelled", "left", "failed"])
async def test_however_it_ends_the_store_is_free_and_it_goes_on(corpus: Path, tmp_path: Path, how: str) -> None:
    store, saver = tmp_path / "store.db", InMemorySaver()
    first = Held(3, window=2_500)
    graph = Swarm(first, store=store).compiled(checkpointer=saver)
    if how == "failed":
        first.go_on.wait = _broken  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="broken"):
            await graph.ainvoke(asks(corpus), at())
    elif how == "cancelled":
        running = asyncio.create_task(graph.ainvoke(asks(corpus), at()))
        await first.waits.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    else:
        stream = graph.astream(asks(corpus), at(), stream_mode="custom", version="v2")
        async with aclosing(stream) as parts:
            async for part in parts:
                if part["data"]["type"] == "SliceFinished":
                    break
    open_store(store).close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    rest = model(price=Price(input_usd=0.0, output_usd=0.0, cached_usd=0.0))
    out = await Swarm(rest, store=store).compiled(checkpointer=saver).ainvoke(None, at())
    assert out["status"] == "answered"
    assert nothing_twice(first, rest)


async def _broken() -> Any:
    raise RuntimeError("broken")


async def test_stopping_the_swarm_stops_its_graphs(corpus: Path, tmp_path: Path) -> None:
    one = Swarm(model(), store=tmp_path / "store.db", concurrency=1)
    stream = one.compiled().astream(asks(corpus), stream_mode=["custom", "values"], version="v2")
    async with aclosing(stream) as parts:
        async for part in parts:
            if part["type"] == "custom" and part["data"]["type"] == "SliceFinished":
                one.stop()
    assert (part["data"]["status"], part["data"]["stopped"]) == ("partial", "interrupted")


async def test_a_person_may_steer_and_stop_it_from_another_process(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steering, "POLL_SECONDS", 0.0)
    one, store = Held(3, window=2_500), tmp_path / "store.db"
    running = asyncio.create_task(
        Swarm(one, store=store, concurrency=2).compiled().ainvoke(asks(corpus, run_id="r"))
    )
    await one.waits.wait()
    with closing(open_mailbox(store)) as mailbox:
        for asked in (request("steer", text="Leave house 4 alone."), request("stop")):
            mailbox.post("r", asked)
            while mailbox.holds("r", asked.id):  # noqa: ASYNC110 - until the run has taken it
                await asyncio.sleep(0)
    one.go_on.set()
    out = await running
    assert (out["status"], out["stopped"]) == ("partial", "interrupted")
    with open_store(store) as opened:
        assert len(opened.journal.keys("r", "instruction")) == 1


VICTIM = """
import asyncio, os, signal, sys
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
sys.path.insert(0, {tests!r})
from test_mounted import Held, asks, at, keys, model
from swarm.run import Swarm

async def main(folder, what):
    one = Held(3, window=2_500, price=model().price) if what == "die reading" else model()
    async with AsyncSqliteSaver.from_conn_string(f"{{folder}}/checkpoints.db") as saver:
        graph = Swarm(one, store=f"{{folder}}/store.db").compiled(approve="plan", checkpointer=saver)
        given = asks({corpus!r}) if what == "die asking" else Command(resume=True)
        stream = graph.astream(given, at(), stream_mode="custom", version="v2", durability="sync")
        seen = 0
        async for part in stream:
            seen += part["data"]["type"] == "SliceFinished"
            if what == "die reading" and seen == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        print((await graph.aget_state(at())).next, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


def victim(corpus: Path, folder: Path, what: str) -> str:
    script = VICTIM.format(tests=str(Path(__file__).parent), corpus=str(corpus))
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), what],
        capture_output=True,
        text=True,
        env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout


async def test_killed_between_interrupt_and_resume_and_again_while_reading_it_goes_on_elsewhere(
    corpus: Path, tmp_path: Path
) -> None:
    assert victim(corpus, tmp_path, "die asking") == "('approve',)\n"
    victim(corpus, tmp_path, "die reading")
    rest = model()
    async with AsyncSqliteSaver.from_conn_string(f"{tmp_path}/checkpoints.db") as saver:
        graph = Swarm(rest, store=tmp_path / "store.db").compiled(approve="plan", checkpointer=saver)
        out = await graph.ainvoke(None, at())
    assert (out["status"], out["answer"].count("stone")) == ("answered", 6)
    kinds = [prompt.kind for prompt in rest.calls]
    assert "plan" not in kinds
    with open_store(tmp_path / "store.db") as store:
        read = len(store.journal.keys(out["run_id"], "report"))
    assert kinds.count("read") <= read - 3  # three were finished, and one that was in flight was sent again


# Forked


async def test_an_old_checkpoint_leads_where_the_journal_leads(corpus: Path, tmp_path: Path) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(checkpointer=InMemorySaver())
    first = await graph.ainvoke(asks(corpus), at())
    calls = len(one.calls)
    async for state in graph.aget_state_history(at()):
        if state.next and state.next != ("__start__",):
            out = await graph.ainvoke(None, state.config)
            if state.next != ("begin",):
                assert (out["run_id"], out["answer"]) == (first["run_id"], first["answer"])
    assert len(one.calls) == calls


@pytest.mark.parametrize("before", ["begin", "plan", "dispatch", "judge", "finish", None])
async def test_a_fork_is_a_run_of_its_own_that_pays_nothing_again(
    corpus: Path, tmp_path: Path, before: str | None
) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(checkpointer=InMemorySaver())
    first = await graph.ainvoke(asks(corpus, run_id="first"), at())
    calls = len(one.calls)
    states = [state async for state in graph.aget_state_history(at())]
    (old,) = [state for state in states if state.next == ((before,) if before else ())]
    forked = await graph.aupdate_state(old.config, {"fork": "other"})
    out = await graph.ainvoke(None, forked)
    assert out["run_id"].startswith("first~")
    assert (out["answer"], out["cost_usd"], len(one.calls)) == (first["answer"], 0.0, calls)
    with open_store(tmp_path / "store.db") as store:
        assert {account.run for account in store.journal.accounts()} == {"first", out["run_id"]}


async def test_a_changed_question_forks_and_pays_for_what_is_new_alone(corpus: Path, tmp_path: Path) -> None:
    one = model()
    graph = Swarm(one, store=tmp_path / "store.db").compiled(checkpointer=InMemorySaver())
    first = await graph.ainvoke(asks(corpus), at())
    states = [state async for state in graph.aget_state_history(at())]
    (old,) = [state for state in states if state.next == ("dispatch",)]
    out = await graph.ainvoke(None, await graph.aupdate_state(old.config, {"question": "Which keys are there?"}))
    assert out["run_id"] != first["run_id"]
    assert out["answer"].count("stone") == 6
    assert nothing_twice(one)
    calls = len(one.calls)
    back = await graph.ainvoke({"question": QUESTION}, at())
    assert (back["run_id"], back["answer"], len(one.calls)) == (first["run_id"], first["answer"], calls)


async def test_a_fork_of_an_approved_plan_is_approved_anew(corpus: Path, tmp_path: Path) -> None:
    graph = Swarm(model(), store=tmp_path / "store.db").compiled(approve="plan", checkpointer=InMemorySaver())
    first = asked_of(await graph.ainvoke(asks(corpus), at()))
    await graph.ainvoke(Command(resume=True), at())
    forked = await graph.aupdate_state(at(), {"fork": "other"})
    second = asked_of(await graph.ainvoke(None, forked))
    assert second["run_id"] != first["run_id"]


async def test_a_run_that_was_approved_and_forked_comes_out_the_same_from_its_journal(
    corpus: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    graph = Swarm(model(), store=store).compiled(approve="plan", on_limit="ask", checkpointer=InMemorySaver())
    await graph.ainvoke(asks(corpus, limits={"calls": 5}), at())
    await graph.ainvoke(Command(resume={"instruction": "Be short."}), at())
    first = await graph.ainvoke(Command(resume={"limits": {"calls": 50}}), at())
    assert (await replay(first["run_id"], store)).text == first["answer"]
    await graph.ainvoke(None, await graph.aupdate_state(at(), {"fork": "other"}))
    await graph.ainvoke(Command(resume=True), at())
    second = await graph.ainvoke(Command(resume={"limits": {"calls": 50}}), at())
    assert (await replay(second["run_id"], store)).text == second["answer"]


# Together


async def test_invocations_of_one_process_share_a_store(corpus: Path, tmp_path: Path) -> None:
    one, store = model(), tmp_path / "store.db"
    graph, other = Swarm(one, store=store).compiled(), Swarm(store=store).compiled()
    outs = await asyncio.gather(
        *(graph.ainvoke(asks(corpus, f"Which keys are there, and {n}?"), at(str(n))) for n in range(6)),
        *(other.ainvoke(asks(corpus, f"Where is the key of house {n}?"), at(f"other {n}")) for n in range(3)),
    )
    assert [out["status"] for out in outs] == ["answered"] * 9
    assert [out["answer"].count("stone") for out in outs[:6]] == [6] * 6
    assert len({out["run_id"] for out in outs}) == 9
    open_store(store).close()
    for out in outs:
        assert (await replay(out["run_id"], store)).text == out["answer"]


async def test_a_model_is_closed_by_the_last_who_uses_it(corpus: Path, tmp_path: Path) -> None:
    closed = []
    first = Held(1, window=2_500)

    async def close() -> None:
        closed.append(len(first.calls))

    first.close = close  # type: ignore[method-assign]
    swarm = Swarm(first, store=tmp_path / "store.db")
    running = asyncio.create_task(swarm.compiled().ainvoke(asks(corpus)))
    await first.waits.wait()
    await swarm.compiled().ainvoke({"paths": [str(corpus)], "output": "digest", "limits": {"slices": 0}})
    assert closed == []
    first.go_on.set()
    await running
    assert closed == [len(first.calls)]


async def test_on_postgresql_nothing_is_held_while_a_person_thinks(
    corpus: Path, tmp_path: Path, postgres: LocalPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, url = model(), postgres.database()
    graph = Swarm(one, store=url).compiled(approve="plan", checkpointer=InMemorySaver())
    run = asked_of(await graph.ainvoke(asks(corpus), at()))["run_id"]
    script = (
        "import sys; from swarm.store.opening import open_store; open_store(sys.argv[1]).journal.hold(sys.argv[2])"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script, url, run], check=True)
    out = await graph.ainvoke(Command(resume=True), at())
    assert (out["status"], nothing_twice(one)) == ("answered", True)


async def test_a_run_is_worked_by_one_invocation_at_a_time(corpus: Path, tmp_path: Path) -> None:
    first = Held(1, window=2_500)
    graph = Swarm(first, store=tmp_path / "store.db").compiled()
    running = asyncio.create_task(graph.ainvoke(asks(corpus, run_id="run")))
    await first.waits.wait()
    with pytest.raises(StoreInUse, match="the run run is at work in this process: wait, or"):
        await graph.ainvoke(asks(corpus, run_id="run"))
    with pytest.raises(StoreInUse, match="at work in this process"):
        await Swarm(store=tmp_path / "store.db").run(Task(questions=("?",), paths=(str(corpus),)), run_id="run")
    beside = await Swarm(store=tmp_path / "store.db").run(Task(questions=("?",), paths=(str(corpus),)))
    assert beside.complete
    first.go_on.set()
    assert (await running)["status"] == "answered"


# Work


STEPS = Program(
    orders=lambda: [
        Order(name=f"step {n}", objective=f"Do step {n}.", needs=(f"step {n - 1}",) if n else ()) for n in range(8)
    ],
    answer=lambda results: " ".join(results[f"step {n}"] for n in range(8)),
)


def step(prompt: Prompt[Any]) -> Any:
    assert isinstance(prompt, WorkPrompt)
    return {"status": "done", "result": prompt.objective.removeprefix("Do "), "summary": "It is done."}


async def test_work_is_approved_drained_and_gone_on_with_like_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_POLL_SECONDS", 0.0)
    one, control = Scripted(step, window=8_000, price=PAID), RunControl()
    swarm = Swarm(one, store=tmp_path / "store.db", concurrency=1)
    task = Task(questions=("Take all steps.",), paths=(), mode="work")
    graph = swarm.compiled(task, plan=STEPS, approve="plan", checkpointer=InMemorySaver())
    asked = asked_of(await graph.ainvoke({}, at()))
    assert (asked["plan"]["slices"], asked["plan"]["first"][1]["needs"]) == (8, ["step 0"])
    assert one.calls == []

    async def drain() -> None:
        resume: Any = Command(resume=True)
        async for part in graph.astream(resume, at(), stream_mode="custom", version="v2", control=control):
            if part["data"]["type"] == "SliceFinished":
                control.request_drain()

    with pytest.raises(GraphDrained):
        await drain()
    assert 0 < len(one.calls) < 8
    out = await graph.ainvoke(None, at())
    assert out["answer"] == " ".join(f"step {n}." for n in range(8))
    assert (out["complete"], len(one.calls)) == (True, 8)


async def test_a_limit_of_work_may_be_raised(tmp_path: Path) -> None:
    one = Scripted(step, window=8_000, price=PAID)
    task = Task(questions=("Take all steps.",), paths=(), mode="work", limits=Limits(calls=6))
    swarm = Swarm(one, store=tmp_path / "store.db")
    graph = swarm.compiled(task, plan=STEPS, on_limit="ask", checkpointer=InMemorySaver())
    asked = asked_of(await graph.ainvoke({}, at()))
    assert (asked["asks"], asked["limit"], asked["left"]) == ("limit", "calls", 8 - len(one.calls))
    out = await graph.ainvoke(Command(resume={"limits": {"calls": 20}}), at())
    assert (out["complete"], len(one.calls)) == (True, 8)


def test_the_schemas_tell_what_goes_in_and_out() -> None:
    graph = Swarm().compiled()
    assert {"question", "paths", "limits", "run_id", "fork"} <= graph.get_input_jsonschema()["properties"].keys()
    assert {"answer", "citations", "cost_usd"} <= graph.get_output_jsonschema()["properties"].keys()
    assert graph.get_context_jsonschema() is None
    drawn = graph.get_graph().draw_mermaid()
    assert all(name in drawn for name in ("begin", "approve", "plan", "dispatch", "judge", "finish"))
