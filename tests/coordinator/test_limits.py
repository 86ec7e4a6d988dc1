"""Reaching a limit is an outcome: the best so far, what is missing, and a way to go on."""

from pathlib import Path
from typing import Any

import pytest

from swarm.errors import PromptTooLong
from swarm.models.base import Price
from swarm.models.scripted import Scripted
from swarm.prompts.typed import JudgePrompt, Prompt, ReadPrompt
from swarm.run import Swarm
from swarm.task import Answer, Estimate, Limits, Task

PAID = Price(input_usd=2.0, output_usd=8.0, cached_usd=2.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(12):
        lines = [f"House {number} has a room {n} that looks upon the river and the mill." for n in range(60)]
        (folder / f"house-{number:02}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


def saying(prompt: Prompt[Any]) -> Any:
    match prompt:
        case ReadPrompt():
            line = prompt.passages[0].text.split("\n")[0].strip()
            return {"findings": [{"claim": line, "quote": line, "relevance": 0.5}] if line else []}
        case JudgePrompt():
            return {"verdict": "answer"}
    if prompt.kind == "answer":
        return {"answerable": True, "statements": [{"text": "Rooms.", "findings": ["F1"]}]}
    return {"queries": [], "reading": ""} if prompt.kind == "plan" else {"statements": []}


def ask(corpus: Path, **limits: Any) -> Task:
    return Task(questions=("Which rooms look upon the river?",), paths=(str(corpus),), limits=Limits(**limits))


def adds_up(answer: Answer) -> bool:
    ledger = answer.coverage
    return ledger.chars_total == ledger.chars_read + ledger.chars_skipped + ledger.chars_unread


@pytest.mark.parametrize(
    ("limit", "much", "said"),
    [
        ("tokens", 20_000, "20,000 tokens"),
        ("calls", 8, "8 calls"),
        ("cost_usd", 0.05, r"\$0.05"),
        ("slices", 4, "4 slices"),
        ("wall_seconds", 0.0, "0 seconds"),
    ],
)
async def test_each_is_an_outcome_that_goes_on_with_a_higher_one(
    corpus: Path, tmp_path: Path, limit: str, much: Any, said: str
) -> None:
    def model() -> Scripted:
        return Scripted(saying, window=2_500, price=PAID)

    first = await Swarm(model(), store=tmp_path / "store.db", concurrency=64).run(ask(corpus, **{limit: much}))
    assert (first.status, first.limit) == ("partial", limit)
    assert first.stopped == f"the limit of {said.replace(chr(92), '')} is reached"
    assert first.coverage.chars_unread > 0
    assert adds_up(first)
    assert first.usage.tokens <= 20_000 or limit != "tokens"
    assert first.usage.calls <= 8 or limit != "calls"
    assert first.usage.cost_usd <= 0.05 or limit != "cost_usd"
    rest = model()
    second = await Swarm(rest, store=tmp_path / "store.db").resume(first.run_id, limits=Limits())
    assert second.complete
    assert adds_up(second)
    assert second.coverage.chars_unread == 0


async def test_a_slice_that_spends_its_own_share_fails_and_the_run_goes_on(corpus: Path, tmp_path: Path) -> None:
    def long(prompt: Prompt[Any]) -> Any:
        first = prompt.passages[0].text if isinstance(prompt, ReadPrompt) and prompt.passages else ""
        return "this is no JSON" if "House 3 " in first else saying(prompt)

    model = Scripted(long, window=2_500)
    answer = await Swarm(model, store=tmp_path / "store.db").run(ask(corpus, each_slice=Limits(calls=2)))
    assert answer.failures
    assert all("2 calls" in failure.reason for failure in answer.failures)
    assert answer.stopped is None
    assert answer.coverage.chars_unread > 0
    assert adds_up(answer)


async def test_the_halves_of_a_slice_spend_from_its_share(corpus: Path, tmp_path: Path) -> None:
    def narrow(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and prompt.tokens > 100:
            return PromptTooLong("prompt is too long", tokens=prompt.tokens, limit=2_000)
        return saying(prompt)

    model = Scripted(narrow, window=2_500)
    answer = await Swarm(model, store=tmp_path / "store.db").run(ask(corpus, each_slice=Limits(calls=3)))
    parents = [failure for failure in answer.failures if "3 calls" in failure.reason]
    assert parents
    assert adds_up(answer)


async def test_a_slice_is_cut_as_often_as_depth_allows_and_then_fails(corpus: Path, tmp_path: Path) -> None:
    def refusing(prompt: Prompt[Any]) -> Any:
        if isinstance(prompt, ReadPrompt) and "House 7 " in "".join(p.text for p in prompt.passages):
            return PromptTooLong("prompt is too long", tokens=prompt.tokens, limit=1)
        return saying(prompt)

    model = Scripted(refusing, window=2_500)
    answer = await Swarm(model, store=tmp_path / "store.db").run(ask(corpus, depth=1))
    assert answer.failures
    asked = [prompt for prompt in model.calls if isinstance(prompt, ReadPrompt)]
    assert len(asked) < 3 * answer.slices
    assert adds_up(answer)


async def test_a_run_that_costs_money_has_a_limit_unless_it_was_lifted(corpus: Path, tmp_path: Path) -> None:
    dear = Price(input_usd=2_000.0, output_usd=8_000.0, cached_usd=2_000.0)
    model = Scripted(saying, window=2_500, price=dear)
    answer = await Swarm(model, store=tmp_path / "store.db").run(ask(corpus))
    assert answer.stopped == "the default limit of $5.00 is reached"
    assert answer.usage.cost_usd <= 5.0
    lifted = await Swarm(model, store=tmp_path / "lifted.db").run(ask(corpus, cost_usd=float("inf")))
    assert lifted.complete
    assert lifted.usage.cost_usd > 5.0


async def test_nothing_is_sent_that_was_not_approved(corpus: Path, tmp_path: Path) -> None:
    shown: list[Estimate] = []

    def decline(estimate: Estimate) -> bool:
        shown.append(estimate)
        return False

    model = Scripted(saying, window=2_500, price=PAID)
    answer = await Swarm(model, store=tmp_path / "store.db", approve=decline).run(ask(corpus))
    assert (answer.status, answer.stopped) == ("partial", "not approved")
    assert model.calls == []
    assert shown[0].slices > 4
    assert 0 < shown[0].likely.cost_usd <= shown[0].most.cost_usd
    approved = Swarm(model, store=tmp_path / "store.db", approve=lambda _: True)
    assert (await approved.resume(answer.run_id)).complete
    free = Scripted(saying, window=2_500)
    assert (await Swarm(free, store=tmp_path / "free.db", approve=decline).run(ask(corpus))).complete
