"""What was found, as the judge and the answer weigh it: findings scored anew for the question, and their links.

A finding links to another when it names what the other is about (its title), and the question does not: that is
how an answer that takes two steps is put together from two places. It knows what was shown, and nothing of
what was not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from swarm.models.extractive.query import Query, names
from swarm.prompts.typed import Shown
from swarm.terms import terms

_TITLE = 0.9
_LINK = 0.75  # what a step costs: evidence at the end of a link counts this much of it
_STEPS = 2


@dataclass(slots=True)
class Evidence:
    """One shown finding: the terms of the question it covers, what it is about, whom it names, and its score."""

    shown: Shown
    text: str
    title: str
    own: frozenset[str]
    placed: frozenset[str]
    title_terms: tuple[str, ...]
    names: dict[tuple[str, ...], str]
    direct: float
    score: float
    source: Evidence | None = None

    @property
    def covered(self) -> frozenset[str]:
        return self.own | self.placed


def weigh(query: Query, shown: Sequence[Shown]) -> list[Evidence]:
    """The findings with their scores, best first: direct ones, and those that a link leads to."""
    found = [_one(query, one) for one in shown]
    asked = frozenset(query.weights)
    for _ in range(_STEPS):
        by_title: dict[tuple[str, ...], list[Evidence]] = {}
        for item in found:
            if item.title_terms and not asked.issuperset(item.title_terms):
                by_title.setdefault(item.title_terms, []).append(item)
        for item in sorted(found, key=lambda one: -one.score)[:24]:
            for name in item.names:
                for other in by_title.get(name, ()):
                    if other.title_terms == item.title_terms:
                        continue
                    joint = query.weight(item.covered | other.own) / (query.total or 1.0)
                    score = _LINK * max(item.score, joint)
                    if score > other.score and item.source is not other:
                        other.score, other.source = score, item
    found.sort(key=lambda one: (-one.score, one.shown.label))
    return found


def bare(title: str) -> tuple[str, ...]:
    """A title as the words by which it is spoken of: without what stands in parentheses."""
    return tuple(terms(title.split(" (")[0]))


def _one(query: Query, shown: Shown) -> Evidence:
    title = shown.finding.subject or shown.context.split("\n")[-1]
    text = shown.finding.claim
    own = frozenset(terms(text)).intersection(query.weights)
    placed = frozenset(terms(f"{title} {shown.context}")).intersection(query.weights) - own
    total = query.total or 1.0
    sequence = [word for word in terms(text) if word in query.weights]
    together = sum(
        min(query.weights[a], query.weights[b]) for a, b in query.pairs.intersection(pairwise(sequence))
    )
    direct = 0.75 * (query.weight(own) + _TITLE * query.weight(placed)) / total + 0.25 * min(
        1.0, 2 * together / total
    )
    named = {tuple(terms(name)): name for name in names(text)}
    return Evidence(
        shown=shown,
        text=text,
        title=title,
        own=own,
        placed=placed,
        title_terms=bare(title),
        names=named,
        direct=direct,
        score=max(direct, shown.finding.relevance * 0.75),
    )
