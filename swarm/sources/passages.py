"""From units to passages: small neighbours of one section are merged, what is too long is split.

A passage is what the search finds and what slices are packed from: long enough to read on its own, short
enough to be quoted. This module knows units and sizes, not files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swarm.sources.units import RECORDS, WITHIN, Unit, split
from swarm.store.intake import Draft
from swarm.tokens import o200k

ENOUGH = 600  # characters: a passage of this size takes no more
FULL = 900  # and none grows past this by merging, nor is a piece of a split longer
WHOLE = 1_500  # one unit of up to this size is kept whole
SMALL = 200  # a record up to this size shares its passage with others


def drafts(units: Iterable[Unit]) -> Iterator[Draft]:
    """Passages that tile the text of `units`, in order."""
    held: list[Unit] = []
    size = 0
    headings = True  # nothing but headings is held
    first = True
    for unit in units:
        if not unit.text:
            continue
        if held and not _joins(held, size, headings, unit):
            yield from _made(held, first)
            first, held, size, headings = False, [], 0, True
        held.append(unit)
        size += len(unit.text)
        headings = headings and unit.kind == "heading"
    if held:
        yield from _made(held, first)


def _joins(held: list[Unit], size: int, headings: bool, unit: Unit) -> bool:
    """Whether `unit` goes into the passage that is being filled."""
    length = len(unit.text)
    if headings:
        return size <= ENOUGH
    last = held[-1]
    if unit.cut > RECORDS or unit.kind == "heading" or unit.context != last.context:
        return False
    if unit.kind == "record" and (length > SMALL or len(last.text) > SMALL):
        return False
    if size < ENOUGH and size + length <= FULL:
        return True
    return size < SMALL and size + length <= WHOLE


def _made(held: list[Unit], first: bool) -> Iterator[Draft]:
    """The held units as one passage, or as several where they are too long."""
    text = held[0].text if len(held) == 1 else "".join(unit.text for unit in held)
    cut, context = 9 if first else held[0].cut, held[-1].context
    records: list[int] = []
    marks: list[tuple[int, int]] = []
    at = 0
    for unit in held:
        if at and unit.cut >= RECORDS and unit.kind != "heading" and held[0].kind != "heading":
            records.append(at)
        marks.extend((at + offset, place) for offset, place in unit.marks)
        at += len(unit.text)
    index = "".join(unit.indexed or unit.text for unit in held) if any(unit.indexed for unit in held) else ""
    if len(text) <= WHOLE:
        yield Draft(text, o200k(text), cut, context, tuple(records), index, tuple(marks))
        return
    at = 0
    for piece in split(text, FULL):
        inside = tuple((offset - at, place) for offset, place in marks if at <= offset < at + len(piece))
        yield Draft(piece, o200k(piece), WITHIN if at else cut, context, (), "", inside)
        at += len(piece)
