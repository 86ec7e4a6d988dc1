"""What it costs a run to be traced: CPU of a call, with no OpenTelemetry in the process, with its API and no
provider, with the SDK and spans kept in memory, and with spans and metrics sent to a collector on a loopback port.

    python tests/bench/telemetry.py [--calls 4000] [--times 3] [--out FILE]

The run is a real one of Swarm over a file of records, a slice and a call a record; only its model is SIMULATED: it
computes nothing. Each way is a process of its own, one after another, in another order each time; CPU is user and
system time of all threads of that process, from the first call to the last, and for `otlp` to the end of sending.
The collector is another process and not counted. Beside them: what the doors themselves cost where nobody listens,
in ns.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path
from typing import Any

from calls import Silent, task_of, write_records

from swarm.models.base import Completion
from swarm.prompts.typed import Prompt
from swarm.run import Swarm

WAYS = ("none", "api", "memory", "otlp")


class Timed(Silent):
    """Remembers what CPU the process had used at its first and at its last call."""

    first: float | None = None
    last = 0.0

    async def call(self, prompt: Prompt[Any], *, max_output: int) -> Completion:
        if self.first is None:
            self.first = time.process_time()
        self.last = time.process_time()
        return await super().call(prompt, max_output=max_output)


def set_up(way: str, url: str) -> list[Any]:
    """OpenTelemetry, as the way has it. What is to be done at the end."""
    if way == "none":
        return []
    from opentelemetry import metrics, trace

    if way == "api":
        return []
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    tracers = TracerProvider(shutdown_on_exit=False)
    if way == "memory":
        tracers.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
        reader: Any = InMemoryMetricReader()
    else:
        exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
        tracers.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=1 << 16))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{url}/v1/metrics"))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    return [tracers.shutdown, meters.shutdown]


def one(way: str, calls: int, url: str) -> dict[str, float]:
    """A run, and microseconds of CPU for each call."""
    if way == "none":  # though LangGraph's own tracing imports it where it is installed
        sys.modules["opentelemetry"] = None  # type: ignore[assignment]
    ends = set_up(way, url)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.jsonl"
        write_records(path, calls)
        model = Timed(finds=True)
        asyncio.run(Swarm(model, store=Path(folder) / "s.db", concurrency=64).run(task_of(path.parent)))
    before = time.process_time()
    for end in ends:
        end()
    assert model.first is not None
    sent = time.process_time() - before
    return {"call_us": (model.last - model.first + sent) / calls * 1e6}


def doors() -> dict[str, float]:
    """What the doors cost where nobody listens, in ns."""
    from swarm.observe.scope import within
    from swarm.observe.telemetry import asked, tried, using
    from swarm.task import Usage

    def call() -> None:
        with asked("r", None) as told:  # type: ignore[arg-type]
            told(1)

    def tool() -> None:
        with using("grep", "0:0:0") as told:
            told(("", False))

    def scope() -> None:
        with within(call="k"):
            pass

    usage, error, many = Usage(), ValueError(), 200_000
    ways = {"asked": call, "using": tool, "within": scope, "tried": lambda: tried(error, usage)}
    return {
        name: round(min(timeit.repeat(what, number=many, repeat=5)) / many * 1e9) for name, what in ways.items()
    }


COLLECTOR = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=(*WAYS, "doors"))
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(doors() if options.way == "doors" else one(options.way, options.calls, options.url)))
        return
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        url = f"http://127.0.0.1:{collector.stdout.readline().strip()}"
        try:
            for time_ in range(options.times):
                for way in WAYS[time_ % len(WAYS) :] + WAYS[: time_ % len(WAYS)]:
                    found[way].append(asked_of(way, options.calls, url)["call_us"])
        finally:
            collector.terminate()
    rounds = {way: [mine / base for mine, base in zip(found[way], found["none"], strict=True)] for way in WAYS}
    told = {
        "calls": options.calls,
        "call_us": {way: round(statistics.median(values), 1) for way, values in found.items()},
        "of_none": {way: round(statistics.median(values), 3) for way, values in rounds.items()},
        "doors_ns": asked_of("doors", 0, ""),
    }
    print(json.dumps(told, indent=1))
    if options.out:
        options.out.write_text(json.dumps(told, indent=1) + "\n")


def asked_of(way: str, calls: int, url: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--way", way, "--calls", str(calls), "--url", url]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told


if __name__ == "__main__":
    main()
