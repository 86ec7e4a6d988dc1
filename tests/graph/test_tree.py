"""The tree of summaries: its shape is that of the findings, it grows with their logarithm, a change stays in its
branch, and a summary that does not lead to what it covers is refused."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.graph import tree
from swarm.graph.cover import cut, due, frontier, is_below, stretches_of
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import finding_id, summary_id
from swarm.graph.nodes import Removal, Statement, Summary
from swarm.graph.probe import ALSO, check, key_facts
from swarm.source import Source, Span
from swarm.task import Finding, Report

Build = Callable[..., SharedGraph]


def said(n: int, source: str = "s") -> Report:
    claim = f"House {n} has {n * 7} doors."
    finding = Finding(id=finding_id(claim), claim=claim, evidence=(Span(source, n * 100, n * 100 + 50),))
    return Report(slice=f"p{n}", question="q", findings=(finding,))


def shape(graph: SharedGraph) -> list[tuple[object, ...]]:
    sql = "SELECT level, place FROM tree WHERE graph = ? ORDER BY level, place"
    return graph.database.read(sql, (graph.num,))


def summarise_all(graph: SharedGraph, least: int = 60, fresh: int = 0) -> int:
    """Write every summary that is due, level by level; how many were written."""
    written = level = 0
    while level < tree.levels(graph.database.read, graph.num):
        level += 1
        for group in due(graph, level, least, fresh):
            covers = tuple(sorted(row.id for row in group.children))
            text = f"{len(covers)} parts of level {level}, {group.children[0].text[:20]}"
            summary = Summary(
                id=summary_id(level, covers, [text]),
                level=level,
                statements=(Statement(text=text, rests_on=covers[:2]),),
                covers=covers,
            )
            graph.database.write_sync(graph.change(summary))
            written += 1
    return written


def below(graph: SharedGraph, summary: int) -> set[int]:
    found: set[int] = set()
    for (num,) in graph.database.read("SELECT target FROM edges WHERE source = ? AND kind = 7", (summary,)):
        (row,) = graph.rows([num])
        found |= {num} if row.kind == "finding" else below(graph, num)
    return found


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 400), min_size=1, max_size=60), st.randoms(), st.integers(1, 5))
def test_the_shape_depends_on_the_findings_alone(
    build: Build, numbers: set[int], chance: random.Random, groups: int
) -> None:
    order = sorted(numbers)
    chance.shuffle(order)
    one = build([said(n) for n in sorted(numbers)])
    other = build()
    for start in range(0, len(order), groups):
        other.database.write_sync(other.change(*(said(n) for n in order[start : start + groups])))
    assert list(shape(one)) == list(shape(other))


def test_reading_order_is_by_path_and_then_by_place_and_a_path_may_come_later(build: Build) -> None:
    reports = [said(1, "sz"), said(2, "sa"), said(3, "sz")]
    paths = [Source(id=i, path=p, media="text", chars=9, bytes=9) for i, p in (("sz", "a.md"), ("sa", "b.md"))]
    one, other = build([*paths, *reports]), build([*reports, *paths])
    assert shape(one) == shape(other)
    assert [row.text[:7] for row in frontier(other, 10_000)] == ["House 1", "House 3", "House 2"]


def test_levels_grow_with_the_logarithm(build: Build) -> None:
    graph = build((said(n) for n in range(3_000)), together=True)
    levels = tree.levels(graph.database.read, graph.num)
    assert levels <= 5
    sizes = [len(list(tree.branches(graph.database.read, graph.num, level))) for level in range(1, levels + 1)]
    assert sizes[-1] == 1
    assert all(more > 4 * less for more, less in itertools.pairwise(sizes))


def test_all_summaries_together_cover_every_finding_once(build: Build) -> None:
    graph = build((said(n) for n in range(600)), together=True)
    summarise_all(graph)
    for tokens in (100, 1_000, 10_000):
        rows = frontier(graph, tokens)
        covered = [num for row in rows for num in (below(graph, row.num) if row.kind == "summary" else [row.num])]
        assert len(covered) == len(set(covered)) == 600
    (root,) = cut(graph, 60)
    assert graph.summary(root).findings == 600
    assert all(is_below(stretches_of(graph, [root]), row) for row in graph.best_rows(600))


def test_a_summary_that_is_merged_again_changes_nothing(build: Build) -> None:
    graph = build((said(n) for n in range(600)), together=True)
    summarise_all(graph)
    (root,) = cut(graph, 60)
    summary = graph.summary(root)
    graph.database.write_sync(graph.change(replace(summary, findings=0)))
    assert cut(graph, 60) == [root]
    assert graph.summary(root) == summary


def test_a_new_finding_rewrites_its_own_branch_only(build: Build) -> None:
    graph = build((said(n) for n in range(0, 2_000, 2)), together=True)
    first = summarise_all(graph)
    levels = tree.levels(graph.database.read, graph.num)
    written = []
    for n in range(1, 41, 2):
        graph.database.write_sync(graph.change(said(n * 49)))
        written.append(summarise_all(graph))
    assert max(written) <= 3 * levels
    assert sum(written) / len(written) <= levels + 1
    assert first > 10 * levels


def test_a_few_new_findings_wait_beside_the_summary_until_it_is_due(build: Build) -> None:
    graph = build((said(n) for n in range(0, 200, 2)), together=True)
    summarise_all(graph)
    graph.database.write_sync(graph.change(said(101)))
    assert summarise_all(graph, fresh=1_000) == 0
    texts = [row.text for row in frontier(graph, 400)]
    whole = {num for row in frontier(graph, 400) for num in (below(graph, row.num) or {row.num})}
    assert len(whole) == 101
    assert any(text.startswith("House 101") for text in texts) or len(texts) > 1


def test_a_summary_of_what_is_no_longer_one_branch_is_passed_over(build: Build) -> None:
    graph = build((said(n) for n in range(60)), together=True)
    ids = tuple(sorted(finding_id(f"House {n} has {n * 7} doors.") for n in range(60)))
    summary = Summary(id="m1", level=1, statements=(Statement(text="all", rests_on=ids[:1]),), covers=ids)
    graph.database.write_sync(graph.change(summary))
    assert graph.row("m1") is None
    unknown = Summary(id="m2", level=1, statements=(Statement(text="x", rests_on=("fx",)),), covers=("fx",))
    graph.database.write_sync(graph.change(unknown))
    assert graph.row("m2") is None


def test_summaries_that_nothing_needs_any_more_are_deleted(build: Build) -> None:
    graph = build((said(n) for n in range(0, 300, 2)), together=True)
    summarise_all(graph)
    before = len(list(graph.kind("summary")))
    for n in range(1, 300, 2):
        graph.database.write_sync(graph.change(said(n)))
        summarise_all(graph)
    after = len(list(graph.kind("summary")))
    assert after < 3 * before


def test_removing_a_source_takes_the_summaries_that_spoke_for_it_and_leaves_the_others(build: Build) -> None:
    graph = build([said(n, "sa" if n < 200 else "sb") for n in range(400)], together=True)
    summarise_all(graph)
    before = {node.id for node in graph.kind("summary")}
    graph.database.write_sync(graph.change(Removal(source="sb")))
    after = {node.id for node in graph.kind("summary")}
    assert after < before
    assert len(after) > len(before) / 4
    assert len(graph) == 200
    for node in graph.kind("summary"):
        row = graph.row(node.id)
        assert row is not None
        assert below(graph, row.num) <= {row.num for row in graph.best_rows(200)}
    assert summarise_all(graph) <= len(before - after)
    (root,) = cut(graph, 60)
    assert graph.summary(root).findings == 200


# The check of a summary

CHILDREN = {
    "f1": "The toll at Marrow Bridge was 14 pence in 1987.",
    "f2": "Ann Smith keeps the Orvale lighthouse.",
    "f3": "The mill was rebuilt by the parish.",
}


def summary(*statements: tuple[str, str]) -> Iterable[Statement]:
    return [Statement(text=text, rests_on=tuple(ids.split())) for text, ids in statements]


def test_a_summary_that_leads_to_all_it_covers_is_taken_as_it_is() -> None:
    statements = summary(
        ("The toll at Marrow Bridge was 14 pence in 1987.", "f1"),
        ("Ann Smith keeps Orvale; the mill was rebuilt.", "f2 f3"),
    )
    assert check(list(statements), CHILDREN, 3) == tuple(statements)


@pytest.mark.parametrize(
    "text",
    [
        "The toll at Marrow Bridge was 15 pence in 1987.",
        "The toll at Dunlow Bridge was 14 pence in 1987.",
        "The toll at Marrow Bridge was 14 pounds in 1987.",
        "Ann Smith keeps the toll of 14 pence in 1987.",
    ],
)
def test_a_number_a_name_or_a_unit_that_stands_nowhere_is_not_said(text: str) -> None:
    held = check(list(summary((text, "f1"), ("The mill was rebuilt.", "f3"))), CHILDREN, 3)
    assert held is not None
    assert text not in [statement.text for statement in held]


def test_a_count_of_what_is_covered_may_be_said() -> None:
    assert check(
        list(summary(("2 tolls were raised.", "f1"))), {"f1": "A toll was raised.", "f2": "Tolls rose."}, 2
    )
    assert not check(list(summary(("99 tolls were raised.", "f1"))), {"f1": "A toll was raised."}, 2)


def test_what_no_sentence_leads_to_is_named_in_one_more_line() -> None:
    held = check(list(summary(("The mill was rebuilt.", "f3"))), CHILDREN, 3)
    assert held is not None
    assert held[-1].text.startswith(ALSO)
    assert "Marrow Bridge" in held[-1].text
    assert "Ann Smith" in held[-1].text
    assert held[-1].rests_on == ("f1", "f2")


def test_a_summary_of_which_no_sentence_holds_is_refused() -> None:
    assert check([], CHILDREN, 3) is None
    assert check(list(summary(("The toll was 99 pence.", "f1"), ("All is well.", "f9"))), CHILDREN, 3) is None


def test_however_many_are_covered_each_is_named_in_a_few_words() -> None:
    names = [f"Keeper {chr(65 + n % 26)}nna Br{'u' * (n // 26 + 1)}hl" for n in range(60)]
    many = {f"f{n}": f"The light was kept by {name}." for n, name in enumerate(names)}
    held = check(list(summary(("Keepers came.", "f1"))), many, 60)
    assert held is not None
    assert all(name in held[-1].text for name in names)
    assert len(held[-1].text.split()) <= 3 * 60 + 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(list(CHILDREN.values())), min_size=1, max_size=3, unique=True))
def test_every_key_fact_is_found_again_in_the_summary_or_by_opening_it(chosen: list[str]) -> None:
    ids = {text: id_ for id_, text in CHILDREN.items()}
    held = check([Statement(text=text, rests_on=(ids[text],)) for text in chosen], CHILDREN, 3)
    assert held is not None
    for id_, text in CHILDREN.items():
        leading = [s for s in held if id_ in s.rests_on and key_facts(text) & key_facts(s.text)]
        assert leading or not key_facts(text) or any(id_ in s.rests_on for s in held)
