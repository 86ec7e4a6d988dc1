"""Worktrees of a run: one for each slice, made from the tip of the branch, found again after a crash.

Commands in a worktree see it, what the workspace says is readable, and of the repository what git needs to read
its history: objects and refs, not the configuration, which may hold secrets, nor the hooks. They cannot commit;
what stands in a worktree becomes a commit by `landing`. This module knows no landing and no check.

`git worktree add` fails where many run at once, so one is made at a time, and without its files: those are written
after that, side by side."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from swarm.equipment import Workspace
from swarm.errors import RunError, UsageError
from swarm.observe.log import get_logger
from swarm.workspace import leftovers
from swarm.workspace.carried import Carried, forget_kept
from swarm.workspace.holds import Hold
from swarm.workspace.leftovers import Left, checked_name, prefix
from swarm.workspace.opening import find
from swarm.workspace.repository import Repository
from swarm.workspace.sandbox import Sandbox
from swarm.workspace.snapshots import base_of, note_base
from swarm.workspace.worktree import DIFF_BYTES, Worktree

_log = get_logger("workspace")
_EVERY_SECONDS = 0.02
_ORPHANS_SECONDS = 10.0  # for the gits of a process that was killed a moment ago
_ADD_TRIES = 3  # where a person adds a worktree at the same time
_RECENT_SECONDS = 5.0  # for one who reads on in what was shown
_SHARED = ("objects", "refs", "packed-refs", "HEAD", "info", "shallow")
_ALTERNATES_DEEP = 5  # as git follows them


class Worktrees:
    """The worktrees of one run, below a folder that is made when it is needed."""

    repository: Repository
    carried: Carried

    def __init__(self, workspace: Workspace, folder: Path, run: str, sandbox: Sandbox) -> None:
        self.workspace, self.sandbox, self.run = workspace, sandbox, checked_name(run)
        self.folder = Path(os.path.realpath(folder))  # as git writes it down
        self.readable: tuple[Path, ...] = ()
        self._open: dict[str, Worktree] = {}
        self._found: dict[str, Left] = {}
        self.saved: dict[str, str] = {}
        """The refs of this run by their slices. While there is one, it is the work, whatever the worktree
        holds."""
        self._each: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._hold: Hold | None = None

    async def begin(self) -> None:
        """Find the repository, make the branch, and put away what crashed runs left. Of this run, all is kept.

        Raises:
            UsageError: the repository or the branch cannot be used, or the run is at work in another process.
        """
        self.repository = await find(self.workspace)
        self.carried = Carried(self.repository, self.run)
        ends = time.monotonic() + _ORPHANS_SECONDS
        while not await self._taken():
            if time.monotonic() > ends:
                raise UsageError(f"the run {self.run} is at work in another process, on the same repository")
            await asyncio.sleep(_EVERY_SECONDS)

    async def _taken(self) -> bool:
        async with self.repository.alone():  # and not while it is waited for: to end, the other one needs it
            hold = leftovers.hold_of(self.repository, self.run)
            crashed = hold.path.exists()
            if not hold.take():
                return False
            try:
                leftovers.note_folder(hold, self.folder)
                await self._begin()
            except BaseException:
                leftovers.let_go(hold, over=not crashed)
                raise
        assert hold.descriptor is not None
        self._hold = hold
        self.repository.git.held.add(hold.descriptor)
        return True

    async def _begin(self) -> None:
        lefts = leftovers.found(self.repository)
        leftovers.unlock(self.repository, self.run, lefts)
        await self.repository.forgotten()
        await leftovers.sweep(self.repository, self.run)
        await self.repository.ensure_branch(self.workspace.base)
        self.saved = await self.repository.refs(prefix(self.run))
        self._found = {left.slice: left for left in self._own()}
        given = [_absolute(path) for path in self.workspace.readable]
        shared = [self.repository.common / name for name in _SHARED]
        stores = _alternates(self.repository.common / "objects", _ALTERNATES_DEEP)
        self.readable = (*given, *(path for path in (*shared, *stores) if path.exists()))

    async def open(self, slice_: str) -> Worktree:
        """The worktree of a slice: the one that is there, with what was written in it, also by a run that crashed
        or was stopped, or what was kept of it on the remote; else a new one at the tip of the branch."""
        async with self._each[checked_name(slice_)]:
            if slice_ not in self._open:
                await self._bring(slice_)
            worktree = await self._there(slice_)
            if worktree is None:
                saved = self.saved.get(slice_)
                base = await self.repository.parent(saved) if saved else await self.repository.tip()
                worktree = await self._new(slice_, base, reads=False)
            await self.settle(worktree)
            return worktree

    async def _bring(self, slice_: str) -> None:
        """See what happened on other machines. What was kept of a slice there takes the place of what is left
        here."""
        await self.repository.fresh()
        if (commit := await self.carried.take(slice_)) is None:
            return
        await self.repository.point(prefix(self.run) + slice_, commit)
        self.saved[slice_] = commit
        if (left := self._found.pop(slice_, None)) is not None:
            await leftovers.remove(self.repository, left)

    async def keep(self, slice_: str) -> None:
        """Where other machines may go on with a slice: have there what its worktree holds by now.

        Raises:
            RunError: the remote cannot be reached, or the slice is worked elsewhere by now.
        """
        worktree = self._open.get(slice_)
        if self.repository.remote is not None and worktree is not None and not worktree.landing:
            await self.settle(worktree)  # what a landing that was broken off left in it is not the work
            await self.carried.keep(worktree)

    async def leave(self, slice_: str) -> None:
        """Remove the worktree of a slice that another process goes on with, where that has what was kept."""
        if self.repository.remote is not None:
            async with self._each[checked_name(slice_)]:
                if (worktree := self._open.pop(slice_, None)) is not None:
                    await leftovers.remove(self.repository, worktree.left)
                    await self.unsave(slice_)
                    self.carried.leave(slice_)

    async def look(self, slice_: str) -> Worktree:
        """A worktree at the tip of the branch to read in. One that is there is moved to the tip where it is
        elsewhere, and what was written in it is then gone."""
        async with self._each[checked_name(slice_)]:
            known = slice_ in self._open
            await self.repository.fresh(_RECENT_SECONDS if known else 0.0)
            tip = await self.repository.tip()
            worktree = await self._there(slice_)
            if worktree is None:
                return await self._new(slice_, tip, reads=True)
            if worktree.base != tip or not known:  # what a process that was killed left of it is anything
                await worktree.put(tip, base=tip)
            return worktree

    async def settle(self, worktree: Worktree) -> None:
        """Bring a worktree back to its work, where a landing was broken off or a run stopped."""
        saved = self.saved.get(worktree.slice)
        if saved is not None and not worktree.landing:
            await worktree.put(saved, base=await self.repository.parent(saved))
            await self.unsave(worktree.slice)

    async def unsave(self, slice_: str) -> None:
        """What a worktree holds is the work again."""
        if slice_ in self.saved:
            await self.repository.drop(prefix(self.run) + slice_)
            del self.saved[slice_]

    async def close(self, slice_: str) -> None:
        """Remove the worktree of a slice, and what was kept of it."""
        async with self._each[checked_name(slice_)]:
            worktree = self._open.pop(slice_, None)
            left = worktree.left if worktree else self._found.pop(slice_, None)
            if left is not None:
                await leftovers.remove(self.repository, left)
            await self.unsave(slice_)
            await self.carried.drop(slice_)
        self._each.pop(slice_, None)

    async def end(self, *, keep: bool) -> None:
        """End the run: no worktree is left. With `keep`, what is unfinished is kept for `open` of a later process,
        on the remote where there is one; without, it is gone, and what was kept before with it. What a killed
        process left here and nobody opened again goes to no remote: another may be far ahead of it."""
        if self._hold is None:
            return
        hold, self._hold = self._hold, None
        assert hold.descriptor is not None
        away, own = False, self._own()
        ours = set(self._open) if self.repository.remote is not None else {left.slice for left in own}
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._put_away(left, keep=keep and left.slice in ours)) for left in own]
            await self._pass_on() if keep else await self._forget()
            away = all(task.result() for task in tasks)
            with suppress(OSError):
                os.rmdir(self.folder)  # noqa: PTH106 - others may have worktrees in it
        finally:
            self._open, self._found, self.saved = {}, {}, {}
            self.repository.git.held.discard(hold.descriptor)
            try:
                async with self.repository.alone():
                    leftovers.let_go(hold, over=away)
            finally:
                hold.let_go()  # where this was cancelled

    async def _pass_on(self) -> None:
        """Give other machines what is unfinished here. What they have got is not needed here any more."""
        if self.repository.remote is not None:
            saved = await self.repository.refs(prefix(self.run))
            over = [
                name
                for name, commit in saved.items()
                if name not in self._open or await self.carried.give(name, commit)
            ]
            await self.repository.drop(*(prefix(self.run) + name for name in over))

    async def _forget(self) -> None:
        await self.repository.drop(*(prefix(self.run) + name for name in self.saved))
        try:
            await forget_kept(self.repository, self.run)
        except RunError as error:
            _log.warning("unfinished work not removed from the remote", reason=str(error))

    async def _put_away(self, left: Left, *, keep: bool) -> bool:
        return await leftovers.put_away(self.repository, left, keep=keep and left.slice not in self.saved)

    def _own(self) -> list[Left]:
        return [left for left in leftovers.found(self.repository) if left.run == self.run]

    async def _there(self, slice_: str) -> Worktree | None:
        """The worktree of a slice, if it has one that still stands."""
        worktree = self._open.get(slice_)
        if worktree is None or worktree.left.whole:
            return worktree or await self._again(slice_)
        await leftovers.remove(self.repository, worktree.left)  # somebody who is not confined took it away
        del self._open[slice_]
        return None

    async def _again(self, slice_: str) -> Worktree | None:
        """One that an earlier process of this run made, if it is whole."""
        left = self._found.pop(slice_, None)
        if left is None:
            return None
        if not left.whole:
            await leftovers.remove(self.repository, left)
            return None
        base = base_of(left) or await self.repository.git.line("rev-parse", "HEAD", at=left)
        self._open[slice_] = worktree = Worktree(self, left, base)
        return worktree

    async def _new(self, slice_: str, base: str, *, reads: bool) -> Worktree:
        path = self.folder / slice_
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            async with self.repository.alone():
                await self._add(path, base, leftovers.label(self.run, slice_, reads=reads))
                admin = Path(os.fsdecode((path / ".git").read_bytes()).removeprefix("gitdir: ").rstrip("\n"))
            left = Left(path=path, admin=admin, run=self.run, slice=slice_, reads=reads)
            leftovers.note_made(left)
            note_base(left, base)
            await self.repository.git.out("reset", "--quiet", "--hard", base, at=left)
        except BaseException:  # what there is of it is not whole, and is made anew when it is opened again
            self._found |= {left.slice: left for left in self._own() if left.slice == slice_}
            raise
        self._open[slice_] = worktree = Worktree(self, left, base)
        return worktree

    async def _add(self, path: Path, base: str, label: str) -> None:
        words = ("worktree", "add", "--no-checkout", "--detach", "--lock", "--reason", label)
        for _ in range(_ADD_TRIES):
            said = await self.repository.git.run(*words, os.fspath(path), base)
            if said.code == 0:
                return
            await leftovers.blanks(self.repository)
        raise RunError(f"no worktree can be made at {path}: {said.error}")


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _alternates(objects: Path, deep: int) -> Sequence[Path]:
    """Where else objects of a repository are, which was cloned from one on this machine."""
    found: list[Path] = []
    with suppress(OSError):
        for line in (objects / "info" / "alternates").read_text("utf-8").splitlines():
            if line and not line.startswith("#") and deep:
                other = (objects / line).resolve()
                found += [other, *_alternates(other, deep - 1)]
    return found


__all__ = ["DIFF_BYTES", "Worktree", "Worktrees"]
