"""What is written to the journal on a PostgreSQL server: many rows in one statement, and every statement such that
it comes to the same when it is sent again, because nobody knows whether a commit was done when a connection broke.

This module knows the tables; it does not know who may write to them, nor when.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from swarm.store.journal import LOST
from swarm.task import Usage

if TYPE_CHECKING:
    from psycopg import Connection

Row = tuple[Any, ...]

_MOST_BYTES = 16_000_000  # in one statement: the server takes a message of a gigabyte at the most
_USAGE = "calls, input_tokens, output_tokens, cached_tokens, cost_usd"
SUMS = ", ".join(f"sum({name})" for name in _USAGE.split(", "))
_RECORDS = (
    "INSERT INTO records (run, kind, key, at, body) SELECT run, kind, key, at, body FROM "
    "unnest(%s::int[], %s::text[], %s::bytea[], %s::float8[], %s::bytea[]) "
    "WITH ORDINALITY AS new (run, kind, key, at, body, n) ORDER BY n ON CONFLICT DO NOTHING"
)
_CALLS = (
    "INSERT INTO calls (run, key, model, kind, tokens, cost_usd, begun, asker, room, tries) SELECT new.*, 1 FROM "
    "unnest(%s::int[], %s::bytea[], %s::text[], %s::text[], %s::bigint[], %s::float8[], %s::float8[], "
    "%s::bytea[], %s::bigint[]) AS new "
    "ON CONFLICT (key, run) DO UPDATE SET tries = calls.tries + 1, model = excluded.model, "
    "tokens = excluded.tokens, cost_usd = excluded.cost_usd, begun = excluded.begun, "
    "asker = excluded.asker, room = excluded.room"
)
# a call that was not begun has no number, and the column refuses that
_OUTCOMES = (
    f"INSERT INTO outcomes (call, try, run, reply, refusal, failure, mark, {_USAGE}, at, begun) "  # noqa: S608
    "SELECT calls.seq, coalesce(tries, 0), new.run, reply, refusal, failure, mark, new.calls, input_tokens, "
    "output_tokens, cached_tokens, new.cost_usd, at, begun FROM unnest(%s::int[], %s::bytea[], %s::bytea[], "
    "%s::bytea[], %s::bytea[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], "
    "%s::float8[], %s::float8[]) WITH ORDINALITY AS new "
    f"(run, key, reply, refusal, failure, mark, {_USAGE}, at, n) LEFT JOIN calls USING (key, run) ORDER BY n "
    "ON CONFLICT DO NOTHING"
)
_LOST = (
    f"INSERT INTO outcomes (call, try, run, failure, mark, {_USAGE}, at, begun) "  # noqa: S608
    "SELECT seq, tries, run, %s, %s, 1, tokens, 0, 0, cost_usd, %s, begun FROM calls WHERE run = %s "
    "AND NOT EXISTS (SELECT FROM outcomes WHERE call = calls.seq AND reply IS NOT NULL) "
    "AND NOT EXISTS (SELECT FROM outcomes WHERE call = calls.seq AND try = tries AND reply IS NULL) ORDER BY seq "
    "ON CONFLICT DO NOTHING"
)
_FORGET = tuple(
    f"DELETE FROM {table} WHERE {column} = %s"  # noqa: S608
    for table, column in (
        *((name, "run") for name in ("records", "outcomes", "calls", "requests")),
        ("runs", "num"),
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """What is to be added to a run, without the run's number, which comes first in each row. A call's and an
    outcome's second is the key of the call."""

    run: str
    size: int = 0
    """In bytes, about."""
    records: Sequence[Row] = ()
    calls: Sequence[Row] = ()
    outcomes: Sequence[Row] = ()


def portions(several: Sequence[Rows]) -> Iterator[list[Rows]]:
    """As many at once as one statement takes."""
    portion: list[Rows] = []
    size = 0
    for rows in several:
        if portion and size + rows.size > _MOST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(rows)
        size += rows.size
    if portion:
        yield portion


def insert(connection: Connection, numbered: Sequence[tuple[int, Rows]]) -> None:
    """Add rows to the runs of these numbers, in one transaction and one round trip."""
    records = [(num, *row) for num, rows in numbered for row in rows.records]
    begun = {(num, row[0]): (num, *row) for num, rows in numbered for row in rows.calls}  # once in a statement
    outcomes = [(num, *row) for num, rows in numbered for row in rows.outcomes]
    # by key, because two processes that ask the same in another order would wait for one another
    calls = sorted(begun.values(), key=itemgetter(1))
    outcomes.sort(key=itemgetter(1))
    with connection.pipeline(), connection.transaction():
        for sql, several in ((_RECORDS, records), (_CALLS, calls), (_OUTCOMES, outcomes)):
            if several:
                connection.execute(sql, [list(column) for column in zip(*several, strict=True)])


def settle_lost(connection: Connection, num: int, mark: int, at: float) -> Usage:
    """See `Journal.settle_lost`. `mark` names this settling, should it be done again."""
    connection.execute(_LOST, (LOST.encode(), mark, at, num))
    sql = f"SELECT {SUMS} FROM outcomes WHERE run = %s AND mark = %s AND reply IS NULL"  # noqa: S608
    return usage(connection.execute(sql, (num, mark)).fetchone())


def forget(connection: Connection, num: int) -> None:
    """Delete a run."""
    for sql in _FORGET:
        connection.execute(sql, (num,))


def erase(connection: Connection, num: int, names: Sequence[tuple[str, bytes]], records: Sequence[Row]) -> None:
    """Delete records of a run, by kind and key, and add others; in the caller's transaction."""
    for kind, key in names:
        connection.execute("DELETE FROM records WHERE run = %s AND kind = %s AND key = %s", (num, kind, key))
    if records:
        rows = [(num, *row) for row in records]
        connection.execute(_RECORDS, [list(column) for column in zip(*rows, strict=True)])


def usage(counts: Any) -> Usage:
    """The sums of a query: NULL where there was nothing, and of a type of their own."""
    calls, input_tokens, output_tokens, cached_tokens, cost_usd = (count or 0 for count in counts)
    return Usage(
        calls=int(calls),
        input_tokens=int(input_tokens),
        output_tokens=int(output_tokens),
        cached_tokens=int(cached_tokens),
        cost_usd=float(cost_usd),
    )
