"""The clones of remotes on this machine: one for each process that works on a remote at the same time.

They stand beside the store of the current folder and are kept: the next process takes up the first that nobody
has, with its history. One process has a clone from when it first asks for it until it ends, and so have the gits
that it began. A second one borrows the objects of the first. Nothing is ever removed here; who wants the room
removes the folder while no run is at work.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count
from pathlib import Path

from swarm.errors import UsageError
from swarm.store.opening import DEFAULT_STORE
from swarm.workspace.git import plain_environment, run_git
from swarm.workspace.holds import Hold, alone

_MADE = "swarm-clone"  # in a clone that is whole
_taken: dict[tuple[int, Path], tuple[Path, Hold]] = {}  # by this process
_among = threading.Lock()


def folder_of(url: str) -> Path:
    """Where the clones of a remote are."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", url.rstrip("/").removesuffix(".git").rpartition("/")[2])[:40].strip("-")
    code = blake2b(url.encode(), digest_size=6).hexdigest()
    return Path(os.path.realpath(DEFAULT_STORE.parent)) / "remotes" / f"{name or 'remote'}-{code}"


def take(url: str) -> tuple[Path, Hold]:
    """The clone of this process: where it is, or is to be made, and what holds it.

    Raises:
        UsageError: none can be made in the current folder.
    """
    folder = folder_of(url)
    key = (os.getpid(), folder)  # a process that was forked has its own
    with _among:
        if key not in _taken:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _taken[key] = next(free(folder))
            except OSError as error:
                raise UsageError(f"no clone of the remote can be made in {folder}: {error}") from None
        return _taken[key]


def free(folder: Path) -> Iterator[tuple[Path, Hold]]:
    """The clones that nobody has, each held from then on, and then such as are not there yet."""
    for number in count(1):
        hold = Hold(folder / f"{number}.lock")
        if hold.take():
            yield folder / f"{number}.git", hold


def idle(url: str) -> Iterator[tuple[Path, Hold]]:
    """The clones that are there and that nobody has, each held for whoever goes through them."""
    for clone in sorted(folder_of(url).glob("*.git")):
        hold = Hold(clone.with_suffix(".lock"))
        if (clone / _MADE).is_file() and hold.take():
            yield clone, hold


async def make(clone: Path) -> None:
    """Make a clone with nothing in it; one that is there stays as it is.

    Raises:
        UsageError: it cannot be made.
    """
    held: set[int] = set()
    async with alone(clone.with_suffix(".making"), asyncio.Lock(), held):  # runs of one process begin side by side
        if not (clone / _MADE).is_file():
            for lock in clone.glob("*.lock"):  # noqa: ASYNC240 - of one that was killed as it made this one
                lock.unlink(missing_ok=True)
            words = ["init", "--bare", "--quiet", "--template=", "--initial-branch=main", os.fspath(clone)]
            said = await run_git(words, plain_environment(), clone.parent, held=held)
            if said.code:
                raise UsageError(f"no clone of the remote can be made at {clone}: {said.error}")
            _borrow(clone)
            (clone / _MADE).touch()


def _borrow(clone: Path) -> None:
    """Have what the first clone of the remote has fetched already."""
    lent, borrows = clone.with_name("1.git") / "objects", clone / "objects" / "info" / "alternates"
    if clone.name != "1.git" and lent.is_dir():
        borrows.parent.mkdir(exist_ok=True)
        borrows.write_bytes(os.fsencode(lent) + b"\n")


__all__ = ["folder_of", "free", "idle", "make", "take"]
