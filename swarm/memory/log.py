"""The messages of one memory as they lie in the store: read in any order, by place, by id, in stretches.

A projection of the journal: `tables` writes it, in the transaction of the record. Reading is safe from any thread
and takes a time that does not grow with the memory. This module knows what was said, not what it means.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from swarm.memory.messages import Message
from swarm.source import Span
from swarm.store.database import Database, Row
from swarm.store.library import APART

SHIFT = 32
_PAGE = 500
_COLUMNS = "num, id, role, name, at, chars, tokens, first, last, state, moment"

_STRETCHES = """
SELECT id, source, start, end, tokens, (
    SELECT substr(blocks.text, passages.start - blocks.start + 1, passages.end - passages.start) FROM blocks
    WHERE blocks.source = passages.source AND blocks.start <= passages.start ORDER BY blocks.start DESC LIMIT 1)
FROM passages WHERE id IN (SELECT value FROM json_each(?))
"""  # a block holds whole stretches


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A message without its text. `place` counts from 1; `first` and `last` are its stretches."""

    place: int
    id: str
    role: str
    name: str | None
    at: str | None
    chars: int
    tokens: int
    first: int
    last: int
    live: bool
    moment: str

    @property
    def who(self) -> str:
        return self.name or self.role


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A stretch of a message with its text: characters `start` to `end` of it. `num` counts all stretches of the
    memory in their order, from 1, so that those beside it are the ones before and after."""

    num: int
    line: Line
    start: int
    end: int
    tokens: int
    text: str

    @property
    def span(self) -> Span:
        """Its characters; the source is the message."""
        return Span(self.line.id, self.start, self.end)


class Log:
    """The messages of the memory that is called `run` in the journal."""

    def __init__(self, database: Database, run: str) -> None:
        self.database, self.run = database, run
        self._num = 0

    @property
    def num(self) -> int:
        """The number of the memory in this store; 0 as long as nothing was remembered."""
        if not self._num:
            rows = self.database.read("SELECT num FROM memories WHERE run = ?", (self.run,))
            self._num = rows[0][0] if rows else 0
        return self._num

    def lost(self) -> None:
        """The tables are made anew: look its number up again."""
        self._num = 0

    @property
    def base(self) -> int:
        """What is added to a place, or to the number of a stretch or a fact, in the tables. In `memory_index` the
        stretches of this memory are the rows from `base + 1` to `base + stretches`."""
        return self.num << SHIFT

    def counted(self, column: str) -> int:
        """One of the counts of the table `memories`."""
        rows = self.database.read(f"SELECT {column} FROM memories WHERE run = ?", (self.run,))  # noqa: S608
        return int(rows[0][0]) if rows else 0

    def handed(self) -> bytes:
        """The hash of the last list that held something new."""
        rows = self.database.read("SELECT handed FROM memories WHERE run = ?", (self.run,))
        return bytes(rows[0][0]) if rows else b""

    def __len__(self) -> int:
        """The place of the last message: those that were forgotten count too."""
        return self.counted("messages")

    @property
    def stretches_count(self) -> int:
        """The number of the last stretch."""
        return self.counted("stretches")

    # Messages

    def digests(self, first: int, count: int) -> list[bytes]:
        sql = "SELECT digest FROM messages WHERE num BETWEEN ? AND ? ORDER BY num"
        return [row[0] for row in self.database.read(sql, (self.base + first, self.base + first + count - 1))]

    def places(self, digest: bytes, limit: int) -> list[int]:
        sql = "SELECT num FROM messages WHERE digest = ? AND num BETWEEN ? AND ? ORDER BY num DESC LIMIT ?"
        rows = self.database.read(sql, (digest, self.base, self.base + (1 << SHIFT) - 1, limit))
        base = self.base
        return [row[0] - base for row in rows]

    def after(self, digest: bytes, place: int) -> int:
        """The first place after another at which a digest stands; 0 where there is none."""
        sql = "SELECT num FROM messages WHERE digest = ? AND num > ? AND num < ? ORDER BY num LIMIT 1"
        rows = self.database.read(sql, (digest, self.base + place, self.base + (1 << SHIFT)))
        return int(rows[0][0]) - self.base if rows else 0

    def told_by_system(self, first: int) -> int:
        """How many messages from the place `first` on are of the system."""
        sql = "SELECT count(*) FROM messages WHERE num BETWEEN ? AND ? AND role = 'system'"
        bounds = (self.base + first, self.base + (1 << SHIFT) - 1)
        return int(self.database.read(sql, bounds)[0][0])

    def lines(self, places: Iterable[int]) -> list[Line]:
        """The messages at these places, in the order given; forgotten ones are left out."""
        wanted = list(dict.fromkeys(places))
        base = self.base
        nums = json.dumps([base + place for place in wanted])
        sql = f"SELECT {_COLUMNS} FROM messages WHERE num IN (SELECT value FROM json_each(?)) AND state = 'live'"  # noqa: S608
        found = {line.place: line for line in self._lines(self.database.read(sql, (nums,)))}
        return [found[place] for place in wanted if place in found]

    def line(self, id_: str) -> Line | None:
        """The message with this id, or with the only one that begins so."""
        sql = (
            # the plus keeps SQLite from reading all messages of the memory in search of one id
            f"SELECT {_COLUMNS} FROM messages WHERE id >= ? AND id < ? AND +num BETWEEN ? AND ? "  # noqa: S608
            "AND state = 'live' LIMIT 2"
        )
        bounds = (id_, f"{id_}\U0010ffff", self.base, self.base + (1 << SHIFT) - 1)
        rows = self.database.read(sql, bounds) if id_ else []
        exact = [row for row in rows if row[1] == id_] or rows
        return next(self._lines(exact)) if len(exact) == 1 else None

    def between(self, first: int, last: int) -> Iterator[Line]:
        """The live messages from one place to another, both included, in pages."""
        sql = f"SELECT {_COLUMNS} FROM messages WHERE num BETWEEN ? AND ? AND state = 'live' ORDER BY num LIMIT ?"  # noqa: S608
        while first <= last:
            rows = self.database.read(sql, (self.base + first, self.base + last, _PAGE))
            yield from self._lines(rows)
            if len(rows) < _PAGE:
                return
            first = rows[-1][0] - self.base + 1

    def last(self, count: int) -> list[Line]:
        """The last live messages, oldest first."""
        sql = (
            f"SELECT {_COLUMNS} FROM messages WHERE num BETWEEN ? AND ? AND state = 'live' "  # noqa: S608
            "ORDER BY num DESC LIMIT ?"
        )
        rows = self.database.read(sql, (self.base, self.base + (1 << SHIFT) - 1, count))
        return list(self._lines(reversed(rows)))

    def message(self, line: Line) -> Message:
        """A message with its text."""
        return Message(
            role=line.role,
            text=self.text(line.place, 0, line.chars),
            name=line.name,
            at=line.at,
            id=line.id,
            num=line.place,
        )

    def text(self, place: int, start: int, end: int) -> str:
        """Characters of a message, exactly."""
        sql = (
            "SELECT start, text FROM blocks WHERE source = ? AND start < ? AND start >= "
            "coalesce((SELECT max(start) FROM blocks WHERE source = ? AND start <= ?), 0) ORDER BY start"
        )
        num = APART + self.base + place
        pieces = []
        for at, text in self.database.read(sql, (num, end, num, start)):
            pieces.append(text[max(0, start - at) : end - at])
        return "".join(pieces)

    def _lines(self, rows: Iterable[Row]) -> Iterator[Line]:
        base = self.base
        for num, id_, role, name, at, chars, tokens, first, last, state, moment in rows:
            yield Line(
                place=num - base,
                id=id_,
                role=role,
                name=name or None,
                at=at or None,
                chars=chars,
                tokens=tokens,
                first=first,
                last=last,
                live=state == "live",
                moment=moment,
            )

    # Stretches

    def stretches(self, nums: Iterable[int]) -> list[Stretch]:
        """The stretches with these numbers, in the order given; those of forgotten messages are left out."""
        wanted = list(dict.fromkeys(nums))
        shift = APART + self.base
        rows = self.database.read(_STRETCHES, (json.dumps([shift + num for num in wanted]),))
        lines = {line.place: line for line in self.lines(row[1] - shift for row in rows)}
        found = {}
        for id_, source, start, end, tokens, text in rows:
            if (line := lines.get(source - shift)) is not None:
                found[id_ - shift] = Stretch(
                    num=id_ - shift, line=line, start=start, end=end, tokens=tokens, text=text
                )
        return [found[num] for num in wanted if num in found]
