"""How far each source was read, as numbers and as a strip of letters."""

from __future__ import annotations

from typing import Any

import numpy as np

from swarm.inspect.data.bounds import page, short
from swarm.inspect.data.ground import FAILED, PLANNED, READ, SEARCHED, UNREAD, Ground, Numbers, ground
from swarm.inspect.look import Look
from swarm.observe.log import redact_text

_SKIPPED = 200  # inputs that are named


def coverage(look: Look, offset: int = 0, limit: int = 50, q: str = "", sort: str = "path") -> dict[str, Any]:
    """The sources of a run. `q` is a part of their paths; `sort` is path (the order of the corpus), or chars,
    unread, findings or failed, the most first."""
    known = ground(look)
    offset, limit = page(offset, limit, 200)
    if known is None:
        return totals(look) | {
            "total": 0,
            "sources": [],
            "skipped_inputs": [],
            "skipped_total": 0,
            "offset": offset,
        }
    chosen = _chosen(known, q, sort)
    shown = [int(number) for number in chosen[offset : offset + limit]]
    corpus = look.follower.plan.corpus
    skipped = corpus.skipped if corpus is not None else ()
    return totals(look) | {
        "total": len(chosen),
        "offset": offset,
        "sources": [
            _row(known, number, bins)
            for number, bins in zip(shown, known.bins(shown) if shown else [], strict=True)
        ],
        "skipped_inputs": [
            {"path": one.source, "reason": short(redact_text(one.reason)), "chars": one.chars, "bytes": one.bytes}
            for one in skipped[:_SKIPPED]
        ],
        "skipped_total": len(skipped),
    }


def totals(look: Look) -> dict[str, int]:
    """`read`, `skipped`, `failed` and `unread` come to `chars`. `cited` and `searched` are parts of what is read,
    `planned` of what is unread; `skipped` are inputs that no slice covers."""
    known = ground(look)
    corpus = look.follower.plan.corpus
    if known is None or corpus is None:
        return dict.fromkeys(
            ("inputs", "chars", "read", "cited", "searched", "skipped", "failed", "unread", "planned"), 0
        )
    skipped = sum(skip.chars for skip in corpus.skipped)
    told = _numbers(known.by_source.sum(axis=0), int(known.cited.sum()))
    return {"inputs": len(known.sources), "chars": int(known.begins[-1]) + skipped, **told, "skipped": skipped}


def _numbers(by_state: Numbers, cited: int) -> dict[str, int]:
    return {
        "read": int(by_state[READ] + by_state[SEARCHED]),
        "cited": cited,
        "searched": int(by_state[SEARCHED]),
        "failed": int(by_state[FAILED]),
        "unread": int(by_state[UNREAD] + by_state[PLANNED]),
        "planned": int(by_state[PLANNED]),
    }


def _chosen(known: Ground, q: str, sort: str) -> Numbers:
    """The numbers of the sources that are asked for, in their order."""
    if q:
        wanted = q.casefold()
        numbers = [n for n, source in enumerate(known.sources) if wanted in source.path.casefold()]
        chosen = np.array(numbers, np.int64)
    else:
        chosen = np.arange(len(known.sources))
    by: dict[str, Numbers] = {
        "chars": np.diff(known.begins),
        "unread": known.by_source[:, UNREAD] + known.by_source[:, PLANNED],
        "findings": known.where.findings,
        "failed": known.by_source[:, FAILED],
    }
    return chosen[np.argsort(-by[sort][chosen], kind="stable")] if sort in by else chosen


def _row(known: Ground, number: int, bins: str) -> dict[str, Any]:
    source = known.sources[number]
    told = _numbers(known.by_source[number], int(known.cited[number]))
    findings = int(known.where.findings[number])
    return {
        "id": source.id,
        "path": source.path,
        "chars": source.chars,
        **told,
        "findings": findings,
        "bins": bins,
    }
