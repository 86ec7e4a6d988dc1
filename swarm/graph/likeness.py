"""Findings that may say the same in other words, by embeddings: candidates for a model to judge, and no more
than that.

Likeness of meaning proposes; it never folds. Pairs whose numbers, dates or negations differ are not proposed at
all. The embeddings are the user's: a function from texts to vectors. This module knows vectors, not where they
come from.
"""

from __future__ import annotations

import json

from swarm.claims import Claim
from swarm.graph.disputes import verdict_on
from swarm.graph.graph import SharedGraph
from swarm.graph.rows import Row
from swarm.graph.twins import facts_of
from swarm.index.base import Embed, vectors_of

__all__ = ["LEAST", "Embed", "proposed"]

LEAST = 0.85
"""The cosine from which two findings are proposed: paraphrases of one sentence mostly lie above it."""
_DENIALS = frozenset("not no never none neither nor without cannot fail failed lack unless except".split())
_COMPARED = 400  # findings whose vectors are compared: the most relevant


def proposed(graph: SharedGraph, embed: Embed, limit: int) -> list[tuple[Row, Row]]:
    """Pairs that no model has judged, the most alike first, at most `limit`.

    Raises:
        UsageError, IndexFailed: as `vectors_of`.
    """
    import numpy as np

    best = graph.best_rows(_COMPARED)
    embedded = zip(best, vectors_of(embed, [_said(row) for row in best]), strict=True)
    pairs = [(row, vector) for row, vector in embedded if vector is not None]
    if len(pairs) < 2:
        return []
    rows, vectors = [row for row, _ in pairs], np.asarray([vector for _, vector in pairs], dtype=np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = np.triu(unit @ unit.T, k=1)
    found: list[tuple[float, Row, Row]] = []
    for one, other in np.argwhere(likeness >= LEAST):
        pair = sorted((rows[one], rows[other]), key=lambda row: row.id)
        fixed = {_fixed(facts_of(row).claim) for row in pair}
        if len(fixed) == 1 and verdict_on(graph, *pair) is None:
            found.append((float(likeness[one, other]), pair[0], pair[1]))
    found.sort(key=lambda one: (-one[0], one[1].id, one[2].id))
    return [(one, other) for _, one, other in found[:limit]]


def _fixed(claim: Claim) -> tuple[object, ...]:
    """What no other wording may change: the numbers and dates, and how often the claim denies."""
    return (*sorted(claim.numbers), sum(word in _DENIALS for word in claim.words))


def _said(row: Row) -> str:
    subject = (json.loads(row.more) if row.more else [None])[0]
    return f"{subject}: {row.text}" if subject and subject.casefold() not in row.text.casefold() else row.text
