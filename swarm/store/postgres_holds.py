"""Which runs this process holds on a PostgreSQL server: nobody else writes to them, and we write to no others.

A run is held by an advisory lock of the connection that writes, so whoever loses that connection can neither keep
the run nor write to it. When it is made again the locks are taken again; a count of how often each run was taken
tells whether somebody else had it in between, and then it is lost for good: what we know of it is out of date.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarm.errors import StoreError, StoreInUse
from swarm.store.postgres_link import Link, lock_number

if TYPE_CHECKING:
    from psycopg import Connection

_HOLDER = re.compile(r"swarm (\d+) [0-9a-f]+ (.+)")
_MINE = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
    "WHERE application_name = %s AND pid <> pg_backend_pid()"
)
_TRY = "SELECT run, pg_try_advisory_lock(number) FROM unnest(%s::text[], %s::bigint[]) AS wanted (run, number)"
_HELD = (
    "FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = %s AND objid::bigint = %s "
    "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hold:
    num: int
    epoch: int


def application(role: str = "") -> str:
    """What a connection calls itself, so that others can say who is in their way: 63 bytes at most."""
    host = socket.gethostname().encode("ascii", "replace").decode()
    return f"swarm{role} {os.getpid()} {secrets.token_hex(4)} {host}"[:63]


class Holds:
    """The runs that the connection named `name` holds. But for `in`, for the thread that writes alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: dict[str, _Hold] = {}
        self._lost: dict[str, StoreError] = {}

    def __contains__(self, run: str) -> bool:
        return run in self._held

    def take(self, connection: Connection, runs: Iterable[str]) -> dict[str, int | StoreError]:
        """The number of each run, which is ours from now on, or why it is not."""
        wanted = set(runs)
        new = wanted - self._held.keys() - self._lost.keys()
        refused = self._take_new(connection, new) if new else {}
        return {run: refused.get(run) or self._lost.get(run) or self._held[run].num for run in wanted}

    def number(self, run: str) -> int:
        """How often a run that we hold was taken, by whomever."""
        return self._held[run].epoch

    def take_again(self, connection: Connection) -> None:
        """After the connection was lost: all that we held, unless somebody else had it meanwhile."""
        if not self._held:
            return
        connection.execute(_MINE, (self._name,))  # the server may not have noticed yet that we are gone
        granted = self._try(connection, self._held)
        rows = connection.execute("SELECT id, epoch FROM runs WHERE id = ANY(%s)", (list(granted),)).fetchall()
        epochs: dict[str, int] = dict(rows)
        for run in [run for run, hold in self._held.items() if epochs.get(run) != hold.epoch]:
            who = "" if run in granted else holder(connection, run)
            if run in granted:
                connection.execute("SELECT pg_advisory_unlock(%s)", (_number(run),))
            del self._held[run]
            self._lost[run] = StoreInUse(
                f"run {run} was taken over by another process{who} when the connection was lost: "
                "nothing more is written here; see to that process"
            )

    def let_go(self, connection: Connection, run: str) -> None:
        """Of a run that is not worked any more."""
        if self._held.pop(run, None) is not None:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_number(run),))

    def _take_new(self, connection: Connection, runs: set[str]) -> dict[str, StoreError]:
        granted = self._try(connection, runs)
        refused: dict[str, StoreError] = {
            run: StoreInUse(
                f"run {run} is in use by another process{holder(connection, run)}: wait for it, or stop it"
            )
            for run in runs - granted
        }
        ids = sorted(granted)
        with connection.transaction():
            connection.execute(
                "INSERT INTO runs (id) SELECT id FROM unnest(%s::text[]) AS new (id) "
                "WHERE NOT EXISTS (SELECT FROM runs WHERE runs.id = new.id) ON CONFLICT DO NOTHING",
                (ids,),
            )
            rows = connection.execute(
                "UPDATE runs SET epoch = epoch + 1 WHERE id = ANY(%s) RETURNING id, num, epoch", (ids,)
            ).fetchall()
        self._held |= {run: _Hold(num=num, epoch=epoch) for run, num, epoch in rows}
        return refused

    def _try(self, connection: Connection, runs: Iterable[str]) -> set[str]:
        ids = sorted(runs)
        rows = connection.execute(_TRY, (ids, [_number(run) for run in ids])).fetchall()
        return {run for run, granted in rows if granted}


def held(connection: Connection, run: str) -> bool:
    """Whether any live connection holds the run."""
    return connection.execute(f"SELECT 1 {_HELD}", _halves(run)).fetchone() is not None


def holder(connection: Connection, run: str) -> str:
    """Who holds the run, in brackets and after a space; empty where the server does not say."""
    row = connection.execute(f"SELECT application_name {_HELD}", _halves(run)).fetchone()
    found = _HOLDER.fullmatch(row[0]) if row is not None and row[0] else None
    return f" (pid {found[1]}, host {found[2]})" if found is not None else ""


def end_hold(url: str, run: str, pid: int, host: str) -> bool:
    """End the connection by which a process on that host holds a run, and tell whether there was one. It cannot
    write to the run any more once another has taken it."""
    link = Link(url, application("-standby"))
    try:
        return link.run(lambda connection: _end_hold(connection, run, pid, host))
    finally:
        link.close()


def _end_hold(connection: Connection, run: str, pid: int, host: str) -> bool:
    if holder(connection, run) != f" (pid {pid}, host {host})":
        return False
    ended = connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {_HELD}", _halves(run)).fetchone()
    return ended is not None and bool(ended[0])


def _number(run: str) -> int:
    return lock_number(f"swarm:run:{run}")


def _halves(run: str) -> tuple[int, int]:
    """As `pg_locks` has the number of a lock."""
    number = _number(run) & 0xFFFF_FFFF_FFFF_FFFF
    return number >> 32, number & 0xFFFF_FFFF
