"""What is written into a memory by hand, or by the agent itself: facts, their end, and blocks.

Everything here blocks. This module does not know who writes, nor what messages say.
"""

from __future__ import annotations

import time as clock

import apsw

from swarm.errors import UsageError
from swarm.memory import blocks, facts
from swarm.memory.blocks import Block
from swarm.memory.erase import erased_entry
from swarm.memory.facts import Fact, fact_id
from swarm.memory.grown import grown
from swarm.memory.home import Home
from swarm.memory.log import Line
from swarm.memory.messages import moment, whole
from swarm.memory.parts import Drawn, Noted, Retired
from swarm.memory.records import block_entry, fact_entry, retired_entry
from swarm.memory.tables import ERASURE, project
from swarm.source import Span
from swarm.tokens import o200k

LONGEST_FACT = 4_000
"""Characters of a fact that is added by hand: what is longer is a message, or a block."""
_LIMIT = 500  # tokens of a block, unless told otherwise


def add_fact(
    home: Home,
    text: str,
    *,
    subject: str | None,
    attribute: str | None,
    value: str | None,
    time: str | None,
    source: str | Span | None,
) -> Fact:
    """See `Memory.add_fact`."""
    text = whole(text).strip()
    if not text or len(text) > LONGEST_FACT:
        raise UsageError(f"a fact has 1 to {LONGEST_FACT:,} characters: this one has {len(text):,}")
    if time is not None and not moment(time):
        raise UsageError(f"a fact's time cannot be read: {time!r:.60} (give it as ISO, 2026-05-31)")
    if (attribute and value is None) or (value and (attribute is None or subject is None)):
        raise UsageError("an attribute and its value need each other and a subject: give all three, or neither")
    with home.lock:
        place, start, end = len(home.log), 0, 0
        if source is not None:
            line, start, end = _source(home, source)
            place = line.place
        drawn = Drawn(
            text=text, subject=whole(subject or "").strip(), attribute=whole(attribute or "").strip(),
            value=whole(value or "").strip(), at=time or "", start=start, end=end, origin="hand",
        )  # fmt: skip
        number = home.journal.count(home.run, "fact")
        id_ = fact_id(
            text, drawn.subject, drawn.attribute, drawn.value, drawn.at, f"hand {number} {place}:{start}"
        )
        noted = Noted(id=id_, place=place, drawn=drawn)
        home.write([fact_entry(noted)], [noted], grown(home, [noted]))
    added = facts.one(home.log, id_)
    assert added is not None
    return added


def _source(home: Home, source: str | Span) -> tuple[Line, int, int]:
    id_ = source.source if isinstance(source, Span) else source
    line = home.log.line(id_)
    if line is None:
        raise UsageError(f"the memory {home.name} holds no message {id_!r:.50}: give the id of one that it holds")
    if isinstance(source, str):
        return line, 0, line.chars
    if not 0 <= source.start < source.end <= line.chars:
        raise UsageError(
            f"the message {line.id} has {line.chars:,} characters: {source.start} to {source.end} are none"
        )
    return line, source.start, source.end


def retire(home: Home, id_: str, reason: str) -> Fact:
    """See `Memory.retire`."""
    with home.lock:
        fact = facts.one(home.log, id_)
        if fact is None:
            raise UsageError(f"the memory {home.name} holds no fact {id_!r:.50}: look at its facts for the ids")
        if fact.state == "live":  # one that a dream has put aside has its record
            retired = Retired(id=fact.id, reason=whole(reason))
            home.write([retired_entry(retired)], [retired])
    after = facts.one(home.log, fact.id)
    assert after is not None
    return after


def write_block(
    home: Home, name: str, text: str, *, limit_tokens: int | None, pinned: bool | None, description: str | None
) -> Block:
    """See `Memory.write_block`."""
    name, text = whole(name).strip(), whole(text)
    if not name or len(name) > 100 or not name.isprintable():
        raise UsageError(f"a block's name is 1 to 100 printable characters: {name!r:.60} is not")
    with home.lock:
        before = blocks.read(home.log).get(name) or Block(name=name, text="", limit_tokens=_LIMIT, version=0)
        limit = before.limit_tokens if limit_tokens is None else limit_tokens
        if limit < 1:
            raise UsageError(f"the block {name} cannot be limited to {limit} tokens: give 1 or more")
        if (tokens := o200k(text)) > limit:
            raise UsageError(
                f"the block {name} takes {limit:,} tokens and the text has {tokens:,}: "
                "shorten it, or raise limit_tokens"
            )
        number = _next_number(home)
        block = Block(
            name=name, text=text, limit_tokens=limit, pinned=before.pinned if pinned is None else pinned,
            description=before.description if description is None else whole(description), version=number,
            at=clock.time(),
        )  # fmt: skip
        home.write([block_entry(block, number)], [block])
    return block


def drop_block(home: Home, name: str) -> None:
    """See `Memory.drop_block`."""
    with home.lock:
        if name not in blocks.read(home.log):
            raise UsageError(f"the memory {home.name} has no block {name!r:.60}")
        gone = [("block", one.key) for one in home.journal.records(home.run, "block") if one.body["name"] == name]
        block = Block(name=name, text="", version=0)

        def also(connection: apsw.Connection) -> None:
            project(connection, home.run, [block], ERASURE - len(gone))

        home.journal.erase(home.run, gone, erased_entry(home), also=also)


def _next_number(home: Home) -> int:
    latest = home.journal.latest(home.run, "block")
    return int(latest.key) + 1 if latest is not None else 1
