"""The clones of remotes on this machine: one for each process that works on a remote at the same time.

They stand beside the store of the current folder and are kept: the next process takes up the first that nobody
has, with its history. One process has a clone from when it first asks for it until it ends, and so have the gits
that it began. A second one borrows the objects of the first. Nothing is ever removed here; who wants the room
removes the folder while no run is at work.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path

from swarm.errors import UsageError
from swarm.store.opening import DEFAULT_STORE
from swarm.workspace.git import plain_environment, run_git
from swarm.workspace.holds import Hold

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
        if (clone / "HEAD").is_file() and hold.take():
            yield clone, hold


async def make(clone: Path) -> None:
    """Make a clone with nothing in it; one that is there stays as it is.

    Raises:
        UsageError: it cannot be made.
    """
    if not (clone / "HEAD").is_file():
        words = ["init", "--bare", "--quiet", "--template=", "--initial-branch=main"]
        said = await run_git([*words, os.fspath(clone)], plain_environment(), clone.parent)
        if said.code:
            raise UsageError(f"no clone of the remote can be made at {clone}: {said.error}")
    lent = clone.with_name("1.git") / "objects"
    borrows = clone / "objects" / "info" / "alternates"
    if clone.name != "1.git" and lent.is_dir() and not borrows.exists():
        borrows.parent.mkdir(exist_ok=True)
        beside = borrows.with_name("alternates.new")
        beside.write_bytes(os.fsencode(lent) + b"\n")
        with suppress(FileNotFoundError):
            beside.replace(borrows)


__all__ = ["folder_of", "free", "idle", "make", "take"]
