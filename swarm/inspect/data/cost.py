"""What a run cost: by model, kind of prompt and branch of the plan, and over time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from heapq import nlargest
from typing import Any

import numpy as np

from swarm.inspect.data.bounds import short
from swarm.inspect.data.columns import columns, points
from swarm.inspect.follow import Cost
from swarm.inspect.look import Look

_ROWS = 400
_POINTS = 300


def cost(look: Look) -> dict[str, Any]:
    """The rows come to the total: those beyond `_ROWS` are summed by model and kind, and have no branch."""
    followed = look.fresh()
    ranked = nlargest(
        _ROWS, followed.costs, key=lambda one: (followed.costs[one].cost_usd, followed.costs[one].calls)
    )
    shown = set(ranked)
    others: dict[tuple[str, str], Cost] = {}
    for key, spent in followed.costs.items():
        if key not in shown:
            _add(others.setdefault(key[:2], Cost()), spent)
    branches = followed.plan.branches
    rows = [
        {"model": model, "kind": kind, "branch": branch, "asked": short(_asked(branches.get(branch)))}
        | asdict(followed.costs[model, kind, branch])
        for model, kind, branch in ranked
    ]
    rows += [
        {"model": model, "kind": kind, "branch": None, "asked": ""} | asdict(spent)
        for (model, kind), spent in others.items()
    ]
    return {
        "total": asdict(followed.spent),
        "rows": rows,
        "over_time": look.kept("over time", lambda: _curve(look)),
    }


def _asked(branch: Any) -> str:
    return branch.asked if branch is not None else ""


def _add(to: Cost, more: Cost) -> None:
    for name, amount in asdict(more).items():
        setattr(to, name, getattr(to, name) + amount)


def _curve(look: Look) -> list[list[float]]:
    """Dollars and tokens so far, at the moments at which calls came to their ends."""
    known = columns(look)
    order = np.argsort(known.ended, kind="stable")
    order = order[known.ended[order] > 0]
    sums: Iterable[Any] = (np.cumsum(known.cost_usd[order]), np.cumsum(known.tokens[order]))
    return points(known.ended[order], *sums, most=_POINTS)
