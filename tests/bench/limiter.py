"""What the shared limiter costs a call, beside the local one in the same run.

    python tests/bench/limiter.py [--holders 1 4 16] [--seconds 10] [--rate 6000] [--store URL] [--out FILE]

Each holder is a process with an event loop of its own and 64 callers, who reserve from the budget of one run,
enter the lane of one model, hold a place for a moment and come back: no call is sent, and nothing else measured.
First with the local budget and lane, then with shared ones, over a PostgreSQL server of its own (or `--store`).
`free` has limits that are never reached; `bound` has a rate that all holders together use up, of which each waits
for its part: there the time a call takes is the rate's, and what counts is the CPU of a call and the exchanges.

Reported for each case: calls a second of all holders, CPU microseconds a call (of the holders; the server's are in
`server`), the time to enter in milliseconds (median and 99th percentile), exchanges a call and a second, the share
of the rate that was used, and of the holders' calls the fewest and the most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from swarm.limits.budget import Budget
from swarm.limits.lanes import Terms, lane_of
from swarm.limits.rates import Rates
from swarm.limits.shared import sharing
from swarm.models.base import Completion, Price
from swarm.models.scripted import Scripted
from swarm.store.postgres_shares import PostgresShares
from swarm.task import Limits, Usage
from swarm.testing.postgres import LocalPostgres

PRICE = Price(input_usd=1.0, output_usd=5.0, cached_usd=1.0)
CALLERS = 64
LATENCY_SECONDS = 0.05
PLENTY = Limits(cost_usd=1e6, tokens=10**12)


async def callers(budget: Budget, rate: int, concurrency: int, seconds: float) -> dict[str, Any]:
    model, terms = Scripted([]), Terms(Rates(requests_per_minute=rate), concurrency)
    lane, waits, calls = lane_of(model), [], 0
    end = time.monotonic() + seconds

    async def call() -> None:
        nonlocal calls
        while time.monotonic() < end:
            reserved = await budget.acquire(PRICE, 1_000, 1_000)
            begun = time.perf_counter()
            async with asyncio.timeout(max(0.001, end - time.monotonic())):
                passage = await lane.enter(terms, "read", 1_000, 1_000)
            waits.append(time.perf_counter() - begun)
            await asyncio.sleep(LATENCY_SECONDS * random.uniform(0.5, 1.5))
            usage = Usage(calls=1, input_tokens=1_000, output_tokens=200, cost_usd=0.002)
            lane.leave(passage, Completion(text="", usage=usage))
            budget.settle(reserved, usage)
            budget.recorded(usage)
            calls += 1

    before = time.process_time()
    await asyncio.gather(*(call() for _ in range(CALLERS)), return_exceptions=True)
    cpu = time.process_time() - before
    waits.sort()
    return {"calls": calls, "cpu": cpu, "waits": waits[:: max(1, len(waits) // 2_000)]}


async def holder(store: str, number: str, rate: str, concurrency: str, seconds: str) -> dict[str, Any]:
    """One process; without a store, on its own."""
    if not store:
        budget = Budget(PLENTY)
        _ready()
        return await callers(budget, int(rate), int(concurrency), float(seconds))
    shares = PostgresShares(store)
    exchanges, change = 0, shares.change

    async def counted(name: str, step: Any) -> Any:
        nonlocal exchanges
        exchanges += 1
        return await change(name, step)

    shares.change = counted  # type: ignore[method-assign]
    async with sharing(shares, f"bench-{number}") as shared:
        budget = shared.budget("bench", PLENTY)
        _ready()
        told = await callers(budget, int(rate), int(concurrency), float(seconds))
        told["exchanges"] = exchanges
    await asyncio.to_thread(shares.close)
    return told


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def case(name: str, store: str, holders: int, rate: int, seconds: float, server: Any = None) -> dict[str, Any]:
    words = [str(rate), str(CALLERS * holders), str(seconds)]
    with ExitStack() as held:
        several = [
            held.enter_context(
                subprocess.Popen(
                    [sys.executable, __file__, "--holder", store, str(number), *words],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(holders)
        ]
        for one in several:
            assert one.stdout is not None
            one.stdout.readline()
        before = _cpu_of(server)
        for one in several:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        told = [json.loads(one.communicate()[0]) for one in several]
        spent = _cpu_of(server) - before
    calls = sum(one["calls"] for one in told)
    waits = sorted(wait for one in told for wait in one["waits"])
    exchanges = sum(one.get("exchanges", 0) for one in told)
    return {
        "case": name,
        "holders": holders,
        "calls_per_second": round(calls / seconds, 1),
        "cpu_us_per_call": round(1e6 * sum(one["cpu"] for one in told) / max(1, calls), 1),
        "server_us_per_call": round(1e6 * spent / max(1, calls), 1) if store else 0.0,
        "enter_ms_p50": round(1e3 * waits[len(waits) // 2], 3),
        "enter_ms_p99": round(1e3 * waits[int(len(waits) * 0.99)], 3),
        "exchanges_per_call": round(exchanges / max(1, calls), 4),
        "exchanges_per_second": round(exchanges / seconds, 1),
        "used_of_rate": round(calls / (rate * (seconds / 60 + 0.25)), 3),
        "fewest": min(one["calls"] for one in told),
        "most": max(one["calls"] for one in told),
    }


def _cpu_of(server: Any) -> float:
    """CPU seconds of the server so far, with its backends and those that have ended."""
    if server is None:
        return 0.0
    root = psutil.Process(server._process.pid)
    times = root.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for process in root.children():
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return float(total)


def main() -> None:
    if sys.argv[1:2] == ["--holder"]:
        sys.stdout.write(json.dumps(asyncio.run(holder(*sys.argv[2:]))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--holders", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=6_000, help="calls a minute of all holders, where that binds")
    parser.add_argument("--store", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    with ExitStack() as held:
        server = None if options.store else held.enter_context(LocalPostgres())
        for holders in options.holders:
            for name, rate in (("free", 10**9), ("bound", options.rate)):
                each = max(1, rate // holders)
                found.append(case(f"local {name}", "", holders, each, options.seconds))
                found[-1]["used_of_rate"] = round(found[-1]["used_of_rate"] / holders, 3)
                store = options.store or (server.database() if server is not None else "")
                found.append(case(f"shared {name}", store, holders, rate, options.seconds, server))
                for line in found[-2:]:
                    sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
