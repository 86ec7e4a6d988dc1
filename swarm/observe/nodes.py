"""Spans of OpenTelemetry that begin when the first thing in them does, under ids that Swarm may choose.

What others have set up may fail: that is said in the log once of each kind, and whoever is listened to does not
notice. This module does not know what a span is of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from opentelemetry import context, trace

from swarm.observe import spans
from swarm.observe.log import get_logger
from swarm.observe.spans import ERROR, Attributes, Told

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")

log = get_logger("telemetry")

_failed: set[str] = set()


class Ids(threading.local):
    """The ids of the span that begins next, for a provider that asks for them; 0: any. `wanted` where one does."""

    wanted = False
    trace = span = 0


ids = Ids()


def never_fails(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R | None]:
    """Whatever a span processor, a sampler or an exporter trips over, the run does not."""

    @wraps(method)
    def safe(self: S, /, *arguments: P.args, **named: P.kwargs) -> R | None:
        try:
            return method(self, *arguments, **named)
        except Exception as error:
            kind = type(error).__name__
            if kind not in _failed:
                _failed.add(kind)
                log.warning("telemetry failed", error=kind)
            return None

    return safe


class Node:
    """A span that may not have begun. `begun` is in ns since the epoch, `around` the context of the outermost."""

    def __init__(
        self,
        tracer: trace.Tracer,
        run: str,
        told: Told,
        key: tuple[object, ...],
        parent: Node | context.Context | None,
    ) -> None:
        self.tracer, self.run, self.told, self.key, self.parent = tracer, run, told, key, parent
        self.begun = time.time_ns()
        self.span: trace.Span | None = None

    def opened(self) -> trace.Span:
        """The span, begun, as those around it are."""
        if self.span is None:
            around = self.parent
            if isinstance(around, Node):
                around = trace.set_span_in_context(around.opened())
            if ids.wanted:
                ids.trace, ids.span = spans.trace_id(self.run), spans.span_id(*self.key)
            kind = trace.SpanKind.CLIENT if self.told.remote else trace.SpanKind.INTERNAL
            try:
                self.span = self.tracer.start_span(
                    self.told.name, around, kind, self.told.attributes, start_time=self.begun
                )
            finally:
                ids.trace = ids.span = 0
        return self.span

    def end(self, told: Attributes | None = None) -> float:
        """End the span, where it has begun; the seconds since."""
        now = time.time_ns()
        if self.span is not None:
            if told:
                self.span.set_attributes(told)
                if ERROR in told:
                    self.span.set_status(trace.StatusCode.ERROR)
            self.span.end(now)
        return max(0, now - self.begun) / 1e9


@contextmanager
def current(span: trace.Span | None) -> Iterator[None]:
    """With a span as the one that others, such as an HTTP client's, are children of."""
    if span is None:
        yield
        return
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        context.detach(token)
