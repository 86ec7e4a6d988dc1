"""What is written to the journal in the store's own file, in statements: calls, their outcomes, and whether a
lease still lasts. For use within a change of the database.

This module knows the tables; it does not know who may write to them, nor when.
"""

from __future__ import annotations

from typing import Any

import apsw

from swarm.models.base import Completion
from swarm.store.claims import Lease, stale
from swarm.store.journal import LOST, Begun, from_bytes
from swarm.task import Usage

Row = tuple[Any, ...]

REPLY = (
    "SELECT CAST(reply AS BLOB), CAST(refusal AS BLOB), outcomes.calls, input_tokens, output_tokens, "
    "cached_tokens, outcomes.cost_usd FROM calls JOIN outcomes ON outcomes.call = calls.seq "
    "WHERE key = ? AND reply IS NOT NULL ORDER BY outcomes.seq LIMIT 1"
)
"""The first to a key, of any run."""
ASKED = "SELECT 1 FROM calls WHERE key = ? LIMIT 1"
_CALL = "INSERT INTO calls (key, model, kind, tokens, cost_usd, begun, asker, room, lease, run, tries)"
_FIRST = (
    f"{_CALL} SELECT ?1, ?2, ?3, ?4, ?5, ?6, CAST(?7 AS TEXT), ?8, ?9, ?10, 1 "  # noqa: S608
    "WHERE NOT EXISTS (SELECT 1 FROM calls WHERE key = ?1)"  # in one statement: nearly all are new
)
_BEGIN = (
    f"{_CALL} VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, 1) ON CONFLICT DO UPDATE SET tries = tries + 1, "
    "model = excluded.model, tokens = excluded.tokens, cost_usd = excluded.cost_usd, begun = excluded.begun, "
    "asker = excluded.asker, room = excluded.room, lease = excluded.lease"
)
_OUTCOME = (
    "INSERT INTO outcomes (call, try, run, reply, refusal, failure, calls, input_tokens, output_tokens, "
    "cached_tokens, cost_usd, at, begun) "
    "SELECT seq, tries, run, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, begun "
    "FROM calls WHERE key = ? AND run = ? ON CONFLICT DO NOTHING"
)
# asked in two, as the indexes are: in one, it would read all outcomes for each call
_OPEN = (
    "NOT EXISTS (SELECT 1 FROM outcomes WHERE call = calls.seq AND reply IS NOT NULL) "
    "AND NOT EXISTS (SELECT 1 FROM outcomes WHERE call = calls.seq AND try = tries AND reply IS NULL)"
)
_LOST = f"SELECT seq, run, tries, tokens, cost_usd, begun FROM calls WHERE {{}} AND {_OPEN} ORDER BY seq"  # noqa: S608
_NEW, _UNKNOWN = Begun(state="new"), Begun(state="unknown")


def number_of(connection: apsw.Connection, run: str) -> int:
    """The number of a run, which gets one with its first row."""
    connection.execute("INSERT INTO runs (id) VALUES (?) ON CONFLICT DO NOTHING", (run,))
    return int(connection.execute("SELECT num FROM runs WHERE id = ?", (run,)).get)


def number_under(connection: apsw.Connection, lease: Lease, now: float) -> int:
    """The number of the run whose slice a lease is for.

    Raises:
        StaleLease: it is over.
    """
    sql = "SELECT run FROM claims WHERE epoch = ? AND state = 'claimed' AND until > ?"
    num = connection.execute(sql, (lease.epoch, now)).get
    if num is None:
        raise stale(lease)
    return int(num)


def begin(connection: apsw.Connection, num: int, row: Row) -> Begun:
    """Note that a call is about to be sent, unless there is a reply to it."""
    connection.execute(_FIRST, (*row, num))
    if connection.changes():
        return _NEW
    key = row[0]
    for found in connection.execute(REPLY, (key,)).fetchall():
        return Begun(state="done", reply=reply_of(found))
    under_way = f"SELECT 1 FROM calls WHERE key = ? AND run = ? AND {_OPEN}"  # noqa: S608
    before = _NEW if connection.execute(under_way, (key, num)).get is None else _UNKNOWN
    note(connection, num, row)
    return before


def note(connection: apsw.Connection, num: int, row: Row) -> None:
    """Note that a call is about to be sent."""
    connection.execute(_BEGIN, (*row, num))


def end(connection: apsw.Connection, num: int, row: Row) -> bool:
    """Note what became of a call, whose key comes last in the row. Whether the run has begun it."""
    connection.execute(_OUTCOME, (*row, num))
    if connection.changes():
        return True
    return connection.execute("SELECT 1 FROM calls WHERE key = ? AND run = ?", (row[-1], num)).get is not None


def settle_lost(connection: apsw.Connection, num: int, at: float) -> Usage:
    """See `Journal.settle_lost`: of leases that stand in the claims, calls are settled when they go from there."""
    mine = "run = ? AND NOT EXISTS (SELECT 1 FROM claims WHERE epoch = calls.lease)"
    return _settle(connection, connection.execute(_LOST.format(mine), (num,)).fetchall(), at)


def settle_leases(connection: apsw.Connection, epochs: list[int], at: float) -> None:
    """The same, of calls that were begun under leases which are over."""
    for epoch in epochs:
        _settle(connection, connection.execute(_LOST.format("lease = ?"), (epoch,)).fetchall(), at)


def _settle(connection: apsw.Connection, lost: Any, at: float) -> Usage:
    total = Usage()
    for seq, num, tries, tokens, cost_usd, begun in lost:
        usage = Usage(calls=1, input_tokens=tokens, cost_usd=cost_usd)
        connection.execute(
            "INSERT INTO outcomes (call, try, run, failure, calls, input_tokens, output_tokens, "
            "cached_tokens, cost_usd, at, begun) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (seq, tries, num, LOST, *counts(usage), at, begun),
        )
        total += usage
    return total


def forget(connection: apsw.Connection, num: int) -> None:
    """Delete a run."""
    for table in ("claims", "records", "outcomes", "calls"):
        connection.execute(f"DELETE FROM {table} WHERE run = ?", (num,))  # noqa: S608
    connection.execute("DELETE FROM runs WHERE num = ?", (num,))


def reply_of(row: Any) -> Completion:
    """A row of `REPLY`."""
    reply, refusal, *sums = row
    return Completion(
        text=from_bytes(reply),
        refusal=None if refusal is None else from_bytes(refusal),
        usage=usage_of(sums),
    )


def counts(usage: Usage) -> Row:
    return (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.cost_usd)


def usage_of(sums: Any) -> Usage:
    """The sums of a query, which are NULL where there was nothing."""
    calls, input_tokens, output_tokens, cached_tokens, cost_usd = (count or 0 for count in sums)
    return Usage(
        calls=calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_tokens=cached_tokens,
        cost_usd=float(cost_usd),
    )
