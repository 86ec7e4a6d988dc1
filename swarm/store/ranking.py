"""Ranking the passages of a corpus for a question: BM25 over the index's own lists of occurrences.

The index's built-in ranking counts over the whole store; here all counts are the corpus's own, so that the same
corpus gets the same scores whatever else the store holds. No word of a question ever reaches the index's query
language. This module knows ids of passages and their sizes, not their text.

BM25: Robertson and Zaragoza 2009, "The probabilistic relevance framework".
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from swarm import terms
from swarm.store.database import Database
from swarm.task import TermStatistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

K1, B = 1.2, 0.75
CONTEXT_WEIGHT = 0.4
"""An occurrence in the headings above a passage, against one in its text."""
PATH_WEIGHT = 0.5
"""A word of the question in the path of a source, against one in a text."""

_TERMS = 64  # whose occurrences are kept: follow-up questions share most of their words
_SQL_RANGES = 16  # ranges of ids up to which SQL sorts out the corpus; beyond, it is done here


class Held(NamedTuple):
    """A source of the corpus: its path, the ids of its passages (both ends included) and their tokens."""

    path: str
    first: int
    last: int
    lengths: bytes


class Ranker:
    """Ranks the passages of some sources. What it loads once serves every question about the same corpus."""

    def __init__(self, database: Database, sources: Sequence[Held]) -> None:
        import numpy as np

        self._database = database
        self._sources = sources
        order = sorted(range(len(sources)), key=lambda at: sources[at].first)
        by_id = [sources[at] for at in order]
        self._rank = np.array(order, dtype=np.int64)  # of each source, in the order of ids, within the corpus
        self._firsts = np.array([held.first for held in by_id], dtype=np.int64)
        self._lasts = np.array([held.last for held in by_id], dtype=np.int64)
        counts = self._lasts - self._firsts + 1
        self._offsets = np.concatenate(([0], np.cumsum(counts)[:-1])) if len(by_id) else counts
        self._lengths = np.frombuffer(b"".join(held.lengths for held in by_id), dtype=array("I").typecode)
        self._mean = float(self._lengths.mean()) if len(self._lengths) else 0.0
        self._ranges = _merged(by_id)
        self._found: tuple[str, dict[str, _Occurrences]] = ("", {})
        self._of_forms = lru_cache(_TERMS)(self._occurrences_of)
        self._named = lru_cache(_TERMS)(self._sources_named)
        self._places = {rank: at for at, rank in enumerate(order)}
        self._paths = [held.path.lower() for held in sources]

    def search(self, question: str, limit: int) -> list[tuple[int, float]]:
        """Ids and scores of the best passages, best first; equals in the order of the corpus."""
        import numpy as np

        found = self._occurrences(question)
        if limit <= 0 or not any(len(occurrences.at) for occurrences in found.values()):
            return []
        scores = np.zeros(len(self._lengths))
        norms = K1 * (1 - B + B * self._lengths / max(1.0, self._mean))
        for at, weights in found.values():
            weight = math.log(1 + (len(scores) - len(at) + 0.5) / (len(at) + 0.5)) * (K1 + 1)
            scores[at] += weight * weights / (weights + norms[at])
        self._prefer_paths(list(found), scores)
        best = np.flatnonzero(scores)
        if len(best) > limit:
            floor = np.partition(scores[best], len(best) - limit)[len(best) - limit]
            best = best[scores[best] >= floor]
        source = np.searchsorted(self._offsets, best, side="right") - 1
        best = best[np.lexsort((best, self._rank[source], -scores[best]))][:limit]
        source = np.searchsorted(self._offsets, best, side="right") - 1
        ids = best - self._offsets[source] + self._firsts[source]
        return list(zip(ids.tolist(), scores[best].tolist(), strict=True))

    def statistics(self, question: str) -> TermStatistics:
        frequency = {term: len(occurrences.at) for term, occurrences in self._occurrences(question).items()}
        return TermStatistics(passages=len(self._lengths), mean_tokens=self._mean, frequency=frequency)

    def _prefer_paths(self, question: list[str], scores: NDArray[np.float64]) -> None:
        """Raise the passages that were found in sources whose path holds words of the question."""
        for term in question:
            sources = self._named(term)
            if not sources:
                continue
            idf = math.log(1 + (len(self._sources) - len(sources) + 0.5) / (len(sources) + 0.5))
            for at in sources:
                begin = int(self._offsets[self._places[at]])
                part = scores[begin : begin + self._sources[at].last - self._sources[at].first + 1]
                part[part > 0] += PATH_WEIGHT * idf

    def _sources_named(self, term: str) -> list[int]:
        """The sources whose path holds a term. A stem keeps the first letters of its word, so that most paths need
        no closer look."""
        return [
            at
            for at, path in enumerate(self._paths)
            if (term[:3] in path or not path.isascii()) and term in terms.terms(path)
        ]

    def _occurrences(self, question: str) -> dict[str, _Occurrences]:
        """For each term of the question, the passages of the corpus that hold it."""
        if self._found[0] != question:
            words = _index_words(question)
            self._found = (question, {term: self._of_forms(tuple(forms)) for term, forms in words.items()})
        return self._found[1]

    def _occurrences_of(self, forms: tuple[str, ...]) -> _Occurrences:
        import numpy as np

        where, bounds = "", []
        if len(self._ranges) <= _SQL_RANGES:
            where = " AND (" + " OR ".join(["doc BETWEEN ? AND ?"] * len(self._ranges)) + ")"
            bounds = [bound for pair in self._ranges for bound in pair]
        rows: list[tuple[object, ...]] = []
        for form in forms if self._ranges else ():
            rows += self._database.read(
                "SELECT doc, sum(CASE col WHEN 'text' THEN 1.0 ELSE ? END) FROM passage_terms "  # noqa: S608
                f"WHERE term = ?{where} GROUP BY doc",
                (CONTEXT_WEIGHT, form, *bounds),
            )
        table = np.array(rows, dtype=np.float64).reshape(-1, 2)
        ids, weights = table[:, 0].astype(np.int64), table[:, 1]
        source = np.maximum(np.searchsorted(self._firsts, ids, side="right") - 1, 0)
        if not where and len(ids):
            within = (ids >= self._firsts[source]) & (ids <= self._lasts[source])
            ids, weights, source = ids[within], weights[within], source[within]
        at = self._offsets[source] + ids - self._firsts[source] if len(ids) else ids
        if len(forms) > 1:
            at, inverse = np.unique(at, return_inverse=True)
            weights = np.bincount(inverse, weights, minlength=len(at)).astype(np.float64)
        return _Occurrences(at, weights)


class _Occurrences(NamedTuple):
    """Places in the corpus, in the order of ids, and how much of a term stands at each."""

    at: NDArray[np.int64]
    weights: NDArray[np.float64]


def _merged(sources: Sequence[Held]) -> list[tuple[int, int]]:
    """The ids of sources, which are in ascending order, in as few ranges as may be."""
    ranges: list[tuple[int, int]] = []
    for held in sources:
        if ranges and held.first == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], held.last)
        else:
            ranges.append((held.first, held.last))
    return ranges


def _index_words(question: str) -> dict[str, list[str]]:
    """Each term of a question with the forms in which the index may hold it.

    The index's tokenizer and `terms` stem by the same rules, but for a few hundred words in a hundred thousand.
    """
    import apsw

    tokenizer = apsw.Connection(":memory:").fts5_tokenizer("porter", ["unicode61", "remove_diacritics", "2"])
    wanted = dict.fromkeys(terms.question_terms(question))
    forms: dict[str, list[str]] = {term: [] for term in wanted}
    for word in terms.WORD.findall(terms.spaced(question)):
        term = terms.stem(word)
        if term not in forms:
            continue
        for entry in tokenizer(word.encode(), apsw.FTS5_TOKENIZE_DOCUMENT, None, include_offsets=False):
            forms[term] += [str(form) for form in entry if form not in forms[term]]
    return forms
