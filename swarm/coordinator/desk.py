"""What the coordinator of one run works with: its parts, and what it knows so far.

The state of LangGraph's machine is small and holds numbers only; everything of size is here, and can be rebuilt
from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from swarm.coordinator.indexed import Indexed
from swarm.coordinator.kept import PathsOf, Sources
from swarm.coordinator.offers import Offer, Outcome
from swarm.coordinator.records import Plan
from swarm.coordinator.steering import Steering
from swarm.errors import LimitReached
from swarm.events import Event
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import digest
from swarm.index.base import Embed
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate
from swarm.models.base import Model
from swarm.program import Program
from swarm.source import Corpus, Source
from swarm.store.cuts import Cuts
from swarm.store.journal import Journal, Record
from swarm.store.library import Library
from swarm.task import Answer, Limits, Slice, SliceFailure, Task, Usage
from swarm.worker.read import Brief

if TYPE_CHECKING:
    from swarm.coordinator.work.state import Work


ROUNDS_OF_READING, ROUNDS_OF_WORK = 3, 100
"""Passes of the loop, where nobody says how many. Work that leads nowhere is stopped long before."""


class Recorded(Protocol):
    """A run that was recorded, as far as it cannot be worked out again: it depended on the clock, on what failed,
    or on what a provider told of itself."""

    def order(self, session: int) -> list[str]:
        """The slices that were settled in a session, in the order of their records."""

    def sizes(self, round_: int) -> tuple[int, int]:
        """How many findings a reader of a round may give, and the tokens of material in one of its slices."""

    def planned(self, round_: int) -> bool:
        """Whether there was a round of that number."""

    def too_long(self, slice_: str) -> bool:
        """Whether a slice was split because it did not fit a window."""

    def failed(self, slice_: str, session: int) -> str | None:
        """Why a slice could not be worked in a session; None for one that was not tried or was."""

    def decided(self, name: str, session: int) -> bool:
        """Whether the judge was asked in a session, and came to a decision of that name."""

    def unfinished(self, session: int) -> str | None:
        """Why the last prompt of a session, which writes the answer, came to nothing; None where it did not."""

    def stopped(self, session: int) -> tuple[str | None, str | None]:
        """Why a session ended early, and at which limit."""

    def instructions(self, session: int) -> list[Record]:
        """What a person said in a session, in the order in which it was taken."""

    def cancelled(self, slice_: str, session: int) -> bool:
        """Whether a slice was dropped in a session, because a person cancelled it."""

    @property
    def checks(self) -> bool:
        """Whether what programs said is worked out again, since the program is there; else it is as recorded."""

    def checked(self, branch: str, number: int) -> tuple[str | None, float | None]:
        """What a program said was missing when a branch was judged, and its score."""

    def claims(self, branch: str, number: int) -> int:
        """How much was claimed in the whole run when a branch was judged."""

    def records(self, session: int) -> list[Record]:
        """All that was recorded in a session, in its order."""

    def marks(self, name: str, session: int) -> list[set[str]]:
        """How the names go on of the views that begin so: of those first shown in this session, then of those
        before."""


class Elsewhere(Protocol):
    """Machines that work slices; see `swarm.coordinator.away`."""

    async def attempt(self, offer: Offer) -> Outcome:
        """What a slice comes to, or why it comes to nothing."""

    def settle(self, ref: str) -> None:
        """What became of a slice is in the journal."""

    def at_work(self, desk: Desk, is_open: Callable[[str], bool]) -> AbstractAsyncContextManager[None]:
        """While slices are worked; `is_open` tells those that are still to be settled."""


@dataclass(kw_only=True)
class Desk:
    """One run. `began` is the clock's reading in seconds at its start. `session` counts how often the run began or
    went on; the limits are those of this time."""

    run: str
    session: int
    task: Task
    limits: Limits
    model: Model
    reader: Model
    library: Library
    cuts: Cuts
    journal: Journal
    gate: Gate
    corpus: Corpus
    graph: SharedGraph
    emit: Callable[[Event], None]
    concurrency: int
    window: int
    """The limit in tokens that the run began with; a provider that takes less makes later requests smaller."""
    clock: Callable[[], float]
    began: float
    steering: Steering = field(default_factory=Steering)
    """What people have asked of the run."""
    embed: Embed | None = None
    """The user's embeddings, where they gave any: they propose findings that may say the same."""
    index: Indexed | None = None
    """An index of the user's, where they gave one: what it finds in the sources is fused with what the library
    does."""

    follow: Callable[[], None] | None = None
    """Brings the graph up to date with what others record of the run, where that is not this process. Blocks."""
    away: Elsewhere | None = None
    """Where slices are worked, if that is not in this process."""
    recorded: Recorded | None = None
    """What is known beforehand, where a run is replayed."""
    program: Program | None = None
    """The plan of work, where it is code."""
    work: Work | None = None
    """What is known of the work, where the task is worked and not only read."""

    plans: list[Plan] = field(default_factory=list)
    """The rounds, in their order."""
    briefs: dict[str, Brief] = field(default_factory=dict)
    """By question, as far as they were needed."""
    slices: dict[str, Slice] = field(default_factory=dict)
    """All of the run, by id, also those that were split."""
    planned: list[str] = field(default_factory=list)
    """Ids that wait for dispatch."""
    done: set[str] = field(default_factory=set)
    split: set[str] = field(default_factory=set)
    dropped: dict[str, SliceFailure] = field(default_factory=dict)
    """Slices that are not read any more, though nothing is known of them: a person cancelled them."""
    failures: dict[str, SliceFailure] = field(default_factory=dict)
    items: dict[str, list[str]] = field(default_factory=dict)
    """Findings of each slice that fills a cell of a table."""
    removed: int = 0
    """Sources that were unlearnt before."""
    asked: list[str] = field(default_factory=list)
    """Follow-up questions so far."""
    settling: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Contradictions that the sources are asked about, by the question: the ids of both findings."""
    left: dict[str, Limits] = field(default_factory=dict)
    """What is left of the share of a slice that was read on another machine."""
    shares: dict[str, Budget] = field(default_factory=dict)
    """What each slice of a round, with all that it is cut into, may spend, where the limits say so."""
    stopped: str | None = None
    """Why the run ends early: the limit that was reached, `interrupted` or `not approved`."""
    limit: str | None = None
    """The name of the limit that was reached, as in `Limits`."""
    answer: Answer | None = None

    @property
    def spent(self) -> Usage:
        """What the run has spent so far, wherever."""
        return self.gate.budget.spent if self.away is None else self.journal.spent(self.run)

    @property
    def stopping(self) -> asyncio.Event:
        return self.steering.stopping

    @property
    def question(self) -> str:
        return self.task.questions[0] if self.task.questions else ""

    @cached_property
    def paths(self) -> Mapping[str, str]:
        return PathsOf(self.sources)

    @cached_property
    def sources(self) -> Sources:
        """Of the corpus, and of what the run itself made and keeps, which is looked up when it is asked for."""
        return Sources(self.corpus, self.journal, self.run)

    @cached_property
    def by_path(self) -> Mapping[str, Source]:
        return {source.path: source for source in self.corpus.sources}

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The place of each source in the corpus."""
        return {source.id: place for place, source in enumerate(self.corpus.sources)}

    @property
    def round(self) -> int:
        """The round that was planned last; 0 before the first."""
        return self.plans[-1].round if self.plans else 0

    @property
    def rounds_allowed(self) -> int:
        """Passes of the loop: of reading, or of one planner's planning."""
        usual = ROUNDS_OF_WORK if self.task.mode == "work" else ROUNDS_OF_READING
        return usual if self.limits.rounds is None else self.limits.rounds

    @property
    def basis(self) -> str:
        """A name for what is known so far and for who is asked about it: what was decided on it, and how much of
        it was shown, holds until one of them changes."""
        allowed = (self.limits.cost_usd, self.limits.tokens)
        if self.work is not None:
            return digest("basis", self.graph.fingerprint(), self.removed, self.model.name, allowed)
        return digest("basis", sorted(self.done), sorted(self.failures), self.removed, self.model.name, allowed)

    def stop_at(self, error: LimitReached) -> None:
        """End the run early: a limit was reached."""
        self.stopped, self.limit = str(error), error.limit or None

    def share_of(self, slice_: Slice) -> Budget | None:
        """The budget that a slice spends from: that of the slice that it was cut from, share of the run's."""
        if self.limits.each_slice is None:
            return None
        while slice_.parent is not None:
            slice_ = self.slices[slice_.parent]
        if slice_.id not in self.shares:
            self.shares[slice_.id] = self.gate.budget.share(self.limits.each_slice)
        return self.shares[slice_.id]

    def left_for(self, slice_: Slice) -> Limits | None:
        """What a slice may spend on another machine: its own share, or half of what its parent left of it."""
        each = self.limits.each_slice
        if each is None or slice_.parent is None:
            return each
        left = self.left.get(slice_.parent, each)
        return replace(
            left,
            cost_usd=None if left.cost_usd is None else left.cost_usd / 2,
            tokens=None if left.tokens is None else left.tokens // 2,
            calls=None if left.calls is None else left.calls // 2,
        )

    def add(self, plan: Plan) -> int:
        """Take a plan's slices up, and count the new ones: one that asks the same of the same text as an earlier
        one is left out."""
        self.plans.append(plan)
        self.asked += plan.asked
        self.settling |= {question: (one, other) for question, one, other in plan.settling}
        new = [slice_ for slice_ in plan.slices if slice_.id not in self.slices]
        self.slices |= {slice_.id: slice_ for slice_ in new}
        self.planned += [slice_.id for slice_ in new]
        return len(new)


def elsewhere(desk: Desk, is_open: Callable[[str], bool]) -> AbstractAsyncContextManager[None]:
    """While slices are worked, be it here or on other machines; see `Elsewhere.at_work`."""
    return nullcontext() if desk.away is None else desk.away.at_work(desk, is_open)
