"""How work is planned and worked, as its user says: roles, votes, checks, and plans that are code.

A role says how the orders of one kind are worked. A program is a plan that is code: it needs no planner model.
Plain frozen data; this module knows no run and no model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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

    @cached_property
    def schema_text(self) -> str:
        """The schema as it is shown; empty where there is none."""
        return (
            json.dumps(self.schema, ensure_ascii=False, separators=(",", ":")) if self.schema is not None else ""
        )


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
