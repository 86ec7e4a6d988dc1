"""A run that works towards a goal comes out the same from its journal, whoever planned, checked or steered it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from swarm import Answer, Limits
from swarm.coordinator.work.state import order_id
from swarm.errors import ReplayDiffers, Unavailable
from swarm.events import SliceFinished
from swarm.limits import attempts
from swarm.orders import Order
from swarm.playback import replay
from swarm.program import Program, Role, Vote
from swarm.prompts.typed import OutlinePrompt, WorkPrompt
from swarm.run import Swarm
from swarm.task import Task
from tests.coordinator.work.conftest import Team, assessed, order, outline, result
from tests.coordinator.work.test_program import chain, plus_one
from tests.coordinator.work.test_resumed import planned, programmed


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    monkeypatch.setattr(attempts, "ATTEMPTS", 2)
    monkeypatch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.0)
    return Team(tmp_path)


async def plays(answer: Answer, team: Team, plan: Program | None = None) -> None:
    again = await replay(answer.run_id, team.store, plan=plan)
    left_out = {"elapsed_seconds": 0.0, "usage": answer.usage, "window_peak": 0, "window_limit": 0}
    assert replace(again, **left_out) == replace(answer, **left_out)


@pytest.mark.parametrize("places", [1, 8])
async def test_a_plan_with_planners_under_it_failures_drops_and_legs_comes_out_the_same(
    team: Team, places: int
) -> None:
    team.settings["concurrency"] = places
    planned(team)
    await plays(await team.run(), team)


async def test_a_program_need_not_be_there_and_is_compared_where_it_is(team: Team) -> None:
    plan = programmed(team)
    answer = await team.run(plan=plan)
    await plays(answer, team)
    await plays(answer, team, plan)


async def test_a_program_that_says_otherwise_by_now_is_told_with_the_record(team: Team) -> None:
    team.do = plus_one
    answer = await team.run(plan=chain(5))
    other = replace(chain(5), answer=lambda results: "another")
    with pytest.raises(ReplayDiffers, match="text came out otherwise"):
        await replay(answer.run_id, team.store, plan=other)
    fewer = replace(chain(5), orders=lambda: [Order(name="s0", objective="add two", role="step")])
    with pytest.raises(ReplayDiffers, match="makes a pulled record 1, which the journal does not hold"):
        await replay(answer.run_id, team.store, plan=fewer)


async def test_so_does_one_that_a_limit_stopped_and_that_went_on_twice(team: Team) -> None:
    team.plan = lambda prompt: outline(
        *(order(f"s{n}", [f"s{n - 1}"] if n % 3 else []) for n in range(9)),
        order("part", kind="plan", objective="Make a part") if prompt.question == "Make it" else order("s0"),
    )
    for most in (3, 7, 100):
        team.fresh()
        answer = await team.run(limits=Limits(slices=most))
        await plays(answer, team)
    assert answer.complete


@pytest.mark.parametrize("tokens", [2_500, 6_000, 12_000])
async def test_so_does_one_that_ran_out_of_tokens_at_any_point(team: Team, tokens: int) -> None:
    planned(team)
    first = await team.run(limits=Limits(tokens=tokens))
    assert first.stopped is not None
    await plays(first, team)
    team.fresh()
    second = await team.run(limits=Limits())
    assert second.complete
    await plays(second, team)


async def test_so_does_one_that_was_stopped_and_steered_by_hand(team: Team) -> None:
    planned(team)
    swarm = Swarm(team.model, store=team.store, concurrency=3)
    task = Task(questions=("Make it",), paths=(), mode="work")
    async with swarm.stream(task, run_id="run") as stream:
        finished = 0
        async for event in stream:
            if isinstance(event, SliceFinished):
                finished += 1
                if finished == 2:
                    swarm.steer("Make it short")
                if finished == 4:
                    swarm.stop()
    await plays(event.answer, team)  # type: ignore[union-attr]
    team.fresh()
    await plays(await Swarm(team.model, store=team.store).resume("run"), team)


async def test_so_does_one_a_slice_of_which_a_person_cancelled(team: Team) -> None:
    team.plan = lambda prompt: outline(order("a"), order("b", ["a"]), order("c", ["b"]), order("d", ["a"]))
    team.judge = lambda prompt: assessed("stop")
    swarm = Swarm(team.model, store=team.store, concurrency=1)
    task = Task(questions=("Make it",), paths=(), mode="work")
    swarm.cancel(order_id("b"))
    async with swarm.stream(task, run_id="run") as stream:
        events = [event async for event in stream]
    answer = events[-1].answer  # type: ignore[union-attr]
    assert [one.slice for one in answer.failures] == [order_id("b")]
    await plays(answer, team)
    team.fresh()
    await plays(await Swarm(team.model, store=team.store).resume("run"), team)


async def test_what_checks_turned_down_is_known_without_them(team: Team) -> None:
    def do(prompt: WorkPrompt) -> dict[str, Any]:
        if prompt.objective == "make a":
            return result("12" if prompt.wrong else "eleven")
        return result("x")

    team.plan = lambda prompt: outline(order("a"), order("b")) if not prompt.standings else outline()
    team.do, team.judge = do, lambda prompt: assessed("stop")

    def numbers(value: str, one: Order) -> str | None:
        return None if value.isdigit() else f"{one.name} is no number"

    plan = Program(roles=(Role(check=numbers),), check=lambda results: f"{len(results)} are there")
    answer = await team.run(plan=plan)
    assert "no result that passes its check" in answer.failures[0].reason
    await plays(answer, team)
    await plays(answer, team, plan)


async def test_so_does_a_vote_that_a_check_and_failing_calls_had_a_part_in(team: Team) -> None:
    asked = 0

    def do(prompt: WorkPrompt) -> Any:
        nonlocal asked
        asked += 1
        return Unavailable("overloaded") if asked % 7 == 3 else result(str(asked % 3))

    def small(value: int, _: Order) -> str | None:
        return "too large" if value == 2 else None

    team.do, team.settings = do, {"concurrency": 1}
    plan = chain(6, Role(name="step", schema={"type": "integer"}, view_tokens=0, vote=Vote(lead=2), check=small))
    answer = await team.run(plan=plan)
    await plays(answer, team)
    await plays(answer, team, plan)


async def test_so_does_one_whose_planner_and_judge_could_not_be_asked(team: Team) -> None:
    def plan(prompt: OutlinePrompt) -> Any:
        if prompt.question != "Make it":
            return Unavailable("the server is down")
        return outline(order("part", kind="plan", objective="Make a part"), order("a"))

    team.plan = plan
    team.judge = lambda prompt: Unavailable("the judge is away")  # type: ignore[assignment, return-value]
    answer = await team.run()
    assert answer.stopped == "the judge could not be asked: the judge is away"
    await plays(answer, team)


async def test_material_that_goes_on_in_fresh_windows_is_cut_where_it_was(team: Team, tmp_path: Path) -> None:
    words = [f"Paragraph {n}: " + "the river rose again that year. " * 12 for n in range(90)]
    (tmp_path / "long.txt").write_text("\n\n".join(words))
    path = str(tmp_path / "long.txt")
    team.plan = lambda prompt: outline() if prompt.standings else outline(order("a", sources=[path]))

    def do(prompt: WorkPrompt) -> dict[str, Any]:
        found = [
            {"claim": f"It rose in {one.text.split(':')[0]}.", "quote": one.text[:40], "relevance": 0.9}
            for one in prompt.passages[-1:]
        ]
        status = "continue" if prompt.more else "done"
        told = {"status": status, "notes": f"up to leg {prompt.leg}", "findings": found, "look_up": ["river rose"]}
        return result("all of it" if status == "done" else "", **told)

    team.do = do
    team.fresh(window=6_000)
    answer = await team.run(paths=(path,))
    assert answer.complete
    assert answer.findings > 2
    await plays(answer, team)


async def test_a_report_that_differs_is_named(team: Team) -> None:
    planned(team)
    answer = await team.run()
    with apsw.Connection(str(team.store)) as connection:
        seq = connection.execute("SELECT max(seq) FROM records WHERE kind = 'report'").get
        connection.execute("UPDATE records SET body = replace(body, 'make', 'made') WHERE seq = ?", (seq,))
    with pytest.raises(ReplayDiffers, match=f"record {seq} .report"):
        await replay(answer.run_id, team.store)
