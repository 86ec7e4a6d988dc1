"""How fast worktrees are made and work lands, beside what git itself needs for a commit on the same machine.

    python tests/bench/landing.py [--workers 64] [--files 100 2000] [--landings 10 100 1000] [--out FILE]

Workers at the same time, each on slices of its own: open a worktree, change one file and add one, land, close.
The check is `true`, run as it is: neither a sandbox nor a test suite is measured. `worktrees_s` counts from when
as many as there are workers are asked for until the last is there, with its files. A bare commit is `git add` of
two files and `git commit` in a copy of the repository, one after the other, by the same process right before:
`ratio` is the seconds of a landing, its worktree made and removed, over those of such a commit,
`ratio_second_half` that of the landings that came last. `alike` is a commit as a person makes it who wants a
worktree for each, one after the other: `git worktree add`, `git add`, `git commit`, `git worktree remove`. All is
on one disk, in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).parents[2]))  # tests.workspace.repos

from swarm.workspace.landing import Landing
from tests.workspace.repos import begun, git, land, make, write

COMMITS = 20


def repository(folder: Path, files: int) -> Path:
    content = "".join(f"line {n} of a file\n" for n in range(60))
    return make(folder, {f"part{n % 20}/module{n}.py": f"# {n}\n{content}" for n in range(files)})


def bare_commit_seconds(repo: Path, folder: Path) -> float:
    """Of one commit, by git alone."""
    shutil.copytree(repo, folder)
    took = []
    for number in range(COMMITS):
        write(folder, {"part0/module0.py": f"# {number}\n", f"new{number}": "new\n"})
        began = time.perf_counter()
        git(folder, "add", "part0/module0.py", f"new{number}")
        git(folder, "commit", "--quiet", "--message", "work")
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def alike_seconds(repo: Path, folder: Path) -> float:
    """Of one commit in a worktree that is made for it, by git alone."""
    took = []
    for number in range(COMMITS // 4):
        began = time.perf_counter()
        git(repo, "worktree", "add", "--quiet", "--detach", os.fspath(folder))
        write(folder, {"part0/module0.py": f"# {number}\n", f"new{number}": "new\n"})
        git(folder, "add", "part0/module0.py", f"new{number}")
        git(folder, "commit", "--quiet", "--message", "work")
        git(repo, "worktree", "remove", "--force", os.fspath(folder))
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def measure(folder: Path, files: int, landings: int, workers: int) -> dict[str, Any]:
    repo = repository(folder / "repository", files)
    commit, alike = bare_commit_seconds(repo, folder / "bare"), alike_seconds(repo, folder / "alike")
    run = await begun(repo, folder / "work", check="true")
    landing, began = Landing(run), time.perf_counter()
    await asyncio.gather(*(run.open(f"first{n}") for n in range(workers)))
    opened = time.perf_counter() - began
    await asyncio.gather(*(run.close(f"first{n}") for n in range(workers)))
    left, done = iter(range(landings)), []

    async def worker() -> None:
        for number in left:
            tree = await run.open(f"s{number}")
            name = f"part{number % 20}/module{number % files}.py"
            lines = (tree.path / name).read_text().splitlines()
            lines.insert(1 + number % 50, f"# {number}")
            write(tree.path, {name: "\n".join(lines) + "\n", f"new/{number % files}.py": f"{number}\n"})
            landed = await land(landing, tree, f"Slice {number}")
            assert landed.commit or landed.wrong, number
            await run.close(tree.slice)
            done.append((time.perf_counter(), landed.commit is not None))

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(workers)))
    took = time.perf_counter() - began
    await run.end(keep=False)
    count = sum(landed for _, landed in done)
    half = len(done) // 2
    last = (done[-1][0] - done[half - 1][0]) / (len(done) - half)
    return {
        "files": files, "landings": count, "conflicts": len(done) - count, "workers": workers,
        "worktrees_s": round(workers / opened, 1), "landings_s": round(len(done) / took, 2),
        "commit_ms": round(commit * 1e3, 1), "alike_ms": round(alike * 1e3, 1),
        "landing_ms": round(took / len(done) * 1e3, 1),
        "ratio": round(took / len(done) / commit, 1), "ratio_second_half": round(last / commit, 1),
        "ratio_alike": round(took / len(done) / alike, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--files", type=int, nargs="+", default=[100, 2_000])
    parser.add_argument("--landings", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--out", type=Path)
    given, rows = parser.parse_args(), []
    for files in given.files:
        for landings in given.landings:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(asyncio.run(measure(Path(folder), files, landings, given.workers)))
            print(json.dumps(rows[-1]), flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(
            json.dumps({"load": os.getloadavg(), "cores": os.cpu_count(), "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
