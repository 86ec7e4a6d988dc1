"""What findings of work contradict one another: before a plan counts as done, each such pair is worked once.

Pairs in prose are judged as they are before an answer; what stays open becomes a reason to plan, a slice for each.
What those slices found is shown when the pair is judged anew. Only the root asks, when nothing else is at work, so
that it comes out the same when the run is played again. It plans nothing itself.
"""

from __future__ import annotations

from swarm.coordinator.desk import Desk
from swarm.coordinator.disputes import judge_pairs, questions_to_settle
from swarm.coordinator.work.state import Branch, Work
from swarm.graph.identity import question_id

_IN_ALL = 12  # contradictions that one run works

Question = tuple[str, str, str]
"""What is asked about a contradiction, and the ids of both findings."""


async def to_settle(desk: Desk, work: Work, branch: Branch, number: int) -> list[Question]:
    """The contradictions to work before the `number`th verdict on a branch, some at once, each once in a run; none
    where the program does not want it, or the branch may not plan any more."""
    program = desk.program
    wanted = program is not None and program.settle and work.program is None and branch.parent is None
    if not wanted:
        return []
    before = _before(desk, number)
    desk.settling |= {
        question: (one, other)
        for question, one, other in before
        if desk.journal.record(desk.run, "settled", question_id(question)) is None
    }
    await judge_pairs(desk)
    if branch.plannings >= desk.rounds_allowed:
        return []
    asked = {question for question, _, _ in before}
    return questions_to_settle(desk, asked)[: max(0, _IN_ALL - len(before))]


def _before(desk: Desk, number: int) -> list[Question]:
    """Those of earlier verdicts."""
    found: list[Question] = []
    for earlier in range(1, number):
        record = desk.journal.record(desk.run, "judged", f":{earlier}")
        settling = record.body.get("settling", []) if record is not None else []
        found += [(question, one, other) for question, one, other in settling]
    return found
