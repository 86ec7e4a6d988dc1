"""A node with all that hangs on it: its edges, also those that are derived, and its way down to the sources."""

from __future__ import annotations

import json
from collections.abc import Iterator

from swarm.graph.disputes import of_finding
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Edge
from swarm.graph.rows import EDGE_NAMES, EDGES, Row

_ANSWERS, _FROM = EDGES["answers"], EDGES["derived_from"]


def edges_of(graph: SharedGraph, row: Row, limit: int) -> list[Edge]:
    """The edges of a node, those that leave it first."""
    found = list(leaving(graph, row))[:limit]
    sql = (
        "SELECT n.id, e.kind FROM edges AS e JOIN nodes AS n ON n.num = e.source "
        "WHERE e.target = ? AND n.state = 'live' ORDER BY e.kind, n.id LIMIT ?"
    )
    for id_, kind in graph.database.read(sql, (row.num, limit)):
        if kind in EDGE_NAMES:
            found.append(Edge(source=id_, kind=EDGE_NAMES[kind], target=row.id))
    if row.kind == "source":
        sql = (
            "SELECT n.id, start, end FROM evidence AS e JOIN nodes AS n ON n.num = e.finding "
            "WHERE e.source = ? ORDER BY start, n.id LIMIT ?"
        )
        for id_, start, end in graph.database.read(sql, (row.num, limit)):
            found.append(Edge(source=id_, kind="cites", target=row.id, spans=((start, end),)))
    return list(dict.fromkeys(found))


def leaving(graph: SharedGraph, row: Row) -> Iterator[Edge]:
    """The edges from a node to others, in a stable order."""
    sql = (
        "SELECT e.kind, n.id FROM edges AS e JOIN nodes AS n ON n.num = e.target "
        "WHERE e.source = ? AND n.state = 'live' ORDER BY e.kind, n.id"
    )
    if row.kind == "finding":
        yield from _of_finding(graph, row)
    for kind, id_ in graph.database.read(sql, (row.num,)):
        if kind in EDGE_NAMES and not (row.kind == "finding" and kind in _DERIVED):
            yield Edge(source=row.id, kind=EDGE_NAMES[kind], target=id_)
    if row.kind == "slice" and row.more:
        spans: dict[str, list[tuple[int, int]]] = {}
        for source, start, end in json.loads(row.more).get("spans", ()):
            spans.setdefault(source, []).append((start, end))
        for source, covered in sorted(spans.items()):
            yield Edge(source=row.id, kind="covers", target=source, spans=tuple(covered))


_DERIVED = (EDGES["contradicts"], EDGES["supersedes"])  # of findings: with the verdicts of models taken in


def _of_finding(graph: SharedGraph, row: Row) -> Iterator[Edge]:
    spans: dict[str, list[tuple[int, int]]] = {}
    sql = (
        "SELECT n.id, start, end FROM evidence AS e JOIN nodes AS n ON n.num = e.source "
        "WHERE e.finding = ? ORDER BY n.id, start, end"
    )
    for source, start, end in graph.database.read(sql, (row.num,)):
        spans.setdefault(source, []).append((start, end))
    for source, cited in spans.items():
        yield Edge(source=row.id, kind="cites", target=source, spans=tuple(cited))
    sql = (
        "SELECT DISTINCT n.id FROM edges AS e JOIN edges AS a ON a.source = e.target AND a.kind = ? "
        "JOIN nodes AS n ON n.num = a.target WHERE e.source = ? AND e.kind = ? ORDER BY n.id"
    )
    for (question,) in graph.database.read(sql, (_ANSWERS, row.num, _FROM)):
        yield Edge(source=row.id, kind="answers", target=question)
    for relation in of_finding(graph, row):
        if relation.one.num == row.num:
            kind = EDGE_NAMES[EDGES["contradicts" if relation.kind == "contradicts" else "supersedes"]]
            yield Edge(source=row.id, kind=kind, target=relation.other.id)
