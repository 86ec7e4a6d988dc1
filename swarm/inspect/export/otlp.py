"""A run as OpenTelemetry's traces in JSON, made from its journal: the spans that `swarm.observe` sends while a run
goes on, with the same names and attributes, and the ids that the command line gives them.

    with open_run("last") as opened, path.open("wb") as out:
        write_otlp(opened, out)

A journal tells when a call was begun and what came of each of its tries; when a phase or a slice began it does not
tell: they begin here with the first thing in them. This module knows no collector.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from swarm.inspect.export.spans import Span, spans_of
from swarm.inspect.opened import Opened
from swarm.observe.spans import ERROR, Attributes, Value

_AT_ONCE = 500  # spans that are written together
_INTERNAL, _CLIENT, _ERROR = 1, 3, 2  # of the protocol


class Out(Protocol):
    def write(self, data: bytes, /) -> object: ...


def write_otlp(opened: Opened, out: Out) -> int:
    """Write a run as one document of OTLP/JSON, a bit at a time, and return how many spans it has. Of a run that
    is at work, what is over is written, and what is around it as if it ended now.

    Raises:
        StoreError: the store cannot be read.
    """
    written = 0
    out.write(b'{"resourceSpans":[')
    for number, (version, spans) in enumerate(spans_of(opened)):
        out.write(b"," * bool(number) + _head(version))
        for first, pieces in _together(spans):
            out.write((b"" if first else b",\n") + ",\n".join(pieces).encode())
            written += len(pieces)
        out.write(b"]}]}")
    out.write(b"]}\n")
    return written


def _head(version: str) -> bytes:
    resource = {"attributes": _attributes({"service.name": "swarm", "service.version": version})}
    scope = {"name": "swarm", "version": version}
    head = json.dumps({"resource": resource, "scopeSpans": [{"scope": scope, "spans": []}]})
    return head.removesuffix("]}]}").encode() + b"\n"


def _together(spans: Iterator[Span]) -> Iterator[tuple[bool, list[str]]]:
    """Some spans at a time, as they are written, and whether they are the first."""
    first, pieces = True, list[str]()
    for span in spans:
        pieces.append(json.dumps(encoded(span), separators=(",", ":")))
        if len(pieces) == _AT_ONCE:
            yield first, pieces
            first, pieces = False, []
    if pieces:
        yield first, pieces


def encoded(span: Span) -> dict[str, object]:
    """A span as the protocol has it: ids in hex, times in nanoseconds, and numbers of 64 bits as text."""
    made: dict[str, object] = {
        "traceId": f"{span.trace:032x}",
        "spanId": f"{span.id:016x}",
        "parentSpanId": f"{span.parent:016x}" if span.parent else "",
        "name": span.name,
        "kind": _CLIENT if span.remote else _INTERNAL,
        "startTimeUnixNano": _nanos(span.begun),
        "endTimeUnixNano": _nanos(max(span.ended, span.begun)),
        "attributes": _attributes(span.attributes),
    }
    if span.events:
        made["events"] = [
            {"timeUnixNano": _nanos(one.at), "name": one.name, "attributes": _attributes(one.attributes)}
            for one in span.events
        ]
    return made | ({"status": {"code": _ERROR}} if ERROR in span.attributes else {})


def _nanos(at: float) -> str:
    return str(round(at * 1_000_000) * 1_000)  # a float holds no more of a moment of today


def _attributes(told: Attributes) -> list[dict[str, object]]:
    return [{"key": key, "value": _value(value)} for key, value in told.items()]


def _value(value: Value) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
