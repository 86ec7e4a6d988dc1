"""A process whose slices land is killed with -9 at random moments, and its gits are: nothing lands twice, nothing
is lost, and nothing is left behind.

Each process is looked for by the name of the test's own folder, and works in a folder of its own below it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from swarm.equipment import Workspace
from swarm.workspace.forget import forget
from tests.workspace.repos import begun, elsewhere, git, history, left_over, make, passes, write

__all__ = ["elsewhere"]
ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, for a machine that is busy
SEED = int(os.environ.get("SEED", "1"))


class Victim:
    """A repository, and a process at a time whose slices land in it."""

    def __init__(self, folder: Path, slices: int, speculate: bool) -> None:
        self.repository, self.folder, self.here = make(folder / "repository"), folder / "run", folder / "cwd"
        self.folder.mkdir()
        self.here.mkdir()
        write(self.here, {"mine": "kept\n"})
        self.words = [str(self.repository), str(self.folder), str(slices), str(speculate)]

    def start(self) -> subprocess.Popen[bytes]:
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.workspace.landing_victim", *self.words],
                cwd=self.here, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=said, start_new_session=True,
            )  # fmt: skip

    def rows(self) -> list[list[str]]:
        with suppress(OSError):
            return [json.loads(line) for line in (self.folder / "journal").read_bytes().split(b"\n")[:-1] if line]
        return []

    def said(self) -> str:
        return (self.folder / "said").read_text()[-3_000:]

    def gits(self) -> list[int]:
        """Gits that are at work on the repository."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes().split(b"\0")
                if words[0] == b"git" and words[1:2] and os.fsencode(self.repository) in words[1]:
                    found.append(int(process.name))
        return found


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def killed_after(victim: Victim, things: int, rng: random.Random, gits: float) -> int | None:
    """Run it until so many more things have happened, and a moment longer, then kill it; in a share of the moments
    gits are killed on the way. Its exit, where it came to an end before that."""
    process, wanted, ends = victim.start(), len(victim.rows()) + things, time.monotonic() + PATIENCE
    try:
        while process.poll() is None and len(victim.rows()) < wanted:
            assert time.monotonic() < ends, victim.said()
            if gits and rng.random() < gits and (found := victim.gits()):
                kill(rng.choice(found))
            time.sleep(rng.uniform(0.001, 0.02))
        if process.poll() is None:
            time.sleep(rng.uniform(0, 0.2))
            if rng.random() < gits:
                for found in victim.gits():
                    kill(found)
    finally:
        kill(process.pid)
        process.wait()
    return None if process.returncode == -signal.SIGKILL else process.returncode


async def fits(victim: Victim, slices: int, tmp_path: Path) -> Counter[str]:
    """See that each slice landed once, as it was recorded, that the branch passes at each commit, and that nothing
    is left. How often what happened."""
    rows, commits = victim.rows(), history(victim.repository)
    landed = {name: value for name, what, value in rows if what == "landed"}
    names = sorted(f"s{number:03}" for number in range(slices))
    assert sorted(git(victim.repository, "log", "--format=%s", "main..green").split()) == names
    assert sorted(landed) == names
    assert sorted(landed.values()) == sorted(commits)
    assert all(passes(victim.repository, commit, tmp_path) for commit in commits)
    listed = git(victim.repository, "show", "green:list").split()
    assert listed == [name for number, name in enumerate(names) if number % 2]
    assert left_over(victim.repository) == []
    assert not (victim.folder / "work").exists()
    assert git(victim.repository, "status", "--porcelain") == ""
    assert [path.name for path in victim.here.iterdir()] == ["mine"]
    assert "fatal" not in git(victim.repository, "fsck", "--no-dangling")
    return Counter(what for _, what, _ in rows)


async def trial(
    tmp_path: Path, *, slices: int, kills: int, speculate: bool, gits: float, seed: int
) -> Counter[str]:
    victim, rng, done, killed = Victim(tmp_path, slices, speculate), random.Random(seed), None, 0
    while killed < kills and done is None:
        done = killed_after(victim, rng.randint(1, max(2, 3 * slices // kills)), rng, gits)
        if done == 1 and gits and "swarm.errors." in victim.said().splitlines()[-1]:
            done = None  # as it began, it was told in one line that a git was killed
        assert done in (None, 0), (done, victim.said())
        killed += done is None
    if done is None:
        process = victim.start()
        try:
            assert process.wait(PATIENCE) == 0, victim.said()
        finally:
            kill(process.pid)
            process.wait()
    counted = await fits(victim, slices, tmp_path)
    print(f"seed {seed}: {killed} kills, {dict(counted)}")
    return counted


@pytest.mark.parametrize("speculate", [True, pytest.param(False, marks=pytest.mark.soak)])
async def test_a_run_that_is_killed_lands_each_slice_once(speculate: bool, tmp_path: Path) -> None:
    await trial(tmp_path, slices=6, kills=3, speculate=speculate, gits=0.0, seed=SEED)


async def test_gits_that_are_killed_lose_nothing(tmp_path: Path) -> None:
    await trial(tmp_path, slices=6, kills=2, speculate=True, gits=0.3, seed=SEED)


async def test_what_a_killed_run_left_is_put_away_by_another(tmp_path: Path) -> None:
    victim = Victim(tmp_path, 6, True)
    assert killed_after(victim, 4, random.Random(SEED), 0.0) is None
    end = time.monotonic() + PATIENCE
    while True:
        other = await begun(victim.repository, tmp_path / "others", "other")
        await other.end(keep=False)
        left = left_over(victim.repository)
        if all(line.split()[-1].startswith("refs/swarm/run/") for line in left):
            break
        assert time.monotonic() < end, left
        time.sleep(0.05)  # noqa: ASYNC251 - until the last of its gits is gone, the run counts as at work
    await forget(Workspace(repository=str(victim.repository)), "run")
    assert left_over(victim.repository) == []
    assert [path.name for path in victim.here.iterdir()] == ["mine"]


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(int(os.environ.get("ROUNDS", "12"))))
async def test_runs_that_are_killed_time_and_again(round_: int, tmp_path: Path) -> None:
    await trial(
        tmp_path,
        slices=24,
        kills=12,
        speculate=round_ % 3 != 2,
        gits=0.25 if round_ % 2 else 0.0,
        seed=SEED + round_,
    )
