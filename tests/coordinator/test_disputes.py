"""What the sources disagree on: judged once, told with the answer, and asked of the sources till it is settled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.models.scripted import Scripted
from swarm.prompts.replies import ReadFinding, ReadReply
from swarm.prompts.typed import AnswerPrompt, ComparePrompt, JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task

SAID = {
    "ledger.md": ["The mill was rebuilt.", "The toll was 14 pence."],
    "letters.md": ["The mill was not rebuilt.", "The toll was 15 pence."],
    "parish.md": ["In 1815 the parish rebuilt what the fire of 1812 had taken."],
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, sentences in SAID.items():
        (folder / name).write_text("\n\n".join(sentences))
    return folder


def reader(prompt: Prompt[Any], *, structured: bool = False) -> Any:
    """Reports each sentence it is given; a toll as a value, where asked to."""
    match prompt:
        case ReadPrompt():
            lines = [line for passage in prompt.passages for line in passage.text.split("\n\n")]
            found = [line for line in lines if line.strip()]
            return ReadReply(findings=[finding(line.strip(), structured=structured) for line in found])
        case JudgePrompt():
            return {"verdict": "answer"}
        case AnswerPrompt():
            shown = prompt.shown[:1]
            return {
                "answerable": True,
                "statements": [{"text": s.finding.claim, "findings": [s.label]} for s in shown],
            }
    return {"queries": [], "reading": ""}


def finding(line: str, *, structured: bool) -> ReadFinding:
    state = {"subject": "toll", "attribute": "price", "value": line.split()[3] + " pence"} if structured else {}
    return ReadFinding(claim=line, quote=line, relevance=0.5, **(state if "toll" in line else {}))


async def run(model: Scripted, corpus: Path, tmp_path: Path, **limits: Any) -> Answer:
    task = Task(questions=("What happened?",), paths=(str(corpus),), limits=Limits(**limits))
    return await Swarm(model, store=tmp_path / "store.db").run(task)


def compared(model: Scripted) -> list[tuple[str, str]]:
    asked = [prompt for prompt in model.calls if isinstance(prompt, ComparePrompt) and not prompt.beside]
    return [
        (one.finding.claim, other.finding.claim)
        for prompt in asked
        for one, other in zip(prompt.shown[::2], prompt.shown[1::2], strict=True)
    ]


def contradicting(prompt: Prompt[Any]) -> Any:
    if isinstance(prompt, ComparePrompt):
        pairs = [{"pair": n + 1, "verdict": "contradicts"} for n in range(len(prompt.shown) // 2)]
        return {"pairs": pairs}
    return reader(prompt)


async def test_prose_that_may_contradict_is_judged_once_for_each_pair_and_told_with_the_answer(
    corpus: Path, tmp_path: Path
) -> None:
    model = Scripted(contradicting)
    answer = await run(model, corpus, tmp_path, rounds=1)
    pairs = {frozenset(pair) for pair in compared(model)}
    assert pairs == {
        frozenset(("The mill was rebuilt.", "The mill was not rebuilt.")),
        frozenset(("The toll was 14 pence.", "The toll was 15 pence.")),
    }
    assert {frozenset(one.claims) for one in answer.contradictions} == pairs
    for one in answer.contradictions:
        for claim, citations in zip(one.claims, one.citations, strict=True):
            assert claim in [answer.citations[number].quote for number in citations]
    sent = len(model.calls)
    again = await run(model, corpus, tmp_path, rounds=1)
    assert len(model.calls) == sent, "a verdict is paid once"
    assert again.contradictions == answer.contradictions


async def test_values_are_compared_without_a_model(corpus: Path, tmp_path: Path) -> None:
    def structured(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ComparePrompt):
            return {"pairs": [{"pair": n + 1, "verdict": "compatible"} for n in range(len(prompt.shown) // 2)]}
        return reader(prompt, structured=True)

    model = Scripted(structured)
    answer = await run(model, corpus, tmp_path, rounds=1)
    assert [frozenset(one.claims) for one in answer.contradictions] == [
        frozenset(("The toll was 14 pence.", "The toll was 15 pence."))
    ]
    assert len(compared(model)) == 1, "only the mill was for the model to judge"


async def test_the_model_that_answers_is_told_which_findings_contradict(corpus: Path, tmp_path: Path) -> None:
    model = Scripted(contradicting)
    await run(model, corpus, tmp_path, rounds=1)
    (prompt,) = [prompt for prompt in model.calls if isinstance(prompt, AnswerPrompt)]
    claims = {shown.label: shown.finding.claim for shown in prompt.shown}
    assert {frozenset((claims[one], claims[other])) for one, other in prompt.disputes} == {
        frozenset(("The mill was rebuilt.", "The mill was not rebuilt.")),
        frozenset(("The toll was 14 pence.", "The toll was 15 pence.")),
    }


async def test_an_open_contradiction_is_asked_of_the_sources_and_settled_by_what_they_say(
    corpus: Path, tmp_path: Path
) -> None:
    def settling(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ComparePrompt):
            claims = [shown.finding.claim for shown in prompt.shown]
            if prompt.beside and any("parish" in shown.finding.claim for shown in prompt.beside):
                later = "first" if "not" not in claims[0] else "second"
                return {"pairs": [{"pair": 1, "verdict": "supersedes", "later": later}]}
            mill = ["mill" in claim for claim in claims[::2]]
            return {
                "pairs": [
                    {"pair": n + 1, "verdict": "contradicts" if is_mill else "compatible"}
                    for n, is_mill in enumerate(mill)
                ]
            }
        if isinstance(prompt, ReadPrompt) and prompt.question.startswith("The sources disagree"):
            assert "The mill was not rebuilt." in prompt.question
        return reader(prompt)

    model = Scripted(settling)
    answer = await run(model, corpus, tmp_path, rounds=3)
    asked = [p.question for p in model.calls if isinstance(p, ReadPrompt) and p.question.startswith("The sources")]
    assert len(asked) == 1
    assert answer.contradictions == ()
    assert any(isinstance(prompt, ComparePrompt) and prompt.beside for prompt in model.calls)


async def test_a_judge_of_pairs_that_fails_costs_the_judgement_and_not_the_run(
    corpus: Path, tmp_path: Path
) -> None:
    def broken(prompt: Prompt[Any]) -> Any:
        return "not json" if isinstance(prompt, ComparePrompt) else reader(prompt)

    answer = await run(Scripted(broken), corpus, tmp_path, rounds=1)
    assert answer.status == "answered"
    assert answer.contradictions == ()


async def test_a_verdict_on_pairs_that_were_not_shown_is_no_verdict(corpus: Path, tmp_path: Path) -> None:
    def inventing(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ComparePrompt):
            wrong = [{"pair": 99, "verdict": "contradicts"}, {"pair": 1, "verdict": "supersedes", "later": None}]
            return json.dumps({"pairs": wrong})
        return reader(prompt)

    answer = await run(Scripted(inventing), corpus, tmp_path, rounds=1)
    assert answer.contradictions == ()


async def test_embeddings_propose_what_may_be_the_same_in_other_words_and_the_model_judges(tmp_path: Path) -> None:
    folder = tmp_path / "fire"
    folder.mkdir()
    said = [
        "The fire took the mill.",
        "The mill was lost to the flames.",
        "Ann ate an apple.",
        "The fire took 2 mills.",
    ]
    for number, line in enumerate(said):
        (folder / f"{number}.md").write_text(line)

    def embed(texts: Any) -> list[list[float]]:
        return [[1.0, 0.1] if "mill" in text else [0.0, 1.0] for text in texts]

    def judging(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ComparePrompt):
            return {"pairs": [{"pair": n + 1, "verdict": "same"} for n in range(len(prompt.shown) // 2)]}
        return reader(prompt)

    model = Scripted(judging)
    task = Task(questions=("What happened?",), paths=(str(folder),), limits=Limits(rounds=1))
    answer = await Swarm(model, store=tmp_path / "store.db", embed=embed).run(task)
    assert {frozenset(pair) for pair in compared(model)} == {frozenset(said[:2])}, (
        "a number tells the last one apart"
    )
    assert answer.findings == 3
    again = await Swarm(Scripted(judging), store=tmp_path / "other.db").run(task)
    assert again.findings == 4
