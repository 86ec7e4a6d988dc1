"""A repository that many machines land on: each process has a clone of its own, and the branch is the remote's.

The branch here follows the one there and is never ahead of it. It moves by a push that says what it is to be at,
so that of two who push at the same time one is told to look again. Where no answer came the remote is asked what
became of it, for as long as that takes: work that may have landed is never given up as lost. This module knows one
branch, and neither worktrees nor runs.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from swarm.errors import RunError, StaleLease, UsageError
from swarm.observe.log import get_logger
from swarm.workspace import clones
from swarm.workspace.git import check_version
from swarm.workspace.holds import alone
from swarm.workspace.remote import PATIENCE_SECONDS, Push, Remote, Waits
from swarm.workspace.repository import Repository, always, at
from swarm.workspace.turns import TURNS, Turn

_FIRST_PATIENCE_SECONDS = 10.0  # as a run begins, somebody may be waiting for a word
_BEATEN = 3  # times, before it is somebody's turn
_SEEN, _BASE = "refs/swarm-seen/", "refs/swarm-base/"
_log = get_logger("workspace")


class SharedRepository(Repository):
    """`seen` is what the branch of the remote was at when it was looked at last, and empty before there is one."""

    remote: Remote

    def __init__(self, clone: Repository, remote: Remote) -> None:
        super().__init__(clone.git, clone.head, clone.branch, clone.zero)
        self.remote = remote
        self.seen = ""
        self._turn = Turn(remote, self.git, self.branch)
        self._looked = -math.inf
        self._exchanging = asyncio.Lock()

    def _exchange(self) -> AbstractAsyncContextManager[None]:
        """One at a time moves the branch here, be it of this process or a git that outlived one."""
        return alone(self.common / "swarm-exchange", self._exchanging, self.git.held)

    async def fresh(self, within_seconds: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        if asked - self._looked > within_seconds:
            async with self._exchange():
                if self._looked < asked:  # else somebody has looked since
                    await self._look()

    async def begin(self) -> None:
        """Look for the first time: the branch here is put to where it is there, wherever it was.

        Raises:
            UsageError: the remote cannot be reached.
        """
        try:
            async with self._exchange():
                self._unlock()
                there = await self.remote.refs(self.ref, patience=_FIRST_PATIENCE_SECONDS)
                if self.ref in there:
                    await self._look()
                else:
                    await self.drop(self.ref)
        except RunError as error:
            raise UsageError(str(error)) from None

    async def _look(self, patience: float = PATIENCE_SECONDS) -> None:
        began, turn, aside = asyncio.get_running_loop().time(), self._turn.ref, f"{_SEEN}{self.branch}"
        specs = (f"+{self.ref}:{aside}", f"+{turn}*:{turn}*")
        if not await self.remote.fetch(*specs, prune=True, patience=patience):
            raise RunError(f"the branch {self.branch!r} is gone from {self.remote.url}")
        there = await self.git.line("for-each-ref", "--format=%(refname) %(objectname)", aside, turn)
        at = dict(line.split(" ", 1) for line in there.splitlines())
        self._turn.see(at.get(turn, ""))
        tip = at[aside]
        if tip != self.seen:
            if self.seen and not await self.has(self.seen, in_=tip):
                raise RunError(
                    f"the branch {self.branch!r} of {self.remote.url} was rewritten by somebody: {self.seen[:12]} "
                    "is no part of it any more. See what is missing, then start again what is at work on it"
                )
            await self._follow(tip)
        self._looked = began

    def _unlock(self) -> None:
        """Remove the locks of gits that were killed as they fetched: none of them is left, and this one begins."""
        for folder in (_SEEN, _BASE, TURNS):
            for lock in (self.common / folder).rglob("*.lock"):
                lock.unlink(missing_ok=True)

    async def _follow(self, tip: str) -> None:
        try:
            await self.point(self.ref, tip)
        except RunError:
            await self.forgotten()
            await self.point(self.ref, tip)
        self.seen = tip

    async def move(
        self, commit: str, *, upon: str, dropping: str, still_ours: Callable[[], Awaitable[bool]] = always
    ) -> bool:
        waits = Waits(PATIENCE_SECONDS)
        while True:
            async with self._exchange():
                if not await still_ours():
                    raise StaleLease("the slice is another's by now: its work does not land from here")
                said = await self.remote.push(Push(ref=self.ref, commit=commit, expected=upon))
                if said.code:  # which tells nothing: it may be there
                    await self._look(math.inf)
                else:
                    await self._follow(commit)
                if said.code == 0 or await self.has(commit):
                    await self.drop(dropping)
                    return True
            if self.seen != upon:
                return False
            if not await waits.more():
                raise RunError(f"the branch {self.branch!r} cannot be moved in {self.remote.url}: {said.error}")

    # Who lands next

    async def at_front(self) -> None:
        await self.fresh()
        while self._turn.anothers:
            await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - no secret
            await self.fresh()

    async def beaten(self, times: int) -> None:
        await asyncio.sleep(random.uniform(0, min(0.05 * 2**times, 5.0)))  # noqa: S311 - no secret
        if times >= _BEATEN:
            await self._turn.take()

    async def settled(self) -> None:
        await self._turn.let_go()

    # Where it begins

    async def ensure_branch(self, base: str) -> None:
        waits = Waits(_FIRST_PATIENCE_SECONDS)
        while not self.seen:
            commit = await self.named(base)
            try:
                async with self._exchange():
                    said = await self.remote.push(Push(ref=self.ref, commit=commit, expected=""))
                    if said.code == 0 or self.ref in await self.remote.refs(self.ref):  # another was first
                        await self._look()
            except RunError as error:
                raise UsageError(str(error)) from None
            if not self.seen and not await waits.more():  # that other one may be at it still
                raise UsageError(f"the branch {self.branch!r} cannot be made in {self.remote.url}: {said.error}")

    async def named(self, base: str) -> str:
        aside = f"{_BASE}{self.branch}"
        try:
            if await self.remote.fetch(f"+{base}:{aside}", patience=_FIRST_PATIENCE_SECONDS):
                return await self.git.line("rev-parse", "--verify", f"{aside}^{{commit}}")
        except RunError as error:
            raise UsageError(f"work cannot begin from {base!r}: {error}") from None
        if base == "HEAD":
            raise UsageError(f"the remote {self.remote.url} has no commit yet: push one, work begins from it")
        raise UsageError(
            f"the remote {self.remote.url} has no {base!r} for work to begin from: name a branch or a tag"
        )


async def find(remote: str, branch: str) -> SharedRepository:
    """The clone of a remote that this process has, with its branch as it is there by now.

    Raises:
        UsageError: the remote cannot be reached, git is too old, or the branch's name is no good.
    """
    await check_version()
    clone, hold = clones.take(remote)
    await clones.make(clone)
    found = await at(str(clone), branch)
    assert hold.descriptor is not None
    found.git.held.add(hold.descriptor)
    shared = SharedRepository(found, Remote(remote, found.git))
    await shared.begin()
    return shared


__all__ = ["SharedRepository", "find"]
