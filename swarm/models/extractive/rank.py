"""Ranks what can be quoted for a question, on a scale from 0 to 1 that is the same in every slice.

It measures each sentence (`signals`) with its title, its neighbours and its passage. It knows words, not what is
true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from swarm.models.extractive.kinds import Kind, holds, kind_of
from swarm.models.extractive.query import Query
from swarm.models.extractive.records import Unit
from swarm.models.extractive.signals import READ, READ_BIAS, Signals, probability
from swarm.models.extractive.units import units
from swarm.source import Passage
from swarm.terms import WORD, spaced, stem, terms

_K1, _B = 1.2, 0.75
_SENTENCE = 25  # words of a usual sentence
_SHORT = 5  # words: a shorter sentence says little on its own
_CONTEXT = 0.4  # an occurrence in the headings, against one in the text


@dataclass(frozen=True, slots=True)
class Ranked:
    """A unit of a passage and how much it bears on the question, from 0 to 1."""

    passage: Passage
    unit: Unit
    relevance: float


def rank(query: Query, passages: Sequence[Passage], paths: Mapping[str, str]) -> list[Ranked]:
    """All units that share a word with the question, best first; ties in reading order."""
    kind = kind_of(query.text)
    ranked = [
        Ranked(passage, unit, probability(signals, READ, READ_BIAS))
        for passage in passages
        for unit, signals in measure(query, kind, passage, paths.get(passage.span.source, ""))
    ]
    ranked.sort(key=lambda r: (-r.relevance, r.passage.span.source, r.passage.span.start, r.unit.start))
    return ranked


def measure(query: Query, kind: Kind, passage: Passage, path: str) -> Iterator[tuple[Unit, Signals]]:
    """The units of a passage that share a word with the question, or whose title does, with their signals."""
    offered = units(passage, path)
    weights = query.weights
    sequences = [
        [stem(word) for word in WORD.findall(spaced(f"{u.key} {u.text}" if u.key else u.text))] for u in offered
    ]
    hits = [[word for word in sequence if word in weights] for sequence in sequences]
    own = [frozenset(hit) for hit in hits]
    context = frozenset(terms(passage.context)).intersection(weights)
    everything = context.union(*own)
    search = _passage_score(query, passage, hits, context)
    headings = headed(passage.context)
    before = object()
    for index, unit in enumerate(offered):
        first = unit.about != before
        if first:
            before = unit.about
            about = frozenset(terms(unit.about)).intersection(weights) | context
            named, share = spoken(query, [unit.title] if unit.title else headings)
        covered = own[index]
        if not covered and not about:
            continue
        placed = about - covered
        near = own[index - 1] | covered if index else covered
        near = (near | own[index + 1] if index + 1 < len(own) else near) - covered - placed
        rest = everything - near - covered - placed
        hit, length = hits[index], len(sequences[index])
        own_share = query.share(covered)
        title_share = query.share(placed)
        together = query.pairs.intersection(pairwise(hit)) if len(hit) > 1 else ()
        yield (
            unit,
            Signals(
                own=own_share,
                dense=own_share * 2.2 / (1 + _K1 * (1 - _B + _B * length / _SENTENCE)),
                title=title_share,
                near=query.share(near),
                rest=query.share(rest),
                pairs=min(1.0, sum([weights[a] + weights[b] for a, b in together]) / query.total),
                search=search,
                named=named,
                named_share=share,
                names=query.name_share(covered | placed),
                all=(own_share + title_share) ** 2,
                first=float(first),
                short=float(length < _SHORT and not unit.key),
                kind=float(holds(kind, unit.text)),
            ),
        )


def headed(context: str) -> list[str]:
    """The titles in a passage's context, the most telling last."""
    return [part.strip() for part in context.split(" > ") if part.strip()]


def spoken(query: Query, titles: Sequence[str]) -> tuple[float, float]:
    """Whether one of the titles is spoken of in the question, and the share of its weight that this title holds.

    A name of one word counts half, unless it is a name in the question too.
    """
    best = (0.0, 0.0)
    for title in titles:
        words = terms(title.split(" (")[0])
        if not words or f" {' '.join(words)} " not in query.spoken:
            continue
        telling = frozenset(words).intersection(query.weights)
        if telling:
            sure = 1.0 if len(words) > 1 or telling <= query.name_terms else 0.5
            best = max(best, (sure, sure * query.share(telling)))
    return best


def _passage_score(
    query: Query, passage: Passage, hits: Sequence[Sequence[str]], context: frozenset[str]
) -> float:
    """BM25 of the whole passage as a share of the most that the question allows."""
    counts: dict[str, float] = dict.fromkeys(context, _CONTEXT)
    for hit in hits:
        for word in hit:
            counts[word] = counts.get(word, 0.0) + 1.0
    norm = _K1 * (1 - _B + _B * passage.tokens / query.mean_tokens)
    score = sum([query.weights[word] * count * (_K1 + 1) / (count + norm) for word, count in counts.items()])
    return score / ((_K1 + 1) * query.total)
