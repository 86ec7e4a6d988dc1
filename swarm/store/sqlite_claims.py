"""What is claimed, in the store's own file: for one process, which has it open. See `swarm.store.claims`."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import apsw

from swarm.store.claims import Handed, Lease, Standing, stale
from swarm.store.database import Database
from swarm.store.sqlite_rows import number_of, settle_leases

_OF_RUN = "run = (SELECT num FROM runs WHERE id = ?)"


class SqliteClaims:
    """See `swarm.store.claims.Claims`. `clock` gives seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        self._watches: dict[str, set[_Watch]] = {}
        self._watching = threading.Lock()

    async def offer(self, run: str, offers: Mapping[str, bytes], *, hold: int | None = None) -> None:  # noqa: ARG002
        since = self._clock()

        def insert(connection: apsw.Connection) -> None:
            num = number_of(connection, run)
            connection.executemany(
                "INSERT INTO claims (run, ref, state, since, body) VALUES (?, ?, 'offered', ?, ?) "
                "ON CONFLICT DO NOTHING",
                [(num, ref, since, body) for ref, body in offers.items()],
            )

        await self._database.write(insert)

    async def claim(self, run: str, ref: str, holder: str, seconds: float) -> Lease | None:
        def take(connection: apsw.Connection) -> Lease | None:
            now = self._clock()
            free: list[Any] = connection.execute(
                f"SELECT run, epoch, body FROM claims WHERE {_OF_RUN} AND ref = ? "  # noqa: S608
                "AND (state = 'offered' OR state = 'claimed' AND until <= ?)",
                (run, ref, now),
            ).fetchall()
            for num, before, body in free:
                connection.execute("UPDATE epochs SET last = last + 1")
                epoch = int(connection.execute("SELECT last FROM epochs").get)
                connection.execute(
                    "UPDATE claims SET state = 'claimed', epoch = ?, holder = ?, until = ?, since = ? "
                    "WHERE run = ? AND ref = ?",
                    (epoch, holder, now + seconds, now, num, ref),
                )
                settle_leases(connection, [] if before is None else [before], now)
                return Lease(run=run, ref=ref, epoch=epoch, body=body)
            return None

        return await self._database.write(take)

    def renew(self, leases: Sequence[Lease], seconds: float) -> set[int]:
        epochs = json.dumps([lease.epoch for lease in leases])

        def last(connection: apsw.Connection) -> set[int]:
            sql = (
                "UPDATE claims SET until = ? WHERE state = 'claimed' "
                "AND epoch IN (SELECT value FROM json_each(?)) RETURNING epoch"
            )
            renewed: list[Any] = connection.execute(sql, (self._clock() + seconds, epochs)).fetchall()
            return {epoch for (epoch,) in renewed}

        return self._database.write_sync(last)

    async def hand_in(self, lease: Lease, outcome: bytes) -> None:
        def take(connection: apsw.Connection) -> None:
            now = self._clock()
            connection.execute(
                "UPDATE claims SET state = 'handed', outcome = ?, since = ? "
                "WHERE epoch = ? AND state = 'claimed' AND until > ?",
                (outcome, now, lease.epoch, now),
            )
            handed = "SELECT 1 FROM claims WHERE epoch = ? AND state = 'handed'"  # by now, or before
            if not connection.changes() and connection.execute(handed, (lease.epoch,)).get is None:
                raise stale(lease)

        await self._database.write(take)
        with self._watching:
            for watch in self._watches.get(lease.run, ()):
                watch.handed.set()

    async def let_go(self, lease: Lease) -> None:
        def offer(connection: apsw.Connection) -> None:
            now = self._clock()
            connection.execute(
                "UPDATE claims SET state = 'offered', epoch = NULL, until = 0, since = ? "
                "WHERE epoch = ? AND state = 'claimed'",
                (now, lease.epoch),
            )
            if connection.changes():
                settle_leases(connection, [lease.epoch], now)

        await self._database.write(offer)

    def handed(self, run: str, epochs: Sequence[int] = ()) -> list[Handed]:
        rows = self._database.read(
            f"SELECT ref, epoch, body, outcome FROM claims WHERE {_OF_RUN} AND state = 'handed' "  # noqa: S608
            "AND epoch NOT IN (SELECT value FROM json_each(?)) ORDER BY epoch",
            (run, json.dumps(list(epochs))),
        )
        return [
            Handed(run=run, ref=ref, epoch=epoch, body=body, outcome=outcome) for ref, epoch, body, outcome in rows
        ]

    async def withdraw(self, run: str, refs: Sequence[str], *, hold: int | None = None) -> None:  # noqa: ARG002
        names = json.dumps(list(refs))

        def delete(connection: apsw.Connection) -> None:
            gone: list[Any] = connection.execute(
                f"DELETE FROM claims WHERE {_OF_RUN} AND ref IN (SELECT value FROM json_each(?)) "  # noqa: S608
                "RETURNING epoch",
                (run, names),
            ).fetchall()
            settle_leases(connection, [epoch for (epoch,) in gone if epoch is not None], self._clock())

        await self._database.write(delete)

    def standings(self, run: str) -> list[Standing]:
        sql = f"SELECT ref, state, epoch, holder, until, since FROM claims WHERE {_OF_RUN} ORDER BY ref"  # noqa: S608
        now = self._clock()
        return [
            Standing(
                ref=ref, state=state, epoch=epoch or 0, holder=holder, since=now - since,
                left=0.0 if epoch is None else until - now,
            )
            for ref, state, epoch, holder, until, since in self._database.read(sql, (run,))
        ]  # fmt: skip

    def runs(self) -> list[str]:
        sql = "SELECT id FROM runs WHERE num IN (SELECT run FROM claims) ORDER BY num"
        return [run for (run,) in self._database.read(sql)]

    @contextmanager
    def watch(self, run: str) -> Iterator[_Watch]:
        watch = _Watch()
        with self._watching:
            self._watches.setdefault(run, set()).add(watch)
        try:
            yield watch
        finally:
            with self._watching:
                self._watches[run].discard(watch)
                if not self._watches[run]:
                    del self._watches[run]

    def close(self) -> None:
        """The database belongs to whoever opened it. Who waits, waits no longer."""
        with self._watching:
            for watches in self._watches.values():
                for watch in watches:
                    watch.handed.set()


class _Watch:
    """See `swarm.store.claims.Watch`."""

    def __init__(self) -> None:
        self.handed = threading.Event()

    def wait(self, seconds: float) -> bool:
        was = self.handed.wait(seconds)
        self.handed.clear()
        return was
