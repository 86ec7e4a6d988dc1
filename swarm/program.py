"""How work is planned and worked, as its user says: roles, votes, checks, and plans that are code.

A role says how the orders of one kind are worked. A program is a plan that is code: it needs no planner model.
Plain frozen data; this module knows no run and no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from swarm.equipment import Bounds, Ran, Tool, Workspace
from swarm.orders import Order
from swarm.task import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """Ask until one result leads by `lead`; a reply that is wrong in form is thrown away. `most` bounds the
    replies that are asked for: then the slice fails. After Meyerson et al. 2025, "Solving a million-step LLM task
    with zero errors" (first to ahead by k)."""

    lead: int = 2
    most: int = 25

    @staticmethod
    def for_steps(steps: int, error: float, doubt: float = 0.05) -> Vote:
        """The smallest lead with which `steps` slices, each wrong with probability `error` (below one half), are
        all right but with probability `doubt`: the chance that the wrong one of two results leads first is
        1 / (1 + ((1 - error) / error)^lead), the gambler's ruin.

        Raises:
            ValueError: with errors in half of the replies or more no lead is enough.
        """
        if not 0 <= error < 0.5:
            raise ValueError(f"error is {error}: voting helps where fewer than half of the replies are wrong")
        if error == 0 or steps <= 0:
            return Vote(lead=1)
        each = -math.expm1(math.log1p(-doubt) / steps)  # what each step may be wrong with
        lead = max(1, math.ceil(math.log((1 - each) / each) / math.log((1 - error) / error)))
        return Vote(lead=lead, most=max(25, 10 * lead))


Check = Callable[[Any, Order], str | Awaitable[str | None] | None]
"""A program that looks at a result: None where it is right, else what is wrong with it, in words for the next
sub-agent. It is asked before any opinion, and what it says holds. A result with a schema comes as parsed JSON."""


class Checkout(Protocol):
    """A worktree with exactly one commit in it, and commands in it, confined like those of the sub-agents."""

    @property
    def path(self) -> Path: ...
    @property
    def commit(self) -> str:
        """What would land."""

    @property
    def base(self) -> str:
        """What it would land upon: the tip of the branch."""

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        """Run a command in it, as a shell would take it but without one; None: the bounds of the workspace.

        Raises:
            ToolFailed: it cannot be started.
        """

    async def changed(self) -> Sequence[str]:
        """The paths that differ from the base."""


class Place(Protocol):
    """The worktree that a slice is worked in."""

    @property
    def path(self) -> Path: ...
    @property
    def base(self) -> str:
        """The commit that it shows, or that its work is upon."""

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        """As `Checkout.run`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruling:
    """What a trial says of work. `wrong` is what the next sub-agent is told, where it should try again; where that
    is None and it does not land, the slice is done and its work is let go. `result` takes the place of the slice's
    result, where it is given, and `claims` go into the shared graph, as those of `Done`."""

    lands: bool
    wrong: str | None = None
    result: str | None = None
    claims: tuple[tuple[str, str], ...] = ()


Trial = Callable[[Checkout, Order], Awaitable[Ruling]]
"""A program that looks at what would land, in a worktree that holds exactly that. It is asked again where the
branch moved on meanwhile. It looks at one piece of work at a time, each upon the tip; where it has an attribute
`speculates` that is true, at several, each upon the one before it as if that had landed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """What code that works an order is given. `results` are those of the slices that it needs, by name; `known`
    are the claims of the shared graph that bear on a question, in at most so many o200k tokens. `place` opens its
    worktree, where its role has one."""

    order: Order
    goal: str
    results: Mapping[str, str]
    attempt: int
    """How often it was turned down before, and `wrong` is why."""
    wrong: str
    known: Callable[[str, int], Sequence[str]]
    place: Callable[[], Awaitable[Place]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What code that works an order hands back. Each claim comes with words of the result that bear it out."""

    result: str
    summary: str = ""
    claims: tuple[tuple[str, str], ...] = ()
    proposed: tuple[Order, ...] = ()
    failure: str = ""
    """Why it could not be done: the slice then fails."""


Code = Callable[[Piece], Awaitable[Done]]


@dataclass(frozen=True, kw_only=True)
class Role:
    """How the orders of one kind are worked. `schema` is a JSON schema for the result, which is text without one.

    `view_tokens` of the shared graph are shown to each sub-agent (0: none, which is right for steps that need
    nothing but what their order says). A report comes to `report_tokens` at the most; what is longer is kept as an
    artifact. At most `legs` sub-agents work at one slice, one after the other, each with a fresh window.
    """

    name: str = ""
    instructions: str = ""
    schema: Mapping[str, Any] | None = None
    vote: Vote | None = None
    check: Check | None = None
    view_tokens: int = 2_000
    report_tokens: int = 1_500
    legs: int = 8
    tries: int = 3
    """Fresh sub-agents for a result that a check turns down, or for work that does not land."""
    may_fail: bool = False
    """A slice that fails is done all the same, and its result says so: what waits for it goes on."""
    tools: tuple[Tool | str, ...] = ()
    """What a sub-agent may use: tools, or names of those that come with Swarm (`swarm.tools.BUILTIN`)."""
    steps: int = 200
    """Turns with tools that one sub-agent may take; then it hands over to a fresh one."""
    workspace: Literal["none", "read", "write"] = "none"
    """Whether it works in a worktree of the program's workspace: to `read` what has landed, or to `write` what is
    to land."""
    code: Code | None = None
    """Works the orders of this role in the place of a model."""
    trial: Trial | None = None
    """Decides in the place of the workspace's check command whether work lands."""

    @cached_property
    def schema_text(self) -> str:
        """The schema as it is shown; empty where there is none."""
        return (
            json.dumps(self.schema, ensure_ascii=False, separators=(",", ":")) if self.schema is not None else ""
        )


PLANNER = Role(name="planner")
JUDGE = Role(name="judge")

Orders = Callable[[], Iterable[Order]]
Follow = Callable[[Order, Report], Iterable[Order]]
Results = Mapping[str, str]
"""The results of a run by the names of their orders, looked up when they are asked for."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A plan that is code, or what a planner model's plan is held to. `orders` gives the first orders each time
    that it is called, the same in the same order: they are taken as they are needed, so there may be millions.
    Without them a planner model plans. `follow` tells what a finished one leads to; it may be called again for the
    same report and must then say the same. The role with an empty name is how orders are worked that name none.

    `check` looks at the results when nothing is left to do, before any model is asked: None where the task is
    done, else what is missing. `answer` writes the answer from the results; without it the model does, from what
    was found.
    """

    orders: Orders | None = None
    follow: Follow | None = None
    roles: tuple[Role, ...] = ()
    check: Callable[[Results], str | Awaitable[str | None] | None] | None = None
    answer: Callable[[Results], str] | None = None
    workspace: Workspace | None = None
    """What the roles that have a workspace work on."""
    planner: Role = PLANNER
    judge: Role = JUDGE
    """Instructions and tools of the planner and the judge: those that change nothing."""
    settle: bool = False
    """Of a plan that a planner model makes: findings that contradict one another are asked about before it counts
    as done, each pair once, by slices that the planner adds. What stays open is told with the answer."""
