"""An index in the store's file: full text, and vectors beside it where texts are embedded.

What is added is written by the store, in its transactions. Reading goes through a connection of its own, so that a
long search holds nobody up. Words of a query are cut as the index cuts texts, and each is asked for alone: nothing
of a query is an expression to the full-text engine. Vectors are compared with all of their space (sqlite-vec), so
that what they find is exact; both rankings are fused. This module does not know what is indexed.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from swarm.errors import StoreError, UsageError
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
from swarm.index.words import LOOKED_CHARS, POSTINGS, Counts, ranked
from swarm.observe.log import told
from swarm.store.journal import from_bytes, to_bytes
from swarm.store.opening import shown
from swarm.store.shared import Opened, leave, take
from swarm.terms import STOP, spaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 256  # entries in one transaction: others write in between
_DEEP = 4  # times as many as are wanted are taken of each ranking
_PORTER, _PLAIN = ("porter", "unicode61", "remove_diacritics", "2"), ("unicode61", "remove_diacritics", "2")
_CACHE_KB = 16_000


class SqliteIndex(Closing):
    """An index in a store's file, by default `.swarm/swarm.db` under the current folder. With `embed`, which needs
    the extra `vectors`, texts are found by their meaning too. It has the store open until it is closed; memories
    and runs of this process share it.

    Raises (any of its methods):
        StoreError: the store cannot be used.
        UsageError: see `Index`.
    """

    def __init__(self, store: Path | str | None = None, *, embed: Embed | None = None) -> None:
        self._where, self._embed = store, embed
        self.name = f"sqlite {shown(store)}"
        self._opened: Opened | None = None
        self._reader: apsw.Connection | None = None
        self._one = threading.Lock()

    async def add(self, space: str, items: Sequence[Entry]) -> None:
        entries = last_of_each(items)
        for start in range(0, len(entries), _BATCH):
            some = entries[start : start + _BATCH]
            vectors = await asyncio.to_thread(vectors_of, self._embed, [said(entry) for entry in some])
            opened = await asyncio.to_thread(self._open)
            await opened.store.database.write(self._insertion(space, some, vectors))

    async def remove(self, space: str, ids: Sequence[str]) -> None:
        opened = await asyncio.to_thread(self._open)
        keys = [to_bytes(id_) for id_ in ids]
        for start in range(0, len(keys), _BATCH):
            some = keys[start : start + _BATCH]

            def remove(connection: apsw.Connection, some: Sequence[bytes] = some) -> None:
                if (num := _num(connection, space)) is not None:
                    with _for_good(connection):
                        _delete(connection, num, some)

            await opened.store.database.write(remove)

    async def search(self, space: str, query: str, limit: int) -> list[Hit]:
        return await asyncio.to_thread(self._search, space, query, limit) if limit > 0 else []

    async def clear(self, space: str) -> None:
        opened = await asyncio.to_thread(self._open)

        def clear(connection: apsw.Connection) -> bool:
            num = _num(connection, space)
            if num is None:
                return False
            sql = "SELECT num FROM index_entries WHERE num BETWEEN ? AND ? LIMIT ?"
            some = connection.execute(sql, (*_range(num), _BATCH)).fetchall()
            with _for_good(connection):
                connection.executemany("DELETE FROM index_entries WHERE num = ?", some)
                if len(some) < _BATCH:
                    connection.execute("DELETE FROM index_spaces WHERE num = ?", (num,))
            return len(some) == _BATCH

        while await opened.store.database.write(clear):
            pass

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    # Inside; all of it blocks

    def _open(self) -> Opened:
        with self._one:
            return self._use()

    def _use(self) -> Opened:
        if self._opened is None:
            opened = take(self._where)
            try:
                self._reader = _connect(opened.store.database.path, vectors=self._embed is not None)
            except BaseException:
                leave(opened)
                raise
            self._opened = opened
        return self._opened

    def _close(self) -> None:
        with self._one:
            if self._opened is not None:
                assert self._reader is not None
                self._reader.close()
                opened, self._opened, self._reader = self._opened, None, None
                leave(opened)

    def _insertion(
        self, space: str, entries: Sequence[Entry], vectors: Sequence[NDArray[np.float32] | None]
    ) -> Callable[[apsw.Connection], None]:
        rows = [(to_bytes(one.id), spaced(clean(one.text)), spaced(clean(one.context))) for one in entries]
        embedding = made_by(self._embed, vectors)

        def insert(connection: apsw.Connection) -> None:
            num, at = _begun(connection, space, embedding)
            _delete(connection, num, [id_ for id_, *_ in rows])
            for number, (row, vector) in enumerate(zip(rows, vectors, strict=True), start=at):
                connection.execute(
                    "INSERT INTO index_entries (num, id, text, context) VALUES (?, ?, ?, ?)", (number, *row)
                )
                if vector is not None:
                    pair = (number, vector.tobytes())
                    connection.execute("INSERT INTO index_vectors (num, vector) VALUES (?, ?)", pair)
            connection.execute("UPDATE index_spaces SET next = next + ? WHERE num = ?", (len(rows), num))

        return insert

    def _search(self, space: str, query: str, limit: int) -> list[Hit]:
        vectors = vectors_of(self._embed, [query] if query.strip() else [])
        with self._one:
            self._use()
            assert self._reader is not None
            try:
                with self._reader:  # one state of the file for all that is read
                    held = _Space(self._reader, space)
                    found = held.search(query, limit, vectors, made_by(self._embed, vectors))
            except apsw.Error as error:
                raise StoreError(f"{self.name} cannot be read ({told(error)}): name another store") from None
        return found


class _Space:
    """One space, while a search lasts."""

    def __init__(self, reader: apsw.Connection, name: str) -> None:
        self._reader = reader
        self._row = next(
            iter(
                self._read(
                    "SELECT num, next, entries, chars, embedding FROM index_spaces WHERE name = ?",
                    (to_bytes(name),),
                )
            ),
            None,
        )

    def search(
        self, query: str, limit: int, vectors: Sequence[NDArray[np.float32] | None], embedding: str | None
    ) -> list[Hit]:
        if self._row is None:
            return []
        _, _, entries, chars, held = self._row
        tokenizers = _Tokenizers()
        counts = Counts(entries=entries, mean_chars=chars / max(1, entries))
        deep = limit if embedding is None else _DEEP * limit
        found = ranked(self, counts, tokenizers.telling(query), tokenizers.stems, deep)
        if embedding is not None and held is not None:
            if embedding != held:
                raise other_vectors(held, embedding)
            near = [self._near(vector.tobytes(), deep) for vector in vectors if vector is not None]
            found = fused([[num for num, _ in found], *near])
        ids = self._ids([num for num, _ in found[:limit]])
        return [Hit(ids[num], score) for num, score in found[:limit]]

    def extent(self) -> tuple[int, int]:
        assert self._row is not None
        low, _ = _range(self._row[0])
        return low, low + self._row[1]

    def holding(self, words: Sequence[str]) -> list[int]:
        low, high = self.extent()
        # each is one token of letters and digits, as the tokenizer cut it: a string to FTS5, never an expression
        query = " AND ".join(f'"{word}"' for word in words)
        sql = "SELECT rowid FROM index_words WHERE index_words MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?"
        return [num for (num,) in self._read(sql, (query, low, high, POSTINGS))]

    def texts(self, nums: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        sql = (
            "SELECT num, substr(text, 1, ?), substr(context, 1, ?) FROM index_entries "
            "WHERE num IN (SELECT value FROM json_each(?))"
        )
        rows = self._read(sql, (LOOKED_CHARS, LOOKED_CHARS, json.dumps(nums)))
        return {num: (text, context) for num, text, context in rows}

    def _near(self, vector: bytes, limit: int) -> list[int]:
        sql = (
            "SELECT num FROM index_vectors WHERE num BETWEEN ? AND ? "
            "ORDER BY vec_distance_cosine(vector, ?), num LIMIT ?"
        )
        return [num for (num,) in self._read(sql, (*self.extent(), vector, limit))]

    def _ids(self, nums: Sequence[int]) -> dict[int, str]:
        sql = "SELECT num, id FROM index_entries WHERE num IN (SELECT value FROM json_each(?))"
        return {num: from_bytes(id_) for num, id_ in self._read(sql, (json.dumps(nums),))}

    def _read(self, sql: str, parameters: Sequence[Any]) -> Iterator[Any]:
        return iter(self._reader.execute(sql, parameters))


class _Tokenizers:
    """What cuts texts into words: as the index does, and as it does before it takes endings off."""

    def __init__(self) -> None:
        connection = apsw.Connection(":memory:")
        self._stemming = connection.fts5_tokenizer(_PORTER[0], list(_PORTER[1:]))
        self._plain = connection.fts5_tokenizer(_PLAIN[0], list(_PLAIN[1:]))

    def stems(self, text: str) -> list[str]:
        return _words(self._stemming, text)

    def telling(self, query: str) -> dict[str, str]:
        """The words of a query that tell one text from another, by their stems; all of them where none does."""
        words = _words(self._plain, spaced(clean(query)))
        found: dict[str, str] = {}
        for word in [word for word in words if word not in STOP] or words:
            found.setdefault(self.stems(word)[0], word)
        return found


def _words(tokenizer: apsw.FTS5Tokenizer, text: str) -> list[str]:
    flags = apsw.FTS5_TOKENIZE_DOCUMENT
    found: Any = tokenizer(text.encode(), flags, None, include_offsets=False, include_colocated=False)
    return list(found)


def _connect(path: Path, *, vectors: bool) -> apsw.Connection:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(2_000)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    if vectors:
        try:
            import sqlite_vec  # type: ignore[import-untyped, import-not-found, unused-ignore]
        except ImportError:
            connection.close()
            raise UsageError("vectors in a store need more: pip install 'swarm-memory[vectors]'") from None
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        connection.enable_load_extension(False)
    return connection


@contextmanager
def _for_good(connection: apsw.Connection) -> Iterator[None]:
    """What is deleted is not left in free pages."""
    connection.execute("PRAGMA secure_delete = ON")
    try:
        yield
        connection.execute("INSERT INTO index_words (index_words) VALUES ('flush')")  # not only at the commit
    finally:
        connection.execute("PRAGMA secure_delete = OFF")


def _range(num: int) -> tuple[int, int]:
    """The numbers that the entries of a space have."""
    return num << 32, ((num + 1) << 32) - 1


def _num(connection: apsw.Connection, space: str) -> int | None:
    num: int | None = connection.execute("SELECT num FROM index_spaces WHERE name = ?", (to_bytes(space),)).get
    return num


def _begun(connection: apsw.Connection, space: str, given: str | None) -> tuple[int, int]:
    """A space, made where it is not there: its number, and that of its next entry."""
    connection.execute(
        "INSERT INTO index_spaces (name, next, entries, chars) VALUES (?, 0, 0, 0) ON CONFLICT DO NOTHING",
        (to_bytes(space),),
    )
    sql = "SELECT num, next, embedding FROM index_spaces WHERE name = ?"
    ((num, at, held),) = connection.execute(sql, (to_bytes(space),))
    if given is not None and held is None:
        connection.execute("UPDATE index_spaces SET embedding = ? WHERE num = ?", (given, num))
    elif given is not None and held != given:
        raise other_vectors(held, given)
    return num, _range(num)[0] + at


def _delete(connection: apsw.Connection, num: int, ids: Sequence[bytes]) -> None:
    """Triggers take out the words, the vectors and the counts."""
    sql = "DELETE FROM index_entries WHERE id = ? AND num BETWEEN ? AND ?"
    connection.executemany(sql, [(id_, *_range(num)) for id_ in ids])
