"""Findings that contradict one another become slices before a plan is done: each once, and not without an end."""

from __future__ import annotations

from typing import Any

import pytest

from swarm import Answer, Limits, replay
from swarm.models.scripted import Scripted
from swarm.program import Program
from swarm.prompts.typed import OutlinePrompt, WorkPrompt
from tests.coordinator.work.conftest import Team, order, outline, result


def length(metres: int, source: str) -> dict[str, Any]:
    text = f"The {source} gives the bridge {metres} m."
    found = {"claim": text, "quote": text, "relevance": 1.0}
    found |= {"subject": "the bridge", "attribute": "length", "value": f"{metres}", "unit": "m"}
    return result(text, findings=[found])


class Settling:
    """A team whose two surveys disagree. `settle` is what the slice that is to settle it reports."""

    def __init__(self, team: Team, settle: dict[str, Any]) -> None:
        self.team, self.reasons = team, list[str]()
        team.plan = self._plan
        work = {"make survey": length(40, "survey"), "make map": length(41, "map")}
        team.do = lambda prompt: work.get(prompt.objective, settle)
        self.program: Program | None = Program(settle=True)

    def _plan(self, prompt: OutlinePrompt) -> dict[str, Any]:
        if not prompt.standings:
            return outline(order("survey"), order("map"))
        self.reasons += prompt.reasons
        return outline(*(order(f"settle {n}", objective=why) for n, why in enumerate(prompt.reasons)))

    async def run(self, **more: Any) -> Answer:
        return await self.team.run(plan=self.program, **more)


async def test_findings_that_contradict_are_settled_by_a_slice_of_its_own(team: Team) -> None:
    settling = Settling(team, result("The map is of 1990, before the bridge was lengthened.", findings=[]))
    answer = await settling.run()
    (reason,) = settling.reasons
    assert reason.startswith("One slice is to settle this, and nothing else: The sources disagree: ")
    assert "40 m" in reason
    assert "41 m" in reason
    asked: list[WorkPrompt] = [prompt for prompt in team.asked("work") if isinstance(prompt, WorkPrompt)]
    assert len(asked) == 3
    assert answer.slices == 3
    assert len(answer.contradictions) == 1, "nobody has judged it anew: it is told"
    assert (await replay(answer.run_id, team.store)).graph == answer.graph


async def test_what_was_found_about_it_is_shown_when_the_pair_is_judged_anew(team: Team) -> None:
    shown: list[tuple[int, int]] = []

    def compare(prompt: Any) -> dict[str, Any]:
        shown.append((len(prompt.shown), len(prompt.beside)))
        return {"pairs": [{"pair": 1, "verdict": "compatible", "later": None, "reason": "before and after"}]}

    text = "The bridge was 40 m long before 1990, and 41 m after it was lengthened."
    settling = Settling(team, result(text, findings=[{"claim": text, "quote": text, "relevance": 1.0}]))
    team.model = Scripted({**team.model._replies, "compare": compare})
    answer = await settling.run()
    assert (len(settling.reasons), shown) == (1, [(2, 1)])
    assert not answer.contradictions
    assert answer.complete
    assert (await replay(answer.run_id, team.store)).graph == answer.graph


async def test_a_contradiction_is_asked_once_though_nothing_settles_it(team: Team) -> None:
    settling = Settling(team, result("Nothing more was found."))
    answer = await settling.run()
    assert len(settling.reasons) == 1
    assert answer.complete
    assert [prompt.kind for prompt in team.model.calls].count("outline") == 2


async def test_no_contradiction_is_worked_that_the_plan_has_no_round_for(team: Team) -> None:
    settling = Settling(team, result("Nothing more was found."))
    answer = await settling.run(limits=Limits(rounds=1))
    assert not settling.reasons
    assert (answer.complete, len(answer.contradictions)) == (True, 1)


@pytest.mark.parametrize("program", [None, Program()])
async def test_work_that_does_not_ask_for_it_is_done_when_its_judge_says_so(
    team: Team, program: Program | None
) -> None:
    settling = Settling(team, result(""))
    settling.program = program
    answer = await settling.run()
    assert not settling.reasons
    assert len(answer.contradictions) == 1
