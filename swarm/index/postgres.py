"""An index on a PostgreSQL server: full text, and vectors with pgvector where texts are embedded.

The words of a text are stemmed here, as everywhere in Swarm, and kept as a `tsvector` under a GIN index, each with
the number of its space in front: so a search reads nothing of other spaces, and no text is ever parsed by the
server. Vectors are under an HNSW index, which is approximate; both rankings are fused. This module does not know
what is indexed, nor how the tables are made (`swarm/index/postgres_tables.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from swarm.index.base import (
    Closing,
    Embed,
    Entry,
    Hit,
    clean,
    last_of_each,
    made_by,
    other_vectors,
    said,
    vectors_of,
)
from swarm.index.fused import fused
from swarm.index.postgres_tables import Tables, kind_of
from swarm.index.words import LOOKED_CHARS, POSTINGS, Counts, ranked
from swarm.store.journal import from_bytes, to_bytes
from swarm.terms import STOP, WORD, spaced, stem, terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection

_BATCH = 256  # entries in one transaction
_DEEP = 4  # times as many as are wanted are taken of each ranking
_LONGEST_WORD = 200  # characters; a lexeme takes 2,046 bytes, and no text says more by a longer one
_BYTES_OF_A_TEXT = 1_000_000  # of its distinct words: a tsvector takes a megabyte


class PostgresIndex(Closing):
    """An index in the database at `url`, in the schema named, which is made on first use. With `embed`, texts are
    found by their meaning too: that needs the extension `vector` on the server. The user needs the right to create
    the schema and, once, the extension. PostgreSQL 14 or later; the extra is `pgvector`.

    Raises:
        UsageError: the schema's name is none, or the address; and, of any of its methods, see `Index`.
    """

    def __init__(self, url: str, *, embed: Embed | None = None, schema: str = "swarm_index") -> None:
        self._embed = embed
        self._tables = Tables(url, schema, vectors=embed is not None)
        self.name = self._tables.name

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        entries = last_of_each(items)
        for start in range(0, len(entries), _BATCH):
            await asyncio.to_thread(self._add, space, entries[start : start + _BATCH])

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        keys = [to_bytes(id_) for id_ in dict.fromkeys(ids)]

        def remove(connection: Connection) -> None:
            with connection.transaction():
                if (found := self._tables.space(connection, space, lock=True)) is not None:
                    self._delete(connection, found.num, keys)

        if keys:
            await asyncio.to_thread(self._tables.run, remove)

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        return await asyncio.to_thread(self._search, space, query, limit) if limit > 0 else []

    async def clear(self, space: str) -> None:
        def clear(connection: Connection) -> None:
            with connection.transaction():
                if (found := self._tables.space(connection, space, lock=True)) is not None:
                    for table, column in (("entries", "space"), ("spaces", "num")):
                        sql = f"DELETE FROM {{schema}}.{table} WHERE {column} = %s"  # noqa: S608
                        self._tables.execute(connection, sql, (found.num,))

        await asyncio.to_thread(self._tables.run, clear)

    async def close(self) -> None:
        await asyncio.to_thread(self._tables.close)

    # Inside; all of it blocks

    def _add(self, space: str, entries: Sequence[Entry]) -> None:
        vectors = vectors_of(self._embed, [said(entry) for entry in entries])
        embedding = made_by(self._embed, vectors)
        if embedding is not None:
            self._tables.hold_vectors(embedding)
        rows = [(to_bytes(one.id), spaced(clean(one.text)), spaced(clean(one.context))) for one in entries]

        def add(connection: Connection) -> None:
            with connection.transaction():
                num, at = self._tables.begun(connection, space, embedding, len(rows))
                self._delete(connection, num, [id_ for id_, *_ in rows])
                self._insert(connection, num, at, rows)
                if embedding is not None:
                    self._insert_vectors(connection, num, at, embedding, vectors)

        self._tables.run(add)

    def _insert(self, connection: Connection, num: int, at: int, rows: Sequence[tuple[bytes, str, str]]) -> None:
        sql = (
            "INSERT INTO {schema}.entries (num, space, id, text, context, words) "
            "VALUES (%s, %s, %s, %s, %s, array_to_tsvector(%s))"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                self._tables.sql(sql),
                [
                    (number, num, id_, text, context, _lexemes(num, [*terms(text), *terms(context)]))
                    for number, (id_, text, context) in enumerate(rows, start=at)
                ],
            )
        sql = "UPDATE {schema}.spaces SET entries = entries + %s, chars = chars + %s WHERE num = %s"
        self._tables.execute(connection, sql, (len(rows), sum(len(text) for _, text, _ in rows), num))

    def _insert_vectors(
        self,
        connection: Connection,
        num: int,
        at: int,
        embedding: str,
        vectors: Sequence[NDArray[np.float32] | None],
    ) -> None:
        kind = kind_of(embedding)
        pairs = [
            (number, num, kind.value(vector))
            for number, vector in enumerate(vectors, start=at)
            if vector is not None
        ]
        with connection.cursor() as cursor:
            sql = "INSERT INTO {schema}.{table} (num, space, vector) VALUES (%s, %s, %s)"
            cursor.executemany(self._tables.sql(sql, table=kind.table), pairs)

    def _delete(self, connection: Connection, num: int, keys: Sequence[bytes]) -> None:
        sql = (
            "WITH gone AS (DELETE FROM {schema}.entries WHERE space = %s "
            "AND sha256(id) IN (SELECT sha256(one) FROM unnest(%s::bytea[]) AS one) RETURNING text) "
            "UPDATE {schema}.spaces SET entries = entries - (SELECT count(*) FROM gone), "
            "chars = chars - (SELECT coalesce(sum(length(text)), 0) FROM gone) WHERE num = %s"
        )
        self._tables.execute(connection, sql, (num, list(keys), num))

    def _search(self, space: str, query: str, limit: int) -> list[Hit]:
        vectors = vectors_of(self._embed, [query] if query.strip() else [])
        embedding = made_by(self._embed, vectors)

        def search(connection: Connection) -> list[Hit]:
            held = self._tables.space(connection, space)
            if held is None:
                return []
            words = _Words(self._tables, connection, held.num, held.next)
            counts = Counts(entries=held.entries, mean_chars=held.chars / max(1, held.entries))
            deep = limit if embedding is None else _DEEP * limit
            found = ranked(words, counts, _telling(query), terms, deep)
            if embedding is not None and held.embedding is not None:
                if embedding != held.embedding:
                    raise other_vectors(held.embedding, embedding)
                near = [words.near(vector, embedding, deep) for vector in vectors if vector is not None]
                found = fused([[num for num, _ in found], *near])
            ids = words.ids([num for num, _ in found[:limit]])
            return [Hit(ids[num], score) for num, score in found[:limit] if num in ids]

        return self._tables.run(search)


class _Words:
    """One space, while a search lasts."""

    def __init__(self, tables: Tables, connection: Connection, num: int, next_: int) -> None:
        self._read: Callable[..., list[Any]] = lambda sql, parameters, **names: tables.execute(
            connection, sql, parameters, **names
        ).fetchall()
        self._num, self._next = num, next_

    def extent(self) -> tuple[int, int]:
        return self._num << 32, (self._num << 32) + self._next

    def holding(self, words: Sequence[str]) -> list[int]:
        query = " & ".join(_quoted(lexeme) for lexeme in _lexemes(self._num, words))
        sql = "SELECT num FROM {schema}.entries WHERE words @@ %s::tsquery ORDER BY num LIMIT %s"
        return [num for (num,) in self._read(sql, (query, POSTINGS))] if query else []

    def texts(self, nums: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        sql = "SELECT num, left(text, %s), left(context, %s) FROM {schema}.entries WHERE num = ANY(%s)"
        rows = self._read(sql, (LOOKED_CHARS, LOOKED_CHARS, list(nums)))
        return {num: (text, context) for num, text, context in rows}

    def near(self, vector: NDArray[np.float32], embedding: str, limit: int) -> list[int]:
        kind = kind_of(embedding)
        sql = "SELECT num FROM {schema}.{table} WHERE space = %s ORDER BY vector <=> %s LIMIT %s"
        parameters = (self._num, kind.value(vector), limit)
        return [num for (num,) in self._read(sql, parameters, table=kind.table)]

    def ids(self, nums: Sequence[int]) -> dict[int, str]:
        sql = "SELECT num, id FROM {schema}.entries WHERE num = ANY(%s)"
        return {num: from_bytes(bytes(id_)) for num, id_ in self._read(sql, (list(nums),))}


def _telling(query: str) -> dict[str, str]:
    """The words of a query that tell one text from another, by their stems; all of them where none does."""
    words = WORD.findall(spaced(clean(query)))
    stems = (stem(word) for word in [word for word in words if word.lower() not in STOP] or words)
    return {one: one for one in stems if one}


def _lexemes(space: int, stems: Sequence[str]) -> list[str]:
    """Words as they are kept: with the number of their space."""
    distinct = dict.fromkeys(f"{space}:{one[:_LONGEST_WORD]}" for one in stems if one)
    sizes = accumulate(len(one.encode()) for one in distinct)
    return [one for one, size in zip(distinct, sizes, strict=True) if size <= _BYTES_OF_A_TEXT]


def _quoted(lexeme: str) -> str:
    """One word as the server reads it in a query: nothing in it is taken for an operator."""
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
