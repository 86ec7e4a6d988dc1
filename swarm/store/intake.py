"""Writing sources into the store: drafts of passages in, batches of rows out, bounded in memory.

A batch is written in one transaction. A source that fills several batches is marked complete by its last one,
and nothing reads it before; what a dead process left half written is cleared by the next intake. This module
does not know how files are read.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import apsw

from swarm import terms
from swarm.source import Source

BLOCK_CHARS = 32_000
BATCH_CHARS = 2_000_000
_BATCH_ROWS = 20_000

PLACES_LINES, PLACES_LINE_MARKS, PLACES_PAGE_MARKS, PLACES_NONE = "lines", "line marks", "page marks", "none"


class Draft(NamedTuple):
    """A passage to be written; the drafts of a source tile its text.

    `records` are offsets in `text`, beyond 0, where a further record begins. `indexed` is the text as the search
    should see it, where that differs. `marks` are pairs of an offset in `text` and the line or page of the
    original from there on.
    """

    text: str
    tokens: int
    cut: int
    context: str = ""
    records: tuple[int, ...] = ()
    indexed: str = ""
    marks: tuple[tuple[int, int], ...] = ()


class Stamp(NamedTuple):
    """A file as the file system shows it without opening it, and the version of the readers."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    reader: int


class Known(NamedTuple):
    """What is remembered of a file: the hash of its bytes and the source that was made of them (None where the
    store does not hold it), or why it was skipped."""

    stamp: Stamp
    content: bytes
    source: Source | None
    skip: str | None


def id_of(content: bytes, media: str, reader: int) -> str:
    """The id of what a version of the readers makes of bytes with the hash `content`."""
    return "s" + blake2b(content, digest_size=16, person=f"{media} {reader}".encode()).hexdigest()


@dataclass(slots=True)
class Batch:
    """Rows for one transaction."""

    begun: list[tuple[Any, ...]] = field(default_factory=list)
    blocks: list[tuple[Any, ...]] = field(default_factory=list)
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    passages: list[tuple[Any, ...]] = field(default_factory=list)
    index: list[tuple[int, str, str]] = field(default_factory=list)
    finished: list[tuple[Any, ...]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    stamps: list[tuple[Any, ...]] = field(default_factory=list)
    chars: int = 0

    @property
    def full(self) -> bool:
        return self.chars >= BATCH_CHARS or len(self.passages) >= _BATCH_ROWS or len(self.stamps) >= _BATCH_ROWS

    def write(self, connection: apsw.Connection) -> None:
        """Write all rows; to be called inside a transaction."""
        many = connection.executemany
        many("INSERT INTO sources VALUES (?, ?, ?, ?, 0, ?, ?, 0, x'', 0)", self.begun)
        many("INSERT INTO blocks (source, start, line, text) VALUES (?, ?, ?, ?)", self.blocks)
        many("INSERT INTO marks VALUES (?, ?, ?)", self.marks)
        many("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.passages)
        many("INSERT INTO passage_index (rowid, text, context) VALUES (?, ?, ?)", self.index)
        many("UPDATE sources SET chars = ?, last = ?, lengths = ?, complete = 1 WHERE num = ?", self.finished)
        clear_all(connection, self.dropped)
        many("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.stamps)


def clear_all(connection: apsw.Connection, nums: Iterable[int]) -> None:
    """Take sources that are not complete out of the store."""
    for num in nums:
        connection.execute(
            "DELETE FROM passage_index WHERE rowid IN (SELECT id FROM passages WHERE source = ?)", (num,)
        )
        for table in ("passages", "marks", "blocks"):
            connection.execute(f"DELETE FROM {table} WHERE source = ?", (num,))  # noqa: S608 - names from above
        connection.execute("DELETE FROM sources WHERE num = ? AND complete = 0", (num,))


class Intake:
    """One writer's place: begins, fills and finishes one source after another, and hands out batches.

    `num` and `passage` are the first free numbers of the store; the caller sees to it that there is one intake
    at a time.
    """

    def __init__(self, num: int, passage: int) -> None:
        self._num, self._passage = num, passage
        self._batch = Batch()
        self._open = False
        self._first = 0
        self._chars = 0
        self._line = 1
        self._counts_lines = False
        self._block: list[str] = []
        self._block_start = 0
        self._block_chars = 0
        self._lengths = array("I")

    def begin(self, *, source: str, media: str, places: str, size: int) -> None:
        """Begin a source of `size` bytes; the one before must be finished or abandoned."""
        assert not self._open
        self._open, self._first = True, self._passage
        self._chars = self._block_start = self._block_chars = 0
        self._block, self._line, self._lengths = [], 1, array("I")
        self._counts_lines = places == PLACES_LINES
        self._batch.begun.append((self._num, source, media, places, size, self._first))

    def add(self, draft: Draft) -> None:
        """The next passage of the source that was begun."""
        batch, start, length = self._batch, self._chars, len(draft.text)
        if self._block_chars and self._block_chars + length > BLOCK_CHARS:
            self._end_block()
        self._block.append(draft.text)
        self._block_chars += length
        self._chars += length
        records = array("I", draft.records).tobytes() if draft.records else None
        cut = draft.cut if start else 9
        batch.passages.append(
            (self._passage, self._num, start, self._chars, draft.tokens, cut, draft.context, records)
        )
        self._lengths.append(draft.tokens)
        batch.index.append((self._passage, _spaced(draft.indexed or draft.text), _spaced(draft.context)))
        for offset, place in draft.marks:
            batch.marks.append((self._num, start + offset, place))
        batch.chars += length
        self._passage += 1

    def finish(self) -> int:
        """The source is complete: its length in characters."""
        self._end_block()
        self._batch.finished.append((self._chars, self._passage - 1, self._lengths.tobytes(), self._num))
        self._num += 1
        self._open = False
        return self._chars

    def abandon(self) -> None:
        """Take back the source that was begun."""
        if self._open:
            self._block, self._block_chars = [], 0
            self._batch.dropped.append(self._num)
            self._num += 1
            self._open = False

    def remember(self, stamp: Stamp, content: bytes, source: str | None, skip: str | None) -> None:
        """Remember what was found at a path: bytes with this hash and their source, or the reason of a skip."""
        self._batch.stamps.append((*stamp, content, source, skip))

    @property
    def full(self) -> bool:
        return self._batch.full

    def take(self) -> Batch:
        """All rows since the last call."""
        batch, self._batch = self._batch, Batch()
        return batch

    def _end_block(self) -> None:
        if self._block_chars:
            text = "".join(self._block)
            self._batch.blocks.append((self._num, self._block_start, self._line, text))
            if self._counts_lines:
                self._line += line_ends(text)
            self._block_start += self._block_chars
            self._block, self._block_chars = [], 0


def _spaced(text: str) -> str:
    return text if text.isascii() else terms.spaced(text)


def line_ends(text: str) -> int:
    """Line ends in `text`, of any kind: a carriage return and a line feed together count once."""
    returns = text.count("\r")
    return text.count("\n") + (returns - text.count("\r\n") if returns else 0)
