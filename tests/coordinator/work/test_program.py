"""Work whose plan is a program: taken as it is needed, followed by what is found, gone on with after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from swarm import Limits, Report
from swarm.errors import RecipeError, UsageError
from swarm.orders import Order
from swarm.program import Program, Role, Vote
from swarm.prompts.typed import WorkPrompt
from swarm.store.opening import open_store
from tests.coordinator.work.conftest import Team, result

STEP = Role(name="step", schema={"type": "integer"}, view_tokens=0)


def chain(steps: int, role: Role = STEP) -> Program:
    def orders() -> Iterable[Order]:
        for n in range(steps):
            yield Order(name=f"s{n}", objective=f"add one, {n}", needs=(f"s{n - 1}",) if n else (), role=role.name)

    return Program(orders=orders, roles=(role,), answer=lambda results: results[f"s{steps - 1}"])


def plus_one(prompt: WorkPrompt) -> dict[str, Any]:
    return result(str(int(prompt.outcomes[0].text if prompt.outcomes else "0") + 1))


async def test_a_chain_carries_its_state_from_slice_to_slice(team: Team) -> None:
    team.do = plus_one
    answer = await team.run(plan=chain(300))
    assert (answer.text, answer.slices, answer.usage.calls, answer.complete) == ("300", 300, 300, True)


async def test_no_more_of_a_long_plan_is_live_than_is_needed(team: Team) -> None:
    team.do = plus_one
    taken = 0

    def counted() -> Iterable[Order]:
        nonlocal taken
        for order in chain(6_000).orders():  # type: ignore[misc]
            taken += 1
            yield order

    plan = Program(orders=counted, roles=(STEP,))
    answer = await team.run(plan=plan, limits=Limits(slices=5))
    assert answer.limit == "slices"
    assert taken < 2_500


async def test_a_run_that_was_stopped_goes_on_where_it_was_and_asks_nothing_twice(team: Team) -> None:
    team.do = plus_one
    first = await team.run(plan=chain(40), limits=Limits(slices=17))
    assert (first.slices, first.status) == (17, "partial")
    team.fresh()
    second = await team.run(plan=chain(40), limits=Limits(slices=100))
    assert (second.text, second.complete, len(team.worked)) == ("40", True, 23)


async def test_a_plan_grows_by_what_is_found_ten_levels_deep(team: Team, tmp_path: Path) -> None:
    """Each document points to two others of the next level; none is asked for twice."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for level in range(10):
        for n in range(3):
            (folder / f"{level}-{n}.md").write_text(f"Level {level}, number {n}.\n")

    def read(name: str) -> Order:
        return Order(name=name, objective=f"read {name}", sources=(str(folder / f"{name}.md"),))

    def follow(order: Order, report: Report) -> Iterable[Order]:
        level, n = (int(part) for part in order.name.split("-"))
        names = [f"{level + 1}-{n}", f"{level + 1}-{(n + 1) % 3}"] if level < 9 else []
        for name in names:
            if name not in seen:
                seen.add(name)
                yield read(name)

    seen = {"0-0"}
    team.do = lambda prompt: result(prompt.passages[0].text.strip())
    plan = Program(orders=lambda: [read("0-0")], follow=follow)
    answer = await team.run(plan=plan, paths=(str(folder),))
    assert answer.complete
    assert answer.slices == len(seen) == 1 + 2 + 8 * 3
    assert answer.coverage.chars_read + answer.coverage.chars_unread == answer.coverage.chars_total


async def test_a_vote_decides_against_replies_that_are_wrong(team: Team) -> None:
    asked: dict[str, int] = {}

    def do(prompt: WorkPrompt) -> dict[str, Any]:
        number = asked[prompt.objective] = asked.get(prompt.objective, 0) + 1
        return result("99") if number == 2 else result("none") if number == 3 else plus_one(prompt)

    team.do = do
    answer = await team.run(
        plan=chain(20, Role(name="step", schema={"type": "integer"}, view_tokens=0, vote=Vote()))
    )
    assert answer.text == "20"
    assert answer.complete
    with open_store(team.store, read_only=True) as store:
        reports = [one.body for one in store.journal.records("run", "report")]
    assert {(one["votes"], one["discarded"]) for one in reports} == {(4, 1)}


async def test_a_slice_that_fails_holds_back_only_what_needs_it(team: Team) -> None:
    def orders() -> Iterable[Order]:
        yield Order(name="bad", objective="fail")
        yield Order(name="after", objective="after", needs=("bad",))
        for n in range(30):
            yield Order(name=f"free{n}", objective=f"free {n}")

    def do(prompt: WorkPrompt) -> dict[str, Any]:
        if prompt.objective == "fail" and failing:
            return {"status": "blocked", "result": "", "notes": "no way"}
        return result("done")

    failing, team.do = True, do
    answer = await team.run(plan=Program(orders=orders))
    assert answer.slices == 30
    assert answer.status == "partial"
    assert answer.stopped == "'bad' failed: blocked: no way, and 1 more wait for it"
    failing = False
    team.fresh()
    answer = await team.run(plan=Program(orders=orders))
    assert answer.complete
    assert team.worked == ["fail", "after"]


@pytest.mark.parametrize(
    ("orders", "problem"),
    [
        ([Order(name="a", objective="x"), Order(name="a", objective="y")], "has a name that another has"),
        ([Order(name="a", objective="x", needs=("b",))], "needs 'b', which no order before it is called"),
        ([Order(name="a", objective="x", role="cook")], "names the role 'cook', which is not among the program's"),
        ([Order(name="a", objective="x", sources=("no.md",))], "names the source 'no.md'"),
        ([Order(name="", objective="x")], "needs a name and an objective"),
        ([Order(name="a", objective="x", kind="plan")], "is of the kind 'plan'"),
        (["step one"], "the plan gave 'step one' for an order: give a swarm.Order"),
    ],
)
async def test_an_order_that_cannot_be_is_told_in_one_line(team: Team, orders: list[Order], problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        await team.run(plan=Program(orders=lambda: orders))


async def test_a_role_that_makes_no_sense_is_told_before_anything_is_asked(team: Team) -> None:
    with pytest.raises(UsageError):
        await team.run(plan=chain(3, Role(name="step", schema={"type": "intger"})))
    assert not team.model.calls


async def test_a_call_that_was_answered_before_a_kill_is_not_sent_again(team: Team) -> None:
    """The reply of a slice is in the journal, and its report is not: as after a kill between the two."""
    team.do = plus_one
    await team.run(plan=chain(10), limits=Limits(slices=5))
    with open_store(team.store) as store:
        report = [one.key for one in store.journal.records("run", "report")][-1]
        store.database.write_sync(
            lambda connection: connection.execute("DELETE FROM records WHERE key = ?", (report,)) and None
        )
    team.fresh()
    answer = await team.run(plan=chain(10), limits=Limits(slices=100))
    assert (answer.text, len(team.worked)) == ("10", 5)


async def test_a_view_that_has_grown_is_not_a_reason_to_ask_again(team: Team) -> None:
    """What a sub-agent was shown of the graph is not what names its call."""
    plan = Program(orders=lambda: [Order(name=f"s{n}", objective=f"say {n}") for n in range(6)])
    team.do = lambda prompt: result(f"The answer is {prompt.objective}.", summary=f"It says {prompt.objective}.")
    await team.run(plan=plan, limits=Limits(slices=3))
    with open_store(team.store) as store:
        report = next(one.key for one in store.journal.records("run", "report"))
        store.database.write_sync(
            lambda connection: connection.execute("DELETE FROM records WHERE key = ?", (report,)) and None
        )
    team.fresh()
    answer = await team.run(plan=plan, limits=Limits(slices=100))
    assert answer.complete
    assert len(team.worked) == 3


async def test_the_graph_of_a_run_that_went_on_is_that_of_one_in_one_go(team: Team, tmp_path: Path) -> None:
    plan = Program(orders=lambda: [Order(name=f"s{n}", objective=f"say {n}") for n in range(12)])
    team.do = lambda prompt: result(f"It is {prompt.objective}.", summary=f"It says {prompt.objective}.")
    whole = await team.run(plan=plan)
    team.store = tmp_path / "other.db"
    await team.run(plan=plan, limits=Limits(slices=5))
    again = await team.run(plan=plan, limits=Limits(slices=50))
    assert again.graph == whole.graph
    assert again.findings == 12


async def test_cancelling_leaves_nothing_running(team: Team) -> None:
    team.do = plus_one
    running = asyncio.create_task(team.run(plan=chain(5_000)))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    team.fresh()
    answer = await team.run(plan=chain(5_000), limits=Limits(slices=10))
    assert answer.status == "partial"


async def test_a_function_that_leads_nowhere_may_return_nothing(team: Team) -> None:
    plan = Program(orders=lambda: [Order(name="a", objective="x")], follow=lambda order, report: None)  # type: ignore[arg-type,return-value]
    assert (await team.run(plan=plan)).complete
