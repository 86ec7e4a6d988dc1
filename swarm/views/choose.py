"""Choose what fits a budget and says most together: a submodular choice with a known bound.

The value of a set is the relevance of its members, the more of it the less from one place, and the words of the
question that it covers (Lin and Bilmes 2011, "A class of submodular functions for document summarization"). The
greedy choice by gain per token, or the best single item where that is worth more, has at least (1 - 1/e)/2 of the
best value there is (Leskovec et al. 2007, "Cost-effective outbreak detection", whose lazy evaluation it uses).
This module knows weights, not findings.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

TIRING = 8.0  # how fast findings from one place count less: the second that is surely relevant counts a third
_COVERING = 0.3  # what covering all words of the question is worth, against one finding that is surely relevant


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """What may be chosen. `place` is where it comes from, `terms` the words of the question that it holds."""

    cost: int
    relevance: float
    place: Hashable
    terms: frozenset[str] = frozenset()


def choose(items: Sequence[Item], budget: int, weights: Mapping[str, float] | None = None) -> list[int]:
    """The places in `items` of what is chosen, in the order of choice. `weights` are those of the terms; their sum
    is taken as 1."""
    fitting = [at for at, item in enumerate(items) if 0 < item.cost <= budget]
    if not fitting:
        return []
    value = _Value(items, weights or {})
    single = max(fitting, key=lambda at: (value.gain(at), -at))
    best_alone = value.gain(single)
    queue = [(-value.gain(at) / items[at].cost, at) for at in fitting]
    heapq.heapify(queue)
    chosen: list[int] = []
    left = budget
    while queue and left > 0:
        _, at = heapq.heappop(queue)
        if items[at].cost > left:
            continue
        ratio = -value.gain(at) / items[at].cost
        if queue and ratio > queue[0][0]:
            heapq.heappush(queue, (ratio, at))  # it gains less than it did: the next may be better
            continue
        value.take(at)
        chosen.append(at)
        left -= items[at].cost
    return chosen if value.total >= best_alone else [single]


class _Value:
    """The value of what was taken so far."""

    def __init__(self, items: Sequence[Item], weights: Mapping[str, float]) -> None:
        self.total = 0.0
        self._items = items
        whole = sum(weights.values()) or 1.0
        self._weights = {term: _COVERING * weight / whole for term, weight in weights.items()}
        self._from: dict[Hashable, float] = defaultdict(float)
        self._covered: set[str] = set()

    def gain(self, at: int) -> float:
        item = self._items[at]
        before = self._from[item.place]
        more = math.log1p(TIRING * (before + item.relevance)) - math.log1p(TIRING * before)
        return more + sum(self._weights.get(term, 0.0) for term in item.terms - self._covered)

    def take(self, at: int) -> None:
        item = self._items[at]
        self.total += self.gain(at)
        self._from[item.place] += item.relevance
        self._covered |= item.terms
