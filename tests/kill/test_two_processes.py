"""Two processes on one run: the second is refused while the first lives, and takes over when it is dead. One that
was frozen meanwhile, and wakes, writes nothing more."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest

from swarm.store.opening import is_url
from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from tests.kill.conftest import job_of, write_corpus
from tests.kill.victim import ANSWER, SAID, Job, start
from tests.kill.watch import PATIENT, Trial, Undisturbed, journalled

CUT = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(latency=log_normal(0.1), keep=False) as provider:
        yield provider


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus", 30)


@pytest.fixture(scope="module")
def whole(provider: Provider, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    return Trial(a_job(folder, str(folder / "swarm.db"), corpus), provider).undisturbed()


def a_job(folder: Path, store: str, corpus: Path) -> Job:
    return replace(job_of(folder, store, corpus), concurrency=4)


class Pair:
    """Two places to work at, on one store, and a run that is under way at the first of them."""

    def __init__(self, job: Job, provider: Provider, folder: Path) -> None:
        self._provider = provider
        self.trial = Trial(job, provider)
        self.second = replace(job, folder=folder, base_url=provider.openai_url)
        self.first = self.trial.start()
        provider.tally.wait_for(replies=5)

    def try_second(self) -> str:
        """What the second says, which is refused."""
        process = start(self.second)
        process.join(PATIENT)
        assert process.exitcode == 1
        assert not (self.second.folder / ANSWER).exists()
        return (self.second.folder / SAID).read_text("utf-8")

    def take_over(self) -> BaseProcess:
        """The second, again."""
        (self.second.folder / SAID).unlink(missing_ok=True)
        return start(self.second)


@pytest.fixture(params=["file", "server"])
def pair(
    request: pytest.FixtureRequest,
    provider: Provider,
    corpus: Path,
    whole: Undisturbed,
    new_store: Callable[[str], tuple[Path, str]],
    tmp_path: Path,
) -> Iterator[Pair]:
    folder, store = new_store(request.param)
    second = tmp_path / "second"
    second.mkdir()
    pair = Pair(a_job(folder, store, corpus), provider, second)
    yield pair
    if pair.first.is_alive():
        pair.first.kill()
    pair.first.join()


def refusal(pair: Pair) -> str:
    """The one line that the second gets."""
    if not is_url(pair.second.store):
        busy = "is in use by another process: wait for it, or name another --store"
        return f"StoreInUse: {pair.second.store} {busy}\n"
    holder = f"(pid {pair.first.pid}, host {socket.gethostname()})"
    return f"StoreInUse: run run is in use by another process {holder}: wait for it, or stop it\n"


def test_the_second_is_refused_in_one_line_and_the_first_is_not_disturbed(pair: Pair, whole: Undisturbed) -> None:
    assert pair.try_second() == refusal(pair)
    answer = pair.trial.finish(pair.first)
    figures = pair.trial.check(answer, whole)
    assert (figures.kills, figures.requests) == (0, whole.requests), "the second sent nothing"


def test_when_the_first_is_killed_the_second_takes_over_at_once(pair: Pair, whole: Undisturbed) -> None:
    assert pair.try_second() == refusal(pair)
    pair.trial.kill(pair.first)
    pair.trial._job = pair.second
    figures = pair.trial.check(pair.trial.finish(pair.take_over()), whole)
    assert figures.kills == 1
    assert figures.repeated <= 4


@pytest.mark.parametrize("pair", ["server"], indirect=True)
def test_one_that_was_frozen_until_another_took_over_writes_nothing_when_it_wakes(
    pair: Pair, whole: Undisturbed
) -> None:
    assert pair.first.pid is not None
    os.kill(pair.first.pid, signal.SIGSTOP)
    with psycopg.connect(pair.second.store, autocommit=True) as connection:
        connection.execute(CUT)  # type: ignore[call-overload, unused-ignore]
    second = pair.take_over()
    second.join(PATIENT)
    assert second.exitcode == 0, (pair.second.folder / SAID).read_text("utf-8")
    before = journalled(pair.second.store)
    os.kill(pair.first.pid, signal.SIGCONT)
    pair.first.join(PATIENT)
    assert pair.first.exitcode == 1
    line = pair.trial.said().splitlines()[-1]  # psycopg may have said before that the connection is lost
    assert line.startswith("StoreInUse: run run was taken over by another process")
    assert line.endswith("nothing more is written here; see to that process")
    assert journalled(pair.second.store) == before
    pair.trial._job = pair.second
    answer = pair.trial.finish(pair.take_over())  # the answer that the second came to: nothing is worked again
    for name in ("graph", "text", "citations", "coverage"):
        assert answer[name] == whole.answer[name]
    assert journalled(pair.second.store) == before


def test_two_runs_are_worked_side_by_side_in_one_database(
    provider: Provider,
    corpus: Path,
    whole: Undisturbed,
    new_store: Callable[[str], tuple[Path, str]],
    tmp_path: Path,
) -> None:
    folder, store = new_store("server")
    (tmp_path / "second").mkdir()
    trials = [
        Trial(replace(a_job(place, store, corpus), run=run), provider)
        for place, run in ((folder, "one"), (tmp_path / "second", "other"))
    ]
    processes = [trial.start() for trial in trials]
    for trial, process in zip(trials, processes, strict=True):
        assert trial.finish(process)["graph"] == whole.answer["graph"]
