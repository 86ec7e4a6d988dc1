"""Every call passes the gate: the window, the journal, the limits, the retries and the schema."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import InvalidReply, LimitReached, PromptTooLong, RateLimited, Refused, Rejected, Unavailable
from swarm.limits import attempts
from swarm.limits.attempts import ATTEMPTS
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.models.base import Completion
from swarm.models.scripted import Scripted
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import PlanPrompt, Prompt
from swarm.store.database import Database
from swarm.store.journal import Journal
from swarm.store.sqlite import SqliteJournal
from swarm.task import Limits, Usage

PLAN = {"queries": ["mill"], "reading": "look for the mill"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    database = Database.open(tmp_path / "store.db")
    yield SqliteJournal(database)
    database.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_jitter", lambda tries: 0.0)


def gate_over(journal: Journal, limits: Limits | None = None, run: str = "run") -> Gate:
    return Gate(journal, run, Budget(limits or Limits()), Rates(), 16, lambda _: None)


def rows(journal: Any, table: str) -> int:
    return journal._database.read(f"SELECT count(*) FROM {table}")[0][0]


def prompt(question: str = "Who burnt the mill?") -> PlanPrompt:
    return PlanPrompt(question=question, output="answer", sources=("a.md",), count=1, chars=10)


async def test_a_reply_is_durable_and_is_never_paid_twice(journal: Journal) -> None:
    model = Scripted([PLAN])
    first = await gate_over(journal).ask(model, prompt())
    again = await gate_over(journal, run="another").ask(model, prompt())
    assert first == again == PlanReply(**PLAN)
    assert len(model.calls) == 1
    assert journal.spent("run").calls == 1
    assert journal.spent("another").calls == 0


async def test_the_intent_is_recorded_before_the_call_and_the_reply_before_its_use(journal: Journal) -> None:
    states: list[Any] = []

    class Watching(Scripted):
        remote = True

        async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
            states.append((rows(journal, "calls"), rows(journal, "outcomes")))
            return await super().call(prompt, max_output=max_output)

    await gate_over(journal).ask(Watching([PLAN]), prompt())
    assert states == [(1, 0)]
    assert rows(journal, "outcomes") == 1


async def test_a_free_call_that_is_answered_here_is_begun_with_its_reply(journal: Journal) -> None:
    """Nothing can have been billed before: one write in place of two. One that fails is begun all the same."""
    gate = gate_over(journal)
    await gate.ask(Scripted([PLAN]), prompt())
    assert (rows(journal, "calls"), rows(journal, "outcomes")) == (1, 1)
    with pytest.raises(Rejected):
        await gate.ask(Scripted(lambda _: Rejected("no")), prompt("Why?"))
    assert (rows(journal, "calls"), rows(journal, "outcomes")) == (2, 2)
    assert list(journal.failed_calls("run").values()) == ["Rejected: no"]


async def test_what_does_not_fit_the_window_never_leaves(journal: Journal) -> None:
    model = Scripted([PLAN], window=1_000)
    with pytest.raises(PromptTooLong, match="more than the window of 1,000"):
        await gate_over(journal).ask(model, prompt("mill " * 2_000))
    assert model.calls == []
    assert rows(journal, "calls") == 0


async def test_a_limit_stops_a_call_before_it_is_sent(journal: Journal) -> None:
    model = Scripted([PLAN])
    with pytest.raises(LimitReached):
        await gate_over(journal, Limits(tokens=100)).ask(model, prompt())
    assert model.calls == []


async def test_a_transient_failure_is_tried_again_and_settled_once(journal: Journal) -> None:
    model = Scripted([Unavailable("overloaded"), RateLimited("slow down", retry_after=0.0), PLAN])
    gate = gate_over(journal, Limits(tokens=100_000))
    assert await gate.ask(model, prompt()) == PlanReply(**PLAN)
    assert gate.budget.spent.calls == 1
    assert gate.budget._reserved == (0, 0, 0)


async def test_retries_end(journal: Journal) -> None:
    model = Scripted(lambda _: Unavailable("down"))
    with pytest.raises(Unavailable, match="down"):
        await gate_over(journal).ask(model, prompt())
    assert len(model.calls) == ATTEMPTS


async def test_what_the_provider_will_never_accept_is_not_tried_again(journal: Journal) -> None:
    model = Scripted(lambda _: Rejected("no such key"))
    with pytest.raises(Rejected):
        await gate_over(journal).ask(model, prompt())
    assert len(model.calls) == 1


async def test_an_invalid_reply_is_sent_back_once_with_the_error(journal: Journal) -> None:
    model = Scripted(['{"queries": "mill"}', PLAN])
    assert await gate_over(journal).ask(model, prompt()) == PlanReply(**PLAN)
    mend = model.calls[1].repair
    assert mend is not None
    assert mend.text == '{"queries": "mill"}'
    assert "queries" in mend.error
    assert "reading" in mend.error


async def test_a_reply_that_stays_invalid_is_an_error_that_costs_nothing_when_it_is_asked_again(
    journal: Journal,
) -> None:
    model = Scripted(["not json", "still not json"])
    for _ in range(2):
        with pytest.raises(InvalidReply):
            await gate_over(journal).ask(model, prompt())
    assert len(model.calls) == 2


async def test_a_refusal_is_recorded_and_not_asked_again(journal: Journal) -> None:
    class Declining(Scripted):
        async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
            self.calls.append(prompt)
            return Completion(text="", usage=Usage(calls=1, input_tokens=9), refusal="I cannot help with that")

    model = Declining([])
    for _ in range(2):
        with pytest.raises(Refused, match="cannot help"):
            await gate_over(journal).ask(model, prompt())
    assert len(model.calls) == 1
    assert journal.spent("run").input_tokens == 9


async def test_a_fresh_attempt_is_another_call(journal: Journal) -> None:
    model = Scripted([PLAN, PLAN])
    gate = gate_over(journal)
    await gate.ask(model, prompt(), attempt=0)
    await gate.ask(model, prompt(), attempt=1)
    assert len(model.calls) == 2


async def test_the_peak_is_the_largest_request_with_its_reply(journal: Journal) -> None:
    model = Scripted([PLAN, PLAN], window=8_000)
    gate = gate_over(journal)
    await gate.ask(model, prompt("mill " * 500))
    await gate.ask(model, prompt())
    assert 500 < gate.peak <= 8_000
