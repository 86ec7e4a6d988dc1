"""Which machines work for a store on a PostgreSQL server: a row each, written in one statement every few seconds.

Through a connection of its own, so that a worker whose journal is busy is still seen to live.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from swarm.store.machines import GONE_SECONDS, Machine, Seen, from_json, to_json
from swarm.store.postgres_holds import application
from swarm.store.postgres_link import Link, translated, upgrade

_BEAT = (
    "INSERT INTO machines (id, host, first, seen, asked, body) "
    "VALUES (%s, %s, clock_timestamp(), clock_timestamp(), false, %s) "
    "ON CONFLICT (id) DO UPDATE SET host = excluded.host, seen = excluded.seen, body = excluded.body "
    "RETURNING asked"
)
_RECENT = "seen > clock_timestamp() - make_interval(secs => %s)"
_SEEN = (
    "SELECT body, asked, extract(epoch FROM clock_timestamp() - seen)::double precision "  # noqa: S608
    f"FROM machines WHERE {_RECENT} ORDER BY first, id"
)
_DRAIN = (
    f"UPDATE machines SET asked = true WHERE {_RECENT} "  # noqa: S608
    "AND (%s OR id = ANY(%s::text[]) OR host = ANY(%s::text[])) RETURNING id"
)
_LEAVE = f"DELETE FROM machines WHERE id = %s OR NOT ({_RECENT})"  # noqa: S608


class PostgresMachines:
    """See `swarm.store.machines.Machines`. Ages are by the server's clock."""

    def __init__(self, url: str) -> None:
        """Raises:
        StoreError: the server cannot be reached or used.
        """
        self._lock = threading.Lock()
        self._link = Link(url, application("-machines"))
        try:
            upgrade(self._link)
        except BaseException:
            self._link.close()
            raise

    def beat(self, machine: Machine) -> bool:
        rows = self._rows(_BEAT, (machine.id, machine.host, to_json(machine).encode()))
        return bool(rows[0][0])

    def leave(self, id_: str) -> None:
        self._rows(_LEAVE, (id_, GONE_SECONDS))

    def seen(self) -> list[Seen]:
        rows = self._rows(_SEEN, (GONE_SECONDS,))
        return [from_json(bytes(body), asked=asked, ago=ago) for body, asked, ago in rows]

    def drain(self, names: Sequence[str]) -> list[str]:
        wanted = list(names)
        return sorted(id_ for (id_,) in self._rows(_DRAIN, (GONE_SECONDS, not wanted, wanted, wanted)))

    def close(self) -> None:
        self._link.hurry()
        with self._lock:
            self._link.close()

    def _rows(self, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
        """In one statement, which comes to the same when it is done twice."""

        def run(connection: Any) -> list[Any]:
            cursor = connection.execute(sql, parameters, binary=True)
            return cursor.fetchall() if cursor.description else []

        with self._lock, translated(self._link.url):
            return self._link.run(run)
