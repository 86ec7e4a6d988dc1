"""A collector of OpenTelemetry on a loopback port: it takes what OTLP exporters send over HTTP as protobuf, and
decodes it. The bytes are kept."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan


@dataclass(frozen=True)
class Seen:
    """A span as it arrived; ids in hex."""

    id: str
    parent: str
    trace: str
    name: str
    kind: int
    begun: int
    ended: int
    attributes: dict[str, Any]
    events: tuple[tuple[str, dict[str, Any]], ...]
    failed: bool

    def core(self) -> tuple[Any, ...]:
        """All but the times."""
        return self.id, self.parent, self.trace, self.name, self.kind, self.attributes, self.events, self.failed


@dataclass
class Collector:
    url: str = ""
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def spans(self) -> list[Seen]:
        return [seen(span) for resource, span in self._spans()]

    @property
    def resources(self) -> list[dict[str, Any]]:
        return [_plain(resource.attributes) for resource, _ in self._spans()]

    def _spans(self) -> Iterator[tuple[Any, ProtoSpan]]:
        for path, body in self.requests:
            if path == "/v1/traces":
                for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in of.scope_spans:
                        assert scope.scope.name == "swarm", (scope.scope, scope.spans)
                        yield from ((of.resource, span) for span in scope.spans)

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """The last points of each metric: attributes, and the value or the sum."""
        found: dict[str, list[tuple[dict[str, Any], float]]] = {}
        for path, body in self.requests:
            if path != "/v1/metrics":
                continue
            for of in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in of.scope_metrics:
                    for metric in scope.metrics:
                        data = getattr(metric, metric.WhichOneof("data"))
                        found[metric.name] = [(_plain(one.attributes), _number(one)) for one in data.data_points]
        return found


def seen(span: ProtoSpan) -> Seen:
    return Seen(
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        trace=span.trace_id.hex(),
        name=span.name,
        kind=span.kind,
        begun=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        events=tuple((one.name, _plain(one.attributes)) for one in span.events),
        failed=span.status.code == 2,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
            collector.requests.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield collector
        server.shutdown()


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes if isinstance(one, KeyValue)}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _number(point: Any) -> float:
    if hasattr(point, "sum"):
        return float(point.sum)
    return float(getattr(point, point.WhichOneof("value")))
