"""What is known of the work of a run: the live part of its plan. What is settled is in the journal alone.

A branch is one planner's part of the plan: the root's is the whole task, and an order of the kind `plan` has one
of its own. A program has the root alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from swarm.agenda.agenda import Agenda
from swarm.agenda.progress import Progress
from swarm.graph.identity import digest
from swarm.limits.budget import Budget
from swarm.orders import Order
from swarm.program import Place, Program, Role
from swarm.prompts.replies import WorkReply
from swarm.prompts.typed import Outcome, Standing
from swarm.store.journal import Journal
from swarm.task import Slice
from swarm.worker.ledger import Landing

ROOT = ""
"""The name and the id of the root's branch."""
_LISTED = 60  # slices of a branch that its planner and its judge are shown: the last ones
_ENDS = 200  # slices of a branch that nobody needs, whose results are what it comes to


@lru_cache(maxsize=8_192)
def order_id(name: str) -> str:
    """The id of the slice that an order becomes."""
    return digest("slice", "order", name)


@dataclass(kw_only=True)
class Branch:
    """One planner's part. `open` counts its slices that are not settled; `reasons` are why its planner is to be
    asked again."""

    order: Order
    depth: int = 0
    parent: str | None = None
    budget: Budget | None = None
    open: int = 0
    done: int = 0
    plannings: int = 0
    judgings: int = 0
    busy: bool = False
    """Its planner or its judge is asked, or about to be."""
    found: bool = False
    """Its next verdict is in the journal and was not gone by yet."""
    over: bool = False
    replan: bool = False
    """The judge wants more."""
    urgent: bool = False
    """A slice failed since the last planning."""
    mute: bool = False
    """Its planner failed while slices of it were open: it is not asked again until these have come to an end."""
    refused: list[str] = field(default_factory=list)
    """What was not let in the last time, and why."""
    reasons: list[str] = field(default_factory=list)
    admitted: int = 0
    proposed: int = 0
    """Of the last planning."""
    progress: Progress = field(default_factory=Progress)
    standings: OrderedDict[str, Standing] = field(default_factory=OrderedDict)
    ends: dict[str, None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.order.name

    @property
    def id(self) -> str:
        """That of the slice that its planner is, and nothing for the root."""
        return order_id(self.order.name) if self.order.name else ROOT

    def stands(self, name: str, state: str, text: str) -> None:
        """Note where a slice stands: the last ones are shown to planner and judge."""
        self.standings.pop(name, None)
        self.standings[name] = Standing(name=name, state=state, text=text[:300])
        while len(self.standings) > _LISTED:
            self.standings.popitem(last=False)

    def ended(self, order: Order) -> None:
        """Note that a slice is done: what nobody needs is what the branch comes to."""
        for need in order.needs:
            self.ends.pop(need, None)
        self.ends[order.name] = None
        while len(self.ends) > _ENDS:
            del self.ends[next(iter(self.ends))]

    @property
    def unlisted(self) -> int:
        return max(0, self.open + self.done - len(self.standings))


class Places(Protocol):
    """The worktrees of a run, by the ids of slices."""

    async def open(self, role: Role, slice_: str) -> Place:
        """To write in, or to read what has landed."""

    async def diff(self, slice_: str) -> str:
        """What a slice changed so far."""

    async def keep(self, slice_: str) -> None:
        """Where other machines may go on with it, have what it changed kept there before that is recorded."""

    async def give_back(self, slice_: str, *, ours: bool = True) -> None:
        """It is not worked to its end here. While it is `ours`, what it changed is kept for whoever goes on."""

    async def close(self, slice_: str) -> None:
        """It is settled: its worktree goes."""

    async def land(
        self,
        slice_: Slice,
        role: Role,
        budget: Budget | None,
        reply: WorkReply,
        before: str | None,
        about_to: Callable[[str], Awaitable[None]],
    ) -> Landing:
        """Have what it left there land; see `Ledger.landed`."""


@dataclass(kw_only=True)
class Work:
    """The plan of a run, as far as it is not settled. `begun` counts the slices that were worked."""

    root: Branch
    program: Program | None
    roles: Mapping[str, Role]
    agenda: Agenda = field(default_factory=Agenda)
    live: dict[str, Slice] = field(default_factory=dict)
    branches: dict[str, Branch] = field(default_factory=dict)
    """By the id of the slice that each one's planner is."""
    supply: Iterator[Order] | None = None
    pulled: int = 0
    begun: int = 0
    done: int = 0
    running: int = 0
    under_way: set[str] = field(default_factory=set)
    """Ids of slices that are being worked, or planned further."""
    leaving: set[str] = field(default_factory=set)
    """Ids of slices whose drop is on its way into the journal: they are not begun any more."""
    coming: set[str] = field(default_factory=set)
    """Names of orders that are on their way into the journal."""
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """What planners propose is let in one after the other: two that ask the same are one."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by the name of the order: they are tried again when the run goes on."""
    tries: dict[str, int] = field(default_factory=dict)
    """How often a slice failed before the run went on, by id: it is asked afresh."""
    given: set[str] = field(default_factory=set)
    """The sources that were given to sub-agents."""
    heard: int = 0
    """Instructions of a person that the root's planner was told of."""
    score: float | None = None
    places: Places | None = None
    """The worktrees, while the run is at work and where its program has a workspace."""

    def branch_of(self, slice_: Slice) -> Branch:
        return self.branches[slice_.parent or ROOT]

    def role_of(self, order: Order) -> Role:
        return self.roles[order.role]


class RunResults(Mapping[str, str]):
    """The results of a run by the names of their orders, from the journal."""

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal, self._run = journal, run

    def __getitem__(self, name: str) -> str:
        record = self._journal.record(self._run, "report", order_id(name))
        if record is None:
            raise KeyError(name)
        return str(record.body.get("result", ""))

    def both(self, name: str) -> tuple[Outcome, str]:
        """What a slice came to, as others are shown it, and in one sentence."""
        record = self._journal.record(self._run, "report", order_id(name))
        body = record.body if record is not None else {}
        return Outcome(name=name, text=str(body.get("result", ""))), str(body.get("summary", ""))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._journal.record(self._run, "report", order_id(name)) is not None

    def __iter__(self) -> Iterator[str]:
        for name in self._journal.keys(self._run, "slice"):
            if name in self:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)
