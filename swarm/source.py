"""Sources and spans: what was read, and where exactly.

A source is text kept once, named by the hash of its content. A span is a stretch of it; its text is exactly
`source.text[start:end]`, counted in characters (Unicode code points). This module does not know how files are
read, nor where text is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from swarm.cards import corpus_card
from swarm.display import Displayed


class Span(NamedTuple):
    """The characters `start` to `end` (end not included) of the source with the id `source`."""

    source: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input. `path` is what the user named it by, `media` how it was read."""

    id: str
    path: str
    media: str
    chars: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """An input, or a part of one, that no slice covers, and the reason in words.

    `chars` is 0 where the content never became text (binary, unreadable); `bytes` is its size on disk.
    """

    source: str
    reason: str
    chars: int = 0
    bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus(Displayed, card=corpus_card):
    """What a task reads: sources in a stable order, and everything that was left out."""

    sources: tuple[Source, ...]
    skipped: tuple[Skip, ...] = ()

    @property
    def chars(self) -> int:
        """Characters of all sources and of the skipped inputs that are text."""
        return sum(source.chars for source in self.sources) + sum(skip.chars for skip in self.skipped)


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A stretch of a source that reads on its own: a paragraph, a record, a function, or a few small ones.

    The passages of a source tile it: each begins where the one before ends. `cut` is how strong the boundary
    before it is: 0 within a unit, 1 between paragraphs or lines, 2 between records, functions or list
    items, 3 and up between sections (a stronger heading counts more), 9 at the start of a source. `context` is
    what a reader needs to place it: title, headings, the header of a table. `tokens` are counted in
    o200k. `score` is what a search gave it (higher is better, 0.0 where it was not searched for).
    """

    id: int
    span: Span
    tokens: int
    cut: int
    context: str
    text: str = ""
    score: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """Where a span lies in the original: 1-based `line` or `page`, and the first byte where it is known."""

    path: str
    line: int | None = None
    page: int | None = None

    def __str__(self) -> str:
        if self.page is not None:
            return f"{self.path}:p{self.page}"
        return f"{self.path}:{self.line}" if self.line is not None else self.path
