"""Bytes by name in the store's own file: see `swarm.store.blobs`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import apsw

from swarm.store.database import Database


class SqliteBlobs:
    """See `swarm.store.blobs.Blobs`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, blobs: Mapping[str, bytes]) -> None:
        rows = list(blobs.items())

        def insert(connection: apsw.Connection) -> None:
            connection.executemany("INSERT INTO blobs (name, body) VALUES (?, ?) ON CONFLICT DO NOTHING", rows)

        self._database.write_sync(insert)

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        of_them = "WHERE name IN (SELECT value FROM json_each(?))"
        return dict(self._database.read(f"SELECT name, body FROM blobs {of_them}", (json.dumps(list(names)),)))  # noqa: S608

    def missing(self, names: Collection[str]) -> set[str]:
        of_them = "WHERE name IN (SELECT value FROM json_each(?))"
        there = self._database.read(f"SELECT name FROM blobs {of_them}", (json.dumps(list(names)),))  # noqa: S608
        return set(names) - {name for (name,) in there}

    def drop(self, names: Collection[str]) -> None:
        gone = [(name,) for name in names]
        self._database.write_sync(
            lambda connection: connection.executemany("DELETE FROM blobs WHERE name = ?", gone) and None
        )

    def close(self) -> None:
        """The database belongs to whoever opened it."""
