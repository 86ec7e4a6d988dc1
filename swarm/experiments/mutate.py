"""A proposer without a model: it turns the constants of a Python file, and learns from what came of it.

Numbers are turned by a factor, whole ones to a neighbour, others are chosen from their list. A direction that
won is gone further, in a larger step; one that lost is tried later, in a smaller one. After a while without a
win the steps are wider and several constants are turned at once. What was tried is not tried again. The same
history and number give the same proposal. This module knows texts and what came of them; it runs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from swarm.experiments.knobs import Knob, Move, knobs, turned

_DRAWS = 80  # before the steps are made wider
_WIDER = 4
_STEP, _SMALLEST, _LARGEST = 1.0, 0.12, 3.0  # in powers of two
_WIN, _LOSS, _BROKEN = 3.0, 0.4, 0.25  # what becomes of the weight of a direction
_LEAST, _MOST = 0.05, 9.0
_FROM_ZERO = (0.003, 0.03, 0.3, 0.9)  # of what it may be


class Outcome(NamedTuple):
    """What came of some moves together: kept, or not, or it did not even run."""

    moves: tuple[Move, ...]
    kept: bool
    ran: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    text: str
    moves: tuple[Move, ...]


def propose(
    text: str, history: Iterable[Outcome], *, number: int, plateau: int = 0, tried: Callable[[str], bool]
) -> Proposal | None:
    """A change of the constants of `text` that was not tried; None where there is none.

    `number` is that of the experiment and seeds the choice; `plateau` tells how long nothing was kept, in
    patiences.
    """
    found = knobs(text)
    if not found:
        return None
    learnt = _Learnt()
    for outcome in history:
        learnt.take(outcome)
    chance = Random(number)  # noqa: S311 - a choice that is the same again, and no secret
    for wider in range(_WIDER):
        level = plateau + wider
        for _ in range(_DRAWS):
            moves = _draw(found, learnt, level, chance)
            changed = turned(text, {move.name: move.new for move in moves})
            if moves and changed != text and not tried(changed):
                return Proposal(text=changed, moves=moves)
    return None


Way = tuple[str, str]
"""A direction: a knob by name, and up, down, or what it is set to."""


@dataclass(kw_only=True)
class _Learnt:
    """What the outcomes say of the directions: how readily each is taken, and how far."""

    weights: dict[Way, float] = field(default_factory=dict)
    steps: dict[Way, float] = field(default_factory=dict)

    def take(self, outcome: Outcome) -> None:
        if outcome.kept:  # somewhere else now: what lost there may win here
            self.weights = {way: one if one > 1 else math.sqrt(one) for way, one in self.weights.items()}
            self.steps = {way: max(step, _STEP / 2) for way, step in self.steps.items()}
        factor = _WIN if outcome.kept else _LOSS if outcome.ran else _BROKEN
        factor **= 1 / max(1, len(outcome.moves))  # several share what came of them
        for move in outcome.moves:
            way = _way_of(move)
            self.weights[way] = min(_MOST, max(_LEAST, self.weight(way) * factor))
            step = self.step(way) * (1.5 if outcome.kept else 0.6)
            self.steps[way] = min(_LARGEST, max(_SMALLEST, step))
            if outcome.kept and way[1] in _BACK:
                back = move.name, _BACK[way[1]]
                self.weights[back] = max(_LEAST, self.weight(back) * _LOSS)

    def weight(self, way: Way) -> float:
        return self.weights.get(way, 1.0)

    def step(self, way: Way) -> float:
        return self.steps.get(way, _STEP)


_BACK = {"up": "down", "down": "up"}


def _way_of(move: Move) -> Way:
    try:
        old, new = (float(value.replace("_", "")) for value in (move.old, move.new))
    except ValueError:
        return move.name, move.new
    return move.name, "up" if new > old else "down"


def _draw(found: Sequence[Knob], learnt: _Learnt, level: int, chance: Random) -> tuple[Move, ...]:
    """One knob turned, and more of them on a plateau."""
    many = 1
    while many < min(1 + level, len(found), 4) and chance.random() < 0.5:
        many += 1
    moves: dict[str, Move] = {}
    for _ in range(many):
        ways = [(knob, way) for knob in found if knob.name not in moves for way in _ways(knob)]
        if not ways:
            break
        weights = [learnt.weight(way) ** (1 / (1 + level)) for _, way in ways]
        knob, way = chance.choices(ways, weights)[0]
        new = _turned(knob, way[1], max(learnt.step(way), level * _STEP / 2), chance)
        if new != knob.source:
            moves[knob.name] = Move(name=knob.name, old=knob.source, new=new)
    return tuple(moves[name] for name in sorted(moves))


def _ways(knob: Knob) -> list[Way]:
    if knob.kind == "choice":
        return [(knob.name, choice) for choice in knob.choices if choice != knob.source]
    return [(knob.name, "up"), (knob.name, "down")]


def _turned(knob: Knob, way: str, step: float, chance: Random) -> str:
    """What a knob is turned to, as it is written; as it was where it can go no further."""
    if knob.kind == "choice":
        return way
    by = step * chance.uniform(0.8, 1.2) * (1 if way == "up" else -1)
    return _whole(knob, by) if knob.kind == "int" else _real(knob, by, chance)


def _whole(knob: Knob, by: float) -> str:
    """At least a neighbour; powers of two stay such in large steps; the sign stays."""
    value = int(knob.value)
    size = abs(value)
    if size >= 8 and size & (size - 1) == 0 and abs(by) >= 0.75:
        new = size * 2 ** max(1, round(by)) if by > 0 else size // 2 ** max(1, round(-by))
    else:
        new = round(size * 2.0**by)
        if new == size:
            new += 1 if by > 0 else -1
    least = 1 if size else 0
    new = int(knob.within(math.copysign(max(least, new), value)))
    return f"{new:_}" if "_" in knob.source else str(new)


def _real(knob: Knob, by: float, chance: Random) -> str:
    """By a factor. Between one half and one, where it can be no more, what is missing to one is halved or doubled:
    from 0.9 to 0.95. From nothing it goes to something small."""
    value = knob.value
    if value == 0:
        if by < 0 and (knob.low is None or knob.low >= 0):
            return knob.source
        new = math.copysign((knob.high or 1.0) * chance.choice(_FROM_ZERO), by)
    elif knob.high is not None and knob.high <= 1 and 0.5 <= value < 1:
        odds = value / (1 - value) * 2.0**by
        new = odds / (1 + odds)
    else:
        new = value * 2.0**by
    if value and knob.low == 0 and abs(new) < 1e-3 * (knob.high or 1.0):
        new = 0.0  # nearly nothing, where nothing is allowed
    new = knob.within(float(f"{new:.3g}"))
    return repr(new)


__all__ = ["Outcome", "Proposal", "propose"]
