"""An answer as the one JSON object that `--json` prints. Its keys are described in `docs/cli.md`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from swarm.task import Answer, Citation

Document = dict[str, Any]


def document(answer: Answer) -> Document:
    """The answer as JSON-able data. Positions count characters, from 0, `end` not included."""
    coverage = answer.coverage
    return {
        "run_id": answer.run_id,
        "status": answer.status,
        "answer": answer.text,
        "short": answer.short,
        "statements": [
            {"text": statement.text, "citations": list(statement.citations)} for statement in answer.statements
        ],
        "citations": [_citation(citation) for citation in answer.citations],
        "cells": [
            {"item": cell.item, "question": cell.question, "text": cell.text, "citations": list(cell.citations)}
            for cell in answer.cells
        ],
        "contradictions": [
            {
                "claims": list(one.claims),
                "citations": [list(c) for c in one.citations],
                "findings": list(one.findings),
            }
            for one in answer.contradictions
        ],
        "findings": answer.findings,
        "rejected_quotes": answer.rejected_quotes,
        "coverage": {
            "sources": coverage.sources,
            "chars_total": coverage.chars_total,
            "chars_read": coverage.chars_read,
            "chars_skipped": coverage.chars_skipped,
            "chars_unread": coverage.chars_unread,
            "skipped": [
                {"source": skip.source, "reason": skip.reason, "chars": skip.chars, "bytes": skip.bytes}
                for skip in coverage.skipped
            ],
        },
        "window": {"limit": answer.window_limit, "peak": answer.window_peak},
        "usage": asdict(answer.usage),
        "slices": answer.slices,
        "rounds": answer.rounds,
        "failures": [
            {"slice": failure.slice, "reason": failure.reason, "spans": [list(span) for span in failure.spans]}
            for failure in answer.failures
        ],
        "complete": answer.complete,
        "stopped": answer.stopped,
        "limit": answer.limit,
        "graph": answer.graph,
        "elapsed_s": round(answer.elapsed_seconds, 3),
    }


def _citation(citation: Citation) -> Document:
    """`line` or `page` where there is one."""
    found: Document = {
        "source": citation.source,
        "source_id": citation.source_id,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
    }
    if citation.line is not None:
        found["line"] = citation.line
    if citation.page is not None:
        found["page"] = citation.page
    return found


def dumps(value: Document) -> str:
    """One line of ASCII: whatever a source holds, no terminal and no locale can stumble over it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
