"""The spans of a slice whose own span is another process's: that of whoever coordinates the run.

A worker that is told where it stands in a trace, as W3C's `traceparent` says it, has its calls and tools there.
One that is not told finds the span by its name, which is right wherever Swarm chooses the ids. This module is
imported where OpenTelemetry is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from swarm.observe import spans
from swarm.observe.nodes import Node, current
from swarm.observe.parts import Parts
from swarm.observe.scope import Scope
from swarm.observe.spans import Told

_W3C = TraceContextTextMapPropagator()
_HEADER = "traceparent"


class Away(Parts):
    """A slice of a session of a run, worked here. See `telemetry.working`."""

    def __init__(self, run: str, session: int, slice_: str, parent: str) -> None:
        super().__init__(run, session)
        self._root = Node(self._tracer, run, Told("", {}), (), None)
        self._root.span = trace.NonRecordingSpan(_context(parent) or _named(run, session, slice_))

    @contextmanager
    def entered(self, at: Scope) -> Iterator[None]:
        """In a scope of this run."""
        if at.call:
            with self.in_call():
                yield
            return
        with current(self._root.span):
            yield


def carried() -> str:
    """The span that is current, for another process."""
    told: dict[str, str] = {}
    _W3C.inject(told)
    return told.get(_HEADER, "")


def _context(parent: str) -> trace.SpanContext | None:
    found = trace.get_current_span(_W3C.extract({_HEADER: parent})).get_span_context() if parent else None
    return found if found is not None and found.is_valid and found.is_remote else None


def _named(run: str, session: int, slice_: str) -> trace.SpanContext:
    """The span of a slice where its ids follow from its name."""
    id_ = spans.span_id(*spans.asker_key(run, session, slice_))
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(spans.trace_id(run), id_, is_remote=True, trace_flags=flags)
