"""The rest of the graph in a file: nodes that are no findings, what contradicts what, and the tree of summaries.

Findings and nodes go by their places in the lists of the file; what they point to that is not there is left out.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from swarm.graph import tree
from swarm.graph.disputes import Relation, of_finding, relations
from swarm.graph.graph import as_node
from swarm.graph.nodes import KINDS
from swarm.graph.rows import Row
from swarm.graph.tree import LAST, Branch
from swarm.inspect.data.node import node
from swarm.inspect.data.rows import named, told_of
from swarm.inspect.look import Look
from swarm.inspect.report.blocks import Blocks
from swarm.inspect.report.findings import Packed

_TOGETHER = 2_000
_NODE_BYTES, _GROUP_BYTES, _PAIR_BYTES = 250, 130, 10
"""About what each takes, compressed."""
_TEXT_CHARS, _STATEMENTS, _COVERS = 4_000, 200, 20
_DETAILED = ("decision", "artifact", "question")
"""Kinds whose edges are written out. What the edges of the others are follows from the findings and the slices."""


def disputes(look: Look) -> Iterator[Relation]:
    """What contradicts what, and what holds now before what held before; slot by slot."""
    graph = look.graph
    sql = "SELECT slot FROM disputed WHERE graph = ? AND prose = 0 ORDER BY slot"
    for (slot,) in graph.database.read(sql, (graph.num,)):
        yield from relations(graph, slot)
    sql = (
        "SELECT source, target FROM edges INDEXED BY verdicts WHERE kind IN (5, 6, 11, 12) AND kind IN (5, 6) "
        "AND source BETWEEN ? AND ?"
    )
    nums = {num for pair in graph.database.read(sql, graph.range) for num in pair}
    for row in graph.rows(sorted(nums)):
        if not as_node(row).more.get("value"):
            yield from (one for one in of_finding(graph, row) if one.one.num == row.num)


def needs(look: Look, relations_: int) -> int:
    """About how many bytes all of this takes, but for entities."""
    read, graph = look.graph.database.read, look.graph
    sql = (
        "SELECT count(*) FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' "
        "AND kind IN ('summary', 'decision', 'artifact', 'question') AND num BETWEEN ? AND ?"
    )
    nodes = int(read(sql, graph.range)[0][0])
    groups = int(read("SELECT count(*) FROM tree WHERE graph = ? AND level > 0", (graph.num,))[0][0])
    return _NODE_BYTES * nodes + _GROUP_BYTES * groups + _PAIR_BYTES * relations_


def pack_disputes(blocks: Blocks, packed: Packed, found: list[tuple[str, int, int]]) -> int:
    """Write pairs of findings that are there; how many are not."""
    left = 0
    for kind, one, other in found:
        if one in packed.place and other in packed.place:
            blocks.add("disputes", [kind == "supersedes", packed.place[one], packed.place[other]])
        else:
            left += 1
    blocks.end("disputes")
    return left


def pack_nodes(look: Look, blocks: Blocks, packed: Packed) -> dict[str, int]:
    """Write the nodes of all kinds but findings, slices and sources; of entities those that findings of the file
    are about. How many of each kind there are in the file."""
    counts: dict[str, int] = {}
    for kind in KINDS:
        if kind in ("finding", "slice", "source"):
            continue
        name = "entities" if kind == "entity" else "nodes"
        rows = _entities(look, packed) if kind == "entity" else _of_kind(look, kind)
        for row in rows:
            if kind == "summary":
                blocks.add(name, _summary(packed, row))
            else:
                blocks.add(name, _node(look, packed, row) if kind in _DETAILED else [row.id, row.text])
            counts[kind] = counts.get(kind, 0) + 1
    blocks.end("entities")
    blocks.end("nodes")
    return counts


def _entities(look: Look, packed: Packed) -> Iterator[Row]:
    """In the order of their places, which the findings go by; one that is gone has no name."""
    nums = list(packed.entities)
    for first in range(0, len(nums), _TOGETHER):
        several = nums[first : first + _TOGETHER]
        rows = {row.num: row for row in look.graph.rows(several)}
        for num in several:
            yield rows.get(num) or Row(num, str(num), "entity", "live", "", 0.0, None, None)


def _of_kind(look: Look, kind: str) -> Iterator[Row]:
    low, high = look.graph.range
    sql = (
        "SELECT num FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = ? AND num > ? "
        "AND num <= ? AND state = 'live' ORDER BY num LIMIT ?"
    )
    last = low - 1
    while nums := [num for (num,) in look.graph.database.read(sql, (kind, last, high, _TOGETHER))]:
        yield from look.graph.rows(nums)
        last = nums[-1]


def _node(look: Look, packed: Packed, row: Row) -> list[Any]:
    """A node with its edges, whose ends are places of findings or names of other nodes."""
    told = node(look, row.id)
    edges = [
        [edge["kind"], edge["direction"], [_end(packed, one) for one in edge["nodes"]], edge["total"]]
        for edge in told["edges"]
    ]
    more = told["node"]["more"]
    return [row.id, row.kind, row.text[:_TEXT_CHARS], more, edges, named(row)["text"], told_of(as_node(row))]


def _summary(packed: Packed, row: Row) -> list[Any]:
    """A summary: its edges are what it covers, the first of it and how much there is."""
    whole = as_node(row)

    def ends(ids: Sequence[str]) -> list[Any]:
        known = [packed.by_id.get(id_, -1) for id_ in ids] if more["level"] == 1 else ids
        return [end for end in known if end != -1][:_COVERS]

    more, covers = told_of(whole), whole.more.get("covers", ())
    said = [{"text": text[:_TEXT_CHARS], "rests_on": ends(ids)} for text, ids in whole.more.get("statements", ())]
    statements = {"statements": said[:_STATEMENTS]}
    edges = [ends(covers), len(covers)]
    return [row.id, row.kind, row.text[:_TEXT_CHARS], more | statements, edges, named(row)["text"], more]


def _end(packed: Packed, one: dict[str, Any]) -> Any:
    return packed.by_id.get(one["id"], [one["id"], one["kind"], one["text"]])


# The tree


def pack_tree(look: Look, blocks: Blocks, packed: Packed) -> int:
    """Write the tree from the root down, level by level: a row for each group, with the places of its children, of
    groups in this list and of findings. How many findings of the tree are not in the file."""
    read, graph = look.graph.database.read, look.graph
    top = tree.levels(read, graph.num)
    levels: list[list[Branch]] = [
        list(tree.branches(read, graph.num, level)) if level < top else [tree.branch(read, graph.num, top, LAST)]
        for level in range(top, 0, -1)
    ]
    leaves = [(bytes(place), num) for place, num in read(_LEAVES, (graph.num,))]
    texts = _summaries(look, levels)
    first = 0
    for depth, level in enumerate(levels):
        below = levels[depth + 1] if depth + 1 < len(levels) else None
        ends = [branch.place for branch in below] if below is not None else [place for place, _ in leaves]
        at = 0
        for branch in level:
            until = bisect_right(ends, branch.place, at)
            inside = range(at, until)
            if below is not None:
                children = [first + len(level) + place for place in inside]
            else:
                nums = [leaves[place][1] for place in inside]
                children = [packed.place[num] for num in nums if num in packed.place]
            at = until
            blocks.add("tree", _group(branch, children, below is None, texts))
        first += len(level)
    blocks.end("tree")
    return sum(num not in packed.place for _, num in leaves)


_LEAVES = "SELECT place, num FROM tree WHERE graph = ? AND level = 0 ORDER BY place"


def _group(branch: Branch, children: list[int], leaves: bool, texts: dict[int, tuple[str, str, int]]) -> list[Any]:
    """Its id, its text where it has a summary, its level, its children, whether these are findings, and how many
    findings lie below it where that is told."""
    id_, text, findings = texts.get(branch.summary or 0, ("", "", 0))
    return [
        id_ or f"group:{branch.level}:{branch.place.hex()}",
        text,
        branch.level,
        children,
        int(leaves),
        findings,
    ]


def _summaries(look: Look, levels: list[list[Branch]]) -> dict[int, tuple[str, str, int]]:
    """Of summaries by their numbers: the id, the text, and how many findings lie below."""
    nums = [branch.summary for level in levels for branch in level if branch.summary is not None]
    found = {}
    for at in range(0, len(nums), _TOGETHER):
        for row in look.graph.rows(nums[at : at + _TOGETHER]):
            more = json.loads(row.more or "{}")
            found[row.num] = (row.id, row.text[:2_000], int(more.get("findings", 0)))
    return found
