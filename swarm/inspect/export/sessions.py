"""What the journal of a run tells, sorted by the sessions in which it happened, and there by who did it.

Some hundred bytes are kept of each call that failed, of each tool that was used and of each slice; of other calls
only numbers. This module does not know what becomes of it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from swarm.coordinator.work.state import order_id
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.observe.scope import PHASES
from swarm.store.journal import Outcome, Record
from swarm.task import Slice

INNER = ("plan:", "judge:")
"""How planners and judges of branches of work begin, among those who ask."""
_AT_ONCE = 2_000  # records that are read together: those of tools may be long
_BODIES = frozenset(("session", "tool", "answer", "placed"))
_SETTLED = {"report": "done", "failure": "failed", "split": "split", "dropped": "dropped"}
_TOOL = re.compile(r"(?P<of>.+):(?P<ref>[^:]+:\d+:\d+)(?:~\d+)?", re.DOTALL)


@dataclass(slots=True)
class Use:
    """A tool that was used."""

    asker: str
    tries: int
    ref: str
    name: str
    begun: float
    ended: float
    failed: bool


@dataclass(slots=True)
class Part:
    """What of a run is inside of one asker, in one session; `state` is what became of a slice there."""

    begun: float
    ended: float
    state: str = ""

    def with_(self, begun: float, ended: float) -> None:
        self.begun, self.ended = min(self.begun, begun), max(self.ended, ended)


@dataclass(slots=True)
class Session:
    """One time that the run began or went on."""

    number: int
    at: float
    body: dict[str, Any]
    answer: dict[str, Any] | None = None
    last: float = 0.0
    rounds: list[float] = field(default_factory=list)
    """When rounds were planned."""
    parts: dict[str, Part] = field(default_factory=dict)
    """By the id of the slice, or the planner or judge of a branch."""
    asked: list[tuple[float, float, str]] = field(default_factory=list)
    """Calls of the coordinator: from when until when, and in which phase."""
    calls: list[tuple[int, list[Outcome]]] = field(default_factory=list)
    """Rows of calls, with what came of them here where not all went well."""
    uses: list[Use] = field(default_factory=list)
    phases: list[tuple[float, float, str, int]] = field(default_factory=list)
    placed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The machine that began a slice last, and its host."""

    def part(self, asker: str, begun: float, ended: float) -> Part:
        if (found := self.parts.get(asker)) is None:
            found = self.parts[asker] = Part(begun, ended)
        found.with_(begun, ended)
        return found


class Sorted:
    """A run as its journal tells it, by `sessions`."""

    def __init__(self, opened: Opened, followed: Follower) -> None:
        self.run, self.followed = opened.run, followed
        self.sessions: list[Session] = []
        self._ats: list[float] = []
        self._settled: list[tuple[str, str, float]] = []
        self._read(opened)
        for session in self.sessions:
            session.last = session.last or session.at
        if self.sessions:
            self._sort_calls(self._failures(opened))
            self._sort_slices()
        for session in self.sessions:
            session.phases = _phases(session)

    # What is read

    def _read(self, opened: Opened) -> None:
        seq = 0
        while records := opened.journal.since(self.run, seq, bodies=_BODIES, limit=_AT_ONCE):
            for record in records:
                self._take(record)
            seq = records[-1].seq

    def _take(self, record: Record) -> None:
        kind, key, at = record.kind, record.key, record.at
        if kind == "session":
            self.sessions.append(Session(int(key), at, record.body))
            self._ats.append(at)
        if not self.sessions:
            return
        session = self.sessions[-1]
        session.last = at
        if kind == "answer":
            session.answer = record.body
        elif kind == "plan":
            session.rounds.append(at)
        elif kind == "tool":
            self._use(record)
        elif kind == "placed":
            session.placed[key.rpartition(":")[0]] = (record.body["machine"], record.body["host"])
        elif (state := _SETTLED.get(kind)) is not None:
            self._settled.append((key.partition(":")[0] if kind == "failure" else key, state, at))

    def _use(self, record: Record) -> None:
        found = _TOOL.fullmatch(record.key)
        if found is None:
            return  # what a subtask leaves behind, which is no use of a tool
        of, slices = found["of"], self.followed.plan.slices
        front, _, tries = of.rpartition(":")
        again = front in slices and tries.isdigit()
        body = record.body
        self.sessions[-1].uses.append(
            Use(
                asker=front if again else of,
                tries=int(tries) if again else 0,
                ref=found["ref"],
                name=str(body.get("tool", "")),
                begun=record.at - body.get("seconds", 0.0),
                ended=record.at,
                failed=bool(body.get("failed")),
            )
        )

    def _failures(self, opened: Opened) -> dict[int, list[Outcome]]:
        """All that came of each call of which a try came to nothing, by its number in the journal."""
        found: dict[int, list[Outcome]] = {}
        seq = 0
        while outcomes := opened.journal.outcomes(self.run, seq):
            for one in outcomes:
                if one.failure is not None:
                    found.setdefault(one.call, []).append(one)
                elif one.call in found and one.usage.calls:  # else it stands in for the reply to a copy
                    found[one.call].append(one)
            seq = outcomes[-1].seq
        return found

    # What belongs to which session

    def session(self, at: float) -> Session:
        return self.sessions[max(0, bisect_right(self._ats, at) - 1)]

    def _sort_calls(self, failures: dict[int, list[Outcome]]) -> None:
        calls = self.followed.calls
        for row in range(len(calls)):
            tried = failures.get(calls.seq[row], [])
            if not tried:
                if calls.over(row) is not None:
                    self._sort_call(row, self.session(calls.begun[row]), [], calls.ended[row])
                continue
            for at, outcomes in groupby(tried, lambda one: self.session(one.at).number):
                here = list(outcomes)
                session = next(one for one in self.sessions if one.number == at)
                self._sort_call(row, session, here, here[-1].at)

    def _sort_call(self, row: int, session: Session, tried: list[Outcome], ended: float) -> None:
        begun = self.begun(row, session, tried)
        asker = self.followed.calls.asked_by(row)
        session.calls.append((row, tried))
        session.last = max(session.last, ended)
        if asker in PHASES:
            session.asked.append((begun, ended, asker))
        elif asker:
            session.part(asker, begun, ended)

    def begun(self, row: int, session: Session, tried: list[Outcome]) -> float:
        """When a call was sent first, as far as that is known: the journal keeps when it was sent last."""
        begun = self.followed.calls.begun[row]
        if not tried:
            return begun
        first = min(begun, tried[0].at) if tried[0].begun is None else tried[0].begun
        return first if self.session(first) is session else tried[0].at

    def _sort_slices(self) -> None:
        slices = self.followed.plan.slices
        for session in self.sessions:
            for use in session.uses:
                session.part(use.asker, use.begun, use.ended)
        for id_, state, at in self._settled:
            session, id_ = self.session(at), id_ if id_ in slices else order_id(id_)
            seen = slices.get(id_)
            part = session.parts.get(id_)
            if part is None and (seen is None or state == "dropped" or _is_branch(seen.slice)):
                continue  # nobody worked it
            part = part or session.part(id_, at, at)
            part.with_(at, at)
            part.state = state
        running = "running" if self.followed.live else "stopped"
        for session in self.sessions:
            for asker, part in session.parts.items():
                if not asker.startswith(INNER):
                    part.state = part.state or (running if session is self.sessions[-1] else "stopped")


def _phases(session: Session) -> list[tuple[float, float, str, int]]:
    """The phases in which something was asked or worked, one after another, each with its number among those of
    its name. A round that is planned in between parts two of one name."""
    items = list(session.asked)
    items += [
        (one.begun, one.ended, "dispatch") for who, one in session.parts.items() if not who.startswith(INNER)
    ]
    found: list[tuple[float, float, str, int]] = []
    numbers: dict[str, int] = {}
    for begun, ended, phase in sorted(items):
        if found:
            since, until, last, number = found[-1]
            planned = bisect_right(session.rounds, begun) > bisect_right(session.rounds, since)
            if last == phase and not planned:
                found[-1] = since, max(until, ended), last, number
                continue
        numbers[phase] = numbers.get(phase, 0) + 1
        found.append((begun, ended, phase, numbers[phase]))
    return found


def phase_at(session: Session, at: float, phase: str) -> int:
    """The number of the phase of that name that a moment lies in; 0 for none."""
    place = bisect_right(session.phases, at, key=lambda one: one[0])
    for _, _, name, number in reversed(session.phases[:place]):
        if name == phase:
            return number
    return 0


def _is_branch(slice_: Slice) -> bool:
    """Whether it is planned further, and not worked itself."""
    return slice_.order is not None and slice_.order.kind == "plan"
