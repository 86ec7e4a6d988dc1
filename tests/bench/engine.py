"""What delivering a slice costs: references a second, and how long one takes, where the work is NOTHING.

    python tests/bench/engine.py [--sizes 1000 10000 100000] [--times 3] [--out FILE]

So many references are submitted, and then served, 64 at a time, by handlers that do nothing, until all of them are
acknowledged. Side by side, in the same run: the engine of one process; that of many machines, in one process;
and PgQueuer alone, its `QueueManager` over psycopg as its documentation has it, in batches of 32 (the most that it
takes with 64 places). Those two use a PostgreSQL server of their own on this machine, which flushes to the disk.

`CPU us` and `wall us` are of a reference that is served, `submit` of one that is submitted; the CPU is that of the
process, not of the server. Ratios are to PgQueuer alone, at the same size. `latency` is the time from submitting
one reference, with nothing else to do, until its handler begins: the median and the 99th percentile of 100.

Each figure is of a process of its own, the median of `--times`. A slice takes seconds, so what matters is that all
of this is little beside that, and does not grow. Needs `pip install swarm-memory[bench]`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from swarm.engine.base import Engine
from swarm.engine.local import LocalEngine
from swarm.engine.postgres import PostgresEngine
from swarm.testing.postgres import LocalPostgres

PLACES = 64
AT_ONCE = 1_000
ONES = 100
PAUSE_SECONDS = 0.01  # between two that are timed: the acknowledgement of the first is over


class Clock:
    """Microseconds for each of `count`."""

    def __init__(self, count: int) -> None:
        self._count, self._cpu, self._wall = count, time.process_time(), time.perf_counter()

    def read(self) -> tuple[float, float]:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return 1e6 * cpu / self._count, 1e6 * wall / self._count


def row(submitted: tuple[float, float], served: tuple[float, float]) -> dict[str, float]:
    return {"submit_us": submitted[1], "cpu_us": served[0], "wall_us": served[1]}


# One row each, in a process of its own


async def through(engine: Engine, count: int) -> dict[str, float]:
    left = count

    async def nothing(_: str) -> None:
        nonlocal left
        await asyncio.sleep(0)
        left -= 1
        if not left:
            engine.drain()

    clock = Clock(count)
    for start in range(0, count, AT_ONCE):
        await engine.submit([f"run/{number}" for number in range(start, start + AT_ONCE)])
    submitted, clock = clock.read(), Clock(count)
    await engine.serve(nothing)
    assert left == 0
    served = clock.read()
    await engine.close()
    return row(submitted, served)


async def local(count: int) -> dict[str, float]:
    return await through(LocalEngine(PLACES), count)


async def postgres(count: int) -> dict[str, float]:
    with LocalPostgres() as server:
        engine = PostgresEngine(server.database(), PLACES)
        await engine.submit(["first"])
        await engine.cancel(["first"])
        return await through(engine, count)


async def pgqueuer(count: int) -> dict[str, float]:
    from pgqueuer.types import QueueExecutionMode

    left = count

    async def nothing(_: Any) -> None:
        nonlocal left
        await asyncio.sleep(0)
        left -= 1

    with LocalPostgres() as server:
        connection, manager = await alone(server.database(), nothing)
        clock = Clock(count)
        for start in range(0, count, AT_ONCE):
            payloads = [f"run/{number}".encode() for number in range(start, start + AT_ONCE)]
            await manager.queries.enqueue(["slice"] * AT_ONCE, payloads, [0] * AT_ONCE)
        submitted, clock = clock.read(), Clock(count)
        await manager.run(
            batch_size=PLACES // 2, max_concurrent_tasks=PLACES, mode=QueueExecutionMode.drain,
            dequeue_timeout=timedelta(seconds=2),
        )  # fmt: skip
        assert left == 0
        served = clock.read()
        await connection.close()
    return row(submitted, served)


async def alone(url: str, handler: Any) -> tuple[Any, Any]:
    """PgQueuer as its documentation has it."""
    import psycopg
    from pgqueuer import PsycopgDriver, Queries, QueueManager

    connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    queries = Queries(PsycopgDriver(connection))
    await queries.install()
    manager = QueueManager(queries)
    manager.entrypoint("slice", accepts_context=False)(handler)
    return connection, manager


# One at a time


async def timed(submit: Callable[[str], Awaitable[Any]], begun: asyncio.Queue[float]) -> dict[str, float]:
    """Milliseconds from submitting to the beginning."""
    took = []
    for number in range(ONES):
        began = time.perf_counter()
        await submit(f"run/{number}")
        took.append(1e3 * (await begun.get() - began))
        await asyncio.sleep(PAUSE_SECONDS)
    return {"median_ms": statistics.median(took), "p99_ms": statistics.quantiles(took, n=100)[98]}


async def postgres_latency(_: int) -> dict[str, float]:
    begun: asyncio.Queue[float] = asyncio.Queue()

    async def nothing(_: str) -> None:
        begun.put_nowait(time.perf_counter())

    with LocalPostgres() as server:
        url = server.database()
        engine, submitter = PostgresEngine(url, PLACES), PostgresEngine(url, PLACES)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.serve(nothing))
            await submitter.submit(["first"])
            await begun.get()
            found = await timed(lambda ref: submitter.submit([ref]), begun)
            engine.drain()
        await engine.close()
        await submitter.close()
    return found


async def pgqueuer_latency(_: int) -> dict[str, float]:
    from pgqueuer import PsycopgDriver, Queries
    from psycopg import AsyncConnection

    begun: asyncio.Queue[float] = asyncio.Queue()

    async def nothing(_: Any) -> None:
        begun.put_nowait(time.perf_counter())

    with LocalPostgres() as server:
        url = server.database()
        connection, manager = await alone(url, nothing)
        other = await AsyncConnection.connect(url, autocommit=True)
        submitter = Queries(PsycopgDriver(other))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(manager.run(batch_size=PLACES // 2, max_concurrent_tasks=PLACES))
            await submitter.enqueue("slice", b"first")
            await begun.get()
            found = await timed(lambda ref: submitter.enqueue("slice", ref.encode()), begun)
            manager.shutdown.set()
        await connection.close()
        await other.close()
    return found


# The table


ROWS: dict[str, Callable[[int], Coroutine[Any, Any, dict[str, float]]]] = {
    "pgqueuer": pgqueuer,
    "postgres": postgres,
    "local": local,
    "postgres-latency": postgres_latency,
    "pgqueuer-latency": pgqueuer_latency,
}
NAMES = {"pgqueuer": "PgQueuer alone", "postgres": "PostgresEngine", "local": "LocalEngine"}


def apart(name: str, count: int, times: int) -> dict[str, Any]:
    """A row by a process of its own: the medians of so many."""
    rows = []
    for _ in range(times):
        command = [sys.executable, __file__, "--measure", name, str(count)]
        rows.append(json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout))
    return {"name": name, "refs": count} | {key: statistics.median(one[key] for one in rows) for key in rows[0]}


def machine() -> str:
    told = ", ".join(f"{name} {version(name)}" for name in ("swarm-memory", "pgqueuer", "psycopg"))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {told}, load {os.getloadavg()[0]:.1f}"


def table(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    print(machine())
    print(f"{'':16}     refs    refs/s   CPU us   wall us  submit us     CPU    wall  growth")
    first: dict[str, float] = {}
    for count in options.sizes:
        base: dict[str, Any] = {}
        for name in NAMES:
            one = apart(name, count, options.times)
            rows.append(one)
            base = base or one
            growth = one["wall_us"] / first.setdefault(name, one["wall_us"])
            took = (
                f"{1e6 / one['wall_us']:9,.0f} {one['cpu_us']:8.1f} {one['wall_us']:9.1f} {one['submit_us']:10.1f}"
            )
            ratios = f"{one['cpu_us'] / base['cpu_us']:7.3f} {one['wall_us'] / base['wall_us']:7.3f}"
            print(f"{NAMES[name]:16} {count:8,} {took} {ratios} {growth:7.2f}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="in thousands")
    parser.add_argument("--times", type=int, default=3, help="processes of which the median is taken")
    parser.add_argument("--out", type=Path, default=Path("bench-results/engine.json"))
    parser.add_argument("--measure", nargs=2, metavar=("ROW", "REFS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, count = options.measure
        json.dump(asyncio.run(ROWS[name](int(count))), sys.stdout)
        return
    rows = table(options)
    for name in ("postgres-latency", "pgqueuer-latency"):
        one = apart(name, ONES, options.times)
        rows.append(one)
        told = f"{one['median_ms']:.1f} ms, 99th percentile {one['p99_ms']:.1f} ms"
        print(f"{NAMES[name.removesuffix('-latency')]}: latency {told}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
