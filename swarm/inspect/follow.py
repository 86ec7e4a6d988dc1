"""A run as it stands now, and as it goes on: its journal folded into a picture, a little further with each look.

    with open_run("last") as opened:
        followed = Follower(opened)
        followed.catch_up()
        print(followed.status, followed.plan.states, followed.spent.cost_usd)

A look reads what is new and nothing else, so that it costs the same however long the run is. The run does not
notice: it is told by what it has written. What is drawn of it is the business of others.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swarm.history import RunStatus, Session, session_of, status_of, task_of
from swarm.inspect.calls import Calls
from swarm.inspect.opened import Opened
from swarm.inspect.plan import BODIES, Plan
from swarm.observe.log import get_logger
from swarm.store.journal import Record
from swarm.task import Limits, Task, Usage

log = get_logger("inspect")

_AT_ONCE = 10_000  # rows of a table that are read together
_MINUTE_SECONDS = 60.0
_REPORTS = 200  # the last ones, whose findings can be told
_BODIES = BODIES | {"task", "session", "answer", "instruction", "request"}


@dataclass(slots=True)
class Cost:
    """What calls of one model, for one kind of prompt, in one branch came to. `seconds` is how long they were on
    their way, one after another."""

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What was sent in the last minute."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as it was reported. `at` is in seconds since the epoch."""

    id: str
    claim: str
    slice: str
    at: float


class Follower:
    """A picture of one run. `clock` gives seconds since the epoch. Not for several threads at once."""

    def __init__(self, opened: Opened, clock: Callable[[], float] = time.time) -> None:
        self.opened, self.run, self.clock = opened, opened.run, clock
        self.plan = Plan()
        self.calls = Calls()
        self.costs: dict[tuple[str, str, str], Cost] = {}
        """By model, kind of prompt and branch of the plan."""
        self.sessions: list[Session] = []
        self.task: Task | None = None
        self.spent = Usage()
        self.status: RunStatus = "interrupted"
        self.why: str | None = None
        self.version = 0
        """Grows whenever a look found something new."""
        self.begun = self.last = 0.0
        """Seconds since the epoch, of the first and the last record."""
        self.counts: dict[str, int] = {}
        """Records by kind."""
        self.instructions: list[str] = []
        self.answer: dict[str, Any] | None = None
        """The last answer, as it is recorded."""
        self._reports: deque[str] = deque(maxlen=_REPORTS)
        self._found: dict[str, list[Found]] = {}
        self._session: Record | None = None
        self._answer: Record | None = None
        self._seq = self._call = self._outcome = 0

    def catch_up(self) -> None:
        """Look until nothing is new."""
        while self.poll():
            pass

    def poll(self) -> bool:
        """Look once; whether there may be more that is new.

        Raises:
            StoreError: the store cannot be read any more.
        """
        journal, run = self.opened.journal, self.run
        records = journal.since(run, self._seq, bodies=_BODIES, limit=_AT_ONCE)
        for record in records:
            self._fold(record)
        calls = journal.calls(run, self._call, limit=_AT_ONCE)
        for call in calls:
            self.calls.add(call)
            self.plan.at_work(call.asker, call.begun)
            self._call = call.seq
        outcomes = journal.outcomes(run, self._outcome, limit=_AT_ONCE)
        for outcome in outcomes:
            self._outcome = outcome.seq
            self.spent += outcome.usage
            if (row := self.calls.settle(outcome)) is not None:
                self._charge(row, outcome.usage, failed=outcome.failure is not None)
        more = any(len(several) == _AT_ONCE for several in (records, calls, outcomes))
        stands = (self.status, self.why)
        if not more and self._session is not None:
            self.status, self.why = status_of(journal, run, self._session, self._answer)
            if self.status not in ("running", "paused"):
                self.plan.at_rest()
        self.version += bool(records or calls or outcomes or stands != (self.status, self.why))
        return more

    @property
    def live(self) -> bool:
        """Whether a process is at the run."""
        return self.status in ("running", "paused")

    @property
    def limits(self) -> Limits:
        """Those of the last session."""
        return self.sessions[-1].limits if self.sessions else Limits()

    @property
    def places(self) -> tuple[int, int]:
        """How many places are busy, and how many there are."""
        of = self.sessions[-1].places or self.sessions[-1].concurrency if self.sessions else None
        return len(self.plan.running), of or max(1, len(self.plan.running))

    @property
    def phase(self) -> str:
        """What the run is at, as far as its records tell: gather, plan, dispatch, judge, consolidate or finish;
        empty where nobody is at it."""
        plan = self.plan
        if not self.live:
            return ""
        if plan.corpus is None:
            return "gather"
        if not plan.slices:
            return "plan"
        if plan.states["running"] or plan.states["ready"]:
            return "dispatch"
        last = self.calls.asked_by(len(self.calls) - 1) if len(self.calls) else ""
        return last if last in ("judge", "consolidate", "finish") else "judge"

    def rate(self) -> Rate:
        """What was sent in the last minute."""
        calls = self.calls
        rows = list(calls.since(self.clock() - _MINUTE_SECONDS))
        return Rate(
            requests=len(rows),
            input_tokens=sum(calls.input_tokens[row] for row in rows),
            output_tokens=sum(calls.output_tokens[row] for row in rows),
        )

    def latest(self, most: int) -> list[Found]:
        """The findings that were reported last, the newest first."""
        found: list[Found] = []
        for slice_ in reversed(self._reports):
            if len(found) >= most:
                break
            found += self._reported(slice_)
        for gone in [one for one in self._found if one not in self._reports]:
            del self._found[gone]
        return found[:most]

    def _reported(self, slice_: str) -> list[Found]:
        if slice_ not in self._found:
            record = self.opened.journal.record(self.run, "report", slice_)
            findings = record.body.get("findings", ()) if record is not None else ()
            at = record.at if record is not None else 0.0
            self._found[slice_] = [Found(one["id"], one["claim"], slice_, at) for one in findings]
        return self._found[slice_]

    def _fold(self, record: Record) -> None:
        self._seq = record.seq
        self.begun = self.begun or record.at
        self.last = record.at
        self.counts[record.kind] = self.counts.get(record.kind, 0) + 1
        if record.kind == "task":
            self.task = task_of(record)
            self.plan.goal = "; ".join(self.task.questions) if self.task is not None else ""
        elif record.kind == "session":
            self._session = record
            self.sessions.append(session_of(record))
        elif record.kind == "answer":
            self._answer, self.answer = record, record.body
        elif record.kind == "instruction":
            self.instructions.append(record.body["text"])
        elif record.kind == "report":
            self._reports.append(record.key)
        self.plan.fold(record)

    def _charge(self, row: int, usage: Usage, *, failed: bool) -> None:
        calls = self.calls
        asker = calls.asked_by(row)
        key = (
            calls.models.texts[calls.model[row]],
            calls.kinds.texts[calls.kind[row]],
            self.plan.branch_of(asker),
        )
        cost = self.costs.setdefault(key, Cost())
        cost.calls += usage.calls
        cost.failed += failed
        cost.input_tokens += usage.input_tokens
        cost.output_tokens += usage.output_tokens
        cost.cached_tokens += usage.cached_tokens
        cost.cost_usd += usage.cost_usd
        cost.seconds += max(0.0, calls.ended[row] - calls.begun[row])
        if (seen := self.plan.slices.get(asker)) is not None:
            seen.calls += usage.calls
            seen.tokens += usage.tokens
            seen.cost_usd += usage.cost_usd
