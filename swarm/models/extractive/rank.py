"""Ranks what can be quoted for a question, on a scale from 0 to 1 that is the same in every slice.

A unit scores by the share of the question's weight that it covers: its own words in full, those of its title
nearly so, those of its neighbours and of the rest of its passage in part; neighbouring words of the question
that stand together count extra. It knows sentences and words, not what is true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from swarm.models.extractive.query import Query
from swarm.models.extractive.records import Unit
from swarm.models.extractive.units import units
from swarm.source import Passage
from swarm.terms import WORD, spaced, stem

_TITLE, _NEIGHBOUR, _PASSAGE = 0.9, 0.6, 0.4
_PAIR = 0.25
_SHORT = 5  # words: a shorter unit says little on its own


@dataclass(frozen=True, slots=True)
class Ranked:
    """A unit of a passage and how much it bears on the question, from 0 to 1."""

    passage: Passage
    unit: Unit
    relevance: float


def rank(query: Query, passages: Sequence[Passage], paths: Mapping[str, str]) -> list[Ranked]:
    """All units that share a word with the question, best first; ties in reading order."""
    ranked: list[Ranked] = []
    for passage in passages:
        ranked.extend(_of_passage(query, passage, paths.get(passage.span.source, "")))
    ranked.sort(key=lambda r: (-r.relevance, r.passage.span.source, r.passage.span.start, r.unit.start))
    return ranked


def _of_passage(query: Query, passage: Passage, path: str) -> list[Ranked]:
    offered = units(passage, path)
    sequences = [[stem(word) for word in WORD.findall(spaced(f"{u.key} {u.text}"))] for u in offered]
    own = [frozenset(s).intersection(query.weights) for s in sequences]
    context = frozenset(stem(w) for w in WORD.findall(spaced(passage.context))).intersection(query.weights)
    everything = frozenset().union(context, *own)
    titles: dict[str, frozenset[str]] = {}
    total = query.total or 1.0
    result = []
    for index, (unit, covered) in enumerate(zip(offered, own, strict=True)):
        if unit.about not in titles:
            titles[unit.about] = frozenset(stem(w) for w in WORD.findall(spaced(unit.about))).intersection(
                query.weights
            )
        placed = titles[unit.about] | context
        if not covered and not placed:
            continue
        near = frozenset().union(*own[max(0, index - 1) : index + 2])
        score = query.weight(covered)
        score += _TITLE * query.weight(placed - covered)
        score += _NEIGHBOUR * query.weight(near - covered - placed)
        score += _PASSAGE * query.weight(everything - near - covered - placed)
        words = [word for word in sequences[index] if word in query.weights]
        together = sum(
            min(query.weights[a], query.weights[b]) for a, b in query.pairs.intersection(pairwise(words))
        )
        relevance = score / total * (1 - _PAIR) + _PAIR * min(1.0, 2 * together / total)
        if len(sequences[index]) < _SHORT and not unit.key:
            relevance *= 0.6
        result.append(Ranked(passage, unit, min(1.0, relevance)))
    return result
