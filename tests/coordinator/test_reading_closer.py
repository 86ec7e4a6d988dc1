"""A reader that says as much as it may has more to say: its slice is read in halves too, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarm.coordinator import plan
from swarm.models.scripted import Scripted
from swarm.prompts.typed import AnswerPrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.task import Answer, Task

DOORS = 60


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    lines = [f"House {n} has {n + 100} doors." for n in range(DOORS)]
    filler = "The street is long and nobody remembers who built it or when that was. " * 4
    (folder / "street.md").write_text("\n\n".join(f"{line}\n\n{filler}" for line in lines))
    return folder


def reading(prompt: Prompt[Any]) -> Any:
    """Reports each house that it is given, as many as it may."""
    match prompt:
        case ReadPrompt():
            lines = [line for passage in prompt.passages for line in passage.text.split("\n\n")]
            doors = [line for line in lines if line.startswith("House")][: prompt.max_findings]
            return {"findings": [{"claim": line, "quote": line, "relevance": 0.5} for line in doors]}
        case AnswerPrompt():
            shown = prompt.shown[:1]
            return {
                "answerable": True,
                "statements": [{"text": s.finding.claim, "findings": [s.label]} for s in shown],
            }
    return {"verdict": "answer", "queries": [], "reading": ""}


async def run(model: Scripted, corpus: Path, tmp_path: Path, **changes: Any) -> Answer:
    task = Task(questions=("How many doors has each house?",), paths=(str(corpus),), **changes)
    return await Swarm(model, store=tmp_path / "store.db").run(task)


async def test_what_does_not_fit_one_reply_is_found_in_the_halves(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan._FINDINGS, "answer", 10)
    model = Scripted(reading, window=32_000)
    answer = await run(model, corpus, tmp_path)
    assert answer.findings == DOORS
    assert answer.coverage.chars_read == answer.coverage.chars_total
    assert answer.coverage.chars_unread == 0
    sent = len(model.calls)
    again = await run(model, corpus, tmp_path)
    assert (len(model.calls), again.graph) == (sent, answer.graph)


async def test_a_reply_with_room_left_is_not_read_again(corpus: Path, tmp_path: Path) -> None:
    model = Scripted(reading, window=32_000, max_output=8_000)
    answer = await run(model, corpus, tmp_path)
    assert answer.findings == DOORS
    assert sum(isinstance(prompt, ReadPrompt) for prompt in model.calls) == answer.slices == 1


async def test_a_reader_that_is_always_full_is_read_closer_a_few_times_and_no_more(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan._FINDINGS, "answer", 4)

    def talkative(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt):
            return {
                "findings": [{"claim": f"{n}", "quote": "The street is long", "relevance": 0.1} for n in range(4)]
            }
        return reading(prompt)

    model = Scripted(talkative, window=32_000)
    await run(model, corpus, tmp_path)
    assert sum(isinstance(prompt, ReadPrompt) for prompt in model.calls) <= 2**5 - 1


async def test_a_digest_wants_the_most_important_and_is_not_read_closer(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan._FINDINGS, "digest", 4)
    model = Scripted(reading, window=32_000)
    await run(model, corpus, tmp_path, output="digest", words=60)
    assert sum(isinstance(prompt, ReadPrompt) for prompt in model.calls) == 1
