"""A graph as a file: JSON in networkx's node-link form, GraphML, or a networkx graph.

All of them hold every fact, so that what is loaded has the same fingerprint as what was saved; what is derived
(who stands for whom, what contradicts what) is written along for whoever reads the file, and derived anew when
it is loaded. Files come from outside: they are checked before anything of them is merged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from swarm.graph.graph import SharedGraph, as_node
from swarm.graph.nodes import Edge, Judgement, Node
from swarm.graph.rows import COLUMNS, COMPATIBLE, EDGES, SAME, Row
from swarm.graph.show import leaving

if TYPE_CHECKING:
    import networkx as nx

FORMAT, VERSION = "swarm-graph", 1
JSON = "json:"
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|^\\s|\\s$")
_BATCH = 1_000


def nodes(graph: SharedGraph, limit: int | None = None) -> Iterator[tuple[Row, Node]]:
    """All live nodes, in the order of their ids; of findings the most relevant, first, where there is a limit."""
    kept = ""
    if limit is not None:
        kept = "AND kind <> 'finding'"
        sql = (
            f"SELECT {COLUMNS} FROM nodes WHERE kind = 'finding' AND state = 'live' AND num >> 32 = ? "  # noqa: S608
            "ORDER BY relevance DESC, id LIMIT ?"
        )
        for row in map(Row._make, graph.database.read(sql, (graph.num, limit))):
            yield row, _whole(graph, row)
    last = ""
    while True:
        sql = (
            f"SELECT {COLUMNS} FROM nodes INDEXED BY nodes_by_id WHERE id > ? "  # noqa: S608
            f"AND num BETWEEN ? AND ? AND state = 'live' {kept} ORDER BY id LIMIT ?"
        )
        found = [Row(*row) for row in graph.database.read(sql, (last, *graph.range, _BATCH))]
        for row in found:
            yield row, _whole(graph, row)
        if len(found) < _BATCH:
            return
        last = found[-1].id


def _whole(graph: SharedGraph, row: Row) -> Node:
    """A node with all that its facts say."""
    node = as_node(row)
    more = dict(node.more)
    if row.kind == "finding":
        sql = (
            "SELECT n.id, start, end, e.relevance FROM evidence AS e JOIN nodes AS n ON n.num = e.source "
            "WHERE e.finding = ? ORDER BY n.id, start, end"
        )
        more["evidence"] = [list(span) for span in graph.database.read(sql, (row.num,))]
    elif row.kind in ("decision", "slice"):
        rests = [id_ for (id_,) in graph.database.read(_DEPENDS, (row.num, EDGES["depends_on"]))]
        if rests:
            more["rests_on"] = rests
    return Node(id=node.id, kind=node.kind, text=node.text, more=more)


_DEPENDS = (
    "SELECT n.id FROM edges AS e JOIN nodes AS n ON n.num = e.target "
    "WHERE e.source = ? AND e.kind = ? ORDER BY n.id"
)
_JUDGEMENTS: dict[int, Judgement] = {
    EDGES["contradicts"]: "contradicts", EDGES["supersedes"]: "supersedes", SAME: "same", COMPATIBLE: "compatible",
}  # fmt: skip


def verdicts(graph: SharedGraph) -> list[tuple[Judgement, str, str]]:
    """What models judged: the kind of the verdict, and two findings, of which the first is the later one where it
    supersedes the other."""
    sql = (
        "SELECT e.kind, s.id, t.id FROM edges AS e INDEXED BY verdicts "
        "JOIN nodes AS s ON s.num = e.source JOIN nodes AS t ON t.num = e.target "
        "WHERE e.kind IN (5, 6, 11, 12) AND e.source BETWEEN ? AND ? ORDER BY e.kind, s.id, t.id"
    )
    return [(_JUDGEMENTS[kind], one, other) for kind, one, other in graph.database.read(sql, graph.range)]


def removed(graph: SharedGraph) -> list[str]:
    """The ids of removed sources."""
    sql = (
        "SELECT id FROM nodes INDEXED BY removed_sources WHERE kind = 'source' AND state = 'gone' "
        "AND num BETWEEN ? AND ? ORDER BY id"
    )
    return [id_ for (id_,) in graph.database.read(sql, graph.range)]


def gone(graph: SharedGraph) -> list[tuple[str, str]]:
    """Findings that rested on removed sources alone, and the slices that reported them."""
    sql = (
        "SELECT n.id, s.id FROM nodes AS n JOIN edges AS e ON e.source = n.num AND e.kind = ? "
        "JOIN nodes AS s ON s.num = e.target "
        "WHERE n.kind = 'finding' AND n.state = 'gone' AND n.num BETWEEN ? AND ? "
        "ORDER BY n.id, s.id"
    )
    return [(one, other) for one, other in graph.database.read(sql, (EDGES["derived_from"], *graph.range))]


def write_json(graph: SharedGraph, out: TextIO) -> None:
    """The graph as JSON, a node and an edge a line: `networkx.node_link_graph` reads it."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "run": graph.run,
        "fingerprint": graph.fingerprint(),
        "removed": removed(graph),
        "gone": gone(graph),
        "verdicts": verdicts(graph),
    }
    out.write(f'{{"directed": true, "multigraph": true, "graph": {_json(head)},\n"nodes": [')
    for number, (_, node) in enumerate(nodes(graph)):
        line = {"id": node.id, "kind": node.kind, "text": node.text, **node.more}
        out.write(f"{',' if number else ''}\n{_json(line)}")
    out.write('\n],\n"edges": [')
    number = 0
    for row, _ in nodes(graph):
        for edge in leaving(graph, row):
            out.write(f"{',' if number else ''}\n{_json(_edge(edge))}")
            number += 1
    out.write("\n]}\n")


def _edge(edge: Edge) -> dict[str, Any]:
    line: dict[str, Any] = {"source": edge.source, "target": edge.target, "key": edge.kind, "kind": edge.kind}
    if edge.spans:
        line["spans"] = [list(span) for span in edge.spans]
    return line


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("\u2028", "\\u2028")


def to_networkx(graph: SharedGraph, limit: int | None = None) -> nx.MultiDiGraph[str]:
    """A frozen copy: attributes of nodes as in the JSON, keys of edges by their kind."""
    import networkx as nx

    made: nx.MultiDiGraph[str] = nx.MultiDiGraph(
        format=FORMAT, version=VERSION, run=graph.run, fingerprint=graph.fingerprint(), removed=removed(graph),
        gone=[list(pair) for pair in gone(graph)], verdicts=[list(one) for one in verdicts(graph)],
    )  # fmt: skip
    rows = []
    for row, node in nodes(graph, limit):
        made.add_node(node.id, kind=node.kind, text=node.text, **node.more)
        rows.append(row)
    for row in rows:
        for edge in leaving(graph, row):
            if edge.target in made:
                made.add_edge(edge.source, edge.target, key=edge.kind, kind=edge.kind, spans=edge.spans)
    frozen: nx.MultiDiGraph[str] = nx.freeze(made)
    return frozen


def write_graphml(graph: SharedGraph, path: Path) -> None:
    """The graph as GraphML. What XML cannot hold, and what is no text and no number, is JSON behind `json:`."""
    import networkx as nx

    whole = to_networkx(graph)
    plain: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    plain.graph.update({name: _plain(value) for name, value in whole.graph.items()})
    for name, attributes in whole.nodes(data=True):
        plain.add_node(name, **{key: _plain(value) for key, value in attributes.items()})
    for one, other, key, attributes in whole.edges(keys=True, data=True):
        spans = {"spans": _plain(attributes["spans"])} if attributes["spans"] else {}
        plain.add_edge(one, other, key=key, kind=key, **spans)
    nx.write_graphml(plain, path)


def _plain(value: Any) -> str | float:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and not value.startswith(JSON) and not _NOT_XML.search(value):
        return value
    return JSON + json.dumps(value, ensure_ascii=True)
