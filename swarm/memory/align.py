"""Which messages of a list are known already: the list may be the whole conversation, its last part, or what is
new.

The time that it takes grows with the list and not with the memory. It is told by digests alone; where messages lie
is asked for. This module knows hashes and places, not messages.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Protocol

SURE, SURE_CHARS = 3, 200
"""So many messages that are known in their order, with so many characters that tell, are no coincidence; nor is
one message of so many."""
_NEARLY_SURE, _NEARLY_SURE_CHARS = 2, 60
"""The same at the end of a memory, where a list most likely goes on."""
_FEW, _ANCHOR_CHARS = 3, 40
"""What stands in a memory more often, or more than once and is shorter, is looked for between others alone."""


class Known(Protocol):
    """What is remembered, as digests by their places, from 1."""

    def __len__(self) -> int: ...

    def digests(self, first: int, count: int) -> list[bytes]:
        """Those from the place `first` on, at most `count`."""

    def places(self, digest: bytes, limit: int) -> list[int]:
        """Where a digest stands, the latest place first."""

    def after(self, digest: bytes, place: int) -> int:
        """The first place after another at which a digest stands; 0 where there is none."""

    def told_by_system(self, first: int) -> int:
        """How many messages from the place `first` on are of the system."""


def aligned(given: Sequence[bytes], known: Known, tells: Sequence[int] = ()) -> list[int]:
    """The place of each message of a list that is known; 0 for those that are new. New ones follow in their order.

    A list that begins as the memory does goes on where that ends. Else messages that stand in the memory in the
    order of the list are known, where they are no coincidence; else what overlaps with the end of the memory.
    What comes after the last of them is new. A single message that says the same as the last one is therefore the
    last one, handed over again; and one that says when it was said, or is long, is known wherever it stands.

    `tells` are the characters of each message by which it is told apart: `SURE_CHARS` or more of one that says
    when it was said, or is long; 0 of what the system says, which is known wherever it stands. Without them each
    tells a third of what is needed. What is said in a few words is said again: where a list may be new, it is
    taken to be new, since a message that is kept twice is better than one that is lost.
    """
    tells = tells or [SURE_CHARS // SURE + 1] * len(given)
    found = _found(given, known, tells) if given and len(known) else [0] * len(given)
    for at, place in enumerate(found):
        if not place and not tells[at]:
            found[at] = next(iter(known.places(given[at], 1)), 0)
    return found


def _found(given: Sequence[bytes], known: Known, tells: Sequence[int]) -> list[int]:
    size = len(given)
    found = [0] * size
    head = _head(given, known)
    if size == 1 < len(known) and tells[0] < SURE_CHARS:
        head = 0  # it may begin as the memory does by chance
    found[:head] = range(1, head + 1)
    if head == size or head == len(known):
        return found
    if places := _in_order(given, known, tells, head, 1) or _in_order(given, known, tells, head, _FEW):
        for at, place in places.items():
            found[at] = place
        return found
    end, length = _overlap(given, known)
    if length and end > head:
        start = end - length
        before = [next(iter(known.places(given[at], 1)), 0) for at in range(head, start)]
        strange = any(tells[head + at] for at, place in enumerate(before) if not place)
        if not strange or _telling(tells[start:end], _NEARLY_SURE, _NEARLY_SURE_CHARS):
            found[head : max(start, head)] = before
            found[start:end] = range(len(known) - length + 1, len(known) + 1)
            head = end
    for at in range(head, size):
        if tells[at] >= SURE_CHARS:
            found[at] = next(iter(known.places(given[at], 1)), 0)
    return found


def _in_order(given: Sequence[bytes], known: Known, tells: Sequence[int], head: int, most: int) -> dict[int, int]:
    """The places of messages after the head that stand in the memory in the order of the list, with gaps where
    others came between; none where that may be chance. Between those that stand there at most so many times others
    are found, and after the last those that follow at once, or with which all that is in the memory is found."""
    found = _longest(given, known, tells, head, most)
    anchors = sorted(found)
    for at, until in zip([head - 1, *anchors], [*anchors, len(given)], strict=True):
        top = found.get(until, len(known) + 1)
        some, place = {}, found.get(at, head)
        for other in range(at + 1, until):
            if place < (next_one := known.after(given[other], place)) < top:
                some[other] = place = next_one
        if until == len(given) and _left_out(known, found.get(at, head), len(some)):
            some = {one: near for one, near in some.items() if near - one == found.get(at, head) - at}
        found |= some
    matched = [*tells[:head], *(tells[at] for at in found)]
    if not anchors or len(matched) < SURE or sum(matched) < SURE_CHARS:
        return {}
    for at in range(head, anchors[-1]):  # what was moved
        if at not in found and (places := _places(given[at], known, tells[at], most)):
            found[at] = places[0]
    return found


def _left_out(known: Known, place: int, count: int) -> bool:
    """Whether more than so many messages stand after a place, without those of the system."""
    after = len(known) - place
    return after > 2 * count + 2 or after - known.told_by_system(place + 1) > count


def _places(digest: bytes, known: Known, tells: int, most: int) -> list[int]:
    """Where a message stands that is told apart by more than the messages around it."""
    places = known.places(digest, most + 1)
    return places if len(places) == 1 or (len(places) <= most and tells >= _ANCHOR_CHARS) else []


def _longest(given: Sequence[bytes], known: Known, tells: Sequence[int], head: int, most: int) -> dict[int, int]:
    """The most messages after the head that stand in the memory in the order of the list, with their places."""
    ends: list[int] = []  # the least place at which so many in a row end
    chains: list[tuple[int, int, Any]] = []
    for at in range(head, len(given)):
        for place in _places(given[at], known, tells[at], most):
            length = bisect_left(ends, place)
            if place > head and place not in ends[length : length + 1]:
                ends[length : length + 1] = [place]
                chains[length : length + 1] = [(at, place, chains[length - 1] if length else None)]
    found: dict[int, int] = {}
    chain = chains[-1] if chains else None
    while chain is not None:
        at, place, chain = chain
        found[at] = place
    return found


def _telling(tells: Sequence[int], least: int, chars: int) -> bool:
    """Whether messages that are known in a row are known for more than by chance."""
    return (len(tells) >= least and sum(tells) >= chars) or any(one >= SURE_CHARS for one in tells)


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
