"""The rates of a lane over all machines, and its calls in flight: what each holder may use now.

Of each kind (calls, tokens) there is one token bucket and one sliding window for all, as in `swarm.limits.meter`.
What a holder draws it has to use at once; it counts from then on, a minute and a little. Who waits is served in
the order of what each was given, in parts of a minute (fair queueing): what those need who come first is left to
them. Places are divided evenly among those who want them (max-min), and one that is another's now is given to it
once it was given back. All of this is decided here, in plain functions; `swarm.limits.tap` asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

from swarm.limits.meter import PERIOD_SECONDS, SLACK_SECONDS
from swarm.limits.present import beat, leave, tick
from swarm.store.shares import Facts, State, Step

Amounts = Mapping[str, int]
"""By what they count, as in `KINDS`."""

KINDS = ("requests", "input_tokens", "output_tokens", "tokens")
_BURST = 0.25  # of a minute's that may leave at once
_LIFE_SECONDS = 0.5  # of what was drawn, and two ticks more
_LAG = 0.05  # of a minute's, that one who was served less than another may make up for: not for being idle
_LEAD = 0.02  # by which one may have more ahead than another has that waits
_LONGEST_SECONDS = 1.0  # between two looks of one that waits
_TURN_SECONDS = 5.0  # for which one of more holders than places has a place
_HUNGRY_SECONDS = 1.0  # after which somebody who does not ask again is not waited for, and some ticks more


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """What a holder asks, numbered, so that asking again changes nothing. Of places it keeps `taken`, would like
    `wanted` in all, and says that there are `ceiling`. `limits` are the user's and `told` is what its provider
    said since it asked last. It has to have `need`, all of it or nothing, to let the next call leave, and would
    like `want`. `back` corrects what was drawn before, by its stamp: less than nothing was not used. `unused` is
    what its calls in flight might still use beyond that. `pause` asks for so many seconds of silence, and `down`
    says that its provider just went down. Of late, an exchange `took` so many seconds."""

    holder: str
    number: int
    ceiling: int
    taken: int
    wanted: int
    limits: Amounts
    told: Amounts
    need: Amounts
    want: Amounts
    back: Sequence[tuple[int, Amounts]] = ()
    unused: Amounts
    pause: float = 0.0
    down: bool = False
    took: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What it gets: `places`, of which it is to give back what is above `target`; the `limits` that hold for all;
    `drawn`, under a `stamp`, to be used within `life` seconds of asking. `used` was used by all in the last
    minute, and `unused` might still be by the others. `down_for` are the seconds since somebody's provider went
    down, None where none did. In `seconds` it makes sense to ask again."""

    places: int
    target: int
    limits: Amounts
    told: Amounts
    drawn: Amounts
    stamp: int
    life: float
    used: Amounts
    unused: Amounts
    pause: float
    down_for: float | None
    seconds: float


def draw(asked: Ask) -> Step[Answer]:
    """A step of a lane's state, which is named `lane:NAME`."""

    def step(state: State, facts: Facts) -> tuple[State, Answer]:
        since = facts.now - state.get("at", facts.now)
        for name in beat(state, asked.holder, facts):
            state.get("holders", {}).pop(name, None)
        mine, again = _enter(state, asked, facts.now)
        _hear(state, asked, facts.now)
        limits = _limits(state)
        _pass_time(state, limits, facts.now, since)
        drawn: dict[str, int] = {}
        life = _LIFE_SECONDS + 2 * (tick(state) + asked.took)
        stamp = floor(facts.now + life) + 1
        if not again:
            _take_back(state, mine, asked, limits)
            drawn = _serve(state, asked, limits, facts.now)
            _count(state, mine, drawn, limits, stamp)
        target = _divide_places(state, asked, facts.now)
        answer = Answer(
            places=mine["held"],
            target=target,
            limits=limits,
            told=dict(state["told"]),
            drawn=drawn,
            stamp=stamp,
            life=life,
            used={kind: _used(state, kind) for kind in KINDS},
            unused=_unused(state, asked.holder),
            pause=max(0.0, state.get("pause", 0.0) - facts.now),
            down_for=facts.now - state["down"] if "down" in state else None,
            seconds=tick(state) if drawn else max(tick(state), _wait(state, mine["need"], limits, facts.now)),
        )
        if not (asked.taken or asked.wanted or asked.need or asked.want):
            del state["holders"][asked.holder]
            leave(state, asked.holder)
        return state, answer

    return step


def _enter(state: State, asked: Ask, now: float) -> tuple[dict[str, Any], bool]:
    """The holder's part of the state, and whether this was asked already."""
    holders: dict[str, dict[str, Any]] = state.setdefault("holders", {})
    state.setdefault("told", {})
    mine = holders.get(asked.holder)
    if mine is None:
        least = min((one["turns"] for one in holders.values()), default=0.0)
        mine = {"held": 0, "at": now, "number": 0, "asked": 0.0, "need": {}, "served": 0.0, "turns": least}
        holders[asked.holder] = mine
    again = mine["number"] == asked.number
    mine.update(
        number=asked.number,
        ceiling=asked.ceiling,
        wanted=asked.wanted,
        limits=asked.limits,
        unused=asked.unused,
    )
    return mine, again


def _hear(state: State, asked: Ask, now: float) -> None:
    state["told"].update(asked.told)
    if asked.pause > 0:
        state["pause"] = max(state.get("pause", 0.0), now + asked.pause)
    if asked.down:
        state["down"] = now


def _limits(state: State) -> dict[str, int]:
    """The lowest of what all users say, and what the provider does."""
    limits: dict[str, int] = dict(state["told"])
    for one in state["holders"].values():
        for kind, limit in one["limits"].items():
            limits[kind] = min(limit, limits.get(kind, limit))
    return limits


def _pass_time(state: State, limits: Amounts, now: float, since: float) -> None:
    """Fill the buckets, and forget what is past the window."""
    windows: dict[str, list[list[int]]] = state.setdefault("windows", {})
    sums: dict[str, int] = state.setdefault("sums", {})
    past = now - PERIOD_SECONDS - SLACK_SECONDS
    for kind, window in windows.items():
        sums[kind] -= sum(amount for stamp, amount in window if stamp <= past)
        windows[kind] = [entry for entry in window if entry[0] > past]
    levels: dict[str, float] = state.setdefault("levels", {})
    for kind in KINDS:
        if (limit := limits.get(kind)) is None:
            levels.pop(kind, None)
            continue
        level = levels.get(kind)
        level = limit - _used(state, kind) if level is None else level + since * limit / PERIOD_SECONDS
        levels[kind] = min(_burst(limit), level)


def _take_back(state: State, mine: dict[str, Any], asked: Ask, limits: Amounts) -> None:
    for stamp, amounts in asked.back:
        for kind, amount in amounts.items():
            amount = _correct(state, kind, stamp, amount)
            if kind in state["levels"]:
                state["levels"][kind] = min(_burst(limits[kind]), state["levels"][kind] - amount)
        mine["served"] += _part(amounts, limits)


def _correct(state: State, kind: str, stamp: int, amount: int) -> int:
    """Change what was drawn under a stamp. By how much it was: what is past the window stays as it is."""
    window: list[list[int]] = state["windows"].setdefault(kind, [])
    entry = next((entry for entry in reversed(window) if entry[0] == stamp), None)
    if entry is None:
        window.append(entry := [stamp, 0])
    amount = max(amount, -entry[1])
    entry[1] += amount
    state["sums"][kind] = _used(state, kind) + amount
    return amount


def _serve(state: State, asked: Ask, limits: Amounts, now: float) -> dict[str, int]:
    """What the holder draws: what it needs, if that is there beside the needs of those who come first, and a fair
    part of what is left."""
    mine = state["holders"][asked.holder]
    patience = _HUNGRY_SECONDS + 3 * tick(state)
    rivals = {
        name: one
        for name, one in state["holders"].items()
        if name != asked.holder and now - one["asked"] < patience
    }
    idle = now - mine["asked"] > patience
    most = max((one["served"] for one in rivals.values()), default=0.0)
    mine["served"] = max(mine["served"], most - (0.0 if idle else _LAG))
    if asked.need or asked.want:
        mine["asked"] = now
    place = (mine["served"], asked.holder)
    first = [one for name, one in rivals.items() if (one["served"], name) < place]
    need = {kind: amount for kind, amount in asked.need.items() if kind in limits}
    if not all(_there(state, kind, amount, _sum_of(first, kind), limits[kind]) for kind, amount in need.items()):
        mine["need"] = need
        return {}
    more = {
        kind: amount - need.get(kind, 0)
        for kind, amount in asked.want.items()
        if kind in limits and amount > need.get(kind, 0)
    }
    share = 1.0
    for kind, amount in more.items():
        left = _room(state, kind, limits[kind]) - need.get(kind, 0) - _sum_of(rivals.values(), kind)
        share = min(share, max(0.0, left) / (len(rivals) + 1) / amount)
    if more and (waiting := [one["served"] for one in rivals.values() if one["need"]]):
        ahead = mine["served"] + _part(need, limits) - min(waiting)
        share = min(share, max(0.0, _LEAD - ahead) / _part(more, limits))
    drawn = {kind: need.get(kind, 0) + int(more.get(kind, 0) * share) for kind in {**need, **more}}
    # who got less than it wants asks again soon: the next call of it is not forgotten meanwhile
    mine["need"] = need if any(drawn[kind] < need.get(kind, 0) + amount for kind, amount in more.items()) else {}
    return {kind: amount for kind, amount in drawn.items() if amount}


def _there(state: State, kind: str, need: int, first: int, limit: int) -> bool:
    """Whether so much may be drawn now. More than the bucket ever holds leaves when nothing is owed."""
    if need + first <= _room(state, kind, limit):
        return True
    burst = _burst(limit)
    full = state["levels"][kind] >= burst - 1e-6
    return need > burst and full and not first and need <= limit - _used(state, kind)


def _wait(state: State, need: Amounts, limits: Amounts, now: float) -> float:
    """Seconds in which so much cannot be there, at the most one."""
    wait = 0.0
    for kind, amount in need.items():
        limit = limits[kind]
        wait = max(wait, (min(amount, _burst(limit)) - state["levels"][kind]) * PERIOD_SECONDS / limit)
        over = _used(state, kind) + amount - limit
        for stamp, used in state["windows"].get(kind, ()):
            if over <= 0:
                break
            over -= used
            wait = max(wait, stamp + PERIOD_SECONDS + SLACK_SECONDS - now)
    return min(wait, _LONGEST_SECONDS)


def _count(state: State, mine: dict[str, Any], drawn: Amounts, limits: Amounts, stamp: int) -> None:
    for kind, amount in drawn.items():
        _correct(state, kind, stamp, amount)
        state["levels"][kind] -= amount
    mine["served"] += _part(drawn, limits)


def _divide_places(state: State, asked: Ask, now: float) -> int:
    """Set what the holder has of the places. What it is to have."""
    holders = state["holders"]
    mine = holders[asked.holder]
    ceiling = max(one["ceiling"] for one in holders.values())
    mine["turns"] += (now - mine["at"]) * mine["held"] * len(holders) / ceiling
    mine["at"] = now
    targets = _fair(ceiling, {name: one["wanted"] for name, one in _in_turn(holders)})
    others = sum(one["held"] for name, one in holders.items() if name != asked.holder)
    mine["held"] = max(asked.taken, min(targets[asked.holder], ceiling - others))
    return targets[asked.holder]


def _in_turn(holders: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(holders.items(), key=lambda item: (item[1]["turns"] // _TURN_SECONDS, item[0]))


def _fair(places: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Max-min: nobody gets more than it wants, and less than another only who wants no more. What cannot be
    divided goes to the first."""
    given: dict[str, int] = {}
    left = places
    for done, name in enumerate(sorted(wanted, key=wanted.__getitem__)):
        level = left // (len(wanted) - done)
        if wanted[name] > level:
            given |= {other: level for other in wanted if other not in given}
            left = places - sum(given.values())
            break
        given[name] = wanted[name]
        left -= wanted[name]
    for name in wanted:
        if left and given[name] < wanted[name]:
            given[name] += 1
            left -= 1
    return given


def _part(amounts: Amounts, limits: Amounts) -> float:
    """Of a minute, by the kind of which there is least."""
    parts = [amount / limits[kind] for kind, amount in amounts.items() if kind in limits]
    return max(parts, key=abs, default=0.0)


def _room(state: State, kind: str, limit: int) -> float:
    return min(float(state["levels"][kind]), float(limit - _used(state, kind)))


def _used(state: State, kind: str) -> int:
    used: int = state["sums"].get(kind, 0)
    return used


def _unused(state: State, but: str) -> dict[str, int]:
    others = [one["unused"] for name, one in state["holders"].items() if name != but]
    return {kind: sum(one.get(kind, 0) for one in others) for kind in KINDS}


def _sum_of(holders: Any, kind: str) -> int:
    return sum(one["need"].get(kind, 0) for one in holders)


def _burst(limit: int) -> float:
    return max(1.0, limit * _BURST)
