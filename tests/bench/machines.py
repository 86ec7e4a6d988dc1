"""What many machines cost beside one: 20,000 calls at 1,000 in flight over 4 workers, and how it grows.

    python tests/bench/machines.py [--sizes 2000 20000] [--workers 4] [--in-flight 1000] [--out FILE]
    python tests/bench/machines.py --lost          # how long it takes until the loss of a worker is made up for

A run reads a file of records, a slice a record, with limits in dollars and tokens. Everything is real (PostgreSQL
with fsync, claims, PgQueuer, limits over all machines, journal, merging) but for the model, which is SIMULATED: it
waits for a second and returns a fixed reply, so that what a slice takes beyond that second is ours. The workers
are processes on this machine, so that all of them, the coordinator and the server share its cores: with more cores
than processes the wall time is less, the CPU a call is the same.

Beside it, in the same run: the same task in one process on a file and on the same server (`local`), and references
that do nothing through the engine alone (`tests/bench/engine.py` has more of that). CPU is of all processes, the
server's among them, in microseconds a call; `over` is what a slice took from its start to its report beyond the
model's second, in milliseconds. Needs `pip install swarm-memory[bench]` and `psutil`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
import psycopg

from swarm.cli.worker import serving
from swarm.engine.postgres import PostgresEngine
from swarm.events import Event, PhaseChanged, SliceFinished, SliceStarted
from swarm.models.base import Completion, Price
from swarm.prompts.typed import Prompt
from swarm.remote.joined import Terms
from swarm.run import Swarm
from swarm.store.opening import open_store
from swarm.testing.postgres import LocalPostgres
from tests.bench.calls import LIMITS, NOTHING, USAGE, task_of, write_records

MODEL_SECONDS = 1.0
_SPAWN = multiprocessing.get_context("spawn")


class Waiting:
    """A model that waits. It is a remote one, so that its calls pass a lane, and it costs money."""

    name = lane = "waiting"
    window, max_output = 8_000, 400
    selective, remote, revision = False, True, ""
    price = Price(input_usd=1.0, output_usd=2.0, cached_usd=0.1)

    def count(self, _: Prompt[Any]) -> int:
        return 900

    def ratio(self) -> float:
        return 1.0

    async def call(self, _: Prompt[Any], *, max_output: int) -> Completion:
        await asyncio.sleep(MODEL_SECONDS)
        return Completion(text=NOTHING, usage=USAGE)

    async def close(self) -> None:
        pass


class Told:
    """What each slice took, in seconds, and when the first began and the last ended."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.took: list[float] = []
        self.ended: list[float] = []
        self.phase = 0.0

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        match event:
            case PhaseChanged(phase="dispatch"):
                self.phase = now
            case SliceStarted(slice=slice_):
                self.began[slice_.id] = now
            case SliceFinished(slice=slice_):
                self.took.append(now - self.began.pop(slice_.id))
                self.ended.append(now)


def coordinate(folder: str, store: str, engine: Any, count: int, in_flight: int, out: Any) -> None:
    """A run, in a process of its own."""
    os.chdir(folder)
    told = Told()
    swarm = Swarm(Waiting(), store=store, concurrency=in_flight, engine=engine)
    cpu = time.process_time()
    answer = asyncio.run(swarm._run(task_of(Path(folder), LIMITS), "bench", told, None))
    assert count <= answer.usage.calls <= count + in_flight, answer.usage  # the calls of a lost worker count twice
    over = sorted(1_000 * (took - MODEL_SECONDS) for took in told.took)
    out.send({
        "wall_s": told.ended[-1] - told.phase,
        "over_p50_ms": over[len(over) // 2],
        "over_p99_ms": over[int(len(over) * 0.99)],
        "cpu_us": 1e6 * (time.process_time() - cpu) / count,
        "peak_mb": psutil.Process().memory_info().rss / 1e6,
        "ends": [ended - told.phase for ended in told.ended],
    })  # fmt: skip


def work(folder: str, store: str, places: int) -> None:
    """A worker, in a process of its own, until it is told to end."""
    os.chdir(folder)

    async def serve() -> None:
        async with serving(store, Terms(models=lambda *_: Waiting(), places=places)) as made:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, made.drain)
            await made.serve()

    asyncio.run(serve())


@contextmanager
def workers(folder: Path, store: str, several: int, places: int) -> Iterator[list[BaseProcess]]:
    made = []
    for number in range(several):
        own = folder / f"worker-{number}"
        own.mkdir()
        process = _SPAWN.Process(target=work, args=(str(own), store, places))
        process.start()
        made.append(process)
    time.sleep(3.0)  # they are there before the run begins
    try:
        yield made
    finally:
        for process in made:
            if process.is_alive():
                process.terminate()
        for process in made:
            process.join(30)


def server_cpu(server: LocalPostgres) -> float:
    """Seconds of CPU of the server and all that it began and that has ended."""
    root = psutil.Process(server._process.pid)
    times = root.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    for child in root.children(recursive=True):
        own = child.cpu_times()
        spent += own.user + own.system
    return spent


def size_of(url: str) -> int:
    """Bytes of a database."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def cpu_of(processes: list[BaseProcess]) -> float:
    spent = 0.0
    for process in processes:
        if process.pid and psutil.pid_exists(process.pid):
            times = psutil.Process(process.pid).cpu_times()
            spent += times.user + times.system
    return spent


def run(
    engine: str, store: str, count: int, in_flight: int, server: LocalPostgres, several: int
) -> dict[str, Any]:
    """One row."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_records(folder / "records.jsonl", count)
        where = str(folder / "swarm.db") if store == "file" else server.database()
        ours, theirs = _SPAWN.Pipe()
        several = several if engine == "postgres" else 0
        with workers(folder, where, several, -(-in_flight // max(1, several))) as made:
            before, served = cpu_of(made), server_cpu(server)
            process = _SPAWN.Process(target=coordinate, args=(name, where, engine, count, in_flight, theirs))
            process.start()
            theirs.close()
            row: dict[str, Any] = ours.recv()
            process.join()
            row["workers_cpu_us"] = 1e6 * (cpu_of(made) - before) / count
            row["server_cpu_us"] = 1e6 * (server_cpu(server) - served) / count
            row["workers_mb"] = [round(psutil.Process(one.pid).memory_info().rss / 1e6) for one in made]
    if store == "server":
        row["stored_bytes"] = (size_of(where) - size_of(server.database())) / count
    row["ideal_s"] = MODEL_SECONDS * -(-count // in_flight)
    row["all_cpu_us"] = row["cpu_us"] + row["workers_cpu_us"] + row["server_cpu_us"]
    del row["ends"]
    return {"engine": engine, "store": store, "calls": count, "workers": several, **row}


def lost(server: LocalPostgres, several: int) -> dict[str, Any]:
    """Kill -9 of a worker in the middle: how long until each of its slices is done by another."""
    count, in_flight = 4_000, 200
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_records(folder / "records.jsonl", count)
        where = server.database()
        ours, theirs = _SPAWN.Pipe()
        with workers(folder, where, several, in_flight // (several - 1)) as made:
            process = _SPAWN.Process(target=coordinate, args=(name, where, "postgres", count, in_flight, theirs))
            process.start()
            theirs.close()
            time.sleep(8.0)
            assert made[0].pid is not None
            os.kill(made[0].pid, signal.SIGKILL)
            killed = time.time()
            row: dict[str, Any] = ours.recv()
            process.join()
        reclaimed, done = taken_up(where, killed)
    return {
        "workers": several,
        "slices_lost": len(reclaimed),
        "reclaimed_median_s": statistics.median(reclaimed),
        "reclaimed_last_s": max(reclaimed),
        "done_last_s": done,
        "wall_s": row["wall_s"],
    }


def taken_up(store: str, killed: float) -> tuple[list[float], float]:
    """How many seconds after the loss each slice of the lost worker was begun by another, and all were done."""
    placed: dict[str, list[float]] = {}
    reported: dict[str, float] = {}
    with open_store(store, read_only=True) as opened:
        for record in opened.journal.records("bench", "placed"):
            placed.setdefault(record.key.partition(":")[0], []).append(record.at)
        reported = {record.key: record.at for record in opened.journal.records("bench", "report")}
    moved = {key: times[1] - killed for key, times in placed.items() if len(times) > 1}
    return list(moved.values()), max(reported[key] for key in moved) - killed


async def noop(url: str, count: int) -> float:
    """Microseconds of wall a reference that does nothing takes through the engine alone."""
    engine, done = PostgresEngine(url, 64), asyncio.Event()
    left = count

    async def handle(_: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    serving_ = asyncio.create_task(engine.serve(handle))
    began = time.perf_counter()
    await engine.submit([f"run/{n}" for n in range(count)])
    await done.wait()
    took = time.perf_counter() - began
    engine.drain()
    await serving_
    await engine.close()
    return 1e6 * took / count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=1_000)
    parser.add_argument("--lost", action="store_true")
    parser.add_argument("--only", choices=["local", "postgres"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with LocalPostgres() as server:
        if options.lost:
            rows.append(lost(server, options.workers))
        else:
            for count in options.sizes:
                if options.only != "local":
                    rows.append({"noop_us": asyncio.run(noop(server.database(), count)), "calls": count})
                for engine, store in (("local", "file"), ("local", "server"), ("postgres", "server")):
                    if options.only in (None, engine):
                        rows.append(run(engine, store, count, options.in_flight, server, options.workers))
                        show(rows[-1])
    for row in rows if options.lost else ():
        show(row)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(rows, indent=1))


def show(row: dict[str, Any]) -> None:
    told = {name: round(value, 1) if isinstance(value, float) else value for name, value in row.items()}
    print("  ".join(f"{name}={value}" for name, value in told.items()), flush=True)


if __name__ == "__main__":
    main()
