"""The screen of `swarm watch`, driven by its keys: over staged runs, which go on meanwhile, and over a real one in
another process, which hears what it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from swarm.cli.watching.app import Main, Watch, wait_seconds
from swarm.cli.watching.argued import Argued
from swarm.cli.watching.ink import plain
from swarm.cli.watching.look import Look
from swarm.cli.watching.panel import strip
from swarm.cli.watching.screens import Question, Text, Words
from swarm.errors import StoreError
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.testing.provider import Provider
from swarm.testing.staged import Script, Stage

WIDE, NARROW = (200, 60), (80, 24)
_PATIENCE_SECONDS = 20.0


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are looked at more often than a person would."""
    monkeypatch.setattr("swarm.cli.watching.app.SOONEST_SECONDS", 0.05)
    monkeypatch.setattr("swarm.cli.watching.app._IDLE_SECONDS", 0.2)
    monkeypatch.setattr("swarm.cli.watching.app._OVER_SECONDS", 0.2)
    monkeypatch.setattr("swarm.cli.watching.argued._LEAST_SECONDS", 0.02)


@asynccontextmanager
async def watched(
    path: Path, size: tuple[int, int] = WIDE, clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[Main, Pilot[None]]]:
    """The screen over the last run of a store, once it shows something."""
    with open_run("last", path) as opened:
        app = Watch(Look(Follower(opened, clock)), Argued(opened))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.frame is not None and not app.frame.head.behind)
            yield app.main, pilot


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        await pilot.pause(0.02)
    await pilot.pause()


def lines(main: Main, name: str) -> list[str]:
    return [plain(item.line).rstrip() for item in main.panels[name].items]


def on_screen(main: Main) -> list[str]:
    """What a person sees, line by line."""
    strips = main.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


async def test_a_run_is_watched_while_it_goes_on_and_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100, left=3)) as stage:
        await stage.open()
        async with watched(path, clock=lambda: stage.now) as (main, pilot):
            assert lines(main, "findings") == ["nothing was found yet"]
            await stage.work(4)
            await stage.begin_call(6)
            await until(pilot, lambda: "1 of 8 places busy" in lines(main, "places")[0])
            assert lines(main, "places")[1].startswith("▶ mills/volume-0001.md")
            assert lines(main, "plan")[1].lstrip().startswith("▶ mills/volume-0001.md")
            assert len(lines(main, "findings")) == 40
            assert lines(main, "failures")[0] == "✗ mills/volume-0001.md 0–12%"
            await until(pilot, lambda: lines(main, "disputes")[0].startswith("≠ Mill "))
            await stage.end()
            await until(pilot, lambda: any("✓ answered" in line for line in on_screen(main)))
            assert "0 of 8 places busy" in lines(main, "places")[0]


async def test_all_panels_are_side_by_side_where_there_is_room_for_them(mills: Path) -> None:
    async with watched(mills) as (main, pilot):
        assert all(panel.display and panel.size.height >= 1 for panel in main.panels.values())
        seen = "\n".join(on_screen(main))
        for title in ("1 Plan", "2 At work", "3 Spent", "4 Found", "5 Disputed", "6 Failed (1)", "7 Added"):
            assert title in seen
        await pilot.press("tab")
        assert main.panels["places"].has_focus
        await pilot.press("shift+tab", "shift+tab")
        assert main.panels["instructions"].has_focus


async def test_a_small_terminal_shows_one_panel_at_a_time(mills: Path) -> None:
    async with watched(mills, NARROW) as (main, pilot):
        assert [panel.id for panel in main.panels.values() if panel.display] == ["plan"]
        assert any(line.lstrip().startswith("[1 Plan] 2 At work  3 Spent") for line in on_screen(main))
        await pilot.press("tab", "tab")
        assert [panel.id for panel in main.panels.values() if panel.display] == ["spent"]
        assert any("dollars" in line and "of $5.00" in line for line in on_screen(main))
        await pilot.press("6")
        await pilot.pause()
        assert any("Field required" in line for line in on_screen(main))
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: all(panel.display for panel in main.panels.values()))
        assert main.panels["failures"].has_focus


async def test_no_size_of_a_terminal_breaks_it(mills: Path) -> None:
    async with watched(mills, (1, 1)) as (main, pilot):
        for size in ((12, 4), (150, 40)):
            await pilot.press("down", "enter", "escape", "x")
            assert isinstance(main.app.screen, Question)
            await pilot.resize_terminal(*size)
            await pilot.press("n", "tab")
            await pilot.pause()
            assert main.app.screen is main
            assert all(len(line) <= size[0] for line in on_screen(main))


async def test_branches_and_slices_open_under_the_cursor(mills: Path) -> None:
    async with watched(mills, NARROW) as (main, pilot):
        assert len(lines(main, "plan")) == 11
        await pilot.press("left")
        await until(pilot, lambda: len(lines(main, "plan")) == 1)
        await pilot.press("enter")
        await until(pilot, lambda: len(lines(main, "plan")) == 11)
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(main.app.screen, Text))
        seen = "\n".join(on_screen(main))
        assert "mills/volume-0001.md 9–19%" in seen
        assert "what is asked" in seen
        await pilot.press("pagedown", "escape")
        assert main.app.screen is main
        await pilot.press("question_mark")
        assert "have it go on" in "\n".join(on_screen(main))


async def test_the_cursor_stays_on_its_slice_while_others_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=200, left=3)) as stage:
        await stage.open()
        await stage.work(3)
        async with watched(path, clock=lambda: stage.now) as (main, pilot):
            await pilot.press("down", "down", "down")
            panel = main.panels["plan"]
            chosen = panel.chosen
            assert chosen is not None
            await stage.begin_call(9)
            await stage.begin_call(10)
            await until(pilot, lambda: "running" in lines(main, "plan")[2])
            assert panel.chosen is not None
            assert (panel.chosen.slice, panel.cursor) == (chosen.slice, 5)


async def test_a_hostile_run_is_only_text(hostile: Path) -> None:
    async with watched(hostile) as (main, pilot):
        await until(pilot, lambda: lines(main, "disputes") != ["not looked for yet"])
        seen = "\n".join(on_screen(main))
        assert "[red]" in seen
        assert "\x1b" not in seen
        assert "\x07" not in seen
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(main.app.screen, Text))
        await pilot.press("escape", "c")
        assert isinstance(main.app.screen, Question)
        assert "\x1b" not in main.app.export_screenshot()


async def test_a_run_that_nobody_is_at_says_so_when_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=40, left=3)) as stage:
        await stage.open()
        await stage.work(2)
    async with watched(path, NARROW) as (main, pilot):
        assert any(f"go on with: swarm resume staged --store {path}"[:70] in line for line in on_screen(main))
        await pilot.press("p")
        await until(pilot, lambda: main.said.startswith("no process is at the run staged"))
        assert any("no process is at the run" in line for line in on_screen(main))
        await pilot.press("c")
        assert main.said.startswith("choose a slice first")
        await pilot.press("s", *"More.", "enter")
        await until(pilot, lambda: main.said == "it goes by that from now on, when it goes on")
        await pilot.press("s")
        assert isinstance(main.app.screen, Words)
        await pilot.press("escape")
        assert main.app.screen is main


async def test_a_store_that_goes_away_leaves_what_was_seen(mills: Path) -> None:
    def gone() -> bool:
        raise StoreError("the server at postgres://me:secret@host/db does not answer")

    async with watched(mills) as (main, pilot):
        main.look.followed.poll = gone  # type: ignore[method-assign]
        await until(pilot, lambda: main.said.endswith("; this is how it stood then"))
        assert "secret" not in main.said
        assert "9 done" in " ".join(on_screen(main))


async def test_nothing_is_drawn_again_that_has_not_changed(mills: Path) -> None:
    async with watched(mills, NARROW) as (main, pilot):
        await until(pilot, lambda: main.look.disputes is not None)
        plan = main.panels["plan"]
        items = plan.items
        assert main.frame is not None
        main.show(main.frame)
        assert plan.items is items
        for text in ("a", "a line that is cut at a word", "字字字字字字", ""):
            row = strip(plan, ((text, "dim"), ("end", "")), 7)
            assert cell_len("".join(segment.text for segment in row)) == 7, "what was there before is painted over"
        assert main.panels["findings"].drawings == 0, "what is not shown is not drawn"


def test_a_run_is_looked_at_less_often_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert wait_seconds(2.0, 0.001, changed=True, live=True) == 0.5
    assert wait_seconds(0.5, 0.04, changed=True, live=True) == 1.0
    assert wait_seconds(0.5, 9.0, changed=True, live=True) == 2.0
    waits = [0.5]
    for _ in range(12):
        waits.append(wait_seconds(waits[-1], 0.001, changed=False, live=True))
    assert (waits[1], waits[-1]) == (0.75, 2.0)
    for _ in range(12):
        waits.append(wait_seconds(waits[-1], 0.001, changed=False, live=False))
    assert waits[-1] == 10.0


async def test_a_real_run_in_another_process_hears_what_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(8):
        told = [f"It rained on day {n} of the year {number}, and nobody went out." for n in range(70)]
        (notes / f"{number}.txt").write_text("\n\n".join([*told, f"The key is under stone {number}."]))
    with Provider(latency=0.2) as provider:
        model = ["--model", "openai:any", "--base-url", provider.openai_url, "--window", "6000"]
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "swarm"), "ask", "Where is the key?", "notes", *model,
             "--concurrency", "2", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path,
            env={**os.environ, "OPENAI_API_KEY": "sk-test-0123456789"},
        )  # fmt: skip
        try:
            provider.tally.wait_for(requests=3, seconds=20)
            async with watched(tmp_path / ".swarm/swarm.db", NARROW) as (main, pilot):
                chosen = await told_and_stopped(main, pilot, provider)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            process.communicate()
    answer = json.loads(out)
    assert (process.returncode, answer["status"], answer["stopped"]) == (3, "partial", "interrupted")
    with open_run("last", tmp_path / ".swarm/swarm.db") as opened:
        records = opened.journal.records(opened.run, "request")
        heard = [(one.body["what"], one.body.get("slice", "")) for one in records]
    assert heard == [("pause", ""), ("cancel", chosen), ("go_on", ""), ("stop", "")]
    assert any("Be brief." in json.dumps(request) for request in provider.requests)


async def told_and_stopped(main: Main, pilot: Pilot[None], provider: Provider) -> str:
    """Pause the run, have a slice left alone, add an instruction, have it go on, and stop it: each by its key. The
    id of that slice."""

    def status() -> str:
        assert main.frame is not None
        return main.frame.head.status

    await pilot.press("p")
    await until(pilot, lambda: main.said.startswith("paused: nothing new is begun"))
    await until(pilot, lambda: status() == "paused")
    await pilot.press("end")
    plan = main.panels["plan"]
    while not (plan.chosen is not None and plain(plan.chosen.line).lstrip().startswith("○")):
        assert plan.cursor
        await pilot.press("up")
    chosen = plan.chosen
    await pilot.press("c", "y")
    await until(pilot, lambda: main.said == f"the slice {chosen.slice[:12]} is left alone")
    await pilot.press("s", *"Be brief.", "enter")
    await until(pilot, lambda: main.said == "it goes by that from now on")
    await until(pilot, lambda: main.frame is not None and main.frame.instructions == ("Be brief.",))
    sent = provider.tally.requests
    await pilot.press("p")
    await until(pilot, lambda: main.said == "it goes on")
    await until(pilot, lambda: provider.tally.requests > sent + 1)
    provider.latency = 0.8  # what is left takes longer than to say that it is to stop
    await pilot.press("x", "n", "x", "y")
    await until(pilot, lambda: main.said.startswith("it stops: calls in flight finish"))
    await until(pilot, lambda: status() == "partial")
    assert plain(main._head.lines[1]).startswith("go on with: swarm resume ")
    return chosen.slice
