"""Two runs side by side: the same, alike and different, counted in the store."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from swarm.graph.identity import finding_id
from swarm.history import show
from swarm.inspect.diff import diff
from swarm.inspect.diff import findings as closely_read
from swarm.inspect.diff.answers import compared
from swarm.inspect.diff.parts import Difference
from swarm.inspect.opened import open_run
from swarm.models.scripted import Scripted
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.source import Span
from swarm.store.journal import Entry
from swarm.task import Answer, Cell, Finding, Limits, Statement, Task
from swarm.testing.staged import MODEL, READER, Script, Stage, staged


class Other(Stage):
    """Half of it in other words; every tenth of that half with another year."""

    def _line(self, n: int) -> str:
        return super()._line(n) if n % 2 == 0 else super()._line(n).replace("was rebuilt", "was raised anew")

    def _finding(self, n: int, span: Span, line: str) -> Finding:
        one = super()._finding(n, span, line)
        if n % 20 != 1:
            return one
        value = str(int(one.value or "") + 1)
        return replace(one, value=value, id=finding_id(one.claim, one.subject, one.attribute, value))


async def other(path: Path, findings: int = 400, run: str = "other") -> None:
    async with Other(path, Script(findings=findings, run=run, places=4)) as stage:
        await stage.open()
        await stage.work()
        await stage.end()


@pytest.fixture(scope="module")
def reworded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reworded") / "swarm.db"
    asyncio.run(other(path))
    return path


def told(a: Path, b: Path, one: str = "last", two: str = "last", **settings: int) -> Difference:
    with open_run(one, a) as first, open_run(two, b) as second:
        found = diff(first, second, **settings)
    json.dumps(asdict(found))
    return found


def test_a_run_and_itself_are_the_same(mills: Path) -> None:
    found = told(mills, mills)
    assert found.a == found.b
    assert (found.settings, found.answers.same, found.answers.only_a, found.answers.only_b) == ((), 6, (), ())
    same = found.findings
    assert (same.same, same.alike_a, same.only_a, same.only_b, same.disputes) == (380, 0, 0, 0, 0)
    assert (found.sources.same, found.sources.changed) == (2, 0)
    assert all((row.tokens_a, row.cost_usd_a) == (row.tokens_b, row.cost_usd_b) for row in found.costs)


def test_findings_are_the_same_by_id_alike_by_what_they_say_or_only_in_one(mills: Path, reworded: Path) -> None:
    found = told(mills, reworded).findings
    assert found.same == 190
    assert found.alike_a == found.alike_b == 171
    assert (found.only_a, found.only_b) == (19, 19)
    assert [near.claim.partition(" ")[0] for near in found.some_a] == ["Mill"] * 8
    assert all(near.where.startswith("mills/volume-000") for near in found.some_a)


def test_the_other_way_round_it_is_the_same_mirrored(mills: Path, reworded: Path) -> None:
    one, two = told(mills, reworded), told(reworded, mills)
    assert (one.a, one.b) == (two.b, two.a)
    assert (one.findings.only_a, one.findings.alike_b) == (two.findings.only_b, two.findings.alike_a)
    assert one.findings.disputes == two.findings.disputes
    assert {(x.a.id, x.b.id) for x in one.findings.some_disputes} <= {
        (y.b.id, y.a.id) for y in told(reworded, mills, limit=100).findings.some_disputes
    }


def test_what_cannot_both_hold_is_told_with_both_sides(mills: Path, reworded: Path) -> None:
    found = told(mills, reworded, limit=50).findings
    assert found.disputes == len(found.some_disputes) == 19
    assert not found.more_disputes
    for pair in found.some_disputes:
        assert pair.a.claim.replace("was rebuilt", "was raised anew") == pair.b.claim


def test_so_it_is_where_only_those_that_share_something_are_looked_at(
    mills: Path, reworded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closely = told(mills, reworded)
    monkeypatch.setattr(closely_read, "CLOSELY", 0)
    assert told(mills, reworded) == closely


async def test_two_runs_of_one_store_are_compared_though_their_keys_differ(tmp_path: Path) -> None:
    store = tmp_path / "swarm.db"
    await staged(store, Script(findings=100, run="one"))
    await staged(store, Script(findings=40, run="between"))
    await other(store, 100, "two")
    for closely in (20_000, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(closely_read, "CLOSELY", closely)
            found = told(store, store, "one", "two").findings
        assert (found.same, found.alike_a, found.only_a, found.only_b, found.disputes) == (40, 36, 4, 4, 4)


def test_a_comparison_leaves_nothing_behind(mills: Path, reworded: Path) -> None:
    with open_run("last", mills) as one, open_run("last", reworded) as two:
        first = diff(one, two)
        assert one.graph.database.read("SELECT count(*) FROM temp.sqlite_master") == [(0,)]
        assert [row[1] for row in one.graph.database.read("PRAGMA database_list") if row[1] != "temp"] == ["main"]
        assert diff(one, two) == first


def test_the_figures_are_those_of_the_histories(mills: Path, reworded: Path) -> None:
    found = told(mills, reworded)
    for side, store in ((found.a, mills), (found.b, reworded)):
        shown = show("last", store)
        usage = shown.run.usage
        assert (side.calls, side.input_tokens, side.cached_tokens) == (
            usage.calls, usage.input_tokens, usage.cached_tokens,
        )  # fmt: skip
        assert side.cost_usd == pytest.approx(usage.cost_usd)
        assert shown.answer is not None
        assert (side.read, side.unread) == (shown.answer.coverage.chars_read, shown.answer.coverage.chars_unread)
        assert side.worked_seconds == pytest.approx(shown.answer.elapsed_seconds)
        assert 0 < side.cited <= side.chars
        assert side.mean_busy is not None
        assert side.idle_share == pytest.approx(1 - side.mean_busy / side.places)
        assert side.mean_fill is not None
        assert side.fill is not None
        assert 0 < side.mean_fill < side.fill <= 1
        assert side.fullest == round(side.fill * side.window)
    assert (found.a.places, found.b.places) == (8, 4)
    assert found.b.worked_seconds > found.a.worked_seconds
    assert {(one.name, one.a, one.b) for one in found.settings} == {
        ("places", "8", "4"),
        ("concurrency", "8", "4"),
    }


def test_costs_by_model_and_kind_come_to_the_whole(mills: Path, reworded: Path) -> None:
    found = told(mills, reworded)
    assert {(row.model, row.kind) for row in found.costs} == {(MODEL, "plan"), (READER, "read"), (MODEL, "answer")}
    assert sum(row.cost_usd_a for row in found.costs) == pytest.approx(found.a.cost_usd)
    assert sum(row.tokens_b for row in found.costs) == found.b.input_tokens + found.b.output_tokens
    assert sum(row.failed_a for row in found.costs) == found.a.calls_failed == 1


def saying(prompt: Prompt[Any]) -> Any:
    match prompt:
        case ReadPrompt():
            text = "".join(passage.text for passage in prompt.passages)
            lines = [one for one in text.splitlines() if one.startswith("The key")]
            return {"findings": [{"claim": one, "quote": one, "relevance": 0.5} for one in lines]}
        case AnswerPrompt() | ConsolidatePrompt():
            said = [{"text": one.finding.claim, "findings": [one.label]} for one in prompt.shown]
            return {"answerable": True, "statements": said}
    return {"queries": [], "reading": "keys"}


async def test_the_same_material_in_two_windows_is_compared_by_what_was_found(tmp_path: Path) -> None:
    for n in range(3):
        lines = [f"The key of house {n * 20 + at} lies under stone {at * 7 + n}." for at in range(20)]
        (tmp_path / f"house-{n}.md").write_text("\n\n".join(lines), "utf-8")
    task = Task(questions=("Where does each key lie?",), paths=(str(tmp_path / "*.md"),), limits=Limits(rounds=1))
    store = tmp_path / "swarm.db"
    for run, window in (("wide", 16_000), ("narrow", 2_400)):
        await Swarm(Scripted(saying, window=window), store=store).run(task, run_id=run)
    found = told(store, store, "wide", "narrow")
    assert {one.name for one in found.settings} >= {"window of the model"}
    assert (found.sources.same, found.sources.only_a, found.sources.only_b) == (3, 0, 0)
    assert found.a.chars == found.b.chars == found.a.read == found.b.read
    assert found.b.window < found.a.window
    assert found.findings.same == found.b.claims > 50
    assert found.findings.same + found.findings.only_a == found.a.claims == 60
    assert found.findings.only_b == 0
    assert found.answers.same > 0
    assert found.b.slices > found.a.slices


async def test_a_run_that_was_cut_short_is_compared_as_far_as_it_came(tmp_path: Path, mills: Path) -> None:
    await staged(tmp_path / "swarm.db", Script(findings=200, left=4), over=False)
    found = told(mills, tmp_path / "swarm.db")
    assert (found.b.status, found.b.sentences) == ("interrupted", 0)
    assert found.b.unread > 0
    assert any("B has no answer" in limit for limit in found.limits)
    assert len(found.answers.only_a) == 6


def answer(*texts: str, cells: tuple[Cell, ...] = ()) -> Answer:
    from swarm.task import Coverage, Usage

    return Answer(
        run_id="r", status="answered", text=" ".join(texts), short=None,
        statements=tuple(Statement(text=text, citations=()) for text in texts), citations=(), cells=cells,
        contradictions=(), findings=0, rejected_quotes=0, coverage=Coverage(), window_limit=0, window_peak=0,
        usage=Usage(), slices=0, rounds=0, failures=(), stopped=None, graph="", elapsed_seconds=0.0,
    )  # fmt: skip


def test_sentences_are_the_same_reworded_or_only_in_one() -> None:
    a = answer("In 1812 the mill burnt.", "The wheel has 12 spokes.", "Ann owns the old mill at Ely.")
    b = answer("The mill burnt in 1812.", "The wheel has 13 spokes.", "Nobody knows.")
    found = compared(a, b, 10)
    assert found.same == 1
    assert [(pair.a, pair.b) for pair in found.reworded] == [
        ("The wheel has 12 spokes.", "The wheel has 13 spokes.")
    ]
    assert (found.only_a, found.only_b) == (("Ann owns the old mill at Ely.",), ("Nobody knows.",))


def test_cells_are_compared_by_item_and_question() -> None:
    def cell(item: str, text: str) -> Cell:
        return Cell(item=item, question="Who?", text=text)

    a = answer(cells=(cell("a", "Ann"), cell("b", "Bob"), cell("c", ""), cell("d", "Dan"), cell("e", "")))
    b = answer(cells=(cell("a", "Ann"), cell("b", "Ben"), cell("c", "Cy"), cell("e", "")))
    cells = compared(a, b, 10).cells
    assert (cells.same, cells.differ, cells.only_a, cells.only_b) == (2, 1, 1, 1)
    assert [(one.item, one.a, one.b) for one in cells.some] == [
        ("b", "Bob", "Ben"),
        ("d", "Dan", ""),
        ("c", "", "Cy"),
    ]


def test_lists_are_cut_and_what_is_left_is_counted(mills: Path, reworded: Path) -> None:
    found = told(mills, reworded, limit=2)
    assert len(found.findings.some_a) == len(found.findings.some_disputes) == 2
    assert found.findings.only_a == 19
    assert len(found.answers.only_a) + len(found.answers.reworded) <= 4
    long = compared(answer(*(f"Sentence {n} of many." for n in range(900))), answer("One."), 3)
    assert (len(long.only_a), long.uncompared) == (3, 500)


async def test_a_run_that_has_just_begun_is_compared_as_one_that_has_nothing_yet(
    mills: Path, tmp_path: Path
) -> None:
    path = tmp_path / "begun.db"
    task = Task(questions=("Which mills?",), paths=("mills",))
    async with Stage(path, Script()) as stage:
        await stage.journal.append("staged", Entry(kind="task", key="", body={"task": asdict(task)}))
    with open_run("last", mills) as a, open_run("last", path) as b:
        told = diff(a, b)
    assert (told.b.worked_seconds, told.b.findings, told.b.sources) == (0, 0, 0)
    assert told.findings.only_a == told.a.claims
