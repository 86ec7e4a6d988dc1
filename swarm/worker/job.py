"""One slice to be worked, as its sub-agents are given it, and what they hand back. Plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from swarm.limits.budget import Budget
from swarm.models.base import Model
from swarm.orders import Order
from swarm.program import Role
from swarm.prompts.replies import Reply
from swarm.prompts.typed import Outcome, Prompt, Shown
from swarm.source import Passage
from swarm.task import Report
from swarm.worker.ledger import Ledger, Unkept

R = TypeVar("R", bound=Reply, covariant=True)


class Ask(Protocol):
    """What a call goes through: the gate, or what is wrapped around it."""

    async def ask(
        self, model: Model, prompt: Prompt[R], attempt: int = 0, *, budget: Budget | None = None, mend: bool = True
    ) -> R: ...


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
    material: Sequence[Passage] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Unkept)


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text that others may cite from now on: a result or an artifact, by its name."""

    path: str
    text: str


@dataclass(kw_only=True)
class Worked:
    """What came of a job, or of one leg of it. `texts` are those that findings rest on, and artifacts."""

    report: Report
    texts: tuple[Text, ...] = ()


LookUp = Callable[[Sequence[str]], Sequence[Passage]]
Handoff = Callable[[int, Worked], Awaitable[None]]
