"""Searching the nodes of a graph by their words, in a time that does not grow with the graph.

Of each word of the question at most `_POSTINGS` nodes are looked at: a word that stands in more of them tells
little, and only helps to order what the others found. Scores are those of BM25 (Robertson and Zaragoza 2009). No
word of a question reaches the index's query language. This module knows words and numbers of nodes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Kind
from swarm.graph.rows import Row
from swarm.terms import STOP, WORD, spaced, stem, terms

_POSTINGS = 4_000
_COMMON = 800  # nodes; a word that stands in more is passed over where rarer ones have found enough
_WORDS = 24  # of a question
_CLOSER = 3  # times as many candidates are looked at as are wanted
_K1, _B, _MEAN = 1.2, 0.4, 18.0  # claims are short and differ little in length: b is low


def search(graph: SharedGraph, text: str, limit: int, kinds: Sequence[Kind] = ()) -> list[Row]:
    """The nodes that share most with `text`, best first."""
    return [row for row, _ in scored(graph, text, limit, kinds)]


def scored(graph: SharedGraph, text: str, limit: int, kinds: Sequence[Kind] = ()) -> list[tuple[Row, float]]:
    """As `search`, with scores."""
    words = _distinct(text)
    if not words or not graph.num or limit <= 0:
        return []
    nodes = max(len(graph), 1)
    postings = {term: _postings(graph, f'"{word}"') for term, word in words.items()}
    weights = {term: _idf(nodes, len(found)) for term, found in postings.items()}
    sums: dict[int, float] = defaultdict(float)
    enough = _CLOSER * limit
    for term, found in sorted(postings.items(), key=lambda one: len(one[1])):
        if len(found) >= _POSTINGS or (len(found) > _COMMON and len(sums) >= enough):
            continue
        for num in found:
            sums[num] += weights[term]
    common = [words[term] for term, found in postings.items() if len(found) >= _POSTINGS]
    if common and len(sums) < limit:
        for num in _together(graph, common):
            sums[num] += 0.01
    closer = sorted(sums, key=lambda num: (-sums[num], num))
    floor = sums[closer[enough]] if len(closer) > enough else 0.0
    closer = [num for num in closer[: 2 * enough] if sums[num] >= floor]  # equals are told apart by their score
    rows = [row for row in graph.rows(closer) if not kinds or row.kind in kinds]
    result = [(row, _score(row, weights)) for row in rows]
    result.sort(key=lambda one: (-one[1], one[0].id))
    return result[:limit]


def _distinct(text: str) -> dict[str, str]:
    """The words of a question that tell something, by their stems; all of them where none does."""
    words = WORD.findall(spaced(text))
    telling = [word for word in words if word.lower() not in STOP] or words
    found: dict[str, str] = {}
    for word in telling:
        found.setdefault(stem(word), word)
    return dict(list(found.items())[:_WORDS])


def _postings(graph: SharedGraph, query: str) -> list[int]:
    low, high = graph.range
    sql = "SELECT rowid FROM node_index WHERE node_index MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?"
    return [num for (num,) in graph.database.read(sql, (query, low, high, _POSTINGS))]


def _together(graph: SharedGraph, words: list[str]) -> list[int]:
    """Where the common words of a question stand together: all of them, or as many as can be had."""
    for count in range(len(words), 0, -1):
        found = _postings(graph, " AND ".join(f'"{word}"' for word in words[:count]))
        if found:
            return found
    return []


def _idf(nodes: int, found: int) -> float:
    return math.log(1 + (max(nodes, found) - found + 0.5) / (found + 0.5))


def _score(row: Row, weights: dict[str, float]) -> float:
    words = terms(f"{row.text} {row.more}" if row.kind == "finding" and row.more else row.text)
    norm = _K1 * (1 - _B + _B * len(words) / _MEAN)
    counts: dict[str, int] = defaultdict(int)
    for word in words:
        if word in weights:
            counts[word] += 1
    return sum(weights[term] * count * (_K1 + 1) / (count + norm) for term, count in counts.items())
