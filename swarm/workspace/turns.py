"""Whose turn it is to land on a branch that many machines land on.

Mostly nobody has it: who comes first wins, and who was beaten puts the work upon what landed and has it checked
again. Whoever has a slow check would be beaten for ever. So who was beaten a few times takes the turn, by a ref on
the remote, and the others leave the branch alone until it is let go of. The one who has it shows every few seconds
that it lives; one that shows nothing for longer is anybody's. Nothing rests on it but fairness: the branch moves
by compare and swap, whoever has it.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

from swarm.errors import RunError
from swarm.workspace.git import Git
from swarm.workspace.remote import Push, Remote

TURNS = "refs/swarm-turns/"
BEAT_SECONDS = 10.0
STALE_SECONDS = 45.0


class Turn:
    def __init__(self, remote: Remote, git: Git, branch: str) -> None:
        self._remote, self._git = remote, git
        self.ref = f"{TURNS}{branch}"
        self._at, self._since = "", 0.0
        self._ours = ""
        self._over = asyncio.Event()
        self._beat: asyncio.Task[None] | None = None

    def see(self, at: str) -> None:
        """Take note of what the ref is at; nothing where it is not there."""
        if at != self._at:
            self._at, self._since = at, asyncio.get_running_loop().time()

    @property
    def anothers(self) -> bool:
        """Whether another has it that lives."""
        if not self._at or self._at == self._ours:
            return False
        return asyncio.get_running_loop().time() - self._since < STALE_SECONDS

    async def take(self) -> None:
        """Have it, if it is nobody's."""
        if self._beat is None and not self.anothers and await self._put(self._at):
            self._over.clear()
            self._beat = asyncio.create_task(self._show())

    async def let_go(self) -> None:
        """Safe to call where it is not ours."""
        beat, self._beat = self._beat, None
        if beat is not None:
            self._over.set()  # and not cancelled: it would not be known what the ref is at
            with suppress(RunError):  # then it gets stale
                await beat
            if self._ours:
                await self._remote.push(Push(ref=self.ref, commit="", expected=self._ours))
                self._ours = ""

    async def _show(self) -> None:
        while self._ours and not self._over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._over.wait()
            if not self._over.is_set() and not await self._put(self._ours):
                self._ours = ""  # taken for dead

    async def _put(self, expected: str) -> bool:
        tree = await self._git.line("mktree")
        mark = await self._git.line("commit-tree", tree, stdin=f"turn {secrets.token_hex(8)}\n".encode())
        said = await self._remote.push(Push(ref=self.ref, commit=mark, expected=expected))
        if said.code == 0:
            self._ours = mark
        return said.code == 0


__all__ = ["BEAT_SECONDS", "STALE_SECONDS", "TURNS", "Turn"]
