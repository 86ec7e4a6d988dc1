"""How fast work lands on one remote from several processes, beside the queue of one process on a local repository.

    python tests/bench/landing_shared.py [--processes 1 2 4] [--landings 60] [--workers 8] [--files 100]

The remote is bare and on the same disk, so that a push costs processes and no network. Each process has a clone of
its own and as many workers: open a worktree, add a file, keep, land, close. The check is `true`, run as it is.
`landings` are those of all processes together; the clock runs from when all have begun until the last has landed.
`beaten` counts how often a process that had checked its work found the branch moved by another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).parents[2]))  # tests.workspace

from swarm.workspace.landing import Landing
from swarm.workspace.worktrees import Worktrees
from tests.workspace.remotes import joined
from tests.workspace.repos import begun, git, land, make, write


async def work(run: Worktrees, name: str, landings: int, workers: int) -> int:
    """Land so many; how often the process was beaten."""
    landing, left, beaten, asked = Landing(run), iter(range(landings)), 0, run.repository.beaten

    async def counted(times: int) -> None:
        nonlocal beaten
        beaten += 1
        await asked(times)

    run.repository.beaten = counted  # type: ignore[method-assign]

    async def worker() -> None:
        for number in left:
            tree = await run.open(f"{name}-{number}")
            write(tree.path, {f"new/{name}-{number}": "new\n"})
            await run.keep(tree.slice)
            landed = await land(landing, tree)
            assert landed.commit, landed.wrong
            await run.close(tree.slice)

    await asyncio.gather(*(worker() for _ in range(workers)))
    return beaten


async def process(remote: str, folder: Path, name: str, landings: int, workers: int) -> None:
    run = await joined(remote, folder, "bench", check="true")
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(await work(run, name, landings, workers), flush=True)
    await run.end(keep=True)


def shared(folder: Path, repository: Path, processes: int, landings: int, workers: int) -> dict[str, Any]:
    remote = folder / "remote.git"
    git(repository, "clone", "--quiet", "--bare", str(repository), str(remote))
    each = landings // processes
    words = [sys.executable, __file__, "--process", str(remote)]
    started = [
        subprocess.Popen(
            [*words, str(folder / f"machine{n}"), f"p{n}", str(each), str(workers)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n in range(processes)
    ]  # fmt: skip
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "begun\n"
    began = time.perf_counter()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    beaten = sum(int(one.stdout.readline()) for one in started if one.stdout is not None)
    took = time.perf_counter() - began
    assert [one.wait() for one in started] == [0] * processes
    assert len(git(remote, "rev-list", "main..green").split()) == each * processes
    return {"processes": processes, "landings_s": round(each * processes / took, 1), "beaten": beaten}


async def local(folder: Path, repository: Path, landings: int, workers: int) -> dict[str, Any]:
    run = await begun(repository, folder / "work", "bench", check="true")
    began = time.perf_counter()
    await work(run, "local", landings, workers)
    took = time.perf_counter() - began
    await run.end(keep=False)
    return {"processes": "local", "landings_s": round(landings / took, 1), "beaten": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--landings", type=int, default=60)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--process", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.process:
        remote, folder, name, landings, workers = given.process
        asyncio.run(process(remote, Path(folder), name, int(landings), int(workers)))
        return
    for processes in (0, *given.processes):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            files = {f"part{n % 20}/m{n}.py": f"# {n}\n" * 60 for n in range(given.files)}
            repository = make(folder / "repository", files)
            if processes:
                row = shared(folder, repository, processes, given.landings, given.workers)
            else:
                row = asyncio.run(local(folder, repository, given.landings, given.workers))
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
