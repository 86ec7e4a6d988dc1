"""Facts: what a conversation told, each with when it holds from and the words that it rests on.

A fact with a subject, an attribute and a value has a slot: the latest value of a slot is what holds now, the
others are its history. Later is who says so: by the time of a fact, then by the order in which it came. This
module reads the tables; `tables` writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from swarm.graph.identity import name_of
from swarm.memory import lookup
from swarm.memory.log import SHIFT, Log
from swarm.memory.parts import Drawn
from swarm.memory.slots import canonical
from swarm.source import Span
from swarm.store.database import Database

State = Literal["live", "retired", "same"]
Origin = Literal["words", "reader", "hand"]
_COLUMNS = (
    "num, id, slot, now, state, subject, attribute, value, text, at, moment, message, start, end, origin, reason"
)
_VERSIONS = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """`text` is the fact as a sentence. `at` is when it holds from, as ISO text where it can be read; None where
    nobody said. `span` are the characters of the message (its `source` is the id of the message) that it rests on;
    None for one that was added by hand. `now` is false for one that a later value of the same attribute replaced,
    and for one that was retired."""

    id: str
    text: str
    subject: str | None = None
    attribute: str | None = None
    value: str | None = None
    at: str | None = None
    span: Span | None = None
    who: str | None = None
    """The name of the one who said the message that it rests on, where there is a name."""
    origin: Origin = "words"
    state: State = "live"
    reason: str = ""
    now: bool = True
    num: int = 0

    @property
    def message(self) -> str | None:
        """The id of the message that it rests on."""
        return self.span.source if self.span is not None else None

    @property
    def by_another(self) -> bool:
        """Whether somebody says it of somebody, or of something, else."""
        mine = re.escape(name_of(self.who or ""))
        return bool(mine) and not re.search(rf"(?<!\w){mine}(?!\w)", name_of(self.subject or self.text))


def slot_of(memory: int, subject: str | None, attribute: str | None, value: str = "") -> int | None:
    """What the versions of one fact share; None where it is a sentence alone. `value` is given where there may be
    several at a time: then it is what is said of this one."""
    if not subject or not attribute:
        return None
    named = [name_of(value)] if value else []
    text = "\0".join((str(memory), name_of(subject), canonical(attribute), *named)).encode("utf-8", "replace")
    return int.from_bytes(blake2b(text, digest_size=8, person=b"fact slot").digest(), "big", signed=True)


def fact_id(text: str, subject: str | None, attribute: str | None, value: str | None, at: str, where: str) -> str:
    """The id of a fact: the hash of what it says, since when, and where it stands."""
    parts = json.dumps([text, subject, attribute, value, at, where], ensure_ascii=False)
    return "k" + blake2b(parts.encode("utf-8", "replace"), digest_size=16, person=b"fact").hexdigest()


def now(log: Log, limit: int) -> list[Fact]:
    """What holds now, the latest that came first."""
    sql = f"SELECT {_COLUMNS} FROM facts WHERE now = 1 AND num BETWEEN ? AND ? ORDER BY num DESC LIMIT ?"  # noqa: S608
    return _facts(log, log.database.read(sql, (log.base, _top(log), limit)))


def bearing(log: Log, about: str, limit: int) -> list[tuple[Fact, float]]:
    """Of what holds now, that which shares words with a question, best first, with scores."""
    scores = dict(lookup.bearing(log, "fact_index", log.counted("facts"), about, limit)) if log.num else {}
    return [(fact, scores[fact.num]) for fact in of_nums(log, (log.base + num for num in scores)) if fact.now]


def of_nums(log: Log, nums: Iterable[int]) -> list[Fact]:
    """The facts with these numbers of the table, in the order given."""
    wanted = list(nums)
    sql = f"SELECT {_COLUMNS} FROM facts WHERE num IN (SELECT value FROM json_each(?))"  # noqa: S608
    found = {row[0]: row for row in log.database.read(sql, (json.dumps(wanted),))}
    return _facts(log, [found[num] for num in wanted if num in found])


def one(log: Log, id_: str) -> Fact | None:
    """The fact with this id, or with the only one that begins so."""
    # the plus keeps it to the index by id: by number it would read all of the memory
    sql = f"SELECT {_COLUMNS} FROM facts WHERE id >= ? AND id < ? AND +num BETWEEN ? AND ? LIMIT 2"  # noqa: S608
    rows = log.database.read(sql, (id_, f"{id_}\U0010ffff", log.base, _top(log))) if id_ else []
    exact = [row for row in rows if row[1] == id_] or rows
    return _facts(log, exact)[0] if len(exact) == 1 else None


def versions(log: Log, subject: str, attribute: str) -> list[Fact]:
    """Every version of a fact, oldest first; one that only says the value again that held already is left out."""
    sql = f"SELECT {_COLUMNS} FROM facts WHERE slot = ? ORDER BY moment, message, num LIMIT {_VERSIONS}"  # noqa: S608
    found: list[Fact] = []
    for fact in _facts(log, log.database.read(sql, (slot_of(log.num, subject, attribute),))):
        if found and _same(found[-1], fact):
            if fact.now:
                found[-1] = _held_on(found[-1], fact)
        else:
            found.append(fact)
    return found


def of_message(log: Log, place: int) -> list[Fact]:
    """The facts that rest on the message at a place."""
    sql = f"SELECT {_COLUMNS} FROM facts WHERE message = ? ORDER BY num"  # noqa: S608
    return _facts(log, log.database.read(sql, (log.base + place,)))


@dataclass(frozen=True, slots=True)
class Change:
    """Where in a message something is said that holds no longer, its value then, and what is to be told of it."""

    start: int
    end: int
    was: str
    told: str


def changed(log: Log, places: Iterable[int]) -> dict[int, list[Change]]:
    """Of these messages, what they say that a later value replaced, or that was retired."""
    nums = json.dumps([log.base + place for place in places])
    sql = (
        "SELECT before.message, before.start, before.end, before.value, before.state, before.reason, "
        "latest.value, latest.text FROM facts AS before "
        "LEFT JOIN facts AS latest ON latest.slot = before.slot AND latest.now = 1 "
        "WHERE before.message IN (SELECT value FROM json_each(?)) AND before.now = 0 AND before.end > 0 "
        "AND before.state <> 'same' ORDER BY before.num"
    )
    found: dict[int, list[Change]] = {}
    for message, start, end, was, state, reason, value, text in log.database.read(sql, (nums,)):
        if value is None:
            why = f": {reason}" if state == "retired" and reason else ""
            told = " ".join(f"no longer so{why}".split())
        elif name_of(was) != name_of(value):
            told = "since then: " + " ".join(text.split())
        else:
            continue
        found.setdefault(message - log.base, []).append(Change(start, end, was, told))
    return found


def _same(one: Fact, other: Fact) -> bool:
    return one.state == other.state == "live" and name_of(one.value or "") == name_of(other.value or "")


def _held_on(first: Fact, last: Fact) -> Fact:
    """A value that was said first and again: since the first time, and still."""
    from dataclasses import replace

    return replace(first, now=last.now)


def _top(log: Log) -> int:
    return log.base + (1 << SHIFT) - 1


def _facts(log: Log, rows: list[tuple[Any, ...]]) -> list[Fact]:
    places = [row[11] - log.base for row in rows if row[12] or row[13]]
    lines = {line.place: line for line in log.lines(places)} if places else {}
    return [_fact(log, row, lines) for row in rows]


def _fact(log: Log, row: tuple[Any, ...], lines: dict[int, Any]) -> Fact:
    num, id_, _, holds, state, subject, attribute, value, text, at, _, message, start, end, origin, reason = row
    line = lines.get(message - log.base) if end else None
    return Fact(
        id=id_,
        text=text,
        subject=subject or None,
        attribute=attribute or None,
        value=value or None,
        at=at or None,
        span=Span(line.id, start, end) if line is not None else None,
        who=line.name if line is not None else None,
        origin=origin,
        state=state,
        reason=reason,
        now=bool(holds),
        num=num - log.base,
    )


def known_of(database: Database, memory: int, first: int, last: int) -> Iterator[tuple[int, Drawn]]:
    """What readers found in messages of any memory of the store, with the places of the messages."""
    base = memory << SHIFT
    sql = (
        "SELECT message, text, subject, attribute, value, at, start, end, slot FROM facts "
        "WHERE message BETWEEN ? AND ? AND origin = 'reader' ORDER BY num"
    )
    for message, text, subject, attribute, value, at, start, end, slot in database.read(
        sql, (base + first, base + last)
    ):
        drawn = Drawn(
            text=text, subject=subject, attribute=attribute, value=value, at=at, start=start, end=end,
            origin="reader", single=slot is not None,
        )  # fmt: skip
        yield message - base, drawn
