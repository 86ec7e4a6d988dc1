"""A source of a library, cut into parts of whole passages that can be taken elsewhere.

What an intake was given is read back: all but what the search saw of a text, which is not kept and is made again.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from swarm import terms
from swarm.errors import StoreError
from swarm.store.intake import PLACES_LINE_MARKS, PLACES_PAGE_MARKS, Draft
from swarm.store.library import Library

PART_CHARS = 256_000
"""Of a part, about: what is read to show one quote."""


class Cut:
    """A source and where it is cut.

    Raises:
        StoreError: the library does not hold it.
    """

    def __init__(self, library: Library, source: str) -> None:
        self._read, self._path = library.database.read, library.database.path
        rows = self._read(
            "SELECT num, media, places, chars, bytes FROM sources WHERE id = ? AND complete = 1", (source,)
        )
        if not rows:
            raise StoreError(f"{library.database.path} does not hold source {source}: gather its file again")
        self._num, self.media, self.places, self.chars, self.bytes = rows[0]
        self._marked = self.places in (PLACES_LINE_MARKS, PLACES_PAGE_MARKS)
        self._bounds = [0]
        for (start,) in self._read("SELECT start FROM blocks WHERE source = ? ORDER BY start", (self._num,)):
            if start - self._bounds[-1] >= PART_CHARS:
                self._bounds.append(start)

    def __len__(self) -> int:
        return len(self._bounds)

    def parts(self) -> Iterator[tuple[int, int, list[Draft]]]:
        """Where each part begins, in characters and in the original (a line or a page), and its passages."""
        for start, end in pairwise([*self._bounds, sys.maxsize]):
            blocks = self._rows("line, text", "blocks", start, end)
            if not blocks:
                raise StoreError(f"{self._path} is damaged (a source has no text): name another --store")
            place = self._place(start) if self._marked else blocks[0][0]
            yield start, place, list(self._drafts("".join([text for _, text in blocks]), start, end))

    def _drafts(self, text: str, start: int, end: int) -> Iterator[Draft]:
        rows = self._rows("start, end, tokens, cut, context, records", "passages", start, end)
        marks = self._rows("start, place", "marks", start, end) if self._marked else ()
        seen = terms.seen_in(self.media)
        at = 0
        for number, (begin, until, tokens, cut, context, records) in enumerate(rows, start=1):
            first = at
            while at < len(marks) and (marks[at][0] < until or number == len(rows)):
                at += 1
            yield Draft(
                text=(piece := text[begin - start : until - start]),
                tokens=tokens,
                cut=cut,
                context=context,
                records=tuple(array("I", records)) if records else (),
                indexed=_indexed(piece, seen),
                marks=tuple((mark - begin, place) for mark, place in marks[first:at]),
            )

    def _rows(self, columns: str, table: str, start: int, end: int) -> Sequence[Sequence[Any]]:
        return self._read(
            f"SELECT {columns} FROM {table} WHERE source = ? AND start >= ? AND start < ? ORDER BY start",  # noqa: S608
            (self._num, start, end),
        )

    def _place(self, start: int) -> int:
        rows = self._read(
            "SELECT place FROM marks WHERE source = ? AND start <= ? ORDER BY start DESC LIMIT 1",
            (self._num, start),
        )
        return int(rows[0][0]) if rows else 1


def _indexed(text: str, seen: Callable[[str], str] | None) -> str:
    """What the search saw of a text, where that is another."""
    indexed = seen(text) if seen is not None else text
    return indexed if indexed != text else ""
