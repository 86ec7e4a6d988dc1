"""Slices that land on a remote, in a process of its own, to be killed: begun again on any machine, it goes on from
what it wrote down and from what the remote has.

    python -m tests.workspace.remote_victim REMOTE MACHINE JOURNAL FIRST END [DIE]

It works the slices from FIRST to END. Its journal is where no machine is, as a store would be. DIE is where it
kills itself, the first time that it comes there: `about_to` (recorded, not pushed yet) or `landed` (pushed, not
recorded). It ends with 0 when all has landed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from swarm.errors import RunError
from swarm.workspace.landing import Landing
from swarm.workspace.worktrees import Worktrees
from tests.workspace.landing_victim import LOST, Journal
from tests.workspace.remotes import joined
from tests.workspace.repos import land, write

TRIES = 50


def die(where: str, wanted: str) -> None:
    if where == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


async def worked(run: Worktrees, landing: Landing, journal: Journal, number: int, dies: str) -> None:
    name = f"s{number:03}"
    for _ in range(TRIES):
        if journal.last(name, "landed") is not None or await step(run, landing, journal, name, dies):
            return
    raise RunError(f"{name} did not land in {TRIES} tries")


async def step(run: Worktrees, landing: Landing, journal: Journal, name: str, dies: str) -> bool:
    before = journal.last(name, "about_to")
    tree = await run.open(name)
    await run.repository.fresh()
    if before is None or not await run.repository.has(before):
        if journal.last(name, "wrote") is not None and not (tree.path / "unfinished" / name).exists():
            journal.note(name, "lost")
            os._exit(LOST)
        write(tree.path, {f"parts/{name}": "ok\n", f"unfinished/{name}": "x\n"})
        words = [word for word in (tree.path / "list").read_text().split() if word.isalnum() and len(word) < 9]
        write(tree.path, {"list": "".join(f"{word}\n" for word in sorted({*words, name}))})
        await run.keep(name)
        if journal.last(name, "wrote") is None:
            journal.note(name, "wrote")

    async def about_to(commit: str) -> None:
        journal.note(name, "about_to", commit)
        die("about_to", dies)

    landed = await land(landing, tree, name, about_to=about_to, landed_before=before)
    if landed.commit is None:
        journal.note(name, "back", landed.wrong or "nothing")
        return False
    die("landed", dies)
    journal.note(name, "landed", landed.commit)
    await run.close(name)
    return True


async def main(remote: Path, machine: Path, journal: Path, slices: range, dies: str) -> None:
    run = await joined(remote, machine, check="sh check.sh", protected=("check.sh",))
    try:
        landing, known = Landing(run), Journal(journal)
        async with asyncio.TaskGroup() as group:
            for number in slices:
                group.create_task(worked(run, landing, known, number, dies))
    finally:
        await run.end(keep=True)


if __name__ == "__main__":
    words = sys.argv[1:]
    paths = [Path(word) for word in words[:3]]
    asyncio.run(main(paths[0], paths[1], paths[2], range(int(words[3]), int(words[4])), "".join(words[5:])))
