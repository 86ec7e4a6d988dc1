"""One slice to be worked, as its sub-agents are given it, and what they hand back. Plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from swarm.equipment import Tool
from swarm.limits.budget import Budget
from swarm.models.base import Model
from swarm.orders import Order
from swarm.program import Role
from swarm.prompts.replies import Reply, WorkReply
from swarm.prompts.typed import Outcome, Prompt, Shown
from swarm.source import Passage, Source, Span
from swarm.task import Report
from swarm.worker.ledger import Landing, Ledger, Unkept

R = TypeVar("R", bound=Reply, covariant=True)


class Ask(Protocol):
    """What a call goes through: the gate, or what is wrapped around it."""

    async def ask(
        self, model: Model, prompt: Prompt[R], attempt: int = 0, *, budget: Budget | None = None, mend: bool = True
    ) -> R: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Kit:
    """What a sub-agent works with. `steps` are the turns it may take. `locate` finds a quote in the task's own
    material."""

    tools: tuple[Tool, ...]
    steps: int
    locate: Callable[[str], Span | None] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    """Whether no further step is to be begun. What was done so far is gone on with when the run is."""


Land = Callable[[str, WorkReply, str | None, Callable[[str], Awaitable[None]]], Awaitable[Landing]]
"""Has the work of a slice land: from the name of the try, what was reported, the commit that was about to land
when a process died, and what to tell of the one that is about to."""
Run = Callable[[str, int], Awaitable[WorkReply]]
"""The user's code in the place of a model: from what was wrong with the result before, and how often it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What a sub-agent is given. `material` is what its order's sources hold, in reading order; `outcomes` are of
    the slices that it needs, and `summaries` what they say in a sentence, for when there is no room for more."""

    slice: str
    goal: str
    order: Order
    role: Role
    basis: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = ()
    summaries: Mapping[str, str] = field(default_factory=dict)
    shown: tuple[Shown, ...] = ()
    said: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    material: Sequence[Passage] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Unkept)
    kit: Kit | None = None
    land: Land | None = None
    run: Run | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text that others may cite from now on: a result or an artifact, by its name."""

    path: str
    text: str


@dataclass(kw_only=True)
class Worked:
    """What came of a job, or of one leg of it. `texts` are those that findings rest on, and artifacts; `kept` are
    such as are in the journal already."""

    report: Report
    texts: tuple[Text, ...] = ()
    kept: tuple[Source, ...] = ()


LookUp = Callable[[Sequence[str]], Awaitable[Sequence[Passage]]]
Handoff = Callable[[int, Worked], Awaitable[None]]
