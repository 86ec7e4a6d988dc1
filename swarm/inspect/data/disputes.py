"""What the findings of a run disagree on, in pages: what may be in dispute is looked through slot by slot, so that
no page costs more than it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from swarm.graph.disputes import Relation, of_finding, relations
from swarm.graph.graph import SharedGraph, as_node
from swarm.inspect.data import rows
from swarm.inspect.data.bounds import page
from swarm.inspect.data.overview import VERDICTS, count_disputes
from swarm.inspect.look import Look

_LOOKED = 400  # slots that are looked through for one page


def disputes(look: Look, offset: int = 0, limit: int = 20, all: bool = False) -> dict[str, Any]:  # noqa: A002
    """Pairs that contradict, and nothing has settled; `all`: also those of which a later one holds now. An offset
    counts what may be in dispute, and not the pairs: go on at `next`. `total` is exact, or the most that there
    can be."""
    look.fresh()
    graph = look.graph
    offset, limit = page(offset, limit, 50)
    total, exact = look.kept("disputes", lambda: count_disputes(graph), graph.fingerprint())
    wanted = ("contradicts", "supersedes") if all else ("contradicts",)
    found: list[Relation] = []
    at, more = offset, False
    for found_here in _places(graph, offset):
        if len(found) >= limit or at - offset >= _LOOKED:
            more = True
            break
        at += 1
        found += [relation for relation in found_here if relation.kind in wanted]
    return {
        "total": total,
        "exact": exact and not all,
        "offset": offset,
        "pairs": _told(look, found),
        "next": at if more else None,
    }


def _places(graph: SharedGraph, offset: int) -> Iterator[list[Relation]]:
    """What each slot, and then each verdict of a model, comes to, from the one with this number on."""
    sql = "SELECT count(*) FROM disputed WHERE graph = ? AND prose = 0"
    slots = int(graph.database.read(sql, (graph.num,))[0][0])
    sql = "SELECT slot FROM disputed WHERE graph = ? AND prose = 0 ORDER BY slot LIMIT ? OFFSET ?"
    for (slot,) in graph.database.read(sql, (graph.num, _LOOKED + 1, offset)):
        yield relations(graph, slot)
    sql = f"{VERDICTS.format('source, target')} ORDER BY source, target LIMIT ? OFFSET ?"
    for source, target in graph.database.read(sql, (*graph.range, _LOOKED + 1, max(0, offset - slots))):
        yield _verdict(graph, source, target)


def _verdict(graph: SharedGraph, source: int, target: int) -> list[Relation]:
    """What a model judged of two claims in prose; those with values are told by their slots."""
    for row in graph.rows([source]):
        if not as_node(row).more.get("value"):
            return [one for one in of_finding(graph, row) if {one.one.num, one.other.num} == {source, target}]
    return []


def _told(look: Look, found: Iterable[Relation]) -> list[dict[str, Any]]:
    pairs = list(found)
    told = iter(rows.nodes(look, [row for pair in pairs for row in (pair.one, pair.other)]))
    shown = []
    for pair in pairs:
        one, other = next(told), next(told)
        shared = {"subject": one["subject"], "attribute": one["attribute"]}
        shown.append({"kind": pair.kind, **shared, "one": one, "other": other})
    return shown
