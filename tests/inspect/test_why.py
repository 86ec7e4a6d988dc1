"""From what a run says down to findings, slices, calls, prompts and bytes, and what it cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import Unavailable, UsageError
from swarm.inspect.opened import Opened, open_run
from swarm.inspect.why import why
from swarm.inspect.why.parts import Why
from swarm.inspect.why.prompts import with_prompts
from swarm.limits import attempts
from swarm.models.extractive import Extractive
from swarm.models.scripted import Scripted
from swarm.orders import Order
from swarm.program import Program, Results
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.source import Span
from swarm.task import Limits, Task
from swarm.testing.staged import MODEL, READER, Script, staged
from tests.coordinator.work.conftest import Team, assessed, order, outline, result

TOWNS = "Ashby Brill Corfe Dunster Ely Fowey Goring Hexham Ilkley Jarrow Kelso Louth".split()
ASKED = "Who owns the mill of each town?"


def line(n: int) -> str:
    return f"The mill of {TOWNS[n % len(TOWNS)]} number {n} is owned by family {n * 7 % 90}."


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("towns")
    for n in range(6):
        text = "\n\n".join(f"{line(n * 12 + at)} It stands by the river, where it rains." for at in range(12))
        (folder / f"town-{n}.md").write_text(f"# Mills\n\n{text}\n", "utf-8")
    return folder


def ran(store: Path, task: Task, model: Any = None, window: int = 2_400, plan: Program | None = None) -> Path:
    asyncio.run(Swarm(model or Extractive(window=window), store=store).run(task, run_id="run", plan=plan))
    return store


@pytest.fixture(scope="module")
def asked(towns: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted run: one reader is failed once, a judge asks on, and the answer names what it rests on."""
    failed: list[str] = []

    def say(prompt: Prompt[Any]) -> Any:
        match prompt:
            case ReadPrompt():
                text = "".join(passage.text for passage in prompt.passages)
                if "Brill number 1 " in text and not failed:
                    failed.append(text)
                    return Unavailable("the server is tired")
                found = [one for n in range(72) if (one := line(n)) in text]
                if "Ely" in prompt.question:
                    found = [one for one in found if "Ely number 4 " in one]
                    return {
                        "findings": [{"claim": f"Indeed: {one}", "quote": one, "relevance": 0.9} for one in found]
                    }
                found = [one for one in found if "Ely" not in one]
                return {"findings": [{"claim": one, "quote": one, "relevance": 0.5} for one in found]}
            case JudgePrompt() if not prompt.asked:
                return {
                    "verdict": "follow_up",
                    "reason": "Ely is missing",
                    "follow_ups": ["Who owns the mill of Ely?"],
                }
            case JudgePrompt():
                return {"verdict": "answer"}
            case AnswerPrompt() | ConsolidatePrompt():
                said = [{"text": f"Known: {one.finding.claim}", "findings": [one.label]} for one in prompt.shown]
                return {"answerable": True, "short": "Many families.", "statements": said}
        return {"queries": [], "reading": "owners"}

    store = tmp_path_factory.mktemp("asked") / "swarm.db"
    patch = pytest.MonkeyPatch()
    patch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)
    try:
        task = Task(questions=(ASKED,), paths=(str(towns),), slicing="source")
        return ran(store, task, Scripted(say, window=24_000))
    finally:
        patch.undo()


@pytest.fixture
def opened(asked: Path) -> Iterator[Opened]:
    with open_run("run", asked) as found:
        yield found


def told(store: Path, text: str, **settings: Any) -> Why:
    with open_run("last", store) as opened:
        found = why(opened, text, **settings)
        json.dumps(asdict(found))
        return found


def prompted(store: Path, text: str) -> Why:
    with open_run("last", store) as opened:
        return asyncio.run(with_prompts(why(opened, text), opened))


# From a sentence down


def test_a_sentence_leads_to_its_citation_its_finding_its_slice_and_its_calls(opened: Opened) -> None:
    sentence = f"Known: {line(13)}"
    found = why(opened, sentence)
    assert found.found is not None
    assert (found.found.what, found.found.text, found.found.likeness) == ("sentence", sentence, 1.0)
    (quote,) = found.cited
    assert (quote.text, opened.library.text(Span(quote.source, quote.start, quote.end))) == (line(13), line(13))
    assert quote.where.endswith("town-1.md:5")
    assert "where it rains" in quote.after
    (finding,) = found.findings
    assert (finding.claim, finding.how) == (line(13), "same words")
    (step,) = found.steps
    assert finding.slices == (step.id,)
    assert (step.state, step.round, step.models) == ("done", 1, ("scripted",))
    assert step.reasons[0].text.startswith(f"the task asks: {ASKED}")
    assert [call.kind for call in found.calls] == ["read", "plan", "answer"]
    assert [call.shared for call in found.calls] == [False, True, True]
    assert found.calls[0].fill is not None


def test_a_sentence_is_found_by_its_number_a_part_of_it_and_its_words(opened: Opened) -> None:
    first = why(opened, "1").found
    assert first is not None
    assert first.what == "sentence"
    for text in (f"sentence {1}", first.text[7:-4], first.text.upper(), f"{first.text} [1]"):
        again = why(opened, text).found
        assert again is not None
        assert again.text == first.text, text
    words = why(opened, "Dunster 3 family").found
    assert words is not None
    assert "Dunster number 3 " in words.text


def test_a_number_in_brackets_is_a_citation(opened: Opened) -> None:
    found = why(opened, "[2]")
    assert found.found is not None
    assert found.found.what == "citation"
    assert [quote.number for quote in found.cited] == [2]
    assert found.findings[0].claim == found.cited[0].text


def test_a_finding_is_found_by_its_id_and_tells_where_the_answer_uses_it(opened: Opened) -> None:
    id_ = why(opened, line(13)).findings[0].id
    for text in (id_, id_[:12]):
        found = why(opened, text)
        assert found.found is not None
        assert (found.found.what, found.found.id, found.findings[0].how) == ("finding", id_, "itself")
        assert "the answer rests on its words in sentence" in found.ends[0]
        assert "finish" not in {call.asker for call in found.calls}


def test_a_follow_up_leads_to_the_decision_and_to_the_judge_who_asked_for_it(opened: Opened) -> None:
    found = why(opened, f"Known: Indeed: {line(4)}")
    step = next(one for one in found.steps if one.round == 2)
    assert step.asked == "Who owns the mill of Ely?"
    assert "a follow-up question of the judge, after round 1" in step.reasons[0].text
    assert "because: Ely is missing" in step.reasons[0].text
    assert found.cost is not None
    assert found.cost.shared["judge"].calls == 1, "the judge was asked twice, and the first time is what led here"


def test_failed_tries_are_told(opened: Opened) -> None:
    found = why(opened, f"Known: {line(1)}")
    (call,) = (one for one in found.calls if one.tries > 1)
    assert (call.tries, call.state) == (2, "answered")
    assert "the server is tired" in call.failure


def test_what_it_cost_is_its_own_calls_and_those_that_all_share(mills: Path) -> None:
    found = told(mills, "1")
    assert found.cost is not None
    assert {call.model for call in found.calls} == {MODEL, READER}
    by_key = {call.key: call for call in found.calls}
    own = [by_key[key] for step in found.steps for key in step.calls]
    assert found.cost.own.cost_usd > 0
    assert found.cost.own.cost_usd == pytest.approx(sum(call.usage.cost_usd for call in own))
    assert found.cost.own.tokens == sum(call.usage.tokens for call in own)
    assert set(found.cost.shared) == {"plan", "finish"}
    together = found.cost.own.cost_usd + sum(one.cost_usd for one in found.cost.shared.values())
    assert together == pytest.approx(sum(call.usage.cost_usd for call in found.calls))
    assert together < found.cost.run.cost_usd


def test_all_findings_of_a_run_come_to_what_its_readers_cost(mills: Path) -> None:
    with open_run("last", mills) as opened:
        ids = [finding.id for finding in opened.graph.best(1_000)]
        seen: dict[str, float] = {}
        for id_ in ids[::19]:
            for step in why(opened, id_).steps:
                seen[step.id] = step.usage.cost_usd
        read = opened.graph.database.read("SELECT sum(cost_usd) FROM outcomes WHERE run = 1")[0][0]
        shared = sum(one.cost_usd for one in why(opened, "1").cost.shared.values())  # type: ignore[union-attr]
    assert len(seen) <= 19
    assert sum(seen.values()) <= read - shared + 1e-9


# What is beside a finding


def test_what_contradicts_it_and_the_summaries_above_it_are_told(mills: Path) -> None:
    found = told(mills, "Mill 23 was rebuilt in 1749 and driven by a horse.")
    (finding,) = found.findings
    assert [near.claim for near in finding.contradicts] == [
        "Mill 24 was rebuilt in 1762 and driven by electricity."
    ]
    assert finding.fields == {"subject": "Mill 23", "attribute": "rebuilt", "value": "1749"}
    assert [one.level for one in found.summaries] == sorted(one.level for one in found.summaries)
    assert len(found.summaries) >= 2
    assert "no sentence of the answer cites its words" in found.ends


def test_a_sentence_of_a_digest_leads_over_a_summary_to_the_call_that_wrote_it(
    towns: Path, tmp_path: Path
) -> None:
    task = Task(questions=(), paths=(str(towns),), output="digest", words=40, slicing="source")
    store = ran(tmp_path / "swarm.db", task, window=1_300)
    found = told(store, "1")
    assert found.summaries, "the digest was written from summaries"
    wrote = {one.call for one in found.summaries if one.call}
    calls = {call.key: call for call in found.calls}
    assert wrote
    assert {calls[key].asker for key in wrote} == {"consolidate"}
    assert found.cost is not None
    assert found.cost.own.calls == len(found.steps) + len(wrote)
    shown = prompted(store, "1")
    assert all(call.prompt is not None for call in shown.calls)
    assert any(one.used for one in shown.summaries) or shown.findings[0].how == "named"


def test_a_cell_leads_to_its_source_and_an_empty_one_to_those_who_read_it(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Ann Smith owns the mill.\n")
    (tmp_path / "b.md").write_text("The forge was built in 1790.\n")
    questions = ("Who owns it?", "When was it built?")
    paths = (str(tmp_path / "a.md"), str(tmp_path / "b.md"))
    task = Task(questions=questions, paths=paths, output="table", slicing="source")
    store = ran(tmp_path / "swarm.db", task)
    found = told(store, "Ann Smith owns")
    assert found.found is not None
    assert (found.found.what, found.cited[0].text) == ("cell", "Ann Smith owns the mill.")
    assert found.steps[0].name.endswith("a.md")
    empty = told(store, f"{tmp_path}/b.md: Who owns it?")
    assert empty.found is not None
    assert (empty.found.what, empty.found.text, empty.cited) == ("cell", "", ())
    assert any("nothing that was found" in end for end in empty.ends)
    assert [(step.name.endswith("b.md"), step.asked) for step in empty.steps] == [(True, "Who owns it?")]


# Work


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of planners: one part has a planner of its own, and a judge sends the whole back once."""
    team = Team(tmp_path_factory.mktemp("worked"))

    def plan(prompt: Any) -> dict[str, Any]:
        if prompt.question == "make part":
            return outline(order("inner")) if not prompt.standings else outline()
        if prompt.standings:
            return outline(order("late", ["top"]))
        return outline(order("top", ["early", "part"]), order("early"), order("part", kind="plan"))

    def do(prompt: Any) -> dict[str, Any]:
        said = f"The {prompt.objective.removeprefix('make ')} is {len(prompt.objective)} m long."
        return result(said, summary=said)

    team.plan, team.do = plan, do
    team.judge = lambda prompt: (
        assessed("replan", "late is missing") if len(prompt.standings) == 3 else assessed("done")
    )
    asyncio.run(team.run("Make it all"))
    return team.store


def test_of_work_the_order_the_planners_above_it_and_the_judge_are_told(worked: Path) -> None:
    found = told(worked, "The inner is 10 m long.")
    (step,) = found.steps
    assert (step.name, step.branch) == ("part/inner", "part")
    texts = [reason.text for reason in step.reasons]
    assert texts[0].startswith("ordered by the planner of part, at its planning 1")
    assert texts[1].startswith("ordered by the planner of the whole, at its planning 1")
    assert texts[-1] == "the goal: Make it all"
    assert found.cost is not None
    assert set(found.cost.shared) == {"plan:part:1", "plan::1", "finish"}
    late = told(worked, "late")
    assert late.found is not None
    assert (late.found.what, late.steps[0].needs) == ("slice", ("top",))
    assert any(
        "the judge had sent back: it is replan (late is missing)" in one.text for one in late.steps[0].reasons
    )


def test_a_prompt_of_work_is_told_to_be_named_by_its_step(worked: Path) -> None:
    found = prompted(worked, "early")
    work = next(call for call in found.calls if call.kind == "work")
    assert work.prompt is not None
    assert "make early" in work.prompt.text
    assert "names the step and not every word" in work.prompt.proof
    assert work.reply is not None
    assert "The early is 10 m long." in work.reply


def test_a_text_that_a_program_wrote_leads_to_results_and_to_what_its_footnotes_quote(tmp_path: Path) -> None:
    team = Team(tmp_path)
    team.do = lambda prompt: result("The bridge is 40 m long.", summary="The bridge is 40 m long.")

    def write(results: Results) -> str:
        return (
            f"# Report\n\n{results['bridge']}[^1] Nobody crosses it.\n\n"
            '[^1]: result of bridge:1 "The bridge is 40 m long."\n'
        )

    plan = Program(orders=lambda: [Order(name="bridge", objective="Measure it.")], answer=write)
    asyncio.run(team.run(plan=plan))
    found = told(team.store, "The bridge is 40 m long.")
    assert found.found is not None
    assert (found.found.what, found.found.name) == ("result", "sentence 1")
    assert (found.cited[0].number, found.cited[0].text, found.cited[0].held) == (
        1,
        "The bridge is 40 m long.",
        True,
    )
    assert found.findings[0].how == "same words"
    assert [step.name for step in found.steps] == ["bridge"]
    assert "an order of the program" in found.steps[0].reasons[0].text
    none = told(team.store, "Nobody crosses it")
    assert (none.findings, none.steps) == ((), ())
    assert any("no finding of this run says it" in end for end in none.ends)


# Prompts


def test_prompts_are_made_again_and_their_keys_are_the_recorded_ones(asked: Path) -> None:
    found = prompted(asked, f"Known: {line(13)}")
    read = next(call for call in found.calls if call.kind == "read")
    with open_run("run", asked) as opened:
        recorded = {call.key: call for call in opened.journal.calls("run")}
    assert all(call.prompt is not None and call.key in recorded for call in found.calls)
    assert read.prompt is not None
    assert found.cited[0].text in read.prompt.text
    assert f"<task>\n{ASKED}\n</task>" in read.prompt.text
    assert not read.prompt.typed
    assert json.loads(read.reply or "")["findings"]
    assert found.findings[0].how == "named"
    assert "items and named F" in found.ends[0]


def test_the_offline_model_is_told_to_take_prompts_as_they_are_typed(towns: Path, tmp_path: Path) -> None:
    task = Task(questions=(ASKED,), paths=(str(towns / "town-0.md"),), limits=Limits(rounds=1))
    found = prompted(ran(tmp_path / "swarm.db", task), "1")
    assert all(call.prompt is not None and call.prompt.typed for call in found.calls)
    read = next(call for call in found.calls if call.kind == "read")
    assert read.prompt is not None
    assert found.cited[0].text in read.prompt.text


def test_calls_that_another_run_had_paid_for_are_told_and_found_by_who_asks(towns: Path, tmp_path: Path) -> None:
    task = Task(questions=(ASKED,), paths=(str(towns / "town-0.md"),), limits=Limits(rounds=1))
    store = ran(tmp_path / "swarm.db", task)
    asyncio.run(Swarm(Extractive(window=2_400), store=store).run(task, run_id="second"))
    with open_run("second", store) as opened:
        found = why(opened, "1")
        assert any("the replies were in the store before it" in end for end in found.ends)
        assert found.cost is not None
        assert found.cost.run.calls == 0
        shown = asyncio.run(with_prompts(found, opened))
    (call,) = (one for one in shown.calls if one.kind == "read")
    assert call.state == "answered to another run"
    assert call.prompt is not None
    assert call.reply is not None


def test_a_run_that_comes_out_otherwise_shows_the_rest_and_says_so(mills: Path) -> None:
    found = prompted(mills, "1")
    assert all(call.prompt is None for call in found.calls)
    assert any("cannot be replayed to its end" in end for end in found.ends)
    assert found.findings


# What is not there


async def test_a_run_without_an_answer_tells_of_its_findings(tmp_path: Path) -> None:
    await staged(tmp_path / "swarm.db", Script(findings=60), over=False)
    with open_run("last", tmp_path / "swarm.db") as opened:
        found = why(opened, "Mill 24 was rebuilt in 1762")
        assert found.found is not None
        assert found.found.what == "finding"
        assert found.steps[0].state == "done"
        assert why(opened, "the moon").ends == ("the run has no answer",)


def test_what_nobody_says_is_told_with_what_is_nearest(mills: Path) -> None:
    found = told(mills, "Windmills of Holland were pumped dry by giants in 1733")
    assert found.found is None
    assert 0 < len(found.others) <= 3
    assert told(mills, "quantum chromodynamics").others == ()
    with pytest.raises(UsageError, match="say what to look for"):
        told(mills, "  ")


def test_several_that_match_are_named(mills: Path) -> None:
    found = told(mills, "was rebuilt in 1733 and driven by wind")
    assert found.found is not None
    assert found.found.what == "sentence"
    some = told(mills, "f")
    assert some.found is None or some.others


def test_no_more_is_told_than_the_limit(mills: Path) -> None:
    with open_run("last", mills) as opened:
        slice_ = why(opened, "1").steps[0].id
    found = told(mills, slice_[:12], limit=3)
    assert found.found is not None
    assert (found.found.what, len(found.findings), found.more_findings) == ("slice", 3, 17)
    assert len(told(mills, slice_, limit=50).findings) == 20
