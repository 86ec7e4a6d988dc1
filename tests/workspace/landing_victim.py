"""Slices that land, in a process of its own, to be killed: run again, it goes on from what it wrote down.

    python -m tests.workspace.landing_victim REPOSITORY FOLDER SLICES SPECULATE

In FOLDER it keeps `journal`, a line for each thing that happened. It looks at nothing but whether unfinished work
is still there when it comes back; all else is the test's. It ends with 0 when all has landed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from swarm.errors import RunError
from swarm.workspace.landing import Landing
from swarm.workspace.worktrees import Worktrees
from tests.workspace.repos import begun, land, write

LOST = 3
TRIES = 200


class Journal:
    """What happened, by slice; a last line that was cut off did not."""

    def __init__(self, path: Path) -> None:
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        self.rows = [json.loads(line) for line in whole.splitlines()]
        path.write_bytes(whole + b"\n" if whole else b"")
        self._file = path.open("ab", buffering=0)

    def note(self, slice_: str, what: str, value: str = "") -> None:
        self.rows.append([slice_, what, value])
        self._file.write(json.dumps(self.rows[-1]).encode() + b"\n")
        os.fsync(self._file.fileno())

    def last(self, slice_: str, what: str) -> str | None:
        return next((value for name, kind, value in reversed(self.rows) if (name, kind) == (slice_, what)), None)


async def worked(run: Worktrees, landing: Landing, journal: Journal, number: int) -> None:
    name = f"s{number:03}"
    if journal.last(name, "landed") is not None:
        return
    for _ in range(TRIES):
        try:
            if await step(run, landing, journal, name, number):
                return
        except RunError as error:  # git was killed under it
            journal.note(name, "trouble", str(error))
    raise RunError(f"{name} did not land in {TRIES} tries")


async def step(run: Worktrees, landing: Landing, journal: Journal, name: str, number: int) -> bool:
    before = journal.last(name, "about_to")
    tree = await run.open(name)
    if before is None or not await run.repository.has(before):
        if journal.last(name, "wrote") is not None and not (tree.path / "unfinished" / name).exists():
            journal.note(name, "lost")
            os._exit(LOST)
        write(tree.path, {f"parts/{name}": "ok\n", f"unfinished/{name}": "x\n"})
        if number % 2:
            words = [word for word in (tree.path / "list").read_text().split() if word.isalnum() and len(word) < 9]
            write(tree.path, {"list": "".join(f"{word}\n" for word in sorted({*words, name}))})
        if journal.last(name, "wrote") is None:
            journal.note(name, "wrote")

    async def about_to(commit: str) -> None:
        journal.note(name, "about_to", commit)

    landed = await land(landing, tree, name, about_to=about_to, landed_before=before)
    if landed.commit is None:
        journal.note(name, "back", landed.wrong or "nothing")
        return False
    journal.note(name, "landed", landed.commit)
    await run.close(name)
    return True


async def main(repository: Path, folder: Path, slices: int, speculate: bool) -> None:
    journal = Journal(folder / "journal")
    run = await begun(repository, folder / "work", "run", check="sh check.sh", protected=("check.sh",))
    try:
        landing = Landing(run, speculate=speculate)
        async with asyncio.TaskGroup() as group:
            for number in range(slices):
                group.create_task(worked(run, landing, journal, number))
    finally:
        await run.end(keep=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "True"))
