"""Plain text and Markdown as units: paragraphs, list items, headings.

Knows text alone. Markdown's block structure is followed as far as cutting needs it: headings (ATX and setext),
fences, lists, paragraphs; not its inline marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from swarm.sources.units import LINES, RECORDS, Unit, lines

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_TITLE_CHARS = 120  # of a heading, in a context


class Headings:
    """The headings above the place one has come to, strongest first."""

    def __init__(self) -> None:
        self._stack: list[tuple[int, str]] = []
        self.context = ""

    def enter(self, level: int, title: str) -> None:
        while self._stack and self._stack[-1][0] >= level:
            self._stack.pop()
        self._stack.append((level, title.strip()[:_TITLE_CHARS]))
        self.context = " > ".join(title for _, title in self._stack if title)


def section_cut(level: int) -> int:
    """The cut before a heading of level 1 to 6."""
    return max(3, 9 - level)


def markdown(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of Markdown."""
    headings = Headings()
    held: list[str] = []  # the lines of the unit that is being read
    cut, blank, fence = LINES, False, ""

    def unit() -> Unit:
        return Unit("".join(held), cut, headings.context)

    for line in lines(chunks):
        head = line[:4].lstrip(" ")[:1]
        if fence:
            held.append(line)
            if head == fence[0] and (match := _FENCE.match(line)) and len(match[1]) >= len(fence):
                fence = ""
            continue
        if not head or head.isspace():
            if not line.strip():
                held.append(line)
                blank = True
                continue
        bare = line.rstrip("\r\n")
        if head == "#" and (match := _ATX.match(bare)):
            if held:
                yield unit()
            level = len(match[1])
            headings.enter(level, match[2] or "")
            held, cut, blank = [], section_cut(level), False
            yield Unit(line, cut, headings.context, "heading")
            cut = LINES
            continue
        if (
            head
            and head in "=-"
            and len(held) == 1
            and not blank
            and (match := _SETEXT.match(bare))
            and held[0].strip()
        ):
            level = 1 if match[1][0] == "=" else 2
            headings.enter(level, held[0])
            yield Unit(held[0] + line, section_cut(level), headings.context, "heading")
            held, cut = [], LINES
            continue
        if head and head in "`~" and (match := _FENCE.match(line)):
            fence = match[1]
            if held and not blank:
                held.append(line)
                continue
        if head and head in "-*+0123456789" and _ITEM.match(bare):
            if held:
                yield unit()
            held, cut, blank = [line], RECORDS, False
            continue
        if blank and held:
            yield unit()
            held, cut = [], LINES
        blank = False
        held.append(line)
    if held:
        yield unit()


def text(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of plain text: paragraphs, and headings that look like a chapter's."""
    held: list[str] = []
    blank = False
    for line in lines(chunks):
        if line.isspace():
            held.append(line)
            blank = True
            continue
        if blank and held:
            yield Unit("".join(held))
            held = []
        blank = False
        held.append(line)
    if held:
        yield Unit("".join(held))
