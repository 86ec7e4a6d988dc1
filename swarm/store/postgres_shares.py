"""What machines share limits by, on a PostgreSQL server: see `swarm.store.shares`.

The states that a process changes are locked together and written in one transaction, in two round trips, on a
connection of its own. A holder is answered for by an advisory lock of that connection: the server lets go of it at
once where the process ends, and about a minute after it was cut off.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from swarm.store.grouped import Grouped
from swarm.store.postgres_holds import application
from swarm.store.postgres_link import SharedLink, lock_number
from swarm.store.shares import Paid, State, Step

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

_ROWS = "SELECT name, state FROM shares WHERE name = ANY(%s) ORDER BY name FOR UPDATE"
_NEW = "INSERT INTO shares (name) SELECT unnest(%s::text[]) AS name ORDER BY name ON CONFLICT DO NOTHING"
_WRITE = (
    "UPDATE shares SET state = new.state FROM unnest(%s::text[], %s::bytea[]) AS new (name, state) "
    "WHERE shares.name = new.name"
)
_DROP = "DELETE FROM shares WHERE name = ANY(%s)"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_PAID = (
    "SELECT sum(calls), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(units) FROM spent "
    "JOIN runs ON num = run WHERE id = %s"
)
_IN_DOUBT = (
    "SELECT count(*), sum(tokens), 0, 0, sum(round(cost_usd * 1e12)::bigint) FROM calls JOIN runs ON num = run "
    "WHERE id = %s AND NOT EXISTS (SELECT FROM outcomes WHERE call = calls.seq AND reply IS NOT NULL) "
    "AND NOT EXISTS (SELECT FROM outcomes WHERE call = calls.seq AND try = tries AND reply IS NULL)"
)
_ANSWERED = (
    "SELECT classid::bigint, objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
# shared: a connection that the server has not yet noticed to be gone does no harm
_ANSWER = "SELECT pg_advisory_lock_shared(number) FROM unnest(%s::bigint[]) AS number"


class _Asked(NamedTuple):
    name: str
    step: Step[Any]


class PostgresShares:
    """See `swarm.store.shares.Shares`. The connection is made when it is first used."""

    def __init__(self, url: str) -> None:
        self._holders: set[str] = set()
        self._link = SharedLink(url, application("-shares"), self._answer)
        self._steps: Grouped[_Asked, Any] = Grouped("swarm-shares", self._take)

    async def change(self, name: str, step: Step[T]) -> T:
        came: T = await self._steps.ask(_Asked(name, step))
        return came

    def change_sync(self, name: str, step: Step[T]) -> T:
        came: T = self._steps.ask_sync(_Asked(name, step))
        return came

    def attend(self, holder: str) -> None:
        new = _number(holder)
        if holder not in self._holders:
            self._holders.add(holder)
            self._link.rows(_ANSWER, ([new],))

    def close(self) -> None:
        self._link.hurry()
        self._steps.close()
        self._link.close()

    def _answer(self, connection: Connection) -> None:
        connection.execute(
            "SET idle_in_transaction_session_timeout = 2000"
        )  # a frozen process holds up all others
        connection.execute(_ANSWER, ([_number(holder) for holder in self._holders],))

    def _take(self, asked: list[_Asked]) -> list[Any]:
        return self._link.run(lambda connection: _taken(connection, asked))


def _taken(connection: Connection, asked: list[_Asked]) -> list[Any]:
    """What came of each step, in order."""
    names = sorted({name for name, _ in asked})
    came: list[Any] = []
    with connection.pipeline(), connection.transaction():
        rows = connection.execute(_ROWS, (names,), binary=True)
        clock = connection.execute(_NOW, binary=True)
        found: dict[str, bytes] = dict(rows.fetchall())
        if len(found) < len(names):
            connection.execute(_NEW, (names,))
            found = dict(connection.execute(_ROWS, (names,), binary=True).fetchall())
            clock = connection.execute(_NOW, binary=True)
        ((now,),) = clock.fetchall()
        facts = _Facts(connection, now)
        states: dict[str, State] = {name: json.loads(bytes(state)) for name, state in found.items()}
        for name, step in asked:
            states[name], result = step(states[name], facts)
            came.append(result)
        kept = {name: json.dumps(state, separators=(",", ":")).encode() for name, state in states.items() if state}
        if kept:
            connection.execute(_WRITE, (list(kept), list(kept.values())))
        if len(kept) < len(names):
            connection.execute(_DROP, ([name for name in names if name not in kept],))
    return came


class _Facts:
    """See `swarm.store.shares.Facts`: asked in the transaction, after the states were locked."""

    def __init__(self, connection: Connection, now: float) -> None:
        self._connection, self.now = connection, now

    def gone(self, holders: Collection[str]) -> set[str]:
        rows = self._connection.execute(_ANSWERED, binary=True).fetchall()
        answered = {(high << 32) | low for high, low in rows}
        return {holder for holder in holders if _number(holder) & 0xFFFF_FFFF_FFFF_FFFF not in answered}

    def paid(self, run: str) -> Paid:
        return self._sums(_PAID, run)

    def in_doubt(self, run: str) -> Paid:
        return self._sums(_IN_DOUBT, run)

    def _sums(self, sql: str, run: str) -> Paid:
        row = self._connection.execute(sql, (run,)).fetchone()
        assert row is not None
        calls, input_tokens, output_tokens, cached_tokens, units = (int(value or 0) for value in row)
        return Paid(
            calls=calls,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            units=units,
        )


def _number(holder: str) -> int:
    return lock_number(f"swarm:shares:{holder}")
