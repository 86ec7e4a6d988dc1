"""What is written to the journal on a PostgreSQL server: many rows in one statement, and every statement such that
it comes to the same when it is sent again, because nobody knows whether a commit was done when a connection broke.

This module knows the tables; it does not know who may write to them, nor when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from swarm.errors import StaleLease
from swarm.models.base import Completion
from swarm.store.claims import Lease, stale
from swarm.store.journal import LOST, Begun, from_bytes
from swarm.store.postgres_link import lock_number
from swarm.task import Usage

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

Row = tuple[Any, ...]
Known = dict[tuple[int, bytes], Begun]
"""What is told of calls that are not new, by the number of the run and the key."""

_MOST_BYTES = 16_000_000  # in one statement: the server takes a message of a gigabyte at the most
_USAGE = "calls, input_tokens, output_tokens, cached_tokens, cost_usd"
SUMS = ", ".join(f"sum({name})" for name in _USAGE.split(", "))
_RECORDS = (
    "INSERT INTO records (run, kind, key, at, body) SELECT run, kind, key, at, body FROM "
    "unnest(%s::int[], %s::text[], %s::bytea[], %s::float8[], %s::bytea[]) "
    "WITH ORDINALITY AS new (run, kind, key, at, body, n) ORDER BY n ON CONFLICT DO NOTHING"
)
_OPEN = (
    "NOT EXISTS (SELECT FROM outcomes WHERE call = calls.seq AND reply IS NOT NULL) "
    "AND NOT EXISTS (SELECT FROM outcomes WHERE call = calls.seq AND try = tries AND reply IS NULL)"
)
# What is not new is told: calls to which there is a reply, and those that this run sent before, and whose last try
# nobody knows anything of. All parts of a statement see what was there before it.
_CALLS = (
    "WITH new AS (SELECT * FROM unnest(%s::int[], %s::bytea[], %s::text[], %s::text[], %s::bigint[], "  # noqa: S608
    "%s::float8[], %s::float8[], %s::bytea[], %s::bigint[], %s::bigint[], %s::bool[]) AS new "
    "(run, key, model, kind, tokens, cost_usd, begun, asker, room, lease, anyway)), "
    "known AS MATERIALIZED (SELECT DISTINCT ON (key) key, reply, refusal, outcomes.calls, input_tokens, "
    "output_tokens, cached_tokens, outcomes.cost_usd FROM calls JOIN outcomes ON call = calls.seq "
    "WHERE key = ANY(%s) AND reply IS NOT NULL ORDER BY key, outcomes.seq), "
    f"lost AS MATERIALIZED (SELECT calls.run, calls.key FROM calls JOIN new USING (key, run) WHERE {_OPEN}), "
    "begun AS (INSERT INTO calls (run, key, model, kind, tokens, cost_usd, begun, asker, room, lease, tries) "
    "SELECT run, key, model, kind, tokens, cost_usd, begun, asker, room, lease, 1 FROM new "
    "WHERE anyway OR NOT EXISTS (SELECT FROM known WHERE known.key = new.key) ORDER BY key "
    "ON CONFLICT (key, run) DO UPDATE SET tries = calls.tries + 1, model = excluded.model, "
    "tokens = excluded.tokens, cost_usd = excluded.cost_usd, begun = excluded.begun, "
    "asker = excluded.asker, room = excluded.room, lease = excluded.lease) "
    "SELECT run, key, known.* FROM new JOIN known USING (key) "
    "UNION ALL SELECT run, key, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM lost"
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
    "SELECT seq, tries, run, %s, %s, 1, tokens, 0, 0, cost_usd, %s, begun FROM calls WHERE {} "
    f"AND {_OPEN} ORDER BY seq ON CONFLICT DO NOTHING"
)
# of leases that stand in the claims, calls are settled when they go from there
_LOST_OF_RUN = _LOST.format("run = %s AND NOT EXISTS (SELECT FROM claims WHERE claims.epoch = calls.lease)")
_LOST_OF_LEASES = _LOST.format("lease = ANY(%s)")
_FENCE = (
    "SELECT epoch, run FROM claims WHERE epoch = ANY(%s) AND state = 'claimed' AND until > clock_timestamp() "
    "ORDER BY run, ref FOR KEY SHARE"
)
# tables grow faster than the server counts them: what it takes for the quickest way would read all of them
_BY_INDEX = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), "
    "set_config('enable_mergejoin', 'off', true)"
)
_NEW, _UNKNOWN = Begun(state="new"), Begun(state="unknown")
_SIGN = "SELECT pg_advisory_xact_lock_shared(number) FROM unnest(%s::bigint[]) AS wanted (number)"
# the claims first: that waits for whoever still writes under one of them
_FORGET = tuple(
    f"DELETE FROM {table} WHERE {column} = %s"  # noqa: S608
    for table, column in (
        *((name, "run") for name in ("claims", "records", "outcomes", "calls", "requests")),
        ("runs", "num"),
    )
)


class Sized(Protocol):
    """What says how large it is."""

    @property
    def size(self) -> int:
        """In bytes, about."""


S = TypeVar("S", bound=Sized)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """What is to be added to a run, without the run's number, which comes first in each row. A call's and an
    outcome's second is the key of the call; a call's last is whether it is begun also where its reply is known.
    With a `lease` nothing is added once that is over."""

    run: str
    lease: Lease | None = None
    size: int = 0
    """In bytes, about."""
    records: Sequence[Row] = ()
    calls: Sequence[Row] = ()
    outcomes: Sequence[Row] = ()


def portions(several: Sequence[S]) -> Iterator[list[S]]:
    """As many at once as one statement takes."""
    portion: list[S] = []
    size = 0
    for rows in several:
        if portion and size + rows.size > _MOST_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(rows)
        size += rows.size
    if portion:
        yield portion


def sign(connection: Connection, runs: Iterable[str]) -> None:
    """Let it be seen, to the end of a transaction, that something is being added to these runs: it has its number
    before it can be read. That keeps nobody waiting who writes. Rows are looked up by index to the end of it."""
    connection.execute(_BY_INDEX)
    connection.execute(_SIGN, (sorted(writers_of(run) for run in set(runs)),))


def writers_of(run: str) -> int:
    """The number of the lock by which `sign` is seen."""
    return lock_number(f"swarm:writers:{run}")


def insert(connection: Connection, several: Sequence[tuple[int | None, Rows]]) -> list[Begun | StaleLease | None]:
    """Add rows to runs, in one transaction; what came of each. The number of a run is None where it is written to
    under a lease: without these, that is one round trip."""
    leases = [rows.lease.epoch for num, rows in several if num is None and rows.lease is not None]
    with connection.pipeline(), connection.transaction():
        sign(connection, (rows.run for _, rows in several))
        nums: dict[int, int] = dict(connection.execute(_FENCE, (leases,)).fetchall()) if leases else {}
        numbered = [
            (nums.get(rows.lease.epoch) if num is None and rows.lease is not None else num, rows)
            for num, rows in several
        ]
        asked = _insert(connection, [(num, rows) for num, rows in numbered if num is not None])
    known = _known(asked.fetchall()) if asked is not None else {}
    return [_came(num, rows, known) for num, rows in numbered]


def _insert(connection: Connection, numbered: Sequence[tuple[int, Rows]]) -> Cursor | None:
    """What tells of calls that are not new, once the pipeline has come to its end."""
    records = [(num, *row) for num, rows in numbered for row in rows.records]
    begun = {(num, row[0]): (num, *row) for num, rows in numbered for row in rows.calls}  # once in a statement
    outcomes = [(num, *row) for num, rows in numbered for row in rows.outcomes]
    # by key, because two processes that ask the same in another order would wait for one another
    calls = sorted(begun.values(), key=itemgetter(1))
    outcomes.sort(key=itemgetter(1))
    asked = None
    if records:
        connection.execute(_RECORDS, _columns(records))
    if calls:
        asked = connection.execute(_CALLS, [*_columns(calls), [row[1] for row in calls]], binary=True)
    if outcomes:
        connection.execute(_OUTCOMES, _columns(outcomes))
    return asked


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _known(rows: Iterable[Row]) -> Known:
    known: Known = {}
    for num, key, _, reply, *more in rows:
        if reply is not None:
            known[num, key] = Begun(state="done", reply=reply_of(reply, *more))
        else:
            known.setdefault((num, key), _UNKNOWN)
    return known


def _came(num: int | None, rows: Rows, known: Known) -> Begun | StaleLease | None:
    if num is None:
        assert rows.lease is not None
        return stale(rows.lease)
    if not rows.calls:
        return None
    call = (num, rows.calls[0][0])
    came = known.get(call, _NEW)
    if came.state == "new":
        known[call] = _UNKNOWN  # to whoever asks the same in the same moment
    return came


def settle_lost(connection: Connection, num: int, mark: int, at: float) -> Usage:
    """See `Journal.settle_lost`. `mark` names this settling, should it be done again."""
    connection.execute(_LOST_OF_RUN, (LOST.encode(), mark, at, num))
    sql = f"SELECT {SUMS} FROM outcomes WHERE run = %s AND mark = %s AND reply IS NULL"  # noqa: S608
    return usage(connection.execute(sql, (num, mark)).fetchone())


def settle_leases(connection: Connection, epochs: Sequence[int], mark: int, at: float) -> None:
    """The same, of calls that were begun under leases which are over; in the caller's transaction."""
    connection.execute(_LOST_OF_LEASES, (LOST.encode(), mark, at, list(epochs)))


def forget(connection: Connection, num: int) -> None:
    """Delete a run."""
    for sql in _FORGET:
        connection.execute(sql, (num,))


def erase(connection: Connection, num: int, names: Sequence[tuple[str, bytes]], records: Sequence[Row]) -> None:
    """Delete records of a run, by kind and key, and add others; in the caller's transaction."""
    for kind, key in names:
        connection.execute("DELETE FROM records WHERE run = %s AND kind = %s AND key = %s", (num, kind, key))
    if records:
        connection.execute(_RECORDS, _columns([(num, *row) for row in records]))


def reply_of(reply: bytes, refusal: bytes | None, *counts: Any) -> Completion:
    """A reply as it is kept."""
    return Completion(
        text=from_bytes(reply),
        refusal=None if refusal is None else from_bytes(refusal),
        usage=usage(counts),
    )


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
