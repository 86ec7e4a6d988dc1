"""Both stores are held to the suite that ships with Swarm; and what only a server can do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from swarm.errors import StoreError
from swarm.store.database import Database
from swarm.store.machines import Doing, Machine, from_json, to_json
from swarm.store.opening import open_store
from swarm.store.postgres_machines import PostgresMachines
from swarm.store.sqlite_machines import SqliteMachines
from swarm.testing.conformance.machines import MachinesConformance, OpenMachines, Silent, machine
from swarm.testing.postgres import LocalPostgres


class TestSqliteMachines(MachinesConformance):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        with contextlib.closing(Database.open(tmp_path / "store.db")) as database:
            yield database

    @pytest.fixture
    def machines(self, database: Database) -> OpenMachines:
        return lambda: contextlib.closing(SqliteMachines(database))

    @pytest.fixture
    def silent(self, database: Database) -> Silent:
        def silence(id_: str, seconds: float) -> None:
            sql = "UPDATE machines SET seen = seen - ? WHERE id = ?"
            database.write_sync(lambda connection: connection.execute(sql, (seconds, id_)).fetchall())

        return silence


class TestPostgresMachines(MachinesConformance):
    @pytest.fixture
    def url(self, postgres: LocalPostgres) -> str:
        return postgres.database()

    @pytest.fixture
    def machines(self, url: str) -> OpenMachines:
        return lambda: contextlib.closing(PostgresMachines(url))

    @pytest.fixture
    def silent(self, url: str) -> Silent:
        def silence(id_: str, seconds: float) -> None:
            sql = "UPDATE swarm.machines SET seen = seen - make_interval(secs => %s) WHERE id = %s"
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql, (seconds, id_))

        return silence


def test_a_lost_connection_is_made_again_and_a_machine_is_asked_to_drain_still(postgres: LocalPostgres) -> None:
    url = postgres.database()
    cut = (
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with contextlib.closing(PostgresMachines(url)) as machines:
        machines.beat(machine("m1"))
        machines.drain(["m1"])
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute(cut).fetchone() == (1,)
        assert machines.beat(machine("m1")) is True


def test_a_store_that_is_looked_into_tells_who_is_there_and_asks_nobody(tmp_path: Path) -> None:
    with open_store(tmp_path / "store.db") as store:
        store.machines.beat(machine("m1"))
    with open_store(tmp_path / "store.db", read_only=True) as store:
        assert [one.id for one in store.machines.seen()] == ["m1"]
        with pytest.raises(StoreError, match="read only"):
            store.machines.drain([])


def test_what_another_version_tells_beside_is_passed_over() -> None:
    told = Machine(
        id="m", host="h", pid=1, version="9", places=1, started=1.0, doing=(Doing(run="r", ref="s", seconds=2.0),)
    )
    text = (
        to_json(told).replace('"places":1', '"places":1,"lanes":[{"x":1}]').replace('"seconds"', '"x":1,"seconds"')
    )
    seen = from_json(text, asked=False, ago=-0.5)
    assert (seen.doing, seen.ago, seen.done) == (told.doing, 0.0, 0)
