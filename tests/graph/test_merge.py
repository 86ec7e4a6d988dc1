"""Merging is a join: whatever the order, the repetition and the partition, the graph is the same."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.graph.export import write_json
from swarm.graph.graph import MAX_EVIDENCE, SharedGraph
from swarm.graph.identity import decision_id, finding_id
from swarm.graph.load import join
from swarm.graph.nodes import Part, Removal, Verdict
from swarm.source import Source, Span
from swarm.store.database import Database
from swarm.task import Decision, Finding, Report, Slice

Build = Callable[..., SharedGraph]

spans = st.builds(Span, st.sampled_from(["sa", "sb", "sc"]), st.integers(0, 50), st.integers(51, 90))

CLAIMS = (
    "The mill burnt in 1812.", "the mill  burnt in 1812", "In 1812 the mill burnt.", "The mill stood.",
    "The mill has 12 wheels.", "The mill has 13 wheels.", "The mill did not burn.", "Ann owns the mill.",
)  # fmt: skip


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    claim = draw(st.sampled_from(CLAIMS))
    value = draw(st.sampled_from([None, None, "12", "13"]))
    subject, attribute = ("the mill", "wheels") if value else (None, None)
    time = draw(st.sampled_from([None, "1812", "May 1813"])) if value else None
    return Finding(
        id=finding_id(claim, subject, attribute, value, time),
        claim=claim,
        evidence=tuple(sorted(set(draw(st.lists(spans, min_size=1, max_size=3))))),
        relevance=draw(st.sampled_from([0.1, 0.5, 0.9])),
        subject=subject,
        attribute=attribute,
        value=value,
        time=time,
    )


def decided(text: str) -> Decision:
    about = (finding_id(CLAIMS[0]),)
    return Decision(id=decision_id(text, about), text=text, about=about)


QUESTIONS = {"p1": "What burnt?", "p2": "What burnt?", "p3": "Who owns it?", "p4": "Who owns it?"}


def report(name: str, **more: Any) -> Report:
    return Report(slice=name, question=QUESTIONS[name], **more)


reports = st.builds(
    report,
    name=st.sampled_from(list(QUESTIONS)),
    findings=st.lists(findings(), max_size=4).map(tuple),
    rejected=st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple),
    open_questions=st.lists(st.sampled_from(["Who lit it?", "When?"]), max_size=1).map(tuple),
    decisions=st.lists(st.sampled_from(["Rebuild it.", "Leave it."]).map(decided), max_size=1).map(tuple),
    failure=st.sampled_from([None, None, "overloaded"]),
    summary=st.sampled_from(["", "A mill.", "Wheels."]),
)
sources = st.builds(
    Source,
    id=st.sampled_from(["sa", "sb", "sc"]),
    path=st.sampled_from(["a.md", "b.md", "z/c.md"]),
    media=st.just("text"),
    chars=st.just(90),
    bytes=st.just(90),
)
slices = st.builds(
    lambda id_, source: Slice(
        id=id_,
        question="What burnt?",
        spans=(Span(source, 0, 90),),
        tokens=20,
        parent="p0" if id_ == "p2" else None,
    ),
    st.sampled_from(["p1", "p2"]),
    st.just("sb"),
)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    one, other = sorted(finding_id(claim) for claim in draw(st.sampled_from([CLAIMS[3:5], CLAIMS[4:6]])))
    judgement = draw(st.sampled_from(["same", "contradicts", "supersedes", "compatible"]))
    later = draw(st.sampled_from([one, other])) if judgement == "supersedes" else None
    return Verdict(one=one, other=other, judgement=judgement, later=later)


parts = st.one_of(reports, reports, reports, sources, slices, verdicts(), st.builds(Removal, source=st.just("sb")))


def shown(graph: SharedGraph) -> object:
    """All of a graph, derived edges and the shape of its tree included, but for what names the run."""
    out = io.StringIO()
    write_json(graph, out)
    data = json.loads(out.getvalue())
    del data["graph"]["run"]
    tree = graph.database.read("SELECT level, place FROM tree WHERE graph = ? ORDER BY 1, 2", (graph.num,))
    return data, tree


@settings(max_examples=60, deadline=None)
@given(st.lists(parts, max_size=12), st.randoms(), st.booleans())
def test_parts_in_any_order_repeated_and_in_any_grouping_give_the_same_graph(
    build: Build, many: list[Part], chance: random.Random, together: bool
) -> None:
    again = many + [chance.choice(many) for _ in range(5) if many]
    chance.shuffle(again)
    one, other = build(many), build(again, together=together)
    assert one.fingerprint() == other.fingerprint()
    assert shown(one) == shown(other)
    assert len(one) == len(other)


@settings(max_examples=30, deadline=None)
@given(st.lists(parts, max_size=12), st.data())
def test_graphs_built_apart_join_to_the_same_graph_in_any_grouping(
    build: Build, many: list[Part], data: st.DataObject
) -> None:
    places = [data.draw(st.integers(0, 2)) for _ in many]
    apart = [build([part for part, place in zip(many, places, strict=True) if place == n]) for n in range(3)]
    left, right = build(), build()
    for part in apart:
        join(left, part)
    for part in [*reversed(apart), *apart]:
        join(right, part)
    assert left.fingerprint() == right.fingerprint() == build(many).fingerprint()
    assert shown(left) == shown(right)


@settings(max_examples=40, deadline=None)
@given(st.lists(reports, max_size=8))
def test_no_evidence_is_lost_and_none_is_made_up(build: Build, many: list[Report]) -> None:
    graph = build(many)
    for finding in {finding.id: finding for report in many for finding in report.findings}.values():
        row = graph.row(finding.id)
        assert row is not None
        says_the_same = {row.id, *(other.id for other in graph.rows(graph._followers([row.num]).get(row.num, [])))}
        reported = {s for report in many for f in report.findings if f.id in says_the_same for s in f.evidence}
        assert set(graph[finding.id].evidence) == reported


@settings(max_examples=40, deadline=None)
@given(st.lists(parts, max_size=10))
def test_the_fingerprint_is_that_of_the_facts_counted_anew(build: Build, many: list[Part]) -> None:
    graph = build(many)
    again = build()
    join(again, graph)
    assert again.fingerprint() == graph.fingerprint()


async def test_reports_merged_at_the_same_time_give_the_same_graph(database: Database, build: Build) -> None:
    many = [
        Report(slice=f"p{n}", question="q", findings=(Finding(id=f"f{n % 7}", claim=f"c{n % 7}", evidence=(
            Span("s", n, n + 1),)),))
        for n in range(60)
    ]  # fmt: skip
    graph = SharedGraph(database, "at once")
    async with asyncio.TaskGroup() as tasks:
        for report in many:
            tasks.create_task(graph.merge(report))
    assert graph.fingerprint() == build(many[::-1]).fingerprint()


def test_a_graph_of_another_fact_has_another_fingerprint(build: Build) -> None:
    finding = Finding(id="f1", claim="c", evidence=(Span("a", 0, 3),), relevance=0.5)
    prints = {
        build([Report(slice="p", question="q", findings=(changed,))]).fingerprint()
        for changed in (
            finding,
            Finding(id="f2", claim="c", evidence=(Span("a", 0, 3),), relevance=0.5),
            Finding(id="f1", claim="c", evidence=(Span("a", 0, 4),), relevance=0.5),
            Finding(id="f1", claim="c", evidence=(Span("a", 0, 3),), relevance=0.6),
        )
    }
    assert len(prints) == 4


def test_what_is_shown_of_the_evidence_is_bounded_whatever_the_order(build: Build) -> None:
    many = [
        Report(slice=str(n), question="q", findings=(Finding(id="f", claim="c", evidence=(Span("s", n, n + 1),)),))
        for n in range(3 * MAX_EVIDENCE)
    ]
    one, other = build(many, together=True), build(many[::-1], together=True)
    assert one["f"].evidence == other["f"].evidence
    assert len(one["f"].evidence) == MAX_EVIDENCE


def test_a_slice_that_failed_and_then_succeeded_counts_as_done(build: Build) -> None:
    failed = Report(slice="p", question="q", failure="overloaded")
    done = Report(slice="p", question="q")
    assert build([failed, done]).fingerprint() == build([done]).fingerprint() != build([failed]).fingerprint()
