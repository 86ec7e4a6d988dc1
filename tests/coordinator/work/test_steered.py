"""Work that a person steers: what begins later goes by it, a plan is looked at again, a slice is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import pytest

from swarm import Answer, Limits, Swarm, Task
from swarm.coordinator.work.state import order_id
from swarm.errors import UsageError
from swarm.events import Paused, SliceDropped, SliceFinished, Steered, WentOn
from swarm.orders import Order
from swarm.playback import replay
from swarm.program import Program
from swarm.prompts.typed import WorkPrompt
from swarm.steer import tell
from swarm.store.opening import open_mailbox
from tests.coordinator.work.conftest import Team, order, outline, result

SAID = "Write it for a newcomer."


def free(count: int) -> Program:
    def orders() -> Iterable[Order]:
        return (Order(name=f"s{n}", objective=f"part {n}") for n in range(count))

    return Program(orders=orders, answer=lambda results: " ".join(sorted(results)))


async def follow(team: Team, plan: Program | None, on: Callable[[Swarm, Any], None]) -> Answer:
    """Run it, and do something at its events."""
    swarm = Swarm(team.model, store=team.store, concurrency=2)
    task = Task(questions=("Make it",), paths=(), mode="work", limits=Limits())
    async with swarm.stream(task, run_id="run", plan=plan) as stream:
        async for event in stream:
            on(swarm, event)
            if hasattr(event, "answer"):
                return event.answer
    raise AssertionError


def once(kind: type, do: Callable[[Swarm], None]) -> Callable[[Swarm, Any], None]:
    seen = 0

    def on(swarm: Swarm, event: Any) -> None:
        nonlocal seen
        seen += isinstance(event, kind)
        if seen == 1 and isinstance(event, kind):
            do(swarm)

    return on


async def test_what_begins_after_an_instruction_goes_by_it(team: Team) -> None:
    answer = await follow(team, free(12), once(SliceFinished, lambda swarm: swarm.steer(SAID)))
    told = [SAID in prompt.said for prompt in team.asked("work")]
    assert told == sorted(told)
    assert told[0] is False
    assert told[-1] is True
    again = await replay("run", team.store)
    assert (again.text, again.graph) == (answer.text, answer.graph)
    before = len(team.model.calls)
    assert (await follow(team, free(12), lambda *_: None)).complete
    assert len(team.model.calls) == before, "nothing is asked twice"


async def test_a_planner_looks_at_its_plan_again(team: Team) -> None:
    def plan(prompt: Any) -> dict[str, Any]:
        if any(SAID in reason for reason in prompt.reasons):
            return outline(order("for newcomers"))
        return outline(*(order(f"{n}") for n in range(12))) if not prompt.standings else outline()

    team.plan = plan
    answer = await follow(team, None, once(SliceFinished, lambda swarm: swarm.steer(SAID)))
    assert "make for newcomers" in team.worked
    assert answer.complete
    again = await replay("run", team.store)
    assert (again.text, again.graph) == (answer.text, answer.graph)


async def test_a_slice_that_is_cancelled_by_its_name_is_left_out_with_what_waits_for_it(team: Team) -> None:
    def orders() -> Iterable[Order]:
        return (
            Order(name=f"s{n}", objective=f"part {n}", needs=(f"s{n - 1}",) if n in (3, 4) else ())
            for n in range(6)
        )

    plan = Program(orders=orders)
    dropped: list[str] = []

    def on(swarm: Swarm, event: Any) -> None:
        if isinstance(event, SliceFinished) and event.slice.order.name == "s0":
            swarm.cancel(order_id("s3"))
        if isinstance(event, SliceDropped):
            dropped.append(event.slice.order.name)

    team.settings["concurrency"] = 1
    answer = await follow(team, plan, on)
    assert dropped[0] == "s3"
    assert answer.status == "partial"
    assert "part 3" not in team.worked
    assert "part 4" not in team.worked
    assert {"part 1", "part 2", "part 5"} <= set(team.worked)
    again = await replay("run", team.store)
    assert (again.status, again.text, again.graph) == (answer.status, answer.text, answer.graph)


async def test_paused_it_works_nothing_and_goes_on(team: Team) -> None:
    def on(swarm: Swarm, event: Any) -> None:
        match event:
            case SliceFinished() if not paused:
                swarm.pause()
                paused.append(0)
            case Paused():
                paused.append(len(team.model.calls))
                swarm.steer(SAID)
            case Steered():
                assert len(team.model.calls) <= paused[1] + 2, "what was in flight, and no more"
                swarm.go_on()
            case WentOn():
                paused.append(len(team.model.calls))

    paused: list[int] = []
    answer = await follow(team, free(12), on)
    assert len(paused) == 3
    assert answer.complete
    assert (await replay("run", team.store)).text == answer.text


async def test_orders_are_named_from_outside(team: Team) -> None:
    def do(prompt: WorkPrompt) -> dict[str, Any]:
        return result(prompt.objective)

    team.do = do
    await team.run(plan=free(4), limits=Limits(slices=2))
    told = tell("run", "cancel", slice_name="s3", store=team.store)
    assert (told.run, told.at_work, told.taken) == ("run", False, False)
    with closing(open_mailbox(team.store)) as mailbox:
        assert [one.slice for one in mailbox.waiting("run")] == [order_id("s3")]
    with pytest.raises(UsageError, match="has no slice s9"):
        tell("run", "cancel", slice_name="s9", store=team.store)
    await team.run(plan=free(4), limits=Limits(slices=100))
    assert sorted(team.worked) == ["part 0", "part 1", "part 2"]
