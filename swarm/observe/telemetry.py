"""Traces and metrics while a run goes on, by OpenTelemetry, where the process that it runs in has set that up.

    with traced(run_id, emit) as trace:     # at the door of a run
    with asked(run_id, call) as told:       # a call of a model
    with using("grep", ref) as told:        # a tool; slices, phases and planners are told of by `scope.within`
    with working(run_id, slice_id, 1, parent):  # a slice of a run that is coordinated in another process

Nothing is sent from here and nothing is set up: spans and numbers go to the providers that the process has, as
children of the span that is current where a run begins. Where it has none, nothing of OpenTelemetry is imported,
and all of this comes to a look into a dict. What listens is in `live`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from swarm.observe.heard import Begun, Emit, Sent, Told, under_way
from swarm.observe.scope import Scope, listen, scope
from swarm.task import Usage

if TYPE_CHECKING:
    from swarm.observe.away import Away
    from swarm.observe.live import Trace
    from swarm.task import Answer

T = TypeVar("T")

_runs: dict[str, Trace] = {}
_away: set[Away] = set()
_working: ContextVar[Away | None] = ContextVar("swarm_working", default=None)
"""The slice that is worked here, of a run that is another process's."""


class Untraced:
    """A run that nobody listens to."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    def begun(self, desk: Begun) -> None:
        """Nobody wants to know."""

    def answered(self, answer: Answer) -> None:
        """Nobody wants to know."""


class _Nobody:
    def __enter__(self) -> _Nobody:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, came: T) -> T:
        return came


_NOBODY = _Nobody()


@contextmanager
def traced(run: str, emit: Emit) -> Iterator[Trace | Untraced]:
    """For as long as a session of a run lasts: it is told by `begun` when it has begun, and by `answered` what it
    came to; its events go through `emit`, to the one that is given."""
    if run in _runs or not listening():
        yield Untraced(emit)
        return
    from swarm.observe.live import Trace

    trace = _runs[run] = Trace(run, emit)
    listen(_entered)
    try:
        yield trace
    except BaseException as error:
        trace.end(error)
        raise
    else:
        trace.end(None)
    finally:
        del _runs[run]
        _hear_no_more()


@contextmanager
def working(run: str, slice_: str, session: int, parent: str = "") -> Iterator[None]:
    """While a slice is worked here that another process offered: what is asked and used for it belongs to the span
    that it has there. `parent` is what `carried` gave there."""
    if not listening():
        yield
        return
    from swarm.observe.away import Away

    away = Away(run, session, slice_, parent)
    _away.add(away)
    token = _working.set(away)
    listen(_entered)
    try:
        yield
    finally:
        _working.reset(token)
        _away.discard(away)
        _hear_no_more()


def carried() -> str:
    """The span that the program is in, for another process that goes on with it; empty where nobody listens."""
    if not _runs:
        return ""
    from swarm.observe.away import carried as current

    return current()


def placed(run: str, slice_: str, machine: str, host: str) -> None:
    """A slice that is under way was worked on a machine: told with its span, before it is settled."""
    if (trace := _runs.get(run)) is not None:
        trace.placed(slice_, machine, host)


def _hear_no_more() -> None:
    if not _runs and not _away:
        listen(None)


def _of(run: str) -> Trace | Away | None:
    """Who listens to the run here."""
    return _working.get() or _runs.get(run)


def asked(run: str, call: Sent) -> AbstractContextManager[Told[Any]]:
    """While a call is made, with all its tries."""
    trace = _of(run)
    return _NOBODY if trace is None else trace.call(call, scope().asker)


def tried(error: BaseException, usage: Usage) -> None:
    """A try of the call that is being made came to nothing; `usage` is what it may have cost."""
    if (call := under_way.get()) is not None:
        call.failed(error, usage)


def using(tool: str, ref: str) -> AbstractContextManager[Told[tuple[str, bool]]]:
    """While a tool is used. Handed back is what it gave, and whether it failed."""
    at = scope()
    trace = _of(at.run)
    return _NOBODY if trace is None else trace.tool(at.asker, tool, ref)


def _entered(at: Scope) -> AbstractContextManager[Any]:
    trace = _of(at.run)
    return _NOBODY if trace is None else trace.entered(at)


def listening() -> bool:
    """Whether the process has a provider of traces or of metrics. Who has set one up has imported the API."""
    trace, metrics = sys.modules.get("opentelemetry.trace"), sys.modules.get("opentelemetry.metrics")
    try:
        traces = trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
        return traces or (
            # the class that stands there where none is set is not public
            metrics is not None and type(metrics.get_meter_provider()).__name__ != "_ProxyMeterProvider"
        )
    except Exception:  # a provider that is named in the environment and does not load
        return False
