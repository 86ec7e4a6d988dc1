"""Who worked when: never more lanes than places, no bar over another, and what was worked comes to the bars."""

from __future__ import annotations

from collections import defaultdict
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from swarm.inspect.data.lanes import lay
from swarm.inspect.data.timeline import timeline
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.testing.staged import Script, Stage

module = import_module("swarm.inspect.data.timeline")  # the function has its name in the package


def by_lane(told: dict[str, Any]) -> dict[int, list[tuple[float, float]]]:
    found = defaultdict(list)
    for lane, begun, ended, *_ in told["bars"]:
        found[lane].append((begun, ended))
    return {lane: sorted(bars) for lane, bars in found.items()}


@pytest.mark.parametrize("most", [4_000, 12])
def test_bars_of_a_lane_are_apart_and_no_more_lanes_are_used_than_there_are_places(
    look: Look, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "BARS", most)
    told = timeline(look)
    assert told["lanes"] == {"places": 8, "coordinator": 1}
    assert told["exact"] == (most == 4_000)
    for bars in by_lane(told).values():
        assert all(one[1] <= other[0] for one, other in pairwise(bars))
    assert sum(bar[6] for bar in told["bars"]) == 20 + 2


def test_the_busy_places_come_to_the_time_that_was_worked(look: Look) -> None:
    told = timeline(look)
    seen = look.follower.plan.slices.values()
    worked = sum((one.ended or 0.0) - (one.begun or 0.0) for one in seen)
    assert sum(busy for _, busy in told["busy"]) * told["step"] == pytest.approx(worked, rel=1e-3)
    bars = sum((ended - begun) * share for lane, begun, ended, *_, share in told["bars"] if lane < 8)
    assert bars == pytest.approx(worked)
    room = 8 * (told["to"] - told["from"])
    assert told["idle"] == pytest.approx(1 - worked / room, rel=1e-3)
    assert max(busy for _, busy in told["busy"]) == 8


def test_a_part_of_the_time_shows_what_was_done_in_it(look: Look) -> None:
    whole = timeline(look)
    low, high = whole["from"] + 2.0, whole["from"] + 4.0
    part = timeline(look, low, high)
    assert (part["from"], part["to"], part["begun"], part["ended"]) == (low, high, whole["begun"], whole["ended"])
    assert part["bars"] == [bar for bar in whole["bars"] if bar[1] <= high and bar[2] >= low]
    assert timeline(look, whole["to"] + 100, whole["to"] + 200)["to"] == whole["to"]
    assert timeline(look, high, low)["to"] == high


def test_merged_bars_are_busy_for_as_long_as_what_is_in_them(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = timeline(look)
    monkeypatch.setattr(module, "BARS", 12)
    merged = timeline(look)
    assert len(merged["bars"]) <= 12

    def worked(told: dict[str, Any]) -> float:
        return sum((ended - begun) * share for _, begun, ended, *_, share in told["bars"])

    assert worked(merged) == pytest.approx(worked(exact), rel=1e-3)
    assert merged["busy"] == exact["busy"]
    assert "failed" in {bar[3] for bar in merged["bars"]}


async def test_what_is_at_work_lasts_until_now(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100)) as stage:
        await stage.open()
        await stage.begin_call(1)
        with open_run("last", path) as opened:
            look = Look(opened, lambda: stage.now + 30)
            told = timeline(look)
    (bar,) = [bar for bar in told["bars"] if bar[3] == "running"]
    assert (bar[1], bar[2], told["to"]) == (stage.now, stage.now + 30, stage.now + 30)
    assert told["idle"] == pytest.approx(1 - 30 / (8 * 32), rel=1e-3)


def test_planners_are_no_bars_and_what_they_ask_is_the_coordinators(work: Look) -> None:
    told = timeline(work)
    slices = {bar[5] for bar in told["bars"] if bar[4]}
    assert slices == {"part/inner", "end"}
    assert told["lanes"]["places"] <= told["of"] == 4
    asked = {bar[5] for bar in told["bars"] if not bar[4]}
    assert asked >= {"plan::1", "plan:part:1", "judge:part:1", "finish"}


def test_a_lane_is_free_again_as_soon_as_its_bar_ends() -> None:
    assert lay([(0, 2), (1, 3), (2, 4), (2.5, 3), (3, 9)]) == [0, 1, 0, 2, 1]
    assert lay([]) == []
