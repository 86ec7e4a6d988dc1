"""A message of any length, cut into stretches: what the search finds and a view quotes.

A message of the usual length is one stretch. Longer ones are cut at paragraphs, sentences or words, in that order
of preference. The stretches of a message tile it. This module knows text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

WHOLE = 1_200
"""Characters: a text up to this size is one stretch."""
_FULL, _LEAST = 900, 400
_ENDS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]"),
    re.compile(r"\s+"),
)


def cuts(text: str) -> Iterator[tuple[int, int]]:
    """Where the stretches of a text begin and end, in characters."""
    start, size = 0, len(text)
    while size - start > WHOLE:
        end = _end(text, start)
        yield start, end
        start = end
    if start < size:
        yield start, size


def _end(text: str, start: int) -> int:
    window = text[start + _LEAST : start + _FULL]
    for end in _ENDS:
        if ends := [found.end() for found in end.finditer(window)]:
            return start + _LEAST + ends[-1]
    return start + _FULL
