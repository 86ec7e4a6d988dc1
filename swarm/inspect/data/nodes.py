"""The nodes of a run's graph: in pages, and by what is looked for."""

from __future__ import annotations

from typing import Any

from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import KINDS, Kind
from swarm.graph.rows import COLUMNS, EDGES, Row
from swarm.graph.search import search
from swarm.inspect.data import rows
from swarm.inspect.data.bounds import page
from swarm.inspect.look import Look, Unknown

_FOUND = 200  # by one search
_QUESTION_CHARS = 1_000


def nodes(look: Look, q: str = "", kind: str = "", offset: int = 0, limit: int = 50) -> dict[str, Any]:
    """What is found for `q`, best first, of a kind or of all; without it the findings by relevance, each claim
    once, or the nodes of another kind in the order in which they came.

    Raises:
        Unknown: there is no such kind.
    """
    look.fresh()
    graph = look.graph
    chosen = _kind(kind)
    offset, limit = page(offset, limit, 200)
    if q.strip():
        kinds = (chosen,) if chosen is not None else ()
        about = q[:_QUESTION_CHARS]
        found = look.kept(
            "search", lambda: search(graph, about, _FOUND, kinds), (about, kind, graph.fingerprint()), at_once=True
        )
        return {
            "total": len(found),
            "exact": len(found) < _FOUND,
            "offset": offset,
            "rows": rows.nodes(look, found[offset : offset + limit]),
        }
    if chosen in (None, "finding"):
        return {
            "total": graph.claims,
            "exact": True,
            "offset": offset,
            "rows": rows.nodes(look, _best(graph, offset, limit)),
        }
    total = look.kept(f"count {kind}", lambda: _count(graph, kind))
    return {
        "total": total,
        "exact": True,
        "offset": offset,
        "rows": rows.nodes(look, _of_kind(graph, kind, offset, limit)),
    }


def _kind(name: str) -> Kind | None:
    found = next((kind for kind in KINDS if kind == name), None)
    if name and found is None:
        raise Unknown(f"there are no nodes of the kind {name:.40}: give one of {', '.join(KINDS)}")
    return found


def _best(graph: SharedGraph, offset: int, limit: int) -> list[Row]:
    """The numbers are in the order of an index, so that nothing is sorted; a page is read by itself."""
    sql = (
        "SELECT num FROM nodes AS n INDEXED BY findings_by_relevance WHERE kind = 'finding' AND state = 'live' "
        "AND num >> 32 = ? AND NOT EXISTS (SELECT 1 FROM edges WHERE source = n.num AND kind = ?) "
        "ORDER BY relevance {0}, num {0} LIMIT ? OFFSET ?"
    )
    left = graph.claims - offset
    if left >= offset:
        found = graph.database.read(sql.format("DESC"), (graph.num, EDGES["supports"], limit, offset))
    else:  # the shorter way is from the other end
        limit = max(0, min(limit, left))
        wanted = (graph.num, EDGES["supports"], limit, max(0, left - limit))
        found = graph.database.read(sql.format("ASC"), wanted)[::-1]
    return graph.rows(num for (num,) in found)


def _of_kind(graph: SharedGraph, kind: str, offset: int, limit: int) -> list[Row]:
    sql = (
        f"SELECT {COLUMNS} FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = ? "  # noqa: S608
        "AND num BETWEEN ? AND ? AND state = 'live' ORDER BY num LIMIT ? OFFSET ?"
    )
    return [Row(*row) for row in graph.database.read(sql, (kind, *graph.range, limit, offset))]


def _count(graph: SharedGraph, kind: str) -> int:
    sql = (
        "SELECT count(*) FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = ? "
        "AND num BETWEEN ? AND ? AND state = 'live'"
    )
    return int(graph.database.read(sql, (kind, *graph.range))[0][0])
