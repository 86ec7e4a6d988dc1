"""`swarm watch` as a command: on a terminal of its own, and where there is none."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.cli.watch import follow_in_lines
from swarm.cli.watching.argued import Argued
from swarm.cli.watching.look import Look
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.testing.postgres import LocalPostgres
from swarm.testing.staged import Script, Stage, staged

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """With a run that is over."""
    path = tmp_path / "swarm.db"
    asyncio.run(staged(path, Script(findings=60)))
    return path


def test_once_prints_how_it_stands_and_ends(swarm: Run, store: Path) -> None:
    done = swarm("watch", "last", "--once", "--store", str(store))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["✓", "answered", "staged"]
    for title in ("Plan", "At work", "Spent", "Found", "Disputed", "Failed", "Added"):
        assert title in lines
    assert "    ✗ mills/volume-0001.md 0–33%" in "\n".join(lines)
    assert any(line.startswith("  ≠ Mill ") for line in lines)
    assert all(len(line) <= 100 for line in lines)


def test_json_is_one_object(swarm: Run, store: Path) -> None:
    done = swarm("watch", "staged", "--json", "--store", str(store))
    told = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert (told["head"]["run"], told["head"]["status"], told["states"]) == (
        "staged", "answered", {"done": 2, "failed": 1},
    )  # fmt: skip
    assert len(told["disputes"]["pairs"]) == 2
    assert told["places"] == {"busy": 0, "of": 8, "workers": []}


def test_without_a_terminal_it_prints_lines_until_nobody_is_at_the_run(swarm: Run, store: Path) -> None:
    done = swarm("watch", "last", "--store", str(store))
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert done.stdout.startswith("staged answered · 2 of 3 slices done · 1 failed · 5 calls, ")


async def test_lines_come_while_the_run_goes_on_and_end_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100, left=2)) as stage:
        await stage.open()
        with open_run("last", path) as opened:
            look = Look(Follower(opened, lambda: stage.now))
            lines = asyncio.create_task(asyncio.to_thread(follow_in_lines, look, 0.05))
            said: list[str] = []

            async def heard(what: str) -> None:
                while what not in "".join(said):
                    await asyncio.to_thread(time.sleep, 0.01)
                    said.append(capsys.readouterr().out)

            await heard("7 slices")
            await stage.work(3)
            await heard("2 of 7 slices done · 1 failed")
            assert not lines.done()
            stage.journal.let_go("staged")
            assert await lines == 0
    out = "".join([*said, capsys.readouterr().out])
    assert [line.split(" · ")[0] for line in out.splitlines()][-2:] == [
        "staged interrupted", f"go on with: swarm resume staged --store {path}",
    ]  # fmt: skip


def test_where_there_is_no_run_it_says_so_in_a_line(swarm: Run, tmp_path: Path) -> None:
    done = swarm("watch", "last")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swarm: .swarm/swarm.db does not exist: name the store with --store\n"
    Stage(tmp_path / ".swarm/swarm.db", Script()).close()
    done = swarm("watch", "last")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "swarm: .swarm/swarm.db holds no run yet: begin one, and watch it then\n"
    done = swarm("watch", "nobody")
    assert done.stderr == "swarm: .swarm/swarm.db holds no run nobody: check the id, or name another --store\n"


def test_a_run_on_a_server_is_watched_as_any_other(swarm: Run, tmp_path: Path, postgres: LocalPostgres) -> None:
    (tmp_path / "a.txt").write_text("The key was under the mat in 1730.\n\nThe key is under the stone.")
    url = postgres.database()
    assert swarm("ask", "Where is the key?", "a.txt", "--quiet", "--store", url).returncode == 0
    told = json.loads(swarm("watch", "last", "--json", "--store", url).stdout)
    assert (told["head"]["status"], told["states"]) == ("answered", {"done": 1})
    assert any("under the mat" in finding["text"] for finding in told["findings"])
    assert told["disputes"] is not None
    done = swarm("watch", "last", "--once", "--store", url)
    assert "✓ a.txt" in done.stdout
    assert url not in done.stdout
    with open_run("last", url) as opened:
        argued = Argued(opened, lambda: 7.0)
        first = argued.look(1)
        assert not argued.due(2), "its graph is made anew for each look, and that costs"
        assert argued.look(2) == first


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")
def test_on_a_real_terminal_it_shows_the_run_and_leaves_a_line(tmp_path: Path) -> None:
    """A real run, in a real terminal; tmux is the terminal."""
    swarm = str(Path(sys.executable).parent / "swarm")
    (tmp_path / "a.txt").write_text("The key is under the mat.")
    ask = [swarm, "ask", "Where is the key?", "a.txt", "--quiet", "--max-slices", "0"]
    assert subprocess.run(ask, cwd=tmp_path, capture_output=True).returncode == 3
    server = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]

    def seen(what: str) -> str:
        end = time.monotonic() + 30
        while what not in (screen := tmux("capture-pane", "-p", "-J", "-t", "watched")):
            assert time.monotonic() < end, screen
            time.sleep(0.05)
        return screen

    def tmux(*words: str) -> str:
        return subprocess.run([*server, *words], capture_output=True, text=True, cwd=tmp_path).stdout

    environment = {**os.environ, "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", "PS1": "$ "}
    begin = [*server, "-u", "new-session", "-d", "-s", "watched", "-x", "80", "-y", "24", "sh"]
    subprocess.run(begin, check=True, cwd=tmp_path, env=environment)
    try:
        tmux("send-keys", "-t", "watched", f"clear; {swarm} watch last", "Enter")
        screen = seen("○ 1 ready")
        assert "◐ partial · " in screen
        assert "go on with: swarm resume " in screen
        assert "[1 Plan] 2 At work" in screen
        tmux("send-keys", "-t", "watched", "p")
        seen("✗ no process is at the run ")
        tmux("send-keys", "-t", "watched", "Down", "Enter")
        assert "Where is the key?" in seen("what it reads: 25 characters")
        tmux("send-keys", "-t", "watched", "Escape")
        seen("○ a.txt")
        tmux("send-keys", "-t", "watched", "q")
        left = seen("0 of 1 slice done")
        assert "[1 Plan]" not in left, "the screen is as it was"
    finally:
        tmux("kill-server")
