"""Slices that are worked in another process: what they ask joins the trace of the run; workers in numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextvars import Context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import _internal as meter_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from swarm.events import SliceFinished, SliceStarted
from swarm.inspect.export.otlp import write_otlp
from swarm.inspect.opened import open_run
from swarm.models.base import Completion
from swarm.observe import spans, telemetry
from swarm.observe.scope import within
from swarm.observe.serving import offered, serving
from swarm.observe.telemetry import asked, carried, placed, traced, using, working
from swarm.source import Span
from swarm.task import Report, Slice, Task, Usage
from swarm.testing.staged import Script, machine_id, staged

RUN = "20261127-101500-abc123"
CALL: Any = SimpleNamespace(
    key="0" * 32,
    model=SimpleNamespace(name="openai:some", window=8_000, lane=""),
    prompt=SimpleNamespace(kind="read"),
    worst=Usage(calls=1, input_tokens=100),
)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, dict[str, float]]]:
    """What was counted so far: by names, and by the values of attributes."""
    reader = InMemoryMetricReader()
    monkeypatch.setattr(meter_api, "_METER_PROVIDER", MeterProvider([reader], shutdown_on_exit=False))

    def read() -> dict[str, dict[str, float]]:
        data: Any = reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data is not None else []
        return {one.name: {_by(point): point.value for point in one.data.data_points} for one in metrics}

    return read


def _by(point: Any) -> str:
    return ",".join(map(str, (point.attributes or {}).values()))


def work(slice_: str, parent: str, session: int = 1) -> None:
    """What a worker does, in a context of its own."""
    with working(RUN, slice_, session, parent), within(run=RUN, asker=slice_):
        with using("grep", "0:1:0") as used:
            used(("found", False))
        with asked(RUN, CALL) as told, within(call=CALL.key):
            told(Completion(text="{}", usage=Usage(calls=1, input_tokens=10)))


def by_name(kept: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in kept.get_finished_spans()}


def test_what_a_worker_asks_and_uses_is_part_of_the_slice_in_the_trace_of_the_run(
    kept: InMemorySpanExporter,
) -> None:
    slice_ = Slice(id="s1", question="Why?", spans=(Span("x", 0, 1),), tokens=1)
    desk: Any = SimpleNamespace(
        session=1,
        task=Task(questions=("Why?",), paths=()),
        model=SimpleNamespace(name="m"),
        reader=SimpleNamespace(name="m"),
    )
    with traced(RUN, lambda _: None) as told:
        told.begun(desk)
        with within(run=RUN, asker="dispatch"):
            told.emit(SliceStarted(slice=slice_))
            with within(asker="s1"):
                parent = carried()
                Context().run(work, "s1", parent)
                placed(RUN, "s1", "north-4711", "north")
            told.emit(SliceFinished(slice=slice_, report=Report(slice="s1", question="Why?")))
    found = by_name(kept)
    worked = found["invoke_agent reader"]
    assert len({span.context.trace_id for span in found.values() if span.context}) == 1
    for name in ("execute_tool grep", "chat some"):
        around = found[name].parent
        assert around is not None
        assert f"{around.span_id:016x}" == parent.split("-")[2]
        assert (found[name].attributes or {})["swarm.slice.id"] == "s1"
    assert worked.context is not None
    assert f"{worked.context.span_id:016x}" == parent.split("-")[2]
    told_of = worked.attributes or {}
    assert (told_of["swarm.machine.id"], told_of["host.name"]) == ("north-4711", "north")
    assert told_of["swarm.slice.state"] == "done"


@pytest.mark.parametrize("parent", ["", "garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_worker_that_is_not_told_where_it_stands_finds_the_span_by_its_name(
    kept: InMemorySpanExporter, parent: str
) -> None:
    work("s1", parent, session=2)
    call = by_name(kept)["chat some"]
    assert call.parent is not None
    assert call.parent.trace_id == spans.trace_id(RUN)
    assert call.parent.span_id == spans.span_id(*spans.asker_key(RUN, 2, "s1"))
    assert (call.attributes or {})["swarm.session"] == 2


def test_where_nobody_listens_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "listening", lambda: False)
    assert carried() == ""
    work("s1", "")
    placed(RUN, "s1", "m", "h")


def test_workers_are_told_in_numbers(counted: Callable[[], dict[str, dict[str, float]]]) -> None:
    offered(3)
    with serving() as told:
        assert counted()["swarm.workers"] == {"alive": 1}
        for _ in range(3):
            told.claimed()
        told.ended(handed_in=True)
        told.ended(handed_in=False)
        told.lost(2)
        told.delivered_again()
        told.draining()
        told.draining()
        now = counted()
        assert now["swarm.workers"] == {"alive": 0, "draining": 1}
        assert {name: value[""] for name, value in now.items() if name != "swarm.workers"} == {
            "swarm.slices.offered": 3, "swarm.slices.claimed": 3, "swarm.slices.handed_in": 1,
            "swarm.slices.held": 1, "swarm.leases.lost": 2, "swarm.redeliveries": 1,
        }  # fmt: skip
    now = counted()
    assert now["swarm.workers"] == {"alive": 0, "draining": 0}
    assert now["swarm.slices.held"] == {"": 0}


async def test_the_trace_that_is_made_of_a_journal_names_the_machine_of_each_slice(tmp_path: Path) -> None:
    script = Script(findings=100, machines=("north", "south"), lost=1)
    await staged(tmp_path / "s.db", script)
    out = io.BytesIO()
    with open_run("last", tmp_path / "s.db") as opened:
        write_otlp(opened, out)
    (of,) = json.loads(out.getvalue())["resourceSpans"]
    attributes = [
        {one["key"]: one["value"].get("stringValue") for one in span["attributes"]}
        for span in of["scopeSpans"][0]["spans"]
    ]
    worked = [one for one in attributes if one.get("swarm.slice.state") in ("done", "failed")]
    assert sorted((one["host.name"], one["swarm.machine.id"]) for one in worked) == [
        (host, machine_id(host)) for host in ("north", "north", "south", "south", "south")
    ]
    assert sum("host.name" in one for one in attributes) == len(worked)
