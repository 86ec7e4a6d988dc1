"""Bytes by name on a PostgreSQL server: see `swarm.store.blobs`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from swarm.store.postgres_holds import application
from swarm.store.postgres_link import SharedLink

_MOST_BYTES = 16_000_000  # in one statement, but for one that is larger by itself


class PostgresBlobs:
    """See `swarm.store.blobs.Blobs`. On a connection of its own, made when it is first used."""

    def __init__(self, url: str) -> None:
        self._link = SharedLink(url, application("-blobs"))

    def put(self, blobs: Mapping[str, bytes]) -> None:
        sql = "INSERT INTO blobs (name, body) SELECT * FROM unnest(%s::text[], %b::bytea[]) ON CONFLICT DO NOTHING"
        for some in _portions(blobs):
            self._link.rows(sql, (list(some), list(some.values())))

    def get(self, names: Collection[str]) -> dict[str, bytes]:
        rows = self._link.rows("SELECT name, body FROM blobs WHERE name = ANY(%s)", (list(names),))
        return {name: bytes(body) for name, body in rows}

    def missing(self, names: Collection[str]) -> set[str]:
        rows = self._link.rows("SELECT name FROM blobs WHERE name = ANY(%s)", (list(names),))
        return set(names) - {name for (name,) in rows}

    def drop(self, names: Collection[str]) -> None:
        self._link.rows("DELETE FROM blobs WHERE name = ANY(%s)", (list(names),))

    def close(self) -> None:
        self._link.close()


def _portions(blobs: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """As many at once as one statement takes. By name: two who put the same in another order would wait for one
    another."""
    portion: dict[str, bytes] = {}
    size = 0
    for name, body in sorted(blobs.items()):
        if portion and size + len(body) > _MOST_BYTES:
            yield portion
            portion, size = {}, 0
        portion[name] = body
        size += len(body)
    if portion:
        yield portion
