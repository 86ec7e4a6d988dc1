"""Locks on a repository that end with the process that has them, and with the gits that it began.

A lock is taken by flock on an open file. The gits of a holder inherit the descriptor, so that a process that was
killed holds on until the last of its gits is gone: whoever comes next finds a repository that nobody is changing.
That is why these are not the file locks that the store uses. This module knows files, not what they stand for.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_EVERY_SECONDS = 0.01


class Hold:
    """A file, or a folder that exists, that one process at a time has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def take(self) -> bool:
        """Have it, if nobody else does. A file is made where there is none."""
        import fcntl  # not on every system: a workspace needs one that has it, `import swarm` does not

        flags = os.O_RDONLY | os.O_DIRECTORY if self.path.is_dir() else os.O_RDWR | os.O_CREAT
        descriptor = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        return True

    async def taken(self) -> None:
        """Wait until it is to be had."""
        while not self.take():  # noqa: ASYNC110 - another process lets go of it, no event of this one
            await asyncio.sleep(_EVERY_SECONDS)

    def let_go(self, *, remove: bool = False) -> None:
        """Let others have it; `remove` its file with it."""
        import fcntl

        if self.descriptor is None:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)  # also for a git that has inherited it
        os.close(self.descriptor)
        self.descriptor = None


@asynccontextmanager
async def alone(path: Path, among: asyncio.Lock, inherited: set[int]) -> AsyncIterator[None]:
    """Be the only one at something: `among` the tasks of this process, and of all processes that hold `path`."""
    hold = Hold(path)
    async with among:
        await hold.taken()
        assert hold.descriptor is not None
        descriptor = hold.descriptor
        inherited.add(descriptor)
        try:
            yield
        finally:
            inherited.discard(descriptor)
            hold.let_go()


__all__ = ["Hold", "alone"]
