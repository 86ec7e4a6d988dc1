"""Remotes to land on, bare and on this disk, and machines that share one: a folder each, with its own clones."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from swarm.equipment import Workspace
from swarm.workspace.worktrees import Worktrees
from tests.workspace.repos import Straight, git, make


@cache
def _begun() -> tempfile.TemporaryDirectory[str]:
    """Made once: the tests need many."""
    folder = tempfile.TemporaryDirectory(prefix="swarm-remote-")
    made = make(Path(folder.name, "begun"))
    git(made, "clone", "--quiet", "--bare", str(made), f"{folder.name}/remote.git")
    return folder


def bare(folder: Path) -> Path:
    """A bare repository with one commit on `main`, made by git as a person would."""
    shutil.copytree(f"{_begun().name}/remote.git", folder)
    return folder


@contextmanager
def machine(folder: Path) -> Iterator[Path]:
    """What is made in this block is made on a machine of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


async def joined(remote: Path | str, folder: Path, run: str = "run", **settings: Any) -> Worktrees:
    """A run on a remote, from a machine."""
    with machine(folder):
        made = Worktrees(Workspace(remote=str(remote), **settings), folder / "work" / run, run, Straight())
        await made.begin()
    return made
