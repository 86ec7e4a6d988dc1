"""What a slice is worked with beside words: tools, a worktree, how its work lands, or code instead of a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from swarm.coordinator.desk import Desk
from swarm.coordinator.work.kit import Who, kit_of
from swarm.coordinator.work.knowledge import known
from swarm.coordinator.work.ledger import SliceLedger
from swarm.coordinator.work.state import Branch, Work
from swarm.equipment import Tool, ToolFailed
from swarm.graph.identity import digest
from swarm.limits.budget import Budget
from swarm.program import Done, Piece, Place, Role
from swarm.prompts.replies import Proposal, ReadFinding, Reply, WorkReply
from swarm.prompts.typed import Prompt
from swarm.task import Limits, Slice
from swarm.worker.act import Actor
from swarm.worker.job import Job
from swarm.worker.ledger import Landing

R = TypeVar("R", bound=Reply)
Run = Callable[[str, int], Awaitable[WorkReply]]


def equipped(desk: Desk, work: Work, slice_: Slice, job: Job, ledger: SliceLedger, budget: Budget | None) -> Job:
    """A job with all that its role works with."""
    role = job.role
    place = _place(work, role, slice_.id)
    who = Who(
        name=job.order.name,
        branch=work.branch_of(slice_),
        result=ledger.result,
        place=place,
        diff=_diff(work, slice_.id) if role.workspace == "write" else None,
    )
    kit = kit_of(desk, work, role, who)
    run = _run(desk, role, job, place or _nowhere) if role.code is not None else None
    if role.workspace != "write":
        return replace(job, kit=kit, run=run)

    async def keep() -> None:
        if work.places is not None:
            await work.places.keep(slice_.id)

    return replace(
        job,
        kit=replace(kit, tools=tuple(_keeping(tool, keep) for tool in kit.tools)) if kit is not None else None,
        land=_land(work, role, slice_, budget),
        run=_and_kept(run, keep) if run is not None else None,
    )


def _keeping(tool: Tool, keep: Callable[[], Awaitable[None]]) -> Tool:
    """A tool whose effect on the worktree is kept before it is recorded what it gave: whoever goes on with a slice
    on another machine goes by the record."""
    if not tool.changes:
        return tool

    async def call(arguments: Mapping[str, Any]) -> str:
        try:
            return await tool.call(arguments)
        finally:  # also what failed may have changed something
            await keep()

    return replace(tool, call=call)


def _and_kept(run: Run, keep: Callable[[], Awaitable[None]]) -> Run:
    async def kept(wrong: str, attempt: int) -> WorkReply:
        reply = await run(wrong, attempt)
        await keep()
        return reply

    return kept


def _place(work: Work, role: Role, slice_: str) -> Callable[[], Awaitable[Place]] | None:
    if role.workspace == "none":
        return None

    async def place() -> Place:
        if work.places is None:
            raise ToolFailed("there is no worktree here")
        return await work.places.open(role, slice_)

    return place


def _diff(work: Work, slice_: str) -> Callable[[], Awaitable[str]]:
    async def diff() -> str:
        if work.places is None:
            raise ToolFailed("there is no worktree here")
        return await work.places.diff(slice_)

    return diff


def _land(
    work: Work, role: Role, slice_: Slice, budget: Budget | None
) -> Callable[[str, WorkReply, str | None, Callable[[str], Awaitable[None]]], Awaitable[Landing]]:
    async def land(
        _name: str, reply: WorkReply, before: str | None, about_to: Callable[[str], Awaitable[None]]
    ) -> Landing:
        assert work.places is not None
        return await work.places.land(slice_, role, budget, reply, before, about_to)

    return land


def _run(desk: Desk, role: Role, job: Job, place: Callable[[], Awaitable[Place]]) -> Run:
    """The user's code, as a sub-agent that reports like any other."""
    code = role.code
    assert code is not None

    async def run(wrong: str, attempt: int) -> WorkReply:
        piece = Piece(
            order=job.order,
            goal=job.goal,
            results={one.name: one.text for one in job.outcomes},
            attempt=attempt,
            wrong=wrong,
            known=lambda question, tokens: known(desk, question, tokens),
            place=place,
        )
        try:
            return _reply(await code(piece))
        except ToolFailed as error:
            return WorkReply(status="blocked", notes=str(error))

    return run


Answer = Callable[[Prompt[R], Budget | None], Awaitable[R]]


def asked_with_tools(desk: Desk, work: Work, role: Role, name: str, branch: Branch) -> Answer[Any] | None:
    """How a planner or a judge is asked that may look around before it answers; None where its role has no tools.
    `name` tells this asking from all others."""
    if not role.tools:
        return None
    ledger = SliceLedger(desk, name, 0, again=True)  # one that could not be asked is asked once more
    at = digest("asked", name)
    who = Who(name=name, branch=branch, result=ledger.result, place=_place(work, role, at))
    kit = kit_of(desk, work, role, who)
    assert kit is not None

    async def ask(prompt: Prompt[Any], budget: Budget | None) -> Any:
        own = (budget or desk.gate.budget).share(Limits())  # tells what was paid here from what others pay
        actor = Actor(kit=kit, gate=desk.gate, model=desk.model, ledger=ledger, budget=own)
        try:
            return (await actor.act(prompt, "0")).reply
        finally:
            if work.places is not None and role.workspace != "none":
                await work.places.close(at)

    return ask


async def _nowhere() -> Place:
    raise ToolFailed("this role has no workspace: give it one, to read or to write")


def _reply(done: Done) -> WorkReply:
    return WorkReply(
        status="blocked" if done.failure else "done",
        result=done.result,
        summary=done.summary,
        findings=[ReadFinding(claim=claim, quote=quote, relevance=0.6) for claim, quote in done.claims],
        notes=done.failure,
        proposed=[
            Proposal(name=one.name, objective=one.objective, sources=list(one.sources)) for one in done.proposed
        ],
    )
