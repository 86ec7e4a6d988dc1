"""Merging is a join: whatever the order, the repetition and the partition, the graph is the same."""

import random

from hypothesis import given
from hypothesis import strategies as st

from swarm.graph.graph import MAX_EVIDENCE, SharedGraph
from swarm.graph.identity import finding_id
from swarm.source import Span
from swarm.task import Finding, Report

spans = st.builds(Span, st.sampled_from("abc"), st.integers(0, 50), st.integers(51, 90))


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    word = draw(st.sampled_from(["the mill burnt", "the mill  burnt.", "the mill stood", "12 mills", "13 mills"]))
    value = draw(st.sampled_from([None, "12", "13"]))
    return Finding(
        id=finding_id(word, value=value),
        claim=word,
        evidence=tuple(sorted(set(draw(st.lists(spans, min_size=1, max_size=4))))),
        relevance=draw(st.sampled_from([0.1, 0.5, 0.9])),
        value=value,
    )


reports = st.builds(
    Report,
    slice=st.sampled_from("pqrs"),
    question=st.just("q"),
    findings=st.lists(findings(), max_size=4).map(tuple),
    rejected=st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple),
    failure=st.sampled_from([None, None, "overloaded"]),
)


def graph_of(many: list[Report]) -> SharedGraph:
    graph = SharedGraph()
    for report in many:
        graph.merge(report)
    return graph


@given(st.lists(reports, max_size=12), st.randoms())
def test_reports_in_any_order_and_repeated_give_the_same_graph(many: list[Report], chance: random.Random) -> None:
    again = many + [chance.choice(many) for _ in range(5) if many]
    chance.shuffle(again)
    assert graph_of(many).fingerprint() == graph_of(again).fingerprint()


@given(st.lists(reports, max_size=12), st.data())
def test_graphs_built_apart_join_to_the_same_graph_in_any_grouping(
    many: list[Report], data: st.DataObject
) -> None:
    places = [data.draw(st.integers(0, 2)) for _ in many]
    parts = [graph_of([r for r, place in zip(many, places, strict=True) if place == n]) for n in range(3)]
    left, right = SharedGraph(), SharedGraph()
    for part in parts:
        left.join(part)
    for part in reversed(parts):
        right.join(part)
        right.join(part)
    assert left.fingerprint() == right.fingerprint() == graph_of(many).fingerprint()


@given(st.lists(reports, max_size=8))
def test_no_evidence_is_lost_and_none_is_made_up(many: list[Report]) -> None:
    graph = graph_of(many)
    for finding in graph.findings:
        reported = {s for report in many for f in report.findings if f.id == finding.id for s in f.evidence}
        assert set(finding.evidence) == reported


def test_findings_that_differ_in_a_number_stay_two() -> None:
    assert finding_id("the mill had 12 wheels") != finding_id("the mill had 13 wheels")
    assert finding_id("the mill had  12 wheels.") == finding_id("the mill had 12 wheels")


def test_evidence_of_one_finding_is_bounded_whatever_the_order() -> None:
    many = [
        Report(
            slice=str(n),
            question="q",
            findings=(Finding(id="f", claim="c", evidence=(Span("s", n, n + 1),)),),
        )
        for n in range(3 * MAX_EVIDENCE)
    ]
    one, other = graph_of(many), graph_of(many[::-1])
    assert len(one["f"].evidence) == MAX_EVIDENCE
    assert one.fingerprint() == other.fingerprint()


def test_a_slice_that_failed_and_then_succeeded_counts_as_done() -> None:
    failed = Report(slice="p", question="q", failure="overloaded")
    done = Report(slice="p", question="q")
    assert graph_of([failed, done]).fingerprint() == graph_of([done]).fingerprint()


def test_networkx_shows_what_rests_on_what() -> None:
    finding = Finding(id="f1", claim="c", evidence=(Span("a", 0, 3), Span("a", 5, 9), Span("b", 1, 2)))
    graph = graph_of([Report(slice="s1", question="q", findings=(finding,))]).to_networkx()
    assert graph.nodes["f1"]["claim"] == "c"
    assert graph.edges["f1", "a"]["spans"] == ((0, 3), (5, 9))
    assert set(graph.predecessors("f1")) == {"s1"}
