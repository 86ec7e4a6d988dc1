"""One database for all tests of engines: a new one takes longer than most of them. And what makes a failure in the
shipped suite show what was compared."""

import psycopg
import pytest

from swarm.testing.postgres import LocalPostgres

pytest.register_assert_rewrite("swarm.testing.conformance")

_EMPTY = """
DO $$ BEGIN
    IF to_regclass('swarm_queue.pgqueuer') IS NOT NULL THEN
        TRUNCATE swarm_queue.pgqueuer, swarm_queue.pgqueuer_log, swarm_queue.pgqueuer_statistics;
    END IF;
END $$
"""


@pytest.fixture(scope="session")
def queue_url(postgres: LocalPostgres) -> str:
    return postgres.database()


@pytest.fixture
def url(queue_url: str) -> str:
    """A database with an empty queue, or none yet."""
    with psycopg.connect(queue_url, autocommit=True) as connection:
        connection.execute(_EMPTY)
    return queue_url
