"""Ranking the passages of a corpus for a question: BM25 over the index's own lists of occurrences.

The index's built-in ranking counts over the whole store; here all counts are the corpus's own, so that the same
corpus gets the same scores whatever else the store holds. No word of a question ever reaches the index's query
language. This module knows ids of passages, not their text.

BM25: Robertson and Zaragoza 2009, "The probabilistic relevance framework".
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from swarm.store.database import Database
from swarm.task import TermStatistics
from swarm.terms import question_terms

K1, B = 1.2, 0.75
_CONTEXT_WEIGHT = 0.4  # an occurrence in the headings, against one in the text
_SQL_RANGES = 16  # more ranges of ids than this are told apart here rather than in SQL

Range = tuple[int, int]


class Ranker:
    """Ranks the passages whose ids lie in `ranges` (one a source, both ends included)."""

    def __init__(self, database: Database, ranges: Sequence[Range], paths: Sequence[str]) -> None:
        self._database, self._ranges, self._paths = database, ranges, paths
        self._merged = merged(ranges)

    def search(self, question: str, limit: int) -> list[tuple[int, float]]:
        """Ids and scores of the best passages, best first; ties in the order of the corpus."""
        lists = self._occurrences(question)
        if not any(lists.values()):
            return []
        lengths = self._lengths()
        count = len(lengths)
        mean = max(1.0, sum(lengths.values()) / max(1, count))
        norm = {id_: K1 * (1 - B + B * tokens / mean) for id_, tokens in lengths.items()}
        scores: dict[int, float] = {}
        for found in lists.values():
            idf = math.log(1 + (count - len(found) + 0.5) / (len(found) + 0.5))
            weight = idf * (K1 + 1)
            for id_, tf in found.items():
                scores[id_] = scores.get(id_, 0.0) + weight * tf / (tf + norm[id_])
        return self._best(scores, limit)

    def statistics(self, question: str) -> TermStatistics:
        lists = self._occurrences(question)
        lengths = self._lengths()
        mean = sum(lengths.values()) / len(lengths) if lengths else 0.0
        frequency = {term: len(found) for term, found in lists.items()}
        return TermStatistics(passages=len(lengths), mean_tokens=mean, frequency=frequency)

    def _best(self, scores: dict[int, float], limit: int) -> list[tuple[int, float]]:
        if limit <= 0:
            return []
        floor = heapq.nlargest(limit, scores.values())[-1]
        found = [(id_, score) for id_, score in scores.items() if score >= floor]
        found.sort(key=lambda pair: (-pair[1], pair[0]))
        return found[:limit]

    def _occurrences(self, question: str) -> dict[str, dict[int, float]]:
        """For each term of the question, how often each passage of the corpus holds it."""
        return {term: self._occurrences_of(term) for term in question_terms(question)}

    def _occurrences_of(self, term: str) -> dict[int, float]:
        where, bounds = "", []
        if len(self._merged) <= _SQL_RANGES:
            where = " AND (" + " OR ".join(["doc BETWEEN ? AND ?"] * len(self._merged)) + ")"
            bounds = [bound for pair in self._merged for bound in pair]
        rows = self._database.read(
            "SELECT doc, sum(CASE col WHEN 'text' THEN 1.0 ELSE ? END) FROM passage_terms "  # noqa: S608
            f"WHERE term = ?{where} GROUP BY doc",
            (_CONTEXT_WEIGHT, term, *bounds),
        )
        found: dict[int, float] = dict(rows)  # type: ignore[arg-type]
        if where:
            return found
        return {id_: tf for id_, tf in found.items() if within(self._merged, id_)}

    def _lengths(self) -> dict[int, int]:
        lengths: dict[int, int] = {}
        for first, last in self._merged:
            lengths.update(
                self._database.read("SELECT id, tokens FROM passages WHERE id BETWEEN ? AND ?", (first, last))
            )
        return lengths


def merged(ranges: Sequence[Range]) -> list[Range]:
    """The same ids in as few ranges as may be, in ascending order."""
    found: list[Range] = []
    for first, last in sorted(pair for pair in ranges if pair[0] <= pair[1]):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def within(ranges: Sequence[Range], id_: int) -> bool:
    """Whether an id lies in one of these ranges, which are in ascending order."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle][1] < id_:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low][0] <= id_
