"""What the ranking asks of a memory, looked up in its tables, each in a bounded time.

No word of a question reaches the index's query language: words come in quotes, and hold letters and digits alone.
This module knows rows, and not what makes a stretch bear on a question.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from swarm.memory.asked import ask
from swarm.memory.log import Log
from swarm.memory.recall import Line
from swarm.store.library import APART

_LINES = """
SELECT passages.id, role, name, moment, passages.tokens, coalesce((
    SELECT instr(blocks.text, '?') FROM blocks WHERE blocks.source = passages.source
    AND blocks.start <= passages.start ORDER BY blocks.start DESC LIMIT 1), 0)
FROM json_each(?) JOIN passages ON passages.id = value JOIN messages ON messages.num = passages.source - ?
WHERE state = 'live'
"""


_POSTINGS = 2_000
_NEAR_BEST = 0.35  # of the best: what shares less with the question than this shares a name, and no more


def bearing(log: Log, table: str, last: int, about: str, limit: int) -> list[tuple[int, float]]:
    """The rows 1 to `last` of one of a memory's indexes that share words with a question, best first, equals from
    the latest on, with the sum of the words' inverse document frequencies. Of each word at most `_POSTINGS` rows
    are looked at: SQLite's own `bm25` counts all of them."""
    sums: dict[int, float] = defaultdict(float)
    for forms in ask(about).words.values():
        found = matching(log, table, last, forms, _POSTINGS)
        seen = last if len(found) < _POSTINGS else last - found[-1] + 1
        holding = len(found) * last / max(1, seen)
        weight = math.log(1 + (max(0.0, last - holding) + 0.5) / (holding + 0.5))
        for num in found:
            sums[num] += weight
    floor = _NEAR_BEST * max(sums.values(), default=0.0)
    best = sorted(((num, one) for num, one in sums.items() if one >= floor), key=lambda one: (-one[1], -one[0]))
    return best[:limit]


def matching(log: Log, table: str, last: int, forms: Iterable[str], most: int) -> list[int]:
    """The latest of the rows 1 to `last` that hold one of these words, the latest first; brought over as one text:
    many rows would be many calls."""
    sql = (
        f"SELECT json_group_array(rowid) FROM (SELECT rowid FROM {table} WHERE {table} MATCH ? "  # noqa: S608
        "AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?)"
    )
    query = " OR ".join(f'"{form}"' for form in forms)
    base = log.base
    found = log.database.read(sql, (query, base + 1, base + last, most))[0][0]
    return [num - base for num in json.loads(found)]


class Lookup:
    """The stretches of one memory: what `swarm.memory.recall.Held` says."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._read = log.database.read
        self._base = log.base
        self._last = log.stretches_count

    def bounds(self) -> tuple[int, int]:
        return 1, self._last

    def holding(self, words: Iterable[str], most: int) -> Sequence[int]:
        return matching(self._log, "memory_index", self._last, words, most)

    def between(self, since: str, until: str, most: int) -> Sequence[int]:
        first, last = self._told(since, after=False), self._told(f"{until}\U0010ffff", after=True)
        sql = "SELECT min(first), max(last) FROM messages WHERE num BETWEEN ? AND ? AND state = 'live'"
        last = min(last, len(self._log))
        first = max(first, last - most)
        low, high = self._read(sql, (self._base + first, self._base + last))[0] if first <= last else (None, None)
        return range(max(low, high - most + 1), high + 1) if low is not None else ()

    def lines(self, nums: Sequence[int]) -> Mapping[int, Line]:
        shift = APART + self._base
        rows = self._read(_LINES, (json.dumps([shift + num for num in nums]), APART))
        return {
            id_ - shift: Line(who=name or role, role=role, at=moment, tokens=tokens, asks=asks > 0)
            for id_, role, name, moment, tokens, asks in rows
        }

    def texts(self, nums: Sequence[int]) -> Mapping[int, str]:
        return {one.num: one.text for one in self._log.stretches(nums)}

    def _told(self, moment: str, *, after: bool) -> int:
        """The place of the first message from a moment on, or of the last before it, by bisection: messages mostly
        come in the order of time, and where they do not, others have to be found by their words."""
        low, high = 1, len(self._log) + 1
        while low < high:
            middle = (low + high) // 2
            rows = self._read("SELECT moment FROM messages WHERE num = ?", (self._base + middle,))
            if rows and rows[0][0] >= moment:
                high = middle
            else:
                low = middle + 1
        return low - 1 if after else low


__all__ = ["Lookup", "bearing", "matching"]
