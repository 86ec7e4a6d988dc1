"""Runs that are looked into: staged ones, each written once for all tests of a session, which only read them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swarm.testing.staged import Script, staged


@pytest.fixture(scope="session")
def mills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that is over, with 400 findings."""
    path = tmp_path_factory.mktemp("mills") / "swarm.db"
    asyncio.run(staged(path, Script(findings=400)))
    return path


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that is over, in which every text tries to run in whatever shows it."""
    path = tmp_path_factory.mktemp("hostile") / "swarm.db"
    asyncio.run(staged(path, Script(findings=60, each=10, hostile=True)))
    return path
