"""Several rankings as one, by their places alone: scores of different scales need no common measure.

Reciprocal rank fusion: Cormack, Clarke and Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and
individual rank learning methods". This module knows names and places, not what is ranked.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

K = 60
"""What is added to a place: with more, the first places count less. The value is that of the paper."""


def fused(rankings: Iterable[Sequence[T]], weights: Sequence[float] | None = None) -> list[tuple[T, float]]:
    """All that is in any of the rankings, each best first, with its score, best first. Equals come in the order of
    the first ranking that has them. `weights` are those of the rankings, None: all count alike.

    >>> fused([["a", "b"], ["b", "c"]])[0][0]
    'b'
    """
    scores: dict[T, float] = {}
    for number, ranking in enumerate(rankings):
        weight = 1.0 if weights is None else weights[number]
        for place, one in enumerate(dict.fromkeys(ranking), start=1):
            scores[one] = scores.get(one, 0.0) + weight / (K + place)
    return sorted(scores.items(), key=lambda one: -one[1])
