"""So that a failure in the shipped suite shows what was compared."""

import pytest

from swarm.testing.postgres import LocalPostgres

pytest.register_assert_rewrite("swarm.testing.conformance")


@pytest.fixture(scope="module")
def shared_url(postgres: LocalPostgres) -> str:
    """A database for all tests of a module: to make one takes longer than most of them."""
    return postgres.database()


@pytest.fixture
def emptied_url(shared_url: str) -> str:
    """The same, empty again, and nobody is at it: one that was killed may have left a connection behind."""
    import psycopg

    with psycopg.connect(shared_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tables = connection.execute(
            "SELECT string_agg(format('swarm.%I', tablename), ', ') FROM pg_tables "
            "WHERE schemaname = 'swarm' AND tablename <> 'version'"
        ).fetchone()
        if tables is not None and tables[0] is not None:
            connection.execute(f"TRUNCATE {tables[0]}")  # type: ignore[arg-type, unused-ignore]
    return shared_url
