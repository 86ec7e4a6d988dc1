"""The spans and numbers of a run that is on its way: what listens where `telemetry` finds that somebody does.

A span of a phase, a planner or a judge begins with the first thing in it, so that one in which nothing is asked or
worked is not told of. This module is imported where OpenTelemetry is there, and it knows no exporter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace

from swarm.errors import CallFailed, LimitReached, PromptTooLong, Rejected, SliceCancelled, SwarmError
from swarm.events import (
    Event,
    Resumed,
    SliceDropped,
    SliceFailed,
    SliceFinished,
    SlicesPlanned,
    SliceSplit,
    SliceStarted,
)
from swarm.observe import spans
from swarm.observe.heard import Begun, Emit
from swarm.observe.nodes import Node, current, never_fails
from swarm.observe.parts import Parts, here
from swarm.observe.scope import PHASES, Scope
from swarm.observe.spans import ERROR, Attributes, Told
from swarm.task import Answer, Slice

_SETTLED = {SliceFinished: "done", SliceFailed: "failed", SliceSplit: "split", SliceDropped: "dropped"}
_INNER = ("plan:", "judge:")


class Trace(Parts):
    """One session of a run. See `telemetry.traced`."""

    def __init__(self, run: str, emit: Emit) -> None:
        super().__init__(run, 0)
        self._emit = emit
        self._phases: Counter[str] = Counter()
        told = spans.run_span(run, 0, "", "", "", "")
        self._root = Node(self._tracer, run, told, spans.run_key(run, 0), context.get_current())
        self._known: dict[str, Slice] = {}  # those that are begun
        self._open: dict[str, Node] = {}  # and their spans
        self._states: Counter[str] = Counter()
        self._answer: Answer | None = None

    @never_fails
    def begun(self, desk: Begun) -> None:
        """The session has begun."""
        run, task = self._run, desk.task
        self._session = desk.session
        told = spans.run_span(run, desk.session, desk.model.name, desk.reader.name, task.mode, task.output)
        self._root.told, self._root.key = told, spans.run_key(run, desk.session)
        self._root.opened()

    def answered(self, answer: Answer) -> None:
        """What the session came to."""
        self._answer = answer

    @never_fails
    def end(self, error: BaseException | None) -> None:
        """The session is over."""
        for id_ in list(self._open):
            self._end_slice(id_, "stopped")
        self._count(ready=-self._states["ready"], running=-self._states["running"])
        told: Attributes = {"swarm.status": "interrupted"}
        if (answer := self._answer) is not None:
            told = spans.run_end(answer.status, answer.stopped, answer.limit, answer.usage)
        elif error is not None:
            self._root.opened()
            told[ERROR] = type(error).__name__
        elif self._root.span is None:
            return  # its answer was known
        self._meters.worked(self._root.told.attributes | told, self._root.end(told))

    # Events

    def emit(self, event: Event) -> None:
        """An event of the run, which goes on to whoever it is for."""
        self._heard(event)
        self._emit(event)

    @never_fails
    def _heard(self, event: Event) -> None:
        match event:
            case SliceStarted(slice=slice_):
                self._known[slice_.id] = slice_
                self._count(ready=-1, running=1)
            case SliceFinished() | SliceFailed() | SliceDropped() | SliceSplit():
                self._settled(event.slice.id, _SETTLED[type(event)], halves=getattr(event, "into", 0))
            case SlicesPlanned(slices=slices):
                self._count(ready=slices)
            case Resumed(done=done, slices=slices):
                self._count(ready=slices - done)

    def _settled(self, id_: str, state: str, *, halves: int) -> None:
        if self._known.pop(id_, None) is not None:
            self._count(running=-1, **{state: 1})
        elif state != "split":  # it was passed over, or dropped before it had begun
            self._count(ready=-1, **{state: 1})
        self._count(ready=halves)
        self._end_slice(id_, state)

    def _count(self, **changes: int) -> None:
        for state, change in changes.items():
            possible = max(change, -self._states[state])
            if possible:
                self._states[state] += possible
                self._meters.slices(possible, state)

    # Slices, phases, planners and judges

    @contextmanager
    def entered(self, at: Scope) -> Iterator[None]:
        """In a scope of this run."""
        if at.call:
            with self.in_call():
                yield
            return
        node = self._enter(at.asker)
        token = here.set(node)
        error: BaseException | None = None
        try:
            with current(self._root.span if node is None or node.span is None else node.span):
                yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            here.reset(token)
            if node is not None:
                self._leave(node, at.asker, error)

    @never_fails
    def _enter(self, asker: str) -> Node:
        run, session = self._run, self._session
        if asker in PHASES:
            told = spans.phase_span(run, session, asker)
            return _Phase(self._tracer, run, told, (run, session, asker), self._root, self._phases)
        if asker.startswith(_INNER):
            key = spans.asker_key(run, session, asker, self._again[asker])
            return Node(self._tracer, run, spans.asker_span(run, session, asker), key, self._root)
        self._end_slice(asker, "stopped")  # which it is not, but where it is begun again
        key = spans.asker_key(run, session, asker, self._again[asker])
        node = self._open[asker] = self._node(self._told(asker), key)
        node.opened()
        self._meters.busy(1)
        return node

    def _told(self, id_: str) -> Told:
        slice_ = self._known.get(id_)
        if slice_ is None:
            return Told("invoke_agent", spans.by(id_))
        return spans.slice_span(self._run, self._session, slice_)

    @never_fails
    def placed(self, slice_: str, machine: str, host: str) -> None:
        """See `telemetry.placed`."""
        if (node := self._open.get(slice_)) is not None:
            node.opened().set_attributes(spans.on_machine(machine, host))

    @never_fails
    def _leave(self, node: Node, asker: str, error: BaseException | None) -> None:
        if asker in PHASES or asker.startswith(_INNER):
            self._again[asker] += error is not None
            failed = error is not None and not _is_outcome(error)
            node.end({ERROR: type(error).__name__} if failed else None)
            return
        self._meters.busy(-1)
        if error is not None and not _is_settled_later(error) and self._open.get(asker) is node:
            self._end_slice(asker, "stopped")

    def _end_slice(self, id_: str, state: str) -> None:
        node = self._open.pop(id_, None)
        if node is None:
            return
        told = spans.slice_end(state)
        self._again[id_] += state in ("failed", "stopped")
        self._meters.worked(node.told.attributes | told, node.end(told))


class _Phase(Node):
    """A phase of the run: it is numbered among those of its name in which something is done."""

    def __init__(
        self,
        tracer: trace.Tracer,
        run: str,
        told: Told,
        of: tuple[str, int, str],
        root: Node,
        numbers: Counter[str],
    ) -> None:
        super().__init__(tracer, run, told, of, root)
        self._of, self._numbers = of, numbers

    def opened(self) -> trace.Span:
        if self.span is None:
            self._numbers[self._of[2]] += 1
            self.key = spans.phase_key(*self._of, self._numbers[self._of[2]])
        return super().opened()


def _is_settled_later(error: BaseException) -> bool:
    """Whether what becomes of a slice is still to be told by an event."""
    if isinstance(error, LimitReached):
        return error.scope == "slice"
    return isinstance(error, (CallFailed, PromptTooLong, SliceCancelled)) and not isinstance(error, Rejected)


def _is_outcome(error: BaseException) -> bool:
    """Whether it is an outcome of what was asked, which tells it, or LangGraph's word to leave a phase for now: no
    failure of the phase."""
    return isinstance(error, SwarmError) or type(error).__module__.startswith("langgraph")
