"""Looks into runs whose truth is known: one that read, and one that worked; each is made once and only read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from tests.coordinator.work.conftest import Team, order, outline, result


@pytest.fixture(scope="session")
def look(mills: Path) -> Iterator[Look]:
    with open_run("last", mills) as opened:
        yield Look(opened)


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run that worked: a planner with one more below it, two files of which one is given, a slice
    that fails at first, and a claim that rests on a result."""
    folder = tmp_path_factory.mktemp("worked")
    (folder / "bridge.md").write_text("The bridge is 40 m long.\n")
    (folder / "river.md").write_text("The river is deep.\n")
    team = Team(folder)

    def plan(prompt: Any) -> dict[str, Any]:
        if prompt.standings:
            return outline()
        if prompt.question == "Plan the part":
            return outline(order("inner", sources=["bridge.md"]))
        return outline(order("part", kind="plan", objective="Plan the part"), order("end", ["part"]))

    team.plan = plan
    team.do = lambda prompt: result("It is 40 m long.", summary="It is 40 m long.")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        asyncio.run(team.run("Build it", paths=("bridge.md", "river.md")))
    return team.store


@pytest.fixture(scope="session")
def work(worked: Path) -> Iterator[Look]:
    with open_run("last", worked) as opened:
        yield Look(opened)
