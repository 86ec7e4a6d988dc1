"""Lines of JSON as units: one record a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swarm.sources.units import LINES, RECORDS, Unit, lines


def jsonl(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of JSON lines: each line is a record."""
    begins = True
    for line in lines(chunks):
        yield Unit(line, RECORDS if begins else LINES, "", "record" if begins else "")
        begins = line.endswith("\n")
