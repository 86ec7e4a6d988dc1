"""JSON as units: the elements of arrays and the members of objects, entered as deep as makes them small.

The text passes through a window, a value at a time, so that a document of any size can be read. What is not JSON
any more is read on as lines. This module knows text alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarm.sources.passages import WHOLE
from swarm.sources.units import LINES, LONGEST_UNIT, RECORDS, WITHIN, Kind, Unit, lines

_WINDOW = 1_000_000
"""Characters looked at for the end of one value, before it is entered instead."""
_TRIM = 256_000
"""Characters passed before the window moves on."""
_DEEPEST = 64
"""Levels entered; what lies deeper is read as lines."""
_KEY_CHARS = 80

_BLANK = re.compile(r"[ \t\r\n]*")
# numbers are looked over, not computed: `len` is the cheapest thing that takes any of them
_VALUE = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len, strict=False)


class _Broken(Exception):
    """From here on the text is not JSON, or is too large or too deep to be read as such."""


@dataclass(slots=True)
class _Level:
    """A container that was entered. `records` is true where its elements are the document's records."""

    closes: str
    context: str
    records: bool


class _Window:
    """The part of the text that is held. The unit that is being read begins at `start`; reading is `at`."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self.text = ""
        self.start = self.at = 0
        self.ended = False

    def fill(self) -> bool:
        """Take in one more chunk; false where there is none."""
        chunk = next(self._chunks, None)
        if chunk is None:
            self.ended = True
            return False
        if self.start > _TRIM:
            self.text, self.at, self.start = self.text[self.start :], self.at - self.start, 0
        self.text += chunk
        return True

    def peek(self) -> str:
        """The next character that is not blank; nothing at the end of the text.

        Raises:
            _Broken: more blanks than are looked at.
        """
        while True:
            match = _BLANK.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.at - self.start > _WINDOW:
                raise _Broken
            if not self.fill():
                return ""

    def passes(self, character: str) -> bool:
        """Go past `character` and the blanks around it, if it comes next."""
        if self.peek() != character:
            return False
        self.at += 1
        self.peek()
        return True

    def value_end(self) -> int | None:
        """Where the value that begins here ends; None where that is not within the window."""
        while True:
            try:
                _, end = _VALUE.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):
                end = -1
            # a number that ends with the window may go on
            if end >= 0 and (end < len(self.text) or self.ended):
                torn = self.text[end - 1].isalnum() and self.text[end : end + 1].strip(" \t\r\n,]}:")
                return None if torn else end  # "007" is no three documents, nor "0." one
            if len(self.text) - self.at >= _WINDOW or not self.fill():
                return end if end >= 0 else None


class _Document:
    def __init__(self, chunks: Iterable[str]) -> None:
        self.window = _Window(chunks)
        self.levels: list[_Level] = []
        self.fresh = True  # the unit that is being read holds no whole value yet
        self.cut, self.kind, self.context = RECORDS, _RECORD, ""

    def take(self, cut: int, kind: Kind) -> Iterator[Unit]:
        """The unit that is being read ends here; the next begins with `cut`."""
        window = self.window
        if window.at > window.start:
            text = window.text[window.start : window.at]
            # only blanks, or what closes the last value, can be longer than a unit may be
            for begin in range(0, len(text), LONGEST_UNIT):
                part = text[begin : begin + LONGEST_UNIT]
                yield Unit(part, WITHIN if begin else self.cut, self.context, self.kind)
            window.start = window.at
        self.cut, self.kind, self.fresh = cut, kind, True
        self.context = self.levels[-1].context if self.levels else ""

    def pass_value(self, key: str = "") -> None:
        """Go past the value that begins here, or enter it where it is large."""
        window = self.window
        opens = window.peek()
        end = window.value_end()
        if opens in ("[", "{") and (end is None or end - window.start > WHOLE):
            self._enter(opens, key)
        elif end is None:
            raise _Broken
        else:
            window.at = end
            self.fresh = False
            window.passes(",")

    def _enter(self, opens: str, key: str) -> None:
        if len(self.levels) >= _DEEPEST:
            raise _Broken
        outer = self.levels[-1].context if self.levels else ""
        array = opens == "["
        records = array and not any(level.records for level in self.levels)
        context = " > ".join(part for part in (outer, key) if part)
        self.levels.append(_Level("]" if array else "}", context, records))
        if self.fresh:
            self.context = context
            if records:
                self.cut, self.kind = RECORDS, _RECORD
        self.window.at += 1
        self.window.peek()

    def pass_key(self) -> str:
        window = self.window
        end = window.value_end() if window.peek() == '"' else None
        if end is None:
            raise _Broken
        key = window.text[window.at + 1 : end - 1][:_KEY_CHARS]
        window.at = end
        if not window.passes(":"):
            raise _Broken
        return key


_RECORD: Kind = "record"


def document(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of a JSON document, or of several that follow one another."""
    doc = _Document(chunks)
    try:
        while character := doc.window.peek():
            if not doc.levels:
                yield from doc.take(RECORDS, _RECORD)
                doc.pass_value()
            elif character == doc.levels[-1].closes:
                doc.levels.pop()
                doc.fresh = False
                doc.window.at += 1
                doc.window.passes(",")
            else:
                if not doc.fresh:
                    record = doc.levels[-1].records
                    yield from doc.take(RECORDS if record else LINES, _RECORD if record else "lines")
                doc.pass_value(doc.pass_key() if doc.levels[-1].closes == "}" else "")
    except _Broken:
        yield from _rest(doc.window)
    else:
        yield from doc.take(LINES, "")


def _rest(window: _Window) -> Iterator[Unit]:
    """What is not JSON, as lines."""

    def remaining() -> Iterator[str]:
        yield window.text[window.start :]
        window.text, window.start = "", 0
        while window.fill():
            yield window.text
            window.text = ""

    for line in lines(remaining()):
        yield Unit(line, LINES, "", "lines")
