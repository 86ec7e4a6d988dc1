"""A corpus of many small sources, a provider that takes as long as one does, and stores of both kinds."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.testing.faults import log_normal
from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider
from tests.kill.cluster import Cluster
from tests.kill.victim import Job, warm
from tests.kill.watch import Trial, Undisturbed

QUESTION = "Who was the keeper of the lighthouse?"
SHORT, LONG = 160, 1_000
"""Slices of a run."""
_MEDIAN_SECONDS = {SHORT: 0.1, LONG: 0.6}  # the longer one keeps all places taken, however slow the machine is


def write_corpus(folder: Path, sources: int) -> Path:
    """Each source is one slice; what is said of every third answers the question."""
    folder.mkdir()
    for number in range(sources):
        lines = [f"Mill {number} ground corn in the year {1800 + n}, and was still in winter." for n in range(8)]
        if number % 3 == 0:
            lines.insert(4, f"The keeper of lighthouse {number} was called Ida Lewis the {number}th.")
        (folder / f"{number:04}.txt").write_text("\n\n".join(lines), "utf-8")
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server for those who kill it."""
    server = Cluster()
    try:
        server.__enter__()
    except (LookupError, OSError) as error:
        pytest.skip(str(error))
    yield server
    server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def busy() -> Iterator[Provider]:
    """A provider whose calls take as long as `take` says."""
    with Provider(keep=False) as provider:
        yield provider


@pytest.fixture(scope="session")
def corpus_of() -> Iterator[Callable[[int], Path]]:
    """With short paths: the planner is shown fifty of them, and its prompt is to fit a small window."""
    known: dict[int, Path] = {}
    with tempfile.TemporaryDirectory(prefix="k") as folder:

        def make(sources: int) -> Path:
            if sources not in known:
                known[sources] = write_corpus(Path(folder) / str(sources), sources)
            return known[sources]

        yield make


@pytest.fixture(scope="session")
def undisturbed(
    busy: Provider, corpus_of: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Undisturbed]:
    """A run over so many slices that nobody kills; run once."""
    known: dict[int, Undisturbed] = {}

    def run(sources: int) -> Undisturbed:
        if sources not in known:
            folder = tmp_path_factory.mktemp("undisturbed")
            take(busy, sources)
            warm()
            job = job_of(folder, str(folder / "swarm.db"), corpus_of(sources))
            known[sources] = Trial(job, busy).undisturbed()
        return known[sources]

    return run


def take(provider: Provider, slices: int) -> None:
    """Have a provider take as long for a call as is right for a run over so many slices."""
    provider.latency = log_normal(_MEDIAN_SECONDS[slices])


def job_of(folder: Path, store: str, corpus: Path) -> Job:
    return Job(folder=folder, store=store, corpus=corpus, base_url="", question=QUESTION)


@pytest.fixture
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], tuple[Path, str]]:
    """A folder to work in, and the name of a new store of a kind: `file` or `server`."""
    numbers = itertools.count()

    def make(kind: str) -> tuple[Path, str]:
        folder = tmp_path / f"{kind}-{next(numbers)}"
        folder.mkdir()
        if kind == "file":
            return folder, str(folder / "swarm.db")
        server: LocalPostgres = request.getfixturevalue("postgres")
        return folder, server.database()

    return make


def told(*rows: object) -> str:
    """Figures as lines of a table."""
    return "\n".join("  ".join(f"{k}={v}" for k, v in dataclasses.asdict(row).items()) for row in rows)  # type: ignore[call-overload]
