"""What a model call costs beside the model: CPU, time and bytes a call, at 1k, 10k and 100k calls.

    python tests/bench/calls.py [--sizes 1000 10000 100000] [--send 1000 10000] [--out bench-results/calls.json]

A run of Swarm reads a file of records, a slice a record, 64 calls in flight, with limits in dollars, tokens and
calls. Everything is real (planning, prompts, limits, the journal, finding the quotes, the shared graph) but for
the model, which computes NOTHING: it returns a fixed reply, which reports nothing or one sentence of the record.
Its own CPU, for making that reply, is measured apart and taken off. What is measured is the phase of dispatch: all
threads of the process, the store's writer among them. Tokens are not counted: that belongs to the model.

Beside it, in the same run: the same number of calls that do nothing in a bare asyncio pool, which records nothing;
in a pool that records them in Swarm's journal and does no more; and as workers of LangGraph's `Send`, with its
async SQLite saver, with 64 in flight and with all. `Send` is measured to 10,000: it grows worse than linearly (see
the growth), and 100,000 do not come to an end in any time that a benchmark has. Neither Send nor the pool reads,
limits, checks or merges anything: the row that does what Send does is the pool with Swarm's journal.

Each figure is of a process of its own. The parts are measured one after the other, each alone, over 10,000 calls:
so they are a little cheaper than within the whole, and what is left over is dispatch, the engine, the events and
what the parts cost one another. Needs `pip install swarm-memory[bench]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import operator
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypedDict

import apsw

from swarm.coordinator.records import REPORT, corpus_of, plans_of
from swarm.events import Event, PhaseChanged
from swarm.graph.graph import SharedGraph
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate, key_of
from swarm.limits.rates import Rates
from swarm.models.base import Completion, Price
from swarm.prompts.render import render
from swarm.prompts.replies import ReadReply
from swarm.prompts.typed import Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.store.database import Database
from swarm.store.journal import Begun, Entry, Intent
from swarm.store.library import Library
from swarm.store.opening import open_store
from swarm.store.sqlite import SqliteJournal
from swarm.task import Limits, Report, Slice, Task, Usage
from swarm.worker.read import Brief, read

IN_FLIGHT = 64
QUESTION = "What does each record say of its pump?"
USAGE = Usage(calls=1, input_tokens=900, output_tokens=60, cost_usd=0.001)
NOTHING = '{"findings":[],"summary":"","open_questions":[]}'
LIMITS = Limits(cost_usd=1e6, tokens=10**12, calls=10**9, rounds=1)
PARTS = 10_000
JOURNAL = ("records", "calls", "outcomes", "runs")


class Silent:
    """A model that computes nothing. `finds` says whether its reply reports one sentence of the record, or none.
    It is a remote one, so that its calls pass a lane, and it costs money, so that dollars are limited."""

    name = lane = "silent"
    window, max_output = 8_000, 400
    selective, remote, revision = False, True, ""
    price = Price(input_usd=1.0, output_usd=2.0, cached_usd=0.1)

    def __init__(self, finds: bool) -> None:
        self.finds = finds
        self.first_call = 0.0
        """When it was called first, by the wall clock."""

    def count(self, prompt: Prompt[Any]) -> int:
        """Every adapter renders the prompt to count it; the counting itself belongs to the model."""
        render(prompt)
        return 900

    def ratio(self) -> float:
        return 1.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        self.first_call = self.first_call or time.time()
        await asyncio.sleep(0)
        assert isinstance(prompt, ReadPrompt)
        return self.reply(prompt)

    def reply(self, prompt: ReadPrompt) -> Completion:
        text = NOTHING
        if self.finds:
            sentence = prompt.passages[0].text.split('"text": "')[1].partition('"')[0]
            text = json.dumps(
                {
                    "findings": [{"claim": sentence, "quote": sentence, "relevance": 0.5}],
                    "summary": "",
                    "open_questions": [],
                }
            )
        return Completion(text=text, usage=USAGE)

    async def close(self) -> None:
        pass


def write_records(path: Path, count: int) -> None:
    with path.open("w") as out:
        for n in range(count):
            pump = f"pump {n * 7919 % 100_003} of hall {n % 97}"
            said = f"Record {n} says that {pump} was at {n % 13} bar on day {n % 365}."
            out.write(json.dumps({"id": n, "text": said}) + "\n")


def task_of(folder: Path, limits: Limits = LIMITS) -> Task:
    path = str(folder / "records.jsonl")
    return Task(questions=(QUESTION,), paths=(path,), output="table", slicing="record", limits=limits)


class Clock:
    """CPU of the process and wall seconds, from the first phase named to the next one after it."""

    def __init__(self, phase: str) -> None:
        self.phase, self.cpu, self.wall = phase, 0.0, 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, PhaseChanged):
            sign = -1 if event.phase == self.phase else 1 if self.cpu < 0 else 0
            self.cpu += sign * time.process_time()
            self.wall += sign * time.perf_counter()


# One row each, in a process of its own


async def whole(folder: Path, count: int, finds: bool) -> dict[str, float]:
    """A run of Swarm as `Swarm.run` makes it: its events go to a function and not, as in `stream`, to a queue."""
    write_records(folder / "records.jsonl", count)
    model, clock, store = Silent(finds), Clock("dispatch"), folder / "swarm.db"
    answer = await Swarm(model, store=store, concurrency=IN_FLIGHT)._run(task_of(folder), "bench", clock)
    assert answer.status == ("answered" if finds else "no_evidence"), answer
    assert (answer.usage.calls, answer.findings) == (count, count if finds else 0), answer
    journal, graph = stored(store)
    own = silence(folder, model)
    return {
        "cpu_us": 1e6 * clock.cpu / count - own,
        "wall_us": 1e6 * clock.wall / count,
        "model_us": own,
        "journal_bytes": journal / count,
        "graph_bytes": graph / count,
    }


def silence(folder: Path, model: Silent) -> float:
    """Microseconds that the model takes for its reply."""
    with open_store(folder / "swarm.db") as store:
        library, slices, brief = prepared(store.database, store.journal)
        prompts = [prompt_of(slice_, brief, library) for slice_ in slices[:1_000]]
    began = time.process_time()
    for prompt in prompts:
        model.reply(prompt)
    return 1e6 * (time.process_time() - began) / len(prompts)


def stored(store: Path) -> tuple[int, int]:
    """Bytes of the pages of the journal and of the graph, indexes included."""
    connection = apsw.Connection(str(store))
    tables: dict[str, str] = dict(connection.execute("SELECT name, tbl_name FROM sqlite_schema").fetchall())
    sizes: dict[str, int] = {}
    for name, size in connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
        table = str(tables.get(name, name)).partition("_index")[0]
        sizes[table] = sizes.get(table, 0) + size
    connection.close()
    library = ("sources", "blocks", "marks", "passages", "passage", "files", "cuts", "sqlite_schema")
    journal = sum(size for table, size in sizes.items() if table in JOURNAL)
    return journal, sum(size for table, size in sizes.items() if table not in (*JOURNAL, *library))


async def pool(count: int, work: Callable[[int], Awaitable[object]]) -> tuple[float, float]:
    """CPU and wall microseconds a call in a bare pool of tasks."""
    places = iter(range(count))

    async def worker() -> None:
        for number in places:
            await work(number)

    began, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(IN_FLIGHT):
            tasks.create_task(worker())
    return 1e6 * (time.process_time() - cpu) / count, 1e6 * (time.perf_counter() - began) / count


async def bare(_: Path, count: int) -> dict[str, float]:
    async def call(_: int) -> None:
        await asyncio.sleep(0)

    cpu, wall = await pool(count, call)
    return {"cpu_us": cpu, "wall_us": wall}


async def journal_alone(folder: Path, count: int) -> dict[str, float]:
    """A pool that begins each call in Swarm's journal, records its reply, and then a report."""
    with open_store(folder / "swarm.db") as store:
        cpu, wall = await pool(count, partial(journaled, SqliteJournal(store.database), {}))
    journal, _ = stored(folder / "swarm.db")
    return {"cpu_us": cpu, "wall_us": wall, "journal_bytes": journal / count}


async def journaled(journal: SqliteJournal, merges: dict[int, Any], number: int) -> None:
    key = f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}"
    await journal.finished_call(key)
    await journal.begin_call(Intent(run="bench", key=key, model="silent", kind="read", tokens=960, cost_usd=0.001))
    await asyncio.sleep(0)
    await journal.finish_call("bench", key, Completion(text=NOTHING, usage=USAGE))
    body = REPORT.dump_json(Report(slice=key, question=QUESTION), exclude_defaults=True)
    await journal.append("bench", Entry(kind="report", key=key, body=body), also=merges.get(number))


class State(TypedDict):
    replies: Annotated[list[str], operator.add]


async def send(folder: Path, count: int, in_flight: int | None) -> dict[str, float]:
    """LangGraph's own fan-out: `count` workers, each of which returns the fixed reply; None: all at once."""
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import Send

    async def work(_: Any) -> Any:
        await asyncio.sleep(0)
        return {"replies": [NOTHING]}

    graph = StateGraph(State)
    graph.add_node("work", work)
    graph.add_conditional_edges(START, lambda _: [Send("work", number) for number in range(count)], ["work"])
    graph.add_edge("work", END)
    async with aiosqlite.connect(folder / "send.db") as connection:
        compiled = graph.compile(checkpointer=AsyncSqliteSaver(connection))
        config: Any = {"configurable": {"thread_id": "bench"}, "max_concurrency": in_flight}
        began, cpu = time.perf_counter(), time.process_time()
        state = await compiled.ainvoke({"replies": []}, config)
        spent, took = time.process_time() - cpu, time.perf_counter() - began
    assert len(state["replies"]) == count
    size = sum(path.stat().st_size for path in folder.glob("send.db*"))
    return {"cpu_us": 1e6 * spent / count, "wall_us": 1e6 * took / count, "journal_bytes": size / count}


# The parts, each alone


def prepared(database: Database, journal: Any) -> tuple[Library, list[Slice], Brief]:
    """The slices of the run that was made here, and what their readers are told."""
    corpus = corpus_of(journal, "bench")
    assert corpus is not None
    (plan,) = plans_of(journal, "bench", corpus)
    brief = Brief(
        output="table", paths={source.id: source.path for source in corpus.sources}, max_findings=plan.most
    )
    return Library(database), list(plan.slices), brief


def prompt_of(slice_: Slice, brief: Brief, library: Library) -> ReadPrompt:
    return ReadPrompt(
        question=slice_.question,
        output=brief.output,
        passages=tuple(brief.passages(slice_.spans, library)),
        paths=brief.paths,
        tokens=slice_.tokens,
        max_findings=brief.max_findings,
    )


class Echo:
    """Stands where the gate does, and lets every prompt through to the model: the rest is the reader's work."""

    async def ask(self, model: Silent, prompt: ReadPrompt, *_: Any, **__: Any) -> ReadReply:
        model.count(prompt)
        key_of(model, prompt, 0)
        return ReadReply.model_validate_json(model.reply(prompt).text)


class Amnesic:
    """A journal that records nothing: what is left of a call is the gate, the limits and the lane."""

    begins_late = False

    async def finished_call(self, key: str) -> None:
        return None

    async def begin_call(self, intent: Intent) -> Begun:
        await asyncio.sleep(0)
        return Begun(state="new")

    async def finish_call(self, run: str, key: str, completion: Completion, intent: Intent | None = None) -> None:
        await asyncio.sleep(0)


async def parts(folder: Path, count: int, finds: bool) -> dict[str, float]:
    """Microseconds a call of each part, over the slices of a run that has been made."""
    row = await whole(folder, count, finds)
    model = Silent(finds)
    with open_store(folder / "swarm.db") as store:
        library, slices, brief = prepared(store.database, store.journal)
        reports: list[Report] = []
        began = time.process_time()
        for slice_ in slices:
            reports.append(await read(slice_, brief, library, Echo(), model))  # type: ignore[arg-type]
        reading = 1e6 * (time.process_time() - began) / count - row["model_us"]
        corpus = corpus_of(store.journal, "bench")
        sources = corpus.sources if finds and corpus is not None else ()
        prompts = [prompt_of(slice_, brief, library) for slice_ in slices]
    gate = await gate_alone(model, prompts) - row["model_us"]
    with open_store(folder / "alone.db") as store:
        journal, _ = await pool(count, partial(journaled, SqliteJournal(store.database), {}))
    with open_store(folder / "merged.db") as store:
        graph = SharedGraph(store.database, "bench")
        cpu = time.process_time()
        merges = {n: graph.change(slices[n], *sources, reports[n]) for n in range(count)}
        ahead = 1e6 * (time.process_time() - cpu) / count
        both, _ = await pool(count, partial(journaled, SqliteJournal(store.database), merges))
    found = {"reading": reading, "gate": gate, "journal": journal, "merge": ahead + both - journal}
    return row | found | {"rest": row["cpu_us"] - sum(found.values())}


async def gate_alone(model: Silent, prompts: list[ReadPrompt]) -> float:
    """Microseconds a call in the gate: limits and the lane. Its prompt is rendered and named in `Echo`."""
    journal: Any = Amnesic()
    gate = Gate(journal, "bench", Budget(LIMITS), Rates(), IN_FLIGHT, lambda _: None)
    model.count = lambda _: 900  # type: ignore[method-assign]
    named = time.process_time()
    for prompt in prompts:
        key_of(model, prompt, 0)
        ReadReply.model_validate_json(NOTHING)
    twice = 1e6 * (time.process_time() - named) / len(prompts)  # counted as reading already
    cpu, _ = await pool(len(prompts), lambda number: gate.ask(model, prompts[number]))
    return cpu - twice


# The table


ROWS: dict[str, Callable[[Path, int], Awaitable[dict[str, float]]]] = {
    "nothing": partial(whole, finds=False),
    "finding": partial(whole, finds=True),
    "journal": journal_alone,
    "bare": bare,
    "send": partial(send, in_flight=IN_FLIGHT),
    "send-all": partial(send, in_flight=None),
    "parts-nothing": partial(parts, finds=False),
    "parts-finding": partial(parts, finds=True),
}
NAMES = {
    "nothing": "Swarm, nothing reported",
    "finding": "Swarm, one finding each",
    "journal": "pool and Swarm's journal",
    "bare": "bare asyncio pool",
    "send": "LangGraph Send and saver",
    "send-all": "the same, all in flight",
}


def apart(name: str, count: int, times: int) -> dict[str, Any]:
    """A row by a process of its own: the medians of so many."""
    rows = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
            command = [sys.executable, __file__, "--measure", name, str(count), folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        rows.append(json.loads(done.stdout))
    return {"name": name, "calls": count} | {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def show(row: dict[str, Any], first: dict[str, Any] | None) -> None:
    growth = f"{row['cpu_us'] / first['cpu_us']:8.2f}" if first is not None else ""
    journal = f"{row['journal_bytes']:9,.0f}" if "journal_bytes" in row else " " * 9
    graph = f"{row['graph_bytes']:9,.0f}" if "graph_bytes" in row else " " * 9
    took = f"{row['cpu_us']:9.1f} {row['wall_us']:9.1f}"
    print(f"{NAMES[row['name']]:26} {row['calls']:8,} {took} {journal} {graph} {growth}", flush=True)


def machine() -> str:
    packages = ("swarm-memory", "langgraph", "langgraph-checkpoint-sqlite", "apsw")
    told = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {told}, load {os.getloadavg()[0]:.1f}"


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    print(machine())
    print(f"{'':26}    calls    CPU us   wall us   journal B   graph B   growth")
    for name in NAMES:
        sizes = options.send if name.startswith("send") else options.sizes
        first = None
        for count in sizes:
            row = apart(name, count, 1 if count > PARTS else options.times)
            rows.append(row)
            show(row, first)
            first = first or row
    known = {(row["name"], row["calls"]): row["cpu_us"] for row in rows}
    for count in options.send:
        for name in ("journal", "nothing", "finding"):
            if (name, count) in known:
                times, most = (known[one, count] / known[name, count] for one in ("send", "send-all"))
                said = f"Send takes {times:.1f} times the CPU of: {NAMES[name]}"
                print(f"at {count:,} calls, {said} (all in flight: {most:.1f})")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--send", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--times", type=int, default=3, help="processes of which the median is taken, to 10,000")
    parser.add_argument("--out", type=Path, default=Path("bench-results/calls.json"))
    parser.add_argument("--measure", nargs=3, metavar=("ROW", "CALLS", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, count, folder = options.measure
        json.dump(asyncio.run(ROWS[name](Path(folder), int(count))), sys.stdout)
        return
    rows = table(options)
    for name in ("parts-nothing", "parts-finding"):
        row = apart(name, PARTS, options.times)
        rows.append(row)
        told = ", ".join(f"{key} {row[key]:.0f}" for key in ("reading", "gate", "journal", "merge", "rest"))
        print(f"{NAMES[name.removeprefix('parts-')]}, {PARTS:,} calls, CPU us: {told}; whole {row['cpu_us']:.0f}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
