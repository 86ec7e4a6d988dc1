"""Planners that propose anything, workers that answer anything, judges that say anything: the run ends, within its
limits, with a clear account, and what was let in is accounted for to the last slice."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from swarm import Answer, Limits, Swarm, Task
from swarm.coordinator.restore import catch_up
from swarm.coordinator.work import pool
from swarm.coordinator.work.state import order_id
from swarm.errors import Unavailable
from swarm.events import SliceFinished, SliceStarted
from swarm.graph.graph import SharedGraph
from swarm.graph.rows import delete_graph
from swarm.limits import attempts
from swarm.models.base import Completion, Price
from swarm.models.scripted import Scripted
from swarm.playback import replay
from swarm.prompts.typed import AssessPrompt, OutlinePrompt, Prompt, WorkPrompt
from swarm.store.journal import Record
from swarm.store.opening import open_store
from tests.coordinator.work.conftest import assessed, order
from tests.coordinator.work.test_resumed import cut, moments

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "part", "part/a", "sub", "", " ", "a\n", "x" * 300])
STATUSES = st.sampled_from(["done", "done", "done", "continue", "blocked", "too_large"])
VERDICTS = st.sampled_from(["done", "replan", "stop"])
EXAMPLES = 24
SECONDS = 30.0  # a run that takes longer is taken to hang
_MOST = Limits(slices=30, calls=160, rounds=6, depth=2)


@dataclass(kw_only=True)
class Script:
    """What everyone says, each list over and over; `turns` are how often a call lets others go first."""

    plans: list[dict[str, Any]]
    works: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    turns: list[int]
    failing: list[bool]
    asked: Counter[str] = field(default_factory=Counter)

    def next(self, kind: str, of: list[Any]) -> Any:
        number = self.asked[kind]
        self.asked[kind] += 1
        return of[number % len(of)]

    def __call__(self, prompt: Prompt[Any]) -> Any:
        if self.next("any", self.failing) and self.asked["any"] % 5 == 0:
            return Unavailable("the server is overloaded")
        match prompt:
            case OutlinePrompt():
                plan = self.next("plan", self.plans)
                more = (order(f"n{n}", [f"n{n - 1}"] if n % 2 else []) for n in range(plan["more"]))
                return {"orders": [*plan["orders"], *more], "drop": plan["drop"], "reason": plan["reason"]}
            case WorkPrompt():
                return self.next("work", self.works)
            case AssessPrompt():
                return self.next("judge", self.verdicts)
        return {"answerable": False, "short": None, "statements": []}


proposals = st.builds(
    lambda name, needs, objective, kind, sources, priority: order(
        name, needs, objective=objective, kind=kind, sources=sources, priority=priority
    ),
    NAMES,
    st.lists(NAMES, max_size=3),
    st.sampled_from(["make it", "make that", "look", "", "all of it"]),
    st.sampled_from(["work", "work", "work", "plan"]),
    st.sampled_from([[], [], [], ["none.md"]]),
    st.integers(-3, 3),
)
outlines = st.builds(
    lambda orders, more, drop: {
        "orders": orders,
        "more": more,
        "drop": [{"name": name, "reason": "not wanted"} for name in drop],
        "reason": "so",
    },
    st.lists(proposals, max_size=5),
    st.sampled_from([0, 0, 0, 0, 3, 250]),
    st.lists(NAMES, max_size=3),
)
replies = st.builds(
    lambda status, result, notes, proposed: {
        "status": status,
        "result": result,
        "summary": result,
        "notes": notes,
        "proposed": [{"name": name, "objective": "more", "sources": []} for name in proposed],
    },
    STATUSES,
    st.sampled_from(["one", "two is here", ""]),
    st.sampled_from(["go on", "still at it", "the rest", ""]),
    st.lists(NAMES, max_size=2),
)
judgements = st.builds(
    assessed,
    VERDICTS,
    st.sampled_from(["more of a", "b", "", "the end"]),
)
scripts = st.builds(
    Script,
    plans=st.lists(outlines, min_size=1, max_size=4),
    works=st.lists(replies, min_size=1, max_size=5),
    verdicts=st.lists(judgements, min_size=1, max_size=3),
    turns=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    failing=st.lists(st.booleans(), min_size=1, max_size=6),
)


class Watched(Scripted):
    """Lets others go first, and looks whether a place stands idle meanwhile."""

    def __init__(self, script: Script, seen: Seen) -> None:
        cost = float(script.turns[0] % 2)
        super().__init__(script, price=Price(input_usd=cost, output_usd=cost, cached_usd=cost))
        self._script, self._seen = script, seen

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        for _ in range(self._script.next("turn", self._script.turns)):
            await asyncio.sleep(0)
        if self._seen.idle():
            began = len(self._seen.started)
            for _ in range(4):
                await asyncio.sleep(0)
            self._seen.idled += self._seen.idle() and began == len(self._seen.started)
        return await super().call(prompt, max_output=max_output)


@dataclass
class Seen:
    """What was seen of a run on its way."""

    places: int
    pools: list[pool.Pool] = field(default_factory=list)
    idled: int = 0
    started: list[str] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    early: list[str] = field(default_factory=list)

    def idle(self) -> bool:
        """Whether a place is free and something is ready: only until all who were told of it had their turn."""
        return any(
            one.desk.stopped is None and one.plan.agenda.ready > 0 and one.plan.running < self.places
            for one in self.pools
        )


async def run(script: Script, store: Path, places: int, limits: Limits, seen: Seen) -> Answer:
    task = Task(questions=("Make it",), paths=(), mode="work", limits=limits)
    swarm = Swarm(Watched(script, seen), store=store, concurrency=places)
    answer = None
    async with asyncio.timeout(SECONDS), swarm.stream(task, run_id="run") as events:
        async for event in events:
            match event:
                case SliceStarted():
                    seen.started.append(event.slice.id)
                    seen.early += [need for need in event.slice.needs if need not in seen.finished]
                case SliceFinished():
                    seen.finished.add(event.slice.id)
                case _ if hasattr(event, "answer"):
                    answer = event.answer
    assert answer is not None
    return answer


async def again(store: Path) -> Answer:
    async with asyncio.timeout(SECONDS):
        return await replay("run", store)


def ledger(records: list[Record], answer: Answer, sessions: int = 1) -> None:
    """Every order that was proposed is let in or refused with a reason; each that was let in came to one end."""
    by_kind: dict[str, dict[str, Record]] = {}
    for record in records:
        by_kind.setdefault(record.kind, {})[record.key] = record
    for record in by_kind.get("planned", {}).values():
        body = record.body
        assert body["proposed"] == len(body["orders"]) + len(body["refused"])
        assert all(reason.strip() for _, reason in body["refused"])
        assert all(name in by_kind["slice"] for name in body["orders"])
    let_in = set(by_kind.get("slice", {}))
    assert let_in == {name for one in by_kind.get("planned", {}).values() for name in one.body["orders"]}
    reported = {name for name in let_in if order_id(name) in by_kind.get("report", {})}
    dropped = set(by_kind.get("dropped", {}))
    assert dropped <= let_in
    assert not reported & dropped
    failed = {key.partition(":")[0] for key in by_kind.get("failure", {})}
    assert sessions > 1 or not failed & {order_id(name) for name in reported}  # it is tried again
    assert failed <= {order_id(name) for name in let_in}
    if answer.stopped is None:
        assert answer.complete
        assert let_in == reported | dropped
    else:
        assert answer.status == "partial"
        assert answer.stopped.strip()
        assert "\n" not in answer.stopped
    assert answer.slices == len(reported)


def rebuilt(path: Path) -> str:
    """The fingerprint of the graph, made again from the journal alone."""
    with open_store(path) as store:
        for (num,) in store.database.read("SELECT num FROM graphs WHERE run = 'run'"):
            store.database.write_sync(lambda connection, num=num: delete_graph(connection, num))
    with open_store(path) as store:
        graph = SharedGraph(store.database, "run")
        catch_up(store.journal, graph)
        return graph.fingerprint()


@given(script=scripts, places=st.sampled_from([1, 2, 5]), bounded=st.booleans())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_said_the_run_ends_with_a_clear_account(script: Script, places: int, bounded: bool) -> None:
    limits = _MOST if bounded else Limits(slices=40, rounds=5, depth=2)
    seen = Seen(places)
    with tempfile.TemporaryDirectory(prefix="swarm-fuzz-") as folder, pytest.MonkeyPatch.context() as patch:
        watched(patch, seen)
        store = Path(folder) / "swarm.db"
        answer = asyncio.run(run(script, store, places, limits, seen))
        with open_store(store, read_only=True) as opened:
            records = list(opened.journal.history("run"))
        ledger(records, answer)
        assert answer.usage.calls <= (limits.calls or 4_000)
        assert len(seen.started) == len(set(seen.started)) <= (limits.slices or 0)
        assert not seen.early
        assert not seen.idled
        assert asyncio.run(again(store)).graph == answer.graph
        assert rebuilt(store) == answer.graph


@given(script=scripts, places=st.sampled_from([1, 3]), where=st.integers(0, 10_000))
@settings(
    max_examples=EXAMPLES // 3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_so_does_one_that_was_killed_and_goes_on(script: Script, places: int, where: int) -> None:
    limits = Limits(slices=15, rounds=4, depth=2)
    with tempfile.TemporaryDirectory(prefix="swarm-fuzz-") as folder, pytest.MonkeyPatch.context() as patch:
        watched(patch, Seen(places))
        whole, store = Path(folder) / "whole.db", Path(folder) / "swarm.db"
        asyncio.run(run(script, whole, places, limits, Seen(places)))
        at = moments(whole)
        cut(whole, at[where % len(at)], store)
        seen = Seen(places)
        watched(patch, seen)
        answer = asyncio.run(run(script, store, places, limits, seen))
        with open_store(store, read_only=True) as opened:
            ledger(list(opened.journal.history("run")), answer, sessions=2)
        assert len(seen.started) == len(set(seen.started))
        assert not seen.idled
        assert asyncio.run(again(store)).graph == answer.graph
        assert rebuilt(store) == answer.graph


def watched(patch: pytest.MonkeyPatch, seen: Seen) -> None:
    """Have the next pool seen, and no call waited for."""
    original = pool.Pool.__init__

    def init(self: pool.Pool, *arguments: Any) -> None:
        original(self, *arguments)
        seen.pools.append(self)

    patch.setattr(pool.Pool, "__init__", init)
    patch.setattr(attempts, "ATTEMPTS", 2)
    patch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)
