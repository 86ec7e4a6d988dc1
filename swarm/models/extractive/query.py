"""A question as the ranking sees it: weighted words, neighbouring pairs, names, and the kind of answer.

Weights are inverse document frequencies over the whole corpus (Robertson and Zaragoza 2009, "The probabilistic
relevance framework: BM25 and beyond"), so that scores of different slices compare. It knows no passage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from swarm.task import TermStatistics
from swarm.terms import STOP, WORD, question_terms, spaced, stem, terms

_JOINERS = frozenset(
    "of the de von van bin ibn al la le du der den di da del el y e st in and for on to at".split()
)
_QUOTED = re.compile(r"[\"“«]([^\"”»]{2,80})[\"”»]")


@dataclass(frozen=True, slots=True)
class Query:
    """A question, taken apart. `weights` holds the weight of each term, `pairs` neighbouring terms."""

    text: str
    weights: Mapping[str, float]
    pairs: frozenset[tuple[str, str]]
    names: tuple[str, ...]

    @property
    def total(self) -> float:
        return sum(self.weights.values())

    def weight(self, covered: Iterable[str]) -> float:
        """The sum of the weights of these terms."""
        return sum(self.weights.get(term, 0.0) for term in covered)


def understand(question: str, statistics: TermStatistics, texts: Iterable[str] = ()) -> Query:
    """Take a question apart. Without statistics of the corpus, those of `texts` stand in."""
    words = question_terms(question)
    count, frequency = statistics.passages, dict(statistics.frequency)
    if not count:
        sets = [set(terms(text)) for text in texts]
        count = len(sets)
        frequency = {word: sum(word in one for one in sets) for word in words}
    weights = {word: _idf(count, frequency.get(word, 0)) for word in words}
    kept = [stem(word) for word in WORD.findall(spaced(question)) if word.lower() not in STOP]
    return Query(
        text=question,
        weights=weights,
        pairs=frozenset(pairwise(kept)),
        names=tuple(names(question)),
    )


def _idf(count: int, holding: int) -> float:
    if not count:
        return 1.0
    holding = min(holding, count)
    return math.log(1 + (count - holding + 0.5) / (holding + 0.5)) + 0.05


def names(text: str) -> list[str]:
    """What looks like a proper name or a quoted title, in order, without repeats."""
    found = [match.group(1).strip() for match in _QUOTED.finditer(text)]
    run: list[str] = []
    pending: list[str] = []
    last_end = 0
    first = True
    for match in re.finditer(r"[^\W_]+(?:['’.\-&][^\W_]+)*", text):
        word = match.group()
        gap = text[last_end : match.start()]
        last_end = match.end()
        broken = bool(gap.strip()) and gap.strip() not in (".", "-")
        sentence_start = first or gap.strip() in (".", "?", "!")
        if gap.strip() == "." and run and len(run[-1]) > 2:
            broken = True
        first = False
        if broken:
            _close(run, found)
            run, pending = [], []
        capital = word[0].isupper() or (word[0].isdigit() and bool(run))
        if capital and not (sentence_start and word.lower() in STOP):
            run += [*pending, word]
            pending = []
        elif run and word.lower() in _JOINERS and len(pending) < 2:
            pending.append(word)
        else:
            _close(run, found)
            run, pending = [], []
    _close(run, found)
    return list(dict.fromkeys(found))


def _close(run: list[str], found: list[str]) -> None:
    while run and run[0].lower() in STOP and len(run) > 1:
        run = run[1:]
    if run and not (len(run) == 1 and (len(run[0]) < 3 or run[0].lower() in STOP)):
        found.append(" ".join(run))
