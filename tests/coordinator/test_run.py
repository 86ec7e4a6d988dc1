"""Whole runs over real files, with a scripted model: what leaves, what comes back, and what is left undone."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import PromptTooLong, Rejected, Unavailable, WindowTooSmall
from swarm.events import Event, Finished, SliceFailed, SliceFinished, SliceSplit
from swarm.limits import attempts
from swarm.models.scripted import Scripted
from swarm.prompts.replies import ReadFinding, ReadReply
from swarm.prompts.typed import AnswerPrompt, ConsolidatePrompt, JudgePrompt, Prompt, ReadPrompt, Shown
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task

WORDS = "the miller ground corn by the river until winter froze the wheel and all was still".split()


def write_corpus(folder: Path, files: int = 6, paragraphs: int = 40) -> Path:
    """Prose in which each file says once, in the middle, where its key lies."""
    for number in range(files):
        lines = []
        for line in range(paragraphs):
            lines.append(" ".join(WORDS[(line + n) % len(WORDS)] for n in range(30)).capitalize() + ".")
            if line == paragraphs // 2:
                lines.append(f"The key of house {number} lies under stone {number * 7 + 3}.")
        folder.mkdir(exist_ok=True)
        (folder / f"house-{number}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


def reading(prompt: Prompt[Any]) -> Any:
    """A reader that reports every key that its own passages name, and nothing else."""
    match prompt:
        case ReadPrompt():
            text = "".join(passage.text for passage in prompt.passages)
            found = re.findall(r"The key of house \d+ lies under stone \d+\.", text)
            return ReadReply(findings=[ReadFinding(claim=line, quote=line, relevance=0.9) for line in found])
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt() | ConsolidatePrompt():
            statements = [{"text": s.finding.claim, "findings": [s.label]} for s in prompt.shown]
            return {"answerable": bool(statements), "statements": statements}
    return {"queries": ["key"], "reading": "look for keys"}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)


def swarm(model: Scripted, tmp_path: Path, **settings: Any) -> Swarm:
    return Swarm(model, store=tmp_path / "store.db", **settings)


def ask(corpus: Path, **changes: Any) -> Task:
    return Task(questions=("Where does each key lie?",), paths=(str(corpus),), **changes)


def adds_up(answer: Answer) -> bool:
    ledger = answer.coverage
    return ledger.chars_total == ledger.chars_read + ledger.chars_skipped + ledger.chars_unread


async def test_everything_is_read_once_within_the_window_and_each_sentence_is_cited(
    corpus: Path, tmp_path: Path
) -> None:
    model = Scripted(reading, window=3_000)
    answer = await swarm(model, tmp_path).run(ask(corpus))
    assert answer.status == "answered"
    assert len(answer.statements) == 6
    assert answer.slices > 2
    assert answer.window_peak <= answer.window_limit == 3_000
    assert answer.coverage.chars_read == sum(len(p.read_text()) for p in corpus.iterdir())
    assert adds_up(answer)
    read = [p.span for prompt in model.calls if isinstance(prompt, ReadPrompt) for p in prompt.passages]
    assert len(read) == len(set(read))
    for citation in answer.citations:
        text = Path(citation.source).read_text("utf-8")
        assert text[citation.start : citation.end] == citation.quote
        assert text.count("\n", 0, citation.start) + 1 == citation.line
    assert all(statement.citations for statement in answer.statements)


async def test_quotes_that_do_not_stand_in_the_slice_are_rejected_and_counted(
    corpus: Path, tmp_path: Path
) -> None:
    def inventing(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt):
            line = "The key lies in the well."
            return ReadReply(findings=[ReadFinding(claim=line, quote=line, relevance=1)])
        return reading(prompt)

    answer = await swarm(Scripted(inventing, window=3_000), tmp_path).run(ask(corpus))
    assert answer.status == "no_evidence"
    assert answer.citations == ()
    assert "well" not in answer.text
    assert answer.rejected_quotes == answer.slices


async def test_a_sentence_of_the_answer_that_rests_on_nothing_is_dropped(corpus: Path, tmp_path: Path) -> None:
    def embroidering(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, AnswerPrompt):
            return {
                "answerable": True,
                "statements": [
                    {"text": "All keys are made of gold.", "findings": []},
                    {"text": "Some lie under stones.", "findings": ["F1", "F99"]},
                    {"text": "None is lost.", "findings": ["F99"]},
                ],
            }
        return reading(prompt)

    answer = await swarm(Scripted(embroidering), tmp_path).run(ask(corpus))
    assert [statement.text for statement in answer.statements] == ["Some lie under stones."]


async def test_a_provider_with_a_smaller_window_than_said_makes_slices_split_until_all_is_read(
    corpus: Path, tmp_path: Path
) -> None:
    def narrow(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and prompt.tokens > 700:
            return PromptTooLong("prompt is too long", tokens=prompt.tokens, limit=700)
        return reading(prompt)

    events: list[Event] = []
    async with swarm(Scripted(narrow, window=6_000), tmp_path).stream(ask(corpus)) as stream:
        async for event in stream:
            events.append(event)
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.answer.status == "answered"
    assert len(last.answer.statements) == 6
    assert last.answer.coverage.chars_unread == 0
    assert adds_up(last.answer)
    assert any(isinstance(event, SliceSplit) for event in events)


async def test_a_slice_that_fails_holds_no_other_back_and_is_listed(corpus: Path, tmp_path: Path) -> None:
    def flaky(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and "house 3" in "".join(p.text for p in prompt.passages):
            return Unavailable("the server is overloaded")
        return reading(prompt)

    events: list[Event] = []
    async with swarm(Scripted(flaky, window=3_000), tmp_path).stream(ask(corpus)) as stream:
        events = [event async for event in stream]
    answer = events[-1].answer  # type: ignore[union-attr]
    assert answer.status == "partial"
    assert [failure.reason for failure in answer.failures] == ["the server is overloaded"]
    assert answer.coverage.chars_unread > 0
    assert adds_up(answer)
    assert len(answer.statements) == 5
    assert sum(isinstance(event, SliceFailed) for event in events) == 1


async def test_resuming_reads_only_what_failed(corpus: Path, tmp_path: Path) -> None:
    down = True

    def flaky(prompt: Prompt[Any]) -> Any:
        if down and isinstance(prompt, ReadPrompt) and "house 3" in "".join(p.text for p in prompt.passages):
            return Unavailable("the server is overloaded")
        return reading(prompt)

    model = Scripted(flaky, window=3_000)
    first = await swarm(model, tmp_path).run(ask(corpus))
    down = False
    model.calls.clear()
    second = await swarm(model, tmp_path).resume(first.run_id)
    assert second.status == "answered"
    assert second.run_id == first.run_id
    assert len(second.statements) == 6
    assert sum(isinstance(prompt, ReadPrompt) for prompt in model.calls) == 1


async def test_the_same_question_again_sends_nothing_and_gives_the_same_graph(
    corpus: Path, tmp_path: Path
) -> None:
    model = Scripted(reading, window=3_000)
    first = await swarm(model, tmp_path).run(ask(corpus))
    sent = len(model.calls)
    second = await swarm(model, tmp_path, concurrency=1).run(ask(corpus))
    assert len(model.calls) == sent
    assert (second.text, second.graph) == (first.text, first.graph)
    assert second.usage.calls == 0


async def test_a_limit_ends_the_run_with_the_best_so_far_and_is_never_passed(corpus: Path, tmp_path: Path) -> None:
    model = Scripted(reading, window=3_000)
    answer = await swarm(model, tmp_path).run(ask(corpus, limits=Limits(tokens=14_000)))
    assert answer.status == "partial"
    assert answer.stopped == "the limit of 14,000 tokens is reached"
    assert answer.usage.tokens <= 14_000
    assert answer.coverage.chars_unread > 0
    assert adds_up(answer)
    more = await swarm(model, tmp_path).resume(answer.run_id, limits=Limits())
    assert more.status == "answered"
    assert len(more.statements) == 6


async def test_stopping_keeps_what_is_done(corpus: Path, tmp_path: Path) -> None:
    model = Scripted(reading, window=3_000)
    one = swarm(model, tmp_path, concurrency=1)
    async with one.stream(ask(corpus)) as stream:
        async for event in stream:
            if isinstance(event, SliceFinished):
                one.stop()
    assert isinstance(event, Finished)
    assert event.answer.status == "partial"
    assert event.answer.stopped == "interrupted"
    assert 0 < event.answer.coverage.chars_read < event.answer.coverage.chars_total
    more = await swarm(model, tmp_path).resume(event.answer.run_id)
    assert more.status == "answered"


async def test_leaving_a_stream_cancels_the_run_and_frees_the_store(corpus: Path, tmp_path: Path) -> None:
    model = Scripted(reading, window=3_000)
    async with swarm(model, tmp_path).stream(ask(corpus)) as stream:
        async for event in stream:
            if isinstance(event, SliceFinished):
                break
    assert (await swarm(model, tmp_path).run(ask(corpus))).status == "answered"


async def test_a_key_that_is_not_accepted_ends_the_run_at_once(corpus: Path, tmp_path: Path) -> None:
    model = Scripted(lambda _: Rejected("the key was not accepted"), window=3_000)
    with pytest.raises(Rejected, match="the key was not accepted"):
        await swarm(model, tmp_path, concurrency=2).run(ask(corpus))
    assert len(model.calls) <= 3


async def test_a_window_too_small_for_the_prompt_is_told_with_what_would_do(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(WindowTooSmall, match=r"use --window \d+ or more") as caught:
        await swarm(Scripted(reading, window=300), tmp_path).run(ask(corpus))
    enough = int(re.search(r"--window (\d+)", str(caught.value)).group(1))  # type: ignore[union-attr]
    answer = await swarm(Scripted(reading, window=enough), tmp_path).run(ask(corpus))
    assert answer.coverage.chars_unread == 0


async def test_the_judge_asks_on_and_its_questions_are_read_where_the_index_finds_them(
    corpus: Path, tmp_path: Path
) -> None:
    (corpus / "well.md").write_text("Stone 10 stands beside the old well of Marlow.")

    def curious(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, JudgePrompt) and not prompt.asked:
            return {"verdict": "follow_up", "follow_ups": ["Where does stone 10 stand beside?"]}
        if isinstance(prompt, ReadPrompt) and prompt.question.startswith("Where does stone"):
            line = "Stone 10 stands beside the old well of Marlow."
            return {"findings": [{"claim": line, "quote": line, "relevance": 1}]}
        return reading(prompt)

    model = Scripted(curious, window=3_000)
    answer = await swarm(model, tmp_path).run(ask(corpus))
    assert answer.rounds == 2
    assert any("Marlow" in statement.text for statement in answer.statements)


async def test_more_findings_than_a_window_holds_are_consolidated_and_keep_their_evidence(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "large", files=120, paragraphs=6)

    def numbers(group: Sequence[Shown]) -> str:
        return " ".join(n for one in group for n in re.findall(r"\d+(?=\.)|(?<=: )[\d ]+", one.finding.claim))

    def shortening(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ConsolidatePrompt):
            groups = [prompt.shown[n : n + 4] for n in range(0, len(prompt.shown), 4)]
            return {
                "statements": [
                    {"text": f"Stones: {numbers(group)}.", "findings": [s.label for s in group]}
                    for group in groups
                ]
            }
        return reading(prompt)

    model = Scripted(shortening, window=3_000)
    answer = await swarm(model, tmp_path).run(ask(corpus))
    assert answer.status == "answered"
    assert any(isinstance(prompt, ConsolidatePrompt) for prompt in model.calls)
    last = [prompt for prompt in model.calls if isinstance(prompt, AnswerPrompt)][-1]
    assert last.omitted == 0
    assert answer.findings == 120
    assert all(item.finding.evidence for item in last.shown)
    stones = " ".join(item.finding.claim for item in last.shown)
    assert all(f"{number * 7 + 3}" in stones for number in range(120))


async def test_a_digest_cites_every_sentence(corpus: Path, tmp_path: Path) -> None:
    task = Task(questions=(), paths=(str(corpus),), output="digest", words=60)
    answer = await swarm(Scripted(reading, window=3_000), tmp_path).run(task)
    assert answer.status == "answered"
    assert answer.statements
    assert all(statement.citations for statement in answer.statements)


async def test_a_table_has_a_cell_for_every_item_and_question(corpus: Path, tmp_path: Path) -> None:
    task = Task(
        questions=("Where is the key?", "Who is the miller?"),
        paths=(str(corpus),),
        output="table",
        slicing="source",
    )

    def first_only(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and "miller" in prompt.question:
            return {"findings": []}
        return reading(prompt)

    answer = await swarm(Scripted(first_only, window=1_500), tmp_path).run(task)
    assert len(answer.cells) == 12
    by_place = {(Path(cell.item).name, cell.question): cell for cell in answer.cells}
    for number in range(6):
        cell = by_place[f"house-{number}.md", "Where is the key?"]
        assert f"stone {number * 7 + 3}" in cell.text
        assert f"stone {number * 7 + 3}" in answer.citations[cell.citations[0]].quote
        assert by_place[f"house-{number}.md", "Who is the miller?"].citations == ()
