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
from heapq import nlargest
from typing import Any

from swarm.errors import StoreError
from swarm.history import RunStatus, Session, session_of, status_of, task_of
from swarm.inspect.calls import UNDER_WAY, Calls
from swarm.inspect.names import Names
from swarm.inspect.opened import Opened
from swarm.inspect.plan import BODIES, Plan
from swarm.observe.log import redact_text
from swarm.store.journal import LOST, Call, Outcome, Record
from swarm.task import Limits, Task, Usage

_AT_ONCE = 10_000  # rows of a table that are read together
_AGAIN = 2_000  # calls without a reply of which it is asked whether they were tried again: the last ones
_MINUTE_SECONDS = 60.0
_REPORTS = 200  # the last ones, whose findings can be told
_BODIES = BODIES | {"task", "session", "answer", "instruction", "request"}


@dataclass(slots=True)
class Cost:
    """What calls of one model, for one kind of prompt, in one branch came to. `seconds` is how long they were on
    their way, all tries one after another."""

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """What calls that were answered, or failed, in the last minute came to; `requests` are also those that were
    sent in it and are under way."""

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
        self.names = Names(self.plan)
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
        self._recent: deque[tuple[float, int, int, int]] = deque()
        """Of what came of calls in the last minute: when, how many they were, and their tokens in and out."""
        self._sent = [0, 0, 0]
        """The sums of these."""
        self._reports: deque[str] = deque(maxlen=_REPORTS)
        self._found: dict[str, list[Found]] = {}
        self._ahead: list[Outcome] = []
        """Outcomes whose tries were not read of yet."""
        self._stale: set[int] = set()
        """Rows of calls of which an outcome told that they were begun again."""
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
        stands = (self._seq, self.status, self.why)
        # Who asks was recorded before, and what became of a call comes after it: so calls are read first, lest one
        # in a run that goes on meanwhile is asked by nobody, and outcomes that are ahead of their tries wait.
        calls = journal.calls(run, self._call, limit=_AT_ONCE)
        waiting = self._waiting()
        again = journal.tried_again(run, waiting) if waiting else []
        fresh, self._stale = self._stale, set()
        self._read_records()
        outcomes = journal.outcomes(run, self._outcome, limit=_AT_ONCE)
        for call in calls:
            self.calls.add(call, self.plan.known(call.asker))
            self.plan.at_work(call.asker, call.begun)
            self._call = call.seq
        begun = [self._begin_again(call) for call in again]
        for outcome in outcomes:
            self._outcome = outcome.seq
            if outcome.failure != LOST:
                self._note(outcome)
        ahead, self._ahead = [*self._ahead, *outcomes], []
        for outcome in ahead:
            self._settle(outcome, fresh)
        more = len(calls) == _AT_ONCE or len(outcomes) == _AT_ONCE or bool(self._ahead)
        if not more and self._session is not None:
            self._look_at_status(self._session)
        self.version += bool(calls or outcomes or any(begun) or stands != (self._seq, self.status, self.why))
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
        """How many places are busy, and how many there are. A planner has its place while it or its judge is
        asked, and not while its branch is worked."""
        of = self.sessions[-1].places or self.sessions[-1].concurrency if self.sessions else None
        busy = sum(1 for id_ in self.plan.running if not self.plan.slices[id_].plans)
        if self.live:
            calls = self.calls
            asking = {calls.asked_by(row) for row in calls.under_way if calls.state[row] == UNDER_WAY}
            busy += sum(asker.startswith(("plan:", "judge:")) for asker in asking)
        return (min(busy, of), of) if of else (busy, max(1, busy))  # what was read is not of one moment

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
        calls, since = self.calls, self.clock() - _MINUTE_SECONDS
        self._forget(since)
        under_way = sum(calls.begun[row] >= since and calls.state[row] == UNDER_WAY for row in calls.under_way)
        requests, input_tokens, output_tokens = self._sent
        return Rate(requests + under_way, input_tokens, output_tokens)

    def _note(self, outcome: Outcome) -> None:
        one = outcome.usage
        self._recent.append((outcome.at, one.calls, one.input_tokens, one.output_tokens))
        self._sent = [sum(pair) for pair in zip(self._sent, self._recent[-1][1:], strict=True)]
        self._forget(outcome.at - _MINUTE_SECONDS)

    def _forget(self, since: float) -> None:
        """Of what came of calls, all that came before a moment."""
        while self._recent and self._recent[0][0] < since:
            gone = self._recent.popleft()
            self._sent = [was - less for was, less in zip(self._sent, gone[1:], strict=True)]

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

    def _read_records(self) -> bool:
        """Take in the records that are new; whether there were any."""
        journal, count, before = self.opened.journal, _AT_ONCE, self._seq
        while count == _AT_ONCE:
            records = journal.since(self.run, self._seq, bodies=_BODIES, limit=_AT_ONCE)
            for record in records:
                self._fold(record)
            count = len(records)
        return self._seq != before

    def _look_at_status(self, session: Record) -> None:
        self.status, self.why = status_of(self.opened.journal, self.run, session, self._answer)
        if self.status == "interrupted" and self._read_records():  # it has just come to its end
            session = self._session or session
            self.status, self.why = status_of(self.opened.journal, self.run, session, self._answer)
        if not self.live:
            self.plan.at_rest()
            self.calls.at_rest()

    def _fold(self, record: Record) -> None:
        try:
            self._take(record)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            name = f"{record.kind} {record.key}".strip()
            raise StoreError(
                f"the record {name} of {self.run} is not as this version of Swarm "
                f"reads it ({type(error).__name__}: {error}): it is damaged, or another version wrote it"
            ) from error
        self._seq = record.seq

    def _take(self, record: Record) -> None:
        self.begun = self.begun or record.at
        self.last = record.at
        self.counts[record.kind] = self.counts.get(record.kind, 0) + 1
        if record.kind == "task":
            self.task = task_of(record)
            if self.task is not None:
                self.plan.begin("; ".join(self.task.questions), works=self.task.mode == "work")
        elif record.kind == "session":
            self._session = record
            self.sessions.append(session_of(record))
        elif record.kind == "answer":
            _ = record.body["status"], record.body["stopped"]  # which tell how the run stands
            self._answer, self.answer = record, record.body
        elif record.kind == "instruction":
            self.instructions.append(redact_text(record.body["text"]))
        elif record.kind == "report":
            self._reports.append(record.key)
        self.plan.fold(record)

    def _waiting(self) -> list[int]:
        """The numbers of calls that may be under way anew: they have no reply, and who asked is not done with."""
        calls, slices = self.calls, self.plan.slices
        rows = [
            row
            for row in calls.under_way
            if (seen := slices.get(calls.asked_by(row))) is None or seen.ended is None
        ]
        return [calls.seq[row] for row in {*nlargest(_AGAIN, rows), *self._stale}]

    def _begin_again(self, call: Call) -> bool:
        if (row := self.calls.row(call.seq)) is None or not self.calls.again(row, call):
            return False
        self.plan.at_work(call.asker, call.begun)
        return True

    def _settle(self, outcome: Outcome, fresh: set[int]) -> None:
        calls, usage = self.calls, outcome.usage
        if (row := calls.row(outcome.call)) is None:
            self._ahead += [outcome] if outcome.call > self._call else []
            return
        if row not in fresh and (row in self._stale or (outcome.begun or 0.0) > calls.begun[row]):
            self._stale.add(row)
            self._ahead.append(outcome)
            return
        self.spent += usage
        before = calls.ended[row]
        calls.settle(row, outcome)
        begun = calls.begun[row] if outcome.begun is None else outcome.begun
        asker = calls.asked_by(row)
        self.plan.at_work(asker, begun)
        key = (
            calls.models.texts[calls.model[row]],
            calls.kinds.texts[calls.kind[row]],
            self.plan.branch_of(asker),
        )
        cost = self.costs.setdefault(key, Cost())
        cost.calls += usage.calls
        cost.failed += outcome.failure is not None
        cost.input_tokens += usage.input_tokens
        cost.output_tokens += usage.output_tokens
        cost.cached_tokens += usage.cached_tokens
        cost.cost_usd += usage.cost_usd
        cost.seconds += max(0.0, calls.ended[row] - max(begun, before))
        if (seen := self.plan.slices.get(asker)) is not None:
            seen.calls += usage.calls
            seen.tokens += usage.tokens
            seen.cost_usd += usage.cost_usd
