"""The tree of summaries, opened one level at a time, from what stands for everything down to findings.

A group of which nobody has written a summary is opened all the same: it is told by the first claim in it. Its name
says where in the tree it is, and holds as long as the tree does not change there.
"""

from __future__ import annotations

import json
from typing import Any

from swarm.graph import tree as trees
from swarm.graph.rows import Row
from swarm.graph.tree import LAST, Branch
from swarm.inspect.data.bounds import short
from swarm.inspect.data.rows import named
from swarm.inspect.look import Look, Unknown

_GROUP = "group:"
_CHILDREN = 400
_TEXT_CHARS = 2_000


def tree(look: Look, id: str = "") -> dict[str, Any]:  # noqa: A002 - as it is called in addresses
    """What is one level below a summary or a group; without an id, below the top.

    Raises:
        Unknown: there is no such node in the tree.
    """
    look.fresh()
    graph = look.graph
    read = graph.database.read
    top = trees.levels(read, graph.num)
    if not id:
        if not top:
            return {"node": None, "children": [], "total": 0, "trail": []}
        branch = trees.branch(read, graph.num, top, LAST)
    elif id.startswith(_GROUP):
        branch = _group(look, id, top)
    else:
        row = graph.row(id)
        if row is None or row.kind not in ("summary", "finding"):
            raise Unknown(f"{id:.80} is no summary, group or finding of this graph: begin at the top of the tree")
        if row.kind == "finding":
            return {"node": _finding(row), "children": [], "total": 0, "trail": trail_of(look, row)}
        found = _branch_of(look, row)
        if found is None:
            return _loose(look, row)
        branch = found
    inside = trees.below(read, graph.num, branch)
    return {
        "node": _told(look, branch),
        "children": _children(look, inside[:_CHILDREN]),
        "total": len(inside),
        "trail": _above(look, branch.level, branch.place, top),
    }


def trail_of(look: Look, row: Row) -> list[dict[str, Any]]:
    """The summaries and groups above a node, the outermost first."""
    top = trees.levels(look.graph.database.read, look.graph.num)
    if row.kind == "finding":
        # one that another stands for has its place in the tree there
        (leader,) = look.graph.rows([look.graph.leader(row.num)]) or [row]
        return _above(look, 0, leader.place, top) if leader.place is not None else []
    if row.kind == "summary" and (branch := _branch_of(look, row)) is not None:
        return _above(look, branch.level, branch.place, top)
    return []


def _branch_of(look: Look, row: Row) -> Branch | None:
    sql = "SELECT level, place FROM branches WHERE summary = ? ORDER BY level DESC LIMIT 1"
    for level, place in look.graph.database.read(sql, (row.num,)):
        return trees.branch(look.graph.database.read, look.graph.num, level, bytes(place))
    return None


def _loose(look: Look, row: Row) -> dict[str, Any]:
    """A summary that stands on no branch any more: what it was written of."""
    summary = look.graph.summary(row.num)
    rows = [found for id_ in summary.covers[:_CHILDREN] if (found := look.graph.row(id_)) is not None]
    return {
        "node": _summary(row),
        "children": [_any(one) for one in rows],
        "total": len(summary.covers),
        "trail": [],
    }


def _group(look: Look, id_: str, top: int) -> Branch:
    level, _, place = id_.removeprefix(_GROUP).partition(":")
    try:
        end = bytes.fromhex(place)
    except ValueError:
        end = b""
    graph = look.graph
    known = level.isdecimal() and 0 < int(level[:3]) <= top and end
    there = "SELECT 1 FROM tree WHERE graph = ? AND level = ? AND place = ?"
    if not known or (end != LAST and not graph.database.read(there, (graph.num, int(level), end))):
        raise Unknown(f"there is no group {id_:.80} any more: begin at the top of the tree")
    return trees.branch(graph.database.read, graph.num, int(level), end)


def _above(look: Look, level: int, place: bytes, top: int) -> list[dict[str, Any]]:
    graph = look.graph
    found = []
    for upper in range(level + 1, top + 1):
        rows = graph.database.read(
            "SELECT place FROM tree WHERE graph = ? AND level = ? AND place >= ? ORDER BY place LIMIT 1",
            (graph.num, upper, place),
        )
        place = bytes(rows[0][0]) if rows else LAST
        told = _told(look, trees.branch(graph.database.read, graph.num, upper, place), count=False)
        found.append({name: told[name] for name in ("id", "kind", "text", "level")})
    return found[::-1]


# What is told of each


def _children(look: Look, inside: list[Branch] | list[int]) -> list[dict[str, Any]]:
    numbers = [child for child in inside if isinstance(child, int)]
    if numbers:
        return [_finding(row) for row in look.graph.rows(numbers)]
    branches = [child for child in inside if isinstance(child, Branch)]
    return [_told(look, branch) for branch in branches]


def _told(look: Look, branch: Branch, *, count: bool = True) -> dict[str, Any]:
    if branch.summary is not None and (rows := look.graph.rows([branch.summary])):
        return _summary(rows[0])
    graph = look.graph
    low = trees.begin(graph.database.read, graph.num, branch)
    sql = "SELECT {} FROM tree WHERE graph = ? AND level = 0 AND place > ? AND place <= ?"
    within = (graph.num, low, branch.place)
    first = graph.database.read(f"{sql.format('num')} ORDER BY place LIMIT 1", within)
    rows = graph.rows([first[0][0]]) if first else []
    return {
        "id": f"{_GROUP}{branch.level}:{branch.place.hex()}",
        "kind": "group",
        "text": short(rows[0].text) if rows else "",
        "level": branch.level,
        "findings": int(graph.database.read(sql.format("count(*)"), within)[0][0]) if count else None,
    }


def _summary(row: Row) -> dict[str, Any]:
    more = json.loads(row.more or "{}")
    return {
        "id": row.id, "kind": "summary", "text": short(row.text, _TEXT_CHARS), "level": more.get("level", 1),
        "findings": more.get("findings", 0),
    }  # fmt: skip


def _finding(row: Row) -> dict[str, Any]:
    return named(row) | {"level": 0, "findings": 1, "relevance": row.relevance}


def _any(row: Row) -> dict[str, Any]:
    return _summary(row) if row.kind == "summary" else _finding(row)
