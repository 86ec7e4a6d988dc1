"""The named points in the life of a run at which a process can be made to die, by SIGKILL from itself.

    before X, after X       X is a kind of record, or begin_call, finish_call, fail_call, settle_lost
    in a commit             the SQL of a group of writes is done, and the commit is not
    after a commit          it is done, and nobody was told
    recorded, not merged    the record is on the server, and not yet in the graph beside it

A method of the journal or of the database is replaced in the process that dies; nothing in Swarm knows of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from swarm.store import postgres
from swarm.store.database import Database
from swarm.store.journal import Entry
from swarm.store.postgres import PostgresJournal
from swarm.store.sqlite import SqliteJournal

KINDS = (
    "session", "corpus", "plan", "report", "closer", "split", "failure", "room", "decision", "pairs", "verdict",
    "settled", "summary", "answer",
)  # fmt: skip
CALLS = ("begin_call", "finish_call", "fail_call", "settle_lost")
WRITES = tuple(f"{when} {what}" for what in (*KINDS, *CALLS) for when in ("before", "after"))
COMMITS = ("in a commit", "after a commit")
APART = ("recorded, not merged",)
"""Where the journal is on a server."""


class _Fuse:
    """Kills this process when it is struck for the n-th time."""

    def __init__(self, number: int) -> None:
        self._left = number

    def strike(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


def arm(point: str, number: int) -> None:
    """Have this process die at a point, the `number`-th time that it is there."""
    fuse = _Fuse(number)
    when, _, what = point.partition(" ")
    if point in COMMITS:
        _arm_commits(fuse, done=point.startswith("after"))
    elif point in APART:
        _between(fuse)
    else:
        for journal in (SqliteJournal, PostgresJournal):
            if what in CALLS:
                _around(journal, what, fuse, lambda *_: True, before=when == "before")
            else:
                _around(journal, "append", fuse, _writes(what), before=when == "before")


def _writes(kind: str) -> Callable[..., bool]:
    return lambda _run, *entries: any(isinstance(entry, Entry) and entry.kind == kind for entry in entries)


def _around(owner: type, name: str, fuse: _Fuse, counts: Callable[..., bool], *, before: bool) -> None:
    original = getattr(owner, name)

    async def dying(self: Any, *arguments: Any, **more: Any) -> Any:
        struck = counts(*arguments)
        if struck and before:
            fuse.strike()
        result = await original(self, *arguments, **more)
        if struck and not before:
            fuse.strike()
        return result

    setattr(owner, name, dying)


def _between(fuse: _Fuse) -> None:
    """After the server has a record, before what follows from it is written here."""
    original = PostgresJournal.append

    async def dying(self: PostgresJournal, run: str, *entries: Entry, also: Any = None) -> None:
        await original(self, run, *entries)
        if also is not None:
            fuse.strike()
            await self._projection.write(also)

    PostgresJournal.append = dying  # type: ignore[method-assign]


def _arm_commits(fuse: _Fuse, *, done: bool) -> None:
    """On the thread that writes: in a file, as the last change of a group; on a server, before the commit is sent
    or when it came back."""
    together = Database._commit_together
    insert = postgres.insert

    def in_file(self: Database, writer: Any, group: list[Any]) -> list[Any]:
        if done:
            results = together(self, writer, group)
            fuse.strike()
            return results
        return together(self, writer, [*group, lambda _: fuse.strike()])[:-1]

    def on_server(connection: Any, several: Any) -> Any:
        if done:
            came = insert(connection, several)
            fuse.strike()
            return came
        with connection.transaction():
            came = insert(connection, several)  # a savepoint, within the transaction around it
            fuse.strike()
        return came

    Database._commit_together = in_file  # type: ignore[method-assign]
    postgres.insert = on_server
