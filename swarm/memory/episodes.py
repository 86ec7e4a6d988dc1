"""Episodes: what stands for stretches of old messages, and the messages that it covers.

This module reads the tables; what an episode says is `dream`'s to write.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from swarm.memory import lookup
from swarm.memory.log import SHIFT, Log


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """`first` and `last` are the places of the messages that it covers; each of its `pieces` is a sentence with
    the ids of those that it rests on. `at` is when the first was said."""

    id: str
    first: int
    last: int
    text: str
    pieces: tuple[tuple[str, tuple[str, ...]], ...]
    at: str | None = None


def every(log: Log, limit: int = 1_000) -> list[Told]:
    """The episodes in the order of what they cover."""
    sql = "SELECT num, id, first, last, text, more FROM episodes WHERE num BETWEEN ? AND ? ORDER BY first LIMIT ?"
    return [_told(log, row) for row in log.database.read(sql, (log.base, log.base + (1 << SHIFT) - 1, limit))]


def bearing(log: Log, about: str, limit: int) -> list[Told]:
    """The episodes that share words with a question, best first."""
    rows = lookup.bearing(log, "episode_index", log.counted("episodes"), about, limit) if log.num else []
    return of_nums(log, [log.base + num for num, _ in rows])


def of_nums(log: Log, nums: list[int]) -> list[Told]:
    sql = "SELECT num, id, first, last, text, more FROM episodes WHERE num IN (SELECT value FROM json_each(?))"
    found = {row[0]: row for row in log.database.read(sql, (json.dumps(nums),))}
    return [_told(log, found[num]) for num in nums if num in found]


def one(log: Log, id_: str) -> Told | None:
    """The episode with this id, or with the only one that begins so."""
    sql = (
        "SELECT num, id, first, last, text, more FROM episodes WHERE num BETWEEN ? AND ? "
        "AND id >= ? AND id < ? LIMIT 2"
    )
    rows = log.database.read(sql, (log.base, log.base + (1 << SHIFT) - 1, id_, f"{id_}\U0010ffff")) if id_ else []
    return _told(log, rows[0]) if len(rows) == 1 else None


def covering(log: Log, place: int) -> list[Told]:
    """The episodes that cover the message at a place."""
    sql = (
        "SELECT num, id, first, last, text, more FROM episodes WHERE first <= ? AND last >= ? "
        "AND num BETWEEN ? AND ?"
    )
    at = log.base + place
    return [_told(log, row) for row in log.database.read(sql, (at, at, log.base, log.base + (1 << SHIFT) - 1))]


def _told(log: Log, row: tuple[Any, ...]) -> Told:
    _, id_, first, last, text, more = row
    pieces = tuple((said, tuple(ids)) for said, ids in json.loads(more))
    (line,) = log.lines([first - log.base]) or (None,)
    return Told(
        id=id_,
        first=first - log.base,
        last=last - log.base,
        text=text,
        pieces=pieces,
        at=line.at if line is not None else None,
    )
