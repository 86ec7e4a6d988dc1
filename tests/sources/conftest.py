"""A library in a new store, and a corpus of files written for one test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarm.store.database import Database
from swarm.store.library import Library


@pytest.fixture
def library(tmp_path):
    database = Database.open(tmp_path / "store" / "store.db")
    yield Library(database)
    database.close()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that is the current one."""
    path = tmp_path / "corpus"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def write(folder):
    """Write a file below the folder, as text or bytes; its time is an hour ago, so that it counts as settled."""

    def write(name: str, content: str | bytes, hours_ago: float = 1) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        time = path.stat().st_mtime - hours_ago * 3600
        os.utime(path, (time, time))
        return path

    return write
