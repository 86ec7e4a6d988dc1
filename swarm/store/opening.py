"""Opening a store by the name that a user gives it: a file, or the URL of a PostgreSQL database.

In a file everything is together. With PostgreSQL the journal is there, and what can be made again from it and from
the sources (their text and index, the graphs) is in a file on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any

from swarm.errors import StoreInUse, UsageError
from swarm.observe.log import redact_text
from swarm.store.blobs import Blobs
from swarm.store.claims import Claims
from swarm.store.database import Database
from swarm.store.journal import Journal
from swarm.store.machines import Machines
from swarm.store.mailbox import FileMailbox, Mailbox
from swarm.store.shares import Shares
from swarm.store.sqlite import SqliteJournal

DEFAULT_STORE = Path(".swarm/swarm.db")
"""Under the current folder."""

_SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Store:
    """An open store: the journal, and the file with all that can be made again. What machines share is opened when
    it is first asked for, and closed with the store."""

    journal: Journal
    database: Database
    url: str | None = None
    """Of the server, where the store is on one."""

    @cached_property
    def claims(self) -> Claims:
        if self.url is None:
            from swarm.store.sqlite_claims import SqliteClaims

            return SqliteClaims(self.database)
        from swarm.store.postgres_claims import PostgresClaims

        return PostgresClaims(self.url)

    @cached_property
    def blobs(self) -> Blobs:
        if self.url is None:
            from swarm.store.sqlite_blobs import SqliteBlobs

            return SqliteBlobs(self.database)
        from swarm.store.postgres_blobs import PostgresBlobs

        return PostgresBlobs(self.url)

    @cached_property
    def machines(self) -> Machines:
        if self.url is None:
            from swarm.store.sqlite_machines import SqliteMachines

            return SqliteMachines(self.database)
        from swarm.store.postgres_machines import PostgresMachines

        return PostgresMachines(self.url)

    @cached_property
    def shares(self) -> Shares:
        """Raises:
        UsageError: the store is a file.
        """
        if self.url is None:
            raise UsageError("limits are shared over a store on PostgreSQL: a file has one process")
        from swarm.store.postgres_shares import PostgresShares

        return PostgresShares(self.url)

    def close(self) -> None:
        """Safe to call twice."""
        for shared in ("claims", "blobs", "machines", "shares"):
            if shared in vars(self):
                vars(self)[shared].close()
        self.journal.close()
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def open_store(where: str | Path | None = None, *, read_only: bool = False) -> Store:
    """Open a store, and make it where it is not there yet. One that is opened to be read only may be at work in
    another process.

    Raises:
        StoreError: it is in use, from a newer version, no store, cannot be reached or written, or, where it is to
            be read only, not there.
    """
    where = where or DEFAULT_STORE
    if not is_url(where):
        path = Path(where)
        database = Database.look(path) if read_only else Database.open(path)
        return Store(SqliteJournal(database), database)
    from swarm.store.postgres import PostgresJournal

    database = _beside(str(where))
    try:
        return Store(PostgresJournal.open(str(where), database), database, str(where))
    except BaseException:
        database.close()
        raise


def open_mailbox(where: str | Path | None = None) -> Mailbox:
    """The way to tell a run of this store something, whoever is at it.

    Raises:
        StoreError: it is on a server that cannot be reached or used.
    """
    where = where or DEFAULT_STORE
    if not is_url(where):
        return FileMailbox(Path(where))
    from swarm.store.postgres_mailbox import PostgresMailbox

    return PostgresMailbox(str(where))


def is_url(where: str | Path) -> bool:
    return str(where).startswith(_SCHEMES)


def _beside(url: str) -> Database:
    """The file on this machine that goes with a PostgreSQL store: the first that no other process has open."""
    name = blake2b(shown(url).encode(), digest_size=6).hexdigest()  # a new password is no new database
    for number in count(1):
        try:
            return Database.open(DEFAULT_STORE.parent / f"beside-{name}-{number}.db", wait_seconds=0)
        except StoreInUse:
            continue
    raise AssertionError


def shown(where: str | Path | None) -> str:
    """The name of a store as it may be shown: a user's name may, a password may not."""
    where = str(where or DEFAULT_STORE)
    if not is_url(where):
        return redact_text(where)
    from swarm.store.postgres_link import shown as without_password

    return without_password(where)
