"""The worktree of one slice: commands in it, and what changed there. How a run's worktrees are made is told in
`worktrees`."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import shutil
from pathlib import Path
from typing import Protocol

from swarm.equipment import Bounds, Ran, ToolFailed, Workspace
from swarm.errors import RunError
from swarm.workspace.git import standing
from swarm.workspace.leftovers import Left
from swarm.workspace.repository import Repository
from swarm.workspace.sandbox import Sandbox
from swarm.workspace.snapshots import changes, put, stage

DIFF_BYTES = 4 << 20
"""Of a diff, its first bytes are shown: a slice that wrote a gigabyte is told about, not printed."""


class Home(Protocol):
    """What the worktrees of a run have in common."""

    @property
    def repository(self) -> Repository: ...
    @property
    def workspace(self) -> Workspace: ...
    @property
    def sandbox(self) -> Sandbox: ...
    @property
    def readable(self) -> tuple[Path, ...]: ...


class Worktree:
    """The worktree of a slice. `base` is the commit that it began from or was last moved to."""

    def __init__(self, home: Home, left: Left, base: str) -> None:
        self.home, self.left, self.base = home, left, base
        self.landing = False
        """Whether it is in the hands of a landing, and what it holds may be more than its slice's work."""

    @property
    def path(self) -> Path:
        return self.left.path

    @property
    def admin(self) -> Path:
        return self.left.admin

    @property
    def slice(self) -> str:
        return self.left.slice

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        """Run a command in it; None: the bounds of the workspace.

        Raises:
            ToolFailed: it cannot be started.
        """
        return await self.execute(command, bounds or self.home.workspace.bounds)

    async def execute(self, command: str, bounds: Bounds, *, network: bool | None = None) -> Ran:
        """As `run`; None: the network is as the workspace says."""
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise ToolFailed(f"the command cannot be split into words ({error}): close what is quoted") from None
        if not words:
            raise ToolFailed("the command is empty: name a program and what it is given")
        try:
            standing(self.path)
        except RunError as error:
            raise ToolFailed(str(error)) from None
        workspace = self.home.workspace
        return await self.home.sandbox.run(
            words,
            folder=self.path,
            writable=[self.path],
            readable=[*self.home.readable, self.admin],
            environment={"GIT_OPTIONAL_LOCKS": "0", **workspace.environment},
            bounds=bounds,
            network=workspace.network if network is None else network,
        )

    async def diff(self) -> str:
        """What changed against `base`, new files included, as git shows it; empty where nothing did."""
        git, index = self.home.repository.git, self.admin / f"diff-{secrets.token_hex(4)}"
        made = await changes(git, self)
        if not made.paths:
            return ""
        # with its time: by that git knows which files may have changed in the same tick of the clock
        await asyncio.to_thread(shutil.copy2, self.admin / "index", index)
        try:
            wrong = await stage(git, self, made, index=index)
            words = ("diff-index", "-p", "--cached", "--no-ext-diff", "--no-textconv", "--no-color", self.base)
            said = await git.run(*words, at=self, index=index, most_bytes=DIFF_BYTES + 1)
        finally:
            index.unlink(missing_ok=True)
        more = f"\n[git does not take all of the changes: {wrong}]\n" if wrong else ""
        text = more + said.out[:DIFF_BYTES].decode("utf-8", "replace")
        return (
            text
            if len(said.out) <= DIFF_BYTES
            else f"{text}\n[cut here: it is longer than {DIFF_BYTES:,} bytes]\n"
        )

    async def put(self, content: str, *, base: str) -> None:
        """Hold exactly `content`, with what differs from `base` as changes."""
        await put(self.home.repository.git, self, content, base=base)
        self.base = base


__all__ = ["DIFF_BYTES", "Home", "Worktree"]
