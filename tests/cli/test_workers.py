"""Who works for a store, on the command line: listed, told as JSON, asked to drain."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib.metadata import version

import pytest

from swarm.cli.workers import Waiting, document, lines
from swarm.store.journal import Entry
from swarm.store.machines import LOST_SECONDS, SILENT_SECONDS, Doing, Machine, Seen
from swarm.store.opening import open_store
from swarm.store.postgres_machines import PostgresMachines
from swarm.testing.postgres import LocalPostgres

Run = Callable[..., "subprocess.CompletedProcess[str]"]
HERE = version("swarm-memory")
RUN = "20261127-101500-abc123"
NORTH = Machine(
    id="north-1-ab12", host="north", pid=411, version=HERE, places=8, started=1.0, done=1_204, memory=312_000_000,
    doing=(Doing(run=RUN, ref="s1a2b3c4d5e6f708", seconds=12.0), Doing(run=RUN, ref="s9", seconds=0.5)),
)  # fmt: skip
SOUTH = replace(NORTH, id="south-2-cd34", host="south", pid=7, version="0.0.1", doing=(), done=0, memory=0)


def seen(machine: Machine, ago: float = 0.0) -> Seen:
    return Seen(**{name: getattr(machine, name) for name in machine.__dataclass_fields__}, ago=ago)


def test_workers_are_told_with_what_they_are_at_and_what_waits() -> None:
    note = "the recipe \x1b[31mof r1 is not here: sk-proj-abcDEF0123456789abcDEF"
    told = [
        seen(NORTH, ago=1.0),
        seen(replace(SOUTH, note=note), ago=SILENT_SECONDS),
        seen(replace(SOUTH, id="west", draining=True, version=HERE), ago=LOST_SECONDS + 60),
    ]  # fmt: skip
    head, *rest = lines((told, [Waiting(run=RUN, offered=1_000, claimed=2, handed=0)]))
    assert head.split() == ["worker", "host", "pid", "version", "slices", "memory", "done", "state"]
    assert rest[0].split() == ["north-1-ab12", "north", "411", HERE, "2/8", "312MB", "1,204", "alive"]
    assert [line.split() for line in rest[1:3]] == [[RUN, "s1a2b3c4d5e6", "13", "s"], [RUN, "s9", "1.5", "s"]]
    assert rest[3].split()[:6] == ["south-2-cd34", "south", "7", "0.0.1", "*", "0/8"]
    assert rest[3].endswith("silent, said nothing for 8.0 s")
    assert rest[4].startswith("  the recipe of r1 is not here: ")
    assert "abcDEF0123456789abcDEF" not in rest[4]
    assert rest[5].endswith("lost, said nothing for 1 min 20 s, draining")
    assert rest[6] == f"* another version than this one, which is {HERE}"
    assert [line.split() for line in rest[7:]] == [
        [], ["run", "offered", "claimed", "handed", "in"], [RUN, "1,000", "2", "0"],
    ]  # fmt: skip
    assert next(iter(lines(([], [])))).startswith("no worker is there")


def test_workers_are_told_as_json() -> None:
    told = document(([seen(NORTH, ago=0.25), seen(SOUTH)], [Waiting(run=RUN, offered=1, claimed=2, handed=3)]))
    north, south = told["workers"]
    expected = {
        "id": NORTH.id, "used": 2, "places": 8, "state": "alive", "silent_s": 0.25, "other_version": False,
        "note": None,
    }  # fmt: skip
    assert {name: north[name] for name in expected} == expected
    assert north["doing"][0] == {"run": RUN, "slice": "s1a2b3c4d5e6f708", "seconds": 12.0}
    assert south["other_version"] is True
    assert told["runs"] == [{"run": RUN, "offered": 1, "claimed": 2, "handed": 3}]


def test_a_file_has_no_workers(swarm: Run) -> None:
    listed = swarm("workers")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.startswith(".swarm/swarm.db is a file, and no worker works for a file")
    told = swarm("workers", "--store", "there.db", "--json")
    assert (told.returncode, json.loads(told.stdout)) == (0, {"workers": [], "runs": []})
    assert swarm("workers", "drain", "--all").returncode == 2


# A server


@pytest.fixture(scope="module")
def url(postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with two workers, and a run in which a slice is claimed and two are offered."""
    url = postgres.database()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("beside"))
        with open_store(url) as store:
            store.journal.append_sync(RUN, Entry(kind="task", key="", body={}))
            asyncio.run(store.claims.offer(RUN, {"s1": b"", "s2": b"", "s3": b""}))
            asyncio.run(store.claims.claim(RUN, "s2", NORTH.id, 60.0))
    return url


@pytest.fixture
def machines(url: str) -> Iterator[PostgresMachines]:
    with closing(PostgresMachines(url)) as machines:
        machines.beat(NORTH)
        machines.beat(SOUTH)
        yield machines
        machines.leave(NORTH.id)
        machines.leave(SOUTH.id)


def test_workers_of_a_server_are_listed(swarm: Run, url: str, machines: PostgresMachines) -> None:
    told = json.loads(swarm("workers", "--store", url, "--json").stdout)
    assert [(one["id"], one["state"]) for one in told["workers"]] == [(NORTH.id, "alive"), (SOUTH.id, "alive")]
    assert told["runs"] == [{"run": RUN, "offered": 2, "claimed": 1, "handed": 0}]
    assert NORTH.id in swarm("workers", "--store", url).stdout


def test_workers_are_asked_to_drain_by_id_beginning_or_host(
    swarm: Run, url: str, machines: PostgresMachines
) -> None:
    drain = ("workers", "drain", "--store", url)
    assert swarm(*drain, "north-1").stdout == f"asked 1 worker to drain: {NORTH.id}\n"
    assert [machines.beat(NORTH), machines.beat(SOUTH)] == [True, False]
    assert json.loads(swarm(*drain, "south", "--json").stdout) == {"asked": [SOUTH.id]}
    assert swarm("workers", "--store", url, "drain", "--all").stdout.startswith("asked 2 workers to drain: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the workers that are to drain, or say --all"),
        (["north", "--all"], "name the workers that are to drain, or say --all"),
        (["east"], " is called east: swarm workers lists them"),
    ],
)
def test_who_is_nobody_is_one_line(
    swarm: Run, url: str, machines: PostgresMachines, words: list[str], said: str
) -> None:
    wrong = swarm("workers", "drain", *words, "--store", url)
    assert wrong.returncode == 2
    assert wrong.stderr.endswith(f"{said}\n")
    assert machines.beat(NORTH) is False


def test_watching_tells_each_change_until_it_is_interrupted(
    swarm: Run, url: str, machines: PostgresMachines, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter(range(3))

    def sleep(_: float) -> None:
        if (turn := next(turns)) == 1:
            machines.beat(replace(NORTH, done=1_205))
        elif turn == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    watched = swarm("workers", "--store", url, "--json", "--watch")
    assert watched.returncode == 130
    assert [json.loads(line)["workers"][0]["done"] for line in watched.stdout.splitlines()] == [1_204, 1_205]


def test_a_server_that_is_not_there_is_one_line_without_the_password(swarm: Run) -> None:
    gone = swarm("workers", "--store", "postgresql://me:hunter2@127.0.0.1:1/there")
    assert gone.returncode == 2
    assert len(gone.stderr.splitlines()) == 1
    assert "hunter2" not in gone.stderr + gone.stdout
