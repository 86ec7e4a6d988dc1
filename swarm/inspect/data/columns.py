"""The columns of a run's calls as arrays, to sort and to sum; copies, since what goes on grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarm.inspect.calls import UNDER_WAY
from swarm.inspect.look import Look


@dataclass(frozen=True, slots=True)
class Columns:
    """One row a call, as in `swarm.inspect.calls.Calls`. `fill` and `room` are not a number where the window was
    not noted; `ended` is 0 while a call is under way. `asker` numbers who asked, and `worker` tells of each number
    whether it is a slice."""

    begun: NDArray[np.float64]
    ended: NDArray[np.float64]
    state: NDArray[np.int8]
    fill: NDArray[np.float64]
    tokens: NDArray[np.int64]
    cost_usd: NDArray[np.float64]
    asker: NDArray[np.int64]
    worker: NDArray[np.bool_]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each was on its way; 0 while it is."""
        return np.where(self.ended > 0, np.maximum(0.0, self.ended - self.begun), 0.0)


def columns(look: Look) -> Columns:
    """The calls that are known by now."""
    look.fresh()
    return look.kept("columns", lambda: _columns(look))


def _columns(look: Look) -> Columns:
    calls, slices = look.follower.calls, look.follower.plan.slices
    state, ended = np.array(calls.state, np.int8), np.array(calls.ended, np.float64)
    room = np.array(calls.room, np.float64)
    room[room <= 0] = np.nan
    askers = calls.askers.texts
    return Columns(
        begun=np.array(calls.begun, np.float64),
        ended=np.where(state == UNDER_WAY, 0.0, ended),
        state=state,
        fill=np.array(calls.counted, np.float64) / room,
        tokens=np.array(calls.input_tokens, np.int64) + np.array(calls.output_tokens, np.int64),
        cost_usd=np.array(calls.cost_usd, np.float64),
        asker=np.array(calls.asker, np.int64),
        worker=np.fromiter((one in slices for one in askers), np.bool_, len(askers)),
    )


def points(at: NDArray[Any], *sums: NDArray[Any], most: int) -> list[list[float]]:
    """Curves over moments in order, as at most so many points of them, the last one among these."""
    if len(at) > most:
        places = np.unique(np.linspace(0, len(at) - 1, most).round().astype(np.int64))
        at, sums = at[places], tuple(one[places] for one in sums)
    return [list(point) for point in zip(at.tolist(), *(one.tolist() for one in sums), strict=True)]
