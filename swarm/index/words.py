"""Ranking by words, for indexes that say which entries hold a word: BM25 with the counts of one space alone.

Of each word at most `POSTINGS` entries are looked at, so that the cost of a search does not grow with its
commonest word: one that stands in more tells little, and helps to order what rarer words found. Where all words
are common, those entries are looked at in which they stand together.

BM25: Robertson and Zaragoza 2009, "The probabilistic relevance framework". This module knows words and numbers of
entries, not where they are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

POSTINGS = 4_000
"""Entries of one word that are looked at."""
LOOKED_CHARS = 20_000
"""Of a long entry are looked at closely."""
WORDS = 32
"""Words of a query that are looked for: the rarest tell the most, so that of a longer one a sample is enough."""
_CLOSER, _AT_LEAST = 4, 100  # times as many are looked at closely as are wanted, and how many at the least
_AT_MOST = 600
_K1, _B = 1.2, 0.75
_CONTEXT = 0.4  # an occurrence in the context, against one in the text


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Of a space: its entries, and the mean length of their texts in characters."""

    entries: int
    mean_chars: float


class Words(Protocol):
    """A space of an index, asked for words. `word` is as `ranked` was given it."""

    def holding(self, words: Sequence[str]) -> list[int]:
        """The numbers of entries that hold all of these words, at most `POSTINGS`, in ascending order."""

    def extent(self) -> tuple[int, int]:
        """Between which numbers the entries of the space lie."""

    def texts(self, nums: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        """Texts and contexts of entries, each `LOOKED_CHARS` at the most."""


Stems = Callable[[str], Sequence[str]]
"""The words of a text, as the index has them."""


def ranked(
    space: Words, counts: Counts, words: Mapping[str, str], stems: Stems, limit: int
) -> list[tuple[int, float]]:
    """Numbers and scores of the best entries, best first. `words` are those of a query by their stems."""
    if limit <= 0 or not words or not counts.entries:
        return []
    wanted = dict(list(words.items())[:WORDS])
    postings = {stem: space.holding([word]) for stem, word in wanted.items()}
    low, high = space.extent()
    idf = {stem: _idf(counts.entries, _frequency(found, low, high)) for stem, found in postings.items()}
    looked = max(_AT_LEAST, min(_CLOSER * limit, _AT_MOST), limit)
    sums = _sums(postings, idf)
    common = [stem for stem, found in postings.items() if len(found) >= POSTINGS]
    if common and len(sums) < looked:
        for num in _together(space, [wanted[stem] for stem in sorted(common, key=lambda stem: -idf[stem])]):
            sums.setdefault(num, 0.0)
    best = sorted(sums, key=lambda num: (-sums[num], num))[:looked]
    texts = space.texts(best)
    scored = [(num, _score(texts[num], idf, counts.mean_chars, stems)) for num in best if num in texts]
    scored.sort(key=lambda one: (-one[1], one[0]))
    return scored[:limit]


def _sums(postings: Mapping[str, Sequence[int]], idf: Mapping[str, float]) -> dict[int, float]:
    """What the rarer words find."""
    sums: dict[int, float] = {}
    for stem, found in postings.items():
        if len(found) < POSTINGS:
            for num in found:
                sums[num] = sums.get(num, 0.0) + idf[stem]
    return sums


def _frequency(found: Sequence[int], low: int, high: int) -> float:
    """In how many entries a word stands; where not all were looked at, as many as those tell to expect."""
    if len(found) < POSTINGS:
        return len(found)
    return max(len(found), len(found) * (high - low) / max(1, found[-1] - low + 1))


def _together(space: Words, words: Sequence[str]) -> list[int]:
    """Where common words stand together: all of them, or as many as can be had, the rarest first."""
    for count in range(len(words), 0, -1):
        if found := space.holding(words[:count]):
            return found
    return []


def _idf(entries: int, frequency: float) -> float:
    return math.log(1 + (max(entries, frequency) - frequency + 0.5) / (frequency + 0.5))


def _score(entry: tuple[str, str], idf: Mapping[str, float], mean_chars: float, stems: Stems) -> float:
    text, context = entry
    held = Counter[str](dict.fromkeys(idf, 0))
    held.update(stem for stem in stems(text) if stem in idf)
    weights: dict[str, float] = dict(held)
    for stem in stems(context) if context else ():
        if stem in idf:
            weights[stem] += _CONTEXT
    norm = _K1 * (1 - _B + _B * len(text) / max(1.0, mean_chars))
    return sum(idf[stem] * weight * (_K1 + 1) / (weight + norm) for stem, weight in weights.items() if weight)
