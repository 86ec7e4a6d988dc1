"""What of a proposal may enter the plan: a program decides, and has a reason for everything that it refuses.

A planner may ask for anything: circles, the same twice, slices that need what nobody plans, ten thousand at once.
What is admitted here is whole: every order needs only what is in the run or admitted before it, no two ask the
same, and there are no more than there is room for. Pure; this module knows neither runs nor models: what is in the
run already is told by the functions that the caller hands in. Nothing here recurses, and time grows with the
number of orders and needs, so that a chain of a hundred thousand is an ordinary case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from swarm.graph.identity import digest, normal_form
from swarm.orders import Order

NAME_CHARS = 200
OBJECTIVE_CHARS = 20_000
"""Of the objective: what is longer is material, and belongs into a source or the result of another slice."""
TEXT_CHARS = 5_000
"""Of `done_when` and of `boundaries`."""
_QUOTED_CHARS = 60  # of a name that does not exist, or is too long, are told in a reason
_TOLD = 12  # members of a circle are named in a reason

# control characters, separators of lines, directions that make a line show otherwise than it is, lone surrogates
_HIDDEN = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNFIT = re.compile(f"[{_HIDDEN}]")
_UNFIT_IN_A_LINE = re.compile(f"[{_HIDDEN}\t\n\r]")

State = Callable[[str], str | None]
Same = Callable[[str], str | None]
_ENDED = {"failed": "failed", "dropped": "was dropped"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """One order that is not let in. `name` and `reason` are fit to be shown on one line."""

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Admitted:
    """What became of a proposal: each of its orders is in one of the two. Those that are let in stand in a
    sequence in which needs come first; what they need is called by the name that it has in the run."""

    orders: tuple[Order, ...]
    refused: tuple[Refusal, ...]


def content_of(order: Order) -> str:
    """What an order asks, whatever it is called and however it is spaced: two with the same content are one."""
    return digest(
        "content",
        normal_form(order.objective),
        order.kind,
        order.role,
        sorted(set(order.needs)),
        sorted(set(order.sources)),
        normal_form(order.done_when),
    )


def admit(
    proposed: Iterable[Order],
    *,
    state: State,
    same: Same,
    sources: Callable[[str], bool],
    room: int,
    may_nest: bool,
) -> Admitted:
    """Sort a proposal into what is let in and what is refused.

    `state` tells how an order of that name stands in the run: `live`, `done`, `failed`, `dropped`, or None where
    there is none. `same` names an order of the run with that content, `sources` tells whether the task has a
    source of that path. At most `room` are let in, and orders of the kind `plan` only where `may_nest`. The
    sequence is that of the proposal, but that each order comes after what it needs.
    """
    everything = list(proposed)
    first: dict[str, int] = {}
    for at, order in enumerate(everything):
        first.setdefault(order.name, at)
    desk = _Desk(everything, first, state, same, sources, room, may_nest)
    for circle in _knots(everything, first):
        desk.consider(circle)
    for at, order in enumerate(everything):
        if first[order.name] != at:
            desk.again(at)
    return Admitted(
        orders=tuple(desk.orders),
        refused=tuple(
            Refusal(name=_fit(order.name), reason=desk.reasons[at])
            for at, order in enumerate(everything)
            if at in desk.reasons
        ),
    )


class _Desk:
    """Where a proposal is worked through, needs first. `stands_for` leads from the name of an order that asks the
    same as another to that one's."""

    def __init__(
        self,
        proposed: Sequence[Order],
        first: Mapping[str, int],
        state: State,
        same: Same,
        sources: Callable[[str], bool],
        room: int,
        may_nest: bool,
    ) -> None:
        self._proposed, self._first, self._room, self._may_nest = proposed, first, room, may_nest
        self._state, self._same, self._sources = state, same, sources
        self._by_content: dict[str, str] = {}
        self._stands_for: dict[str, str] = {}
        self._counted = 0
        self.orders: list[Order] = []
        self.reasons: dict[int, str] = {}

    def consider(self, knot: Sequence[int]) -> None:
        """One order, or several that need one another."""
        names = [self._proposed[at].name for at in knot]
        if len(knot) > 1 or names[0] in self._proposed[knot[0]].needs:
            self.reasons |= dict.fromkeys(knot, _circle(knot, self._proposed, self._first))
            return
        order = self._proposed[knot[0]]
        reason = self._unfit(order) or self._lacking(order)
        if reason is None:
            needs = tuple(dict.fromkeys(self._stands_for.get(need, need) for need in order.needs))
            order = order if needs == order.needs else replace(order, needs=needs)
            content = content_of(order)
            reason = self._known(order, content) or self._beyond()
            if reason is None:
                self._by_content[content] = order.name
                self.orders.append(order)
                return
        self.reasons[knot[0]] = reason

    def again(self, at: int) -> None:
        """An order whose name stands in the proposal before: the name means that one."""
        order, before = self._proposed[at], self._proposed[self._first[self._proposed[at].name]]
        alike = content_of(order) == content_of(before)
        self.reasons[at] = f"asks the same as {_said(order.name)}" if alike else _taken(order.name)

    def _unfit(self, order: Order) -> str | None:
        if (reason := _unfit_text(order)) is not None:
            return reason
        if order.kind not in ("work", "plan"):
            return f"is of the kind {_said(str(order.kind))}: there are work and plan"
        if order.kind == "plan" and not self._may_nest:
            return "is of the kind plan, and no more planners may stand above one another"
        for path in order.sources:
            if not self._sources(path):
                return f"names the source {_said(path)}, which the task does not have"
        return None

    def _lacking(self, order: Order) -> str | None:
        """Why something that it needs will never come, or None. What it needs was considered before it."""
        for need in order.needs:
            at = self._first.get(need)
            if at is not None and at not in self.reasons:
                continue  # let in just now
            if at is not None and need not in self._stands_for:
                return f"needs {_said(need)}, which is refused"
            name = self._stands_for.get(need, need)
            state = self._state(name)
            if at is None and state is None:
                return f"needs {_said(name)}, which is in no plan"
            if state in _ENDED:
                return f"needs {_said(name)}, which {_ENDED[state]}"
        return None

    def _known(self, order: Order, content: str) -> str | None:
        """Why it is in the run or let in already, or None. Who needs it is to need what it asks the same as."""
        name = self._same(content) or self._by_content.get(content)
        if name is not None:
            self._stands_for[order.name] = name
            ended = _ENDED.get(self._state(name) or "")
            return f"asks the same as {_said(name)}{f', which {ended}' if ended else ''}"
        return _taken(order.name) if self._state(order.name) is not None else None

    def _beyond(self) -> str | None:
        self._counted += 1
        if self._counted <= self._room:
            return None
        return f"one planning may add {max(self._room, 0):,} slices and this is number {self._counted:,}"


def _knots(proposed: Sequence[Order], first: Mapping[str, int]) -> Iterator[list[int]]:
    """The orders as sets that need one another, each after all that it needs: mostly sets of one. Tarjan's
    strongly connected components, without recursion."""
    met: dict[int, int] = {}  # when each was met; as good as never, once its set is complete
    low: dict[int, int] = {}  # the earliest that each can be led back to
    waiting: list[int] = []

    def needs(at: int) -> Iterator[int]:
        met[at] = low[at] = len(met)
        waiting.append(at)
        return (first[need] for need in proposed[at].needs if need in first)

    for root in first.values():
        walk = [] if root in met else [(root, needs(root))]
        while walk:
            at, rest = walk[-1]
            for to in rest:
                if to not in met:
                    walk.append((to, needs(to)))
                    break
                low[at] = min(low[at], met[to])
            else:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[at])
                if low[at] == met[at]:
                    yield _complete(at, waiting, met)


def _complete(at: int, waiting: list[int], met: dict[int, int]) -> list[int]:
    """The set that ends with `at`, in the order of the proposal, taken from those that wait."""
    knot: list[int] = []
    while not knot or knot[-1] != at:
        knot.append(waiting.pop())
        met[knot[-1]] = 1 << 62
    return sorted(knot)


def _circle(knot: Sequence[int], proposed: Sequence[Order], first: Mapping[str, int]) -> str:
    """The circle as one goes round it, where there is just one way; else who is part of it."""
    inside = set(knot)
    after = {at: {first[n] for n in proposed[at].needs if n in first} & inside for at in knot}
    if all(len(ways) == 1 for ways in after.values()):
        round_ = [knot[0]]
        while len(round_) <= len(knot):
            round_ += after[round_[-1]]
        return f"is part of a circle: {_listed(round_, proposed)}"
    return f"is part of circles among {_listed(knot, proposed)}"


def _listed(members: Sequence[int], proposed: Sequence[Order]) -> str:
    names = ", ".join(_fit(proposed[at].name, _QUOTED_CHARS) for at in islice(members, _TOLD))
    return names if len(members) <= _TOLD else f"{names}, … ({len(set(members)):,} in all)"


def _unfit_text(order: Order) -> str | None:
    """What is wrong with its words, or None."""
    if not order.name.strip():
        return "has no name"
    if len(order.name) > NAME_CHARS:
        return f"has a name of {len(order.name):,} characters: {NAME_CHARS} at the most"
    if _UNFIT_IN_A_LINE.search(order.name):
        return "has a name with control characters"
    if not order.objective.strip():
        return "has no objective"
    bounds = {"objective": OBJECTIVE_CHARS, "done_when": TEXT_CHARS, "boundaries": TEXT_CHARS}
    for field, most in bounds.items():
        text: str = getattr(order, field)
        if len(text) > most:
            return f"has {field} of {len(text):,} characters: {most:,} at the most"
        if _UNFIT.search(text):
            return f"has control characters in {field}"
    return None


def _taken(name: str) -> str:
    return f"the name {_said(name)} is taken by an order that asks something else"


def _said(name: str) -> str:
    return f'"{_fit(name, _QUOTED_CHARS)}"'


def _fit(name: str, most: int = NAME_CHARS) -> str:
    """A name as it may be told on one line, whatever it holds."""
    plain = _UNFIT_IN_A_LINE.sub("\ufffd", name[: most + 1])
    return plain if len(plain) <= most else plain[: most - 1] + "…"
