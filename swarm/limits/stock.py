"""The stock of a run over all machines: dollars, tokens and calls, of which each holder has a purse.

A purse bounds what its holder may yet add to the journal: what is reserved, what is settled and not yet recorded,
and what it has to spare. What is recorded is in the journal, whose sums the server keeps (`Paid`); a holder leaves
it out of what it keeps, but only once it is durable. So the limit holds as long as what is paid and all purses
together do not pass it, whoever dies and whenever. The purse of one that is gone bounds what may still come of its
calls, and is no larger than what all open calls of the run may come to. All of this is decided here, in plain
functions; `swarm.limits.purse` asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swarm.limits.present import beat, leave, tick
from swarm.limits.sums import NOTHING, Room, Sum
from swarm.store.shares import Facts, Paid, State, Step

ROUNDING = Sum(0, 0, 1_000)
"""By which the sums of two machines may differ: a billionth of a dollar."""
_SHORT_SECONDS = 2.0  # for which the others give back what they can spare
_LOOK_SECONDS = 1.0  # between two looks at all open calls of a run


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw:
    """What a holder asks: to `keep` so much of its purse, to have `need` on top, all of it or nothing, and up to
    `want`, which the need is part of. `most` is the limit, without what is held back for the end. `had` says that
    it takes itself to have a purse, and `doubt` that it wants to know what open calls may come to."""

    holder: str
    keep: Sum
    need: Sum
    want: Sum
    most: Room
    had: bool
    doubt: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What the purse holds now, what the run has paid, and what is `free` of the limit beside all purses. `short`
    says that somebody's need is not met, `lost` that the purse was taken for a dead one's meanwhile. `doubt` is
    the most that all open calls come to; in `seconds` it makes sense to ask again."""

    held: Sum
    paid: Paid
    free: Room
    short: bool
    lost: bool
    doubt: Sum | None
    seconds: float


def draw(run: str, asked: Draw) -> Step[Drawn]:
    """A step of the run's state, which is named `stock:RUN`."""

    def step(state: State, facts: Facts) -> tuple[State, Drawn]:
        purses: dict[str, Any] = state.setdefault("purses", {})
        for name in beat(state, asked.holder, facts) & purses.keys():
            purses[name]["gone"] = True
        mine = purses.pop(asked.holder, None)
        paid = facts.paid(run)
        left = asked.most.less(_sum(paid)).less(asked.keep)
        free = left.less(_all(purses))
        doubt = _sum(facts.in_doubt(run)) if asked.doubt else None
        if not _fits(asked.need, free) and _looks(state, facts):
            doubt = _recount(purses, _sum(facts.in_doubt(run)))
            free = left.less(_all(purses))
        granted = _granted(state, facts, asked, free)
        held = asked.keep.plus(granted)
        drawn = Drawn(
            held=held,
            paid=paid,
            free=free.less(granted),
            short=facts.now < state.get("short", 0.0),
            lost=asked.had and (mine is None or "gone" in mine),
            doubt=doubt,
            seconds=tick(state),
        )
        if held != NOTHING:
            purses[asked.holder] = {"held": held}
        elif asked.need == NOTHING:
            leave(state, asked.holder)
        return (state if state["beats"] or purses else {}), drawn

    return step


def _granted(state: State, facts: Facts, asked: Draw, free: Room) -> Sum:
    if not _fits(asked.need, free):
        state["short"] = facts.now + _SHORT_SECONDS
        return NOTHING
    more = asked.want.less(asked.need)
    if facts.now < state.get("short", 0.0):
        return asked.need
    fair = 2 * len(state["beats"])
    left = free.less(asked.need)
    parts = (
        want if room is None else max(0, min(want, room // fair)) for want, room in zip(more, left, strict=True)
    )
    return asked.need.plus(Sum(*parts))


def _looks(state: State, facts: Facts) -> bool:
    """Whether open calls are to be looked at: somebody is gone, and it was not done just now."""
    if not any("gone" in purse for purse in state["purses"].values()):
        return False
    if facts.now - state.get("looked", 0.0) < _LOOK_SECONDS:
        return False
    state["looked"] = facts.now
    return True


def _recount(purses: dict[str, Any], open_: Sum) -> Sum:
    """Make the purses of those that are gone no larger than what may still come of their calls."""
    for name in [name for name, purse in purses.items() if "gone" in purse]:
        held = Sum(*map(min, purses[name]["held"], open_))
        if held == NOTHING:
            del purses[name]
        else:
            purses[name]["held"] = held
    return open_


def _fits(wanted: Sum, room: Room) -> bool:
    return all(left is None or want <= max(0, left) for want, left in zip(wanted, room, strict=True))


def _all(purses: dict[str, Any]) -> Sum:
    held = NOTHING
    for purse in purses.values():
        held = held.plus(Sum(*purse["held"]))
    return held


def _sum(paid: Paid) -> Sum:
    return Sum(paid.calls, paid.input_tokens + paid.output_tokens, paid.units)
