"""Both journals are held to the suite that ships with Swarm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.store.database import Database
from swarm.store.journal import Journal
from swarm.store.postgres import PostgresJournal
from swarm.store.sqlite import SqliteJournal
from swarm.testing.conformance import JournalConformance, Opened


class TestSqliteJournal(JournalConformance):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Opened:
        @contextlib.contextmanager
        def open_() -> Iterator[Journal]:
            with contextlib.closing(Database.open(tmp_path / "store.db")) as database:
                yield SqliteJournal(database)

        return open_

    @pytest.fixture
    def program(self, tmp_path: Path) -> str:
        return (
            "from pathlib import Path\nfrom swarm.store.database import Database\n"
            "from swarm.store.sqlite import SqliteJournal\n"
            f"journal = SqliteJournal(Database.open(Path({str(tmp_path / 'store.db')!r})))"
        )


class TestPostgresJournal(JournalConformance):
    @pytest.fixture
    def url(self, emptied_url: str) -> str:
        return emptied_url

    @pytest.fixture
    def opened(self, url: str, tmp_path: Path) -> Opened:
        @contextlib.contextmanager
        def open_() -> Iterator[Journal]:
            with (
                contextlib.closing(Database.open(tmp_path / "beside.db")) as database,
                contextlib.closing(PostgresJournal.open(url, database)) as journal,
            ):
                yield journal

        return open_

    @pytest.fixture
    def program(self, url: str, tmp_path: Path) -> str:
        return (
            "from pathlib import Path\nfrom swarm.store.database import Database\n"
            "from swarm.store.postgres import PostgresJournal\n"
            f"database = Database.open(Path({str(tmp_path / 'theirs.db')!r}))\n"
            f"journal = PostgresJournal.open({url!r}, database)"
        )
