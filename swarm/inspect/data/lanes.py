"""Who worked when, in lanes: bars that never overlap in one, so that an idle place is a gap that is seen.

A slice is a bar from its first call to when it was settled, in the first lane that is free then; what the
coordinator asks for itself is in lanes behind those. A planner's slice is no bar: it waits for its branch, and
what it asks is the coordinator's. Where machines worked, each has lanes of its own, and a slice that went on
elsewhere has a bar on each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

import numpy as np
from numpy.typing import NDArray

from swarm.inspect.calls import UNDER_WAY
from swarm.inspect.data.columns import columns
from swarm.inspect.data.ground import Numbers
from swarm.inspect.data.rows import STATES as CALL_STATES
from swarm.inspect.look import Look
from swarm.inspect.plan import STATES, Seen

Times = NDArray[np.float64]
BAR_STATES = (*STATES, "refused", "moved")
"""What a bar can be told to have come to."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Bars by when they began. Of the lanes the first `places` are of slices and the rest of the coordinator.
    `ended` is infinite where somebody is at it still; `state` is a place in `BAR_STATES`; `ids` are slices, or
    who asked. `machines` are the ids of machines with how many of the first lanes each has, in their order; what
    no machine worked comes after them."""

    places: int
    coordinator: int
    lane: Numbers
    begun: Times
    ended: Times
    state: Numbers
    ids: list[str]
    machines: list[tuple[str, int]]

    @property
    def worked(self) -> NDArray[np.bool_]:
        """Which bars are of slices."""
        return self.lane < self.places


def lanes(look: Look) -> Lanes:
    look.fresh()
    return look.kept("lanes", lambda: _lanes(look))


def _lanes(look: Look) -> Lanes:
    grouped = _slices(look)
    asked = _asked(look)
    slices: list[Bar] = []
    places: list[int] = []
    machines: list[tuple[str, int]] = []
    for machine, group in grouped.items():
        first = max(places, default=-1) + 1
        slices += group
        places += [first + lane for lane in lay([bar[:2] for bar in group])]
        machines.append((machine, max(places, default=-1) + 1 - first))
    others = lay([bar[:2] for bar in asked])
    wide = max(places, default=-1) + 1
    bars = [*slices, *asked]
    lane = np.array([*places, *(wide + one for one in others)], np.int64)
    begun = np.array([bar[0] for bar in bars], np.float64)
    order = np.argsort(begun, kind="stable")
    return Lanes(
        places=wide,
        coordinator=max(others, default=-1) + 1,
        lane=lane[order],
        begun=begun[order],
        ended=np.array([bar[1] for bar in bars], np.float64)[order],
        state=np.array([bar[2] for bar in bars], np.int64)[order],
        ids=[bars[place][3] for place in order.tolist()],
        machines=[(machine, many) for machine, many in machines if machine],
    )


Bar = tuple[float, float, int, str]


def _slices(look: Look) -> dict[str, list[Bar]]:
    """The bars of each machine, in the order in which those began; under no name, of what none worked."""
    plan = look.follower.plan
    found: dict[str, list[Bar]] = {machine: [] for machine in (*plan.machines.known, "")}
    for id_, seen in plan.slices.items():
        if seen.begun is not None and seen.calls + (seen.state == "running") > 0 and not seen.plans:
            for machine, bar in _stays(id_, seen, seen.begun):
                found[machine].append(bar)
    return {machine: sorted(bars) for machine, bars in found.items() if bars}


def _stays(id_: str, seen: Seen, begun: float) -> Iterator[tuple[str, Bar]]:
    """The bars of one slice: where it is now, or was in the end, and before that where it was lost."""
    for stay in seen.stays:
        if stay.lost and stay.until > begun:
            yield stay.machine, (begun, stay.until, BAR_STATES.index("moved"), id_)
            begun = stay.until
    ended = inf if seen.ended is None else max(begun, seen.ended)
    yield seen.machine, (begun, ended, BAR_STATES.index(seen.state), id_)


def _asked(look: Look) -> list[Bar]:
    """The calls that no slice asked for. One of which no reply ever came ends with the run."""
    known, calls, live = columns(look), look.follower.calls, look.follower.live
    number = [BAR_STATES.index(CALL_STATES[state]) for state in sorted(CALL_STATES)]
    rows = np.flatnonzero(~known.worker[known.asker]) if len(known.asker) else np.empty(0, np.int64)
    found = []
    for row in rows.tolist():
        begun = float(known.begun[row])
        ended = inf if known.state[row] == UNDER_WAY and live else max(begun, float(known.ended[row]))
        found.append((begun, ended, number[known.state[row]], calls.asked_by(row)))
    return sorted(found)


def lay(spans: Iterable[tuple[float, float]]) -> list[int]:
    """The lane of each span, of spans by when they begin: the lowest that is free, so that no more are used than
    there ever were at once."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    found: list[int] = []
    used = 0
    for begun, ended in spans:
        while busy and busy[0][0] <= begun:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane, used = used, used + 1
        heappush(busy, (ended, lane))
        found.append(lane)
    return found
