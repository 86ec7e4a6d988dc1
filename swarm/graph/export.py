"""A graph as a file, and back: JSON in networkx's node-link form, GraphML, or a networkx graph.

All of them hold every fact, so that what is loaded has the same fingerprint as what was saved; what is derived
(who stands for whom, what contradicts what) is written along for whoever reads the file, and derived anew when it is
loaded. Files come from outside: they are checked before anything of them is merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from swarm.errors import SourceError
from swarm.graph.graph import SharedGraph, as_node
from swarm.graph.nodes import KINDS, Edge, Judgement, Node, Part, Removal, Statement, Summary, Verdict
from swarm.graph.rows import COLUMNS, COMPATIBLE, EDGES, SAME, Row
from swarm.graph.show import leaving
from swarm.source import Source, Span
from swarm.task import Artifact, Decision, Finding, Report, Slice

if TYPE_CHECKING:
    import networkx as nx

FORMAT, VERSION = "swarm-graph", 1
_BATCH = 1_000


# Out


def nodes(graph: SharedGraph, limit: int | None = None) -> Iterator[tuple[Row, Node]]:
    """All live nodes, kind by kind, in the order of their ids; of findings the most relevant, where there is a
    limit."""
    for kind in KINDS:
        if kind == "finding" and limit is not None:
            sql = (
                f"SELECT {COLUMNS} FROM nodes WHERE kind = 'finding' AND state = 'live' AND num >> 32 = ? "  # noqa: S608
                "ORDER BY relevance DESC, id LIMIT ?"
            )
            for row in map(Row._make, graph.database.read(sql, (graph.num, limit))):
                yield row, _whole(graph, row)
            continue
        last = ""
        while True:
            sql = (
                f"SELECT {COLUMNS} FROM nodes WHERE id > ? AND num BETWEEN ? AND ? AND kind = ? "  # noqa: S608
                "AND state = 'live' ORDER BY id LIMIT ?"
            )
            found = [Row(*row) for row in graph.database.read(sql, (last, *graph.range, kind, _BATCH))]
            for row in found:
                yield row, _whole(graph, row)
            if len(found) < _BATCH:
                break
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


_DEPENDS = "SELECT n.id FROM edges AS e JOIN nodes AS n ON n.num = e.target WHERE e.source = ? AND e.kind = ? ORDER BY n.id"
_JUDGEMENTS: dict[int, Judgement] = {
    EDGES["contradicts"]: "contradicts", EDGES["supersedes"]: "supersedes", SAME: "same", COMPATIBLE: "compatible",
}  # fmt: skip


def verdicts(graph: SharedGraph) -> list[tuple[Judgement, str, str]]:
    """What models judged: the kind of the verdict, and two findings, of which the first is the later one where it
    supersedes the other."""
    sql = (
        "SELECT e.kind, s.id, t.id FROM edges AS e JOIN nodes AS s ON s.num = e.source JOIN nodes AS t ON t.num = e.target "
        "WHERE e.kind IN (5, 6, 11, 12) AND e.source BETWEEN ? AND ? ORDER BY e.kind, s.id, t.id"
    )
    return [(_JUDGEMENTS[kind], one, other) for kind, one, other in graph.database.read(sql, graph.range)]


def removed(graph: SharedGraph) -> list[str]:
    """The ids of removed sources."""
    sql = "SELECT id FROM nodes WHERE kind = 'source' AND state = 'gone' AND num BETWEEN ? AND ? ORDER BY id"
    return [id_ for (id_,) in graph.database.read(sql, graph.range)]


def gone(graph: SharedGraph) -> list[tuple[str, str]]:
    """Findings that rested on removed sources alone, and the slices that reported them."""
    sql = (
        "SELECT n.id, s.id FROM nodes AS n JOIN edges AS e ON e.source = n.num AND e.kind = ? "
        "JOIN nodes AS s ON s.num = e.target WHERE n.kind = 'finding' AND n.state = 'gone' AND n.num BETWEEN ? AND ? "
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
    """The graph as GraphML. What is no text and no number is JSON in a text."""
    import networkx as nx

    whole = to_networkx(graph)
    plain: nx.MultiDiGraph[str] = nx.MultiDiGraph(**{name: _plain(value) for name, value in whole.graph.items()})
    for name, attributes in whole.nodes(data=True):
        plain.add_node(name, **{key: _plain(value) for key, value in attributes.items()})
    for one, other, key, attributes in whole.edges(keys=True, data=True):
        spans = {"spans": _plain(attributes["spans"])} if attributes["spans"] else {}
        plain.add_edge(one, other, key=key, kind=key, **spans)
    nx.write_graphml(plain, path)


def _plain(value: Any) -> str | float:
    return value if isinstance(value, (str, int, float)) else _json(value)


# In


class _Node(BaseModel):
    """One node of a file; what its kind does not have is empty."""

    model_config = ConfigDict(extra="ignore")

    id: str
    kind: str
    text: str = ""
    evidence: list[tuple[str, int, int, float]] = []
    subject: str | None = None
    attribute: str | None = None
    value: str | None = None
    unit: str | None = None
    time: str | None = None
    media: str = ""
    chars: int = 0
    bytes: int = 0
    ref: str = ""
    failed: bool | None = None
    rejected: list[str] = []
    summary: str = ""
    echoed: int = 0
    spans: list[tuple[str, int, int]] | None = None
    round: int = 1
    item: str = ""
    level: int = 0
    statements: list[tuple[str, list[str]]] = []
    covers: list[str] = []
    rests_on: list[str] = []


class _Edge(BaseModel):
    model_config = ConfigDict(extra="ignore")

    source: str
    target: str
    kind: str


class _Head(BaseModel):
    model_config = ConfigDict(extra="ignore")

    format: str
    version: int
    fingerprint: str
    removed: list[str] = []
    gone: list[tuple[str, str]] = []
    verdicts: list[tuple[Judgement, str, str]] = []


def read_file(path: Path) -> tuple[str, list[Part]]:
    """The fingerprint that a file states, and its parts in an order in which they can be merged.

    Raises:
        SourceError: not a graph of ours, or damaged.
    """
    try:
        data = _from_graphml(path) if path.suffix == ".graphml" else json.loads(path.read_text("utf-8"))
        head = _Head.model_validate(data["graph"])
        found = [_Node.model_validate(node) for node in data["nodes"]]
        links = [_Edge.model_validate(edge) for edge in data["edges"]]
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise SourceError(f"{path} is no graph that Swarm saved ({where}: {problem['msg']})") from None
    except (ValueError, KeyError, TypeError, SyntaxError) as error:
        raise SourceError(f"{path} is no graph that Swarm saved ({type(error).__name__}: {error})") from None
    if head.format != FORMAT or head.version > VERSION:
        raise SourceError(f"{path} has the format {head.format} {head.version}: this Swarm reads {FORMAT} {VERSION}")
    return head.fingerprint, list(_parts(head, found, links))


def _from_graphml(path: Path) -> dict[str, Any]:
    import networkx as nx

    graph = nx.read_graphml(path, force_multigraph=True)

    def opened(attributes: dict[str, Any]) -> dict[str, Any]:
        texts = ("id", "kind", "text", "summary", "item", "ref", "media", "run", "format", "fingerprint")
        fields = ("subject", "attribute", "value", "unit", "time")
        return {
            key: json.loads(value)
            if isinstance(value, str) and key not in texts + fields and value[:1] in "[{"
            else value
            for key, value in attributes.items()
        }

    return {
        "graph": opened(graph.graph),
        "nodes": [{"id": name, **opened(attributes)} for name, attributes in graph.nodes(data=True)],
        "edges": [
            {"source": one, "target": other, "kind": attributes["kind"]}
            for one, other, attributes in graph.edges(data=True)
        ],
    }


def parts_of(graph: SharedGraph) -> Iterator[Part]:
    """All parts of a graph, in an order in which they can be merged."""
    head = _Head(
        format=FORMAT,
        version=VERSION,
        fingerprint=graph.fingerprint(),
        removed=removed(graph),
        gone=gone(graph),
        verdicts=verdicts(graph),
    )
    found, links = [], []
    for row, node in nodes(graph):
        found.append(_Node(id=node.id, kind=node.kind, text=node.text, **node.more))
        links += [_Edge(source=edge.source, target=edge.target, kind=edge.kind) for edge in leaving(graph, row)]
    yield from _parts(head, found, links)


def _parts(head: _Head, found: list[_Node], links: list[_Edge]) -> Iterator[Part]:
    by_id = {node.id: node for node in found}
    reported: dict[str, list[str]] = {}
    for link in links:
        if link.kind == "derived_from":
            reported.setdefault(link.target, []).append(link.source)
    for finding, slice_ in head.gone:
        reported.setdefault(slice_, []).append(finding)
    yield from (Removal(source=id_) for id_ in head.removed)
    for node in found:
        if node.kind == "source":
            yield Source(id=node.id, path=node.text, media=node.media, chars=node.chars, bytes=node.bytes)
        elif node.kind == "slice":
            yield from _slice_parts(node, reported.get(node.id, []), by_id)
    for judgement, source, target in head.verdicts:
        one, other = sorted((source, target))
        later = source if judgement == "supersedes" else None
        yield Verdict(one=one, other=other, judgement=judgement, later=later)
    yield from sorted((_summary(node) for node in found if node.kind == "summary"), key=lambda one: one.level)


def _slice_parts(node: _Node, reported: Iterable[str], by_id: dict[str, _Node]) -> Iterator[Part]:
    parent = node.rests_on[0] if node.rests_on else None
    if node.spans is not None:
        spans = tuple(Span(*span) for span in node.spans)
        yield Slice(
            id=node.id, question=node.text, spans=spans, tokens=0, round=node.round, parent=parent, item=node.item
        )
    if node.failed is None:
        return
    names = list(reported)
    made = [by_id.get(id_) for id_ in names]
    for weight in sorted({span[3] for one in made if one for span in one.evidence} or {0.0}):
        yield Report(
            slice=node.id,
            question=node.text,
            findings=tuple(
                Finding(id=id_, claim="", evidence=()) if one is None else _finding(one, weight)
                for id_, one in zip(names, made, strict=True)
                if one is None or one.kind == "finding"
            ),
            summary=node.summary,
            open_questions=tuple(one.text for one in made if one and one.kind == "question"),
            rejected=tuple(node.rejected),
            echoed=node.echoed,
            decisions=tuple(
                Decision(id=one.id, text=one.text, about=tuple(one.rests_on))
                for one in made
                if one and one.kind == "decision"
            ),
            artifacts=tuple(
                Artifact(id=one.id, name=one.text, media=one.media, ref=one.ref)
                for one in made
                if one and one.kind == "artifact"
            ),
            failure="failed" if node.failed else None,
        )


def _finding(node: _Node, relevance: float) -> Finding:
    """A finding with the evidence that has this relevance: it may have none of it."""
    return Finding(
        id=node.id,
        claim=node.text,
        evidence=tuple(Span(*span[:3]) for span in node.evidence if span[3] == relevance),
        relevance=relevance,
        subject=node.subject,
        attribute=node.attribute,
        value=node.value,
        unit=node.unit,
        time=node.time,
    )


def _summary(node: _Node) -> Summary:
    return Summary(
        id=node.id,
        level=node.level,
        statements=tuple(Statement(text=text, rests_on=tuple(ids)) for text, ids in node.statements),
        covers=tuple(node.covers),
    )
