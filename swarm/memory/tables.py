"""The tables of a memory, written: what a record of the journal comes to, in the transaction of the record.

All parts may come again when the tables are made anew from the journal, in any order but for messages, which come
by their places. This module knows rows; what is recorded, and in which words, is told in `records`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any

import apsw

from swarm import terms
from swarm.memory import blocks
from swarm.memory.blocks import Block
from swarm.memory.facts import fact_id, slot_of
from swarm.memory.log import SHIFT
from swarm.memory.messages import moment
from swarm.memory.parts import Drawn, Episode, Erased, Forgotten, Handed, Kept, Noted, Part, Reading, Retired, Told
from swarm.memory.slots import SEVERAL, canonical
from swarm.store.intake import BLOCK_CHARS, PLACES_LINES, line_ends
from swarm.store.library import APART

_MEDIA = "message"


@dataclass(kw_only=True, slots=True)
class _State:
    """The row of a memory."""

    num: int
    messages: int = 0
    stretches: int = 0
    facts: int = 0
    episodes: int = 0
    tokens: int = 0
    read: int = 0
    frontier: int = 0
    told: int = 0
    records: int = 0
    latest: str = ""
    handed: bytes = b""


ERASURE = 1 << 40
"""What one erasure adds to the count of records: taking records away and adding others would else go unseen."""
_COUNTS = [one.name for one in fields(_State)]


def project(connection: apsw.Connection, run: str, parts: Iterable[Part], records: int) -> None:
    """Write what parts come to; `records` is how many records of the journal they are."""
    rows = _Writing(connection, run)
    for part in parts:
        rows.join(part)
    rows.state.records += records
    rows.save()


def clear(connection: apsw.Connection, run: str) -> None:
    """Take the tables of a memory out of the store."""
    for (num,) in list(connection.execute("SELECT num FROM memories WHERE run = ?", (run,))):
        low, high = num << SHIFT, (num + 1 << SHIFT) - 1
        for table in ("memory_index", "fact_index", "episode_index"):
            connection.execute(f"DELETE FROM {table} WHERE rowid BETWEEN ? AND ?", (low, high))  # noqa: S608
        for table in ("messages", "facts", "episodes"):
            connection.execute(f"DELETE FROM {table} WHERE num BETWEEN ? AND ?", (low, high))  # noqa: S608
        apart = (APART + low, APART + high)
        connection.execute("DELETE FROM sources WHERE num BETWEEN ? AND ?", apart)
        connection.execute("DELETE FROM blocks WHERE source BETWEEN ? AND ?", apart)
        connection.execute("DELETE FROM passages WHERE id BETWEEN ? AND ?", apart)
        connection.execute("DELETE FROM memory_blocks WHERE memory = ?", (num,))
        connection.execute("DELETE FROM readings WHERE memory = ?", (num,))
        connection.execute("DELETE FROM memories WHERE num = ?", (num,))


def source_of(run: str, message: str) -> str:
    """The id that a message has as a source of the library: not shared, so that it can be forgotten."""
    return "s" + blake2b(f"{run}\0{message}".encode(), digest_size=16, person=b"memory").hexdigest()


class _Writing:
    def __init__(self, connection: apsw.Connection, run: str) -> None:
        self.connection, self.run = connection, run
        names = ", ".join(_COUNTS)
        sql = f"SELECT {names} FROM memories WHERE run = ?"  # noqa: S608
        row = connection.execute(sql, (run,)).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO memories VALUES (NULL, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', x'')", (run,)
            )
            row = connection.execute(sql, (run,)).fetchone()
            assert row is not None
        self.state = _State(**dict(zip(_COUNTS, row, strict=True)))
        self.base = self.state.num << SHIFT

    def save(self) -> None:
        names = ", ".join(f"{name} = ?" for name in _COUNTS)
        values = [getattr(self.state, name) for name in _COUNTS]
        self.connection.execute(f"UPDATE memories SET {names} WHERE num = ?", (*values, self.state.num))  # noqa: S608

    def join(self, part: Part) -> None:
        match part:
            case Kept():
                self._message(part)
            case Noted():
                self._fact(part.drawn, part.place, part.id)
            case Retired():
                self._retire(part)
            case Reading():
                self._reading(part)
            case Episode():
                self._episode(part)
            case Forgotten():
                self._forget(part)
            case Erased():
                self._erase(part.id)
            case Block():
                blocks.write(self.connection, self.state.num, part)
            case Handed() | Told():
                self._reach(part)

    def _reach(self, part: Handed | Told) -> None:
        if isinstance(part, Handed):
            self.state.handed = part.hash
        else:
            self.state.told = max(self.state.told, part.place)

    # Messages

    def _message(self, kept: Kept) -> None:
        message, state = kept.message, self.state
        when = moment(message.at) or state.latest
        tokens = sum(one[2] for one in kept.stretches)
        first = state.stretches + 1
        state.messages, state.stretches = kept.place, state.stretches + len(kept.stretches)
        state.tokens += tokens
        state.latest = max(state.latest, when)
        num = self.base + kept.place
        self.connection.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'live')",
            (
                num, message.id, kept.digest, message.role, message.name or "", message.at or "", when,
                len(message.text), tokens, first, state.stretches,
            ),
        )  # fmt: skip
        self._text(num, kept, first)
        for drawn in kept.facts:
            self._fact(drawn, kept.place)

    def _text(self, num: int, kept: Kept, first: int) -> None:
        message, source = kept.message, APART + num
        passage = APART + self.base + first
        self.connection.execute(
            "INSERT INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, x'', 1)",
            (
                source, source_of(self.run, message.id), _MEDIA, PLACES_LINES, len(message.text),
                len(message.text.encode()), passage, passage + len(kept.stretches) - 1,
            ),
        )  # fmt: skip
        self.connection.executemany(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, '', NULL)",
            (
                (passage + number, source, start, end, tokens, 0 if start else 9)
                for number, (start, end, tokens) in enumerate(kept.stretches)
            ),
        )
        line = 1
        for start, end in _blocks(kept.stretches):
            text = message.text[start:end]
            self.connection.execute(
                "INSERT INTO blocks (source, start, line, text) VALUES (?, ?, ?, ?)", (source, start, line, text)
            )
            line += line_ends(text)
        who = _spaced(message.name or message.role)
        self.connection.executemany(
            "INSERT INTO memory_index (rowid, text, who) VALUES (?, ?, ?)",
            (
                (self.base + first + number, _spaced(message.text[start:end]), who)
                for number, (start, end, _) in enumerate(kept.stretches)
            ),
        )

    def _forget(self, part: Forgotten) -> None:
        num = self.base + part.place
        row = self.connection.execute("SELECT state, first, last FROM messages WHERE num = ?", (num,)).fetchone()
        if row is None:
            first = self.state.stretches + 1
            self.state.messages = max(self.state.messages, part.place)
            self.state.stretches += part.stretches
            self.state.latest = max(self.state.latest, part.moment)
        else:
            first = row[1]
            if row[0] == "live":
                self._take_out(num, first, row[2])
        self.connection.execute(
            "INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, '', '', ?, 0, 0, ?, ?, 'forgotten')",
            (num, part.id, part.digest, part.role, part.moment, first, first + part.stretches - 1),
        )

    def _take_out(self, num: int, first: int, last: int) -> None:
        run = self.connection.execute
        tokens = run("SELECT tokens FROM messages WHERE num = ?", (num,)).get
        self.state.tokens -= tokens
        if num - self.base <= self.state.frontier:
            self.state.read -= tokens
        run("DELETE FROM memory_index WHERE rowid BETWEEN ? AND ?", (self.base + first, self.base + last))
        run("DELETE FROM passages WHERE id BETWEEN ? AND ?", (APART + self.base + first, APART + self.base + last))
        run("DELETE FROM blocks WHERE source = ?", (APART + num,))
        run("DELETE FROM sources WHERE num = ?", (APART + num,))
        facts: Any = run("SELECT num FROM facts WHERE message = ? AND end > 0", (num,)).fetchall()
        for (fact,) in facts:
            self._drop_fact(fact)

    # Facts

    def _fact(self, drawn: Drawn, place: int, id_: str = "") -> None:
        state, num = self.state, self.base + place
        row = self.connection.execute(
            "SELECT id, at, moment, state FROM messages WHERE num = ?", (num,)
        ).fetchone()
        message, said, said_at, live = row or ("", "", self.state.latest, "live")
        if drawn.end and live != "live":
            return
        at, when = drawn.at or said, moment(drawn.at) or said_at
        if (
            drawn.origin != "hand"
        ):  # what is to come holds from when it is said; with no time said, the order tells
            when = min(when, said_at)
        id_ = id_ or fact_id(
            drawn.text, drawn.subject, drawn.attribute, drawn.value, at, f"{message}:{drawn.start}:{drawn.end}"
        )
        if self.connection.execute("SELECT 1 FROM facts WHERE id = ? AND num > ? AND num < ?", (
            id_, self.base, self.base + (1 << SHIFT)
        )).fetchone():  # fmt: skip
            return
        several = drawn.value if not drawn.single or canonical(drawn.attribute) in SEVERAL else ""
        slot = slot_of(state.num, drawn.subject, drawn.attribute, several) if drawn.value else None
        state.facts += 1
        fact = self.base + state.facts
        self.connection.execute(
            "INSERT INTO facts VALUES (?, ?, ?, 0, 'live', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
            (
                fact, id_, slot, drawn.subject, drawn.attribute, drawn.value, drawn.text, at,
                when, num, drawn.start, drawn.end, drawn.origin,
            ),
        )  # fmt: skip
        self._settle(slot, fact)

    def _settle(self, slot: int | None, fact: int) -> None:
        """Say of a slot, or of a fact that has none, what holds now. Where the latest was retired nothing does:
        what it replaced does not come back."""
        run = self.connection.execute
        if slot is None:
            row = run("SELECT num, state FROM facts WHERE num = ?", (fact,)).fetchone()
            was = run("SELECT num FROM facts WHERE num = ? AND now = 1", (fact,)).fetchall()
        else:
            row = run(
                "SELECT num, state FROM facts WHERE slot = ? AND state <> 'same' "
                "ORDER BY moment DESC, message DESC, num DESC LIMIT 1", (slot,)
            ).fetchone()  # fmt: skip
            was = run("SELECT num FROM facts WHERE slot = ? AND now = 1", (slot,)).fetchall()
        latest = row[0] if row is not None and row[1] == "live" else None
        if latest is not None and (latest,) in was:
            return
        for (num,) in was:
            run("UPDATE facts SET now = 0 WHERE num = ?", (num,))
            run("DELETE FROM fact_index WHERE rowid = ?", (num,))
        if latest is not None:
            run("UPDATE facts SET now = 1 WHERE num = ?", (latest,))
            told: Any = run(
                "SELECT subject, attribute, value, text FROM facts WHERE num = ?", (latest,)
            ).fetchone()
            text = _spaced(" ".join(part for part in told if part))
            run("INSERT INTO fact_index (rowid, text) VALUES (?, ?)", (latest, text))

    def _retire(self, part: Retired) -> None:
        row = self._by_id("facts", part.id)
        if row is not None and part.state == "erased":
            self._drop_fact(row)
        elif row is not None:
            self.connection.execute(
                "UPDATE facts SET state = ?, reason = ? WHERE num = ?", (part.state, part.reason, row)
            )
            self._settle(self.connection.execute("SELECT slot FROM facts WHERE num = ?", (row,)).get, row)

    def _by_id(self, table: str, id_: str) -> int | None:
        sql = f"SELECT num FROM {table} WHERE id = ? AND num BETWEEN ? AND ?"  # noqa: S608
        row = self.connection.execute(sql, (id_, self.base, self.base + (1 << SHIFT) - 1)).fetchone()
        return int(row[0]) if row else None

    def _drop_fact(self, fact: int) -> None:
        run = self.connection.execute
        slot = run("SELECT slot FROM facts WHERE num = ?", (fact,)).get
        run("DELETE FROM fact_index WHERE rowid = ?", (fact,))
        run("DELETE FROM facts WHERE num = ?", (fact,))
        if slot is not None:
            self._settle(slot, fact)

    # Readings and episodes

    def _reading(self, part: Reading) -> None:
        self.connection.execute(
            "INSERT OR IGNORE INTO readings VALUES (?, ?, ?, ?, ?, ?)",
            (part.key, self.state.num, part.first, part.last, part.chain, part.run),
        )
        if not self.connection.changes():
            return
        sql = "SELECT coalesce(sum(tokens), 0) FROM messages WHERE num BETWEEN ? AND ?"
        self.state.read += self.connection.execute(sql, (self.base + part.first, self.base + part.last)).get
        sql = "SELECT last FROM readings WHERE memory = ? AND first = ?"
        while row := self.connection.execute(sql, (self.state.num, self.state.frontier + 1)).fetchone():
            self.state.frontier = row[0]

    def _episode(self, part: Episode) -> None:
        self.state.told = max(self.state.told, part.last)
        if self._by_id("episodes", part.id) is not None:
            return
        self.state.episodes += 1
        num = self.base + self.state.episodes
        self.connection.execute(
            "INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?)",
            (
                num, part.id, self.base + part.first, self.base + part.last, part.text,
                json.dumps(part.pieces, ensure_ascii=False),
            ),
        )  # fmt: skip
        sql = "INSERT INTO episode_index (rowid, text) VALUES (?, ?)"
        self.connection.execute(sql, (num, _spaced(part.text)))

    def _erase(self, id_: str) -> None:
        if (fact := self._by_id("facts", id_)) is not None:
            self._drop_fact(fact)
        if (episode := self._by_id("episodes", id_)) is not None:
            self.connection.execute("DELETE FROM episode_index WHERE rowid = ?", (episode,))
            self.connection.execute("DELETE FROM episodes WHERE num = ?", (episode,))


def _blocks(stretches: Sequence[tuple[int, int, int]]) -> Iterable[tuple[int, int]]:
    """Stretches put together, as blocks of the library are."""
    begun = 0
    for start, end, _ in stretches:
        if start > begun and end - begun > BLOCK_CHARS:
            yield begun, start
            begun = start
    if stretches:
        yield begun, stretches[-1][1]


def _spaced(text: str) -> str:
    return text if text.isascii() else terms.spaced(text)
