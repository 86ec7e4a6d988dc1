"""The shape of what each tool tells, as JSON schemas: what a client may rely on. More fields may come.

Written by hand, short, and held to `words` by tests. This module knows no protocol.
"""

from __future__ import annotations

from typing import Any, get_args

from swarm.embed.status import Standing

Shape = dict[str, Any]

_TEXT: Shape = {"type": "string"}
_COUNT: Shape = {"type": "integer", "minimum": 0}
_NUMBER: Shape = {"type": "number", "minimum": 0}
_STANDING: Shape = {"type": "string", "enum": list(get_args(Standing))}
_PLACE: Shape = {**_TEXT, "description": "where it stands: path:line, or path:pPAGE"}
_QUOTE: Shape = {**_TEXT, "description": "exactly the text of the source"}


def _object(required: Shape, more: Shape | None = None) -> Shape:
    return {"type": "object", "properties": {**required, **(more or {})}, "required": list(required)}


_CITATION = _object({"number": _COUNT, "place": _PLACE, "quote": _QUOTE}, {"cut": _COUNT})
_ANSWER = _object(
    {"answer": _TEXT, "citations": {"type": "array", "items": _CITATION}},
    {"short": _TEXT, "cells": {"type": "array", "items": {"type": "object"}}, "left_out": {"type": "object"}},
)
_IN_SHORT: Shape = {
    "run": _TEXT,
    "status": _STANDING,
    "asked": _TEXT,
    "slices_done": _COUNT,
    "slices_planned": _COUNT,
    "cost_usd": _NUMBER,
}

STATUS = _object(
    {
        **_IN_SHORT,
        "phase": _TEXT,
        "findings": _COUNT,
        "calls": _COUNT,
        "tokens": _COUNT,
        "limits": {"type": "object"},
        "next": {**_TEXT, "description": "what may be done now"},
    },
    {"why": _TEXT, "complete": {"type": "boolean"}, "note": _TEXT, "material": _ANSWER},
)
VIEW = _object(
    {"run": _TEXT, "tokens": _COUNT, "found": _COUNT, "omitted": _COUNT, "note": _TEXT, "material": _TEXT}
)
OPENED = _object(
    {
        "run": _TEXT,
        "id": _TEXT,
        "kind": _TEXT,
        "note": _TEXT,
        "material": _object(
            {"evidence": {"type": "array", "items": _object({"place": _PLACE, "quote": _QUOTE})}},
            {"text": _TEXT, "before": _TEXT, "after": _TEXT},
        ),
    }
)
LISTED = _object({"tasks": {"type": "array", "items": _object(_IN_SHORT)}})

SHAPES = {"ask_graph": VIEW, "open_citation": OPENED, "list_tasks": LISTED}
"""Of the tools that do not tell how a task stands."""
