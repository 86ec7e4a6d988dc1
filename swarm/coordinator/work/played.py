"""The work of a run once more, from its records alone: in their order, with nobody asked and no program at hand.

What follows from replies is worked out again. What came from outside is taken as recorded: which slice came to its
end when, why a call failed, and what a program gave, unless that is there again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from swarm.coordinator.desk import Desk
from swarm.coordinator.listen import hear
from swarm.coordinator.work.judge import Verdict
from swarm.coordinator.work.ledger import SliceLedger
from swarm.coordinator.work.places import workspace_in
from swarm.coordinator.work.pool import Pool
from swarm.coordinator.work.state import ROOT, Branch, Work, order_id
from swarm.coordinator.work.take import order_of, pull
from swarm.equipment import Workspace
from swarm.errors import CallFailed, LimitReached, PromptTooLong, SwarmError
from swarm.limits.budget import Budget
from swarm.limits.hedged import Hedged
from swarm.models.base import Model
from swarm.orders import Order
from swarm.program import JUDGE, PLANNER, Done, Piece, Program, Results, Role, Vote
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Prompt
from swarm.store.journal import Entry, Record
from swarm.task import Report, Slice
from swarm.worker.work import Ask, Worked

R = TypeVar("R", bound=Reply)

_GIVERS = ("pulled", "report", "planned")  # kinds of records with which orders are let in


class Ended(SwarmError):
    """The process that was at work died here."""


def program_entry(program: Program, session: int) -> Entry:
    """What there is of a program, beside code: how its roles are worked."""
    parts, space = ("orders", "follow", "check", "answer"), program.workspace
    body: dict[str, Any] = {part: getattr(program, part) is not None for part in parts}
    body |= {"settle": True} if program.settle else {}
    return Entry(
        kind="program",
        key=str(session),
        body=body
        | ({} if space is None else _where(space))
        | {"roles": [_role_body(one) for one in program.roles]}
        | {part: _role_body(one) for part, one in (("planner", program.planner), ("judge", program.judge))},
    )


def _where(space: Workspace) -> dict[str, Any]:
    if space.remote:
        return {"remote": space.remote}
    return {"repository": str(Path(space.repository).expanduser().absolute())}


def _role_body(role: Role) -> dict[str, Any]:
    return {
        "name": role.name,
        "instructions": role.instructions,
        "schema": None if role.schema is None else dict(role.schema),
        "vote": None if role.vote is None else [role.vote.lead, role.vote.most],
        "check": role.check is not None,
        "view_tokens": role.view_tokens,
        "report_tokens": role.report_tokens,
        "legs": role.legs,
        "tries": role.tries,
        "may_fail": role.may_fail,
        "steps": role.steps,
        "tools": bool(role.tools),
        "workspace": role.workspace,
        "code": role.code is not None,
    }


def _role_of(body: dict[str, Any]) -> Role:
    vote = None if body["vote"] is None else Vote(lead=body["vote"][0], most=body["vote"][1])
    stands = {"check": _not_asked, "code": _not_run, "tools": ("read_result",)}  # as the ledger has it
    usual = {"check": None, "code": None, "tools": ()}
    made = {name: stands[name] if body.get(name) else usual[name] for name in stands}
    return Role(**(body | {"vote": vote} | made))


def _not_asked(*_: Any) -> None:
    """In place of a check: the ledger has what it said."""


async def _not_run(_piece: Piece) -> Done:
    """In place of code: the ledger has what it came to."""
    raise CallFailed("no code is run in a replay")


def stand_in(body: dict[str, Any], history: Iterable[Record], text: str) -> Program:
    """A program that gives what that of a session gave, as the records of the run tell; `text` is the answer."""
    first: list[Order] = []
    followers: dict[str, list[Order]] = {}
    giver: Record | None = None
    for record in history:
        if record.kind in _GIVERS:
            giver = record
        elif record.kind == "slice" and giver is not None:
            order = order_of(record.key, record.body)
            if giver.kind == "pulled":
                first.append(order)
            elif giver.kind == "report":
                followers.setdefault(giver.key, []).append(order)

    def follow(order: Order, _report: Report) -> Iterable[Order]:
        return followers.get(order_id(order.name), ())

    def answer(_results: Results) -> str:
        return text

    return Program(
        orders=(lambda: iter(first)) if body["orders"] else None,
        follow=follow if body["follow"] else None,
        check=_not_asked if body["check"] else None,
        answer=answer if body["answer"] else None,
        roles=tuple(_role_of(one) for one in body["roles"]),
        workspace=workspace_in(body),
        planner=_role_of(body["planner"]) if "planner" in body else PLANNER,
        judge=_role_of(body["judge"]) if "judge" in body else JUDGE,
        settle=body.get("settle", False),
    )


async def play(desk: Desk, plan: Work) -> None:
    """All that the records of a session tell, one after the other."""
    assert desk.recorded is not None
    player = _Player(desk, plan)
    try:
        for record in desk.recorded.records(desk.session):
            if record.kind == "instruction":
                await hear(desk, record)
            elif desk.journal.record(desk.run, record.kind, record.key) is None:
                with suppress(Ended):  # what follows was not recorded any more; what others came to then may be
                    await player.play(record)
    finally:
        await player.close()
    if desk.stopped is None:
        desk.stopped, desk.limit = desk.recorded.stopped(desk.session)


class _Player:
    """Plays records. A slice is begun with the first of its own, and goes no further than they do."""

    def __init__(self, desk: Desk, plan: Work) -> None:
        self._desk, self._plan = desk, plan
        self.pool = Pool(desk, plan, _Known(Hedged(desk.gate, lambda: 0, resumed=True)))
        self._begun: dict[str, _Attempt] = {}

    async def play(self, record: Record) -> None:
        name, _, number = record.key.rpartition(":")
        match record.kind:
            case "pulled":
                await pull(self._desk, self._plan)
            case "planned" | "judged":
                if (branch := await self._branch(name)) is not None:
                    branch.busy = True
                    work = self.pool.ask_planner if record.kind == "planned" else self.pool.ask_judge
                    await work(branch, int(number))
            case "handoff":
                if (attempt := self._attempt(record.key.partition(":")[0])) is not None:
                    await attempt.go_on()
            case "report" | "failure":
                await self._settle(record, record.key.partition(":")[0])
            case "dropped" if not await self._found():
                slice_ = self._plan.live.get(order_id(record.key))
                if slice_ is not None and slice_.order is not None:
                    await self.pool.cancel(slice_, slice_.order, record.body["reason"])

    async def _branch(self, name: str) -> Branch | None:
        id_ = order_id(name) if name else ROOT
        slice_ = self._plan.live.get(id_)
        if id_ not in self._plan.branches and slice_ is not None:
            await self.pool.open(slice_)
        return self._plan.branches.get(id_)

    def _attempt(self, id_: str) -> _Attempt | None:
        slice_ = self._plan.live.get(id_)
        if id_ not in self._begun and slice_ is not None and slice_.order is not None:
            self._begun[id_] = _Attempt(self._desk, self._plan, self.pool, slice_, slice_.order)
        return self._begun.get(id_)

    async def _settle(self, record: Record, id_: str) -> None:
        slice_ = self._plan.live.get(id_)
        if slice_ is None or slice_.order is None:
            return
        if slice_.order.kind == "work":
            attempt = self._attempt(id_)
            assert attempt is not None
            await attempt.end()
            del self._begun[id_]
        elif (
            not await self._found()
            and record.kind == "failure"
            and (branch := await self._branch(slice_.order.name)) is not None
        ):
            await self.pool.end(branch, Verdict(verdict="stop", reason=record.body["failure"]))

    async def _found(self) -> bool:
        """Go by verdicts of an earlier session, where there are any left."""
        if not any(branch.found for branch in self._plan.branches.values()):
            return False
        await self.pool.begin()
        return True

    async def close(self) -> None:
        for attempt in self._begun.values():
            await attempt.close()


class _Known:
    """Asks for replies that are known. What was not answered says no more than that: records tell why."""

    def __init__(self, gate: Ask) -> None:
        self._gate = gate

    async def ask(
        self, model: Model, prompt: Prompt[R], attempt: int = 0, *, budget: Budget | None = None, mend: bool = True
    ) -> R:
        try:
            return await self._gate.ask(model, prompt, attempt, budget=budget, mend=mend)
        except (PromptTooLong, LimitReached) as error:
            raise CallFailed(f"it was not answered when it was recorded: {error}") from error


class _Attempt:
    """A slice at work, which waits at each handoff until the record of it is played."""

    def __init__(self, desk: Desk, plan: Work, pool: Pool, slice_: Slice, order: Order) -> None:
        self._desk, self._pool, self._slice, self._order = desk, pool, slice_, order
        self._turn, self._waits = asyncio.Event(), asyncio.Event()
        self._ledger = SliceLedger(desk, slice_.id, plan.tries.get(slice_.id, 0))
        self._ending = False
        plan.under_way.add(slice_.id)
        self._task = asyncio.create_task(pool.attempt(slice_, self._handoff, self._ledger))

    async def _handoff(self, leg: int, worked: Worked) -> None:
        key = self._ledger.handoff(leg)
        if not self._ending and self._desk.journal.record(self._desk.run, "handoff", key) is None:
            self._turn.clear()
            self._waits.set()
            await self._turn.wait()
        await self._pool.hand_over(self._slice, leg, worked, self._ledger)

    async def go_on(self) -> None:
        """Past the handoff that it waits at, to the next or to its end."""
        await self._paused()
        self._waits.clear()
        self._turn.set()
        await self._paused()

    async def _paused(self) -> None:
        waits = asyncio.create_task(self._waits.wait())
        await asyncio.wait([waits, self._task], return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()

    async def end(self) -> None:
        """Settle it. A handoff of which there is no record is made all the same, and told as what it is."""
        self._ending = True
        self._turn.set()
        await self._pool.conclude(self._slice, self._order, self._task, self._ledger)

    async def close(self) -> None:
        """Where the session ended before it was settled."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()
