"""Stores that are open in this process, each once, however many use it: a file has one writer.

Whoever comes first opens the store and whoever leaves last closes it. One run is worked by one at a time, in this
process as between processes. This module does not know what a store is used for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from swarm.errors import StoreInUse
from swarm.store.opening import DEFAULT_STORE, Store, is_url, open_store


@dataclass(kw_only=True)
class Opened:
    """A store, how many use it, and the runs that are at work in it."""

    name: str
    store: Store
    users: int = 0
    runs: set[str] = field(default_factory=set)
    one: threading.Lock = field(default_factory=threading.Lock)


_OPENED: dict[str, Opened] = {}
_OPENING = threading.Lock()


def take(where: Path | str | None) -> Opened:
    """A store that all of this process use together; `leave` it when done. Blocks.

    Raises:
        StoreError: as `open_store`.
    """
    where = where or DEFAULT_STORE
    name = str(where) if is_url(where) else str(Path(where).resolve())
    with _OPENING:
        opened = _OPENED.get(name) or _OPENED.setdefault(name, Opened(name=name, store=open_store(where)))
        opened.users += 1
    return opened


def leave(opened: Opened) -> None:
    """Blocks until what is waiting is written, where nobody else uses it."""
    with _OPENING:
        opened.users -= 1
        if not opened.users:
            del _OPENED[opened.name]
            opened.store.close()


@contextmanager
def shared_store(where: Path | str | None) -> Iterator[Opened]:
    """As `take`, for the length of a block.

    Raises:
        StoreError: as `open_store`.
    """
    opened = take(where)
    try:
        yield opened
    finally:
        leave(opened)


@contextmanager
def alone(opened: Opened, run: str) -> Iterator[None]:
    """Be the one in this process that works a run.

    Raises:
        StoreInUse: another is.
    """
    with opened.one:
        if run in opened.runs:
            raise StoreInUse(f"the run {run} is at work in this process: wait, or give another run_id or fork")
        opened.runs.add(run)
    try:
        yield
    finally:
        try:
            opened.store.journal.let_go(run)
        finally:
            opened.runs.discard(run)
