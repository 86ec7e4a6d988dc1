"""What is claimed, on a PostgreSQL server: for machines that work slices, and for those that offer them.

What is waiting is one transaction, on a connection and a thread of their own; to renew leases is one statement for
many, on another connection, which waits for none of that. Reads have theirs, and so has each watch.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from swarm.store.claims import Handed, Lease, Standing
from swarm.store.grouped import Grouped
from swarm.store.postgres_asks import (
    Ask,
    Claim,
    HandIn,
    LetGo,
    Offer,
    Offers,
    Withdrawal,
    channel_of,
    do,
    end_stuck,
)
from swarm.store.postgres_holds import application
from swarm.store.postgres_link import PATIENCE_SECONDS, SharedLink, refused
from swarm.store.postgres_rows import portions

if TYPE_CHECKING:
    from psycopg import Connection

_RENEW = (
    "WITH ours AS (SELECT epoch FROM claims WHERE epoch = ANY(%s) AND state = 'claimed' "
    "ORDER BY run, ref FOR NO KEY UPDATE) "
    "UPDATE claims SET until = clock_timestamp() + make_interval(secs => %s) FROM ours "
    "WHERE claims.epoch = ours.epoch RETURNING claims.epoch"
)
_OF_RUN = "FROM claims WHERE run = (SELECT num FROM runs WHERE id = %s)"
_HANDED = f"SELECT ref, epoch, body, outcome {_OF_RUN} AND state = 'handed' AND NOT epoch = ANY(%s) ORDER BY epoch"
_STANDINGS = (
    "SELECT ref, state, coalesce(epoch, 0), holder, "  # noqa: S608
    "coalesce(extract(epoch FROM until - clock_timestamp()), 0)::float8, "
    f"extract(epoch FROM clock_timestamp() - since)::float8 {_OF_RUN} ORDER BY ref"
)


class PostgresClaims:
    """See `swarm.store.claims.Claims`. All times are by the server's clock. A connection is made when it is first
    used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._writing = SharedLink(url, application("-claims"))
        self._renewing = SharedLink(url, application("-leases"))
        self._reading = SharedLink(url, application("-standings"))
        self._writer: Grouped[Ask, Any] = Grouped("swarm-claims", self._write)

    async def offer(self, run: str, offers: Mapping[str, bytes], *, hold: int | None = None) -> None:
        for some in portions([Offer(run=run, ref=ref, body=body) for ref, body in offers.items()]):
            await self._writer.ask(Offers(run=run, offers=some, hold=hold, size=sum(one.size for one in some)))

    async def claim(self, run: str, ref: str, holder: str, seconds: float) -> Lease | None:
        ask = Claim(run=run, ref=ref, holder=holder, seconds=seconds, mark=secrets.randbits(63))
        lease: Lease | None = await self._writer.ask(ask)
        return lease

    def renew(self, leases: Sequence[Lease], seconds: float) -> set[int]:
        rows = self._renewing.rows(_RENEW, ([lease.epoch for lease in leases], seconds))
        return {epoch for (epoch,) in rows}

    async def hand_in(self, lease: Lease, outcome: bytes) -> None:
        await self._writer.ask(HandIn(run=lease.run, lease=lease, outcome=outcome))

    async def let_go(self, lease: Lease) -> None:
        await self._writer.ask(LetGo(run=lease.run, lease=lease))

    def handed(self, run: str, epochs: Sequence[int] = ()) -> list[Handed]:
        return [
            Handed(run=run, ref=ref, epoch=epoch, body=body, outcome=outcome)
            for ref, epoch, body, outcome in self._reading.rows(_HANDED, (run, list(epochs)))
        ]

    async def withdraw(self, run: str, refs: Sequence[str], *, hold: int | None = None) -> None:
        await self._writer.ask(Withdrawal(run=run, refs=tuple(refs), hold=hold))

    def standings(self, run: str) -> list[Standing]:
        return [
            Standing(ref=ref, state=state, epoch=epoch, holder=holder, left=left, since=since)
            for ref, state, epoch, holder, left, since in self._reading.rows(_STANDINGS, (run,))
        ]

    def runs(self) -> list[str]:
        sql = "SELECT id FROM runs WHERE EXISTS (SELECT FROM claims WHERE run = num) ORDER BY num"
        return [id_ for (id_,) in self._reading.rows(sql)]

    @contextmanager
    def watch(self, run: str) -> Iterator[_Watch]:
        watch = _Watch(self._url, channel_of(run))
        try:
            yield watch
        finally:
            watch.close()

    def close(self) -> None:
        """Finish what is waiting, but for a server that is gone."""
        self._writing.hurry()
        self._writer.close()
        for link in (self._writing, self._renewing, self._reading):
            link.close()

    def _write(self, asked: list[Ask]) -> list[Any]:
        """What came of each, in order."""
        return [came for portion in portions(asked) for came in self._done(portion)]

    def _done(self, asked: list[Ask]) -> list[Any]:
        from psycopg import Error
        from psycopg.errors import LockNotAvailable

        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                came: list[Any] = self._writing.attempt(lambda connection: do(connection, asked))
            except Error as error:
                if len(asked) > 1:
                    return [came for ask in asked for came in self._done([ask])]  # one does not spoil the others
                if not isinstance(error, LockNotAvailable) or time.monotonic() > end:
                    return [refused(error, self._url)]
                self._end_stuck(asked)
            else:
                self._end_stuck(
                    [ask for ask, got in zip(asked, came, strict=True) if isinstance(ask, Claim) and got is None]
                )
                return came

    def _end_stuck(self, waiting: Sequence[Ask]) -> None:
        """Somebody may be in the way who is frozen in the middle of writing."""
        if waiting:
            self._writing.run(lambda connection: end_stuck(connection, [ask.run for ask in waiting]))


class _Watch:
    """See `swarm.store.claims.Watch`. Whenever the connection is made, the first time too, something may have been
    told before that nobody heard."""

    def __init__(self, url: str, channel: str) -> None:
        self._channel, self._unheard = channel, False
        self._link = SharedLink(url, application("-watch"), self._listen)

    def _listen(self, connection: Connection) -> None:
        from psycopg.sql import SQL, Identifier

        connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
        self._unheard = True

    def wait(self, seconds: float) -> bool:
        def work(connection: Connection) -> bool:
            if self._unheard:
                self._unheard = False
                return True
            heard = list(connection.notifies(timeout=seconds, stop_after=1))
            return bool(heard + list(connection.notifies(timeout=0) if heard else ()))

        return self._link.run(work)

    def close(self) -> None:
        self._link.close()
