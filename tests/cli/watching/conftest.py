"""Runs that are watched: staged ones that are over, written once for all tests, which only read them; and a look
at any of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from swarm.cli.watching.look import Look
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.testing.staged import Script, staged

LookAt = Callable[..., Look]


@pytest.fixture(scope="session")
def mills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that is over, with 200 findings and a slice that failed."""
    path = tmp_path_factory.mktemp("mills") / "swarm.db"
    asyncio.run(staged(path, Script(findings=200)))
    return path


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run in which every text tries to run in whatever shows it."""
    path = tmp_path_factory.mktemp("hostile") / "swarm.db"
    asyncio.run(staged(path, Script(findings=60, each=10, hostile=True)))
    return path


@pytest.fixture
def look_at() -> Iterator[LookAt]:
    """Look at the last run of a store, until the end of the test."""
    with ExitStack() as opened:

        def look(path: Path, clock: Callable[[], float] | None = None) -> Look:
            run = opened.enter_context(open_run("last", path))
            return Look(Follower(run, clock) if clock is not None else Follower(run))

        yield look
