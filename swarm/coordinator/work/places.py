"""Where slices are worked: the worktrees of a run, opened when they are first needed, and how work lands.

What is in a worktree is the work of one slice and is in no record: it is kept with the repository until it has
landed, or its run is over; where machines share a remote, there, so that another may go on with it. This module
knows no tool.
"""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from swarm.coordinator.desk import Desk
from swarm.equipment import ToolFailed, Workspace
from swarm.errors import CallFailed, RunError, UsageError
from swarm.limits.budget import Budget
from swarm.observe.log import get_logger
from swarm.orders import Order
from swarm.program import Place, Role
from swarm.prompts.replies import WorkReply
from swarm.store.journal import Journal
from swarm.task import Slice
from swarm.worker.ledger import Landing as Settled

if TYPE_CHECKING:
    from swarm.workspace.landing import Landing
    from swarm.workspace.worktrees import Worktrees

log = get_logger("work")

_SUBJECT_CHARS = 72
_BODY_CHARS = 4_000  # of a result, in a commit's message


StillOurs = Callable[[str], Awaitable[bool]]
"""Whether a slice, by its id, is still this process's to work: asked right before its work lands."""


class GitPlaces:
    """The worktrees of one run, as one process has them."""

    def __init__(
        self,
        desk: Desk,
        worktrees: Worktrees,
        landings: tuple[Landing, Landing],
        still_ours: StillOurs | None = None,
    ):
        self._desk, self._trees = desk, worktrees
        self._queue, self._alone = landings
        self._still_ours = still_ours

    async def open(self, role: Role, slice_: str) -> Place:
        """The worktree of a slice: its own to write in, or one that shows what has landed."""
        opens = self._trees.open if role.workspace == "write" else self._trees.look
        try:
            return await opens(slice_)
        except RunError as error:
            raise ToolFailed(f"the worktree cannot be opened ({error}): try again") from None

    async def diff(self, slice_: str) -> str:
        try:
            return await (await self._trees.open(slice_)).diff()
        except RunError as error:
            raise ToolFailed(f"the changes cannot be told ({error}): try again") from None

    async def keep(self, slice_: str) -> None:
        """Where another machine may go on with a slice: have there what its worktree holds by now. To be done
        before it is recorded what was done in it, else whoever goes by the record finds less.

        Raises:
            CallFailed: it cannot be kept.
        """
        try:
            await self._trees.keep(slice_)
        except RunError as error:
            raise CallFailed(f"its unfinished work cannot be kept: {error}") from None

    async def give_back(self, slice_: str, *, ours: bool = True) -> None:
        """A slice is not worked to its end here. On a remote what there is of its work is kept for whoever goes on
        with it, unless it is another's by now, and its worktree is removed.

        Raises:
            CallFailed: it cannot be kept.
        """
        if ours:
            await self.keep(slice_)
        try:
            await self._trees.leave(slice_)
        except RunError as error:  # it goes when the run ends
            log.warning("worktree not removed", slice=slice_, reason=str(error))

    async def close(self, slice_: str) -> None:
        """A slice is settled: what is left in its worktree is of no use to anyone."""
        try:
            await self._trees.close(slice_)
        except RunError as error:  # it goes when the run ends
            log.warning("worktree not removed", slice=slice_, reason=str(error))

    async def land(
        self,
        slice_: Slice,
        role: Role,
        budget: Budget | None,
        reply: WorkReply,
        before: str | None,
        about_to: Callable[[str], Awaitable[None]],
    ) -> Settled:
        """Have what a slice left in its worktree land.

        Raises:
            CallFailed: git failed, and did so again.
            StaleLease: the slice is another's by now.
        """
        order = slice_.order
        assert order is not None
        alone = role.trial is not None and not getattr(role.trial, "speculates", False)
        landing = self._alone if alone else self._queue
        told: str | None = before

        async def tell(commit: str) -> None:
            nonlocal told
            await about_to(commit)
            told = commit

        for left in (1, 0):  # a git may have been killed
            try:
                landed = await landing.land(
                    await self._trees.open(slice_.id),
                    message=_message(order, reply),
                    trailers=self._trailers(slice_, order, reply, budget),
                    decide=role.trial,
                    order=order,
                    landed_before=told,
                    about_to=tell,
                    **({} if self._still_ours is None else {"still_ours": partial(self._still_ours, slice_.id)}),
                )
                break
            except ToolFailed as error:
                return Settled(wrong=f"it cannot be tried: {error}")
            except RunError as error:
                if type(error) is not RunError or not left:
                    raise CallFailed(f"its work cannot land: {error}") from None
        return Settled(commit=landed.commit, wrong=landed.wrong, result=landed.result, claims=landed.claims)

    def _trailers(self, slice_: Slice, order: Order, reply: WorkReply, budget: Budget | None) -> dict[str, str]:
        trailers = {"Swarm-Run": self._desk.run, "Swarm-Slice": f"{order.name} ({slice_.id[:12]})"}
        if budget is not None:
            worth = budget.worth
            trailers["Swarm-Cost"] = f"${worth.cost_usd:.4f}, {worth.calls:,} calls, {worth.tokens:,} tokens"
        quotes = [f'"{" ".join(one.quote.split())[:120]}"' for one in reply.findings[:3] if one.quote.strip()]
        if quotes:
            trailers["Swarm-Evidence"] = "; ".join(quotes)
        return trailers


def _message(order: Order, reply: WorkReply) -> str:
    told = " ".join((reply.summary or order.objective).split())
    subject = told if len(told) <= _SUBJECT_CHARS else f"{told[: _SUBJECT_CHARS - 1]}…"
    body = reply.result.strip() if not reply.result.lstrip().startswith(("{", "[")) else ""
    return f"{subject}\n\n{body[:_BODY_CHARS]}".strip()


def fits(workspace: Workspace) -> str | None:
    """What is wrong with the settings of a workspace, as far as they show it."""
    try:
        shlex.split(workspace.check)
    except ValueError as error:
        return f"the check {workspace.check!r} is no command: {error}"
    return None


@asynccontextmanager
async def workplaces(desk: Desk, still_ours: StillOurs | None = None) -> AsyncIterator[GitPlaces | None]:
    """The worktrees of a run while it is at work. They are gone afterwards; what was not finished is kept in the
    repository, for when the run goes on. `still_ours` is given by a process that only works slices of it: the run
    is not over when that ends.

    Raises:
        UsageError: the repository cannot be worked on, or commands cannot be confined.
    """
    workspace = desk.program.workspace if desk.program is not None else None
    if workspace is None or desk.recorded is not None:
        yield None
        return
    if still_ours is not None and not workspace.remote:
        raise UsageError(
            f"the repository {workspace.repository} is on one machine alone: begin the run with a remote, where "
            "work lands from others too"
        )
    from swarm.workspace.landing import Landing
    from swarm.workspace.sandbox import sandbox_of
    from swarm.workspace.worktrees import Worktrees

    store = desk.library.database.path
    folder = store.with_name(f"{store.name}.work") / desk.run
    trees = Worktrees(workspace, folder, desk.run, sandbox_of(workspace))
    await trees.begin()
    done = False
    try:
        yield GitPlaces(desk, trees, (Landing(trees), Landing(trees, speculate=False)), still_ours)
        done = desk.stopped is None and still_ours is None
    finally:
        await trees.end(keep=not done)


def workspace_in(body: Mapping[str, Any]) -> Workspace | None:
    """The workspace that the record of a program names: named, and not opened."""
    if "remote" in body:
        return Workspace(remote=body["remote"])
    return Workspace(repository=body["repository"]) if "repository" in body else None


async def forget(journal: Journal, run: str) -> None:
    """Remove what a run left in the repository that it worked on: unfinished work. What has landed stays."""
    record = journal.latest(run, "program")
    workspace = workspace_in(record.body) if record is not None else None
    if workspace is None:
        return
    from swarm.workspace.forget import forget as forget_in

    try:
        await forget_in(workspace, run)
    except UsageError as error:
        named = workspace.remote or workspace.repository
        log.warning("nothing was removed from the repository", repository=named, reason=str(error))
