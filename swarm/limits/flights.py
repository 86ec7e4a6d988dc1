"""Which calls are on their way, since when, and how long such calls usually take.

What is usual is told from the last few hundred that were answered and from those that still wait for a reply,
which have lasted at least as long as they do by now (Kaplan and Meier's estimate). Without the latter, the first
calls to come back would say that all are fast. Of waiting for a turn this module knows nothing: a call flies once
it is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from swarm.limits.lanes import Lane
from swarm.task import Usage

KEPT = 256
"""Times of answered calls, of each lane and kind of prompt."""
ENOUGH = 20
"""Calls that must have been answered before anything counts as usual."""
_SHARE = 0.95  # of the calls are over by then


@dataclass(frozen=True, slots=True)
class Flight:
    """One call on its way. `sent` is in seconds of the clock; `worst` is the most that the call can come to."""

    lane: Lane
    kind: str
    worst: Usage
    sent: float


class Flights:
    """Those of one run. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self.sent = 0
        """All so far."""
        self._flying: dict[str, Flight] = {}
        self._took: dict[tuple[str, str], deque[float]] = {}

    def get(self, key: str) -> Flight | None:
        """The call of this name, if it is on its way."""
        return self._flying.get(key)

    def leave(self, key: str, lane: Lane, kind: str, worst: Usage) -> None:
        self.sent += 1
        self._flying[key] = Flight(lane, kind, worst, self.clock())

    def end(self, key: str, *, answered: bool) -> None:
        """It is over. Only one that was answered tells how long such calls take."""
        flight = self._flying.pop(key, None)
        if flight is not None and answered:
            took = self._took.setdefault((flight.lane.name, flight.kind), deque(maxlen=KEPT))
            took.append(self.clock() - flight.sent)

    def usual(self, lane: Lane, kind: str) -> float | None:
        """Seconds by which all but a few such calls are over; None where too little is known."""
        took = self._took.get((lane.name, kind))
        if took is None or len(took) < ENOUGH:
            return None
        now = self.clock()
        flying = [
            now - flight.sent
            for flight in self._flying.values()
            if flight.lane.name == lane.name and flight.kind == kind
        ]
        return _quantile(took, flying)


def _quantile(ended: deque[float], lasting: list[float]) -> float | None:
    """The time by which that share is over, where `lasting` are not over yet; None where nobody can tell."""
    times = sorted([(time, True) for time in ended] + [(time, False) for time in lasting])
    left, at_risk = 1.0, len(times)
    for time, over in times:
        if over:
            left *= 1 - 1 / at_risk
            if left <= 1 - _SHARE + 1e-9:
                return time
        at_risk -= 1
    return None
