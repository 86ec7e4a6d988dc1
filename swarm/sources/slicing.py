"""Packing passages into slices that fit a window, and halving a slice that did not.

A slice is a run of passages; neighbours of one source become one span. Sizes are o200k tokens, with what it costs
to join texts and to name their sources. This module knows passages and their sizes; not prompts, nor models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from swarm.source import Corpus, Passage, Span
from swarm.sources.units import RECORDS, WITHIN, cut_near_middle
from swarm.store.library import Library
from swarm.tokens import o200k

Packed = tuple[tuple[Span, ...], int]
"""The spans of a slice, and their tokens."""

OVERHEAD = 24
"""Tokens of the tag that names a source, unless told otherwise."""

_LAST_QUARTER = 0.75


def pack(
    passages: Iterable[Passage], budget: int, *, overhead: int = OVERHEAD, library: Library | None = None
) -> Iterator[Packed]:
    """Fill slices of at most `budget` tokens, ending each at the strongest cut in its last quarter.

    Each passage counts one token more than its own, which is what joining it can add, and each source in a slice
    `overhead`. A passage that is larger than the budget is cut into pieces that fit where a library is given to
    read it from; else it makes a slice alone, which is then larger than the budget: `halve` it.
    """
    held: list[Passage] = []
    costs: list[int] = []
    total = 0
    for passage in _fitting(passages, budget - overhead - 1, library):
        cost = _cost(held[-1] if held else None, passage, overhead)
        while held and total + cost > budget:
            at = _end(held, costs, total, passage.cut, budget)
            yield _packed(held[:at], overhead)
            held, costs = held[at:], costs[at:]
            if held:
                costs[0] = _cost(None, held[0], overhead)
            total = sum(costs)
            cost = _cost(held[-1] if held else None, passage, overhead)
        held.append(passage)
        costs.append(cost)
        total += cost
    if held:
        yield _packed(held, overhead)


def by_source(
    corpus: Corpus,  # noqa: ARG001 - called like the others, though the passages already come source by source
    passages: Iterable[Passage],
    budget: int,
    *,
    overhead: int = OVERHEAD,
    library: Library | None = None,
) -> Iterator[Packed]:
    """One slice an input; several where it is larger than the budget."""
    for _, group in groupby(passages, key=lambda passage: passage.span.source):
        yield from pack(group, budget, overhead=overhead, library=library)


def by_record(
    corpus: Corpus,  # noqa: ARG001 - as above
    passages: Iterable[Passage],
    budget: int,
    *,
    overhead: int = OVERHEAD,
    library: Library | None = None,
) -> Iterator[Packed]:
    """One slice a record, function, list item or section; several where it is larger than the budget.

    Give it `library.records(corpus)`: in `library.passages(corpus)` small records share a passage.
    """
    held: list[Passage] = []
    for passage in passages:
        if held and passage.cut >= RECORDS:
            yield from pack(held, budget, overhead=overhead, library=library)
            held = []
        held.append(passage)
    yield from pack(held, budget, overhead=overhead, library=library)


def halve(spans: tuple[Span, ...], library: Library) -> tuple[tuple[Span, ...], tuple[Span, ...]] | None:
    """Two about equal parts of a slice that was too long; None where a single character is left.

    Between passages where there are several, at the strongest cut near the middle; else after a sentence, a line
    or a word.
    """
    passages = library.passages_in(spans)
    if not passages:
        return None
    if len(passages) == 1:
        halves = _halved(passages[0])
        return ((halves[0].span,), (halves[1].span,)) if halves else None
    at = _middle(passages)
    return _packed(passages[:at], 0)[0], _packed(passages[at:], 0)[0]


def _middle(passages: list[Passage]) -> int:
    """The number of the passage that begins the second half."""
    total = sum(passage.tokens for passage in passages)
    before, best, key = 0, 1, (-1, 0.0)
    for at, passage in enumerate(passages[1:], start=1):
        before += passages[at - 1].tokens
        off = abs(before / max(1, total) - 0.5)
        # the strongest cut between 3/8 and 5/8, or what comes closest to the middle
        new = (passage.cut, -off) if off <= 0.125 else (-1, -off - 1)
        if at == 1 or new > key:
            best, key = at, new
    return best


def tokens_of(passages: Iterable[Passage], overhead: int = OVERHEAD) -> int:
    """The tokens of a slice that is made of these passages."""
    return _packed(list(passages), overhead)[1]


def _cost(before: Passage | None, passage: Passage, overhead: int) -> int:
    fresh = before is None or before.span.source != passage.span.source
    return passage.tokens + 1 + (overhead if fresh else 0)


def _end(held: list[Passage], costs: list[int], total: int, following: int, budget: int) -> int:
    """How many of the held passages make the slice: as many as reach the strongest cut of its last quarter, the
    latest of equals; `following` is the cut behind them all."""
    best, strength = len(held), following
    for at in range(len(held) - 1, 0, -1):
        total -= costs[at]
        if total < budget * _LAST_QUARTER:
            break
        if held[at].cut > strength:
            best, strength = at, held[at].cut
    return best


def _packed(held: list[Passage], overhead: int) -> Packed:
    spans: list[Span] = []
    tokens = 0
    before: Passage | None = None
    for passage in held:
        tokens += _cost(before, passage, overhead)
        before, span = passage, passage.span
        if spans and spans[-1].source == span.source and spans[-1].end == span.start:
            spans[-1] = Span(span.source, spans[-1].start, span.end)
        else:
            spans.append(span)
    return tuple(spans), tokens


def _fitting(passages: Iterable[Passage], budget: int, library: Library | None) -> Iterator[Passage]:
    """The passages, with those that are larger than the budget in pieces."""
    for passage in passages:
        if passage.tokens <= budget or library is None:
            yield passage
            continue
        todo = [replace(passage, text=library.text(passage.span))]
        while todo:
            piece = todo.pop()
            halves = _halved(piece) if piece.tokens > budget else None
            if halves:
                todo.extend(reversed(halves))
            else:
                yield replace(piece, text="")


def _halved(passage: Passage) -> tuple[Passage, Passage] | None:
    """A passage, whose text is given, in two."""
    span, text = passage.span, passage.text
    if len(text) < 2:
        return None
    at = cut_near_middle(text)
    first, second = text[:at], text[at:]
    return (
        replace(passage, span=Span(span.source, span.start, span.start + at), tokens=o200k(first), text=first),
        replace(
            passage,
            span=Span(span.source, span.start + at, span.end),
            tokens=o200k(second),
            text=second,
            cut=WITHIN,
        ),
    )
