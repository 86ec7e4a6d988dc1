"""The spans of a run, made from its journal: sessions, phases, slices, planners and judges, calls and tools.

What a span is called and says of itself is in `swarm.observe.spans`; here is what belongs to which. A slice that
is worked again in another session has another span there, as has a call that is made again. This module writes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from swarm.inspect.calls import REFUSED
from swarm.inspect.export.sessions import INNER, Part, Session, Sorted, phase_at
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.observe import spans as named
from swarm.observe.log import redact_text
from swarm.observe.scope import PHASES
from swarm.observe.spans import ERROR, Attributes, Told
from swarm.store.journal import Outcome
from swarm.task import Usage

_HANDED_IN = ("done", "failed", "split")
"""What slices come to whose coordinator heard from a machine."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a span. `at` is in seconds since the epoch."""

    name: str
    at: float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """A span. Times are in seconds since the epoch; `parent` is 0 where there is none."""

    trace: int
    id: int
    parent: int
    name: str
    remote: bool
    begun: float
    ended: float
    attributes: Attributes
    events: tuple[Happened, ...] = ()


def spans_of(opened: Opened) -> Iterator[tuple[str, Iterator[Span]]]:
    """The spans of each session, with the version of Swarm that it was made by.

    Raises:
        StoreError: the store cannot be read.
    """
    followed = Follower(opened)
    followed.catch_up()
    run = _Run(Sorted(opened, followed))
    for session in run.sorted.sessions:
        yield str(session.body.get("version", "")), run.spans(session)


class _Run:
    """The spans of a run."""

    def __init__(self, sorted_: Sorted) -> None:
        self.sorted, self.followed, self.run = sorted_, sorted_.followed, sorted_.run
        self.trace = named.trace_id(self.run)

    def spans(self, session: Session) -> Iterator[Span]:
        """All spans of a session, those around others first."""
        root = named.span_id(*named.run_key(self.run, session.number))
        yield self._span(root, 0, self._run_span(session), session.at, session.last, self._run_end(session))
        for begun, ended, phase, number in session.phases:
            told = named.phase_span(self.run, session.number, phase)
            yield self._span(self._phase_id(session, phase, number), root, told, begun, ended)
        for asker, part in session.parts.items():
            told, parent = self._told(session, asker, part, root)
            end = named.slice_end(part.state) if part.state else {}
            if asker in session.placed and part.state in _HANDED_IN:
                end |= named.on_machine(*session.placed[asker])
            yield self._span(self._asker_id(session, asker), parent, told, part.begun, part.ended, end)
        for row, tried in session.calls:
            yield self._call(session, row, tried, root)
        yield from self._tools(session)

    def _span(
        self, id_: int, parent: int, told: Told, begun: float, ended: float, end: Attributes | None = None
    ) -> Span:
        return Span(self.trace, id_, parent, told.name, told.remote, begun, ended, told.attributes | (end or {}))

    def _run_span(self, session: Session) -> Told:
        task, body = self.followed.task, session.body
        return named.run_span(
            self.run,
            session.number,
            redact_text(str(body.get("model", ""))),
            redact_text(str(body.get("reader", ""))),
            task.mode if task is not None else "",
            task.output if task is not None else "",
        )

    def _run_end(self, session: Session) -> Attributes:
        body = session.answer
        if body is None:
            if session is self.sorted.sessions[-1] and self.followed.live:
                return {"swarm.status": self.followed.status}
            return {"swarm.status": "interrupted"}
        usage = Usage(**body["usage"])
        return named.run_end(body["status"], body.get("stopped"), body.get("limit"), usage)

    def _told(self, session: Session, asker: str, part: Part, root: int) -> tuple[Told, int]:
        if asker.startswith(INNER):
            return named.asker_span(self.run, session.number, asker), root
        phase = phase_at(session, part.begun, "dispatch")
        parent = self._phase_id(session, "dispatch", phase) if phase else root
        seen = self.followed.plan.slices.get(asker)
        if seen is None:
            return Told("invoke_agent", named.by(asker)), parent
        return named.slice_span(self.run, session.number, seen.slice), parent

    def _call(self, session: Session, row: int, tried: list[Outcome], root: int) -> Span:
        calls = self.followed.calls
        asker, key = calls.asked_by(row), calls.keys[row].hex()
        model = calls.models.texts[calls.model[row]]
        told = named.call_span(
            self.run,
            session.number,
            asker,
            key,
            model=model,
            kind=calls.kinds.texts[calls.kind[row]],
            window=calls.room[row],
            tokens=calls.counted[row],
            cost_usd=calls.worst_usd[row],
            lane=_lane(session, model),
        )
        begun = self.sorted.begun(row, session, tried)
        end, events, ended = self._came(row, tried)
        id_ = named.span_id(*named.call_key(self.run, session.number, key))
        parent = self._parent(session, asker, begun, root)
        return Span(
            self.trace, id_, parent, told.name, told.remote, begun, ended, told.attributes | end, tuple(events)
        )

    def _came(self, row: int, tried: list[Outcome]) -> tuple[Attributes, list[Happened], float]:
        calls = self.followed.calls
        if not tried:
            usage = Usage(
                calls=1,
                input_tokens=calls.input_tokens[row],
                output_tokens=calls.output_tokens[row],
                cached_tokens=calls.cached_tokens[row],
                cost_usd=calls.cost_usd[row],
            )
            return named.call_end(usage, 1, refused=calls.state[row] == REFUSED), [], calls.ended[row]
        usage, events = Usage(), []
        for number, one in enumerate(tried, 1):
            usage += one.usage
            if one.failure is not None:
                told = named.failed_try(named.kind_of(one.failure), number, one.usage)
                events.append(Happened(named.FAILED_TRY, one.at, told))
        last = tried[-1]
        end = named.call_end(usage, len(tried), refused=last.refused)
        return end | ({ERROR: named.kind_of(last.failure)} if last.failure is not None else {}), events, last.at

    def _tools(self, session: Session) -> Iterator[Span]:
        tries: dict[str, list[int]] = {}
        for use in session.uses:
            seen = tries.setdefault(use.asker, [])
            if use.tries not in seen:
                seen.append(use.tries)
            told = named.tool_span(self.run, session.number, use.asker, use.name, use.ref)
            key = named.tool_key(self.run, session.number, use.asker, use.ref, seen.index(use.tries))
            parent = self._asker_id(session, use.asker)
            end = named.tool_end(failed=use.failed)
            yield self._span(named.span_id(*key), parent, told, use.begun, use.ended, end)

    def _parent(self, session: Session, asker: str, at: float, root: int) -> int:
        if asker in PHASES:
            return self._phase_id(session, asker, phase_at(session, at, asker) or 1)
        return self._asker_id(session, asker) if asker else root

    def _phase_id(self, session: Session, phase: str, number: int) -> int:
        return named.span_id(*named.phase_key(self.run, session.number, phase, number))

    def _asker_id(self, session: Session, asker: str) -> int:
        return named.span_id(*named.asker_key(self.run, session.number, asker))


def _lane(session: Session, model: str) -> str:
    """The lane of a model, as far as the session tells of its server."""
    for facts in session.body.get("facts", {}).values():
        if facts.get("name") == model and facts.get("address"):
            return f"{model} at {facts['address'].rpartition('@')[2]}"
    return model
