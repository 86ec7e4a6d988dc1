"""How full the windows of calls were."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarm.inspect.data.columns import columns
from swarm.inspect.data.ground import Numbers
from swarm.inspect.data.rows import call_row
from swarm.inspect.look import Look

_CALLS = 3_000  # that are told one by one
_COLUMNS, _ROWS = 150, 20
_FULLEST = 20


def windows(look: Look) -> dict[str, Any]:
    """Every call with the share of its window that it was counted to fill; of many calls a grid in their place,
    by when they were begun and how full they were."""
    known = columns(look)
    rows = np.flatnonzero(~np.isnan(known.fill))
    fill, begun = known.fill[rows], known.begun[rows]
    heights = np.clip((fill * _ROWS).astype(np.int64), 0, _ROWS - 1)
    many = len(rows) > _CALLS
    fullest = rows[np.argsort(-fill, kind="stable")[:_FULLEST]]
    return {
        "total": len(rows),
        "unknown": len(known.fill) - len(rows),
        "peak": float(fill.max()) if len(rows) else None,
        "mean": float(fill.mean()) if len(rows) else None,
        "calls": [] if many else _calls(look, rows),
        "grid": _grid(begun, heights) if many else None,
        "fullest": [call_row(look, int(row)) for row in fullest],
        "histogram": np.bincount(heights, minlength=_ROWS).tolist(),
    }


def _calls(look: Look, rows: Numbers) -> list[list[Any]]:
    calls = look.follower.calls
    return [
        [
            calls.begun[row], calls.counted[row] / calls.room[row], calls.counted[row], calls.room[row],
            calls.models.texts[calls.model[row]], calls.kinds.texts[calls.kind[row]], calls.keys[row].hex(),
        ]
        for row in rows.tolist()
    ]  # fmt: skip


def _grid(begun: NDArray[np.float64], heights: Numbers) -> dict[str, Any]:
    low, high = float(begun.min()), float(begun.max())
    columns_ = np.clip(((begun - low) / max(high - low, 1e-9) * _COLUMNS).astype(np.int64), 0, _COLUMNS - 1)
    places, counts = np.unique(columns_ * _ROWS + heights, return_counts=True)
    cells = np.stack((places // _ROWS, places % _ROWS, counts), axis=1)
    return {"from": low, "to": high, "columns": _COLUMNS, "rows": _ROWS, "cells": cells.tolist()}
