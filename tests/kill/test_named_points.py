"""A process dies by SIGKILL at each named point between two writes to the journal, and the run goes on.

In every run of the tests one run on each store dies at some of the points, one after another, each time in a new
process. With the marker `soak` one dies at all of them, and each point has a run of its own, whose first process
and whose second die there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from tests.kill import eventful
from tests.kill.points import APART, COMMITS, WRITES
from tests.kill.victim import warm
from tests.kill.watch import Figures, Trial, Undisturbed

Point = tuple[str, int]

LIFE = (
    "session", "settle_lost", "corpus", "begin_call", "finish_call", "plan", "fail_call", "split", "closer",
    "report", "failure", "pairs", "verdict", "room", "decision", "settled", "summary", "answer",
)  # fmt: skip
"""In the order in which a run comes to them for the first time."""
CHAIN: list[Point] = [
    *[("in a commit", number) for number in (1, 2, 3)],
    *[(f"{when} {what}", 1) for what in LIFE[:10] for when in ("before", "after")],
    *[("in a commit", 6), ("after a commit", 5)],
    *[(f"{when} {what}", 1) for what in LIFE[10:] for when in ("before", "after")],
]
FEWER: list[Point] = [
    ("in a commit", 3),
    ("after corpus", 1),
    ("before begin_call", 1),
    ("before finish_call", 1),
    ("after plan", 1),
    ("in a commit", 6),
    ("recorded, not merged", 2),
    ("after finish_call", 3),
    ("before failure", 1),
    ("recorded, not merged", 1),
    ("after a commit", 4),
    ("after decision", 1),
    ("before settled", 1),
    ("recorded, not merged", 1),
    ("after summary", 1),
    ("before answer", 1),
]
"""On a server."""

Die = Callable[[str, list[Point]], Awaitable[list[Figures]]]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider(latency=log_normal(0.01), keep=False) as provider:
        warm()
        yield provider


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return eventful.write_corpus(tmp_path_factory.mktemp("eventful") / "corpus")


@pytest.fixture(scope="module")
def whole(provider: Provider, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    job = eventful.job_of(folder, str(folder / "swarm.db"), corpus)
    return Trial(job, provider, eventful.plan()).undisturbed()


@pytest.fixture
def die(
    provider: Provider,
    corpus: Path,
    whole: Undisturbed,
    new_store: Callable[[str], tuple[Path, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Die:
    """A run whose processes die at these points, one after another, and that then goes on to its end. On a machine
    that is busy things may come in another order, and a run be over before a point: the next run dies there."""

    async def run(store: str, points: list[Point]) -> list[Figures]:
        left, found = list(points), []
        while left:
            folder, name = new_store(store)
            trial = Trial(eventful.job_of(folder, name, corpus), provider, eventful.plan())
            begun = len(left)
            while left and (process := started(trial, left[0])).exitcode != 0:
                trial.died(process)
                left.pop(0)
            assert len(left) < begun, f"a run is over before {left[0]}"
            answer = trial.finish()
            found.append(trial.check(answer, whole))
            monkeypatch.chdir(folder)
            again = await trial.replay()
            assert again == {name: answer[name] for name in again}
        return found

    return run


def started(trial: Trial, point: Point) -> BaseProcess:
    """A process that was to die at a point, once it has ended."""
    process = trial.start(dies=point)
    process.join()
    return process


def test_every_point_is_in_the_life_of_the_run() -> None:
    assert {point for point, _ in CHAIN} == {*WRITES, *COMMITS}
    assert {"before", "after"} == {write.split()[0] for write in WRITES}


@pytest.mark.parametrize(
    ("store", "points"),
    [
        pytest.param("file", CHAIN[::4], id="file"),
        pytest.param("server", FEWER[::3], id="server"),
        pytest.param("file", CHAIN, id="file, all", marks=pytest.mark.soak),
        pytest.param("server", FEWER, id="server, all", marks=pytest.mark.soak),
    ],
)
async def test_a_run_that_dies_at_one_point_after_another_comes_out_the_same(
    store: str, points: list[Point], die: Die
) -> None:
    figures = await die(store, points)
    assert sum(one.kills for one in figures) == len(points)
    assert sum(one.finished_again for one in figures) == 0


@pytest.mark.soak
async def test_one_that_dies_among_many_pairs_judges_the_same_pairs_when_it_goes_on(
    provider: Provider, new_store: Callable[[str], tuple[Path, str]]
) -> None:
    folder, name = new_store("file")
    corpus = eventful.write_disputes(folder / "disputes")
    job = replace(eventful.job_of(folder, name, corpus), window=32_000, rounds=2)
    whole = Trial(replace(job, store=str(folder / "undisturbed.db")), provider).undisturbed()
    trial = Trial(job, provider)
    for point in (("after verdict", 3), ("before decision", 1)):
        process = trial.start(dies=point)
        process.join()
        trial.died(process)
    trial.check(trial.finish(), whole)


ONCE: list[Point] = [
    *[(write, 1) for write in WRITES],
    *[(commit, number) for commit in COMMITS for number in (1, 2, 3, 5, 8, 13, 21, 34)],
]


@pytest.mark.soak
@pytest.mark.parametrize("point", ONCE, ids=lambda point: f"{point[0]} {point[1]}")
@pytest.mark.parametrize("store", ["file", "server"])
async def test_a_run_may_die_there_twice(store: str, point: Point, die: Die) -> None:
    twice = [point, point] if point[0].split()[-1] in {"session", "settle_lost", "begin_call"} else [point]
    assert sum(one.kills for one in await die(store, twice)) == len(twice)


@pytest.mark.soak
@pytest.mark.parametrize("number", range(1, 32, 3))
@pytest.mark.parametrize("point", APART)
async def test_a_record_whose_consequence_was_lost_is_made_up_for(point: str, number: int, die: Die) -> None:
    assert sum(one.kills for one in await die("server", [(point, number)])) == 1
