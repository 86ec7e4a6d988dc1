"""Which machines work for a store that is a file: those of the one process that has it open."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import apsw

from swarm.store.database import Database
from swarm.store.machines import GONE_SECONDS, Machine, Seen, from_json, to_json

_BEAT = (
    "INSERT INTO machines (id, host, first, seen, asked, body) VALUES (?1, ?2, ?3, ?3, 0, ?4) "
    "ON CONFLICT (id) DO UPDATE SET host = excluded.host, seen = excluded.seen, body = excluded.body "
    "RETURNING asked"
)
_DRAIN = (
    "UPDATE machines SET asked = 1 WHERE seen > ?1 AND "
    "(?2 = '[]' OR id IN (SELECT value FROM json_each(?2)) OR host IN (SELECT value FROM json_each(?2))) "
    "RETURNING id"
)


class SqliteMachines:
    """See `swarm.store.machines.Machines`. `clock` gives seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def beat(self, machine: Machine) -> bool:
        told = (machine.id, machine.host, self._clock(), to_json(machine))

        def change(connection: apsw.Connection) -> bool:
            return bool(connection.execute(_BEAT, told).get)

        return self._database.write_sync(change)

    def leave(self, id_: str) -> None:
        parameters = (id_, self._clock() - GONE_SECONDS)
        sql = "DELETE FROM machines WHERE id = ? OR seen <= ?"
        self._database.write_sync(lambda connection: connection.execute(sql, parameters).fetchall())

    def seen(self) -> list[Seen]:
        now = self._clock()
        sql = "SELECT body, asked, ? - seen FROM machines WHERE seen > ? ORDER BY first, id"
        rows = self._database.read(sql, (now, now - GONE_SECONDS))
        return [from_json(body, asked=bool(asked), ago=ago) for body, asked, ago in rows]

    def drain(self, names: Sequence[str]) -> list[str]:
        parameters = (self._clock() - GONE_SECONDS, json.dumps(list(names)))
        rows = self._database.write_sync(lambda connection: connection.execute(_DRAIN, parameters).fetchall())
        return sorted(str(id_) for (id_,) in rows)

    def close(self) -> None:
        """The file is closed by whoever opened it."""
