"""Claims and blobs of both stores are held to the suite that ships with Swarm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from swarm.store.blobs import Blobs
from swarm.store.database import Database
from swarm.store.opening import Store
from swarm.store.postgres import PostgresJournal
from swarm.store.sqlite import SqliteJournal
from swarm.testing.conformance import BlobsConformance, ClaimsConformance, Kept, Shared, Sharing

Stored = Callable[[], AbstractContextManager[Store]]


class Both(ClaimsConformance, BlobsConformance):
    @pytest.fixture
    def sharing(self, stored: Stored) -> Sharing:
        @contextlib.contextmanager
        def open_() -> Iterator[Shared]:
            with stored() as store:
                yield Shared(store.journal, store.claims)

        return open_

    @pytest.fixture
    def kept(self, stored: Stored) -> Kept:
        @contextlib.contextmanager
        def open_() -> Iterator[Blobs]:
            with stored() as store:
                yield store.blobs

        return open_


class TestSqlite(Both):
    @pytest.fixture
    def stored(self, tmp_path: Path) -> Stored:
        def open_() -> Store:
            database = Database.open(tmp_path / "store.db")
            return Store(SqliteJournal(database), database)

        return open_


class TestPostgres(Both):
    @pytest.fixture
    def stored(self, emptied_url: str, tmp_path: Path) -> Stored:
        def open_() -> Store:
            database = Database.open(tmp_path / "beside.db")
            return Store(PostgresJournal.open(emptied_url, database), database, emptied_url)

        return open_
