"""What the page shows of a run, as data: one function for each endpoint, for the server and for the report alike.

Each takes a `Look` and what is asked for, and gives what `json` can write: never more than a page of a list, never
a long text without saying what was left out. Nothing here reads a whole run or a whole graph for one reply, but
for columns of numbers, which are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from swarm.inspect.data.calls import call, calls
from swarm.inspect.data.cost import cost
from swarm.inspect.data.coverage import coverage
from swarm.inspect.data.disputes import disputes
from swarm.inspect.data.node import node
from swarm.inspect.data.nodes import nodes
from swarm.inspect.data.overview import overview
from swarm.inspect.data.plan import plan
from swarm.inspect.data.slices import slice_
from swarm.inspect.data.source import source
from swarm.inspect.data.timeline import timeline
from swarm.inspect.data.tree import tree
from swarm.inspect.data.windows import windows

ENDPOINTS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "overview": overview,
    "nodes": nodes,
    "node": node,
    "source": source,
    "tree": tree,
    "disputes": disputes,
    "plan": plan,
    "slice": slice_,
    "timeline": timeline,
    "cost": cost,
    "windows": windows,
    "calls": calls,
    "call": call,
    "coverage": coverage,
}
"""By their names in addresses. A parameter `from` is called `from_` here."""
