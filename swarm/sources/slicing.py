"""Packing passages into slices that fit a window.

A slice is a run of passages; neighbours of one source become one span. Sizes are o200k tokens. This module
knows passages and their tokens; not prompts, nor models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from swarm.source import Corpus, Passage, Span
from swarm.sources.units import cut_before
from swarm.store.library import Library

Packed = tuple[tuple[Span, ...], int]
"""The spans of a slice, and their tokens with what joining and naming them costs."""

_OVERHEAD = 24  # tokens of the tag that names a source
_LAST_QUARTER = 0.75


def pack(passages: Iterable[Passage], budget: int, *, overhead: int = _OVERHEAD) -> Iterator[Packed]:
    """Fill slices of at most `budget` tokens, ending each at the strongest cut in its last quarter.

    Joining two texts can add a token, so each passage counts one more than its own; naming a source counts
    `overhead`. A single passage that is larger than the budget makes a slice alone: halve it.
    """
    held: list[Passage] = []
    costs: list[int] = []
    total = 0
    for passage in passages:
        cost = _cost(held[-1] if held else None, passage, overhead)
        while held and total + cost > budget:
            at = _end(held, costs, passage, budget)
            yield _packed(held[:at], overhead)
            held = held[at:]
            costs = [_cost(held[i - 1] if i else None, p, overhead) for i, p in enumerate(held)]
            total = sum(costs)
            cost = _cost(held[-1] if held else None, passage, overhead)
        held.append(passage)
        costs.append(cost)
        total += cost
    if held:
        yield _packed(held, overhead)


def _cost(before: Passage | None, passage: Passage, overhead: int) -> int:
    fresh = before is None or before.span.source != passage.span.source
    return passage.tokens + 1 + (overhead if fresh else 0)


def _end(held: list[Passage], costs: list[int], following: Passage, budget: int) -> int:
    """How many of the held passages make the slice: up to the strongest cut in its last quarter, the latest of
    equals."""
    best, strength = len(held), following.cut
    total = sum(costs)
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
    for passage in held:
        span = passage.span
        tokens += passage.tokens + 1
        if spans and spans[-1].source == span.source and spans[-1].end == span.start:
            spans[-1] = Span(span.source, spans[-1].start, span.end)
        else:
            if not spans or spans[-1].source != span.source:
                tokens += overhead
            spans.append(span)
    return tuple(spans), tokens


def by_source(
    corpus: Corpus, passages: Iterable[Passage], budget: int, *, overhead: int = _OVERHEAD
) -> Iterator[Packed]:
    """One slice an input; several where it is larger than the budget."""
    for _, group in groupby(passages, key=lambda passage: passage.span.source):
        yield from pack(group, budget, overhead=overhead)


def by_record(
    corpus: Corpus, passages: Iterable[Passage], budget: int, *, overhead: int = _OVERHEAD
) -> Iterator[Packed]:
    """One slice a record, a function or a section; several where it is larger than the budget.

    Give it `library.records(corpus)`: small records share a passage in `library.passages(corpus)`.
    """
    held: list[Passage] = []
    for passage in passages:
        if held and passage.cut >= 2:
            yield from pack(held, budget, overhead=overhead)
            held = []
        held.append(passage)
    yield from pack(held, budget, overhead=overhead)


def halve(spans: tuple[Span, ...], library: Library) -> tuple[tuple[Span, ...], tuple[Span, ...]] | None:
    """Two about equal parts of a slice that was too long; None where a single character is left.

    Cut between passages where there are several, else after a sentence or a word.
    """
    passages = library.passages_in(spans)
    if not passages:
        return None
    if len(passages) == 1:
        span, text = passages[0].span, passages[0].text
        if len(text) < 2:
            return None
        at = span.start + cut_before(text, -(-len(text) // 2))
        return (Span(span.source, span.start, at),), (Span(span.source, at, span.end),)
    half, total = sum(p.tokens for p in passages) / 2, 0
    for at, passage in enumerate(passages):
        total += passage.tokens
        if total >= half:
            break
    at = min(max(1, at if total - half > passage.tokens / 2 else at + 1), len(passages) - 1)
    return _packed(passages[:at], 0)[0], _packed(passages[at:], 0)[0]
