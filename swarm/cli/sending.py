"""Where the command line sends traces and metrics: to nobody, unless OpenTelemetry's standard variables say where.

    with sending():
        ...

`OTEL_EXPORTER_OTLP_ENDPOINT`, or that of traces or of metrics alone, turns it on, with the extra `otel`;
`OTEL_SDK_DISABLED` and `OTEL_TRACES_EXPORTER=none` turn it off again, and all else that the SDK reads holds. A
collector that is gone or slow holds nobody up: spans are sent by a thread, what does not fit its queue is let go,
and at the end it is waited for as long as `FLUSH_SECONDS`. What it complains of goes to the log.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote

from swarm.observe.log import get_logger, hide

FLUSH_SECONDS = 5.0
_DOWN_SECONDS = 0.2  # is waited for a collector that was not there when it was last tried
_QUEUE = "16384"  # spans; the SDK's own 2,048 are what a fast run makes in a second
_LOOK_SECONDS = 0.02

log = get_logger("telemetry")


@contextmanager
def sending() -> Iterator[None]:
    """While it lasts, what runs tell is sent to where the variables say; at its end, what is left of it."""
    signals = wanted(os.environ)
    finish = _begin(signals) if signals else None
    try:
        yield
    finally:
        if finish is not None:
            with suppress(OSError, ValueError):  # whoever reads the answer need not wait
                sys.stdout.flush()
            finish()


def wanted(environment: Mapping[str, str]) -> frozenset[str]:
    """Which of `traces` and `metrics` are to be sent."""

    def said(name: str) -> str:
        return environment.get(name, "").strip()

    if said("OTEL_SDK_DISABLED").lower() == "true":
        return frozenset()
    every = said("OTEL_EXPORTER_OTLP_ENDPOINT")
    return frozenset(
        signal
        for signal in ("traces", "metrics")
        if (every or said(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))
        and "otlp" in (said(f"OTEL_{signal.upper()}_EXPORTER") or "otlp").split(",")
    )


def _begin(signals: frozenset[str]) -> Callable[[], None] | None:
    """Set up what sends. What is to be done at the end."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip()
    if protocol not in ("", "http/protobuf"):
        log.warning("nothing is sent: set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf", protocol=protocol)
        return None
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as _  # noqa: F401 - is it there?
    except ImportError:
        log.warning("nothing is sent: OpenTelemetry's SDK is not installed: pip install 'swarm-memory[otel]'")
        return None
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None  # whoever started this has set it up, as `opentelemetry-instrument` does
    _keep_quiet()
    session = _session()
    try:
        ends = _set_up(signals, session)
    except Exception as error:  # an address that is none, a certificate that is not there
        log.warning("nothing is sent: OpenTelemetry could not be set up", error=f"{type(error).__name__}: {error}")
        return None
    return lambda: _finish(ends, session)


def _set_up(signals: frozenset[str], session: Any) -> list[Callable[[], object]]:
    """The providers of this process. What ends them."""
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.propagators.composite import CompositePropagator

    ends: list[Callable[[], object]] = []
    if "traces" in signals:
        tracers = _tracers(session)
        trace.set_tracer_provider(tracers)
        ends.append(tracers.shutdown)
        if "OTEL_PROPAGATORS" not in os.environ:
            propagate.set_global_textmap(
                CompositePropagator([])
            )  # no provider and no tool server hears of a trace
    if "metrics" in signals:
        meters = _meters(session)
        metrics.set_meter_provider(meters)
        ends.append(meters.shutdown)
    return ends


def _keep_quiet() -> None:
    """What libraries warn of goes to the log, and no secret with it; it is no word to the user."""
    for library in ("opentelemetry", "urllib3"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    for name, line in os.environ.items():
        for pair in line.split(",") if name.startswith("OTEL_") and name.endswith("_HEADERS") else ():
            value = pair.partition("=")[2].strip()
            hide(value)
            hide(unquote(value))


def _tracers(session: Any) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    from swarm.observe.nodes import Ids, ids

    class RunIds(RandomIdGenerator):
        """Those that Swarm chooses: the trace of a run is known by its name, also when it goes on."""

        def generate_trace_id(self) -> int:
            return ids.trace or super().generate_trace_id()

        def generate_span_id(self) -> int:
            return ids.span or super().generate_span_id()

    class Own(BatchSpanProcessor):
        """Sends Swarm's spans alone: those of libraries may tell what is asked and answered."""

        def on_end(self, span: ReadableSpan) -> None:
            if span.instrumentation_scope is not None and span.instrumentation_scope.name == "swarm":
                super().on_end(span)

    Ids.wanted = True
    queue = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", _QUEUE))
    tracers = TracerProvider(resource=_resource(), id_generator=RunIds(), shutdown_on_exit=False)
    tracers.add_span_processor(Own(OTLPSpanExporter(session=session), max_queue_size=queue))
    return tracers


def _meters(session: Any) -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(OTLPMetricExporter(session=session))
    return MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)


def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    said = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in said
    name = {} if named else {"service.name": "swarm"}
    return Resource.create({**name, "service.version": version("swarm-memory")})


def _session() -> Any:
    """What exporters send with. `down` says whether the collector was not there when it was last tried."""
    import requests

    class Session(requests.Session):
        down = False

        def request(self, *arguments: Any, **settings: Any) -> Any:
            try:
                response = super().request(*arguments, **settings)
            except requests.ConnectionError:
                self.down = True
                raise
            self.down = False
            return response

    return Session()


def _finish(ends: list[Callable[[], object]], session: Any) -> None:
    """Send what is left, within bounds: by threads of their own, as the SDK's own bound is half a minute."""
    threads = [threading.Thread(target=end, daemon=True) for end in ends]
    for one in threads:
        one.start()
    began = time.monotonic()
    while any(one.is_alive() for one in threads):
        waited = time.monotonic() - began
        if waited > FLUSH_SECONDS or (session.down and waited > _DOWN_SECONDS):
            log.warning("not all traces and metrics were sent", seconds=round(waited, 1))
            return
        time.sleep(_LOOK_SECONDS)
