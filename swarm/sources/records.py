"""Lines of JSON and rows of tables as units: one record each.

A table's header is the context of its rows. This module knows text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from swarm.sources.units import LINES, LONGEST_UNIT, RECORDS, WITHIN, Unit, lines

_HEADER_CHARS = 300
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[-+]?[\d.,:/ %$€£-]+$")
_OPENS = re.compile(r'(?:^|[,;\t|]) *"')
_OPENS_TABBED = re.compile(r'(?:^|\t)"')


def jsonl(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of JSON lines: each line is a record."""
    begins = True
    for line in lines(chunks):
        if line.isspace() or not begins:
            yield Unit(line, WITHIN if not begins else LINES, "")
        else:
            yield Unit(line, RECORDS, "", "record")
        begins = line.endswith(("\n", "\r"))


def table(chunks: Iterable[str], tabs: bool = False) -> Iterator[Unit]:
    """Units of comma-separated values (or another delimiter): each row is a record, quoted line breaks and all."""
    header: str | None = None
    delimiter = ""
    for row in _rows(chunks, tabs):
        if header is None:
            delimiter = "\t" if tabs else max(_DELIMITERS, key=row.count)
            header = _header(row, delimiter)
            yield Unit(row, RECORDS if not header else LINES, header, "record" if not header else "heading")
        else:
            yield Unit(row, RECORDS, header, "record")


def _header(row: str, delimiter: str) -> str:
    """The first row, where it reads like a header: its cells are filled, differ, and are no numbers."""
    cells = [cell.strip().strip('"').strip() for cell in row.split(delimiter)]
    if not all(cells) or len(set(cells)) < len(cells) or any(_NUMBER.match(cell) for cell in cells):
        return ""
    return " | ".join(cells)[:_HEADER_CHARS]


def _rows(chunks: Iterable[str], tabs: bool) -> Iterator[str]:
    """The rows, line ends included. A quote that is never closed ends at a bound, and then the line ends count."""
    held: list[str] = []
    size = 0
    within = False
    opens = _OPENS_TABBED if tabs else _OPENS
    for line in lines(chunks):
        held.append(line)
        size += len(line)
        if line.count('"') % 2 and (within or opens.search(line)):
            within = not within
        if not within:
            if line.endswith(("\n", "\r")) or size >= LONGEST_UNIT:
                yield "".join(held)
                held, size = [], 0
        elif size >= LONGEST_UNIT:
            yield from held
            held, size, within = [], 0, False
    if within:
        yield from held
    elif held:
        yield "".join(held)
