"""Which lines of a plan are shown as its tree: chosen by what the reader has opened, and never more than so many,
however large the plan is.

Of a branch the slices at work and those that failed come first, then those that were settled last, then the last
ones of the plan; the rest is one line that says how many there are. Nothing here walks through a plan: what is at
work, failed or was settled last is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from swarm.cli.watching.frame import Row
from swarm.cli.watching.words import Names, shown
from swarm.coordinator.work.state import order_id
from swarm.inspect.calls import Calls
from swarm.inspect.follow import Cost
from swarm.inspect.plan import Branch, Plan, Seen

MOST_ROWS = 600
_EACH = 40  # slices of a branch, until more are asked for
_MOST_EACH = 480
_FEW = 12  # branches that are open without being asked for


@dataclass(frozen=True, slots=True)
class Wish:
    """What the reader wants to see: branches that were opened and closed by hand, and those of which more slices
    are to be shown, once for each time that it was asked for."""

    opened: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    more: tuple[str, ...] = ()

    def turn(self, key: str, is_open: bool) -> Wish:
        """With a branch opened that was closed, or closed that was open."""
        if is_open:
            return Wish(self.opened - {key}, self.closed | {key}, self.more)
        return Wish(self.opened | {key}, self.closed - {key}, self.more)

    def with_more(self, key: str) -> Wish:
        return Wish(self.opened, self.closed, (*self.more, key))

    def most_of(self, key: str) -> int:
        """How many slices of a branch are shown."""
        times: int = 3 ** self.more.count(key)
        return min(_MOST_EACH, _EACH * times)


class Tree:
    """The rows of one plan. It remembers which branches are part of which, and looks at each branch once."""

    def __init__(self, plan: Plan, calls: Calls, costs: dict[tuple[str, str, str], Cost], names: Names) -> None:
        self._plan, self._calls, self._costs, self._names = plan, calls, costs, names
        self._inside: dict[str | None, list[str]] = {}
        self._known = 0

    def rows(self, wish: Wish, now: float) -> tuple[Row, ...]:
        """The lines as they stand now, at most `MOST_ROWS`."""
        for branch in islice(self._plan.branches.values(), self._known, None):
            self._inside.setdefault(branch.parent, []).append(branch.key)
        self._known = len(self._plan.branches)
        outermost = self._inside.get(None, [])
        return tuple(islice(self._branches(outermost, wish, now, 0), MOST_ROWS))

    def _branches(self, keys: list[str], wish: Wish, now: float, depth: int) -> Iterator[Row]:
        for key in keys:
            branch = self._plan.branches[key]
            is_open = key in wish.opened or (key not in wish.closed and (depth == 0 or self._known <= _FEW))
            yield self._branch(branch, depth, is_open)
            if is_open:
                yield from self._branches(self._inside.get(key, []), wish, now, depth + 1)
                yield from self._slices(branch, wish.most_of(key), now, depth + 1)

    def _branch(self, branch: Branch, depth: int, is_open: bool) -> Row:
        again = f"round {branch.round}: " if branch.round > 1 else ""
        planner = self._plan.slices.get(order_id(branch.key)) if branch.parent is not None else None
        return Row(
            kind="branch",
            key=branch.key,
            depth=depth,
            name=f"{again}{shown(branch.asked) or 'the task'}",
            state=planner.state if planner is not None else "",
            slice=planner.slice.id if planner is not None else "",
            is_open=is_open,
            counts=tuple((state, count) for state, count in branch.states.items() if count),
            cost_usd=self._cost(branch.key),
        )

    def _cost(self, branch: str) -> float:
        """Of all calls for a branch: models and kinds of calls are few, branches may be many."""
        keys = ((model, kind, branch) for model in self._calls.models.texts for kind in self._calls.kinds.texts)
        return sum(cost.cost_usd for key in keys if (cost := self._costs.get(key)) is not None)

    def _slices(self, branch: Branch, most: int, now: float, depth: int) -> Iterator[Row]:
        known = (self._plan.slices[id_] for id_ in dict.fromkeys(self._first(branch, most)))
        chosen = list(islice((seen for seen in known if not is_planner(seen)), most))
        for seen in chosen:
            yield self._slice(seen, depth, now)
        planners = len(self._inside.get(branch.key, []))
        if (left := len(branch.slices) - planners - len(chosen)) > 0:
            yield Row(kind="more", key=branch.key, depth=depth, name="", more=left)

    def _first(self, branch: Branch, most: int) -> Iterator[str]:
        """The ids of the slices that are worth a line, the most telling first; some may come twice."""
        slices = self._plan.slices
        running = [slices[id_] for id_ in self._plan.running]
        mine = sorted((one for one in running if one.branch == branch.key), key=lambda one: one.begun or 0.0)
        yield from (one.slice.id for one in mine)
        yield from islice(reversed(branch.failed), most)
        if len(branch.slices) <= most:
            yield from branch.slices
        yield from reversed(branch.latest)
        yield from islice(reversed(branch.slices), most)

    def _slice(self, seen: Seen, depth: int, now: float) -> Row:
        return Row(
            kind="slice",
            key=seen.slice.id,
            slice=seen.slice.id,
            depth=depth,
            name=self._names.of(seen),
            state=seen.state,
            seconds=taken(seen, now),
            cost_usd=seen.cost_usd,
        )


def is_planner(seen: Seen) -> bool:
    """Whether a slice is a planner, and so a branch of the tree."""
    return seen.slice.order is not None and seen.slice.order.kind == "plan"


def taken(seen: Seen, now: float) -> float | None:
    """Seconds that a slice has taken so far; None before it has begun."""
    if seen.begun is None:
        return None
    return max(0.0, (now if seen.ended is None else seen.ended) - seen.begun)
