"""The plan of a run: a branch with what is in it, and its slices in pages."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from swarm.inspect.data.bounds import page, short
from swarm.inspect.data.rows import slice_row
from swarm.inspect.follow import Cost
from swarm.inspect.look import Look, Unknown
from swarm.inspect.plan import ROOT, STATES, Branch, Plan

_BRANCHES = 200


def plan(look: Look, branch: str = "", offset: int = 0, limit: int = 50, state: str = "") -> dict[str, Any]:
    """A branch by its key, or the top of the plan. `state` is that of the slices that are listed.

    Raises:
        Unknown: there is no such branch.
    """
    known = look.fresh().plan
    mine = known.branches.get(branch)
    if mine is None and branch != ROOT:
        raise Unknown(f"the plan has no branch {branch[:80]!r}: begin at the top of the plan")
    offset, limit = page(offset, limit, 200)
    ids = mine.slices if mine is not None else []
    if state:
        ids = [id_ for id_ in ids if known.slices[id_].state == state]
    inside = known.inside(branch)
    spent = look.kept("by branch", lambda: _by_branch(look))
    within = look.kept("inside", lambda: _inside(known))
    return {
        "branch": branch,
        "asked": short(mine.asked if mine is not None else known.goal, 4_000),
        "trail": _trail(known, mine),
        "judged": _judged(mine),
        "states": _states(mine) if mine is not None else {state: known.states[state] for state in STATES},
        "branches": [_row(one, spent, within) for one in inside[:_BRANCHES]],
        "branches_total": len(inside),
        "slices": [slice_row(look, known.slices[id_]) for id_ in ids[offset : offset + limit]],
        "offset": offset,
        "total": len(ids),
    }


def _row(branch: Branch, spent: dict[str, Cost], within: dict[str, int]) -> dict[str, Any]:
    cost = spent.get(branch.key, Cost())
    return {
        "key": branch.key,
        "asked": short(branch.asked, 1_000),
        "round": branch.round,
        "states": _states(branch),
        "plannings": branch.plannings,
        "judged": _judged(branch),
        "inside": within.get(branch.key, 0),
        "calls": cost.calls,
        "tokens": cost.input_tokens + cost.output_tokens,
        "cost_usd": cost.cost_usd,
    }


def _states(branch: Branch) -> dict[str, int]:
    return {state: branch.states[state] for state in STATES}


def _judged(branch: Branch | None) -> list[str] | None:
    return [short(said, 1_000) for said in branch.judged] if branch is not None and branch.judged else None


def _trail(known: Plan, branch: Branch | None) -> list[dict[str, str]]:
    """The branches that a branch is in, the outermost first."""
    found = []
    key = branch.parent if branch is not None else None
    while key is not None and (above := known.branches.get(key)) is not None:
        found.append({"key": above.key, "asked": short(above.asked)})
        key = above.parent
    return found[::-1]


def _by_branch(look: Look) -> dict[str, Cost]:
    found: defaultdict[str, Cost] = defaultdict(Cost)
    for (_, _, branch), cost in look.follower.costs.items():
        sums = found[branch]
        sums.calls += cost.calls
        sums.input_tokens += cost.input_tokens
        sums.output_tokens += cost.output_tokens
        sums.cost_usd += cost.cost_usd
    return dict(found)


def _inside(known: Plan) -> dict[str, int]:
    """How many branches are in each."""
    found: defaultdict[str, int] = defaultdict(int)
    for branch in known.branches.values():
        if branch.parent is not None:
            found[branch.parent] += 1
    return dict(found)
