"""A run of another process is followed while it is killed with -9 and goes on, in a file and on a server: what is
shown holds at each look, and in the end it is what somebody is told who looks once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import StoreError
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.task import Answer
from swarm.testing.faults import log_normal
from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider
from tests.inspect.real_runs import KINDS, Kind, in_haste
from tests.inspect.truth import holds_at_last, holds_now, picture, pieces_are_the_whole, taped
from tests.kill.conftest import job_of, write_corpus
from tests.kill.victim import RUN, Job, warm
from tests.kill.watch import Trial
from tests.kill.working import mind, work_of

_KILLS = 3
_LOOK_SECONDS = 0.02


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(keep=False, latency=log_normal(0.08)) as slow:
        warm()
        yield slow


def name_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    if kind == "file":
        return str(folder / "swarm.db")
    server: LocalPostgres = request.getfixturevalue("postgres")
    return server.database()


def opened_when_there(store: str) -> Any:
    """The run, as soon as it has begun."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(StoreError):
            opening = open_run(RUN, store)
            return opening, opening.__enter__()
        time.sleep(_LOOK_SECONDS)
    raise AssertionError("it never began")


def watched(job: Job, provider: Provider, dice: random.Random) -> tuple[int, int]:
    """How often it was looked at, and how often something was at work then."""
    trial = Trial(job, provider)
    process = trial.start()
    opening, opened = opened_when_there(job.store)
    looks = busy = 0
    try:
        follower = Follower(opened)
        for kill in range(_KILLS + 1):
            until = time.monotonic() + dice.uniform(0.3, 1.2)
            while process.exitcode is None and (kill == _KILLS or time.monotonic() < until):
                if not follower.poll():
                    holds_now(follower)
                    looks, busy = looks + 1, busy + (follower.places[0] > 0)
                time.sleep(_LOOK_SECONDS)
            if kill == _KILLS or not trial.kill(process):
                break
            follower.catch_up()
            process = trial.start()
        trial.finish(process)
        follower.catch_up()
        assert follower.status == "answered"
        once = Follower(opened)
        once.catch_up()
        told, expected = picture(follower), picture(once)
        for name, value in expected.items():
            assert told[name] == value, name
        assert len(follower.sessions) > 1
    finally:
        opening.__exit__(None, None, None)
    holds_at_last(job.store, RUN)
    return looks, busy


@pytest.mark.soak
@pytest.mark.parametrize("store", ["file", "server"])
@pytest.mark.parametrize("what", ["reading", "work"])
def test_a_run_of_another_process_is_followed_while_it_is_killed(
    what: str, store: str, provider: Provider, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.randrange(10**6)
    print(f"seed {seed}")  # shown when it fails
    name = name_of(store, tmp_path, request)
    if what == "work":
        with Provider(keep=False, mind=mind, latency=log_normal(0.05)) as working:
            looks, busy = watched(work_of(tmp_path, name, 30, 40), working, random.Random(seed))
    else:
        job = job_of(tmp_path, name, write_corpus(tmp_path / "c", 160))
        looks, busy = watched(job, provider, random.Random(seed))
    assert busy > 10
    print(f"{looks} looks, {busy} of them while something was at work")


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_what_is_shown_is_true_of_many_runs(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = int(os.environ.get("SEED", "0")) or random.randrange(10**6)
    print(f"seed {first}")  # shown when it fails
    in_haste(monkeypatch)
    for seed in range(first, first + 10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        answer: Answer | None
        with taped(monkeypatch) as tape:
            async for answer in kind(folder, seed):
                holds_at_last(folder / "swarm.db", "run", answer)
        pieces_are_the_whole(monkeypatch, folder / "swarm.db", tape, range(20))
