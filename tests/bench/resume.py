"""How long a run with many finished slices takes to go on: seconds to its next call and to its answer, and memory.

    python tests/bench/resume.py [--slices 100000] [--stores sqlite postgres] [--out bench-results/resume.json]

The run is made by the path that any run takes, one finding to a slice, with a limit that leaves the last slice
undone; its model computes NOTHING (see calls.py). Then a new process goes on with it: `Swarm.resume`. Told apart:

    kept    the store as the run left it
    lost    the shared graph is taken out of the store first, and is merged anew from the journal
    moved   PostgreSQL only: nothing is left but the journal, as on another machine; the sources are read again too

`first call` is the wall time from the start of `resume`, imports and all, until the model is called for the slice
that was left; `end` is when the answer is there, a table of as many cells as there are slices. PostgreSQL is a
server of one's own on this machine, over a Unix socket.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from calls import IN_FLIGHT, LIMITS, Silent, machine, task_of, write_records

from swarm.graph.rows import delete_graph
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.testing.postgres import LocalPostgres


def make(folder: Path, store: str, slices: int) -> None:
    """A run of which all slices but one are done."""
    write_records(folder / "records.jsonl", slices)
    task = task_of(folder, replace(LIMITS, slices=slices - 1))
    answer = asyncio.run(Swarm(Silent(finds=True), store=store, concurrency=IN_FLIGHT).run(task, run_id="bench"))
    assert (answer.status, answer.usage.calls) == ("partial", slices - 1), answer.stopped


def go_on(store: str, slices: int) -> dict[str, Any]:
    """In a process of its own: the rest of the run."""
    model, began = Silent(finds=True), time.time()
    answer = asyncio.run(Swarm(model, store=store, concurrency=IN_FLIGHT).resume("bench", limits=LIMITS))
    assert (answer.status, answer.usage.calls, len(answer.cells)) == ("answered", slices, slices), answer.stopped
    ended = time.time()
    return {"first_call_s": model.first_call - began, "end_s": ended - began, "fingerprint": answer.graph}


def lose_graph(store: str) -> None:
    with open_store(store) as opened:
        (num,) = [num for (num,) in opened.database.read("SELECT num FROM graphs WHERE run = 'bench'")]
        opened.database.write_sync(lambda connection: delete_graph(connection, num))


def apart(folder: Path, what: str, store: str, slices: int) -> dict[str, Any]:
    """A step in a process of its own, within `folder`: what it says, and its peak of memory."""
    with tempfile.TemporaryFile() as out:
        command = [sys.executable, __file__, "--measure", what, store, str(slices)]
        process = subprocess.Popen(command, stdout=out, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        said = json.load(out)
    if status:
        raise SystemExit(f"{what} ended with status {status}")
    return said | {"peak_mb": usage.ru_maxrss * 1024 / 1e6}


def measure(kind: str, slices: int) -> list[dict[str, Any]]:
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarm-bench-")))
        store = str(folder / "swarm.db")
        if kind == "postgres":
            store = stack.enter_context(LocalPostgres()).database()
        apart(folder, "make", store, slices)
        if kind == "postgres":
            copy_database(store, "swarm_left", of=name_of(store))
        for state in ("kept", "lost", "moved") if kind == "postgres" else ("kept", "lost"):
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarm-bench-")))
            used = store if kind == "postgres" else str(copy / "swarm.db")
            if kind == "sqlite":
                shutil.copy(store, used)
            else:
                copy_database(store, name_of(store), of="swarm_left")
                if state != "moved":
                    shutil.copytree(folder / ".swarm", copy / ".swarm")
            if state == "lost":
                apart(copy, "lose", used, slices)
            row = {"store": kind, "graph": state, "slices": slices}
            rows.append(row | apart(copy, "go on", used, slices))
            show(rows[-1])
    graphs = {row["fingerprint"] for row in rows}
    assert len(graphs) == 1, f"the graph that was merged anew is another one: {graphs}"
    return rows


def name_of(store: str) -> str:
    return store.rpartition("?")[0].rpartition("/")[2]


def copy_database(store: str, name: str, *, of: str) -> None:
    """Make a database of a server anew, as a copy of another one."""
    import psycopg

    server = store.replace(f"/{name_of(store)}?", "/postgres?")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {of}")


def show(row: dict[str, Any]) -> None:
    print(
        f"{row['store']:9} {row['graph']:6} {row['slices']:8,} {row['first_call_s']:11.2f} {row['end_s']:7.2f} "
        f"{row['peak_mb']:8.0f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, nargs="+", default=[100_000])
    parser.add_argument("--stores", nargs="+", choices=("sqlite", "postgres"), default=["sqlite", "postgres"])
    parser.add_argument("--out", type=Path, default=Path("bench-results/resume.json"))
    parser.add_argument("--measure", nargs=3, metavar=("STEP", "STORE", "SLICES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        step, store, slices = options.measure
        said: dict[str, Any] = {}
        match step:
            case "make":
                make(Path.cwd(), store, int(slices))
            case "lose":
                lose_graph(store)
            case "go on":
                said = go_on(store, int(slices))
        json.dump(said, sys.stdout)
        return
    print(machine())
    print("store     graph    slices  first call     end  peak MB")
    rows = [row for kind in options.stores for slices in options.slices for row in measure(kind, slices)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
