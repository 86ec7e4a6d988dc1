"""Contradictions keep both sides; what is later in time supersedes; a model's verdict on a pair is asked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.graph.disputes import disputed, of_finding, to_judge
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import finding_id
from swarm.graph.nodes import Verdict
from swarm.graph.show import edges_of
from swarm.source import Span
from swarm.task import Finding, Report

Build = Callable[..., SharedGraph]


def toll(value: str, time: str | None, start: int, place: str = "Marrow Bridge") -> Report:
    fields = {"subject": place, "attribute": "toll", "value": value, "time": time}
    claim = f"The toll at {place} was {value}."
    finding = Finding(
        id=finding_id(claim, **fields), claim=claim, evidence=(Span("s", start, start + 5),), **fields
    )  # type: ignore[arg-type]
    return Report(slice=f"p{start}", question="q", findings=(finding,))


def prose(claim: str, start: int) -> Report:
    finding = Finding(id=finding_id(claim), claim=claim, evidence=(Span("s", start, start + 5),))
    return Report(slice=f"p{start}", question="q", findings=(finding,))


def pairs(relations: Iterable[object]) -> set[tuple[str, str, str]]:
    return {(one.kind, one.one.text, one.other.text) for one in relations}  # type: ignore[attr-defined]


def texts(graph: SharedGraph) -> list[set[str]]:
    return [{relation.one.text, relation.other.text} for relation in disputed(graph)]


def test_two_values_at_one_time_contradict_and_both_keep_their_evidence(build: Build) -> None:
    graph = build([toll("14 pence", "1987", 0), toll("15 pence", "1987", 10)])
    (relation,) = disputed(graph)
    assert {relation.one.text[-9:], relation.other.text[-9:]} == {"14 pence.", "15 pence."}
    assert all(graph[row.id].evidence for row in (relation.one, relation.other))


def test_a_later_value_supersedes_the_earlier_which_stays_as_history(build: Build) -> None:
    graph = build([toll("16 pence", "May 1990", 20), toll("14 pence", "1987", 0), toll("15 pence", "1988", 10)])
    assert list(disputed(graph)) == []
    found = {
        (edge.kind, graph[edge.source].value, graph[edge.target].value)
        for finding in graph.best(10)
        for edge in edges_of(graph, graph.row(finding.id), 10)  # type: ignore[arg-type]
        if edge.kind == "supersedes"
    }
    assert found == {("supersedes", "16 pence", "15 pence"), ("supersedes", "15 pence", "14 pence")}


def test_the_same_value_later_supersedes_nothing(build: Build) -> None:
    graph = build([toll("14 pence", "1987", 0), toll("14 pence", "1988", 10)])
    assert [relation for finding in graph.best(5) for relation in of_finding(graph, graph.row(finding.id))] == []  # type: ignore[arg-type]


def test_other_things_and_other_units_do_not_contradict(build: Build) -> None:
    graph = build(
        [toll("14 pence", "1987", 0), toll("15 pence", "1987", 10, "Dunlow Bridge"), toll("1 pound", "1987", 20)]
    )
    assert list(disputed(graph)) == []


def test_a_value_without_a_time_contradicts_one_that_holds_now(build: Build) -> None:
    assert len(texts(build([toll("14 pence", None, 0), toll("15 pence", "1987", 10)]))) == 1


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(6)))
def test_what_contradicts_does_not_depend_on_the_order(build: Build, order: list[int]) -> None:
    reports = [toll(f"{n % 3} pence", ["1987", "1988"][n // 3], n * 10) for n in range(6)]
    one, other = build(reports[n] for n in order), build(reports)
    assert sorted(map(sorted, texts(one))) == sorted(map(sorted, texts(other)))
    assert len(texts(one)) == 6


def test_prose_that_differs_in_a_negation_or_one_number_is_for_a_model_to_judge(build: Build) -> None:
    graph = build(
        [prose("The mill was rebuilt.", 0), prose("The mill was not rebuilt.", 10), prose("Ann ate.", 20)]
    )
    ((one, other),) = to_judge(graph, 10)
    assert {one.text, other.text} == {"The mill was rebuilt.", "The mill was not rebuilt."}
    assert list(disputed(graph)) == []


def test_a_pair_that_was_judged_is_not_asked_again_and_the_verdict_is_an_edge(build: Build) -> None:
    reports = [prose("The mill was rebuilt.", 0), prose("The mill was not rebuilt.", 10)]
    one, other = sorted(finding_id(claim) for claim in ("The mill was rebuilt.", "The mill was not rebuilt."))
    graph = build([*reports, Verdict(one=one, other=other, judgement="contradicts")])
    assert to_judge(graph, 10) == []
    (relation,) = disputed(graph)
    assert {relation.one.id, relation.other.id} == {one, other}
    graph = build([Verdict(one=one, other=other, judgement="compatible"), *reports])
    assert to_judge(graph, 10) == []
    assert list(disputed(graph)) == []


def test_a_contradiction_that_a_later_verdict_settles_is_open_no_more(build: Build) -> None:
    one, other = sorted(finding_id(f"The toll at Marrow Bridge was {n} pence.") for n in (14, 15))
    reports = [prose(f"The toll at Marrow Bridge was {n} pence.", n) for n in (14, 15)]
    graph = build([*reports, Verdict(one=one, other=other, judgement="contradicts")])
    assert len(texts(graph)) == 1
    graph = build(
        [
            *reports,
            Verdict(one=one, other=other, judgement="supersedes", later=other),
            Verdict(one=one, other=other, judgement="contradicts"),
        ]
    )
    assert texts(graph) == []
    (relation,) = of_finding(graph, graph.row(one))  # type: ignore[arg-type]
    assert (relation.kind, relation.one.id) == ("supersedes", other)


def test_findings_that_a_model_judged_the_same_are_one(build: Build) -> None:
    claims = ("The fire took the mill.", "The mill was lost to the flames.")
    one, other = sorted(map(finding_id, claims))
    graph = build(
        [
            *(prose(claim, n * 10) for n, claim in enumerate(claims)),
            Verdict(one=one, other=other, judgement="same"),
        ]
    )
    assert graph.claims == 1
    assert len(graph.best(5)[0].evidence) == 2


def test_a_series_of_like_sentences_is_no_dispute(build: Build) -> None:
    graph = build([prose(f"The key of the house lies under stone {n}.", n * 10) for n in range(12)])
    assert to_judge(graph, 10) == []


def test_what_is_said_of_a_case_does_not_contradict_what_is_said_of_another(build: Build) -> None:
    graph = build(
        [prose("If the handler is set, it is called.", 0), prose("If the handler is not set, it is called.", 9)]
    )
    assert to_judge(graph, 10) == []


def test_a_verdict_shows_the_same_edge_whether_it_or_the_findings_came_first(build: Build) -> None:
    reports = [prose("The mill was rebuilt.", 0), prose("The mill was not rebuilt.", 10)]
    one, other = sorted(finding_id(claim) for claim in ("The mill was rebuilt.", "The mill was not rebuilt."))
    verdict = Verdict(one=one, other=other, judgement="contradicts")
    shown = []
    for parts in ([*reports, verdict], [*reports[::-1], verdict], [verdict, *reports]):
        graph = build(parts)
        edges = [edge for id_ in (one, other) for edge in edges_of(graph, graph.row(id_), 9)]  # type: ignore[arg-type]
        shown.append({(edge.source, edge.target) for edge in edges if edge.kind == "contradicts"})
    assert shown[0] == shown[1] == shown[2] == {(one, other)}
