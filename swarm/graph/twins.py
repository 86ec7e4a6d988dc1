"""Who stands for whom: of findings that say the same, the first in the order of the hashes of their ids.

The choice is that of `swarm/graph/alike.py`, kept as findings come and go: one that stands for others is in the
tree, the others point to it. This module moves rows and knows no claims.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable
from functools import lru_cache

from swarm.graph import alike, tree
from swarm.graph.rows import EDGES, LIVE, SAME, Row, Rows

_SUPPORTS = EDGES["supports"]


def settle(rows: Rows, queue: list[tuple[int, int]], arrived: int | None = None) -> None:
    """Decide for the findings in the queue (rank, number), in the order of their ranks, who stands for them.
    `arrived` is new."""
    tree.plant(rows)
    rows.flush()
    heapq.heapify(queue)
    while queue:
        rank, num = heapq.heappop(queue)
        row = rows.node(num)
        if row.state == LIVE:
            for other in _decide(rows, row, rank, new=num == arrived):
                heapq.heappush(queue, (tree.rank(rows.node(other).id), other))
        if num == arrived:
            arrived = None


def _decide(rows: Rows, row: Row, rank: int, *, new: bool) -> list[int]:
    """Who stands for one finding; the later ones for which this may change it."""
    mine = facts_of(row)
    before = rows.targets(row.num, _SUPPORTS)
    earlier = (other for other in _alike(rows, row, rank, mine) if not rows.targets(other, _SUPPORTS))
    leader = next(earlier, None)
    if leader is not None and before == [leader]:
        return []
    stood = not before and not new
    rows.unlink(row.num, _SUPPORTS)
    rows.folded += (leader is not None) - bool(before)
    if leader is None:
        if stood:
            return []
        assert row.place is not None
        tree.add(rows, row.num, row.place, rank, tree.mass(row.text))
        return list(_alike(rows, row, rank, mine, later=True))
    rows.link(row.num, _SUPPORTS, [leader])
    if not stood:
        return []
    if row.place is not None:
        tree.take(rows, row.place, rank, spoil=False)
    return rows.sources(row.num, _SUPPORTS)


def _alike(rows: Rows, row: Row, rank: int, mine: alike.Facts, *, later: bool = False) -> Iterable[int]:
    """Findings that say the same and come before this one in the order of hashes (or `later`), in that order."""
    sign = ">" if later else "<"
    found: dict[int, int] = {}
    for key in alike.keys(mine, rows.graph):
        sql = f"SELECT rank, num FROM alike WHERE band = ? AND rank {sign} ? ORDER BY rank"  # noqa: S608
        found.update((num, other) for other, num in rows.execute(sql, (key, rank)))
    judged = set()
    for num in (*rows.targets(row.num, SAME), *rows.sources(row.num, SAME)):
        other = rows.node(num)
        other_rank = tree.rank(other.id)
        if other.state == LIVE and (other_rank > rank if later else other_rank < rank):
            found[num] = other_rank
            judged.add(num)
    for num in sorted(found, key=lambda num: (found[num], num)):
        if num in judged or alike.say_the_same(mine, facts_of(rows.node(num))):
            yield num


def facts_of(row: Row) -> alike.Facts:
    return _facts(row.text, row.more)


@lru_cache(maxsize=8_192)
def _facts(text: str, more: str | None) -> alike.Facts:
    fields = json.loads(more) if more else [None] * 5
    return alike.facts_of(text, *fields)
