"""What a store holds is for its owner alone, whatever the umask; what is exported is an ordinary file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.sources.gather import gather
from swarm.store.database import Database
from swarm.store.library import Library
from swarm.sync import run_sync

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_every_file_of_a_store_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    (tmp_path / "a.txt").write_text("The mill burnt in 1843.\n")
    folder = tmp_path / "new" / "folder"
    database = Database.open(folder / "store.db")
    asyncio.run(gather([str(tmp_path / "a.txt")], Library(database)))
    while_open = modes(folder)
    database.close()
    assert {"store.db", "store.db-wal", "store.db-shm"} <= while_open.keys()
    assert set(while_open.values()) | set(modes(folder).values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_default_store_is_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int
) -> None:
    (tmp_path / "a.txt").write_text("The mill burnt in 1843.\n")
    monkeypatch.chdir(tmp_path)
    run_sync("When did the mill burn?", "a.txt")
    assert (tmp_path / ".swarm").stat().st_mode & 0o777 == 0o700
    assert set(modes(tmp_path / ".swarm").values()) == {0o600}


def test_a_store_that_is_open_to_others_is_left_as_its_owner_made_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database.open(path).close()
    path.chmod(0o640)
    tmp_path.chmod(0o755)
    Database.open(path).close()
    assert path.stat().st_mode & 0o777 == 0o640
    assert tmp_path.stat().st_mode & 0o777 == 0o755
