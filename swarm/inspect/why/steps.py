"""The slices on a way down: why each was there, who asked for it, and what it came to.

Read from the plan and from the records of planners, judges and reports. What is not in the journal is not guessed.
This module knows no prompts and no prices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from swarm.coordinator.work.state import order_id
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.inspect.plan import Seen
from swarm.inspect.why.down import place
from swarm.inspect.why.parts import Reason, Step
from swarm.store.journal import Record
from swarm.task import Usage

_SPANS = 4  # places of a slice that are told
_ABOVE = 12  # planners above one another that are told


def step_of(opened: Opened, followed: Follower, id_: str, paths: Mapping[str, str]) -> Step | None:
    """A slice as the journal tells of it; None where the run has none of that id. `paths` are those of the sources
    by their ids: the graph knows only those that something was found in."""
    seen = followed.plan.slices.get(id_)
    if seen is None:
        return None
    report = opened.journal.record(opened.run, "report", id_)
    body = report.body if report is not None else {}
    slice_, order = seen.slice, seen.slice.order
    machines = [*(stay.machine for stay in seen.stays), seen.machine]
    named = {order_id(need): need for need in order.needs} if order is not None else {}
    return Step(
        id=id_,
        name=followed.names.of(seen),
        asked=slice_.question,
        state=seen.state,
        failed=seen.why,
        branch=seen.branch,
        round=slice_.round,
        begun=seen.begun,
        ended=seen.ended,
        reasons=tuple(_reasons(opened, followed, seen)),
        spans=tuple(place(opened, span, paths.get(span.source)) for span in slice_.spans[:_SPANS]),
        chars=slice_.chars,
        findings=len(body.get("findings", ())),
        rejected=len(body.get("rejected", ())),
        summary=body.get("summary", "") or body.get("result", ""),
        needs=tuple(named.get(need, need) for need in slice_.needs),
        models=(),
        calls=(),
        more_calls=0,
        usage=Usage(),
        machines=tuple(followed.plan.machines.name(one) for one in machines if one),
    )


def _reasons(opened: Opened, followed: Follower, seen: Seen) -> Iterator[Reason]:
    if seen.slice.order is not None:
        yield from _of_work(opened, followed, seen)
        return
    yield from _cut(opened, seen)
    if seen.slice.round == 1:
        yield Reason(text=_first_round(seen), asker="plan")
    else:
        yield from _follow_up(opened, seen)


def _first_round(seen: Seen) -> str:
    asked = seen.slice.question
    item = f", of {seen.slice.item}" if seen.slice.item else ""
    return f"the task asks: {asked}{item}" if asked else f"the task wants all of it read{item}"


def _cut(opened: Opened, seen: Seen) -> Iterator[Reason]:
    parent = seen.slice.parent
    if parent is None:
        return
    if opened.journal.record(opened.run, "split", parent) is not None:
        yield Reason(text=f"half of the slice {parent[:12]}, which was too long for the window")
    elif opened.journal.record(opened.run, "closer", parent) is not None:
        yield Reason(text=f"half of the slice {parent[:12]}, whose reader had more to say")


def _follow_up(opened: Opened, seen: Seen) -> Iterator[Reason]:
    """The decision that a round of follow-up questions came of."""
    slice_ = seen.slice
    made = opened.journal.record(opened.run, "plan", str(slice_.round))
    for question, one, other in made.body.get("settling", ()) if made is not None else ():
        if question == slice_.question:
            yield Reason(text=f"it was to settle a contradiction between {one[:12]} and {other[:12]}: {question}")
    decision = decision_on(opened, slice_.round, slice_.question)
    if decision is None:
        yield Reason(text=f"asked as a follow-up in round {slice_.round}: {slice_.question}")
        return
    because = decision.body.get("reason", "")
    told = f"a follow-up question of the judge, after round {slice_.round - 1}: {slice_.question}"
    yield Reason(text=f"{told} (because: {because})" if because else told, asker="judge")


def decision_on(opened: Opened, round_: int, question: str) -> Record | None:
    """The judge's decision that asked a question for a round."""
    for record in opened.journal.records(opened.run, "decision"):
        asked = record.body.get("questions", ())
        if record.key.partition(":")[0] == str(round_ - 1) and question in asked:
            return record
    return None


def judged_between(opened: Opened, round_: int, question: str) -> tuple[float, float]:
    """When the judge was asked whose decision a round came of: after the decision before, until its own; in
    seconds since the epoch."""
    until = decision_on(opened, round_, question)
    if until is None:
        return 0.0, inf
    earlier = [one.at for one in opened.journal.records(opened.run, "decision") if one.seq < until.seq]
    return max(earlier, default=0.0), until.at


def _of_work(opened: Opened, followed: Follower, seen: Seen) -> Iterator[Reason]:
    """The order, the planning that it came of, and the planners above that."""
    order = seen.slice.order
    assert order is not None
    for done, text in (("it is done when", order.done_when), ("it is not to", order.boundaries)):
        if text:
            yield Reason(text=f"{done}: {text}")
    name, branch = order.name, seen.branch
    for _ in range(_ABOVE):
        planned = planning_of(opened, branch, name)
        whole = branch or "the whole"
        if planned is None:
            yield Reason(text=f"an order of the program, for {followed.plan.goal or 'the goal'}")
            return
        number = planned.body["number"]
        because = planned.body.get("reason", "")
        told = f"ordered by the planner of {whole}, at its planning {number}" + (f": {because}" if because else "")
        yield Reason(text=told, asker=f"plan:{branch}:{number}")
        if number > 1 and (judged := opened.journal.record(opened.run, "judged", f"{branch}:{number - 1}")):
            missing = "; ".join(judged.body.get("missing", ()))
            told = f"which the judge had sent back: {judged.body['reason']}" + (f" ({missing})" if missing else "")
            yield Reason(text=told, asker=f"judge:{branch}:{number - 1}")
        if not branch:
            break
        name, branch = branch, _above(followed, branch)
    if followed.plan.goal:
        yield Reason(text=f"the goal: {followed.plan.goal}")


def planning_of(opened: Opened, branch: str, order: str) -> Record | None:
    """The planning at which an order was let in; None where a program gave it."""
    for record in opened.journal.records(opened.run, "planned"):
        if record.body["branch"] == branch and order in record.body["orders"]:
            return record
    return None


def _above(followed: Follower, branch: str) -> str:
    seen = followed.plan.slices.get(order_id(branch))
    return seen.branch if seen is not None else ""


def slices_that_say(opened: Opened, followed: Follower, text: str, most: int) -> list[str]:
    """The slices of a run of work whose results hold a text, the last first: what a written answer was made of."""
    wanted = " ".join(text.split()).casefold()
    found: list[str] = []
    for record in opened.journal.records(opened.run, "report"):
        said = f"{record.body.get('result', '')}\n{record.body.get('summary', '')}"
        if wanted in " ".join(said.split()).casefold() and record.key in followed.plan.slices:
            found.append(record.key)
    return list(reversed(found))[:most]
