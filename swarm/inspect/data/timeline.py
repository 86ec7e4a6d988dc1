"""Who worked when, between two moments: bars by lane, and how many places were busy on average."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarm.inspect.data.bounds import short
from swarm.inspect.data.columns import columns
from swarm.inspect.data.ground import Numbers
from swarm.inspect.data.lanes import BAR_STATES, Lanes, Times, lanes
from swarm.inspect.look import Look

BARS = 4_000
_BUCKETS = 400
_FAILED, _RUNNING = BAR_STATES.index("failed"), BAR_STATES.index("running")


def timeline(look: Look, from_: float | None = None, to: float | None = None) -> dict[str, Any]:
    """The bars that can be seen between two moments, in seconds since the epoch; of the whole run, where none are
    given. Where they are too many, those of a lane that lie close together are one."""
    known = lanes(look)
    begun, ended = _span(look, known)
    low = begun if from_ is None or isnan(from_) else min(max(from_, begun), ended)
    high = ended if to is None or isnan(to) else max(min(to, ended), low)
    seen = np.flatnonzero((known.begun <= high) & (known.ended >= low))
    exact = len(seen) <= BARS
    until = np.minimum(known.ended, ended)
    step = (high - low) / _BUCKETS
    at: Times = low + step * np.arange(_BUCKETS + 1, dtype=np.float64)
    heights = _worked(known, until, at)
    sessions = _sessions(look, ended)
    reading = _reading(look, begun, ended)
    return {
        "from": low,
        "to": high,
        "begun": begun,
        "ended": ended,
        "lanes": {"places": known.places, "coordinator": known.coordinator},
        "machines": [
            {"name": short(look.follower.plan.machines.name(id_), 80), "lanes": many}
            for id_, many in known.machines
        ],
        "of": look.follower.places[1],
        "exact": exact,
        "bars": _bars(look, known, until, seen) if exact else _stretches(known, until, seen, low, high),
        "busy": _busy(at, heights, step),
        "step": step,
        "idle": _idle(sessions, reading, low, high, float(heights[-1] - heights[0])),
        "reading": reading,
        "sessions": sessions,
    }


def _span(look: Look, known: Lanes) -> tuple[float, float]:
    """From the first to the last that happened; that of a run that goes on is now."""
    followed = look.follower
    ends = known.ended[np.isfinite(known.ended)]
    begun = min([followed.begun, *known.begun[:1].tolist()])
    ended = max([followed.last, *ends.tolist()[-1:], float(ends.max()) if len(ends) else 0.0])
    return begun, max(begun, look.clock() if followed.live else ended)


def _bars(look: Look, known: Lanes, until: Times, seen: Numbers) -> list[list[Any]]:
    names = look.follower.names
    bars = []
    for bar in seen.tolist():
        id_ = known.ids[bar]
        name = names.called(id_) if known.lane[bar] < known.places else None
        bars.append(
            [
                int(known.lane[bar]), float(known.begun[bar]), float(until[bar]), BAR_STATES[known.state[bar]],
                id_ if name is not None else "", short(id_ if name is None else name, 80), 1, 1.0,
            ]
        )  # fmt: skip
    return bars


def _stretches(known: Lanes, until: Times, seen: Numbers, low: float, high: float) -> list[list[Any]]:
    """Of each lane the bars that begin in the same part of the time are one, which is busy for a share of its
    length. A failure, or somebody who is at it still, is what all of it comes to."""
    many = known.places + known.coordinator
    parts = max(1, BARS // max(1, many))
    part = np.clip((known.begun[seen] - low) / max(high - low, 1e-9) * parts, 0, parts - 1).astype(np.int64)
    key = known.lane[seen] * parts + part
    order = np.argsort(key, kind="stable")
    seen, key = seen[order], key[order]
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))[:BARS]
    begun = np.minimum.reduceat(known.begun[seen], first)
    ended = np.maximum.reduceat(until[seen], first)
    busy = np.add.reduceat(until[seen] - known.begun[seen], first)
    counts = np.diff(np.append(first, len(seen)))
    state = known.state[seen[first]]
    for worst in (_RUNNING, _FAILED):
        state[np.maximum.reduceat((known.state[seen] == worst).astype(np.int8), first) > 0] = worst
    share = np.clip(busy / np.maximum(ended - begun, 1e-9), 0.0, 1.0)
    return [
        [
            int(known.lane[bar]), float(begun[n]), float(ended[n]), BAR_STATES[state[n]], "",
            f"{counts[n]:,} {'slices' if known.lane[bar] < known.places else 'calls'}", int(counts[n]),
            round(float(share[n]), 4),
        ]
        for n, bar in enumerate(seen[first].tolist())
    ]  # fmt: skip


def _worked(known: Lanes, until: Times, at: Times) -> Times:
    """Seconds that slices were worked before moments, all places together."""
    worked = known.worked
    return _before(np.sort(known.begun[worked]), at) - _before(np.sort(until[worked]), at)


def _before(moments: Times, at: Times) -> Times:
    """The sum of how long ago each of the moments was that had been by then."""
    sums = np.concatenate(([0.0], np.cumsum(moments - at[0]))) if len(moments) else np.zeros(1)
    number = np.searchsorted(moments, at, "right")
    been: Times = number * (at - at[0]) - sums[number]
    return been


def _busy(at: Times, heights: Times, step: float) -> list[list[float]]:
    if step <= 0:
        return []
    means: NDArray[np.float64] = np.diff(heights) / step
    return [
        list(pair) for pair in zip(at[:-1].tolist(), np.round(np.maximum(means, 0.0), 3).tolist(), strict=True)
    ]


def _sessions(look: Look, ended: float) -> list[list[Any]]:
    """When each session began, when the last thing happened in it, and how many places it had."""
    followed, known = look.follower, columns(look)
    ends = np.sort(known.ended)
    told: list[list[Any]] = []
    for number, session in enumerate(followed.sessions):
        if number + 1 < len(followed.sessions):
            after = followed.sessions[number + 1].at
            place = int(np.searchsorted(ends, after, "right"))
            until = max(session.at, float(ends[place - 1]) if place else session.at)
        else:
            until = max(session.at, ended)
        told.append([session.at, until, session.places or session.concurrency])
    return told


def _reading(look: Look, begun: float, ended: float) -> list[float] | None:
    """From when until when the run read in its files, before there was anything to do; None where that left
    no trace."""
    followed = look.follower
    if not followed.sessions:
        return None
    record = followed.opened.journal.record(followed.run, "corpus", "")
    if record is None and not followed.live:
        return None
    until = record.at if record is not None else ended
    first = followed.sessions[0].at
    return [max(begun, first), min(until, ended)] if until > first else None


def _idle(
    sessions: list[list[Any]], reading: list[float] | None, low: float, high: float, worked: float
) -> float | None:
    """The share of all places' time in which they had nothing to do, once the files were read in; None where it is
    not known how many places there were."""
    if not sessions or any(places is None for _, _, places in sessions):
        return None
    since = max(low, reading[1]) if reading is not None else low
    room = sum(max(0.0, min(until, high) - max(at, since)) * places for at, until, places in sessions)
    return min(1.0, max(0.0, 1.0 - worked / room)) if room > 0 else None
