"""Reviewers: who looks at what, what becomes of what they find, and where it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Order, Program, Role, Swarm, Task, reviewed
from swarm.errors import UsageError
from swarm.models.scripted import Scripted
from swarm.program import Done, Piece
from swarm.prompts.typed import WorkPrompt
from swarm.reviewing import REVIEWER
from swarm.task import Artifact, Report

CRITIC = Role(name="critic", instructions="Look for what is wrong.", view_tokens=0)
ASKED = Order(name="parse", objective="Write the parser.", done_when="It parses.")


def report(*proposed: str, **more: Any) -> Report:
    orders = tuple(Order(name=name, objective=f"Mend {name}.", sources=("gone.md",)) for name in proposed)
    return Report(slice="s", question="", result="Looked at.", proposed=orders, **more)


def follow(program: Program, order: Order, said: Report) -> list[Order]:
    assert program.follow is not None
    made = list(program.follow(order, said))
    assert made == list(program.follow(order, said)), "it says the same when it is asked again"
    return made


def coded(**more: Any) -> Program:
    return Program(orders=lambda: [ASKED], **more)


def test_each_reviewer_is_to_look_at_what_is_done() -> None:
    program = reviewed(coded(), CRITIC, Role(name="tester"))
    commit = Artifact(id="a", name="commit of parse", media="application/x-git-commit", ref="abc123")
    one, other = follow(program, ASKED, report(artifacts=(commit,)))
    assert (one.name, one.role, one.needs) == ("review 1 by critic: parse", "critic", ("parse",))
    assert (other.name, other.role) == ("review 1 by tester: parse", "tester")
    assert "git show abc123" in one.objective
    assert "Write the parser.\nIt was to be done when: It parses." in one.objective


def test_what_a_review_finds_becomes_slices_of_the_reviewed_role() -> None:
    program = reviewed(coded(roles=(Role(name="fix"),)), CRITIC, most=2)
    (review,) = follow(program, Order(name="a", objective="Mend a.", role="fix"), report())
    assert review.role == "critic of fix"
    mended = follow(program, review, report("empty input", "long lines", "a third"))
    assert [(one.name, one.role, one.needs) for one in mended] == [
        (f"empty input (from {review.name})", "fix", (review.name,)),
        (f"long lines (from {review.name})", "fix", (review.name,)),
    ]
    assert mended[0].objective == "Mend empty input."
    assert mended[0].sources == (), "a reviewer may name what is not there"
    assert {role.name for role in program.roles} == {"fix", "critic", "critic of fix"}


def test_it_ends_after_so_many_rounds() -> None:
    program = reviewed(coded(), CRITIC, rounds=2)
    order, names = ASKED, list[str]()
    while made := follow(program, order, report("again" * 30)):
        (order,) = made
        names.append(order.name)
    assert len(names) == 4, "two reviews, and what each found"
    assert len(set(names)) == 4
    assert names[2].startswith("review 2 by critic: again")
    assert max(map(len, names)) <= 150


def test_the_programs_own_follow_is_asked_about_its_own_orders_alone() -> None:
    asked: list[str] = []

    def own(order: Order, _report: Report) -> list[Order]:
        asked.append(order.name)
        return [Order(name="next", objective="go on")]

    program = reviewed(coded(follow=own), CRITIC)
    after, review = follow(program, ASKED, report())
    assert (after.name, review.role) == ("next", "critic")
    (mended,) = follow(program, review, report("x"))
    assert follow(program, mended, report()) == []
    assert set(asked) == {"parse"}


async def _nothing(_piece: Piece) -> Done:
    return Done(result="nothing")


@pytest.mark.parametrize(
    "order",
    [
        Order(name="core", objective="Plan it.", kind="plan"),
        Order(name="notes", objective="Write them down.", role="clerk"),
    ],
)
def test_what_is_planned_further_or_made_by_code_is_not_reviewed(order: Order) -> None:
    program = Program(roles=(Role(name="clerk", code=_nothing),))
    assert follow(reviewed(program, CRITIC), order, report()) == []


def test_without_a_role_the_reviewer_reads_and_changes_nothing() -> None:
    (role,) = reviewed(coded()).roles
    assert role == REVIEWER
    assert (role.workspace, role.view_tokens) == ("read", 0)
    assert not {"edit_file", "write_file", "remove_file"} & set(role.tools)


@pytest.mark.parametrize(
    ("roles", "more"),
    [((Role(),), {}), ((CRITIC, CRITIC), {}), ((Role(name="fix"),), {}), ((CRITIC,), {"rounds": 0})],
)
def test_reviewers_that_make_no_sense_are_told(roles: tuple[Role, ...], more: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        reviewed(coded(roles=(Role(name="fix"),)), *roles, **more)


# In a run


def does(prompt: WorkPrompt) -> dict[str, Any]:
    reply: dict[str, Any] = {"status": "done", "result": f"did: {prompt.objective}", "summary": "", "notes": ""}
    if prompt.instructions == CRITIC.instructions:
        assert [one.name for one in prompt.outcomes], "it sees what came of what it reviews"
        assert not prompt.shown
        if "mend" not in prompt.objective:
            reply["proposed"] = [{"name": "hole", "objective": f"mend {prompt.outcomes[0].name}", "sources": []}]
    return reply


class Run:
    def __init__(self, folder: Path, plan: Program, outline: Any = None) -> None:
        self.store, self.plan = folder / "swarm.db", plan
        self.done: list[str] = []
        self.reasons: list[tuple[str, ...]] = []
        self._outline = outline

    async def __call__(self) -> Answer:
        def work(prompt: Any) -> Any:
            self.done.append(prompt.objective.partition("\n")[0])
            return does(prompt)

        def outline(prompt: Any) -> Any:
            self.reasons.append(prompt.reasons)
            return self._outline(prompt)

        judged = {"verdict": "done", "reason": "all is there", "missing": []}
        model = Scripted(
            {
                "work": work,
                "outline": outline,
                "assess": judged,
                "answer": {"answerable": False, "short": None, "statements": []},
            }
        )
        task = Task(questions=("Make it",), paths=(), mode="work")
        return await Swarm(model, store=self.store).run(task, run_id="run", plan=self.plan)


async def test_in_a_plan_that_is_code_what_is_found_is_mended(tmp_path: Path) -> None:
    plan = reviewed(coded(answer=lambda results: "; ".join(sorted(results))), CRITIC)
    run = Run(tmp_path, plan)
    answer = await run()
    assert answer.complete
    assert run.done == ["Write the parser.", 'Review what "parse" left.', "mend parse"]


async def test_in_a_plan_of_a_planner_too_and_it_is_not_asked_for_what_follows_by_itself(tmp_path: Path) -> None:
    def outline(prompt: Any) -> dict[str, Any]:
        usual = {"done_when": "", "boundaries": "", "needs": [], "sources": [], "kind": "work", "priority": 0}
        orders = [{"name": name, "objective": f"make {name}", **usual} for name in ("a", "b")]
        return {"orders": [] if prompt.standings else orders, "drop": [], "reason": ""}

    run = Run(tmp_path, reviewed(Program(), CRITIC), outline)
    answer = await run()
    assert answer.complete
    assert sorted(run.done) == [
        'Review what "a" left.', 'Review what "b" left.', "make a", "make b", "mend a", "mend b",
    ]  # fmt: skip
    assert run.reasons == [()], "the plan was made once"
