"""What is shown of a run at one moment, as plain frozen data: clean text and numbers, and no more of each than
fits on a screen. It does not know how it is drawn, nor where it comes from.

Text in here was cleaned: a terminal obeys none of it. Keys are as they are, and are not shown. Moments are in
seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RowKind = Literal["branch", "slice", "more"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The run as a whole. `why` says what stopped it; `again` is the command that goes on with it, where that can
    be done. `session` counts how often it began or went on, and `went` are the seconds of the last time; `left`
    are those still to go at the pace of the last minutes, None where there is no telling. `behind`: its records
    are still being read, so that all that is shown is older. It `works` towards a goal; others read."""

    run: str
    status: str
    why: str
    phase: str
    works: bool
    asked: str
    of: str
    model: str
    window: int | None
    host: str
    session: int
    begun: float
    went: float
    left: float | None
    records: int
    behind: bool
    again: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauge:
    """What was used of something, against its limit: None is no limit. Named as in `swarm.task.Limits`."""

    name: str
    used: float
    limit: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the plan's tree. `key` is that of a branch or the id of a slice; of a `more` row, its branch.
    `slice` is the id of a slice, also of the planner that a branch is, and empty where there is none. `counts` are
    the slices of a branch by state, `more` how many a `more` row stands for. `seconds` is how long a slice has
    taken; None: it has not begun."""

    kind: RowKind
    key: str
    depth: int
    name: str
    slice: str = ""
    state: str = ""
    is_open: bool = False
    counts: tuple[tuple[str, int], ...] = ()
    more: int = 0
    seconds: float | None = None
    cost_usd: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AtWork:
    """Who has a place. `key` is the id of a slice; empty for the coordinator, who has none of the places.
    `machine` is where it is worked, where machines do that."""

    key: str
    name: str
    doing: str
    seconds: float
    cost_usd: float
    machine: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnMachine:
    """What a machine did for the run: slices at work, done, failed, and lost to another machine. `life` is
    `alive`, `silent` or `lost`, and empty where nobody can tell."""

    name: str
    life: str
    draining: bool
    working: int
    done: int
    failed: int
    lost: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """`busy` of so many; the first of those at work, the longest at it first."""

    busy: int
    of: int
    workers: tuple[AtWork, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """How full windows were, as shares from 0 to 1: the last calls in their order, and mean and fullest of all
    `calls` of which it is known."""

    last: tuple[float, ...]
    mean: float
    fullest: float
    fullest_by: str
    calls: int
    window: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A finding, with the id of the slice that reported it."""

    text: str
    slice: str
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Disputes:
    """The first of the open contradictions, as they were at a moment. `more`: there are others."""

    pairs: tuple[tuple[str, str], ...]
    more: bool
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A slice that failed, and why."""

    key: str
    name: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """All of it. `rates` are of the last minute against the limits per minute; `failed` counts all slices that
    failed, and `findings` those that are listed last first; `disputes` is None until they were looked for.
    `machines` are the first of those that work it; none where the run's own process does."""

    now: float
    version: int
    head: Head
    gauges: tuple[Gauge, ...]
    rates: tuple[Gauge, ...]
    cached_tokens: int
    input_tokens: int
    states: tuple[tuple[str, int], ...]
    rows: tuple[Row, ...]
    places: Places
    fill: Fill
    findings: tuple[Claim, ...]
    disputes: Disputes | None
    failures: tuple[Failure, ...]
    failed: int
    instructions: tuple[str, ...]
    machines: tuple[OnMachine, ...] = ()

    @property
    def slices(self) -> int:
        """Without those whose halves took their place."""
        return sum(count for state, count in self.states if state != "split")
