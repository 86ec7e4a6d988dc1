"""A graph from a file, or from another graph: its parts, to be merged like any others.

Files come from outside: they are checked before anything of them is merged. What is derived is not taken from them
but derived anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from swarm.errors import SourceError
from swarm.graph.export import FORMAT, JSON, VERSION, gone, nodes, removed, verdicts
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Judgement, Part, Removal, Statement, Summary, Verdict
from swarm.graph.show import leaving
from swarm.source import Source, Span
from swarm.task import Artifact, Decision, Finding, Report, Slice

_BATCH = 1_000


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
        raise SourceError(
            f"{path} has the format {head.format} {head.version}: this Swarm reads {FORMAT} {VERSION}"
        )
    return head.fingerprint, list(_parts(head, found, links))


def _from_graphml(path: Path) -> dict[str, Any]:
    import networkx as nx

    graph = nx.read_graphml(path, force_multigraph=True)

    def opened(attributes: dict[str, Any]) -> dict[str, Any]:
        return {
            key: json.loads(value.removeprefix(JSON))
            if isinstance(value, str) and value.startswith(JSON)
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


def join(graph: SharedGraph, other: SharedGraph) -> None:
    """Join another graph into this one. Blocks until it is durable: not for the event loop's thread."""
    merge_all(graph, parts_of(other))


def merge_all(graph: SharedGraph, parts: Iterable[Part]) -> None:
    """Merge many parts, in transactions of a bounded size; as `join`."""
    many = iter(parts)
    while batch := list(islice(many, _BATCH)):
        graph.database.write_sync(graph.change(*batch))


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
