"""A graph as one HTML page to look at: what a run knows, and why, down to the text that it rests on.

The page stands alone. The graph lies in it as JSON, in which no text can end the block that holds it; the policy
of the page lets nothing run and nothing load but its own script and style, by their hashes. What does not fit is
left out and counted: the findings kept are those in dispute and the most relevant. This module does not know how
the page looks and moves: `page.html` does.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.resources import files
from itertools import chain
from typing import Any, TextIO

from swarm.errors import StoreError
from swarm.graph.disputes import disputed
from swarm.graph.export import nodes
from swarm.graph.graph import SharedGraph, as_node
from swarm.graph.nodes import KINDS, Kind, Node
from swarm.graph.rows import EDGES, Row
from swarm.graph.show import leaving
from swarm.source import Span

Quote = Callable[[Span], tuple[str, str]]

MAX_NODES = 20_000
"""Findings on the page; and nodes of each other kind, but for the upper summaries, which are few."""
MAX_QUOTES = 8
"""Of one finding."""
MAX_CHARS = 2_000
"""Of one quote."""
_BATCH = 1_000
_FIELDS = {
    "source": ("media", "chars"),
    "slice": ("round", "item", "failed", "summary"),
    "finding": ("relevance", "subject", "attribute", "value", "unit", "time"),
    "artifact": ("media", "ref"),
    "summary": ("level", "findings", "statements"),
}
_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")  # the last are no characters, and no file can hold them


def write_page(graph: SharedGraph, quote: Quote, out: TextIO) -> None:
    """Write the graph to `out` as a page. `quote` gives the text of a span, and where it stands."""
    template = files("swarm.graph").joinpath("page.html").read_text("utf-8")
    before, after = template.replace("{{policy}}", _policy(template)).split("{{data}}")
    out.write(before)
    for piece in _data(graph, quote):
        out.write(piece)
    out.write(after)


def _policy(template: str) -> str:
    """What the page may do: run its script and use its style, as they are, and nothing else."""

    def hashed(tag: str) -> str:
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {hashed('script')}; style-src {hashed('style')}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _data(graph: SharedGraph, quote: Quote) -> Iterator[str]:
    sql = "SELECT kind, count(*) FROM nodes WHERE num BETWEEN ? AND ? AND state = 'live' GROUP BY kind"
    counts = {str(kind): int(number) for kind, number in graph.database.read(sql, graph.range)}
    head = {"run": graph.run, "fingerprint": graph.fingerprint(), "counts": counts}
    yield f'{{"head":{_json(head)},\n"nodes":['
    places: dict[str, int] = {}
    nums: list[int] = []
    for row, node in _chosen(graph):
        line: dict[str, Any] = {"id": node.id, "kind": node.kind, "text": node.text}
        line |= {name: node.more[name] for name in _FIELDS.get(node.kind, ()) if node.more.get(name)}
        if node.kind == "finding":
            line |= _evidence(graph, row, node, quote)
        elif rejected := node.more.get("rejected"):
            line["rejected"] = len(rejected)
        yield f"{',' if nums else ''}\n{_json(line)}"
        places[node.id] = len(nums)
        nums.append(row.num)
    yield '\n],\n"edges":['
    for number, edge in enumerate(_edges(graph, nums, places)):
        yield f"{',' if number else ''}\n{_json(edge)}"
    yield "\n]}"


def _chosen(graph: SharedGraph) -> Iterator[tuple[Row, Node]]:
    """The nodes on the page. What is in dispute comes first, so that a contradiction is not left out for being of
    little relevance; an entity comes only where a finding on the page is about it."""
    first: dict[int, Row] = {}
    for relation in disputed(graph, MAX_NODES):
        if len(first) + 2 > MAX_NODES // 4:
            break
        first |= {row.num: row for row in (relation.one, relation.other)}
    disputes = [(row, as_node(row)) for row in first.values()]
    others = (pair for pair in nodes(graph, MAX_NODES) if pair[0].num not in first)
    room: dict[Kind, int] = dict.fromkeys(KINDS, MAX_NODES)
    entities = set[int]()
    for row, node in chain(disputes, others):
        if row.kind == "entity" and row.num not in entities:
            continue
        room[row.kind] -= 1
        if room[row.kind] >= 0 or (row.kind == "summary" and node.more["level"] > 1):
            if row.kind == "finding":
                entities |= _about(graph, row.num)
            yield row, node


def _about(graph: SharedGraph, num: int) -> set[int]:
    sql = "SELECT target FROM edges WHERE source = ? AND kind = ?"
    return {target for (target,) in graph.database.read(sql, (num, EDGES["about"]))}


def _evidence(graph: SharedGraph, row: Row, node: Node, quote: Quote) -> dict[str, Any]:
    """The texts that a finding rests on: its own first, the most relevant at the top, then those of the findings
    that it stands for. Each with its place, its source, and how many characters were clipped."""
    own = sorted(node.more.get("evidence", ()), key=lambda span: -span[3])
    spans = list(dict.fromkeys([*(Span(*span[:3]) for span in own), *graph.findings([row])[0].evidence]))
    quotes = []
    for span in spans[:MAX_QUOTES]:
        end = min(span.end, span.start + MAX_CHARS)
        try:
            text, place = quote(Span(span.source, span.start, end))
        except StoreError:  # the graph was loaded from a file, and its sources are elsewhere
            text, place = None, f"{span.start}–{span.end}"
        quotes.append([text, place, span.source, span.end - end])
    return {"evidence": quotes, "unshown": len(spans) - len(quotes)}


def _edges(graph: SharedGraph, nums: list[int], places: dict[str, int]) -> Iterator[list[Any]]:
    """Edges between nodes on the page, by their places in its list; with the spans that a slice covers."""
    for start in range(0, len(nums), _BATCH):
        for row in graph.rows(nums[start : start + _BATCH]):
            for edge in leaving(graph, row):
                if edge.target in places:
                    line = [places[row.id], edge.kind, places[edge.target]]
                    yield [*line, edge.spans[:MAX_QUOTES]] if edge.kind == "covers" else line


def _json(value: object) -> str:
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)
