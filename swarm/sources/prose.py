"""Plain text and Markdown as units: paragraphs, list items, headings.

Markdown's block structure is followed as far as cutting needs it: headings (ATX and setext), fences, list items,
thematic breaks, paragraphs; not its inline marks. In plain text, underlined lines and lines that read like the
heading of a chapter are headings. This module knows text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from swarm.sources.units import LINES, LONGEST_UNIT, RECORDS, SECTION, Headings, Kind, Unit, lines, section_cut

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_BREAK = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")

_FRONT_MATTER_LINES = 200

_UNDERLINE = re.compile(r"""([=\-~^"*#+`.:'_])\1{2,}[ \t]*$""")
_UNDERLINED_LEVELS = "=-~^"
_NUMBER = r"(?:[ivxlcdm]+|\d+|one|two|three|four|five|six|seven|eight|nine|ten|first|second|third|fourth|last)"
_CHAPTER = re.compile(
    rf"""\s*(?:
        (?P<part>part|book|volume|act)\s+(?:the\s+)?{_NUMBER}
      | (?P<chapter>chapter|canto|letter|stave|lecture|appendix|article)\s+(?:the\s+)?(?:{_NUMBER}|[a-z])
      | (?P<scene>scene|section|§)\s*{_NUMBER}
      | (?P<alone>prologue|epilogue|preface|introduction|foreword|afterword|conclusion|contents)(?=[.:]?\s*$)
    )(?:[.:\]\s—–-].{{0,80}})?\s*$""",
    re.IGNORECASE | re.VERBOSE,
)
_CHAPTER_LEVELS = {"part": 2, "chapter": 3, "alone": 3, "scene": 4}


class _Reading:
    """What is held of the unit that is being read, and the units that are ready."""

    def __init__(self) -> None:
        self.ready: list[Unit] = []
        self.headings = Headings()
        self.held: list[str] = []
        self.size = 0
        self.cut = LINES
        self.kind: Kind = ""
        self.blank = False  # the last line that is held is blank
        self.begins = True  # the line begins a line of the text, and does not go on with a long one

    def hold(self, line: str) -> None:
        self.held.append(line)
        self.size += len(line)
        self.begins = line.endswith(("\n", "\r"))
        if self.size >= LONGEST_UNIT:
            self.end()

    def end(self, cut: int = LINES, kind: Kind = "") -> None:
        """What is held is a unit; the next begins with `cut`."""
        if self.held:
            self.ready.append(Unit("".join(self.held), self.cut, self.headings.context, self.kind))
            self.held, self.size = [], 0
        self.cut, self.kind, self.blank = cut, kind, False

    def heading(self, lines: list[str], level: int, title: str) -> None:
        """These lines are a heading, which takes the blank lines behind it along; what was held has ended."""
        self.headings.enter(level, title)
        self.held, self.size = lines, sum(map(len, lines))
        self.cut, self.kind, self.blank, self.begins = section_cut(level), "heading", False, True

    def paragraph(self, line: str) -> None:
        """A line of text, which begins a unit after a blank line or a heading."""
        if self.blank or self.kind == "heading":
            self.end()
        self.hold(line)

    def single(self) -> str:
        """The one line that is held, where that could be a title; else nothing."""
        if len(self.held) == 1 and not self.blank and self.cut != RECORDS and self.kind != "heading":
            return self.held[0].strip()
        return ""


def markdown(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of Markdown."""
    reading = _Reading()
    fence = ""
    for line in _after_front_matter(reading, lines(chunks)):
        head = line[:4].lstrip(" \t")[:1]
        if not reading.begins:
            reading.hold(line)
        elif fence:
            if head == fence[0] and (match := _FENCE.match(line)) and len(match[1]) >= len(fence):
                fence = ""
            reading.hold(line)
        elif head in "`~" and head and (match := _FENCE.match(line)):
            fence = match[1]
            reading.paragraph(line)
        else:
            _markdown_line(reading, line, head)
        if reading.ready:
            yield from reading.ready
            reading.ready.clear()
    reading.end()
    yield from reading.ready


def _after_front_matter(reading: _Reading, rest: Iterator[str]) -> Iterator[str]:
    """Hold the lines between two rules at the very beginning, and go on with the others."""
    first = next(rest, "")
    if first.rstrip() != "---":
        yield first
    else:
        reading.hold(first)
        for line in islice(rest, _FRONT_MATTER_LINES):
            reading.hold(line)
            if line.rstrip() in ("---", "...", ""):
                break
        reading.blank = True
    yield from rest


def _markdown_line(reading: _Reading, line: str, head: str) -> None:
    if not line.strip():
        reading.hold(line)
        reading.blank = bool(reading.held)
    elif head == "#" and (match := _ATX.match(line.rstrip("\r\n"))):
        reading.end()
        reading.heading([line], len(match[1]), _atx_title(line[match.end(1) :]))
    elif head in "=-" and (title := reading.single()) and _SETEXT.match(line.rstrip("\r\n")):
        reading.heading([reading.held[0], line], 1 if head == "=" else 2, title)
    elif head in "-*_" and _BREAK.match(line.rstrip("\r\n")):
        reading.end(SECTION)
        reading.hold(line)
    elif head in "-*+0123456789" and (match := _ITEM.match(line)):
        reading.end(RECORDS if len(match[1].expandtabs(4)) < 2 else LINES)
        reading.hold(line)
    else:
        reading.paragraph(line)
        if head == "|" and len(reading.held) == 1:
            reading.kind = "lines"


def _atx_title(rest: str) -> str:
    """What stands behind the marks of a heading, without those that may close it."""
    title = rest.strip()
    bare = title.rstrip("#")
    return bare.rstrip() if not bare or bare[-1].isspace() else title


def text(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of plain text."""
    reading = _Reading()
    for line in lines(chunks):
        if not reading.begins:
            reading.hold(line)
        elif line.isspace():
            _blank_line(reading, line)
        elif (title := reading.single()) and _underlines(line, title):
            level = _UNDERLINED_LEVELS.find(line[0]) + 1 or 3
            reading.heading([reading.held[0], line], level, title)
        else:
            reading.paragraph(line)
            if len(reading.held) == 1 and (line[0].isdigit() or line[0] in "[<{|"):
                reading.kind = "lines"  # a log or a table, more likely than prose
        if reading.ready:
            yield from reading.ready
            reading.ready.clear()
    reading.end()
    yield from reading.ready


def _blank_line(reading: _Reading, line: str) -> None:
    title = reading.single()
    if title and len(title) <= 100 and (match := _CHAPTER.match(title)):
        reading.heading(reading.held, _CHAPTER_LEVELS[match.lastgroup or "scene"], title)
    reading.hold(line)
    reading.blank = bool(reading.held)


def _underlines(line: str, title: str) -> bool:
    return _UNDERLINE.match(line.rstrip("\r\n")) is not None and len(line.rstrip()) >= 0.8 * len(title)
