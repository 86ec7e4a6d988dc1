"""A stretch of a conversation as a reader gets it: one text, who said what and when, and the way back from it.

The text of the same messages is the same in every memory, and so is its id: what one has had read, another that
begins alike takes. A transcript is a source of the library, which the search does not see. This module knows rows
of the library, not what is read for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import apsw

from swarm.memory.log import Line, Log
from swarm.memory.stretches import cuts
from swarm.source import Source, Span
from swarm.store.intake import BLOCK_CHARS, PLACES_LINES, line_ends
from swarm.store.library import APART
from swarm.tokens import o200k

_FROM = APART + (1 << 55)
"""Transcripts have the numbers from here on, as sources and as passages."""
PATH = "conversation"
_PIECE = 500_000  # characters that are hashed and written at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Messages that are read together. `chain` is the hash of their ids, which names them in every memory."""

    lines: tuple[Line, ...]
    tokens: int
    chain: str

    @property
    def first(self) -> int:
        return self.lines[0].place

    @property
    def last(self) -> int:
        return self.lines[-1].place


@dataclass(frozen=True, kw_only=True, slots=True)
class Transcript:
    """A chunk as a source. `starts` are where the text of each of its messages begins, in characters."""

    source: Source
    chunk: Chunk
    starts: tuple[int, ...]

    def message_span(self, span: Span) -> tuple[Line, int, int] | None:
        """The message in which a span of the transcript lies, and where in it; None where it is no text of one."""
        at = bisect_right(self.starts, max(span.start, self.starts[0])) - 1
        line, begins = self.chunk.lines[at], self.starts[at]
        start, end = max(0, span.start - begins), min(line.chars, span.end - begins)
        if start >= end and at + 1 < len(self.starts) and span.end > self.starts[at + 1]:
            line, begins = self.chunk.lines[at + 1], self.starts[at + 1]
            start, end = 0, min(line.chars, span.end - begins)
        return (line, start, end) if start < end else None


def chunk_of(lines: Sequence[Line]) -> Chunk:
    chain = blake2b("\0".join(line.id for line in lines).encode(), digest_size=16, person=b"chain").hexdigest()
    return Chunk(lines=tuple(lines), tokens=sum(line.tokens for line in lines), chain=chain)


def heading(line: Line) -> str:
    """What stands above a message: who speaks, and when."""
    return f"{line.who} ({line.at}):\n" if line.at else f"{line.who}:\n"


def transcript(log: Log, chunk: Chunk) -> Transcript:
    """A chunk as a source, written into the library unless it is there. Blocks."""
    starts, at, size = [], 0, 0
    hashed = blake2b(digest_size=16, person=b"transcript")
    for line in chunk.lines:
        starts.append(at + len(heading(line)))
        at = starts[-1] + line.chars + 2
        for piece in _pieces(log, line):
            data = piece.encode()
            size += len(data)
            hashed.update(data)
    id_ = "s" + hashed.hexdigest()
    source = Source(id=id_, path=PATH, media="message", chars=at, bytes=size)
    made = Transcript(source=source, chunk=chunk, starts=tuple(starts))
    if not log.database.read("SELECT 1 FROM sources WHERE id = ? AND complete = 1", (id_,)):
        log.database.write_sync(lambda connection: _write(connection, log, made))
    return made


def _pieces(log: Log, line: Line) -> Iterator[str]:
    yield heading(line)
    for start in range(0, line.chars, _PIECE):
        yield log.text(line.place, start, min(line.chars, start + _PIECE))
    yield "\n\n"


def _write(connection: apsw.Connection, log: Log, made: Transcript) -> None:
    run = connection.execute
    if run("SELECT 1 FROM sources WHERE id = ? AND complete = 1", (made.source.id,)).fetchone():
        return
    num = max(_FROM, run("SELECT coalesce(max(num), 0) FROM sources").get) + 1
    first = max(_FROM, run("SELECT coalesce(max(id), 0) FROM passages").get) + 1
    passage, at, number = first, 0, 1
    held, begun = "", 0
    for line in made.chunk.lines:
        text = log.text(line.place, 0, line.chars)
        pieces = [text[start:end] for start, end in cuts(text)] or [""]
        pieces[0] = heading(line) + pieces[0]
        pieces[-1] += "\n\n"
        for place, piece in enumerate(pieces):
            run(
                "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, '', NULL)",
                (passage, num, at, at + len(piece), o200k(piece), (9 if not at else 2) if not place else 0),
            )
            if held and len(held) + len(piece) > BLOCK_CHARS:
                number = _block(connection, num, begun, number, held)
                held, begun = "", at
            held += piece
            at += len(piece)
            passage += 1
    _block(connection, num, begun, number, held)
    run(
        "INSERT INTO sources VALUES (?, ?, 'message', ?, ?, ?, ?, ?, x'', 1)",
        (num, made.source.id, PLACES_LINES, made.source.chars, made.source.bytes, first, passage - 1),
    )


def _block(connection: apsw.Connection, num: int, start: int, line: int, text: str) -> int:
    """Write a block; the line at which the next begins."""
    sql = "INSERT INTO blocks (source, start, line, text) VALUES (?, ?, ?, ?)"
    connection.execute(sql, (num, start, line, text))
    return line + line_ends(text)


def drop(connection: apsw.Connection, source: str) -> None:
    """Take a transcript out of the library."""
    sql = "SELECT num FROM sources WHERE id = ? AND num > ?"
    connection.execute("PRAGMA secure_delete = ON")
    for (num,) in connection.execute(sql, (source, _FROM)).fetchall():
        connection.execute("DELETE FROM passages WHERE source = ?", (num,))
        connection.execute("DELETE FROM blocks WHERE source = ?", (num,))
        connection.execute("DELETE FROM sources WHERE num = ?", (num,))
    connection.execute("PRAGMA secure_delete = FAST")
