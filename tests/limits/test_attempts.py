"""A call is sent until it is answered: what is tried again, what that costs, and what the journal is told."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from swarm.errors import InvalidReply, LimitReached, PromptTooLong, RateLimited, Refused, Rejected, Unavailable
from swarm.limits import attempts
from swarm.limits.attempts import ATTEMPTS
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate, key_of
from swarm.limits.lanes import lane_of
from swarm.limits.rates import Rates
from swarm.models.base import Completion, Price
from swarm.models.fallback import Fallback
from swarm.models.scripted import Scripted
from swarm.prompts.replies import PlanReply
from swarm.prompts.typed import PlanPrompt, Prompt
from swarm.store.journal import Begun, Intent
from swarm.task import Limits, Usage
from tests.limits.clock import in_no_time

PLAN = {"queries": ["mill"], "reading": "look for the mill"}
PRICE = Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2)


class Remote(Scripted):
    """A scripted model that is reached by a lane, and takes a second to answer."""

    remote = True

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        await asyncio.sleep(1)
        return await super().call(prompt, max_output=max_output)


class Notes:
    """A journal that is a list."""

    begins_late = False

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.replies: dict[str, Completion] = {}
        self.meanwhile: dict[str, Completion] = {}
        """Replies that another comes by once it was asked for them."""

    async def begin_call(self, intent: Intent) -> Begun:
        if intent.key in self.meanwhile:
            return Begun(state="done", reply=self.meanwhile[intent.key])
        self.log.append(("begin", intent))
        return Begun(state="new")

    async def finish_call(self, run: str, key: str, completion: Completion, intent: Intent | None = None) -> None:
        self.log.append(("finish", completion.usage))
        self.replies[key] = completion

    async def fail_call(self, run: str, key: str, reason: str, usage: Usage) -> None:
        self.log.append(("fail", reason, usage))

    async def finished_call(self, key: str) -> Completion | None:
        return self.replies.get(key)

    def told(self, *kinds: str) -> list[tuple[Any, ...]]:
        return [line for line in self.log if line[0] in kinds]


def gate_over(notes: Notes, limits: Limits | None = None, rates: Rates | None = None) -> Gate:
    return Gate(notes, "run", Budget(limits or Limits()), rates or Rates(), 64, lambda _: None)  # type: ignore[arg-type]


def prompt(question: str = "Who burnt the mill?") -> PlanPrompt:
    return PlanPrompt(question=question, output="answer", sources=("a.md",), count=1, chars=10)


def in_doubt(text: str = "the connection broke off") -> Unavailable:
    return Unavailable(text, in_doubt=True)


def ask(model: Any, notes: Notes, limits: Limits | None = None) -> tuple[Gate, PlanReply | Exception]:
    """What the gate says of one call, and the gate."""

    async def main() -> tuple[Gate, PlanReply | Exception]:
        gate = gate_over(notes, limits)
        try:
            return gate, await gate.ask(model, prompt())
        except Exception as error:
            return gate, error

    return in_no_time(main())


def test_an_attempt_that_may_have_been_billed_is_settled_and_recorded_at_the_worst() -> None:
    notes, model = Notes(), Remote([in_doubt(), PLAN], price=PRICE)
    gate, reply = ask(model, notes)
    assert isinstance(reply, PlanReply)
    (begun, failed, _, finished) = notes.log
    worst = failed[2]
    assert worst.calls == 1
    assert worst.tokens == begun[1].tokens
    assert (
        worst.cost_usd == begun[1].cost_usd == pytest.approx(PRICE.worst(worst.input_tokens, worst.output_tokens))
    )
    assert gate.budget.spent.tokens == (worst + finished[1]).tokens


def test_an_attempt_that_was_refused_by_status_costs_nothing() -> None:
    notes, model = Notes(), Remote([RateLimited("slow", 1.0), Unavailable("down"), PLAN], price=PRICE)
    gate, _ = ask(model, notes)
    assert gate.budget.spent.calls == 1
    assert notes.told("fail") == [("fail", "RateLimited: slow", Usage()), ("fail", "Unavailable: down", Usage())]


def test_the_limit_is_not_passed_by_attempts_that_may_have_been_billed() -> None:
    model = Remote(lambda _: in_doubt(), price=PRICE)
    limits, notes = Limits(tokens=6_000), Notes()
    gate, error = ask(model, notes, limits)
    assert isinstance(error, LimitReached)
    assert notes.told("fail")[-1] == ("fail", f"LimitReached: {error}", Usage())
    assert gate.budget.spent.tokens <= 6_000
    assert gate.budget.spent.calls == len(model.calls) > 1


def test_a_failure_that_is_final_is_recorded_once_with_its_reason() -> None:
    for error in (Rejected("no such model"), PromptTooLong("too long", tokens=9, limit=5), Refused("no")):
        notes = Notes()
        _, raised = ask(Remote(lambda _, error=error: error), notes)
        assert raised is error
        assert notes.told("fail", "finish") == [("fail", f"{type(error).__name__}: {error}", Usage())]


def test_a_provider_that_asks_for_too_much_patience_is_the_last_thing_recorded() -> None:
    notes = Notes()
    _, error = ask(Remote([RateLimited("slow", 86_400.0)]), notes)
    assert "asks to be left alone" in str(error)
    assert [line[1].partition(":")[0] for line in notes.told("fail")] == ["RateLimited", "Unavailable"]


def test_every_failed_attempt_is_recorded_once() -> None:
    notes, model = Notes(), Remote(lambda _: in_doubt())
    gate, error = ask(model, notes)
    assert isinstance(error, Unavailable)
    assert len(model.calls) == len(notes.told("fail")) == gate.budget.spent.calls == ATTEMPTS


def test_a_call_that_was_cancelled_on_its_way_is_settled_at_the_worst_and_one_that_waited_costs_nothing() -> None:
    async def main() -> Gate:
        gate = gate_over(Notes(), rates=Rates(requests_per_minute=1))
        model = Remote(lambda _: PLAN)
        tasks = [asyncio.create_task(gate.ask(model, prompt(str(number)))) for number in range(5)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert lane_of(model).places.taken == 0
        return gate

    gate = in_no_time(main())
    assert gate.budget.spent.calls == 1
    assert gate.budget.spent.output_tokens == 1_024
    assert gate.budget._reserved == (0, 0, 0)


def test_one_call_that_fails_leaves_those_beside_it_alone() -> None:
    async def main() -> list[Any]:
        gate = gate_over(Notes())
        model = Remote(lambda asked: Rejected("no") if asked.question == "3" else PLAN)
        asking = (gate.ask(model, prompt(str(number))) for number in range(8))
        return await asyncio.gather(*asking, return_exceptions=True)

    replies = in_no_time(main())
    assert [isinstance(reply, PlanReply) for reply in replies] == [number != 3 for number in range(8)]


def test_a_call_that_the_journal_has_reserves_nothing_and_meets_no_limit() -> None:
    async def main() -> None:
        notes, model = Notes(), Remote([PLAN])
        await gate_over(notes).ask(model, prompt())
        assert await gate_over(notes, Limits(calls=0, tokens=0)).ask(model, prompt()) == PlanReply(**PLAN)

    in_no_time(main())


def test_slowing_down_is_no_failure() -> None:
    model = Remote([*[RateLimited("slow", 0.5)] * (3 * ATTEMPTS), PLAN])
    assert isinstance(ask(model, Notes())[1], PlanReply)


def test_a_model_that_computes_here_waits_for_nothing() -> None:
    async def main() -> float:
        gate = gate_over(Notes(), rates=Rates(requests_per_minute=1, input_tokens_per_minute=1))
        await asyncio.gather(*(gate.ask(Scripted(lambda _: PLAN), prompt(str(number))) for number in range(50)))
        return asyncio.get_running_loop().time()

    assert in_no_time(main()) == 0


def test_a_wait_that_outlasts_the_run_ends_at_its_limit_and_sends_nothing() -> None:
    async def main() -> int:
        clock = asyncio.get_running_loop().time
        budget = Budget(Limits(wall_seconds=30), clock=clock)
        gate = Gate(Notes(), "run", budget, Rates(requests_per_minute=1), 4, lambda _: None)  # type: ignore[arg-type]
        model = Remote(lambda _: PLAN)
        await gate.ask(model, prompt("one"))
        with pytest.raises(LimitReached):
            await gate.ask(model, prompt("two"))
        assert lane_of(model).places.taken == 0
        return len(model.calls)

    assert in_no_time(main()) == 1


# Fallbacks


def told(script: Callable[[Prompt[Any]], Any], name: str, **settings: Any) -> Remote:
    return Remote(script, name=name, **settings)


def test_each_of_a_fallback_has_a_lane_of_its_own() -> None:
    async def main() -> None:
        first = told(lambda _: RateLimited("slow", 30.0), "a")
        second = told(lambda _: PLAN, "b")
        gate = gate_over(Notes())
        await gate.ask(Fallback(first, second), prompt("one"))
        assert (len(first.calls), len(second.calls)) == (1, 1)
        await gate.ask(Fallback(first, second), prompt("two"))
        assert (len(first.calls), len(second.calls)) == (1, 2), "the first is not asked during its pause"
        await asyncio.sleep(40)
        await gate.ask(Fallback(first, second), prompt("three"))
        assert len(first.calls) == 2
        assert asyncio.get_running_loop().time() < 50

    in_no_time(main())


def test_while_the_first_is_down_the_second_is_asked_at_once() -> None:
    async def main() -> tuple[int, float]:
        first = told(lambda _: Unavailable("down"), "a")
        model = Fallback(first, told(lambda _: PLAN, "b"))
        gate = gate_over(Notes())
        for number in range(40):
            await gate.ask(model, prompt(str(number)))
        return len(first.calls), asyncio.get_running_loop().time()

    tries, seconds = in_no_time(main())
    assert tries < 15
    assert seconds < 60


def test_those_who_wait_for_the_first_when_it_breaks_down_go_to_the_second() -> None:
    async def main() -> float:
        first = told(lambda _: Unavailable("down"), "a")
        model = Fallback(first, told(lambda _: PLAN, "b"))
        gate = gate_over(Notes(), rates=Rates(requests_per_minute=200))
        await asyncio.gather(*(gate.ask(model, prompt(str(number))) for number in range(60)))
        return asyncio.get_running_loop().time()

    assert in_no_time(main()) < 30


def test_where_all_are_down_the_one_that_is_back_first_answers() -> None:
    async def main() -> tuple[int, int]:
        first = told(lambda _: RateLimited("slow", 100.0), "a")
        answers: list[Any] = [RateLimited("slow", 10.0), PLAN]
        second = told(lambda _: answers.pop(0), "b")
        await gate_over(Notes()).ask(Fallback(first, second), prompt())
        assert 10 < asyncio.get_running_loop().time() < 20
        return len(first.calls), len(second.calls)

    assert in_no_time(main()) == (1, 2)


def test_a_paid_refusal_that_is_passed_over_is_paid_and_recorded() -> None:
    class Declines(Remote):
        async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
            return Completion(text="", refusal="no", usage=Usage(calls=1, input_tokens=7))

    notes = Notes()
    gate, reply = ask(Fallback(Declines([], name="a"), told(lambda _: PLAN, "b")), notes)
    assert isinstance(reply, PlanReply)
    assert notes.told("fail") == [("fail", "Refused: a declined: no", Usage(calls=1, input_tokens=7))]
    assert gate.budget.spent.calls == 2


def test_the_key_of_a_call_does_not_depend_on_who_answered() -> None:
    async def main() -> None:
        notes = Notes()
        down = Fallback(told(lambda _: Rejected("no"), "a"), told(lambda _: PLAN, "b"))
        up = Fallback(told(lambda _: PLAN, "a"), told(lambda _: PLAN, "b"))
        await gate_over(notes).ask(down, prompt())
        await gate_over(notes).ask(up, prompt())
        assert len(notes.told("finish")) == 1

    in_no_time(main())


def test_what_a_journal_refuses_is_not_tried_again() -> None:
    class Played(Notes):
        async def begin_call(self, intent: Intent) -> Begun:
            raise Unavailable("as it was recorded")

    notes = Played()
    gate, error = ask(Remote([PLAN]), notes)
    assert str(error) == "as it was recorded"
    assert notes.log == []
    assert gate.budget._reserved == (0, 0, 0)


def test_a_reply_that_another_came_by_meanwhile_is_used_and_nothing_is_sent_or_paid() -> None:
    theirs = Completion(text=json.dumps(PLAN), usage=Usage(calls=1, input_tokens=7, cost_usd=0.5))
    for model in (Remote([], price=PRICE), Scripted([], price=PRICE)):
        notes = Notes()
        notes.meanwhile[key_of(model, prompt(), 0)] = theirs
        gate, reply = ask(model, notes, Limits(calls=9))
        assert isinstance(reply, PlanReply)
        assert reply.queries == PLAN["queries"]
        assert notes.log == []
        assert gate.budget.spent == Usage()
        assert gate.budget._reserved == (0, 0, 0)
        assert gate.budget.worth == theirs.usage


def test_a_reply_that_another_came_by_before_a_second_try_is_used_and_the_first_try_is_paid() -> None:
    notes = Notes()

    def fails(_: Prompt[Any]) -> Unavailable:
        notes.meanwhile[key_of(model, prompt(), 0)] = Completion(text=json.dumps(PLAN), usage=Usage(calls=1))
        return in_doubt()

    model = told(fails, "a")
    gate, reply = ask(model, notes)
    assert isinstance(reply, PlanReply)
    assert [line[0] for line in notes.log] == ["begin", "fail"]
    assert gate.budget.spent.calls == 1


def test_a_reply_that_another_came_by_and_that_is_not_valid_counts_as_one_that_was_known() -> None:
    notes, model = Notes(), Remote([])
    notes.meanwhile[key_of(model, prompt(), 0)] = Completion(text="{}", usage=Usage(calls=1))

    async def main() -> None:
        with pytest.raises(InvalidReply) as caught:
            await gate_over(notes).ask(model, prompt(), mend=False)
        assert caught.value.known

    in_no_time(main())


def test_waits_between_tries_grow_and_are_spread() -> None:
    assert max(attempts._jitter(1) for _ in range(200)) <= 1.0
    late = [attempts._jitter(9) for _ in range(200)]
    assert max(late) <= 30
    assert max(late) - min(late) > 15
