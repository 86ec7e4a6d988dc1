"""What is read of a run to show it: while it goes on, when it is over, and when its process has died."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from swarm.cli.watching.argued import Argued
from swarm.cli.watching.detail import detail
from swarm.cli.watching.ink import plain, width_of
from swarm.cli.watching.look import Fills, Look, Pace
from swarm.cli.watching.tree import Wish
from swarm.inspect.calls import Calls
from swarm.inspect.follow import Follower
from swarm.inspect.opened import open_run
from swarm.store.journal import Call
from swarm.testing.staged import Script, Stage
from tests.cli.watching.conftest import LookAt


async def test_a_run_is_shown_while_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=100, left=4)) as stage:
        await stage.open()
        with open_run("last", path) as opened:
            look = Look(Follower(opened, lambda: stage.now))
            frame = look.next()
            assert (frame.head.status, frame.head.phase, frame.head.behind) == ("running", "dispatch", False)
            assert dict(frame.states) == {"ready": 9}
            assert frame.findings == ()
            await stage.work(5)
            await stage.begin_call(7)
            stage.now += 2.0
            frame = look.next()
            assert dict(frame.states) == {"done": 4, "failed": 1, "running": 1, "ready": 3}
            (worker,) = frame.places.workers
            assert (frame.places.busy, frame.places.of) == (1, 8)
            assert (worker.name, worker.doing, worker.seconds) == ("mills/volume-0001.md 77–88%", "read", 2.0)
            assert frame.rows[1].state == "running"
            assert len(frame.findings) == 40
            assert frame.failures[0].why.startswith("the reply to the read prompt")
            assert frame.head.again == ""
            assert look.next().version == frame.version, "nothing is new"
            await stage.end()
            frame = look.next()
            assert (frame.head.status, frame.head.phase, frame.places.busy) == ("answered", "", 0)


async def test_a_run_that_died_says_how_to_go_on(tmp_path: Path, look_at: LookAt) -> None:
    path = tmp_path / "swarm.db"
    async with Stage(path, Script(findings=40, left=3)) as stage:
        await stage.open()
        await stage.work(2)
        await stage.begin_call(3)
    frame = look_at(path).next()
    assert frame.head.status == "interrupted"
    assert frame.head.again == f"swarm resume staged --store {path}"
    assert frame.places.busy == 0
    assert dict(frame.states) == {"done": 1, "failed": 1, "ready": 3}


def test_a_long_run_is_read_a_moment_at_a_time(
    mills: Path, look_at: LookAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm.inspect.follow._AT_ONCE", 4)
    monkeypatch.setattr("swarm.cli.watching.look._AT_A_TIME_SECONDS", 0.0)
    look = look_at(mills)
    frames = [look.next()]
    while frames[-1].head.behind:
        frames.append(look.next())
    assert len(frames) > 3
    assert [frame.head.records for frame in frames] == sorted(frame.head.records for frame in frames)
    assert frames[-1].head.status == "answered"
    assert frames[0].head.again == frames[-1].head.again == ""


def call(seq: int, tokens: int, window: int) -> Call:
    return Call(
        seq=seq, key=f"{seq:032x}", asker="plan", model="m", kind="plan", window=window, tokens=tokens,
        cost_usd=0.0, begun=0.0, tries=1,
    )  # fmt: skip


def test_windows_are_summed_up_once_and_the_last_ones_kept() -> None:
    calls = Calls()
    fills = Fills(calls)
    assert fills.look(str).calls == 0
    for seq in range(1, 301):
        calls.add(call(seq, seq, 1_000))
    calls.add(call(301, 9, 0))
    fill = fills.look(str)
    assert (fill.calls, fill.fullest, fill.window, len(fill.last)) == (300, 0.3, 1_000, 120)
    assert fill.mean == pytest.approx(0.1505)
    calls.add(call(302, 900, 1_000))
    fill = fills.look(str)
    assert (fill.calls, fill.fullest, fill.last[-1]) == (301, 0.9, 0.9)


def test_what_is_left_is_told_by_the_pace_of_the_last_minutes() -> None:
    pace = Pace()
    assert pace.left(0.0, 0, 100) is None
    assert pace.left(5.0, 5, 95) is None, "too soon to tell"
    assert pace.left(10.0, 10, 90) == 90.0
    assert pace.left(200.0, 110, 10) is None, "of the last minutes alone"
    assert pace.left(220.0, 115, 10) == 40.0
    assert pace.left(230.0, 3, 100) is None, "it went on, and what failed is tried again"


def test_contradictions_are_looked_for_no_more_often_than_they_are_worth(mills: Path, look_at: LookAt) -> None:
    opened = look_at(mills).followed.opened
    argued = Argued(opened, lambda: 7.0)
    assert argued.due(1)
    found = argued.look(1)
    assert (found.at, found.more, len(found.pairs)) == (7.0, False, 8)
    one, other = found.pairs[0]
    assert one.split()[:2] != other.split()[:2]
    assert not argued.due(1), "nothing is new"
    assert not argued.due(2), "too soon"
    argued._next = time.monotonic()
    assert argued.due(2)


def test_a_slice_is_looked_into(mills: Path, look_at: LookAt) -> None:
    look = look_at(mills)
    look.next()
    frame = look.frame(Wish())
    done = next(row for row in frame.rows if row.state == "done")
    lines = detail(look.followed, look.names, done.key, 80)
    text = "\n".join(plain(line) for line in lines)
    assert text.startswith(f"{done.name}  {done.key[:16]}\n✓ done · ")
    assert "what is asked\n  Which mills were rebuilt, and what drove them?\n" in text
    assert "  mills/volume-0001.md:41  " in text
    assert "calls\n  answered: read by openai:staged-small · " in text
    assert "in short\n  Mills and what drove them.\n" in text
    assert "20 findings\n  Mill 20 was rebuilt in " in text
    assert text.endswith("  … and 10 more")
    assert not [line for line in lines if width_of(line) > 100]


def test_a_slice_that_failed_says_why(mills: Path, look_at: LookAt) -> None:
    look = look_at(mills)
    frame = look.next()
    text = "\n".join(plain(line) for line in detail(look.followed, look.names, frame.failures[0].key, 80))
    assert "✗ failed · 2.0 s · 1 call, " in text
    assert "why it was not done\n  the reply to the read prompt is not valid: findings: Field required" in text


def test_a_hostile_slice_is_only_text(hostile: Path, look_at: LookAt) -> None:
    look = look_at(hostile)
    for row in look.next().rows[1:]:
        for line in detail(look.followed, look.names, row.key, 60):
            assert not any(ord(char) < 32 or char == "\x7f" for char in plain(line))
