"""Which messages of a list are known already: the list may be the whole conversation, its last part, or what is
new.

The time that it takes grows with the list and not with the memory. It is told by digests alone; where messages lie
is asked for. This module knows hashes and places, not messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

SURE = 3
"""So many known messages in a row, in the middle of a memory, are no coincidence."""
_TRIES = 16  # places of one digest that are looked at


class Known(Protocol):
    """What is remembered, as digests by their places, from 1."""

    def __len__(self) -> int: ...

    def digests(self, first: int, count: int) -> list[bytes]:
        """Those from the place `first` on, at most `count`."""

    def places(self, digest: bytes, limit: int) -> list[int]:
        """Where a digest stands, the latest place first."""


def aligned(given: Sequence[bytes], known: Known, sure: Sequence[bool] = ()) -> list[int]:
    """The place of each message of a list that is known; 0 for those that are new. New ones follow in their order.

    In that order: a list that begins as the memory does goes on where that ends; else what overlaps with the
    end of the memory is known; else, and of what follows, stretches that stand in the memory somewhere are
    known, where they are long enough to be no coincidence, or one of them is `sure` (it says itself when it was
    said). A single message that says the same as the last one is therefore the last one, handed over again.
    """
    size = len(given)
    found = [0] * size
    if not size or not len(known):
        return found
    head = _head(given, known)
    if size == 1 < len(known) and not any(sure):
        head = 0  # it may begin as the memory does by chance
    if head == size or head == len(known):
        return [*range(1, head + 1), *found[head:]]
    end, length = _overlap(given, known)
    if length and end > head:
        last = len(known)
        for step in range(length):
            found[end - 1 - step] = last - step
        start = end - length
        for at in range(start):
            found[at] = next(iter(known.places(given[at], 1)), 0) if at >= head else at + 1
        _middle(given, known, sure, found, end)
        return found
    found[:head] = range(1, head + 1)
    _middle(given, known, sure, found, head)
    return found


def _head(given: Sequence[bytes], known: Known) -> int:
    """How many messages both begin with."""
    at = 0
    while at < len(given):
        some = known.digests(at + 1, min(len(given) - at, max(64, at)))
        if not some:
            break
        for mine, theirs in zip(given[at:], some, strict=False):
            if mine != theirs:
                return at
            at += 1
    return at


def _overlap(given: Sequence[bytes], known: Known) -> tuple[int, int]:
    """Where in the list the longest stretch ends that is the end of the memory, and its length. Of several that
    are as long, the first: what follows is new."""
    count = min(len(given), len(known))
    tail = known.digests(len(known) - count + 1, count)
    if tail[-1] not in given:
        return 0, 0
    backward = [*reversed(tail), b"", *reversed(given)]
    lengths = _prefixes(backward)
    best, end = 0, 0
    for at in range(count + 1, len(backward)):
        if lengths[at] >= best:  # backward: the last that is met is the first in the list
            best, end = lengths[at], len(backward) - at
    return (end, best) if best else (0, 0)


def _prefixes(items: Sequence[bytes]) -> list[int]:
    """For each place how much of the beginning stands there again (the Z-function)."""
    found = [0] * len(items)
    left = right = 0
    for at in range(1, len(items)):
        size = min(right - at, found[at - left]) if at < right else 0
        while at + size < len(items) and items[size] == items[at + size]:
            size += 1
        found[at] = size
        if at + size > right:
            left, right = at, at + size
    return found


def _middle(given: Sequence[bytes], known: Known, sure: Sequence[bool], found: list[int], at: int) -> None:
    """Mark stretches of the list, from `at` on, that stand somewhere in the memory."""
    while at < len(given):
        best = (0, 0)
        for place in known.places(given[at], _TRIES):
            best = max(best, (_length(given, at, known, place), place))
        length, place = best
        if length >= SURE or any(sure[at : at + length]):
            for step in range(length):
                found[at + step] = place + step
            at += length
        else:
            at += 1


def _length(given: Sequence[bytes], at: int, known: Known, place: int) -> int:
    """How far the list, from `at` on, and the memory, from `place` on, are the same."""
    size = 0
    while at + size < len(given):
        some = known.digests(place + size, min(len(given) - at - size, max(8, size)))
        for mine, theirs in zip(given[at + size :], some, strict=False):
            if mine != theirs:
                return size
            size += 1
        if not some:
            break
    return size
