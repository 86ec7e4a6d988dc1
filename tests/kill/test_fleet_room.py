"""No room left: on a worker's disk, and on that of the store. What cannot go on ends with one line or waits,
nothing is lost, and all comes out as if there had been room.

The provider is SIMULATED: what it says comes from the prompt itself.
"""

from __future__ import annotations

import asyncio
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarm.testing.provider import Provider
from tests.kill.chaos import Case, acting, reading, wait
from tests.kill.cluster import Cluster
from tests.kill.fleet import NO_ROOM
from tests.kill.victim import SAID

pytestmark = pytest.mark.soak
_ROOM = 100_000  # bytes of a file: less than what a worker has beside the store


@pytest.mark.parametrize("midst", [False, True], ids=["at once", "in the midst"])
async def test_a_worker_whose_disk_is_full_ends_in_one_line_and_the_others_go_on(
    cluster: Cluster, busy: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, midst: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    case = await acting(tmp_path, busy, 8, 0.2)
    with case.fleet(tmp_path / "fleet", busy, cluster) as fleet:
        fleet.begin(workers=2)
        full = fleet.start("worker", "full")
        if midst:
            fleet.until_claimed("full")
        fleet.befall("full disk of worker", "full")
        resource.prlimit(full.pid, resource.RLIMIT_FSIZE, (_ROOM, _ROOM))
        full.process.join(60)
        said = (full.member.folder / SAID).read_text("utf-8")
        assert full.process.exitcode == 1, said
        assert "Traceback" not in said
        assert said.splitlines()[-1].endswith("cannot be written (disk I/O error): free some disk and run again")
        del fleet.members["full"]
        await fleet.come_out()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own."""
    folder = Path(tempfile.mkdtemp(prefix="d"))
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m,mode=755", "none", folder], check=True)
    except (OSError, subprocess.CalledProcessError):
        folder.rmdir()
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """While there is no room left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert shutil.disk_usage(folder).free < 4_096
    try:
        yield
    finally:
        ballast.unlink()


async def test_a_store_whose_disk_is_full_for_a_while_loses_nothing(
    busy: Provider, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case: Case = reading(tmp_path, busy, 120, 0.3)
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    with Cluster() as cluster:
        monkeypatch.setattr(tempfile, "tempdir", None)
        with case.fleet(tmp_path / "fleet", busy, cluster) as fleet:
            fleet.begin()
            for requests in (20, 60):
                assert fleet.wait_for(requests)
                with fleet.without_server(NO_ROOM):
                    with filled(small):
                        await asyncio.sleep(4.0)
                    cluster.start()
                wait(fleet, 0.5)
            await fleet.come_out()
