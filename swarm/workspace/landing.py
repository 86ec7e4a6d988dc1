"""How work lands: one commit for a slice, upon the branch's tip, after a check of exactly that commit.

What stands in a worktree becomes a commit; it is put upon what comes before it in the line (`line`), in the object
database; the worktree is made to hold that and nothing else; a trial decides; and the branch moves by compare and
swap. There is no integrator, and no agent waits for a lock of another. What does not land comes back in words,
with the worktree at the tip and the work as its changes, so that the next sub-agent goes on from there.

The work is under its ref (`leftovers`) from before its worktree is touched until the outcome stands. A process
that is killed anywhere in between begins again from that ref, or finds the commit in the branch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.errors import UsageError
from swarm.observe.log import redact_text
from swarm.orders import Order
from swarm.program import Checkout, Ruling, Trial
from swarm.workspace.leftovers import prefix
from swarm.workspace.line import Candidate, Line
from swarm.workspace.messages import composed
from swarm.workspace.repository import Merged, always
from swarm.workspace.snapshots import Changes, changes, marked, restore, stage, write_tree
from swarm.workspace.worktrees import Worktree, Worktrees

TOLD_CHARS = 4_000
"""Of what a check printed, its last characters are told."""
MOVES = 20
"""How often work is tried again since somebody else moved the branch while it was checked."""
_NAMES = 20  # of files, in what is told


@dataclass(frozen=True, kw_only=True, slots=True)
class Landed:
    """What became of work: the `commit` that it landed as; or what is `wrong` with it, for the next sub-agent; or
    neither, where nothing was changed or a trial let it go. `result` is what the trial said in the result's
    place, and `claims` what it found out."""

    commit: str | None
    wrong: str | None
    result: str | None = None
    claims: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A worktree that holds exactly what would land, for a trial."""

    worktree: Worktree
    commit: str
    base: str

    @property
    def path(self) -> Path:
        return self.worktree.path

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        return await self.worktree.run(command, bounds)

    async def changed(self) -> Sequence[str]:
        return await self.worktree.home.repository.changed(self.base, self.commit)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    worktree: Worktree
    commit: str
    base: str
    """What it began from, and what `commit` is upon."""
    tree: str
    message: str
    order: Order
    decide: Trial
    about_to: Callable[[str], Awaitable[None]]
    still_ours: Callable[[], Awaitable[bool]]
    place: Candidate


class Landing:
    """Lands work on the branch of a workspace. Without `speculate` one piece at a time is checked, in the order in
    which they came; with it, each upon those before it.

    Raises:
        UsageError: the protected patterns cannot be read.
    """

    def __init__(self, worktrees: Worktrees, *, speculate: bool = True) -> None:
        self._worktrees, self._workspace = worktrees, worktrees.workspace
        self._line = Line(speculate=speculate)
        try:
            self._protected = GitIgnoreSpec.from_lines(self._workspace.protected)
        except ValueError as error:
            raise UsageError(f"the workspace's protected patterns cannot be read: {error}") from None

    async def land(
        self,
        worktree: Worktree,
        *,
        message: str,
        trailers: Mapping[str, str],
        decide: Trial | None = None,
        order: Order,
        landed_before: str | None = None,
        about_to: Callable[[str], Awaitable[None]],
        still_ours: Callable[[], Awaitable[bool]] = always,
    ) -> Landed:
        """Land what a worktree holds, or say what is in the way. `decide` is asked in place of the workspace's
        check. `about_to` is awaited with a commit right before the branch moves to it; `landed_before` is what it
        was told last for this slice: where the branch has it, it has landed. `still_ours` is asked after that, as
        the last thing before the branch moves.

        Raises:
            RunError: git failed, or the branch is gone.
            StaleLease: the slice is another's by now.
        """
        if landed_before is not None:
            await self._worktrees.repository.fresh()
            if await self._worktrees.repository.has(landed_before):
                return await self._known(worktree, landed_before)
        await self._worktrees.settle(worktree)
        text = composed(message, trailers, worktree.slice)
        made = await changes(self._worktrees.repository.git, worktree)
        if wrong := await self._refused(worktree, made):
            return Landed(commit=None, wrong=wrong)
        if not made.paths:
            return Landed(commit=None, wrong=None)
        base = worktree.base
        commit, tree = await self._commit(worktree, text)
        place = Candidate()
        work = _Work(
            worktree=worktree,
            commit=commit,
            base=base,
            tree=tree,
            message=text,
            order=order,
            decide=decide or self.check,
            about_to=about_to,
            still_ours=still_ours,
            place=place,
        )
        worktree.landing = True
        self._line.join(place)
        try:
            for beaten in range(1, MOVES + 1):
                if outcome := await self._until_moved(work):
                    return outcome
                if landed_before is not None and await self._worktrees.repository.has(landed_before):
                    return await self._known(worktree, landed_before)  # by whoever was taken for dead
                await self._worktrees.repository.beaten(beaten)
            self._line.leave(place)
            moved = f"the branch was moved by others {MOVES} times while this was checked: hand it in again"
            return await self._come_back(work, commit, base, Ruling(lands=False, wrong=moved))
        finally:
            self._line.leave(place)
            worktree.landing = False
            await self._worktrees.repository.settled()

    async def _known(self, worktree: Worktree, commit: str) -> Landed:
        """It has landed: nothing of it is unfinished."""
        await worktree.put(commit, base=commit)
        await self._worktrees.unsave(worktree.slice)
        return Landed(commit=commit, wrong=None)

    async def check(self, checkout: Checkout, order: Order) -> Ruling:  # noqa: ARG002 - a trial is given it
        """The trial of the workspace: its check command, without the network."""
        assert isinstance(checkout, Held)
        command = self._workspace.check
        if not command.strip():
            return Ruling(lands=True)
        try:
            ran = await checkout.worktree.execute(command, self._workspace.check_bounds, network=False)
        except ToolFailed as problem:
            return Ruling(lands=False, wrong=f"the check `{command}` cannot be run on this work: {problem}")
        if ran.ok:
            return Ruling(lands=True)
        told = redact_text(ran.output)[-TOLD_CHARS:].strip() or "nothing"
        how = f"exit {ran.exit}" + (f", and was ended: {ran.ended}" if ran.ended else "")
        wrong = f"the check `{command}` fails on this work as it would land: {how}. It printed:\n{told}"
        return Ruling(lands=False, wrong=wrong)

    async def _refused(self, worktree: Worktree, made: Changes) -> str | None:
        """What must not be in a commit: told before anything is one. Protected paths are put back."""
        if wrong := await self._unprotect(worktree, made):
            return wrong
        if made.nested:
            return (
                f"there are git repositories inside of the worktree, which cannot land: {_named(made.nested)}. "
                "Remove them, or their .git if their files are wanted"
            )
        if left := await asyncio.to_thread(marked, worktree.path, made.paths):
            return f"marks of a conflict are left in {_named(left)}: settle each and remove the marks"
        git = self._worktrees.repository.git
        if wrong := await stage(git, worktree, made):
            await git.out("reset", "--quiet", "--mixed", worktree.base, at=worktree)
            return f"git does not take these changes: {wrong}"
        return None

    async def _unprotect(self, worktree: Worktree, made: Changes) -> str | None:
        touched = [path for path in made.paths if self._protects(path)]
        if not touched:
            return None
        await restore(self._worktrees.repository.git, worktree, touched, made.new.intersection(touched))
        return (
            f"no slice may change these: {_named(touched)}. They have been put back as they were; do it without "
            "changing them"
        )

    def _protects(self, path: str) -> bool:
        if not self._workspace.protected:
            return False
        said = self._protected.check_file(path).include
        return bool(said) if said is not None else self._protected.match_file(f"{path}/")  # a link for a folder

    async def _commit(self, worktree: Worktree, message: str) -> tuple[str, str]:
        repository = self._worktrees.repository
        tree = await write_tree(repository.git, worktree)
        commit = await repository.commit(tree, worktree.base, message=message)
        await repository.point(prefix(self._worktrees.run) + worktree.slice, commit)
        self._worktrees.saved[worktree.slice] = commit
        return commit, tree

    async def _until_moved(self, work: _Work) -> Landed | None:
        """Try it until there is an outcome; None where somebody else moved the branch."""
        while True:
            ahead = await self._line.turn(work.place)
            if ahead is None:
                await self._worktrees.repository.at_front()
                upon = self._line.tip = await self._worktrees.repository.tip()
            else:
                assert ahead.commit is not None
                upon = ahead.commit
            merged = await self._worktrees.repository.merged(
                work.commit, base=work.base, tree=work.tree, upon=upon, message=work.message
            )
            ruling = await self._ruling(work, merged, upon, ahead)
            if ruling is not None and not ruling.lands:
                if outcome := await self._turned_down(work, merged, upon, ruling, ahead):
                    return outcome
            elif ruling is not None and await self._line.first(work.place):
                assert merged.commit is not None
                if await self._move(work, merged.commit, upon):
                    return Landed(commit=merged.commit, wrong=None, result=ruling.result, claims=ruling.claims)
                self._line.place(work.place, commit=None, upon=None)
                return None
            self._line.place(work.place, commit=None, upon=None)

    async def _ruling(self, work: _Work, merged: Merged, upon: str, ahead: Candidate | None) -> Ruling | None:
        """What is to be said of it; None where meanwhile something else comes before it."""
        repository, protected = self._worktrees.repository, self._workspace.protected
        if merged.commit is None:
            return Ruling(lands=False, wrong=_conflict(merged))
        if merged.commit != work.commit:
            if merged.tree == await repository.tree(upon):
                return Ruling(lands=False)  # others have done the same
            if protected and any(self._protects(path) for path in await repository.changed(upon, merged.commit)):
                return Ruling(lands=False, wrong="")  # a file was moved there meanwhile: said when it is certain
        self._line.place(work.place, commit=merged.commit, upon=upon)
        await work.worktree.put(merged.commit, base=merged.commit)
        held = Held(worktree=work.worktree, commit=merged.commit, base=upon)
        try:
            return await self._unless_overtaken(work, held)
        except Exception:
            if await self._line.landed(ahead, upon):
                raise
            return None  # what it came upon never landed

    async def _unless_overtaken(self, work: _Work, held: Held) -> Ruling | None:
        judged = asyncio.ensure_future(work.decide(held, work.order))
        passed = asyncio.ensure_future(self._line.overtaken(work.place))
        try:
            await asyncio.wait({judged, passed}, return_when=asyncio.FIRST_COMPLETED)
            return judged.result() if judged.done() and not passed.done() else None
        finally:
            judged.cancel()
            passed.cancel()
            await asyncio.gather(judged, passed, return_exceptions=True)

    async def _turned_down(
        self, work: _Work, merged: Merged, upon: str, ruling: Ruling, ahead: Candidate | None
    ) -> Landed | None:
        """Tell it, where it is true of what the branch has; None where it was tried upon what never landed."""
        self._line.leave(work.place)
        if ruling.wrong is not None:
            self._line.failed()
        if not await self._line.landed(ahead, upon):
            self._line.join(work.place)
            return None
        content = upon if ruling.wrong is None else merged.commit or merged.tree
        return await self._come_back(work, content, upon, ruling)

    async def _come_back(self, work: _Work, content: str, base: str, ruling: Ruling) -> Landed:
        worktree, wrong = work.worktree, ruling.wrong
        await worktree.put(content, base=base)
        if wrong == "":
            wrong = await self._unprotect(worktree, await changes(self._worktrees.repository.git, worktree))
        await self._worktrees.carried.keep(worktree)
        await self._worktrees.unsave(worktree.slice)
        return Landed(commit=None, wrong=wrong, result=ruling.result, claims=ruling.claims)

    async def _move(self, work: _Work, commit: str, upon: str) -> bool:
        await work.about_to(commit)
        slice_ = work.worktree.slice
        if not await self._worktrees.repository.move(
            commit, upon=upon, dropping=prefix(self._worktrees.run) + slice_, still_ours=work.still_ours
        ):
            return False
        self._worktrees.saved.pop(slice_, None)
        self._line.land(work.place)
        return True


def _conflict(merged: Merged) -> str:
    return (
        f"others have changed the same places meanwhile: {_named(merged.conflicts)}. The worktree holds what has "
        "landed with this work merged into it. Where both changed the same lines, what stands between "
        f"<<<<<<< {merged.ours[:12]} and ======= has landed, and what stands from there to "
        f">>>>>>> {merged.theirs[:12]} is this "
        "work's. Settle each place, keep what has landed working, and remove the marks"
    )


def _named(paths: Sequence[str]) -> str:
    shown = ", ".join(repr(path) if not path.isprintable() else path for path in paths[:_NAMES])
    return shown + (f" and {len(paths) - _NAMES} more" if len(paths) > _NAMES else "")


__all__ = ["MOVES", "TOLD_CHARS", "Held", "Landed", "Landing"]
