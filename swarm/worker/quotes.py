"""Find a quote in the text that a sub-agent was given, or reject it.

White space, quotation marks, dashes, hyphenation at line ends, ligatures and JSON escapes may differ; letters,
digits and the order of words may not. What is found becomes an exact span of the source; what is not found was not
read, and is never cited. What stands in a view of a graph was known before, and is no evidence.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from swarm.source import Passage, Span
from swarm.views.mark import stretches

MIN_CHARS = 3
"""Shorter quotes stand everywhere and prove nothing."""

_QUOTES = "'\"`´‘’‚‛“”„‟«»‹›′″"
_DASHES = "‐‑‒–—―−"
_FOLD = re.compile(
    rf"""
      (?P<hyphen>  (?<=[^\W\d_]) [-‐\u00ad] (?:[^\S\n]*\r?\n\s*)? (?=[^\W\d_]) )  # in a word
    | (?P<soft>    [\u00ad\u200b\u200c\u200d\ufeff] )                              # invisible
    | (?P<escape>  \\ (?: u[0-9a-fA-F]{{4}} | [nrt"/\\] ) )                        # as in JSON and code
    | (?P<space>   \s+ )
    | (?P<dots>    … )
    | (?P<quote>   [{re.escape(_QUOTES)}] )
    | (?P<dash>    [{re.escape(_DASHES)}] )
    | (?P<other>   [^\x00-\x7f]+ )
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": " ", "r": " ", "t": " ", '"': "'", "/": "/", "\\": "\\"}


@dataclass(frozen=True)
class _Folded:
    """A text in one normal form, with the way back: `marks` are the places in `text` where the distance to the
    original changes, and `origins` where they stand there."""

    text: str
    marks: tuple[int, ...]
    origins: tuple[int, ...]

    def origin(self, position: int) -> int:
        at = bisect_right(self.marks, position) - 1
        return self.origins[at] + position - self.marks[at]


def _fold(text: str) -> _Folded:
    """One blank for any white space, one kind of quotation mark and dash, compatibility forms composed."""
    pieces: list[str] = []
    marks, origins = [0], [0]
    length = done = 0

    def add(piece: str, origin: int) -> None:
        nonlocal length
        if origins[-1] + length - marks[-1] != origin:
            marks.append(length)
            origins.append(origin)
        pieces.append(piece)
        length += len(piece)

    for match in _FOLD.finditer(text):
        start, end = match.span()
        if start > done:
            add(text[done:start], done)
        for piece, origin in _replacement(match):
            add(piece, origin)
        done = end
    if done < len(text):
        add(text[done:], done)
    marks.append(length)
    origins.append(len(text))
    return _Folded("".join(pieces), tuple(marks), tuple(origins))


def _replacement(match: re.Match[str]) -> Iterator[tuple[str, int]]:
    """What stands for a match in the normal form, each piece with its place in the original."""
    start, found, kind = match.start(), match.group(), match.lastgroup
    if kind == "space":
        yield " ", start
    elif kind == "quote":
        yield "'", start
    elif kind == "dash":
        yield "-", start
    elif kind == "dots":
        yield "...", start
    elif kind == "escape":
        code = found[1:]
        char = chr(int(code[1:], 16)) if code[0] == "u" else _ESCAPES[code]
        yield (char if char == " " else _fold_char(char)), start
    elif kind == "other":
        for offset, char in enumerate(found):
            yield _fold_char(char), start + offset


def _fold_char(char: str) -> str:
    if char in _QUOTES:
        return "'"
    if char in _DASHES:
        return "-"
    return " " if char.isspace() else unicodedata.normalize("NFKC", char)


class Material:
    """The passages that a sub-agent was given, as one text in which quotes are looked up."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._runs = _runs(passages)

    def locate(self, quote: str) -> Span | None:
        """The first place where `quote` stands, within one source; None where it does not stand at all."""
        wanted = quote.strip()
        if len(wanted) < MIN_CHARS:
            return None
        for run in self._runs:
            if (at := run.find(wanted)) >= 0:
                return Span(run.source, run.start + at, run.start + at + len(wanted))
        folded = _fold(wanted).text.strip(" '")
        if len(folded) < MIN_CHARS:
            return None
        for run in self._runs:
            at = run.folded.text.find(folded)
            while at >= 0:
                start = run.folded.origin(at)
                end = _whole(run.text, run.folded.origin(at + len(folded) - 1) + 1)
                if not run.is_view(start, end):
                    return Span(run.source, run.start + start, run.start + end)
                at = run.folded.text.find(folded, at + 1)
        return None

    def echoes(self, quote: str) -> bool:
        """Whether a quote stands in a view of a graph that the text holds: it was known before."""
        folded = _fold(quote.strip()).text.strip(" '")
        return len(folded) >= MIN_CHARS and any(
            folded in _fold(run.text[start:end]).text for run in self._runs for start, end in run.views
        )


def _whole(text: str, end: int) -> int:
    """`end` moved past an escape whose first character it cut off, so that a span never ends inside one."""
    match = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[nrt\"/\\])").match(text, end - 1)
    return match.end() if match else end


@dataclass(frozen=True)
class _Run:
    """Passages that follow one another in one source."""

    source: str
    start: int
    text: str

    @cached_property
    def folded(self) -> _Folded:
        return _fold(self.text)

    @cached_property
    def views(self) -> list[tuple[int, int]]:
        return stretches(self.text)

    def is_view(self, start: int, end: int) -> bool:
        """Whether a stretch lies in what an agent was once shown of a graph: that is no evidence of anything."""
        return any(start < last and first < end for first, last in self.views)

    def find(self, wanted: str) -> int:
        """Where a text stands outside of views, or -1."""
        at = self.text.find(wanted)
        while at >= 0 and self.is_view(at, at + len(wanted)):
            at = self.text.find(wanted, at + 1)
        return at


def _runs(passages: Sequence[Passage]) -> list[_Run]:
    runs: list[_Run] = []
    texts: list[str] = []
    first: Span | None = None
    end = 0
    for passage in passages:
        span = passage.span
        if first is None or span.source != first.source or span.start != end:
            if first is not None:
                runs.append(_Run(first.source, first.start, "".join(texts)))
            first, texts = span, []
        texts.append(passage.text)
        end = span.end
    if first is not None:
        runs.append(_Run(first.source, first.start, "".join(texts)))
    return runs
