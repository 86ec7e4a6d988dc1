"""A run that several look into at once is looked at no more often than it is worth."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from swarm.inspect.data import ground
from swarm.inspect.data.coverage import coverage
from swarm.inspect.data.overview import overview
from swarm.inspect.follow import Follower
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.testing.staged import Script, Stage


class Watch:
    """A clock that goes on by `tick` seconds with each look at it."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick = 100.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each time that a run is caught up with."""
    found: list[str] = []
    known = Follower.catch_up

    def catch_up(self: Follower) -> None:
        found.append(self.status)
        known(self)

    monkeypatch.setattr(Follower, "catch_up", catch_up)
    return found


async def test_a_run_is_looked_at_twice_a_second_at_most_and_not_once_it_came_to_its_end(
    tmp_path: Path, polls: list[str]
) -> None:
    path, watch = tmp_path / "swarm.db", Watch()
    async with Stage(path, Script(findings=40)) as stage:
        await stage.open()
        with open_run("last", path) as opened:
            look = Look(opened, lambda: stage.now, watch)
            for _ in range(17):
                look.fresh()
                watch.now += 0.125
            assert len(polls) == 5
            await stage.work()
            await stage.end()
            watch.now += 1
            assert look.fresh().status == "answered"
            before = len(polls)
            watch.now += 1_000
            look.fresh()
            assert len(polls) == before


async def test_a_run_that_nobody_is_at_may_be_gone_on_with_and_is_looked_at_now_and_then(
    tmp_path: Path, polls: list[str]
) -> None:
    path, watch = tmp_path / "swarm.db", Watch()
    async with Stage(path, Script(findings=40)) as stage:
        await stage.open()
        await stage.work(1)
    with open_run("last", path) as opened:
        look = Look(opened, watch=watch)
        for _ in range(21):
            assert look.fresh().status == "interrupted"
            watch.now += 1
        assert len(polls) == 5


async def test_what_is_kept_is_brought_forward_by_what_is_new_and_is_the_same_as_if_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, watch = tmp_path / "swarm.db", Watch(0.05)
    made: list[str] = []
    known = ground._cited

    def cited(look: Look, spans: ground.Spans, before: ground.Cited | None) -> ground.Cited:
        if look.opened.where == path:
            made.append("whole" if before is None else "more")
        return known(look, spans, before)

    monkeypatch.setattr(ground, "_cited", cited)
    async with Stage(path, Script(findings=200)) as stage:
        await stage.open()
        await stage.work(2)
        with open_run("last", path) as opened:
            look = Look(opened, lambda: stage.now, watch)

            def same() -> None:
                """What is kept is what somebody tells who has just come."""
                fresh = Look(replace(opened, where=None), lambda: stage.now)
                assert overview(look)["graph"] == overview(fresh)["graph"]
                assert coverage(look) == coverage(fresh)

            same()
            for seconds in (2, 1_000, 2):
                await stage.work(2)
                watch.now += seconds
                same()
            await stage.work()
            await stage.end()
            watch.now += 2
            same()
    assert made == ["whole", "more", "whole", "more", "whole"]


def test_what_is_kept_waits_until_it_is_worth_it_but_for_what_is_to_be_made_at_once(tmp_path: Path) -> None:
    watch = Watch()
    with open_run("last", begun(tmp_path)) as opened:
        look = Look(opened, watch=watch)
        look.follower.status = "running"

        def make() -> float:
            watch.now += 1
            return watch.now

        first = look.kept("a", make, 1)
        watch.now += 19
        assert look.kept("a", make, 2) == first
        assert look.kept("b", make, 1, at_once=True) < look.kept("b", make, 2, at_once=True)
        assert look.kept("a", make, 2) > first
        first = look.kept("a", make, 2)
        look.follower.status = "answered"
        assert look.kept("a", make, 3) > first


def begun(folder: Path) -> Path:
    path = folder / "swarm.db"

    async def stage() -> None:
        async with Stage(path, Script(findings=20)) as one:
            await one.open()

    asyncio.run(stage())
    return path


def test_what_is_kept_is_made_once_for_a_version(mills: Path) -> None:
    with open_run("last", mills) as opened:
        look = Look(opened)
        made: list[int] = []

        def make() -> int:
            made.append(1)
            return len(made)

        assert [look.kept("a", make), look.kept("a", make), look.kept("b", make)] == [1, 1, 2]
        assert [look.kept("a", make, "x"), look.kept("a", make, "x"), look.kept("a", make, "y")] == [3, 3, 4]
