"""Which sentences stand for a text: centrality in the graph of shared words, and no two that say the same.

LexRank (Erkan and Radev 2004) by power iteration, over the graph whose edges are the cosines of TF-IDF vectors;
the matrix is never built, so that the work grows with the words and not with the square of the sentences.
Redundancy is held down by maximal marginal relevance (Carbonell and Goldstein 1998). It knows bags of words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from swarm.terms import STOP, WORD, spaced, stem

_DAMPING, _ROUNDS = 0.85, 12
_ALIKE = 0.3  # how much likeness to what is chosen counts against a sentence

Floats = NDArray[np.float64]


class Bags:
    """Sentences as unit vectors over their words, rarer words weighing more."""

    def __init__(self, texts: Sequence[str]) -> None:
        index: dict[str, int] = {}
        rows, columns = [], []
        for row, text in enumerate(texts):
            for word in WORD.findall(spaced(text)):
                if word.lower() not in STOP:
                    rows.append(row)
                    columns.append(index.setdefault(stem(word), len(index)))
        self.count, self.words = len(texts), len(index)
        pairs, counts = np.unique(
            np.array(rows, dtype=np.int64) * max(1, self.words) + np.array(columns, dtype=np.int64),
            return_counts=True,
        )
        self.rows, self.columns = np.divmod(pairs, max(1, self.words))
        holding = np.bincount(self.columns, minlength=self.words)
        idf = np.log1p(self.count / np.maximum(1, holding))
        values = np.log1p(counts) * idf[self.columns]
        norms = np.sqrt(np.bincount(self.rows, values**2, minlength=self.count))
        self.values: Floats = values / np.maximum(norms, 1e-9)[self.rows]

    def project(self, weights: Floats) -> Floats:
        """The sum of the vectors, each times its weight."""
        return np.bincount(self.columns, self.values * weights[self.rows], minlength=self.words).astype(np.float64)

    def likeness(self, vector: Floats) -> Floats:
        """The product of each sentence with a vector over words."""
        return np.bincount(self.rows, self.values * vector[self.columns], minlength=self.count).astype(np.float64)

    def one(self, row: int) -> Floats:
        """The vector of one sentence."""
        only = np.zeros(self.count)
        only[row] = 1.0
        return self.project(only)

    def fullness(self, words: int) -> Floats:
        """From 0 to 1: how near each sentence comes to so many different words that are no stop words. What says
        little is near to everything, and stands for nothing."""
        return np.minimum(1.0, np.bincount(self.rows, minlength=self.count) / words)

    def centrality(self) -> Floats:
        """How much the others speak of what each speaks of; the highest is 1."""
        if not self.count:
            return np.zeros(0)
        # each is as like itself as can be, which says nothing: without that, a sentence that nothing is like keeps
        # all its weight
        itself = np.bincount(self.rows, self.values**2, minlength=self.count)
        degree = np.maximum(self.likeness(self.project(np.ones(self.count))) - itself, 1e-3)
        rank = np.full(self.count, 1.0 / self.count)
        for _ in range(_ROUNDS):
            given = rank / degree
            rank = (1 - _DAMPING) / self.count + _DAMPING * (self.likeness(self.project(given)) - itself * given)
        highest = float(rank.max())
        return rank / highest if highest > 0 else rank


def choose(bags: Bags, scores: Floats, sizes: Sequence[int], budget: int, most: int) -> list[int]:
    """Up to `most` rows, best first, of sizes within `budget`; what repeats the chosen falls back."""
    chosen: list[int] = []
    nearest = np.zeros(bags.count)
    left = np.array(sizes)
    open_rows = np.ones(bags.count, dtype=bool)
    while len(chosen) < most:
        open_rows &= left <= budget
        open_rows &= nearest < 0.8
        if not open_rows.any():
            break
        gain = np.where(open_rows, (1 - _ALIKE) * scores - _ALIKE * nearest, -np.inf)
        row = int(gain.argmax())
        chosen.append(row)
        budget -= int(left[row])
        open_rows[row] = False
        nearest = np.maximum(nearest, bags.likeness(bags.one(row)))
    return chosen
