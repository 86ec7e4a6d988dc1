"""A folder as it was before a command ran in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm.experiments.pristine import Pristine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "folder"
    (found / "deep" / "er").mkdir(parents=True)
    (found / "evaluate.py").write_text("measure()")
    (found / "deep" / "er" / "data.txt").write_text("held out")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine.txt").write_text("mine")
    return found


def test_what_is_left_behind_is_cleared_away_and_links_are_not_followed(folder: Path) -> None:
    before = Pristine(folder)
    (folder / "numpy.py").write_text("forged")
    (folder / "deep" / "new" / "est").mkdir(parents=True)
    (folder / "deep" / "new" / "est" / "x.bin").write_bytes(b"x")
    (folder / "out").symlink_to(folder.parent / "outside")
    (folder / "deep" / "new" / "out").symlink_to(folder.parent / "outside")
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    assert before.again() is None
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == [
        "deep",
        "deep/er",
        "deep/er/data.txt",
        "evaluate.py",
    ]
    assert (folder.parent / "outside" / "mine.txt").read_text() == "mine"


def restamped(folder: Path) -> None:
    """As long, and as old, as before."""
    path = folder / "evaluate.py"
    told = path.stat()
    path.write_text("forge()()")
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def put_back(folder: Path) -> None:
    path = folder / "deep" / "er" / "data.txt"
    path.write_text("easy")
    path.write_text("held out")


def linked(folder: Path) -> None:
    shutil.move(folder / "deep", folder.parent / "moved")
    (folder / "deep").symlink_to(folder.parent / "moved")


@pytest.mark.parametrize(
    "change",
    [restamped, put_back, linked, lambda folder: (folder / "evaluate.py").unlink()],
    ids=["with its old times", "and put back", "behind a link", "removed"],
)
def test_what_was_changed_is_told_however_it_was_hidden(folder: Path, change: Callable[[Path], None]) -> None:
    before = Pristine(folder)
    change(folder)
    said = before.again()
    assert said is not None
    assert "while it ran" in said
    assert (folder.parent / "outside" / "mine.txt").exists()
