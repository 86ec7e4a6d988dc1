"""The tables of an index on a PostgreSQL server: made on first use in a schema of their own, and reached by one
connection, which is made again when it breaks (`swarm/store/postgres_link.py`).

The entries of a space have the numbers from num << 32 on. Vectors are in a table for each length, since an HNSW
index takes one. This module does not know how texts are ranked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from swarm.errors import IndexFailed, StoreError, UsageError
from swarm.index.base import other_vectors
from swarm.store.journal import to_bytes
from swarm.store.opening import is_url
from swarm.store.postgres_link import Link, lock_number, shown, told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection

T = TypeVar("T")

_WHOLE, _HALF = 2_000, 4_000  # numbers in a vector of which HNSW makes an index: of 32 bits, and of 16
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_TABLES = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.spaces (
    num       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      bytea NOT NULL,
    next      bigint NOT NULL DEFAULT 0,
    entries   bigint NOT NULL DEFAULT 0,
    chars     bigint NOT NULL DEFAULT 0,
    embedding text
);
CREATE TABLE IF NOT EXISTS {schema}.entries (
    num     bigint PRIMARY KEY,
    space   integer NOT NULL,
    id      bytea NOT NULL,
    text    text NOT NULL,
    context text NOT NULL,
    words   tsvector NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS spaces_by_name ON {schema}.spaces (sha256(name)); -- an index takes no long key
CREATE UNIQUE INDEX IF NOT EXISTS entries_by_id ON {schema}.entries (space, sha256(id));
CREATE INDEX IF NOT EXISTS entries_by_words ON {schema}.entries USING gin (words);
"""
_VECTORS = """
CREATE TABLE IF NOT EXISTS {schema}.{table} (
    num    bigint PRIMARY KEY REFERENCES {schema}.entries ON DELETE CASCADE,
    space  integer NOT NULL,
    vector {type}({size}) NOT NULL
);
CREATE INDEX IF NOT EXISTS {table}_by_space ON {schema}.{table} (space);
"""
_NEAR = "CREATE INDEX IF NOT EXISTS {table}_near ON {schema}.{table} USING hnsw (vector {type}_cosine_ops);"


class Space(NamedTuple):
    """What is known of a space."""

    num: int
    next: int
    entries: int
    chars: int
    embedding: str | None


class Kind(NamedTuple):
    """How vectors of one length are kept."""

    size: int

    @property
    def table(self) -> str:
        return f"vectors_{self.size}"

    @property
    def type(self) -> str:
        return "vector" if self.size <= _WHOLE else "halfvec"

    def value(self, vector: NDArray[np.float32]) -> Any:
        from pgvector import HalfVector, Vector

        return Vector(vector) if self.size <= _WHOLE else HalfVector(vector)


def kind_of(embedding: str) -> Kind:
    """As `swarm.index.base.made_by` names an embedding."""
    return Kind(int(embedding.rpartition(":")[2]))


class Tables:
    """The tables in one schema. All of it blocks, and one call waits for another.

    Raises:
        UsageError: the schema's name is none, or the address.
    """

    def __init__(self, url: str, schema: str, *, vectors: bool) -> None:
        if not is_url(url):
            raise UsageError("PostgresIndex needs the address of a server: postgresql://user@host/database")
        if not _SCHEMA.fullmatch(schema):
            raise UsageError(f"{schema!r} cannot name a schema: take small letters, digits and _")
        self._url, self._schema, self._vectors = url, schema, vectors
        self.name = f"{shown(url)} {schema}"
        self._link: Link | None = None
        self._held: set[int] = set()
        self._one = threading.Lock()

    def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns. Where the connection breaks it is done again.

        Raises:
            UsageError: the extra is missing, or the server has no pgvector.
            IndexFailed: the server cannot be reached or used.
        """
        with self._one, self._translated():
            return self._opened().run(work)

    def close(self) -> None:
        """Safe to call twice."""
        if (link := self._link) is not None:
            link.hurry()
        with self._one:
            if self._link is not None:
                self._link.close()
                self._link = None
                self._held.clear()

    def sql(self, text: str, **names: object) -> bytes:
        """`{schema}` and `names` are ours; what is of a user goes into parameters."""
        return text.format(schema=self._schema, **names).encode()

    def execute(self, connection: Connection, text: str, parameters: Sequence[Any] = (), **names: object) -> Any:
        return connection.execute(self.sql(text, **names), parameters or None)

    def space(self, connection: Connection, name: str, *, lock: bool = False) -> Space | None:
        """A space; with `lock`, nobody else changes it until the transaction ends."""
        sql = "SELECT num, next, entries, chars, embedding FROM {schema}.spaces WHERE sha256(name) = sha256(%s)"
        sql += " FOR UPDATE" if lock else ""
        row = self.execute(connection, sql, (to_bytes(name),)).fetchone()
        return None if row is None else Space(*row)

    def begun(self, connection: Connection, name: str, embedding: str | None, more: int) -> tuple[int, int]:
        """A space, made where it is not there, and locked: its number, and the first of so many for new entries.

        Raises:
            UsageError: it holds vectors of another embedding.
        """
        sql = "INSERT INTO {schema}.spaces (name) VALUES (%s) ON CONFLICT DO NOTHING"
        self.execute(connection, sql, (to_bytes(name),))
        space = self.space(connection, name, lock=True)
        assert space is not None
        if None not in (embedding, space.embedding) and embedding != space.embedding:
            raise other_vectors(str(space.embedding), str(embedding))
        sql = "UPDATE {schema}.spaces SET next = next + %s, embedding = coalesce(embedding, %s) WHERE num = %s"
        self.execute(connection, sql, (more, embedding, space.num))
        return space.num, (space.num << 32) + space.next

    def hold_vectors(self, embedding: str) -> None:
        """See to it that there is a table for vectors of that embedding."""
        kind = kind_of(embedding)
        if kind.size not in self._held:
            sql = _VECTORS + (
                _NEAR if kind.size <= _HALF else ""
            )  # longer ones are compared with all of their space
            names = {"table": kind.table, "size": kind.size, "type": kind.type}
            self.run(lambda connection: self._make(connection, sql, **names))
            self._held.add(kind.size)

    # Inside

    def _opened(self) -> Link:
        if self._link is None:
            link = Link(self._url, "swarm-index", self._ready)
            try:
                link.run(self._make_all)
            except BaseException:
                link.close()
                raise
            self._link = link
        return self._link

    def _make_all(self, connection: Connection) -> None:
        if self.execute(connection, "SELECT to_regclass('{schema}.entries') IS NULL").fetchone()[0]:
            self._make(connection, _TABLES)
        if self._vectors:
            have = "SELECT FROM pg_extension WHERE extname = 'vector'"
            if connection.execute(have).fetchone() is None:
                self._make(connection, "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
            self._ready(connection)

    def _make(self, connection: Connection, sql: str, **names: object) -> None:
        """Two processes that make the same at the same time would get in each other's way."""
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number("swarm:index"),))
            self.execute(connection, sql, (), **names)

    def _ready(self, connection: Connection) -> None:
        """Make a connection know vectors: their type stands in whichever schema the extension was made in."""
        if not self._vectors:
            return
        from pgvector.psycopg import register_vector

        sql = "SELECT extnamespace::regnamespace::text, extversion FROM pg_extension WHERE extname = 'vector'"
        row = connection.execute(sql).fetchone()
        if row is None:
            return  # it is made in a moment
        connection.execute(b"SET search_path = " + row[0].encode())  # quoted by the server, where it must be
        if tuple(int(part) for part in row[1].split(".")[:2]) >= (0, 8):
            connection.execute("SET hnsw.iterative_scan = strict_order")  # else other spaces crowd a small one out
        register_vector(connection)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Psycopg's errors, and the absence of what is needed, as one clear line."""
        try:
            import psycopg

            if self._vectors:
                import pgvector  # noqa: F401
        except ImportError:
            raise UsageError("an index on PostgreSQL needs more: pip install 'swarm-memory[pgvector]'") from None
        lacking = (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported)
        try:
            yield
        except psycopg.errors.InsufficientPrivilege as error:
            raise UsageError(
                f"{shown(self._url)} does not let this user make what an index needs ({told(error, self._url)}): "
                f"have the schema {self._schema} made for it, and the extension vector for embed"
            ) from None
        except lacking as error:
            raise UsageError(
                f"{shown(self._url)} has no pgvector ({told(error, self._url)}): install it on the server, or "
                "leave embed out"
            ) from None
        except psycopg.Error as error:
            said = told(error, self._url)
            raise IndexFailed(f"{shown(self._url)} cannot be used as an index ({said})") from None
        except StoreError as error:
            raise IndexFailed(str(error)) from None
