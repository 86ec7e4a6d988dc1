"""Traces and metrics, as a collector receives them from real runs; and what is made of the journal later."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context, metrics, trace
from opentelemetry.metrics import _internal as meter_api
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from swarm.cli import sending
from swarm.coordinator.work.state import order_id
from swarm.inspect.export.otlp import write_otlp
from swarm.inspect.opened import open_run
from swarm.limits import attempts
from swarm.models.base import Completion, Price
from swarm.models.registry import connect
from swarm.models.scripted import Scripted
from swarm.observe import nodes, spans
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task, Usage
from swarm.testing.provider import Fault, Provider
from tests.kill.acting import acting_of, hands
from tests.observe.collector import Collector, Seen, collecting, seen

SECRET = "sk-proj-abcDEF0123456789abcDEF"
QUESTION = "How is a task protected from the heliotrope cancellation?"
TEXT = "A heliotrope shield protects a task from cancellation. The turquoise reactor is cooled by a pump.\n\n"
COST = Price(input_usd=3.0, output_usd=15.0, cached_usd=0.3)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.md").write_text(f"# Note {n}\n\n" + TEXT * (n + 1))
    return folder


@dataclass
class Sent:
    """The process's own providers, set up as the command line does, and the collector that they send to."""

    collector: Collector
    ends: list[Any]

    def arrived(self) -> list[Seen]:
        """All spans, once everything was sent."""
        for end in self.ends:
            end()
        return self.collector.spans


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setattr(nodes.Ids, "wanted", False)
        session = sending._session()
        tracers, meters = sending._tracers(session), sending._meters(session)
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
        monkeypatch.setattr(meter_api, "_METER_PROVIDER", meters)
        monkeypatch.setattr(attempts, "_FIRST_WAIT_SECONDS", 0.001)
        yield Sent(collector, [tracers.shutdown, meters.shutdown])


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """A provider of the user's own, which keeps the spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


def exported(run: str, store: Path) -> list[Seen]:
    """The spans that are made of a journal, through the schema of the protocol."""
    out = io.BytesIO()
    with open_run(run, store) as opened:
        count = write_otlp(opened, out)
    parsed = parse(json.loads(out.getvalue()))
    found = [seen(span) for of in parsed.resource_spans for scope in of.scope_spans for span in scope.spans]
    assert len(found) == count == len({one.id for one in found})
    return found


def parse(document: dict[str, Any]) -> TracesData:
    """OTLP in JSON has ids in hex, where the JSON of protobuf has base64; all else is the same."""
    from base64 import b64encode

    from google.protobuf.json_format import Parse

    def based(node: Any) -> Any:
        if isinstance(node, list):
            return [based(one) for one in node]
        if not isinstance(node, dict):
            return node
        ids = ("traceId", "spanId", "parentSpanId")
        return {
            name: b64encode(bytes.fromhex(value)).decode() if name in ids else based(value)
            for name, value in node.items()
        }

    return Parse(json.dumps(based(document)), TracesData())


def same(live: list[Seen], made: list[Seen]) -> None:
    """The same spans, under the same ids, in the same tree, that say the same of themselves."""
    one, other = ({span.id: span.core() for span in them} for them in (live, made))
    assert {name: one[name] for name in sorted(one)} == {name: other[name] for name in sorted(other)}


def whole(found: list[Seen]) -> dict[str, Seen]:
    """The spans by their ids, if they are one well-formed tree for each session."""
    by_id = {span.id: span for span in found}
    assert len(by_id) == len(found)
    for span in found:
        assert span.begun <= span.ended
        if span.name != "invoke_workflow swarm":
            assert by_id[span.parent].trace == span.trace
        if span.name.startswith(("chat ", "execute_tool ")):
            assert by_id[span.parent].name.split()[0] in (
                "invoke_agent",
                "plan",
                "judge",
                "consolidate",
                "finish",
            )
    return by_id


def total(found: list[Seen], usage: Usage) -> None:
    """What calls say they cost is what the run did."""
    calls = [span.attributes for span in found if span.name.startswith("chat ")]
    assert sum(one["gen_ai.usage.input_tokens"] for one in calls) == usage.input_tokens
    assert sum(one["gen_ai.usage.output_tokens"] for one in calls) == usage.output_tokens
    assert sum(one.get("gen_ai.usage.cache_read.input_tokens", 0) for one in calls) == usage.cached_tokens
    assert sum(one["swarm.cost_usd"] for one in calls) == pytest.approx(usage.cost_usd)


# The command line


def command(corpus: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-m", "swarm", "ask", QUESTION, str(corpus), "--quiet", "--store", "s.db", *more],
        env=clean | environment,
        cwd=corpus.parent,
        capture_output=True,
        text=True,
    )


def test_a_run_of_the_command_line_arrives_whole_and_is_the_same_made_of_its_journal(corpus: Path) -> None:
    with collecting() as collector:
        done = command(
            corpus, "--json", "--log-json", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SERVICE_NAME="mine"
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        answer = json.loads(done.stdout)
        live = collector.spans
        named = collector.resources
        numbers = collector.metrics()
    by_id = whole(live)
    (root,) = [span for span in live if not span.parent]
    run = answer["run_id"]
    assert root.name == "invoke_workflow swarm"
    assert root.trace == f"{spans.trace_id(run):032x}"
    assert root.attributes["swarm.run.id"] == root.attributes["gen_ai.conversation.id"] == run
    assert root.attributes["swarm.status"] == "answered"
    assert {by_id[span.parent].name for span in live if span.name == "chat extractive"} >= {"invoke_agent reader"}
    total(live, Usage(**{name: answer["usage"][name] for name in Usage.__dataclass_fields__}))
    same(live, exported(run, corpus.parent / "s.db"))
    assert {one["service.name"] for one in named} == {"mine"}
    (spent,) = numbers["gen_ai.client.inference.usage.input_tokens"]
    assert spent[1] == answer["usage"]["input_tokens"]
    assert dict(numbers)["swarm.places.busy"] == [({}, 0.0)]
    said = b"".join(body for _, body in collector.requests)
    for text in (b"heliotrope", b"turquoise", str(corpus).encode(), QUESTION.encode()):
        assert text not in said


def test_nothing_is_sent_or_imported_unless_it_is_asked_for(corpus: Path) -> None:
    script = (
        "import sys; sys.argv[0] = 'swarm'\nfrom swarm.cli.main import main\ncode = main()\n"
        "assert not {'swarm.observe.live', 'opentelemetry.exporter'} & sys.modules.keys()\nsys.exit(code)"
    )
    with collecting() as collector:
        done = subprocess.run(
            [sys.executable, "-c", script, "ask", QUESTION, str(corpus), "--quiet", "--store", "s.db"],
            env=os.environ
            | {
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_SDK_DISABLED": "true",
                "OTEL_SERVICE_NAME": "x",
            },
            cwd=corpus.parent,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
        assert not collector.requests


@pytest.mark.parametrize(
    ("environment", "signals"),
    [
        ({}, set()),
        ({"OTEL_SERVICE_NAME": "mine"}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, {"traces", "metrics"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, {"traces"}),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x"}, {"metrics"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "none"}, {"traces"}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "console"}, {"metrics"}),
    ],
)
def test_the_standard_variables_say_what_is_sent(environment: dict[str, str], signals: set[str]) -> None:
    assert sending.wanted(environment) == signals


def test_a_collector_that_is_not_there_delays_nothing_and_leaves_the_terminal_alone(
    corpus: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(nodes.Ids, "wanted", False)
    for module, signal in ((trace, "TRACER"), (meter_api, "METER")):
        monkeypatch.setattr(module, f"_{signal}_PROVIDER", None)
        monkeypatch.setattr(module, f"_{signal}_PROVIDER_SET_ONCE", Once())
    with sending.sending():
        task = Task(questions=(QUESTION,), paths=(str(corpus),))
        answer = asyncio.run(Swarm(store=corpus.parent / "s.db").run(task))
        assert isinstance(trace.get_tracer_provider(), TracerProvider)
        began = time.monotonic()
    assert answer.text
    assert time.monotonic() - began < 3  # it is the SDK's own way to wait for half a minute
    assert capfd.readouterr() == ("", "")


def test_a_collector_that_does_not_answer_is_waited_for_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "FLUSH_SECONDS", 0.1)
    began = time.monotonic()
    sending._finish([lambda: time.sleep(30)], sending._session())
    assert time.monotonic() - began < 5
    session = sending._session()
    session.down = True
    monkeypatch.setattr(sending, "FLUSH_SECONDS", 60.0)
    sending._finish([lambda: time.sleep(30)], session)
    assert time.monotonic() - began < 5


def test_without_the_extra_a_line_of_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with sending.sending():
        pass
    (record,) = [one for one in caplog.records if one.name == "swarm.telemetry"]
    assert "swarm-memory[otel]" in record.getMessage()


# Runs with tools


async def act(folder: Path, provider: Provider, **more: Any) -> Answer:
    job = acting_of(folder, str(folder / "s.db"), 2, planned=True)
    model = connect("anthropic:any", base_url=provider.url, window=16_000, api_key=SECRET, price=COST)
    return await Swarm(model, store=folder / "s.db").run(replace(job.task, **more), run_id="acted", plan=job.plan)


def test_a_run_with_tools_tells_of_planner_slices_calls_tries_and_tools(tmp_path: Path, sent: Sent) -> None:
    faults = [None, Fault(status=429, message=f"slow down, {SECRET}"), None, Fault(status=500, message=SECRET)]
    with Provider(window=16_000, hands=hands, faults=faults, key=SECRET) as provider:
        answer = asyncio.run(act(tmp_path, provider))
        host, _, port = provider.url.removeprefix("http://").partition(":")
    live = sent.arrived()
    by_id = whole(live)
    total(live, answer.usage)
    assert answer.usage.cached_tokens
    calls = [span for span in live if span.name == "chat any"]
    (root,) = [span for span in live if not span.parent]
    assert len(calls) == answer.usage.calls
    for span in calls:
        told = span.attributes
        assert span.kind == 3
        assert (told["gen_ai.provider.name"], told["gen_ai.request.model"]) == ("anthropic", "any")
        assert (told["server.address"], told["server.port"]) == (host, int(port))
        assert told["swarm.window.limit"] == 16_000
        assert 0 < told["swarm.window.fill"] <= 1
        assert told["swarm.worst.cost_usd"] > told["swarm.cost_usd"] > 0
        share = told.get("gen_ai.usage.cache_read.input_tokens", 0) / told["gen_ai.usage.input_tokens"]
        assert told["swarm.cached_share"] == pytest.approx(share)
        assert {"swarm.slice.id", "swarm.phase"} & told.keys()
    tried = [span for span in calls if span.attributes["swarm.tries"] > 1]
    assert [[name for name, _ in span.events] for span in tried] == [["swarm.try.failed"]] * 2
    assert [span.events[0][1]["error.type"] for span in tried] == ["RateLimited", "Unavailable"]
    tools = [span for span in live if span.name.startswith("execute_tool ")]
    assert {span.attributes["gen_ai.tool.name"] for span in tools} == {"look", "mark", "subtask"}
    slices = [span for span in live if span.name == "invoke_agent worker"]
    assert [span.attributes["swarm.slice.state"] for span in slices] == ["done", "done"]
    assert {by_id[span.parent].name for span in tools} == {"plan planner", "invoke_agent worker", "judge"}
    assert {by_id[span.parent].name for span in slices} == {"dispatch"}
    assert root.attributes["swarm.run.cost_usd"] == pytest.approx(answer.usage.cost_usd)
    same(live, exported("acted", tmp_path / "s.db"))
    numbers = sent.collector.metrics()
    assert sum(value for _, value in numbers["swarm.cost"]) == pytest.approx(answer.usage.cost_usd)
    ((_, cached),) = numbers["gen_ai.client.inference.usage.cache_read.input_tokens"]
    assert cached == answer.usage.cached_tokens
    failed = {of["error.type"]: value for of, value in numbers["swarm.call.failed_tries"]}
    assert failed == {"RateLimited": 1, "Unavailable": 1}
    assert {of["swarm.slice.state"]: value for of, value in numbers["swarm.slices"]} == {
        "ready": 0,
        "running": 0,
        "done": 2,
    }
    said = b"".join(body for _, body in sent.collector.requests)
    assert SECRET.encode() not in said
    for text in (b"slow down", b"Stone", b"Make piece", b"piece 0", str(tmp_path).encode()):
        assert text not in said


def test_a_run_that_goes_on_is_the_same_trace(tmp_path: Path, sent: Sent) -> None:
    with Provider(window=16_000, hands=hands, key=SECRET) as provider:
        first = asyncio.run(act(tmp_path, provider, limits=Limits(calls=8)))
        second = asyncio.run(act(tmp_path, provider, limits=Limits()))
    assert (first.stopped is None, second.complete) == (False, True)
    live = sent.arrived()
    whole(live)
    roots = [span for span in live if not span.parent]
    assert [one.attributes["swarm.session"] for one in roots] == [1, 2]
    assert [one.attributes["swarm.status"] for one in roots] == ["partial", "answered"]
    assert roots[0].attributes["swarm.limit"] == "calls"
    assert not roots[0].failed
    assert len({span.trace for span in live}) == 1
    stopped = [one for one in live if one.attributes.get("swarm.slice.state") == "stopped"]
    assert stopped
    total(live, second.usage)
    same(live, exported("acted", tmp_path / "s.db"))


# Runs in a process that has set up its own


def of(kept: InMemorySpanExporter) -> dict[str, Any]:
    return {span.name: span for span in kept.get_finished_spans()}


def reading(corpus: Path, **replies: Any) -> tuple[Scripted, Task]:
    found = {"claim": "A shield protects a task.", "quote": "shield protects a task", "relevance": 0.9}
    script = {
        "plan": {"queries": ["shield"], "reading": ""},
        "read": {"findings": [found]},
        "answer": {
            "statements": [{"text": "It is.", "findings": ["F1"]}],
            "short": "",
            "answerable": True,
        },
        "judge": {"verdict": "enough", "queries": []},
    }
    task = Task(questions=(QUESTION,), paths=(str(corpus),), limits=Limits(rounds=1))
    return Scripted(script | replies), task


def test_spans_are_children_of_the_users_own(corpus: Path, kept: InMemorySpanExporter) -> None:
    model, task = reading(corpus)
    with trace.get_tracer("mine").start_as_current_span("my request") as mine:
        asyncio.run(Swarm(model, store=corpus.parent / "s.db").run(task, run_id="mine"))
    root = of(kept)["invoke_workflow swarm"]
    assert root.parent.span_id == mine.get_span_context().span_id
    assert {span.context.trace_id for span in kept.get_finished_spans()} == {mine.get_span_context().trace_id}
    assert root.attributes["swarm.run.id"] == "mine"


def test_what_a_tool_or_a_model_does_is_inside_of_its_span(corpus: Path, kept: InMemorySpanExporter) -> None:
    inside: list[int] = []

    class Instrumented(Scripted):
        async def call(self, prompt: Any, *, max_output: int) -> Completion:
            inside.append(trace.get_current_span().get_span_context().span_id)
            return await super().call(prompt, max_output=max_output)

    model, task = reading(corpus)
    model.__class__ = Instrumented
    asyncio.run(Swarm(model, store=corpus.parent / "s.db").run(task))
    calls = [one.context.span_id for one in kept.get_finished_spans() if one.name.startswith("chat ")]
    assert sorted(inside) == sorted(calls)


def test_a_run_that_is_cancelled_ends_all_its_spans(corpus: Path, kept: InMemorySpanExporter) -> None:
    begun = asyncio.Event()

    class Endless(Scripted):
        async def call(self, prompt: Any, *, max_output: int) -> Completion:
            begun.set()
            await asyncio.sleep(60)
            raise AssertionError

    model, task = reading(corpus)
    model.__class__ = Endless

    async def cancelled() -> None:
        running = asyncio.create_task(Swarm(model, store=corpus.parent / "s.db").run(task))
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    found = of(kept)
    for name in ("invoke_workflow swarm", "chat scripted"):
        assert found[name].attributes["error.type"] == "CancelledError"
        assert found[name].status.status_code is trace.StatusCode.ERROR
    ids = {span.context.span_id for span in found.values()}
    assert {span.parent.span_id for span in found.values() if span.parent} <= ids


def test_a_slice_that_fails_says_so_and_the_run_goes_on(corpus: Path, sent: Sent) -> None:
    class Failing(Scripted):
        async def call(self, prompt: Any, *, max_output: int) -> Completion:
            if prompt.kind == "read" and "Note 1" in prompt.passages[0].text:
                return Completion(text="{}", usage=Usage(calls=1, input_tokens=9), refusal=f"I will not, {SECRET}")
            return await super().call(prompt, max_output=max_output)

    model, task = reading(corpus)
    model.__class__ = Failing
    swarm = Swarm(model, store=corpus.parent / "s.db")
    answer = asyncio.run(swarm.run(replace(task, slicing="source"), run_id="x"))
    assert len(answer.failures) == 1
    live = sent.arrived()
    (failed,) = [one for one in live if one.attributes.get("swarm.slice.state") == "failed"]
    assert (failed.failed, failed.attributes["error.type"]) == (True, "SliceFailed")
    (call,) = [one for one in live if one.parent == failed.id]
    assert (call.failed, call.attributes["error.type"]) == (True, "Refused")
    same(live, exported("x", corpus.parent / "s.db"))
    assert SECRET.encode() not in b"".join(body for _, body in sent.collector.requests)


def test_a_mounted_run_tells_of_its_phases_too(corpus: Path, kept: InMemorySpanExporter) -> None:
    graph = Swarm(store=corpus.parent / "s.db").compiled()
    out = asyncio.run(graph.ainvoke({"question": QUESTION, "paths": [str(corpus)]}))
    found = kept.get_finished_spans()
    (root,) = [span for span in found if span.parent is None]
    assert root.attributes["swarm.run.id"] == out["run_id"]
    assert root.attributes["swarm.status"] == "answered"
    assert {span.name for span in found} >= {"dispatch", "invoke_agent reader", "chat extractive"}
    assert {span.context.trace_id for span in found} == {root.context.trace_id}


def test_a_processor_that_breaks_does_not_break_the_run(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(SpanProcessor):
        def on_start(self, span: Any, parent_context: context.Context | None = None) -> None:
            raise OSError("disk full")

        def on_end(self, span: Any) -> None:
            raise OSError("disk full")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    model, task = reading(corpus)
    answer = asyncio.run(Swarm(model, store=corpus.parent / "s.db").run(task))
    assert answer.complete


# Logs


def test_each_line_of_the_log_says_where_it_was_written(
    tmp_path: Path, sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    import logging

    from swarm.observe.log import to_stderr

    root = logging.getLogger()
    before = root.handlers[:], root.level
    to_stderr()
    try:
        with Provider(window=16_000, hands=hands, faults=[None, Fault(status=500)], key=SECRET) as provider:
            asyncio.run(act(tmp_path, provider))
    finally:
        root.handlers[:], root.level = before
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (again,) = [one for one in lines if one["event"] == "call tried again"]
    assert (again["run"], again["asker"]) == ("acted", "plan::1")
    by_id = {span.id: span for span in sent.arrived()}
    assert by_id[again["span_id"]].trace == again["trace_id"]
    assert all(one["run"] == "acted" for one in lines if one["logger"].startswith("swarm."))


# Ids


def test_the_ids_of_orders_are_those_of_the_coordinator() -> None:
    for name in ("", "piece 0", "a/b", "größer"):
        assert spans.by(f"plan:{name}:3").get("swarm.branch.id", order_id("")) == order_id(name)


def test_ids_are_ids() -> None:
    assert re.fullmatch("[0-9a-f]{32}", f"{spans.trace_id('run'):032x}")
    assert spans.trace_id("run") != spans.trace_id("other")
    assert spans.span_id("a", 1) != spans.span_id("a", 2)
    assert metrics.get_meter_provider() is not None
