"""Units: the pieces that a reader sees in a text, and where a piece may be cut.

The units of a source, put together, are its text. Every unit is bounded, so that a file of any size, or a
gigabyte on one line, passes through in pieces. This module knows text; not files, nor tokens.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal, NamedTuple

Kind = Literal["", "heading", "record", "lines"]

WITHIN, LINES, RECORDS, SECTION = 0, 1, 2, 3
"""Cuts, as in `Passage`; sections are 3 and up, the stronger the higher."""

LONGEST_LINE = 250_000
"""Characters; a longer line is taken in pieces, so that it is never held as a whole."""

LONGEST_UNIT = 64_000
"""Characters; a reader hands over what it holds when it comes to this, structure or not."""

_SENTENCE = re.compile(
    r"""(?<!\b[A-Z])(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.!?…]{1,9}+[”’"'»)\]]*+\s++"""
    r"""|[。！？]++[」』”’）]*+\s*+"""
)  # bounded and possessive: a line of nothing but dots took time that grew with the square of its length
_LINE = re.compile(r"(?:\r\n|\n|\r)+")
_SPACE = re.compile(r"\s+")


class Unit(NamedTuple):
    """A paragraph, a heading, a record, a function. `cut` is the strength of the boundary before it.

    A unit of the kind `record` is one item of many; `lines` means that lines say more than sentences. `title`
    places those parts of a unit that do not begin it, when it has to be split. `marks` are pairs of an offset
    in `text` and the line or page of the original from there on.
    """

    text: str
    cut: int = LINES
    context: str = ""
    kind: Kind = ""
    title: str = ""
    marks: tuple[tuple[int, int], ...] = ()


class Headings:
    """The headings above the place one has come to; level 1 is the strongest."""

    _TITLE_CHARS = 120

    def __init__(self) -> None:
        self._stack: list[tuple[int, str]] = []
        self.context = ""

    def enter(self, level: int, title: str) -> None:
        while self._stack and self._stack[-1][0] >= level:
            self._stack.pop()
        self._stack.append((level, " ".join(title.split())[: self._TITLE_CHARS]))
        self.context = " > ".join(title for _, title in self._stack if title)


def section_cut(level: int) -> int:
    """The cut before a heading of level 1 to 6."""
    return min(8, max(SECTION, 9 - level))


def lines(chunks: Iterable[str]) -> Iterator[str]:
    """The lines of a text that comes in chunks, line ends included; very long ones come in pieces.

    Lines end at line feeds, or at carriage returns where the text begins with these alone.
    """
    chunks = iter(chunks)
    first = next(chunks, "")
    end = "\r" if "\r" in first and "\n" not in first else "\n"
    tail = ""
    for chunk in chain([first], chunks):
        pieces = (tail + chunk).split(end)
        tail = pieces.pop()
        for piece in pieces:
            yield piece + end
        while len(tail) > LONGEST_LINE:
            at = cut_before(tail, LONGEST_LINE)
            yield tail[:at]
            tail = tail[at:]
    if tail:
        yield tail


def split(text: str, limit: int, by_lines: bool = False) -> Iterator[str]:
    """`text` in pieces of about equal size, each at most `limit` characters."""
    start = 0
    while (left := len(text) - start) > limit:
        parts = -(-left // limit)
        aim = min(limit, left // parts + limit // 8)
        at = cut_before(text[start : start + aim + 1], aim, by_lines)
        yield text[start : start + at]
        start += at
    if start < len(text):
        yield text[start:]


def cut_before(text: str, limit: int, by_lines: bool = False) -> int:
    """Where to cut `text`, which is longer than `limit`: at most at `limit`, and never at 0.

    After a sentence or a line in the second half of what `limit` allows, else after the last word that fits; a
    single word that is longer than `limit` is cut hard, though not inside a character that is made of several.
    """
    for pattern in (_LINE, _SENTENCE) if by_lines else (_SENTENCE, _LINE):
        at = _last_end(pattern, text, limit // 2, limit)
        if at > limit // 2:
            return _unglued(text, at)
    for at in range(limit, 0, -1):
        if text[at].isspace() or text[at - 1].isspace():
            return _unglued(text, at)
    return _unglued(text, limit)


def cut_near_middle(text: str) -> int:
    """Where to cut a text of two characters or more in two about equal parts, inside a word only if it is one."""
    half, quarter = len(text) // 2, len(text) // 4
    for pattern, margin in ((_SENTENCE, quarter), (_LINE, quarter), (_SPACE, 0)):
        ends = [match.end() for match in pattern.finditer(text, margin, len(text) - margin)]
        if ends := [end for end in ends if end < len(text)]:
            return _unglued(text, min(ends, key=lambda end: abs(end - half)))
    return _unglued(text, max(1, half))


def _last_end(pattern: re.Pattern[str], text: str, begin: int, limit: int) -> int:
    last = 0
    for match in pattern.finditer(text, begin, limit):
        last = match.end()
    return last


def _unglued(text: str, at: int) -> int:
    """The cut `at`, moved to the left where it would tear what is one character to a reader."""
    moved = at
    while moved > max(1, at - 16) and _glued(text, moved):
        moved -= 1
    return at if _glued(text, moved) else moved


def _glued(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at : at + 1]
    return (
        (before == "\r" and after == "\n")
        or before == "\u200d"
        or (not after.isascii() and (after in "\u200d\ufe0f" or unicodedata.combining(after) != 0))
    )
