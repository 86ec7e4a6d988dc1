"""What of the tree is to be read, and what is to be written: cuts through the tree of summaries.

A cut is a set of nodes that together stand for all findings: each finding is in it, or is below exactly one
summary that is. This module reads the tree; it writes nothing and calls no model.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swarm.graph import tree
from swarm.graph.graph import SharedGraph
from swarm.graph.rows import EDGES, Row
from swarm.graph.tree import Branch, mass

_WIDEST = 64  # branches of a level that are looked at, at the least, where no summary is in sight


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A branch whose summary is to be written, and what it is to be written from, in reading order."""

    branch: Branch
    children: tuple[Row, ...]


def cut(graph: SharedGraph, tokens: int) -> list[int]:
    """Summaries that together stand for all that was summarised, as fine as `tokens` hold, in reading order. Empty
    where nothing was.

    From the root down, a level at a time, as long as the next finer cut fits: the work grows with what is shown.
    """
    top = tree.levels(graph.database.read, graph.num)
    if not top:
        return []
    coarse = [tree.branch(graph.database.read, graph.num, top, tree.LAST)]
    best = _summarised(coarse)
    while True:
        fine, opened = _finer(graph, coarse)
        found = _summarised(fine)
        if not opened or len(fine) > max(_WIDEST, tokens // 8):
            return best
        if best and sum(mass(row.text) for row in graph.rows(found)) > tokens:
            return best
        coarse, best = fine, found or best


def _summarised(branches: list[Branch]) -> list[int]:
    return [branch.summary for branch in branches if branch.summary is not None]


def _finer(graph: SharedGraph, branches: list[Branch]) -> tuple[list[Branch], bool]:
    """The branches one level below, where all have summaries or the one above has none; whether any was opened."""
    found: list[Branch] = []
    opened = False
    for branch in branches:
        inside = tree.below(graph.database.read, graph.num, branch) if branch.level > 1 else []
        children = [child for child in inside if isinstance(child, Branch)]
        if children and (branch.summary is None or all(child.summary is not None for child in children)):
            found += children
            opened = True
        else:
            found.append(branch)
    return found, opened


def _size(graph: SharedGraph, level: int) -> int:
    """Tokens of the summaries of a level, at the least."""
    held = "SELECT 1 FROM branches WHERE graph = ? AND level = ? AND summary IS NOT NULL LIMIT 5000"
    sql = f"SELECT count(*) FROM ({held})"  # noqa: S608 - from the line above
    return 24 * int(graph.database.read(sql, (graph.num, level))[0][0])


def frontier(graph: SharedGraph, tokens: int) -> list[Row]:
    """What stands for all findings in `tokens`, as finely as they hold, in reading order: findings where they
    fit, else summaries, the largest of which are opened as far as there is room."""
    read = graph.database.read
    top = tree.levels(read, graph.num)
    rows = _leaves(graph) if 12 * graph.claims <= tokens else None
    if rows is not None and _mass(rows) <= tokens:
        return rows
    for level in range(1, top + 1):
        if _size(graph, level) > tokens:
            continue
        rows = [row for branch in tree.branches(read, graph.num, level) for row in reading(graph, branch)]
        if _mass(rows) <= tokens or level == top:
            return _opened(graph, rows, tokens)
    return rows or _leaves(graph)


def _leaves(graph: SharedGraph) -> list[Row]:
    sql = "SELECT num FROM tree WHERE graph = ? AND level = 0 ORDER BY place"
    return graph.rows(num for (num,) in graph.database.read(sql, (graph.num,)))


def _mass(rows: list[Row]) -> int:
    return sum(mass(row.text) for row in rows)


def _opened(graph: SharedGraph, rows: list[Row], tokens: int) -> list[Row]:
    """Summaries replaced by what they cover, the largest first, as long as all of it fits."""
    left = tokens - _mass(rows)
    for row in sorted(rows, key=lambda row: (-len(row.text), row.id)):
        if row.kind != "summary":
            continue
        inside = graph.rows(_children(graph, row.num))
        more = _mass(inside) - mass(row.text)
        if more <= left:
            left -= more
            at = rows.index(row)
            rows[at : at + 1] = _in_order(graph, inside)
    return rows


def _in_order(graph: SharedGraph, rows: list[Row]) -> list[Row]:
    def place(row: Row) -> bytes:
        if row.place is not None:
            return row.place
        found = graph.database.read(
            "SELECT place FROM branches WHERE summary = ? ORDER BY level LIMIT 1", (row.num,)
        )
        return bytes(found[0][0]) if found else b""

    return sorted(rows, key=lambda row: (place(row), row.id))


def _summaries_below(graph: SharedGraph, summary: int) -> set[int]:
    found: set[int] = set()
    for row in graph.rows(_children(graph, summary)):
        if row.kind == "summary":
            found |= {row.num} | _summaries_below(graph, row.num)
    return found


def _children(graph: SharedGraph, summary: int) -> list[int]:
    sql = "SELECT target FROM edges WHERE source = ? AND kind = ?"
    return [num for (num,) in graph.database.read(sql, (summary, EDGES["summarises"]))]


Stretch = tuple[bytes, bytes]
"""Behind the first place, up to the second."""


def stretches_of(graph: SharedGraph, summaries: Iterable[int]) -> list[Stretch]:
    """The stretches of reading order for which these summaries stand."""
    read = graph.database.read
    found = []
    for summary in summaries:
        for level, place in read("SELECT level, place FROM branches WHERE summary = ?", (summary,)):
            found.append((tree.begin(read, graph.num, Branch(level, place)), bytes(place)))
    return sorted(found)


def is_below(stretches: Sequence[Stretch], row: Row) -> bool:
    """Whether a finding stands in one of the stretches, which are in order and apart."""
    if row.place is None or not stretches:
        return False
    at = bisect_left(stretches, row.place, key=lambda stretch: stretch[1])
    return at < len(stretches) and stretches[at][0] < row.place


def _findings_below(graph: SharedGraph, num: int) -> set[int]:
    found: set[int] = set()
    for row in graph.rows(_children(graph, num)):
        found |= {row.num} if row.kind == "finding" else _findings_below(graph, row.num)
    return found


def reading(graph: SharedGraph, branch: Branch) -> list[Row]:
    """What stands for a branch when it is read: its summary and what came after it, or its children where it has
    none; in reading order."""
    if branch.summary is None:
        return _below(graph, branch)
    rows = graph.rows([branch.summary])
    if branch.fresh == 0 or not rows:
        return rows or _below(graph, branch)
    covered = _covered(graph, branch.summary)
    return rows + [row for row in _below(graph, branch) if row.num not in covered]


def _covered(graph: SharedGraph, summary: int) -> set[int]:
    found = set(_children(graph, summary))
    return found | _summaries_below(graph, summary) | _findings_below(graph, summary)


def _below(graph: SharedGraph, branch: Branch) -> list[Row]:
    found: list[Row] = []
    numbers: list[int] = []
    for child in tree.below(graph.database.read, graph.num, branch):
        if isinstance(child, Branch):
            found += reading(graph, child)
        else:
            numbers.append(child)
    return found + graph.rows(numbers)


def due(graph: SharedGraph, level: int, least: int, fresh: int) -> list[Due]:
    """The branches of a level whose summary is to be written: those with more than `fresh` tokens since their last
    one, and without one those that hold more than `least` tokens."""
    found = []
    for branch in tree.branches(graph.database.read, graph.num, level):
        if branch.summary is not None and 0 <= branch.fresh <= fresh:
            continue
        children = _below(graph, branch)
        if len(children) > 1 and sum(mass(row.text) for row in children) > least:
            found.append(Due(branch=branch, children=tuple(children)))
    return found
