"""Processes on several machines land on one remote and are killed with -9; others go on with their work, on
machines that have nothing of it. Nothing lands twice, nothing is lost, and nothing is left on the remote."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.workspace.remotes import bare
from tests.workspace.repos import elsewhere, git, history, passes

__all__ = ["elsewhere"]
ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds, for a machine that is busy
SEED = int(os.environ.get("SEED", "1"))


class Fleet:
    """A remote, and processes that land on it, each from `each` slices of its own."""

    def __init__(self, folder: Path, processes: int, each: int) -> None:
        self.remote, self.folder = bare(folder / "remote.git"), folder
        self.processes, self.each, self.machines = processes, each, 0

    def start(self, number: int, dies: str = "") -> subprocess.Popen[bytes]:
        """On a machine that was never used."""
        self.machines += 1
        machine = self.folder / f"machine{self.machines}"
        slices = (str(number * self.each), str((number + 1) * self.each))
        words = [str(self.remote), str(machine), str(self.journal(number)), *slices, dies]
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.workspace.remote_victim", *words],
                cwd=self.folder / "here", env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=said,
                start_new_session=True,
            )  # fmt: skip

    def journal(self, number: int) -> Path:
        return self.folder / f"journal{number}"

    def happened(self, number: int) -> int:
        with suppress(OSError):
            return self.journal(number).read_bytes().count(b"\n")
        return 0

    def finished(self) -> None:
        """Have all go on until they are done."""
        ends = [self.start(number) for number in range(self.processes)]
        try:
            for process in ends:
                assert process.wait(PATIENCE) == 0, (self.folder / "said").read_text()[-3_000:]
        finally:
            for process in ends:
                process.kill()
                process.wait()

    def fits(self, folder: Path) -> None:
        """See that each slice landed once, as it was recorded, that the branch passes at each commit, and that
        nothing else is on the remote."""
        journals = [self.journal(number).read_bytes() for number in range(self.processes)]
        rows = [json.loads(line) for one in journals for line in one.split(b"\n")[:-1]]
        landed, commits = {name: value for name, what, value in rows if what == "landed"}, history(self.remote)
        names = [f"s{number:03}" for number in range(self.processes * self.each)]
        assert sorted(git(self.remote, "log", "--format=%s", "main..green").split()) == names
        assert sorted(landed) == names
        assert sorted(landed.values()) == sorted(commits)
        assert git(self.remote, "rev-list", "--min-parents=2", "green") == ""
        assert all(passes(self.remote, commit, folder) for commit in commits)
        assert git(self.remote, "show", "green:list").split() == names
        refs = set(git(self.remote, "for-each-ref", "--format=%(refname)").split())
        assert not {ref for ref in refs if ref.startswith("refs/swarm/")}
        print(
            f"{len(commits)} landed, {self.machines} machines, {sum(row[1] == 'about_to' for row in rows)} pushes"
        )


@pytest.mark.soak
def test_who_is_killed_before_a_push_or_after_it_lands_each_slice_once(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, processes=2, each=2)
    killed = [fleet.start(0, "about_to"), fleet.start(1, "landed")]
    assert [process.wait(PATIENCE) for process in killed] == [-signal.SIGKILL, -signal.SIGKILL]
    fleet.finished()
    fleet.fits(tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(int(os.environ.get("ROUNDS", "6"))))
def test_machines_that_are_killed_time_and_again(round_: int, tmp_path: Path) -> None:
    fleet, rng = Fleet(tmp_path, processes=3, each=6), random.Random(SEED + round_)
    for _ in range(6):
        number = rng.randrange(fleet.processes)
        others = [fleet.start(other) for other in range(fleet.processes) if other != number]
        victim, wanted = fleet.start(number), fleet.happened(number) + rng.randint(1, 6)
        ends = time.monotonic() + PATIENCE
        try:
            while victim.poll() is None and fleet.happened(number) < wanted:
                assert time.monotonic() < ends, (tmp_path / "said").read_text()[-3_000:]
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.3))
        finally:
            for process in (victim, *others):
                process.kill()
                process.wait()
    fleet.finished()
    fleet.fits(tmp_path)
