"""The plan as a tree: what comes first, what is left out and said, and that its size is no matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarm.cli.watching.frame import Row
from swarm.cli.watching.tree import MOST_ROWS, Tree, Wish
from swarm.cli.watching.words import Names
from swarm.coordinator.records import Plan as Planned
from swarm.coordinator.records import corpus_entry, make_slice, plan_entry
from swarm.coordinator.work.state import order_id
from swarm.inspect.calls import Calls
from swarm.inspect.follow import Cost
from swarm.inspect.names import Names as Called
from swarm.inspect.plan import Plan, Seen
from swarm.prompts.replies import PlanReply
from swarm.source import Corpus, Source, Span
from swarm.store.journal import Entry, Record

NOW = 1_000.0


class Counted(dict[str, Seen]):
    """Slices, with how often any was looked at."""

    looks = 0

    def __getitem__(self, id_: str) -> Seen:
        self.looks += 1
        return super().__getitem__(id_)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("nobody walks through all slices")

    values = items = keys = __iter__  # type: ignore[assignment]


def record(kind: str, key: str, at: float = 0.0, body: dict[str, Any] | None = None) -> Record:
    return Record(seq=0, run="r", kind=kind, key=key, at=at, body=body or {})


def worked(orders: dict[str, list[str]], plan: Plan | None = None) -> Plan:
    """A plan of orders by the branch that they are in; those that are branches themselves are planned further."""
    plan = plan or Plan()
    for branch, names in orders.items():
        for name in names:
            body = {"objective": f"Make {name}."}
            body |= {"branch": branch} if branch else {}
            body |= {"kind": "plan"} if name in orders else {}
            plan.fold(record("slice", name, body=body))
    return plan


def tree_of(plan: Plan, costs: dict[tuple[str, str, str], Cost] | None = None) -> Tree:
    calls = Calls()
    calls.models.number("m")
    calls.kinds.number("work")
    return Tree(plan, calls, costs or {}, Names(Called(plan)))


def told(rows: tuple[Row, ...]) -> list[str]:
    return [
        f"{'  ' * row.depth}{row.kind} {row.name or row.more}{f' {row.state}' if row.state else ''}"
        for row in rows
    ]


def test_planners_are_branches_inside_of_branches() -> None:
    plan = worked({"": ["roof", "walls"], "walls": ["north", "south"]})
    plan.goal = "A house."
    plan.at_work(order_id("south"), 990.0)
    plan.fold(record("report", order_id("roof"), 995.0))
    rows = tree_of(plan, {("m", "work", "walls"): Cost(cost_usd=0.5)}).rows(Wish(), NOW)
    assert told(rows) == [
        "branch the task",
        "  branch Make walls. ready",
        "    slice south running",
        "    slice north ready",
        "  slice roof done",
    ]
    assert rows[1].cost_usd == 0.5
    assert rows[1].slice == order_id("walls")
    assert dict(rows[0].counts) == {"ready": 1, "done": 1}
    assert rows[2].seconds == 10.0


def test_branches_are_opened_and_closed() -> None:
    plan = worked({"": ["walls"], "walls": ["north"]})
    tree = tree_of(plan)
    wish = Wish().turn("walls", True)
    assert told(tree.rows(wish, NOW)) == ["branch the task", "  branch Make walls. ready"]
    assert told(tree.rows(wish.turn("walls", False), NOW))[-1] == "    slice north ready"
    assert told(tree.rows(Wish().turn("", True), NOW)) == ["branch the task"]


def test_many_nested_branches_are_closed_until_they_are_asked_for() -> None:
    many = [f"part {n}" for n in range(100)]
    plan = worked({"": many} | {name: [f"{name} a"] for name in many})
    tree = tree_of(plan)
    assert {row.kind for row in tree.rows(Wish(), NOW)[1:]} == {"branch"}
    rows = tree.rows(Wish().turn("part 7", False), NOW)
    assert "    slice part 7 a ready" in told(rows)
    assert len(rows) == 102


def test_fifty_thousand_slices_are_a_few_lines_and_a_few_looks() -> None:
    names = [f"piece {n}" for n in range(50_000)]
    plan = worked({"": names})
    for n in range(8):
        plan.at_work(order_id(f"piece {40_000 + n}"), 900.0 + n)
    plan.fold(record("failure", f"{order_id('piece 3')}:1", 910.0, {"failure": "no reply"}))
    for n in range(100, 200):
        plan.fold(record("report", order_id(f"piece {n}"), 920.0))
    counted = Counted(plan.slices)
    plan.slices = counted
    tree = tree_of(plan)
    rows = tree.rows(Wish(), NOW)
    assert [row.state for row in rows[1:11]] == ["running"] * 8 + ["failed", "done"]
    assert [row.name for row in rows[1:3]] == ["piece 40000", "piece 40001"], "who is longest at work comes first"
    assert rows[10].name == "piece 199", "then what was settled last"
    assert (rows[-1].kind, rows[-1].more, len(rows)) == ("more", 49_960, 42)
    assert counted.looks < 200
    more = tree.rows(Wish().with_more(""), NOW)
    assert (more[-1].kind, more[-1].more, len(more)) == ("more", 49_880, 122)
    for _ in range(9):
        more = tree.rows(Wish(more=("",) * 9), NOW)
    assert len(more) == 482 < MOST_ROWS
    assert counted.looks < 9_000


def test_a_thousand_branches_are_no_more_than_a_screen_can_scroll() -> None:
    many = [f"part {n}" for n in range(1_000)]
    plan = worked({"": many} | {name: [f"{name} a"] for name in many})
    assert len(tree_of(plan).rows(Wish(), NOW)) == MOST_ROWS


def test_what_failed_is_known_until_it_is_tried_again() -> None:
    plan = worked({"": ["one", "two"]})
    for name in ("two", "one"):
        plan.fold(record("failure", f"{order_id(name)}:1", 9.0, {"failure": "no reply"}))
    assert list(plan.failed) == list(plan.branches[""].failed) == [order_id("two"), order_id("one")]
    plan.fold(record("session", "2", 20.0))
    assert not plan.failed
    assert not plan.branches[""].failed
    assert dict(plan.states + plan.branches[""].states) == {"ready": 4}
    plan.fold(record("report", order_id("two"), 21.0))
    assert plan.branches[""].latest[-1] == order_id("two")


def test_a_slice_that_reads_is_called_by_what_it_reads() -> None:
    plan = Plan()
    paths = ("/data/deep/a.md", "/data/deep/b.md")
    sources = tuple(Source(id=f"s{n}", path=path, media="text", chars=1_000, bytes=1_000)
                    for n, path in enumerate(paths))  # fmt: skip
    corpus = Corpus(sources=sources)
    slices = (
        make_slice("Who?", (Span("s0", 0, 250),), 60),
        make_slice("Who?", (Span("s0", 250, 1_000), Span("s1", 0, 10)), 60),
        make_slice("Who?", (Span("s1", 0, 1_000),), 60, item="Ada"),
    )
    planned = Planned(round=1, slices=slices, advice=PlanReply(queries=[], reading=""), budget=1, most=1)
    for entry in (corpus_entry(corpus), plan_entry(planned, corpus)):
        plan.fold(record(entry.kind, entry.key, body=of(entry)))
    assert [row.name for row in tree_of(plan).rows(Wish(), NOW)] == [
        "Who?", "a.md 0–25%", "a.md 25–100% and 1 more", "Ada: b.md",
    ]  # fmt: skip


def of(entry: Entry) -> dict[str, Any]:
    assert isinstance(entry.body, dict)
    return entry.body
