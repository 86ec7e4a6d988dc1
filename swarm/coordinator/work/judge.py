"""The judge of a branch: a prompt of its own, with a clean window and no stake, once nothing of it is left to do.

A program is asked first, where there is one, and what it says holds. Whether anything comes of the planning is
measured besides: a branch that goes in circles is stopped whatever anyone thinks of it.
"""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from swarm.checks import command
from swarm.coordinator.desk import Desk
from swarm.coordinator.show import view_prompt
from swarm.coordinator.work.brief import said_to
from swarm.coordinator.work.equip import asked_with_tools
from swarm.coordinator.work.settle import to_settle
from swarm.coordinator.work.state import ROOT, Branch, RunResults, Work
from swarm.errors import CallFailed, PromptTooLong, Rejected, UsageError
from swarm.observe.log import get_logger
from swarm.observe.scope import within
from swarm.program import JUDGE
from swarm.prompts.replies import AssessReply
from swarm.prompts.typed import AssessPrompt, Outcome, Shown
from swarm.store.journal import Entry

log = get_logger("judge")

_OUTCOMES = 12  # results of a branch that its judge is shown whole, as far as its window holds them


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is to become of a branch, and why."""

    verdict: Literal["done", "replan", "stop"]
    reason: str
    missing: tuple[str, ...] = ()


async def judge_branch(desk: Desk, work: Work, branch: Branch, number: int) -> Verdict:
    """Judge a branch for the `number`th time, and record it.

    Raises:
        LimitReached: a limit does not allow the call.
        Rejected: the provider accepts no call at all.
    """
    key = f"{branch.name}:{number}"
    if (record := desk.journal.record(desk.run, "judged", key)) is not None:
        body = record.body
        return Verdict(verdict=body["verdict"], reason=body["reason"], missing=tuple(body["missing"]))
    problem = await _program_says(desk, work, number) if branch.parent is None else None
    has_check = branch.parent is None and _check(desk) is not None
    with within(asker=f"judge:{key}"):
        settling = await to_settle(desk, work, branch, number)
    if work.program is not None:
        verdict = _of_program(problem)
    elif settling:
        verdict = _unsettled([question for question, _, _ in settling], problem)
        measure(work, branch, verdict.missing, _claims(desk, branch, number))
    elif has_check and problem is None:
        verdict = Verdict(verdict="done", reason="the check passes")
    else:
        with within(asker=f"judge:{key}"):
            reply = await _opinion(desk, work, branch, number, problem)
        verdict = _measured(desk, work, branch, reply, problem, _claims(desk, branch, number))
        if verdict.verdict == "stop" and problem is not None:
            verdict = replace(verdict, reason=f"{verdict.reason}; its check says: {problem}")
    body = {"verdict": verdict.verdict, "reason": verdict.reason, "missing": list(verdict.missing)}
    body |= {"done": branch.done, "claims": _claims(desk, branch, number), "check": problem, "score": work.score}
    body |= {"proposed": branch.proposed, "admitted": branch.admitted}
    body |= {"settling": [list(one) for one in settling]} if settling else {}
    await desk.journal.append(desk.run, Entry(kind="judged", key=key, body=body))
    log.info("judged", branch=branch.name, verdict=verdict.verdict)
    return verdict


def _of_program(problem: str | None) -> Verdict:
    """A plan that is code is done when nothing of it is left, unless its own check says what is missing."""
    if problem is None:
        return Verdict(verdict="done", reason="nothing is left to do")
    return Verdict(verdict="stop", reason=f"its check does not pass: {problem}")


def _unsettled(questions: Sequence[str], problem: str | None) -> Verdict:
    """What contradicts is worked before anyone judges the whole."""
    wanted = tuple(f"One slice is to settle this, and nothing else: {question}" for question in questions)
    missing = (*((problem,) if problem else ()), *wanted)
    return Verdict(verdict="replan", reason="findings contradict one another", missing=missing)


async def _program_says(desk: Desk, work: Work, number: int) -> str | None:
    """What the task's own check finds missing; None where it passes or there is none. In a replay no command is
    run."""
    check = _check(desk)
    if check is None:
        return None
    if desk.recorded is not None and not (desk.recorded.checks and desk.program and desk.program.check):
        problem, work.score = desk.recorded.checked(ROOT, number)
        return problem
    said = check(RunResults(desk.journal, desk.run))
    if inspect.isawaitable(said):
        said = await said
    work.score = getattr(check, "score", None)
    if said is not None and not isinstance(said, str):
        raise UsageError(
            f"Program.check returned {said!r}: return None where the task is done, else what is missing"
        )
    return said


def _check(desk: Desk) -> Callable[[RunResults], Any] | None:
    """The check of the program, else the command of the task, which is given what the plan comes to: the results
    that no other slice needs, as JSON by their names."""
    if desk.program is not None and desk.program.check is not None:
        return desk.program.check
    if not desk.task.check.strip() or desk.work is None:
        return None
    made, ends = command(shlex.split(desk.task.check), cwd=Path.cwd()), desk.work.root.ends
    return lambda results: made(json.dumps({name: results[name] for name in ends}, ensure_ascii=False))


async def _opinion(desk: Desk, work: Work, branch: Branch, number: int, problem: str | None) -> AssessReply:
    results = RunResults(desk.journal, desk.run)
    role = desk.program.judge if desk.program is not None else JUDGE
    outcomes = tuple(_outcome(results, name) for name in list(branch.ends)[-_OUTCOMES:])
    rounds_left = max(0, desk.rounds_allowed - branch.plannings)
    empty = AssessPrompt(
        question=branch.order.objective,
        shown=(),
        basis=(desk.run, branch.name, str(number)),
        done_when=branch.order.done_when,
        standings=tuple(branch.standings.values()),
        unlisted=branch.unlisted,
        outcomes=outcomes,
        checks=(problem,) if problem else (),
        said=said_to(desk, f"judge:{branch.id}:{number}"),
        rounds_left=rounds_left,
        instructions=role.instructions,
    )
    ask = asked_with_tools(desk, work, role, f"judge:{branch.name}:{number}", branch)
    size = len(outcomes)
    while True:
        name, told = (
            f"assess:{branch.name}:{number}:{size}",
            replace(empty, outcomes=outcomes[-size:] if size else ()),
        )
        try:
            return await view_prompt(desk, name, partial(_shown, told), budget=branch.budget, ask=ask)
        except PromptTooLong:
            if not size:
                raise
            size //= 2
        except Rejected:
            raise
        except CallFailed as error:
            log.warning("not judged", branch=branch.name, reason=str(error))
            return AssessReply(verdict="stop", reason=f"the judge could not be asked: {error}", missing=[])


def _shown(prompt: AssessPrompt, shown: tuple[Shown, ...], omitted: int) -> AssessPrompt:
    return replace(prompt, shown=shown, omitted=omitted)


def _outcome(results: RunResults, name: str) -> Outcome:
    outcome, _ = results.both(name)
    return outcome


def _claims(desk: Desk, branch: Branch, number: int) -> int:
    """What is claimed by now; where others are at work, a replay goes by what it was."""
    if desk.recorded is not None and branch.parent is not None:
        return desk.recorded.claims(branch.name, number)
    return desk.graph.claims


def _measured(
    desk: Desk, work: Work, branch: Branch, reply: AssessReply, problem: str | None, claims: int
) -> Verdict:
    """An opinion, unless a program or the measures speak against it."""
    missing = tuple(text for text in reply.missing if text.strip())
    if problem is not None:
        missing = (problem, *missing)
    elif reply.verdict == "done" and not branch.done:
        missing = ("nothing was worked yet: let one slice do it, or look whether it is done",)
    elif reply.verdict == "done":
        return Verdict(verdict="done", reason=reply.reason)
    stalled = measure(work, branch, missing, claims)
    if reply.verdict == "stop" and problem is None:
        return Verdict(verdict="stop", reason=reply.reason)
    if stalled is not None:
        return Verdict(verdict="stop", reason=stalled)
    if branch.plannings >= desk.rounds_allowed:
        return Verdict(verdict="stop", reason=f"{branch.plannings} rounds of planning are all that is allowed")
    return Verdict(verdict="replan", reason=reply.reason, missing=missing or (reply.reason,))


def measure(work: Work, branch: Branch, missing: tuple[str, ...], claims: int) -> str | None:
    """Take a round of planning into account: why it should be the last, or None."""
    return branch.progress.round(
        done=branch.done,
        claims=claims,
        score=work.score,
        proposed=branch.proposed,
        admitted=branch.admitted,
        missing=missing,
    )
