"""The mailbox of runs whose store is on a PostgreSQL server: a table beside the journal.

Whoever holds a run writes to its journal through one connection; what others ask of the run comes through theirs,
into a table of its own, so that nobody has to hold a run to tell it something.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from swarm.errors import StoreError
from swarm.observe.log import get_logger
from swarm.store.mailbox import AT_ONCE, MOST_BYTES, Request, from_bytes, to_bytes
from swarm.store.postgres_holds import application
from swarm.store.postgres_link import Link, translated, upgrade

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

log = get_logger("mailbox")

_RUN = "(SELECT num FROM runs WHERE id = %s)"


class PostgresMailbox:
    """See `swarm.store.mailbox.Mailbox`."""

    def __init__(self, url: str) -> None:
        """Raises:
        StoreError: the server cannot be reached or used.
        """
        self._lock = threading.Lock()
        self._link = Link(url, application("-mail"))
        try:
            upgrade(self._link)
        except BaseException:
            self._link.close()
            raise

    def post(self, run: str, asked: Request) -> None:
        insert = "INSERT INTO requests (id, run, body) SELECT %s, num, %s FROM runs WHERE id = %s"
        self._do(f"{insert} ON CONFLICT DO NOTHING", (asked.id, to_bytes(asked), run))
        if not self.holds(run, asked.id) and not self._known(run):
            raise StoreError(f"the store holds no run {run}: check the id, or name another --store")

    def waiting(self, run: str) -> list[Request]:
        sql = (
            f"SELECT id, substr(body, 1, %s) FROM requests WHERE run = {_RUN} AND NOT aside "  # noqa: S608
            "ORDER BY id LIMIT %s"
        )
        rows = self._rows(sql, (MOST_BYTES + 1, run, AT_ONCE))
        found: list[Request] = []
        for id_, body in rows:
            try:
                found.append(from_bytes(bytes(body), id_))
            except ValueError as error:
                self._do("UPDATE requests SET aside = true WHERE id = %s", (id_,))
                log.warning("set aside what is no request", id=id_, reason=str(error))
        return found

    def holds(self, run: str, id_: str) -> bool:
        sql = f"SELECT 1 FROM requests WHERE id = %s AND run = {_RUN} AND NOT aside"  # noqa: S608
        return bool(self._rows(sql, (id_, run)))

    def remove(self, run: str, id_: str) -> None:
        sql = f"DELETE FROM requests WHERE id = %s AND run = {_RUN}"  # noqa: S608
        self._do(sql, (id_, run))

    def clear(self, run: str) -> None:
        self._do(f"DELETE FROM requests WHERE run = {_RUN}", (run,))  # noqa: S608

    def close(self) -> None:
        self._link.hurry()
        with self._lock:
            self._link.close()

    def _known(self, run: str) -> bool:
        return bool(self._rows("SELECT 1 FROM runs WHERE id = %s", (run,)))

    def _do(self, sql: str, parameters: tuple[Any, ...]) -> None:
        self._run(lambda connection: connection.execute(sql, parameters))

    def _rows(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        return self._run(lambda connection: connection.execute(sql, parameters, binary=True).fetchall())

    def _run(self, work: Callable[[Connection], T]) -> T:
        with self._lock, translated(self._link.url):
            return self._link.run(work)
