"""What the endpoint costs on the way through: requests a second, latency, processor time and memory, beside none.

    python tests/bench/endpoint.py [--requests 600] [--rounds 3] [--clients 1,10,100] [--out FILE]

The same requests go to the provider of `swarm.testing` in a process of its own directly, and through `swarm serve`
in another, in turn, so that what else the machine does falls on both. A client here is one connection that asks
again as soon as it was answered, over plain sockets, so that the client costs little. Reported are requests a
second, the median and the 95th percentile of the latency, the ratio of both ways, the processor time of the
endpoint for each request (which a busy machine changes least), and the most memory it held. Then 100 clients send
a megabyte each at once.

The provider and its replies are SIMULATED and take no time: beside a model, whose first token takes hundreds of
milliseconds, all of this is noise. It says what the endpoint itself costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.testing.process import Apart
from swarm.testing.serving import Serving

ASKED = "Anna lives in Lisbon.\nBob lives in Rome.\nThe tower has 300 steps.\n\nWhere does Anna live?"
LARGE_BYTES = 2**20
WINDOW = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Way:
    """Where requests go."""

    name: str
    port: int
    token: str


@dataclass(frozen=True, kw_only=True)
class Took:
    """What a round of requests took, in seconds."""

    whole: float
    each: list[float]


def request_of(way: Way, *, stream: bool, text: str = ASKED) -> bytes:
    body = json.dumps({"model": "any", "input": text, "stream": stream, "max_output_tokens": 64}).encode()
    head = (
        f"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:{way.port}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {way.token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> bytes:
    """One reply to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    lower = head.lower()
    if b"content-length:" in lower:
        return await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
    pieces = []
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


async def client(way: Way, request: bytes, times: int, each: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", way.port, limit=2**24)
    try:
        for _ in range(times):
            began = time.perf_counter()
            writer.write(request)
            await writer.drain()
            if b"completed" not in await answered(reader):
                raise RuntimeError("the reply has no end")
            each.append(time.perf_counter() - began)
    finally:
        writer.close()
        await writer.wait_closed()


async def round_of(way: Way, clients: int, requests: int, request: bytes) -> Took:
    each: list[float] = []
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client(way, request, max(1, requests // clients), each))
    return Took(whole=time.perf_counter() - began, each=each)


def told(took: list[Took]) -> dict[str, float]:
    each = sorted(second for one in took for second in one.each)
    return {
        "per_second": statistics.median(len(one.each) / one.whole for one in took),
        "p50_ms": 1e3 * each[len(each) // 2],
        "p95_ms": 1e3 * each[int(len(each) * 0.95)],
    }


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(process: int, field: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


async def case(ways: tuple[Way, Way], process: int, clients: int, stream: bool, options: Any) -> dict[str, Any]:
    took: dict[str, list[Took]] = {way.name: [] for way in ways}
    used, count = 0.0, 0
    for number in range(options.rounds + 1):  # the first warms up
        for way in ways:
            before = cpu_seconds(process)
            one = await round_of(way, clients, options.requests, request_of(way, stream=stream))
            if number:
                took[way.name].append(one)
                if way.name == "through":
                    used += cpu_seconds(process) - before
                    count += len(one.each)
    direct, through = (told(took[way.name]) for way in ways)
    return {
        "clients": clients,
        "stream": stream,
        "direct": direct,
        "through": through,
        "ratio": through["per_second"] / direct["per_second"],
        "cpu_ms": 1e3 * used / count,
        "rss_mib": memory_mib(process, "VmRSS"),
    }


async def large(ways: tuple[Way, Way], process: int) -> dict[str, Any]:
    """A hundred clients with a megabyte each, at once."""
    before = memory_mib(process, "VmRSS")
    request = request_of(
        ways[1], stream=False, text="The quick brown fox. " * (LARGE_BYTES // 21) + "\n\nWho is quick?"
    )
    one = await round_of(ways[1], 100, 100, request)
    return {
        "whole_seconds": one.whole,
        "rss_before_mib": before,
        "rss_peak_mib": memory_mib(process, "VmHWM"),
        "rss_after_mib": memory_mib(process, "VmRSS"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=600, help="in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="1,10,100")
    parser.add_argument("--costs", action="store_true", help="as with a model that costs money: journalled")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))
    with tempfile.TemporaryDirectory() as folder, Apart(window=WINDOW) as provider:
        more = ["--window", str(WINDOW), "--concurrent", "1000"]
        if options.costs:
            prices = Path(folder, "prices.toml")
            prices.write_text('as_of = 2026-11-20\n["openai:any"]\ninput = 1.0\noutput = 2.0\n')
            more += ["--prices", str(prices), "--max-cost-usd", "100000"]
        with Serving("openai:any", provider.openai_url, store=Path(folder, "s.db"), options=more) as endpoint:
            ways = (
                Way(name="direct", port=int(provider.url.rpartition(":")[2]), token="none"),
                Way(name="through", port=int(endpoint.url.rpartition(":")[2]), token=endpoint.token),
            )
            report = asyncio.run(measured(ways, endpoint.process.pid, options))
    if options.out is not None:
        options.out.write_text(json.dumps(report, indent=1))


async def measured(ways: tuple[Way, Way], process: int, options: Any) -> dict[str, Any]:
    head = f"{'clients':>7} {'':>8} {'direct/s':>9} {'through/s':>9} {'ratio':>6} {'p50 ms':>14} {'p95 ms':>14}"
    sys.stdout.write(f"{head} {'CPU ms':>7} {'MiB':>6}\n")
    cases = []
    for clients in map(int, options.clients.split(",")):
        for stream in (False, True):
            one = await case(ways, process, clients, stream, options)
            cases.append(one)
            direct, through = one["direct"], one["through"]
            sys.stdout.write(
                f"{clients:7} {'streamed' if stream else 'whole':>8} {direct['per_second']:9.0f} "
                f"{through['per_second']:9.0f} {one['ratio']:6.2f} "
                f"{direct['p50_ms']:6.1f} {through['p50_ms']:7.1f} {direct['p95_ms']:6.1f} "
                f"{through['p95_ms']:7.1f} {one['cpu_ms']:7.2f} {one['rss_mib']:6.0f}\n"
            )
            sys.stdout.flush()
    at_once = await large(ways, process)
    sys.stdout.write(
        f"100 requests of 1 MiB at once: {at_once['whole_seconds']:.1f} s, {at_once['rss_before_mib']:.0f} MiB "
        f"before, {at_once['rss_peak_mib']:.0f} MiB at the most, {at_once['rss_after_mib']:.0f} MiB after\n"
    )
    return {"cases": cases, "large": at_once}


if __name__ == "__main__":
    main()
