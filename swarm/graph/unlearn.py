"""Removing a source: what rests on it alone goes, and what rests on others as well loses only that support.

That a source was removed is a fact like any other and comes before all evidence from it, whatever is merged first.
Findings keep their ids, so that a report that comes twice is known; their text, what only they were about, and
what a slice said that read nothing else, are deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from swarm.graph import alike, tree
from swarm.graph.nodes import Removal
from swarm.graph.places import move, place_of_span
from swarm.graph.rows import EDGES, GONE, LIVE, Row, Rows
from swarm.graph.twins import facts_of, settle

_SUPPORTS, _ABOUT, _FROM = EDGES["supports"], EDGES["about"], EDGES["derived_from"]
Refresh = Callable[[Rows, str], None]
"""Reads anew what is known of a slice."""
_READING = (
    "SELECT id FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = 'slice' AND state = 'live' "
    "AND num BETWEEN ? AND ? AND more LIKE ?"
)


def remove(rows: Rows, removal: Removal, refresh: Refresh) -> None:
    """Take a source out of the graph, for good."""
    tree.plant(rows)
    rows.flush()
    num = rows.number(removal.source, "source")
    if num in rows.removed:
        return
    row = rows.node(num)
    if row.state == LIVE:
        rows.drop_fact("source", row.id, row.text, *json.loads(row.more or "null"))
    rows.add_fact("removed", row.id)
    rows.update(num, state=GONE, text="", more=None)
    rows.removed.add(num)
    rows.paths[num] = ""
    cited: dict[int, list[tuple[int, int, float]]] = {}
    for finding, *span in rows.execute(
        "SELECT finding, start, end, relevance FROM evidence WHERE source = ?", (num,)
    ):
        cited.setdefault(finding, []).append((span[0], span[1], span[2]))
    rows.execute("DELETE FROM evidence WHERE source = ?", (num,))
    for finding, spans in cited.items():
        _unlearn(rows, finding, removal.source, spans)
    for slice_ in list(rows.execute(_READING, (rows.low, rows.high, f"%{json.dumps(removal.source)[1:-1]}%"))):
        refresh(rows, slice_[0])


def _unlearn(rows: Rows, finding: int, source: str, spans: list[tuple[int, int, float]]) -> None:
    row = rows.node(finding)
    for start, end, relevance in spans:
        rows.drop_fact("cites", row.id, source, start, end, relevance)
    rank = tree.rank(row.id)
    left = list(rows.execute("SELECT source, start, end, relevance FROM evidence WHERE finding = ?", (finding,)))
    if left:
        rows.update(finding, relevance=max(span[3] for span in left))
        first = min(place_of_span(rows, span[:3], rank) for span in left)
        if first != row.place:
            move(rows, row, rank, first)
        return
    facts = facts_of(row)
    stands = not rows.targets(finding, _SUPPORTS)
    followers = rows.sources(finding, _SUPPORTS)
    rows.unlink(finding, _SUPPORTS)
    entities = rows.targets(finding, _ABOUT)
    rows.unlink(finding, _ABOUT)
    for entity in entities:
        if not rows.sources(entity, _ABOUT):
            rows.delete(rows.node(entity))
    for key in alike.keys(facts, rows.graph):
        rows.execute("DELETE FROM alike WHERE band = ? AND rank = ? AND num = ?", (key, rank, finding))
    slot = alike.slot_of(facts)
    if slot is not None:
        held = (alike.slot_key(slot, rows.graph), facts.when.start, rank)
        rows.execute("DELETE FROM slots WHERE slot = ? AND start = ? AND rank = ?", held)
    rows.unindex(finding)
    if stands and row.place is not None:
        tree.take(rows, row.place, rank, spoil=True)
    rows.update(finding, state=GONE, text="", more=None, place=None, relevance=0.0)
    rows.findings -= 1
    rows.folded -= not stands
    settle(rows, [(tree.rank(rows.node(follower).id), follower) for follower in followers])


def rests_on_removed(rows: Rows, known: dict[str, Any]) -> bool:
    """Whether all that a slice read was removed."""
    sources = {span[0] for span in known.get("spans", ())}
    return bool(sources and rows.removed) and all(rows.number(id_, "source") in rows.removed for id_ in sources)


def drop_questions(rows: Rows, slice_: Row) -> None:
    """Take back the questions that a slice raised."""
    rows.flush()
    for num in rows.sources(slice_.num, _FROM):
        row = rows.node(num)
        if row.kind == "question":
            rows.execute(
                "DELETE FROM edges WHERE source = ? AND kind = ? AND target = ?", (num, _FROM, slice_.num)
            )
            rows.drop_fact("reported", slice_.id, row.id)
            if not rows.targets(num, _FROM) and not rows.sources(num, EDGES["answers"]):
                rows.delete(row)
