"""What is asked of the claims on a PostgreSQL server, in statements: many askings in one transaction, and each
such that it comes to the same when it is sent again, because nobody knows whether a commit was done when a
connection broke.

A lease that is over is replaced by changing its epoch, which is in a unique index: that waits for everybody who is
writing under it (`postgres_rows.insert` locks the row FOR KEY SHARE), and nobody writes under it after that. Rows
are locked in one order, and a slice that is locked is taken for one whose lease lasts. This module knows the
tables; it does not know when it is asked.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swarm.errors import StoreInUse
from swarm.store.claims import Lease, stale
from swarm.store.postgres_link import lock_number
from swarm.store.postgres_rows import settle_leases, sign, writers_of

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

STUCK_SECONDS = 10.0
"""After which a transaction that waits for its process is ended, where it is in the way: the process is frozen."""
_LOCKED = "SET LOCAL lock_timeout = 5000"
# held up by this, whoever takes over finds what was done here; and who comes later finds that it was taken over
_HOLDS = "SELECT id, epoch FROM runs WHERE id = ANY(%s) ORDER BY id FOR SHARE"
_RUNS = (
    "INSERT INTO runs (id) SELECT DISTINCT id FROM unnest(%s::text[]) AS new (id) "
    "WHERE NOT EXISTS (SELECT FROM runs WHERE runs.id = new.id) ORDER BY id ON CONFLICT DO NOTHING"
)
_OFFER = (
    "INSERT INTO claims (run, ref, state, since, body) SELECT num, ref, 'offered', clock_timestamp(), body "
    "FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS new (id, ref, body) JOIN runs USING (id) "
    "ORDER BY num, ref ON CONFLICT DO NOTHING"
)
_CLAIM = (
    "WITH wanted AS (SELECT num, new.* FROM "
    "unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::bigint[]) WITH ORDINALITY "
    "AS new (id, ref, holder, seconds, mark, n) JOIN runs USING (id)), "
    "free AS (SELECT claims.run, claims.ref, claims.epoch AS old, claims.mark = wanted.mark AS again, "
    "wanted.holder, wanted.seconds, wanted.mark, wanted.n "
    "FROM claims JOIN wanted ON claims.run = num AND claims.ref = wanted.ref "
    "WHERE state = 'offered' OR state = 'claimed' AND (until <= clock_timestamp() OR claims.mark = wanted.mark) "
    "ORDER BY claims.run, claims.ref FOR UPDATE OF claims SKIP LOCKED) "
    "UPDATE claims SET state = 'claimed', holder = free.holder, mark = free.mark, since = clock_timestamp(), "
    "epoch = CASE WHEN again THEN claims.epoch ELSE nextval('epochs') END, "
    "until = clock_timestamp() + make_interval(secs => seconds) "
    "FROM free WHERE claims.run = free.run AND claims.ref = free.ref "
    "RETURNING n, claims.epoch, claims.body, CASE WHEN again THEN NULL ELSE old END"
)
_HAND_IN = (
    "WITH mine AS (SELECT claims.epoch, came FROM claims "
    "JOIN unnest(%s::bigint[], %s::bytea[]) AS new (epoch, came) ON claims.epoch = new.epoch "
    "WHERE state = 'claimed' AND until > clock_timestamp() ORDER BY run, ref FOR UPDATE OF claims) "
    "UPDATE claims SET state = 'handed', outcome = came, since = clock_timestamp() FROM mine "
    "WHERE claims.epoch = mine.epoch"
)
_HANDED = "SELECT epoch FROM claims WHERE epoch = ANY(%s) AND state = 'handed'"
_LET_GO = (
    "WITH mine AS (SELECT epoch AS old FROM claims WHERE epoch = ANY(%s) AND state = 'claimed' "
    "ORDER BY run, ref FOR UPDATE) "
    "UPDATE claims SET state = 'offered', epoch = NULL, mark = NULL, until = NULL, since = clock_timestamp() "
    "FROM mine WHERE epoch = old"
)
_WITHDRAW = (
    "WITH gone AS (SELECT claims.run, claims.ref FROM unnest(%s::text[], %s::text[]) AS given (id, name) "
    "JOIN runs USING (id) JOIN claims ON claims.run = num AND claims.ref = name "
    "ORDER BY claims.run, claims.ref FOR UPDATE OF claims) "
    "DELETE FROM claims USING gone WHERE claims.run = gone.run AND claims.ref = gone.ref RETURNING claims.epoch"
)
_NOTIFY = "SELECT pg_notify(channel, '') FROM unnest(%s::text[]) AS told (channel)"
_STUCK = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid <> pg_backend_pid() "
    "AND (classid::bigint << 32) | objid::bigint = ANY(%s) "
    "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND wait_event_type = 'Client' AND xact_start < clock_timestamp() - make_interval(secs => %s)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    run: str
    ref: str
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body)


@dataclass(frozen=True, kw_only=True, slots=True)
class Offers:
    """Slices of one run, as many as one statement takes."""

    run: str
    offers: Sequence[Offer]
    hold: int | None
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """`mark` names this asking, should it be sent again."""

    run: str
    ref: str
    holder: str
    seconds: float
    mark: int
    size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class HandIn:
    run: str
    lease: Lease
    outcome: bytes

    @property
    def size(self) -> int:
        return len(self.outcome)


@dataclass(frozen=True, kw_only=True, slots=True)
class LetGo:
    run: str
    lease: Lease
    size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    run: str
    refs: Sequence[str]
    hold: int | None
    size: int = 0


Ask = Offers | Claim | HandIn | LetGo | Withdrawal


def do(connection: Connection, asked: Sequence[Ask]) -> list[Any]:
    """What came of each: a lease where one was claimed, an error where one, or a hold, was over, else None."""
    claims = [ask for ask in asked if isinstance(ask, Claim)]
    handed_in = [ask for ask in asked if isinstance(ask, HandIn)]
    with connection.pipeline():
        with connection.transaction():
            connection.execute(_LOCKED)
            sign(connection, (ask.run for ask in asked))
            holds = _holds(connection, asked)
            _offer(connection, [ask for ask in asked if isinstance(ask, Offers) and _holding(ask, holds)])
            claimed = _claim(connection, claims)
            handed = _hand_in(connection, handed_in)
            over = _let_go(connection, [ask for ask in asked if isinstance(ask, LetGo)])
            ours = [ask for ask in asked if isinstance(ask, Withdrawal) and _holding(ask, holds)]
            over += _withdraw(connection, ours)
            leases = {claims[n - 1].mark: (epoch, body) for n, epoch, body, _ in claimed}
            over += [old for *_, old in claimed if old is not None]
            if over:
                settle_leases(connection, over, secrets.randbits(63), time.time())
        if handed_in:  # after the commit, which would else wait for everybody's who tells something
            connection.execute(_NOTIFY, (sorted({channel_of(ask.run) for ask in handed_in}),))
    taken = {epoch for (epoch,) in handed.fetchall()} if handed is not None else set()
    return [_came(ask, leases, taken, holds) for ask in asked]


def _holds(connection: Connection, asked: Sequence[Ask]) -> dict[str, int]:
    """How often each run was taken by now, where somebody who coordinates it asks for something."""
    runs = {ask.run for ask in asked if isinstance(ask, Offers | Withdrawal) and ask.hold is not None}
    return dict(connection.execute(_HOLDS, (list(runs),)).fetchall()) if runs else {}


def _holding(ask: Offers | Withdrawal, holds: dict[str, int]) -> bool:
    return ask.hold is None or holds.get(ask.run) == ask.hold


def _came(ask: Ask, leases: dict[int, tuple[int, bytes]], taken: set[int], holds: dict[str, int]) -> Any:
    if isinstance(ask, Offers | Withdrawal) and not _holding(ask, holds):
        return StoreInUse(
            f"run {ask.run} was taken over by another process: nothing more is written here; see to that process"
        )
    if isinstance(ask, HandIn):
        return None if ask.lease.epoch in taken else stale(ask.lease)
    if isinstance(ask, Claim) and ask.mark in leases:
        epoch, body = leases[ask.mark]
        return Lease(run=ask.run, ref=ask.ref, epoch=epoch, body=body)
    return None


def _offer(connection: Connection, several: Sequence[Offers]) -> None:
    if several:
        connection.execute(_RUNS, ([ask.run for ask in several],))
        connection.execute(
            _OFFER, _columns([(one.run, one.ref, one.body) for ask in several for one in ask.offers], 3)
        )


def _claim(connection: Connection, claims: Sequence[Claim]) -> list[tuple[Any, ...]]:
    if not claims:
        return []
    rows = [(ask.run, ask.ref, ask.holder, ask.seconds, ask.mark) for ask in claims]
    return connection.execute(_CLAIM, _columns(rows, 5), binary=True).fetchall()


def _hand_in(connection: Connection, several: Sequence[HandIn]) -> Cursor | None:
    """What tells of those that were handed in, once the pipeline has come to its end."""
    if not several:
        return None
    connection.execute(_HAND_IN, _columns([(ask.lease.epoch, ask.outcome) for ask in several], 2))
    return connection.execute(_HANDED, ([ask.lease.epoch for ask in several],))


def _let_go(connection: Connection, several: Sequence[LetGo]) -> list[int]:
    """The epochs of leases that are over by now, or were before: then their calls are settled."""
    epochs = [ask.lease.epoch for ask in several]
    if epochs:
        connection.execute(_LET_GO, (epochs,))
    return epochs


def _withdraw(connection: Connection, several: Sequence[Withdrawal]) -> list[int]:
    rows = [(ask.run, ref) for ask in several for ref in ask.refs]
    if not rows:
        return []
    return [epoch for (epoch,) in connection.execute(_WITHDRAW, _columns(rows, 2)).fetchall() if epoch is not None]


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(count)]


def channel_of(run: str) -> str:
    """Where it is told that something was handed in for a run."""
    return f"swarm_{lock_number(f'swarm:handed:{run}') & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def end_stuck(connection: Connection, runs: Sequence[str]) -> None:
    """End the transactions that add to these runs and have waited for their process for long."""
    connection.execute(_STUCK, (sorted(writers_of(run) for run in set(runs)), STUCK_SECONDS))
