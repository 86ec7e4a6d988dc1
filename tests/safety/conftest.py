"""A folder to read in a process of its own, which says what came of it and how much memory it took."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

_READ = """
import asyncio, json, resource, sys
from pathlib import Path
from swarm.sources.gather import gather
from swarm.store.database import Database
from swarm.store.library import Library

database = Database.open(Path(sys.argv[1]))
library = Library(database)
corpus = asyncio.run(gather([sys.argv[2]], library))
database.close()
# not ru_maxrss: it begins with what the process that started this one had taken
status = Path("/proc/self/status").read_text()
peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
print(json.dumps({
    "read": {source.path: source.chars for source in corpus.sources},
    "skipped": {skip.source: skip.reason for skip in corpus.skipped},
    "peak_mb": peak_kb / 1024,
    "apart_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
}))
"""


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a folder: characters read by path, reasons of skips by path, and megabytes at the peak."""

    read: dict[str, int]
    skipped: dict[str, str]
    peak_mb: float
    apart_mb: float


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file that can be read, whatever else a test puts there."""
    path = tmp_path / "corpus"
    path.mkdir()
    (path / "a-good.txt").write_text("The one good file.\n")
    return path


@pytest.fixture
def measured(tmp_path: Path, folder: Path) -> Callable[[], Read]:
    """Read the folder."""
    if sys.platform != "linux":
        pytest.skip("memory is measured as Linux tells it")

    def run() -> Read:
        done = subprocess.run(
            [sys.executable, "-c", _READ, str(tmp_path / "store.db"), "."],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=1_800,
        )
        assert done.returncode == 0, done.stderr
        return Read(**json.loads(done.stdout))

    return run
