"""Where findings stand in reading order: by the first of their spans, and the path of its source."""

from __future__ import annotations

from swarm.graph import tree
from swarm.graph.rows import EDGES, Row, Rows

_SUPPORTS = EDGES["supports"]


def source_id(rows: Rows, num: int) -> str:
    known = rows.ids.get(num)
    if known is None:
        known = rows.ids[num] = rows.node(num).id
    return known


def place_of_span(rows: Rows, span: tuple[int, int, int], rank: int) -> bytes:
    path = rows.paths.get(span[0])
    if path is None:
        path = rows.paths[span[0]] = rows.node(span[0]).text
    return tree.place_of(path, source_id(rows, span[0]), span[1], rank)


def move(rows: Rows, row: Row, rank: int, place: bytes) -> None:
    tree.plant(rows)
    rows.update(row.num, place=place)
    if row.place is not None and not rows.targets(row.num, _SUPPORTS):
        tree.take(rows, row.place, rank, spoil=False)
        tree.add(rows, row.num, place, rank, tree.mass(row.text))


def replace_all(rows: Rows, source: int) -> None:
    """The path of a source became known, or another: its findings stand elsewhere."""
    for (num,) in list(rows.execute("SELECT DISTINCT finding FROM evidence WHERE source = ?", (source,))):
        row = rows.node(num)
        rank = tree.rank(row.id)
        spans = rows.execute("SELECT source, start, end FROM evidence WHERE finding = ?", (num,))
        first = min(place_of_span(rows, span, rank) for span in list(spans))
        if first != row.place:
            move(rows, row, rank, first)
