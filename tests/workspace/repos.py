"""Repositories to work on, made by git as a person would; and worktrees of a run on them, whose commands are run
straight away, unconfined and unbounded: what confines commands has tests of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm.equipment import Ran, ToolFailed, Workspace
from swarm.orders import Order
from swarm.workspace.landing import Landed, Landing
from swarm.workspace.worktrees import Worktree, Worktrees

_CLEAN = {
    "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "User", "GIT_AUTHOR_EMAIL": "user@localhost", "GIT_COMMITTER_NAME": "User",
    "GIT_COMMITTER_EMAIL": "user@localhost", "LC_ALL": "C",
}  # fmt: skip
ORDER = Order(name="one", objective="do it")
CHECK = """
# every part is ok, and the list names the parts that are listed, in order, each once
for part in parts/*; do
    [ -f "$part" ] && ! grep -qx ok "$part" && echo "$part is not ok" && exit 1
done
grep -vx '[a-z0-9]*' list && echo "the list is no list" && exit 1
sort -u list | cmp - list
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever takes the current folder for a worktree finds an empty one."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def git(folder: Path, *words: str, check: bool = True, stdin: str | None = None) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=_CLEAN, capture_output=True, text=True, input=stdin)
    assert not check or done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def make(folder: Path, files: Mapping[str, str | bytes] | None = None, *init: str) -> Path:
    """A repository with one commit on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main", *init)
    write(folder, files or {"check.sh": CHECK, "list": "", "text": "one\n", "parts/readme": "ok\n"})
    commit(folder, "first")
    return folder


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def passes(repository: Path, commit: str, folder: Path) -> bool:
    """Whether the check passes on a commit, in a copy of its own."""
    at = folder / commit[:12]
    at.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit], cwd=repository, env=_CLEAN, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], cwd=at, input=archive.stdout, check=True)
    return subprocess.run(["sh", "check.sh"], cwd=at, capture_output=True).returncode == 0


def history(repository: Path, branch: str = "green", since: str = "main") -> list[str]:
    return git(repository, "rev-list", "--reverse", f"{since}..{branch}").split()


def left_over(repository: Path) -> list[str]:
    """All that runs have in a repository beside what landed."""
    common = Path(git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    found = [
        path for name in ("worktrees", "swarm") if (common / name).exists() for path in (common / name).iterdir()
    ]
    locks = [path for path in common.rglob("*.lock") if path.is_file()]
    return [str(path) for path in (*found, *locks)] + git(repository, "for-each-ref", "refs/swarm").splitlines()


class Straight:
    """Commands as they are."""

    name = "straight"

    async def run(self, command: Sequence[str], *, folder: Path, **_: Any) -> Ran:
        began = time.monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, env=_CLEAN,
            )  # fmt: skip
        except OSError as error:
            raise ToolFailed(str(error)) from None
        try:
            out, _err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = out.decode("utf-8", "replace")
        seconds = time.monotonic() - began
        return Ran(exit=process.returncode or 0, output=text, output_bytes=len(out), seconds=seconds)


def trees(repository: Path, folder: Path, run: str = "run", **settings: Any) -> Worktrees:
    return Worktrees(Workspace(repository=str(repository), **settings), folder, run, Straight())


async def begun(repository: Path, folder: Path, run: str = "run", **settings: Any) -> Worktrees:
    made = trees(repository, folder, run, **settings)
    await made.begin()
    return made


def abandon(run: Worktrees) -> None:
    """Leave a run as its process would that is killed."""
    hold, run._hold = run._hold, None
    assert hold is not None
    assert hold.descriptor is not None
    os.close(hold.descriptor)
    hold.descriptor = None


async def nothing(_commit: str) -> None:
    """What is recorded of a commit that is about to land, where a test does not look at it."""


async def land(
    landing: Landing, worktree: Worktree, message: str = "Work", *, about_to: Callable = nothing, **more: Any
) -> Landed:
    more = {"trailers": {"Swarm-Slice": worktree.slice}, "order": ORDER, **more}
    return await landing.land(worktree, message=message, about_to=about_to, **more)
