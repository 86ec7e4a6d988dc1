"""A watched run that machines work: who has a slice, what each did, who is alive."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.cli.watching import draw
from swarm.cli.watching.detail import detail
from swarm.cli.watching.frame import AtWork, OnMachine, Places
from swarm.cli.watching.ink import plain
from swarm.cli.watching.told import document
from swarm.testing.staged import Script, staged
from tests.cli.watching.conftest import LookAt


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("machines") / "swarm.db"
    asyncio.run(staged(path, Script(findings=60, machines=("north", "\x1b[31msouth"), lost=1)))
    return path


def test_machines_stand_below_the_places_with_what_they_did(store: Path, look_at: LookAt) -> None:
    frame = look_at(store).next()
    lines = [plain(item.line).rstrip() for item in draw.places(frame, 60)]
    at = lines.index("on machines")
    assert [line.split() for line in lines[at + 1 :]] == [
        ["·", "north", *"0 at work · 1 failed · 1 lost".split()],
        ["·", "south", *"0 at work · 2 done".split()],
    ]
    assert [one["name"] for one in document(frame)["machines"]] == ["north", "south"]


def test_who_is_alive_silent_or_draining_is_told_with_a_sign_and_a_word(store: Path, look_at: LookAt) -> None:
    frame = look_at(store).next()
    one = OnMachine(name="north", life="alive", draining=True, working=2, done=0, failed=0, lost=0)
    worker = AtWork(key="s1", name="piece", doing="read", seconds=5.0, cost_usd=0.0, machine="north")
    frame = replace(
        frame,
        places=Places(busy=1, of=1, workers=(worker,)),
        machines=(one, replace(one, name="south", life="silent", draining=False)),
    )
    lines = [plain(item.line).split() for item in draw.places(frame, 80)]
    assert lines[1] == ["▶", "piece", "read", "on", "north", "5s"]
    assert lines[-2:] == [
        ["●", "north", "alive,", "draining", "2", "at", "work"],
        ["◌", "south", "silent", "2", "at", "work"],
    ]
    assert "on" not in plain(draw.places(frame, 50)[1].line).split(), "there is no room for it"


def test_a_slice_that_is_looked_into_names_its_machines(store: Path, look_at: LookAt) -> None:
    look = look_at(store)
    look.next()
    lines = [plain(line) for line in detail(look.followed, look.names, list(look.followed.plan.slices)[-1], 80)]
    assert lines[3] == "on south"
    assert lines[4].startswith("before on north, lost ")


def test_a_run_that_no_machine_works_is_drawn_without(mills: Path, look_at: LookAt) -> None:
    look = look_at(mills)
    frame = look.next()
    assert frame.machines == ()
    assert "on machines" not in [plain(item.line) for item in draw.places(frame, 80)]
    lines = [plain(line) for line in detail(look.followed, look.names, next(iter(look.followed.plan.slices)), 80)]
    assert not [line for line in lines if line.startswith(("on ", "before on "))]
