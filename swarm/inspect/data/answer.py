"""What a run came to, each citation with the finding that it is evidence of, so that a sentence leads into the
graph and to its source."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from swarm.inspect.data.bounds import clipped, short
from swarm.inspect.data.rows import placed
from swarm.inspect.look import Look
from swarm.observe.log import redact_text
from swarm.source import Span

_STATEMENTS, _CITATIONS, _CELLS, _CONTRADICTIONS = 400, 1_000, 2_000, 100
_QUOTE_CHARS = 2_000
_TEXT_CHARS = 40_000
_PLAIN = (
    "status", "findings", "rejected_quotes", "rounds", "elapsed_seconds", "window_limit", "window_peak", "slices",
)  # fmt: skip


def answer(look: Look) -> dict[str, Any] | None:
    """The answer of the last session that came to one; the first of its statements, citations and cells, where
    there are many, and `totals` of all."""
    body = look.fresh().answer
    return look.kept("answer", lambda: _answer(look, body) if body is not None else None)


def _answer(look: Look, body: dict[str, Any]) -> dict[str, Any]:
    lists = {name: body.get(name) or [] for name in ("statements", "citations", "cells", "contradictions")}
    told = {name: body.get(name) for name in _PLAIN if name in body}
    stopped = body.get("stopped")
    return told | {
        **clipped({"text": body.get("text"), "short": body.get("short")}, _TEXT_CHARS),
        "stopped": short(redact_text(stopped), 2_000) if stopped else None,
        "complete": not stopped and not body.get("failures"),
        "statements": [
            {"text": short(one["text"], 4_000), "citations": one["citations"]}
            for one in lists["statements"][:_STATEMENTS]
        ],
        "citations": _citations(look, lists["citations"][:_CITATIONS]),
        "cells": [
            {
                "item": short(one["item"]), "question": short(one["question"]), "text": short(one["text"], 2_000),
                "citations": one.get("citations", []),
            }
            for one in lists["cells"][:_CELLS]
        ],
        "contradictions": [
            {
                "claims": [short(claim) for claim in one["claims"]], "citations": one["citations"],
                "findings": one["findings"],
            }
            for one in lists["contradictions"][:_CONTRADICTIONS]
        ],
        "totals": {name: len(several) for name, several in lists.items()},
    }  # fmt: skip


def _citations(look: Look, citations: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    cited = list(citations)
    found = findings_at(look, [Span(one["source_id"], one["start"], one["end"]) for one in cited])
    told = []
    for number, one in enumerate(cited):
        span = Span(one["source_id"], one["start"], one["end"])
        where = placed(look, span, one["source"]) or one["source"]
        told.append(
            {
                "n": number, "source": one["source"], "source_id": span.source, "start": span.start,
                "end": span.end, "where": where, "finding": found.get(span),
            }
            | clipped({"quote": one["quote"]}, _QUOTE_CHARS)
        )  # fmt: skip
    return told


def findings_at(look: Look, spans: list[Span]) -> dict[Span, str]:
    """Of each span the most relevant finding that rests on it; the one that stands for it, where another says the
    same."""
    sql = (
        "SELECT place.key, f.id, lead.id FROM json_each(?) AS place "
        "JOIN nodes AS s ON s.id = place.value ->> 0 AND s.num BETWEEN ? AND ? "
        "JOIN evidence AS e ON e.source = s.num AND e.start = place.value ->> 1 AND e.end = place.value ->> 2 "
        "JOIN nodes AS f ON f.num = e.finding AND f.state = 'live' "
        "LEFT JOIN edges AS same ON same.source = f.num AND same.kind = 4 "
        "LEFT JOIN nodes AS lead ON lead.num = same.target AND lead.state = 'live' "
        "ORDER BY place.key, e.relevance, f.id DESC"
    )
    rows = look.graph.database.read(sql, (json.dumps(spans), *look.graph.range))
    return {spans[place]: lead or finding for place, finding, lead in rows}
