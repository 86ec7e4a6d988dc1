"""A run that machines worked: which slice was on which, what was lost, who is alive; in every view alike."""

from __future__ import annotations

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from swarm.errors import StoreError
from swarm.inspect.alive import EVERY_SECONDS, Alive
from swarm.inspect.data import ENDPOINTS
from swarm.inspect.export.files import write_csv, write_folder
from swarm.inspect.export.tables import tables
from swarm.inspect.follow import Follower
from swarm.inspect.look import Look
from swarm.inspect.machines import Stay
from swarm.inspect.opened import open_run
from swarm.inspect.report.write import write_report
from swarm.inspect.why import why
from swarm.store.journal import Entry
from swarm.store.machines import LOST_SECONDS, Seen
from swarm.store.opening import open_store
from swarm.testing.postgres import LocalPostgres
from swarm.testing.staged import Script, Stage, machine_id, staged

HOSTS = ("north", "south", "east")
LOST = 2


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run whose ten slices three machines worked; two slices were lost halfway, and taken over."""
    path = tmp_path_factory.mktemp("machines") / "swarm.db"
    asyncio.run(staged(path, Script(findings=200, machines=HOSTS, lost=LOST)))
    return path


@pytest.fixture(scope="module")
def look(store: Path) -> Iterator[Look]:
    with open_run("last", store) as opened:
        look = Look(opened)
        look.fresh()
        yield look


def tallies(followed: Follower) -> dict[str, tuple[int, int, int, int]]:
    """Of each machine by its host: slices at work, done, failed, and lost."""
    return {
        one.host: (one.slices["running"], one.slices["done"], one.slices["failed"], one.lost)
        for one in followed.plan.machines.known.values()
    }


# What is known


def test_each_machine_is_told_with_what_it_did_and_lost(look: Look) -> None:
    assert tallies(look.follower) == {"north": (0, 3, 1, 1), "south": (0, 4, 0, 0), "east": (0, 2, 0, 1)}
    slices = list(look.follower.plan.slices.values())
    assert Counter(one.moved for one in slices) == {0: 8, 1: LOST}
    last = slices[-1]
    assert last.machine == machine_id("south")
    (stay,) = last.stays
    assert (stay.machine, stay.lost) == (machine_id("north"), True)
    assert last.machine_at(stay.until - 0.1) == machine_id("north")
    assert last.machine_at(stay.until) == machine_id("south")


async def test_what_is_told_on_the_way_is_told_in_the_end(tmp_path: Path) -> None:
    async with Stage(tmp_path / "s.db", Script(findings=120, machines=HOSTS, lost=LOST)) as stage:
        await stage.open()
        with open_run("last", tmp_path / "s.db") as opened:
            followed = Follower(opened)
            while await stage.work(1):
                followed.poll()
                assert sum(tallies(followed)["north"]) > 0
            await stage.end()
            followed.catch_up()
            whole = Follower(opened)
            whole.catch_up()
            assert tallies(followed) == tallies(whole)
            told = [
                {id_: (one.machine, one.stays) for id_, one in each.plan.slices.items()}
                for each in (followed, whole)
            ]
            assert told[0] == told[1]


async def test_a_slice_that_failed_and_is_tried_again_elsewhere_was_not_lost(tmp_path: Path) -> None:
    async with Stage(tmp_path / "s.db", Script(findings=40, failing=1, machines=("north",))) as stage:
        await stage.open()
        await stage.work(1)
        id_ = stage.slices[0].id

        async def placed(host: str, epoch: int) -> None:
            body = {"machine": machine_id(host), "host": host}
            await stage.journal.append(stage.script.run, Entry(kind="placed", key=f"{id_}:{epoch}", body=body))

        with open_run("last", tmp_path / "s.db") as opened:
            before = opened.journal.latest(opened.run, "session")
            assert before is not None
            stage.now += 1
            await stage.journal.append(opened.run, Entry(kind="session", key="2", body=before.body))
            stage.now += 1
            await placed("south", 90)
            await placed("south", 91)
            followed = Follower(opened)
            followed.catch_up()
            seen = followed.plan.slices[id_]
            assert (seen.state, seen.machine, seen.moved) == ("running", machine_id("south"), 0)
            assert seen.stays == (Stay(machine_id("north"), stage.now - 1, False),)
            assert tallies(followed) == {"north": (0, 0, 0, 0), "south": (1, 0, 0, 0)}


async def test_machines_of_one_host_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    async with Stage(tmp_path / "s.db", Script(findings=40, machines=("north",))) as stage:
        await stage.open()
        await stage.work(1)
        with open_run("last", tmp_path / "s.db") as opened:
            followed = Follower(opened)
            followed.catch_up()
            machines = followed.plan.machines
            assert machines.name(machine_id("north")) == "north"
            machines.begin("north-2", "north", 1.0)
            assert [machines.name(id_) for id_ in machines.known] == [machine_id("north"), "north-2"]


# Who is alive


class Asked:
    """Machines of a server, which counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0
        self.seen_: list[Seen] = []
        self.broken = False

    def seen(self) -> list[Seen]:
        self.times += 1
        if self.broken:
            raise StoreError("the server is gone")
        return self.seen_


def north(ago: float = 0.0, *, draining: bool = False) -> Seen:
    return Seen(
        id=machine_id("north"), host="north", pid=1, version="1", places=1, started=1.0, ago=ago, draining=draining
    )


def test_who_is_alive_is_asked_of_a_server_while_the_run_goes_on_and_not_too_often(store: Path) -> None:
    asked, now = Asked(), [100.0]
    asked.seen_ = [north()]
    with open_run("last", store) as opened:
        followed = Follower(replace(opened, machines=lambda: asked))  # type: ignore[arg-type, return-value]
        followed.catch_up()
        alive = Alive(followed, lambda: now[0])
        assert alive.seen() == {}
        assert asked.times == 0, "the run is over"
        followed.status = "running"
        for _ in range(5):
            assert [one.life for one in alive.seen().values()] == ["alive"]
        assert (asked.times, alive.turns) == (1, 1)
        now[0] += EVERY_SECONDS
        asked.seen_ = [north(ago=1.0)]
        alive.seen()
        assert (asked.times, alive.turns) == (2, 1)
        now[0] += EVERY_SECONDS
        asked.seen_ = [north(ago=LOST_SECONDS)]
        assert [one.life for one in alive.seen().values()] == ["lost"]
        assert alive.turns == 2
        now[0] += EVERY_SECONDS
        asked.broken = True
        assert alive.seen() == {}


def test_the_overview_tells_who_is_alive_and_is_new_when_that_changes(store: Path) -> None:
    asked, now = Asked(), [100.0]
    with open_run("last", store) as opened:
        look = Look(replace(opened, machines=lambda: asked), watch=lambda: now[0])  # type: ignore[arg-type, return-value]
        look.fresh().status = "interrupted"
        look._over = True
        before = ENDPOINTS["overview"](look)
        assert {one["life"] for one in before["machines"]} == {None}
        now[0] += EVERY_SECONDS
        asked.seen_ = [north(draining=True)]
        then = ENDPOINTS["overview"](look)
        assert then["version"] > before["version"]
        assert [(one["name"], one["life"], one["draining"]) for one in then["machines"]] == [
            ("north", "alive", True), ("south", None, False), ("east", None, False),
        ]  # fmt: skip


async def test_of_a_store_on_a_server_it_is_told_who_is_alive(
    postgres: LocalPostgres, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = postgres.database()
    with open_run("last", store) as opened, open_store(url) as server:
        records = [one for one in opened.journal.history(opened.run) if one.kind in ("task", "session", "placed")]
        entries = [Entry(kind=one.kind, key=one.key, body=one.body) for one in records]
        await server.journal.append(opened.run, *entries)
        server.machines.beat(north())
        with open_run("last", url) as looked:
            assert looked.machines is not None
            told = ENDPOINTS["overview"](Look(looked))
        assert told["status"] == "running"
        assert {one["name"]: one["life"] for one in told["machines"]} == {
            "north": "alive", "south": None, "east": None,
        }  # fmt: skip


def test_who_works_in_no_machine_asks_nobody(mills: Path) -> None:
    asked = Asked()
    with open_run("last", mills) as opened:
        followed = Follower(replace(opened, machines=lambda: asked))  # type: ignore[arg-type, return-value]
        followed.catch_up()
        followed.status = "running"
        assert Alive(followed).seen() == {}
    assert asked.times == 0


# Views


def test_the_page_tells_machines_of_the_run_and_of_a_slice(look: Look) -> None:
    machines = ENDPOINTS["overview"](look)["machines"]
    assert [(one["name"], one["done"], one["failed"], one["lost"], one["life"]) for one in machines] == [
        ("north", 3, 1, 1, None), ("south", 4, 0, 0, None), ("east", 2, 0, 1, None),
    ]  # fmt: skip
    id_ = list(look.follower.plan.slices)[-1]
    told = ENDPOINTS["slice"](look, id_)
    assert told["machine"] == "south"
    assert [(one["name"], one["lost"], one["until"] is None) for one in told["machines"]] == [
        ("north", True, False), ("south", False, True),
    ]  # fmt: skip


def test_lanes_are_grouped_by_machine_and_a_lost_slice_has_a_bar_on_each(look: Look) -> None:
    told = ENDPOINTS["timeline"](look)
    assert [one["name"] for one in told["machines"]] == list(HOSTS)
    assert sum(one["lanes"] for one in told["machines"]) == told["lanes"]["places"]
    host = [one["name"] for one in told["machines"] for _ in range(one["lanes"])]
    slices = look.follower.plan.slices
    bars: dict[str, list[tuple[float, str, str]]] = {}
    by_lane: dict[int, list[Any]] = {}
    for lane, begun, ended, state, id_, *_ in told["bars"]:
        by_lane.setdefault(lane, []).append((begun, ended))
        if id_:
            bars.setdefault(id_, []).append((begun, state, host[lane]))
    for several in by_lane.values():
        assert all(one[1] <= other[0] for one, other in pairwise(sorted(several)))
    for id_, seen in slices.items():
        stays = [(machine, "moved") for machine, *_ in seen.stays] + [(seen.machine, seen.state)]
        assert [(machine_id(where), state) for _, state, where in sorted(bars[id_])] == stays
    worked = sum((one.ended or 0.0) - (one.begun or 0.0) for one in slices.values())
    assert sum(busy for _, busy in told["busy"]) * told["step"] == pytest.approx(worked, rel=1e-3)


def test_a_run_that_no_machine_worked_tells_of_none(mills: Path) -> None:
    with open_run("last", mills) as opened:
        look, out = Look(opened), io.BytesIO()
        assert ENDPOINTS["overview"](look)["machines"] == []
        assert ENDPOINTS["timeline"](look)["machines"] == []
        id_ = next(iter(look.follower.plan.slices))
        assert (ENDPOINTS["slice"](look, id_)["machine"], ENDPOINTS["slice"](look, id_)["machines"]) == (None, [])
        write_report(opened, out)
    assert b"<h2>Machines</h2>" not in out.getvalue()


def test_the_report_has_a_section_of_machines_and_never_who_was_alive(store: Path) -> None:
    asked = Asked()
    with open_run("last", store) as opened:
        out = io.BytesIO()
        write_report(replace(opened, machines=lambda: asked), out)  # type: ignore[arg-type, return-value]
    text = out.getvalue().decode()
    paper = text[text.index("<h2>Machines</h2>") : text.index("<h2>What was read</h2>")]
    assert [host for host in HOSTS if host in paper] == list(HOSTS)
    assert "lost to another" in paper
    assert asked.times == 0


def test_tables_name_the_machine_of_slices_and_of_calls(store: Path, tmp_path: Path) -> None:
    with open_run("last", store) as opened:
        write_folder(tmp_path / "out", tables(Look(opened)), write_csv)
    read = {}
    for name in ("slices", "calls"):
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            read[name] = list(csv.DictReader(file))
    assert Counter(row["machine"] for row in read["slices"]) == {
        machine_id("north"): 4, machine_id("south"): 4, machine_id("east"): 2,
    }  # fmt: skip
    assert sum(int(row["moved"]) for row in read["slices"]) == LOST
    by_slice = {row["id"]: row["machine"] for row in read["slices"]}
    of_slices = [row for row in read["calls"] if row["slice"]]
    assert [row["machine"] for row in of_slices] == [by_slice[row["slice"]] for row in of_slices]
    assert {row["machine"] for row in read["calls"] if not row["slice"]} == {""}


def test_why_names_the_machines_that_a_slice_was_on(look: Look) -> None:
    told = why(look.opened, list(look.follower.plan.slices)[-1], followed=look.follower)
    assert [step.machines for step in told.steps] == [("north", "south")]
