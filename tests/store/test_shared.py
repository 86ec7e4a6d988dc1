"""A store is opened once in a process, however many use it, and closed by the last."""

from pathlib import Path

import pytest

from swarm.errors import StoreError, StoreInUse
from swarm.store.opening import open_store
from swarm.store.shared import alone, shared_store


def test_all_of_a_process_use_one_store_and_the_last_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with shared_store(path) as one:
        with shared_store(tmp_path / "." / "store.db") as other:
            assert other.store is one.store
        with pytest.raises(StoreInUse):
            open_store(path)
    open_store(path).close()


def test_a_run_is_worked_by_one_at_a_time(tmp_path: Path) -> None:
    with shared_store(tmp_path / "store.db") as one, shared_store(tmp_path / "store.db") as other:
        with alone(one, "run"), alone(other, "another"):
            taking = alone(other, "run")
            with pytest.raises(StoreInUse, match="the run run is at work"):
                taking.__enter__()
        with alone(other, "run"):
            pass


def test_what_cannot_be_opened_is_not_remembered(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("no store")
    for _ in range(2):
        with pytest.raises(StoreError, match="not a Swarm store"), shared_store(path):
            pass
    path.unlink()
    with shared_store(path):
        pass
