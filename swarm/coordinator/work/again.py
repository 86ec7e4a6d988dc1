"""The work of a run from its journal: what is open, who waits for whom, and what planners and judges came to."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from swarm.agenda.agenda import Agenda
from swarm.coordinator.desk import Desk
from swarm.coordinator.records import DROPPED, INSTRUCTION
from swarm.coordinator.steering import CANCELLED
from swarm.coordinator.work.fit import roles_of
from swarm.coordinator.work.state import ROOT, Branch, Work, order_id
from swarm.coordinator.work.take import enter, order_of, source_at
from swarm.orders import Order
from swarm.task import SliceFailure


@dataclass
class _Known:
    """What the records of a run say of one branch."""

    plannings: int = 0
    planned_at: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    judged: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


def begin(desk: Desk) -> None:
    """Make ready what the work needs, and bring it to where the run was left."""
    program = desk.program
    root = Branch(order=Order(name=ROOT, objective=desk.question, done_when=desk.task.done_when))
    coded = program if program is not None and program.orders is not None else None
    desk.work = Work(root=root, program=coded, roles=roles_of(program), agenda=Agenda(), branches={ROOT: root})
    _restore(desk, desk.work)
    if coded is not None and coded.orders is not None:
        desk.work.supply = islice(iter(coded.orders()), desk.work.pulled, None)


def _restore(desk: Desk, work: Work) -> None:
    journal, run = desk.journal, desk.run
    pulled = journal.latest(run, "pulled")
    work.pulled = int(pulled.key) if pulled is not None else 0
    known = _known(desk)
    live, homes = _sorted(desk, work)
    for key in journal.keys(run, "failure"):
        id_ = key.partition(":")[0]
        work.tries[id_] = work.tries.get(id_, 0) + 1
    for branch, order in live:
        enter(desk, work, branch, (order,), tell=False)
    for branch in work.branches.values():
        _bring(branch, known.get(branch.name, _Known()), _ended_at(desk, branch))
        if branch.parent is not None and branch.plannings:
            work.under_way.add(branch.id)
    for name, seq in {one.key: one.seq for one in journal.records(run, DROPPED)}.items():
        _leave_alone(desk, work, name, told=seq < known.get(_branch_name(work, name), _Known()).planned_at)
    planned_at = known.get(ROOT, _Known()).planned_at
    work.heard = sum(record.seq < planned_at for record in journal.records(run, INSTRUCTION))
    if homes:
        planned = {order.objective for _, order in (*live, *homes.values())}
        _retell(desk, homes, known, planned)


def _sorted(desk: Desk, work: Work) -> tuple[list[tuple[Branch, Order]], dict[str, tuple[Branch, Order]]]:
    """The orders that are open, and those that are done, by their ids, each with its branch."""
    journal, run = desk.journal, desk.run
    done, dropped = set(journal.keys(run, "report")), set(journal.keys(run, "dropped"))
    given_up = {name for one in journal.records(run, "planned") for name, _ in one.body["dropped"]}
    work.done = work.begun = len(done)
    live: list[tuple[Branch, Order]] = []
    homes: dict[str, tuple[Branch, Order]] = {}
    for record in journal.records(run, "slice"):
        name = record.key
        branch_name = record.body.get("branch", ROOT)
        branch = work.branches.get(order_id(branch_name) if branch_name else ROOT)
        id_ = order_id(name)
        if id_ in done:
            order = order_of(name, record.body)
            work.given |= {source.id for path in order.sources if (source := source_at(desk, path)) is not None}
        if branch is None:  # of a branch that is settled
            continue
        if id_ in done:
            branch.done += 1
            if work.program is None:
                homes[id_] = branch, order
                branch.stands(name, "done", "")
        elif name in dropped and (id_ not in desk.steering.cancelled or name in given_up):
            branch.stands(name, "dropped", "")
        else:
            order = order_of(name, record.body)
            live.append((branch, order))
            if order.kind == "plan":
                work.branches[id_] = Branch(order=order, depth=branch.depth + 1, parent=branch.id)
    return live, homes


def _known(desk: Desk) -> dict[str, _Known]:
    known: dict[str, _Known] = {}
    for record in desk.journal.records(desk.run, "planned"):
        name, _, number = record.key.rpartition(":")
        one = known.setdefault(name, _Known())
        one.plannings, one.planned_at, one.last = int(number), record.seq, record.body
    for record in desk.journal.records(desk.run, "judged"):
        name, _, _ = record.key.rpartition(":")
        known.setdefault(name, _Known()).judged.append((record.seq, record.body))
    return known


def _branch_name(work: Work, name: str) -> str:
    slice_ = work.live.get(order_id(name))
    return work.branch_of(slice_).name if slice_ is not None else ROOT


def _leave_alone(desk: Desk, work: Work, name: str, *, told: bool) -> None:
    """A slice that a person cancelled stays where it is until its planner drops it: what waits for it waits on."""
    slice_ = work.live.get(order_id(name))
    if slice_ is None:
        return
    branch = work.branch_of(slice_)
    work.failed[name] = CANCELLED
    desk.dropped[slice_.id] = SliceFailure(slice=slice_.id, spans=slice_.spans, reason=CANCELLED, name=name)
    branch.stands(name, "dropped", CANCELLED)
    if not told:
        branch.urgent = True
        branch.reasons.append(f'"{name}" was {CANCELLED}')


def _ended_at(desk: Desk, branch: Branch) -> int:
    """The last record that says what came of a branch; 0 where there is none."""
    if branch.parent is None:
        last = desk.journal.latest(desk.run, "answer")
        return last.seq if last is not None else 0
    failed = (desk.journal.record(desk.run, "failure", f"{branch.id}:{n}") for n in range(1, desk.session + 1))
    return max((record.seq for record in failed if record is not None), default=0)


def _bring(branch: Branch, known: _Known, ended_at: int) -> None:
    """Bring a branch to where it was: a verdict that was not gone by yet is found again, one to stop that was is
    not held against a run that goes on, and one to plan anew is gone by."""
    branch.plannings = known.plannings
    branch.proposed, branch.admitted = known.last.get("proposed", 0), len(known.last.get("orders", ()))
    branch.refused = [f'"{name}" was not let in: it {reason}' for name, reason in known.last.get("refused", ())]
    branch.judgings = len(known.judged)
    for _, body in known.judged:
        if body["verdict"] == "replan":
            branch.progress.round(
                done=body["done"],
                claims=body["claims"],
                score=body["score"],
                proposed=body["proposed"],
                admitted=body["admitted"],
                missing=body["missing"],
            )
    if not known.judged:
        return
    seq, last = known.judged[-1]
    if last["verdict"] == "done" or (last["verdict"] == "stop" and seq > ended_at):
        branch.judgings -= 1
        branch.found = True
    elif last["verdict"] == "replan" and seq > known.planned_at:
        branch.replan = True
        branch.reasons = list(last["missing"])


def _retell(
    desk: Desk, homes: dict[str, tuple[Branch, Order]], known: dict[str, _Known], planned: Container[str]
) -> None:
    """What the reports of open branches said in a sentence, and what they proposed since the last planning, but
    for what is planned already."""
    for record in desk.journal.records(desk.run, "report"):
        if record.key not in homes:
            continue
        branch, order = homes[record.key]
        name, body = order.name, record.body
        branch.ended(order)
        if name in branch.standings:
            branch.stands(name, "done", body.get("summary") or body.get("result", ""))
        if record.seq > known.get(branch.name, _Known()).planned_at:
            proposed = (one["objective"] for one in body.get("proposed", ()) if one["objective"] not in planned)
            branch.reasons += [f'"{name}" proposes: {objective[:400]}' for objective in proposed]
