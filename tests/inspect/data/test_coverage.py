"""How far the reading came: it adds up to the corpus, as the answer's own ledger does."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from swarm.coordinator.records import halves_entry
from swarm.inspect.data import ENDPOINTS
from swarm.inspect.data.coverage import coverage
from swarm.inspect.data.ground import ground
from swarm.inspect.data.overview import overview
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.run import Swarm
from swarm.store.journal import Entry
from swarm.task import Task
from swarm.testing.staged import Script, Stage


def adds_up(told: dict[str, int]) -> bool:
    return told["read"] + told["skipped"] + told["failed"] + told["unread"] == told["chars"]


@pytest.mark.parametrize("which", ["look", "work"])
def test_it_adds_up_to_the_corpus_and_source_by_source(which: str, request: pytest.FixtureRequest) -> None:
    look: Look = request.getfixturevalue(which)
    told = coverage(look)
    assert adds_up(told)
    assert told["total"] == told["inputs"] == len(told["sources"]) == 2
    for name in ("read", "cited", "searched", "failed", "unread", "planned"):
        assert sum(source[name] for source in told["sources"]) == told[name], name
    for source in told["sources"]:
        assert source["read"] + source["failed"] + source["unread"] == source["chars"]
        assert source["cited"] <= source["read"]
        assert len(source["bins"]) == 120


def test_characters_are_cited_and_failed_as_they_are_when_they_are_counted_one_by_one(look: Look) -> None:
    cited: dict[str, set[int]] = {}
    resting: dict[str, set[str]] = {}
    for finding in look.graph.best(1_000):
        for span in finding.evidence:
            cited.setdefault(span.source, set()).update(range(span.start, span.end))
            resting.setdefault(span.source, set()).add(finding.id)
    failed = Counter(
        span.source
        for seen in look.fresh().plan.slices.values()
        if seen.state == "failed"
        for span in seen.slice.spans
        for _ in range(span.start, span.end)
    )
    for source in coverage(look)["sources"]:
        id_ = source["id"]
        assert (source["cited"], source["findings"]) == (len(cited[id_]), len(resting[id_]))
        assert source["failed"] == failed[id_]


def test_it_is_what_the_ledger_of_a_real_run_says(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"{n}.md").write_text("\n\n".join(f"The {word} of note {n} is kept." for word in "abc" * 40))
    (tmp_path / "copy.md").write_text((tmp_path / "0.md").read_text())
    (tmp_path / "plate.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    task = Task(questions=("Which notes are kept?",), paths=(str(tmp_path),))
    answer = asyncio.run(Swarm("extractive", store=tmp_path / "s.db", window=4_000).run(task))
    with open_run("last", tmp_path / "s.db") as opened:
        told = coverage(Look(opened))
    ledger = answer.coverage
    assert (told["chars"], told["read"]) == (ledger.chars_total, ledger.chars_read)
    assert (told["skipped"], told["failed"] + told["unread"]) == (ledger.chars_skipped, ledger.chars_unread)
    assert told["skipped_total"] == len(ledger.skipped) > 0
    assert adds_up(told)


def test_bins_show_where_it_failed_and_where_findings_are(look: Look) -> None:
    first = coverage(look)["sources"][0]
    failed = first["bins"].rindex("!") + 1
    assert first["bins"] == "!" * failed + "x" * (120 - failed)
    assert failed == pytest.approx(120 * first["failed"] / first["chars"], abs=1)


async def test_bins_tell_what_waits_what_was_searched_and_what_nobody_reads(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=200)) as stage:
        await stage.open()
        hollow = [stage.slices[n].id for n in (8, 9)]
        await stage.work(2)
        await stage.journal.append(stage.script.run, Entry(kind="unmatched", key="1", body={"slices": hollow}))
        with open_run("last", path) as opened:
            live = coverage(Look(opened))
            assert live["planned"] == live["unread"] > 0
            assert set(live["sources"][0]["bins"]) == set("!x-s")
            assert live["sources"][0]["bins"].endswith("s" * 23)
            assert live["searched"] <= live["read"]
            assert adds_up(live)
    with open_run("last", path) as opened:
        died = coverage(Look(opened))
    assert (died["planned"], died["unread"]) == (0, live["unread"])
    assert set(died["sources"][0]["bins"]) == set("!x.s")


async def test_halves_tell_for_the_slice_that_they_were_cut_from(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100)) as stage:
        await stage.open()
        await stage.cut(0)
        with open_run("last", path) as opened:
            look = Look(opened)
            assert adds_up(coverage(look))
            known = ground(look)
            assert known is not None
            source = stage.sources[0]
            assert known.stretches(0, 0, source.chars) == [(0, source.chars, "planned")]


def test_sources_are_found_by_their_paths_and_sorted(look: Look) -> None:
    assert [one["path"] for one in coverage(look, q="0002")["sources"]] == ["mills/volume-0002.md"]
    assert coverage(look, q="nothing")["total"] == 0
    for by in ("chars", "findings", "failed", "unread"):
        values = [one[by] for one in coverage(look, sort=by)["sources"]]
        assert values == sorted(values, reverse=True)
    pages = [coverage(look, offset=n, limit=1)["sources"][0]["id"] for n in range(2)]
    assert pages == [one["id"] for one in coverage(look)["sources"]]


def test_a_run_that_has_only_been_asked_is_told_all_the_same(tmp_path: Path) -> None:
    async def begun() -> None:
        async with Stage(tmp_path / "swarm.db", Script(findings=20)) as stage:
            task = {"questions": ["q"], "paths": ["p"]}
            await stage.journal.append("early", Entry(kind="task", key="", body={"task": task}))

    asyncio.run(begun())
    with open_run("early", tmp_path / "swarm.db") as opened:
        look = Look(opened)
        told = coverage(look)
        assert (told["total"], told["chars"], told["sources"]) == (0, 0, [])
        assert overview(look)["coverage"]["chars"] == 0
        for name in ("nodes", "tree", "disputes", "plan", "timeline", "cost", "windows", "calls"):
            assert ENDPOINTS[name](look), name


async def test_a_character_that_is_in_two_slices_counts_as_read_when_both_were(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=60, failing=0)) as stage:
        await stage.open()
        await stage.cut(2)
        (span,) = stage.slices[2].spans
        await stage.work(2)
        more = [((span._replace(start=span.start - 100, end=span.start),), 9)] * 2
        await stage.journal.append(stage.script.run, halves_entry("closer", stage.slices[1], more))
        with open_run("last", path) as opened:
            told = coverage(Look(opened))
    assert told["read"] == sum(slice_.chars for slice_ in stage.slices[:2]) - 100
    assert adds_up(told)
