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
from swarm.models.extractive.signals import READ, READ_BIAS, SHORT, Signals, density, probability
from swarm.models.extractive.units import joined, units
from swarm.source import Passage, Span
from swarm.terms import terms

_K1, _B = 1.2, 0.75
_CONTEXT = 0.4  # an occurrence in the headings, against one in the text


@dataclass(frozen=True, slots=True)
class Ranked:
    """A unit, how much it bears on the question, from 0 to 1, where it stands, and its raw text."""

    unit: Unit
    relevance: float
    place: Span
    quote: str


def rank(query: Query, passages: Sequence[Passage], paths: Mapping[str, str]) -> list[Ranked]:
    """All units that share a word with the question, best first; ties in reading order."""
    kind = kind_of(query.text)
    ranked = []
    for run in joined(passages):
        text, first = "".join([passage.text for passage in run]), run[0].span
        for unit, signals in measure(query, kind, run, text, paths.get(first.source, "")):
            place = Span(first.source, first.start + unit.start, first.start + unit.end)
            relevance = probability(signals, READ, READ_BIAS)
            ranked.append(Ranked(unit, relevance, place, text[unit.start : unit.end]))
    ranked.sort(key=lambda r: (-r.relevance, r.place))
    return ranked


def measure(
    query: Query, kind: Kind, run: Sequence[Passage], text: str, path: str
) -> Iterator[tuple[Unit, Signals]]:
    """The units of a run of passages that share a word with the question, or whose title does, with their signals.

    `text` is that of the whole run.
    """
    context = run[0].context
    offered = units(text, path, context)
    weights = query.weights
    words = [terms(f"{unit.key} {unit.text}" if unit.key else unit.text) for unit in offered]
    hits = [[word for word in sequence if word in weights] for sequence in words]
    own = [frozenset(hit) for hit in hits]
    above = frozenset(terms(context)).intersection(weights)
    headings = headed(context)
    before: str | None = None
    piece, end = -1, 0
    for index, unit in enumerate(offered):
        if unit.start >= end:
            # the passage that this unit begins in, and what the whole of it holds
            while unit.start >= end and piece + 1 < len(run):
                piece += 1
                end = run[piece].span.end - run[0].span.start
            inside = [i for i in range(index, len(offered)) if offered[i].start < end]
            everything = above.union(*[own[i] for i in inside])
            search = _passage_score(query, run[piece].tokens, [hits[i] for i in inside], above)
        first = unit.about != before
        if first:
            before = unit.about
            about = frozenset(terms(unit.about)).intersection(weights) | above
            named, share = spoken(query, [unit.title] if unit.title else headings)
        covered = own[index]
        if not covered and not about:
            continue
        placed = about - covered
        near = own[index - 1] if index else frozenset()
        near = (near | own[index + 1] if index + 1 < len(own) else near) - covered - placed
        hit, length = hits[index], len(words[index])
        own_share = query.share(covered)
        title_share = query.share(placed)
        together = query.pairs.intersection(pairwise(hit)) if len(hit) > 1 else ()
        yield (
            unit,
            Signals(
                own=own_share,
                dense=own_share * density(length),
                title=title_share,
                near=query.share(near),
                rest=query.share(everything - near - covered - placed),
                pairs=min(1.0, sum([weights[a] + weights[b] for a, b in together]) / query.total),
                search=search,
                named=named,
                named_share=share,
                names=query.name_share(covered | placed),
                all=(own_share + title_share) ** 2,
                first=float(first),
                short=float(length < SHORT and not unit.key),
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


def _passage_score(query: Query, tokens: int, hits: Sequence[Sequence[str]], above: frozenset[str]) -> float:
    """BM25 of a whole passage as a share of the most that the question allows."""
    counts: dict[str, float] = dict.fromkeys(above, _CONTEXT)
    for hit in hits:
        for word in hit:
            counts[word] = counts.get(word, 0.0) + 1.0
    norm = _K1 * (1 - _B + _B * tokens / query.mean_tokens)
    score = sum([query.weights[word] * count * (_K1 + 1) / (count + norm) for word, count in counts.items()])
    return score / ((_K1 + 1) * query.total)
