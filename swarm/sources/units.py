"""Units: the pieces that a reader sees in a text, and where a piece may be cut.

The units of a source, put together, are its text. This module knows text; not files, nor tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

Kind = Literal["", "heading", "record"]

WITHIN, LINES, RECORDS = 0, 1, 2
"""Cuts, as in `Passage`; sections are 3 and up, the stronger the higher."""

LONGEST_LINE = 500_000  # characters; what is longer is taken in pieces, so that it is never held as a whole

_SENTENCE = re.compile(r"""[.!?…][.!?…"'”’»)\]]*\s+|[。！？][」』”’）]*\s*""")
_LINE = re.compile(r"[^\r\n]?(?:\r\n|\n|\r(?!\n))+")
_SPACE = re.compile(r"\s+")


class Unit(NamedTuple):
    """A paragraph, a heading, a record, a function. `cut` is the strength of the boundary before it.

    `indexed` is the text as the search should see it, where that differs; `marks` are pairs of an offset in
    `text` and the line or page of the original from there on.
    """

    text: str
    cut: int = LINES
    context: str = ""
    kind: Kind = ""
    indexed: str = ""
    marks: tuple[tuple[int, int], ...] = ()


def lines(chunks: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in chunks, line ends included; very long ones come in pieces."""
    tail = ""
    for chunk in chunks:
        pieces = (tail + chunk).split("\n")
        tail = pieces.pop()
        for piece in pieces:
            yield piece + "\n"
        while len(tail) > LONGEST_LINE:
            at = cut_before(tail, LONGEST_LINE)
            yield tail[:at]
            tail = tail[at:]
    if tail:
        yield tail


def cut_before(text: str, limit: int) -> int:
    """Where to cut `text`, which is longer than `limit`: after a sentence, a line or a word, at most at `limit`.

    A cut before the middle is taken only where it saves a word; a single word longer than `limit` is cut hard.
    """
    window = text[: limit + 1]
    for pattern in (_SENTENCE, _LINE):
        at = _last_end(pattern, window, limit)
        if at >= limit // 2:
            return at
    at = _last_end(_SPACE, window, limit)
    if at:
        return at
    at = limit
    while at > limit - 8 and at > 1 and _glued(text, at):
        at -= 1
    return at if at > 1 or limit == 1 else limit


def _last_end(pattern: re.Pattern[str], window: str, limit: int) -> int:
    last = 0
    for match in pattern.finditer(window):
        if match.end() > limit:
            # a run of white space at the limit may be cut inside, but not between a return and its line feed
            inside = limit
            if match.start() < limit and window[limit - 1].isspace() and not _glued(window, limit):
                last = inside
            break
        last = match.end()
    return last if last < len(window) or last <= limit else limit


def _glued(text: str, at: int) -> bool:
    """Whether a cut at `at` would tear what belongs together: CR LF, or a letter and its combining mark."""
    import unicodedata

    if at >= len(text):
        return False
    return (
        (text[at - 1] == "\r" and text[at] == "\n")
        or unicodedata.combining(text[at]) != 0
        or (text[at] in "\u200d\ufe0f" or text[at - 1] == "\u200d")
    )


def split(text: str, limit: int) -> Iterator[str]:
    """`text` in pieces of about equal size and at most `limit` characters."""
    while len(text) > limit:
        parts = -(-len(text) // limit)
        aim = min(limit, -(-len(text) // parts) + limit // 8)
        at = cut_before(text, aim)
        yield text[:at]
        text = text[at:]
    if text:
        yield text
