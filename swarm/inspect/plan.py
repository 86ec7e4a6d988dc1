"""The plan of a run as its records tell it: branches, their slices, and what became of each.

A branch of a run that reads is one question in one round; of one that works, it is one planner's part. What a run
is at is told by its calls, so that a slice runs from its first call on. Some hundred bytes a slice are kept. This
module folds records; it does not know where they come from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from swarm.coordinator.records import children, corpus_from, halves_of, plan_of
from swarm.coordinator.work.state import order_id
from swarm.coordinator.work.take import order_of, slice_of
from swarm.inspect.machines import Machines, Stay
from swarm.observe.log import redact_text
from swarm.source import Corpus, Source
from swarm.store.journal import Record
from swarm.task import Slice

State = Literal["ready", "running", "done", "failed", "dropped", "split"]
"""`split`: its halves took its place. `dropped`: it is left alone, on a person's or a planner's word."""

STATES: tuple[State, ...] = ("ready", "running", "done", "failed", "dropped", "split")
ROOT = ""
"""The key of a working run's outermost branch."""
_LATEST = 64  # slices of a branch that were settled last
BODIES = frozenset(
    (
        "corpus", "plan", "split", "closer", "unmatched", "slice", "failure", "dropped", "planned", "judged",
        "placed",
    )
)  # fmt: skip
"""Kinds of records whose bodies are read here."""


@dataclass(slots=True)
class Seen:
    """A slice, and what became of it. `begun` is when its first call was sent, or a machine said that it begins
    it, and `ended` when it was settled, in seconds since the epoch; None: not yet. Spent are tokens and dollars of
    all its calls. `machine` is the id of the machine that worked it last, where machines do, and `stays` are those
    on which it was before."""

    slice: Slice
    branch: str
    state: State = "ready"
    begun: float | None = None
    ended: float | None = None
    why: str = ""
    """Why it failed or was dropped; there is no secret in it, so that it may be cut anywhere."""
    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    machine: str = ""
    stays: tuple[Stay, ...] = ()

    @property
    def moved(self) -> int:
        """How often another machine took it over before it was settled."""
        return sum(stay.lost for stay in self.stays)

    def machine_at(self, at: float) -> str:
        """The machine that worked it at a moment."""
        return next((stay.machine for stay in self.stays if at < stay.until), self.machine)

    @property
    def plans(self) -> bool:
        """Whether it is a planner's: it is at work as long as its branch is."""
        return self.slice.order is not None and self.slice.order.kind == "plan"

    @property
    def name(self) -> str:
        """What a person knows it by: the name of its order, the item of a table, or the beginning of its id."""
        order = self.slice.order
        return order.name if order is not None else self.slice.item or self.slice.id[:12]


@dataclass(slots=True)
class Branch:
    """A part of the plan. `asked` is what it is for; `slices` are the ids of its slices in the order in which they
    came; `judged` is what its judge said last, and why."""

    key: str
    asked: str
    parent: str | None = None
    round: int = 1
    slices: list[str] = field(default_factory=list)
    states: Counter[State] = field(default_factory=Counter)
    plannings: int = 0
    judged: tuple[str, str] | None = None
    failed: dict[str, None] = field(default_factory=dict)
    """The ids of slices that failed, in the order in which they did."""
    latest: deque[str] = field(default_factory=lambda: deque(maxlen=_LATEST))
    """The ids of slices that were settled last; one that was tried again may be there twice."""


class Plan:
    """Grows with `fold`, record by record in their order, and `at_work`, call by call."""

    def __init__(self) -> None:
        self.slices: dict[str, Seen] = {}
        self.branches: dict[str, Branch] = {}
        self.corpus: Corpus | None = None
        self.goal = ""
        """What a run that works is to come to."""
        self.states: Counter[State] = Counter()
        self.running: set[str] = set()
        """The ids of slices that are at work."""
        self.failed: dict[str, None] = {}
        """The ids of slices that failed, in the order in which they did."""
        self.machines = Machines()
        self._paths: dict[str, Source] = {}
        self._sessions: list[float] = []
        self._folds: Mapping[str, Callable[[Record], None]] = {
            "corpus": self._corpus,
            "plan": self._plan,
            "split": self._cut,
            "closer": self._cut,
            "unmatched": self._unmatched,
            "slice": self._order,
            "report": self._report,
            "failure": self._failure,
            "dropped": self._dropped,
            "planned": self._planned,
            "judged": self._judged,
            "session": self._session,
            "placed": self._placed,
        }

    def begin(self, goal: str, *, works: bool) -> None:
        """What it is for; one that `works` has its outermost branch from the start."""
        self.goal = goal
        if works:
            self._branch(ROOT)

    def fold(self, record: Record) -> None:
        """Take in a record; those that tell nothing of the plan are passed over."""
        if (fold := self._folds.get(record.kind)) is not None:
            fold(record)

    def at_work(self, asker: str, at: float) -> None:
        """Somebody asked for a call at that moment: a slice, or the planner that one has become. Of a slice that
        was tried in several sessions, the last one counts."""
        seen = self.slices.get(asker) or self.slices.get(_planner(asker))
        if seen is None or at < self._session_of(seen.ended):
            return
        if seen.begun is None or at < seen.begun:
            seen.begun = at
        if seen.ended is None:
            self._move(seen, "running")

    def _session_of(self, at: float | None) -> float:
        """When the session began that a moment lies in; None: the last one."""
        place = len(self._sessions) if at is None else bisect_right(self._sessions, at)
        return self._sessions[place - 1] if place else 0.0

    def at_rest(self) -> None:
        """Nobody is at the run: what was at work waits."""
        for id_ in list(self.running):
            self.slices[id_].begun = None
            self._move(self.slices[id_], "ready")

    def known(self, asker: str) -> str:
        """The same name, but of a slice the text that is kept of it already."""
        seen = self.slices.get(asker)
        return asker if seen is None else seen.slice.id

    def branch_of(self, asker: str) -> str:
        """The key of the branch that an asker belongs to; the coordinator's own calls belong to `ROOT`."""
        if (seen := self.slices.get(asker)) is not None:
            return seen.branch
        if asker.startswith(("plan:", "judge:")):
            return asker.partition(":")[2].rpartition(":")[0]
        return ROOT

    def inside(self, branch: str) -> list[Branch]:
        """The branches that are parts of one; of none (`""`), the outermost."""
        parent = branch if branch in self.branches else None
        return [one for one in self.branches.values() if one.parent == parent and one.key != branch]

    # Records

    def _corpus(self, record: Record) -> None:
        self.corpus = corpus_from(record.body)
        self._paths |= {source.path: source for source in self.corpus.sources}

    def _plan(self, record: Record) -> None:
        if self.corpus is None:
            return
        for slice_ in plan_of(int(record.key), record.body, self.corpus).slices:
            key = f"{slice_.round}:{slice_.question}"
            if key not in self.branches:
                self.branches[key] = Branch(key=key, asked=slice_.question, round=slice_.round)
            self._add(slice_, key)

    def _cut(self, record: Record) -> None:
        parent = self.slices.get(record.key)
        if parent is None:
            return
        for child in children(parent.slice, halves_of(record.body)):
            self._add(child, parent.branch)
        if record.kind == "split":
            self._settle(record.key, "split", record.at)

    def _unmatched(self, record: Record) -> None:
        for id_ in record.body["slices"]:
            self._settle(id_, "done", record.at)

    def _order(self, record: Record) -> None:
        if "objective" not in record.body:
            return  # of an older version
        order = order_of(record.key, record.body)
        key = record.body.get("branch", ROOT)
        branch = self._branch(key)
        parent = order_id(key) if key else ROOT
        depth = branch_depth(self.branches, key)
        self._add(slice_of(order, parent, self._paths.get, depth), key)
        if order.kind == "plan":
            self.branches.setdefault(order.name, Branch(key=order.name, asked=order.objective, parent=branch.key))

    def _branch(self, key: str) -> Branch:
        if key not in self.branches:
            self.branches[key] = Branch(key=key, asked=key or self.goal, parent=ROOT if key else None)
        return self.branches[key]

    def _report(self, record: Record) -> None:
        self._settle(record.key, "done", record.at)

    def _failure(self, record: Record) -> None:
        self._settle(record.key.partition(":")[0], "failed", record.at, record.body.get("failure", ""))

    def _dropped(self, record: Record) -> None:
        id_ = record.key if record.key in self.slices else order_id(record.key)
        self._settle(id_, "dropped", record.at, record.body.get("reason", ""))

    def _planned(self, record: Record) -> None:
        self._branch(record.body["branch"]).plannings += 1

    def _judged(self, record: Record) -> None:
        branch = self._branch(record.key.rpartition(":")[0])
        branch.judged = (record.body["verdict"], record.body["reason"])

    def _session(self, record: Record) -> None:
        """The run goes on: what was under way when it ended begins anew, and what failed is tried again."""
        self._sessions.append(record.at)
        self.at_rest()
        for seen in [self.slices[id_] for id_ in self.failed]:
            seen.begun = seen.ended = None
            seen.why = ""
            self._move(seen, "ready")
            self._leave(seen, record.at, lost=False)

    # Machines

    def _placed(self, record: Record) -> None:
        """A machine begins a slice."""
        machine = self.machines.begin(record.body["machine"], record.body["host"], record.at)
        seen = self.slices.get(record.key.rpartition(":")[0])
        if seen is None:
            return
        if machine != seen.machine:
            self._leave(seen, record.at, lost=seen.ended is None)
            seen.machine = machine
            self.machines.change(machine, "", seen.state)
        self.at_work(seen.slice.id, record.at)

    def _leave(self, seen: Seen, at: float, *, lost: bool) -> None:
        """The machine that had a slice has it no longer."""
        if not seen.machine:
            return
        self.machines.change(seen.machine, seen.state, "")
        if lost:
            self.machines.lose(seen.machine)
        seen.stays = (*seen.stays, Stay(seen.machine, at, lost))
        seen.machine = ""

    # Slices

    def _add(self, slice_: Slice, branch: str) -> None:
        if slice_.id in self.slices:
            return
        self.slices[slice_.id] = Seen(slice_, self.branches[branch].key)  # a text for all of them
        self.states["ready"] += 1
        self.branches[branch].slices.append(slice_.id)
        self.branches[branch].states["ready"] += 1

    def _settle(self, id_: str, state: State, at: float, why: str = "") -> None:
        seen = self.slices.get(id_)
        if seen is not None:
            seen.ended, seen.why = at, redact_text(why) if why else ""
            seen.begun = at if seen.begun is None else seen.begun
            self._move(seen, state)
            self.branches[seen.branch].latest.append(id_)

    def _move(self, seen: Seen, state: State) -> None:
        branch = self.branches[seen.branch]
        for states in (self.states, branch.states):
            states[seen.state] -= 1
            states[state] += 1
        if seen.machine:
            self.machines.change(seen.machine, seen.state, state, seen.ended)
        seen.state = state
        id_ = seen.slice.id
        (self.running.add if state == "running" else self.running.discard)(id_)
        for failed in (self.failed, branch.failed):
            failed.pop(id_, None)
            if state == "failed":
                failed[id_] = None


def branch_depth(branches: Mapping[str, Branch], key: str) -> int:
    """How many planners stand above a branch."""
    depth = 0
    while (parent := branches[key].parent) is not None:
        key, depth = parent, depth + 1
    return depth


def _planner(asker: str) -> str:
    """The id of the slice whose planner or judge asks; empty for any other asker."""
    name = asker.partition(":")[2].rpartition(":")[0] if asker.startswith(("plan:", "judge:")) else ""
    return order_id(name) if name else ""
