"""How nodes of the graph, slices and calls are told in lists, the same wherever they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from swarm.errors import StoreError
from swarm.graph.graph import as_node
from swarm.graph.nodes import Node
from swarm.graph.rows import Row
from swarm.inspect.calls import ANSWERED, FAILED, REFUSED, UNDER_WAY
from swarm.inspect.data.bounds import NAMED_CHARS, short
from swarm.inspect.look import Look
from swarm.inspect.plan import Seen
from swarm.source import Span

STATES: Final = {UNDER_WAY: "running", ANSWERED: "done", FAILED: "failed", REFUSED: "refused"}
"""Of calls."""
_FIELDS = ("subject", "attribute", "value", "unit", "time")
_OF_KIND = {
    "source": ("media", "chars"),
    "slice": ("round", "item", "failed"),
    "artifact": ("media", "ref"),
    "summary": ("level", "findings"),
}


def named(row: Row) -> dict[str, Any]:
    """A node by its name alone."""
    return {"id": row.id, "kind": row.kind, "text": short(row.text)}


def nodes(look: Look, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Nodes with what a list shows of them; findings with where they stand."""
    chosen = list(rows)
    places = first_places(look, [row.num for row in chosen if row.kind == "finding"])
    return [named(row) | told_of(as_node(row)) | places.get(row.num, {}) for row in chosen]


def told_of(node: Node) -> dict[str, Any]:
    """What a kind has beside a text, of what is short."""
    if node.kind == "finding":
        more: dict[str, Any] = {"relevance": node.more.get("relevance")}
        return more | {name: _short(node.more.get(name)) for name in _FIELDS}
    return {name: node.more[name] for name in _OF_KIND.get(node.kind, ()) if name in node.more}


def _short(value: Any) -> Any:
    return short(value, NAMED_CHARS // 2) if isinstance(value, str) else value


def first_places(look: Look, findings: list[int]) -> dict[int, dict[str, Any]]:
    """Of findings by their numbers the first place that each rests on; the path alone where no text is here."""
    sql = (
        "SELECT finding, n.id, n.text, min(start), end FROM evidence AS e JOIN nodes AS n ON n.num = e.source "
        "WHERE finding IN (SELECT value FROM json_each(?)) GROUP BY finding"
    )
    found = {}
    for num, source, path, start, end in look.graph.database.read(sql, (json.dumps(findings),)):
        where = placed(look, Span(source, start, end), path) or path or None
        found[num] = {"where": where, "source": source, "start": start}
    return found


def placed(look: Look, span: Span, path: str) -> str | None:
    """Where a span stands, for a person; None where its text is not here."""
    try:
        return str(look.library.locate(span, path or span.source))
    except StoreError:
        return None


def slice_row(look: Look, seen: Seen) -> dict[str, Any]:
    return {
        "id": seen.slice.id,
        "name": short(look.follower.names.of(seen), 200),
        "asked": short(seen.slice.question),
        "state": seen.state,
        "why": short(seen.why),
        "begun": seen.begun,
        "ended": seen.ended,
        "calls": seen.calls,
        "tokens": seen.tokens,
        "cost_usd": seen.cost_usd,
        "machine": short(look.follower.plan.machines.name(seen.machine), 200) if seen.machine else None,
    }


def call_row(look: Look, row: int) -> dict[str, Any]:
    """A call by its row. `seconds` is of the last try, and None while it is under way."""
    calls = look.follower.calls
    asker = calls.asked_by(row)
    name = look.follower.names.called(asker)
    ended = calls.over(row)
    return {
        "key": calls.keys[row].hex(),
        "asker": asker,
        "name": short(asker if name is None else name, 200),
        "slice": asker if name is not None else None,
        "model": calls.models.texts[calls.model[row]],
        "kind": calls.kinds.texts[calls.kind[row]],
        "begun": calls.begun[row],
        "ended": ended,
        "seconds": max(0.0, ended - calls.begun[row]) if ended is not None else None,
        "input_tokens": calls.input_tokens[row],
        "output_tokens": calls.output_tokens[row],
        "cached_tokens": calls.cached_tokens[row],
        "cost_usd": calls.cost_usd[row],
        "fill": calls.fill(row),
        "counted": calls.counted[row],
        "room": calls.room[row] or None,
        "state": STATES[calls.state[row]],
    }
