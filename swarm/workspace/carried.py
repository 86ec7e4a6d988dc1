"""Unfinished work of a run, kept on the remote for whoever goes on with it on another machine.

The journal tells a process that takes a slice over what was done in its worktree, but the worktree is on the
machine that died. So what a worktree holds is pushed, under `refs/swarm/RUN/SLICE`, before it is recorded what was
done in it: a commit without what is ignored, whose parent is what the work is upon. A repository of one machine
needs none of this: there the worktree itself is found again.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from dataclasses import dataclass

from swarm.errors import RunError
from swarm.observe.log import get_logger
from swarm.workspace.leftovers import prefix
from swarm.workspace.remote import PATIENCE_SECONDS, Push, Remote, Waits
from swarm.workspace.repository import Repository
from swarm.workspace.snapshots import base_of, changes, stage, write_tree
from swarm.workspace.worktree import Worktree

_LAST_PATIENCE_SECONDS = 10.0  # as a process ends
_AT_ONCE = 200  # refs in one push
_ASIDE = "refs/swarm-kept/"
_log = get_logger("workspace")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """What is on the remote: as far as this process knows, which may not know the tree."""

    commit: str
    tree: str = ""
    base: str = ""


class Carried:
    """Of one run, as one process knows it."""

    def __init__(self, repository: Repository, run: str) -> None:
        self._repository, self._run = repository, run
        self._kept: dict[str, _Kept] = {}

    async def take(self, slice_: str) -> str | None:
        """The commit that another process kept of a slice, which is then under its ref here; None where none is.

        Raises:
            RunError: the remote cannot be reached.
        """
        remote, name = self._repository.remote, f"{self._run}/{slice_}"
        if remote is None:
            return None
        await remote.fetch(f"+refs/swarm/{name}*:{_ASIDE}{name}*", prune=True)  # a pattern need not be there
        commit = (await self._repository.refs(_ASIDE + name)).get("")
        if commit is not None:
            self._kept[slice_] = _Kept(commit=commit)
        return commit

    async def keep(self, worktree: Worktree) -> None:
        """Keep what a worktree holds by now, if that is anything else than what is kept.

        Raises:
            RunError: the remote cannot be reached, or another process has kept something of the slice meanwhile.
        """
        repository, remote, slice_ = self._repository, self._repository.remote, worktree.slice
        if remote is None or worktree.left.reads:
            return
        tree, base = await self._tree(worktree), base_of(worktree) or worktree.base
        kept = self._kept.get(slice_)
        if (kept.tree, kept.base) == (tree, base) if kept else tree == await repository.tree(base):
            return
        commit = await repository.commit(tree, base, message=f"Unfinished work of slice {slice_}\n")
        await self._put(remote, slice_, _Kept(commit=commit, tree=tree, base=base), PATIENCE_SECONDS)

    async def give(self, slice_: str, commit: str) -> bool:
        """Keep a commit of a slice, as this process ends. Whether it is kept: where it is not, that is told."""
        if (remote := self._repository.remote) is None:
            return False
        try:
            await self._put(remote, slice_, _Kept(commit=commit), _LAST_PATIENCE_SECONDS)
        except RunError as error:
            _log.warning("unfinished work kept on this machine alone", slice=slice_, reason=str(error))
            return False
        return True

    def leave(self, slice_: str) -> None:
        """Another process goes on with a slice: what is kept of it is that one's."""
        self._kept.pop(slice_, None)

    async def drop(self, slice_: str) -> None:
        """A slice is settled: what this process knows to be kept of it is of no use any more."""
        kept, remote = self._kept.pop(slice_, None), self._repository.remote
        if kept is not None and remote is not None:
            said = await remote.push(Push(ref=prefix(self._run) + slice_, commit="", expected=kept.commit))
            if said.code:  # it goes when the run ends
                _log.warning("unfinished work not removed from the remote", slice=slice_, reason=said.error)

    async def _tree(self, worktree: Worktree) -> str:
        """What stands in a worktree, without touching what git has of it."""
        git, index = self._repository.git, worktree.admin / f"keep-{secrets.token_hex(4)}"
        made = await changes(git, worktree)
        if not made.paths:
            return await self._repository.tree(base_of(worktree) or worktree.base)
        await asyncio.to_thread(shutil.copy2, worktree.admin / "index", index)
        try:
            if wrong := await stage(git, worktree, made, index=index):
                _log.warning("not all is kept", slice=worktree.slice, reason=wrong)
            return await write_tree(git, worktree, index=index)
        finally:
            index.unlink(missing_ok=True)

    async def _put(self, remote: Remote, slice_: str, kept: _Kept, patience: float) -> None:
        ref, before = prefix(self._run) + slice_, self._kept.get(slice_)
        waits = Waits(patience)
        while True:
            expected = before.commit if before else ""
            said = await remote.push(Push(ref=ref, commit=kept.commit, expected=expected))
            if said.code:
                there = (await remote.refs(ref, patience=patience)).get(ref, "")
                if there not in (kept.commit, expected):
                    raise RunError(
                        f"the slice {slice_} is worked elsewhere by now: what is here of it is not kept"
                    )
                if there != kept.commit:
                    if not await waits.more():
                        raise RunError(f"the remote {remote.url} does not take {ref}: {said.error}")
                    continue
            self._kept[slice_] = kept
            return


async def forget_kept(repository: Repository, run: str) -> None:
    """Remove all that is kept of a run on the remote.

    Raises:
        RunError: the remote cannot be reached, or does not let go of it.
    """
    remote = repository.remote
    if remote is None:
        return
    waits = Waits(PATIENCE_SECONDS)
    while True:
        there = await remote.refs(f"{prefix(run)}*")
        gone = [Push(ref=ref, commit="", expected=at) for ref, at in there.items() if ref.startswith(prefix(run))]
        if not gone:
            return
        said = await remote.push(*gone[:_AT_ONCE])
        # who settled a slice removes its ref, too, maybe at the same moment
        if said.code and not await waits.more():
            raise RunError(f"the remote {remote.url} does not let go of {prefix(run)}: {said.error}")


__all__ = ["Carried", "forget_kept"]
