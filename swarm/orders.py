"""An order: a slice as a planner asks for it, by name, before it is let into the plan. Plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["work", "plan"]
"""What becomes of an order: a sub-agent works it, or a planner of its own plans it further."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One piece of work. `name` is its name in the run, and what others call it in `needs`: they begin once it is
    done, from its result. `sources` are paths of the task's material that it is given to read. Of those that are
    ready, the highest `priority` goes first. `role` is the name of one of the program's roles."""

    name: str
    objective: str
    needs: tuple[str, ...] = ()
    done_when: str = ""
    boundaries: str = ""
    """What it is to leave alone, because others do it."""
    sources: tuple[str, ...] = ()
    priority: int = 0
    kind: Kind = "work"
    role: str = ""
