"""What a run knows: nodes in pages and by search, one node whole, words in their source, the tree, disputes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from swarm.graph.disputes import disputed
from swarm.graph.nodes import Verdict
from swarm.inspect.data.disputes import disputes
from swarm.inspect.data.node import node
from swarm.inspect.data.nodes import nodes
from swarm.inspect.data.source import source
from swarm.inspect.data.tree import tree
from swarm.inspect.look import Look, Unknown
from swarm.inspect.opened import open_run
from swarm.source import Source, Span
from swarm.sources.kept import keep
from swarm.task import Finding, Report
from swarm.testing.staged import Script, Stage


def pages(look: Look, **asked: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while page := nodes(look, offset=len(rows), limit=37, **asked)["rows"]:
        rows += page
    return rows


def test_the_pages_of_findings_hold_each_of_them_once_the_most_relevant_first(look: Look) -> None:
    rows = pages(look)
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids)) == nodes(look)["total"] == look.graph.claims
    assert set(ids) == {finding.id for finding in look.graph.best(1_000)}
    relevances = [row["relevance"] for row in rows]
    assert relevances == sorted(relevances, reverse=True)
    (span,) = look.graph[rows[0]["id"]].evidence
    assert rows[0]["where"] == look.opened.place(span)


@pytest.mark.parametrize("kind", ["entity", "source", "slice", "question", "summary"])
def test_the_pages_of_a_kind_hold_each_of_its_nodes_once(look: Look, kind: str) -> None:
    rows = pages(look, kind=kind)
    assert {row["kind"] for row in rows} == {kind}
    assert len({row["id"] for row in rows}) == len(rows) == nodes(look, kind=kind)["total"]


def test_what_is_looked_for_comes_first_and_no_more_than_can_be_read(look: Look) -> None:
    found = nodes(look, q="mill 137")
    assert "Mill 137 " in found["rows"][0]["text"]
    assert nodes(look, q="driven by steam", limit=1_000)["rows"] != []
    assert (nodes(look, q="driven")["total"], nodes(look, q="driven")["exact"]) == (200, False)
    assert {row["kind"] for row in nodes(look, q="mill", kind="entity")["rows"]} == {"entity"}
    assert nodes(look, q="zeppelin")["total"] == 0
    assert nodes(look, q='" OR *')["total"] == 0


def test_a_kind_or_an_id_that_is_not_there_is_told_in_one_line(look: Look) -> None:
    for ask in (
        lambda: nodes(look, kind="thing"),
        lambda: node(look, "zz"),
        lambda: node(look, ""),
        lambda: node(look, "f"),
        lambda: source(look, "s"),
        lambda: tree(look, "group:9:00"),
        lambda: tree(look, "group:1:zz"),
        lambda: tree(look, "e"),
    ):
        with pytest.raises(Unknown) as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_a_node_is_told_with_the_words_that_it_rests_on_and_those_around_them(look: Look) -> None:
    finding = look.graph.best(1)[0]
    told = node(look, finding.id[:12])
    (evidence,) = told["evidence"]
    (span,) = finding.evidence
    around = look.library.text(span._replace(start=span.start - 200, end=span.end + 200))
    assert evidence["quote"] == look.library.text(span) == finding.claim
    assert f"{evidence['before'][-20:]}{evidence['quote']}{evidence['after'][:20]}" in around
    assert [one["state"] for one in told["slices"]] == ["done"]
    kinds = {(edge["kind"], edge["direction"]) for edge in told["edges"]}
    assert kinds >= {("about", "out"), ("derived_from", "out"), ("answers", "out"), ("summarises", "in")}


def test_edges_are_counted_and_some_are_named(look: Look) -> None:
    mill = next(row for row in pages(look, kind="entity") if row["text"] == "mill")
    (about,) = node(look, mill["id"])["edges"]
    assert (about["kind"], about["direction"], about["total"], len(about["nodes"])) == ("about", "in", 380, 20)


def test_a_finding_in_dispute_names_the_other_one(look: Look) -> None:
    (relation, *_) = disputed(look.graph)
    edges = node(look, relation.one.id)["edges"]
    assert [[one["id"] for one in edge["nodes"]] for edge in edges if edge["kind"] == "contradicts"] == [
        [relation.other.id]
    ]


def test_disputes_come_in_pages_that_hold_each_of_them_once(look: Look) -> None:
    found, at = [], 0
    while at is not None:
        page = disputes(look, offset=at, limit=3)
        found += [frozenset((pair["one"]["id"], pair["other"]["id"])) for pair in page["pairs"]]
        at = page["next"]
    assert len(found) == len(set(found)) == page["total"] == 16
    assert set(found) == {frozenset((one.one.id, one.other.id)) for one in disputed(look.graph)}
    pair = disputes(look)["pairs"][0]
    assert pair["subject"] == pair["one"]["subject"]
    assert pair["one"]["value"] != pair["other"]["value"]


async def test_what_a_model_judged_to_contradict_is_in_the_pages_too(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=40)) as stage:
        await stage.open()
        text = "The quarry was closed. The quarry was not closed."
        kept = keep(stage.library, text, "q.md")
        said = [
            Finding(id=f"f{n}", claim=text[a:b], evidence=(Span(kept.id, a, b),))
            for n, a, b in ((1, 0, 22), (2, 23, 49))
        ]
        report = Report(slice="s1", question="q", findings=tuple(said))
        await stage.graph.merge(kept, report, Verdict(one="f1", other="f2", judgement="contradicts"))
        with open_run("last", path) as opened:
            pairs = disputes(Look(opened))["pairs"]
    assert [{pair["one"]["id"], pair["other"]["id"]} for pair in pairs] == [{"f1", "f2"}]


# The tree


def test_from_the_top_of_the_tree_every_finding_is_reached_once(look: Look) -> None:
    found: list[str] = []

    def down(id_: str) -> int:
        told = tree(look, id_)
        below = 0
        for child in told["children"]:
            if child["kind"] == "finding":
                found.append(child["id"])
                below += 1
            else:
                below += down(child["id"])
        assert told["node"]["findings"] == below
        return below

    assert down("") == len(found) == len(set(found)) == 380


def test_a_finding_tells_the_way_down_to_it(look: Look) -> None:
    for finding in look.graph.best(5):
        trail = tree(look, finding.id)["trail"]
        assert trail == node(look, finding.id)["trail"]
        assert trail[0]["id"] == tree(look)["node"]["id"]
        assert finding.id in [child["id"] for child in tree(look, trail[-1]["id"])["children"]]
        assert tree(look, trail[-1]["id"])["trail"] == trail[:-1]


async def test_a_tree_without_summaries_is_opened_by_its_groups(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=200)) as stage:
        await stage.open()
        await stage.work()
    with open_run("last", path) as opened:
        look = Look(opened)
        top = tree(look)
        assert (top["node"]["kind"], top["node"]["findings"], top["trail"]) == ("group", 180, [])
        child = top["children"][0]
        below = tree(look, child["id"])
        assert (below["node"]["text"], below["trail"][0]["id"]) == (
            below["children"][0]["text"],
            top["node"]["id"],
        )
        assert sum(one["findings"] for one in top["children"]) == 180


def test_a_graph_that_holds_nothing_has_no_tree(tmp_path: Path) -> None:
    with open_empty(tmp_path) as look:
        assert tree(look) == {"node": None, "children": [], "total": 0, "trail": []}
        assert nodes(look)["rows"] == disputes(look)["pairs"] == []


@contextmanager
def open_empty(tmp_path: Path) -> Iterator[Look]:
    async def begun() -> None:
        async with Stage(tmp_path / "swarm.db", Script(findings=20)) as stage:
            await stage.open()

    asyncio.run(begun())
    with open_run("last", tmp_path / "swarm.db") as run:
        yield Look(run)


# Sources


def test_the_pieces_of_a_source_are_its_text_and_mark_every_place_that_is_cited(look: Look) -> None:
    id_ = nodes(look, kind="source")["rows"][0]["id"]
    text, marks, line = "", [], 1
    while piece := source(look, id_, at=len(text), chars=500):
        if piece["start"] >= piece["chars"]:
            break
        assert (piece["start"], piece["line"]) == (len(text), line)
        for mark in piece["marks"]:
            whole = piece["text"][mark["from"] : mark["to"]]
            assert whole in piece["claims"][mark["findings"][0]]
            marks.append((mark["start"], mark["end"]))
        text += piece["text"]
        line += piece["text"].count("\n")
    assert text == look.library.text(Span(id_, 0, piece["chars"]))
    cited = {
        (span.start, span.end) for one in look.graph.best(1_000) for span in one.evidence if span.source == id_
    }
    assert set(marks) == cited
    assert piece["findings"] == len(cited)


def test_what_of_a_piece_failed_is_told(look: Look) -> None:
    id_ = nodes(look, kind="source")["rows"][0]["id"]
    reads = source(look, id_, chars=40_000)["reads"]
    assert [one["state"] for one in reads] == ["failed", "read"]
    assert (reads[0]["start"], reads[0]["end"], reads[-1]["end"]) == (
        0,
        reads[1]["start"],
        source(look, id_)["chars"],
    )


async def test_marks_are_where_javascript_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=20)) as stage:
        await stage.open()
        text = "🌊🌊 The mill 🌀 stands."
        kept: Source = keep(stage.library, text, "m.md")
        span = Span(kept.id, text.index("mill"), text.index(" stands"))
        found = Finding(id="f1", claim="mill", evidence=(span,))
        await stage.graph.merge(kept, Report(slice="s1", question="q", findings=(found,)))
        with open_run("last", path) as opened:
            piece = source(Look(opened), kept.id)
    (mark,) = piece["marks"]
    wide = piece["text"].encode("utf-16-le")
    assert wide[2 * mark["from"] : 2 * mark["to"]].decode("utf-16-le") == "mill 🌀"


async def test_text_that_is_not_on_this_machine_is_told_and_all_else_is_there(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=20)) as stage:
        await stage.open()
        away = Source(id="s" + "0" * 32, path="far.md", media="markdown", chars=100, bytes=100)
        found = Finding(id="f1", claim="It is far.", evidence=(Span(away.id, 10, 20),))
        await stage.graph.merge(away, Report(slice="s1", question="q", findings=(found,)))
        with open_run("last", path) as opened:
            look = Look(opened)
            piece, told, listed = source(look, away.id), node(look, "f1"), nodes(look)
    assert (piece["text"], piece["path"]) == (None, "far.md")
    assert "far.md is not on this machine" in piece["missing"]
    assert (told["evidence"][0]["quote"], told["evidence"][0]["path"]) == (None, "far.md")
    assert "far.md is not on this machine" in told["evidence"][0]["missing"]
    assert (listed["rows"][0]["text"], listed["rows"][0]["where"]) == ("It is far.", "far.md")
