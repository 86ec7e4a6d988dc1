"""From units to passages: small neighbours of one section are merged, what is too long is split.

A passage is what the search finds and what slices are packed from: long enough to read on its own, short
enough to be quoted. This module knows units and sizes, not files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from swarm.sources.units import RECORDS, WITHIN, Unit, split
from swarm.store.intake import Draft
from swarm.tokens import o200k

ENOUGH = 600
"""Characters: a passage of this size takes no more."""
FULL = 900
"""Characters: none grows past this by merging, nor is a piece of a split longer."""
WHOLE = 1_500
"""Characters: one unit of up to this size is kept whole."""
TINY = 40
"""Characters: what is no larger says little alone, and goes with what follows in the same section."""
SMALL = 200
"""Characters: a record up to this size shares its passage with others."""


def drafts(units: Iterable[Unit], seen: Callable[[str], str] | None = None) -> Iterator[Draft]:
    """Passages that tile the text of `units`, in order; `seen` makes of a text what the search is to see."""
    held: list[Unit] = []
    size = 0
    only_headings = True
    for unit in units:
        if not unit.text:
            continue
        if held and not _joins(held[-1], size, only_headings, unit):
            yield from _made(held, seen)
            held, size, only_headings = [], 0, True
        held.append(unit)
        size += len(unit.text)
        only_headings = only_headings and unit.kind == "heading"
    if held:
        yield from _made(held, seen)


def _joins(last: Unit, size: int, only_headings: bool, unit: Unit) -> bool:
    """Whether `unit` goes into the passage that is being filled, whose size and last unit these are."""
    if unit.text.isspace():
        return size + len(unit.text) <= WHOLE
    if only_headings:
        return size <= ENOUGH
    length = len(unit.text)
    if unit.cut > RECORDS or unit.kind == "heading":
        return False
    if size <= TINY:
        return size + length <= WHOLE
    if unit.context != last.context:
        return False
    if unit.kind == "record" and (length > SMALL or len(last.text) > SMALL):
        return False
    if size < ENOUGH and size + length <= FULL:
        return True
    return size < SMALL and size + length <= WHOLE


def _made(held: list[Unit], seen: Callable[[str], str] | None) -> Iterator[Draft]:
    """The held units as one passage, or as several where they are too long."""
    first, last = held[0], held[-1]
    text = first.text if len(held) == 1 else "".join([unit.text for unit in held])
    records, marks = _places(held) if len(held) > 1 else ((), first.marks)
    if len(text) <= WHOLE:
        yield Draft(text, o200k(text), first.cut, last.context, records, seen(text) if seen else "", marks)
        return
    # only the last of several held units can make them too long: the others are headings above it
    later = " > ".join(part for part in (last.context, last.title) if part)
    at = 0
    for piece in split(text, FULL, by_lines=last.kind in ("lines", "record")):
        end = at + len(piece)
        inside = tuple((offset - at, place) for offset, place in marks if at <= offset < end)
        cut, context = (WITHIN, later) if at else (first.cut, last.context)
        yield Draft(piece, o200k(piece), cut, context, (), seen(piece) if seen else "", inside)
        at = end


def _places(held: list[Unit]) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Where in the joined text further records begin, and its marks."""
    records: list[int] = []
    marks: list[tuple[int, int]] = []
    at, headings = 0, True
    for unit in held:
        if at and unit.cut >= RECORDS and not headings:
            records.append(at)
        headings = headings and unit.kind == "heading"
        marks.extend((at + offset, place) for offset, place in unit.marks)
        at += len(unit.text)
    return tuple(records), tuple(marks)
