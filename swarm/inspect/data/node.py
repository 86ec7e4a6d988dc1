"""One node of the graph with all that hangs on it, down to the words that it rests on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from swarm.errors import StoreError
from swarm.graph.disputes import of_finding
from swarm.graph.graph import as_node
from swarm.graph.rows import EDGE_NAMES, EDGES, Row
from swarm.inspect.data.bounds import TEXT_CHARS, clipped, short
from swarm.inspect.data.rows import named, placed, slice_row, told_of
from swarm.inspect.data.tree import trail_of
from swarm.inspect.look import Look, Unknown
from swarm.source import Span

_EVIDENCE = 16
_QUOTE_CHARS = 2_000
_AROUND_CHARS = 240  # of a quote, before it and after it
_ENDS = 20  # of edges of one kind
_DERIVED = (EDGES["contradicts"], EDGES["supersedes"])  # with what models judged taken in
_STATEMENTS = 200


def node(look: Look, id: str) -> dict[str, Any]:  # noqa: A002 - as it is called in addresses
    """A node by its id, or by a beginning of it that no other has.

    Raises:
        Unknown: there is none, or there are several.
    """
    look.fresh()
    row = row_of(look, id)
    evidence, total = _evidence(look, row)
    return {
        "node": {"id": row.id, "kind": row.kind, **clipped({"text": row.text}), "more": _more(row)},
        "evidence": evidence,
        "evidence_total": total,
        "edges": _edges(look, row),
        "slices": _slices(look, row),
        "trail": trail_of(look, row),
    }


def row_of(look: Look, id_: str) -> Row:
    row = look.graph.row(id_) if id_ else None
    if row is None:
        raise Unknown(
            f"no node, or more than one, begins with {id_[:80]!r}: search for it, or give more of its id"
        )
    return row


def _more(row: Row) -> dict[str, Any]:
    whole = as_node(row)
    more = told_of(whole)
    if row.kind == "summary":
        more["statements"] = [
            {"text": short(text, 4_000), "rests_on": ids[:_ENDS]}
            for text, ids in whole.more.get("statements", ())[:_STATEMENTS]
        ]
    elif row.kind == "slice":
        more["summary"] = short(whole.more.get("summary", ""), TEXT_CHARS)
    return more


# Evidence


def _evidence(look: Look, row: Row) -> tuple[list[dict[str, Any]], int]:
    """The words that a finding rests on, its own first and the most relevant of these at the top."""
    if row.kind != "finding":
        return [], 0
    graph = look.graph
    sql = (
        "SELECT n.id, start, end FROM evidence AS e JOIN nodes AS n ON n.num = e.source "
        "WHERE finding = ? ORDER BY e.relevance DESC, n.id, start LIMIT 64"
    )
    own = [Span(*found) for found in graph.database.read(sql, (row.num,))]
    spans = list(dict.fromkeys([*own, *graph.findings([row])[0].evidence]))
    return [quoted(look, span) for span in spans[:_EVIDENCE]], len(spans)


def quoted(look: Look, span: Span) -> dict[str, Any]:
    """A span with its words and some around them; `missing` says why there are none."""
    source = look.graph.row(span.source)
    path = source.text if source is not None else ""
    place: dict[str, Any] = {
        "source": span.source, "path": path, "start": span.start, "end": span.end,
        "where": placed(look, span, path) or path or None,
    }  # fmt: skip
    try:
        text = look.library.text(span._replace(end=min(span.end, span.start + _QUOTE_CHARS)))
        before = look.library.text(span._replace(start=max(0, span.start - _AROUND_CHARS), end=span.start))
        after = look.library.text(span._replace(start=span.end, end=span.end + _AROUND_CHARS))
    except StoreError:
        return place | {"quote": None, "before": "", "after": "", "missing": missing(path or span.source)}
    left = span.end - span.start - len(text)
    told = {"quote": text, "before": _from_word(before), "after": _to_word(after)}
    return place | told | ({"clipped": {"quote": left}} if left > 0 else {})


def missing(what: str) -> str:
    return f"the text of {what} is not on this machine, nor on a server: look where the run was read"


def _from_word(text: str) -> str:
    """Begun at a word, where it was cut."""
    return text.partition(" ")[2] if len(text) == _AROUND_CHARS and " " in text else text


def _to_word(text: str) -> str:
    return text.rpartition(" ")[0] if len(text) == _AROUND_CHARS and " " in text else text


# Edges


def _edges(look: Look, row: Row) -> list[dict[str, Any]]:
    """By kind and direction, some of the nodes at the other end and how many there are."""
    found = []
    for direction in ("out", "in"):
        for kind, total in _kinds(look, row, direction):
            if not (row.kind == "finding" and kind in _DERIVED):
                found.append(_edge(kind, direction, _ends(look, row, kind, direction), total))
    return [*found, *_derived(look, row)]


def _edge(kind: int, direction: str, rows: Iterable[Row], total: int) -> dict[str, Any]:
    return {
        "kind": EDGE_NAMES[kind],
        "direction": direction,
        "nodes": [named(one) for one in rows],
        "total": total,
    }


def _kinds(look: Look, row: Row, direction: str) -> list[tuple[int, int]]:
    column = "source" if direction == "out" else "target"
    sql = f"SELECT kind, count(*) FROM edges WHERE {column} = ? GROUP BY kind"  # noqa: S608
    return [(kind, total) for kind, total in look.graph.database.read(sql, (row.num,)) if kind in EDGE_NAMES]


def _ends(look: Look, row: Row, kind: int, direction: str) -> list[Row]:
    one, other = ("source", "target") if direction == "out" else ("target", "source")
    sql = f"SELECT {other} FROM edges WHERE {one} = ? AND kind = ? ORDER BY {other} LIMIT ?"  # noqa: S608
    return look.graph.rows(num for (num,) in look.graph.database.read(sql, (row.num, kind, _ENDS)))


def _derived(look: Look, row: Row) -> list[dict[str, Any]]:
    """Edges that stand in no table: they follow from others."""
    match row.kind:
        case "finding":
            return [*_relations(look, row), *_answers(look, row)]
        case "source":
            return _cites(look, row)
        case "slice" if row.more:
            return _covers(look, row)
        case _:
            return []


def _relations(look: Look, row: Row) -> list[dict[str, Any]]:
    ends: dict[tuple[int, str], list[Row]] = {}
    for relation in of_finding(look.graph, row):
        first = relation.one.num == row.num
        if relation.kind == "contradicts":
            key = (EDGES["contradicts"], "out")
        else:
            key = (EDGES["supersedes"], "out" if first else "in")
        ends.setdefault(key, []).append(relation.other if first else relation.one)
    return [_edge(*key, rows[:_ENDS], len(rows)) for key, rows in ends.items()]


def _answers(look: Look, row: Row) -> list[dict[str, Any]]:
    sql = (
        "SELECT DISTINCT a.target FROM edges AS e JOIN edges AS a ON a.source = e.target AND a.kind = ? "
        "WHERE e.source = ? AND e.kind = ? LIMIT ?"
    )
    wanted = (EDGES["answers"], row.num, EDGES["derived_from"], _ENDS)
    rows = look.graph.rows(num for (num,) in look.graph.database.read(sql, wanted))
    return [_edge(EDGES["answers"], "out", rows, len(rows))] if rows else []


def _cites(look: Look, row: Row) -> list[dict[str, Any]]:
    """The findings that rest on a source, in the order of its text."""
    read = look.graph.database.read
    total = int(read("SELECT count(*) FROM evidence WHERE source = ?", (row.num,))[0][0])
    sql = "SELECT finding FROM evidence WHERE source = ? ORDER BY start, finding LIMIT ?"
    nums = dict.fromkeys(num for (num,) in read(sql, (row.num, _ENDS)))
    return [_edge(EDGES["cites"], "in", look.graph.rows(nums), total)] if total else []


def _covers(look: Look, row: Row) -> list[dict[str, Any]]:
    ids = dict.fromkeys(source for source, _, _ in json.loads(row.more or "{}").get("spans", ()))
    rows = [found for id_ in list(ids)[:_ENDS] if (found := look.graph.row(id_)) is not None]
    return [_edge(EDGES["covers"], "out", rows, len(ids))] if rows else []


def _slices(look: Look, row: Row) -> list[dict[str, Any]]:
    """The slices that reported it, and what each cost."""
    known = look.follower.plan.slices
    ids = [row.id] if row.kind == "slice" else [end.id for end in _ends(look, row, EDGES["derived_from"], "out")]
    return [slice_row(look, known[id_]) for id_ in ids if id_ in known]


__all__ = ["Unknown", "missing", "node", "quoted", "row_of"]
