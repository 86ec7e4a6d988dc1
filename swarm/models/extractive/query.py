"""A question as the ranking sees it: weighted words, neighbouring pairs, names, and the kind of its answer.

Weights are inverse document frequencies over the whole corpus (Robertson and Zaragoza 2009, "The probabilistic
relevance framework: BM25 and beyond"), so that scores of different slices compare. It knows no passage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from swarm.names import Name, names
from swarm.task import TermStatistics
from swarm.terms import STOP, WORD, question_terms, spaced, stem, terms

_STEPS = re.compile(r"['’]s\b(?=\s)|\b(?:of|that|which|who|whose|where|whom|by)\b", re.IGNORECASE)
"""Each leads from one thing to another."""


@dataclass(frozen=True)
class Query:
    """A question, taken apart. `weights` holds the weight of each term, `pairs` neighbouring ones, `spoken` all
    its stems in order between blanks, and `mean_tokens` the size of a passage of the corpus."""

    text: str
    weights: Mapping[str, float]
    pairs: frozenset[tuple[str, str]]
    names: tuple[Name, ...]
    spoken: str
    mean_tokens: float

    @cached_property
    def total(self) -> float:
        return sum(self.weights.values()) or 1.0

    @cached_property
    def name_terms(self) -> frozenset[str]:
        """The terms that stand in a name."""
        return frozenset(term for name in self.names for term in question_terms(name.text))

    @cached_property
    def nested(self) -> float:
        """How much it looks like a question about something that another question has to find, from 0 to 1."""
        return min(1.0, len(_STEPS.findall(self.text)) / 3)

    def share(self, covered: Iterable[str]) -> float:
        """The part of the question's weight that these terms hold, from 0 to 1."""
        weights = self.weights
        return sum([weights.get(term, 0.0) for term in covered]) / self.total

    def name_share(self, covered: frozenset[str]) -> float:
        """The part of the weight of its names that these terms hold; of all its words where it has no names."""
        if not self.name_terms:
            return self.share(covered)
        whole = sum(self.weights.get(term, 0.0) for term in self.name_terms)
        return sum(self.weights[term] for term in self.name_terms & covered & self.weights.keys()) / (whole or 1.0)


def understand(question: str, statistics: TermStatistics, texts: Iterable[str] = ()) -> Query:
    """Take a question apart. Without statistics of the corpus, those of `texts` stand in."""
    words = question_terms(question)
    count, frequency = statistics.passages, dict(statistics.frequency)
    if not count:
        sets = [set(terms(text)) for text in texts]
        count = len(sets)
        frequency = {word: sum(word in one for one in sets) for word in words}
    told = tuple(names(question))
    named = frozenset(term for name in told for term in question_terms(name.text))
    # a name that the corpus does not hold tells much; any other word may be said differently there
    weights = {word: _idf(count, max(frequency.get(word, 0), int(word not in named))) for word in words}
    kept = [stem(word) for word in WORD.findall(spaced(question)) if word.lower() not in STOP]
    return Query(
        text=question,
        weights=weights,
        pairs=frozenset(pairwise(kept)),
        names=told,
        spoken=f" {' '.join(terms(question))} ",
        mean_tokens=statistics.mean_tokens or 150.0,
    )


def _idf(count: int, holding: int) -> float:
    if not count:
        return 1.0
    holding = min(holding, count)
    return math.log(1 + (count - holding + 0.5) / (holding + 0.5)) + 0.05
