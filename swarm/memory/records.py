"""What the records of a memory mean: how messages, facts, blocks, readings and episodes are written down and found
again.

    memory      that there is one (key: empty)
    message     one message, with its text or the number of its parts (key: its id)
    text        a part of a long one (key: the id and a number)
    fact        one that was added by hand (key: its id)
    begun       that a run begins to read messages, and its transcripts (key: the run)
    found       what a reader found in messages, a portion of it (key: the reading's run and a number)
    reading     that a reader has read these messages (key: the run)
    retired     a fact that holds no longer, or that another one says as well (key: its id)
    block       a block as it was written; without a text where it was dropped (key: a number)
    episode     what stands for old messages (key: its id)
    told        up to where messages need no episode any more (key: the place)
    forgotten   a message whose text is gone: what is left of it (key: its id)
    erased      that records were taken away (key: a number)
    merged      up to which fact doubles were looked for (key: its number)

Forgetting takes records away, which nothing else does. This module knows words, not tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm.memory.blocks import Block
from swarm.memory.messages import Message
from swarm.memory.parts import Drawn, Episode, Forgotten, Kept, Noted, Reading, Retired
from swarm.store.journal import Entry, Record

PART_CHARS = 500_000
"""Characters: a message of more is recorded in parts of so many."""
BEGUN = "begun"
_DRAWN = ("text", "subject", "attribute", "value", "at", "start", "end", "origin", "single")


def message_entry(kept: Kept, *, draws: bool, cut: int) -> Entry:
    """The record of a message. `draws` is whether facts are taken from it by its words."""
    message = kept.message
    body: dict[str, Any] = {"place": kept.place, "role": message.role}
    if message.name:
        body["name"] = message.name
    if message.at:
        body["at"] = message.at
    if draws:
        body["draws"] = True
    if cut:
        body["cut"] = cut
    if len(message.text) > PART_CHARS:
        body["parts"] = len(range(0, len(message.text), PART_CHARS))
    else:
        body["text"] = message.text
    return Entry(kind="message", key=message.id, body=body)


def part_entries(message: Message) -> Iterator[Entry]:
    """The records of the text of a long message."""
    if len(message.text) > PART_CHARS:
        for number, start in enumerate(range(0, len(message.text), PART_CHARS)):
            body = {"text": message.text[start : start + PART_CHARS]}
            yield Entry(kind="text", key=part_key(message.id, number), body=body)


def part_key(message: str, number: int) -> str:
    return f"{message}:{number:06}"


def message_in(record: Record, text: str) -> Message:
    body = record.body
    return Message(
        role=body["role"], text=text, name=body.get("name"), at=body.get("at"), id=record.key, num=body["place"]
    )


def fact_body(noted: Noted) -> dict[str, Any]:
    given = {name: getattr(noted.drawn, name) for name in _DRAWN}
    return {"id": noted.id, "place": noted.place} | {
        name: one for name, one in given.items() if one or name == "single"
    }


def fact_entry(noted: Noted) -> Entry:
    return Entry(kind="fact", key=noted.id, body=fact_body(noted))


def fact_in(body: Mapping[str, Any]) -> Noted:
    drawn = Drawn(**{name: body[name] for name in _DRAWN if name in body})
    return Noted(id=body["id"], place=body["place"], drawn=drawn)


def found_entry(run: str, number: int, facts: Sequence[Noted]) -> Entry:
    body = {"facts": [fact_body(noted) for noted in facts]}
    return Entry(kind="found", key=f"{run}:{number:06}", body=body)


def begun_entry(run: str, first: int, last: int, sources: Sequence[str]) -> Entry:
    """What leads from messages to a run that reads them and to its transcripts, also where it comes to no end."""
    return Entry(kind=BEGUN, key=run, body={"first": first, "last": last, "sources": list(sources)})


def reading_entry(reading: Reading) -> Entry:
    body = {"key": reading.key, "first": reading.first, "last": reading.last, "chain": reading.chain}
    return Entry(kind="reading", key=reading.run, body=body)


def reading_in(record: Record) -> Reading:
    return Reading(run=record.key, **record.body)


def retired_entry(retired: Retired) -> Entry:
    return Entry(kind="retired", key=retired.id, body={"reason": retired.reason, "state": retired.state})


def retired_in(record: Record) -> Retired:
    return Retired(id=record.key, reason=record.body["reason"], state=record.body["state"])


def block_entry(block: Block, number: int) -> Entry:
    """`version` 0: the block was dropped."""
    body = {
        "name": block.name, "text": block.text, "limit_tokens": block.limit_tokens, "pinned": block.pinned,
        "description": block.description, "version": block.version, "at": block.at,
    }  # fmt: skip
    return Entry(kind="block", key=str(number), body=body)


def block_in(record: Record) -> Block:
    return Block(**record.body)


def episode_entry(episode: Episode) -> Entry:
    body = {"first": episode.first, "last": episode.last, "pieces": episode.pieces}
    return Entry(kind="episode", key=episode.id, body=body)


def episode_in(record: Record) -> Episode:
    body = record.body
    pieces = tuple((text, tuple(ids)) for text, ids in body["pieces"])
    return Episode(id=record.key, first=body["first"], last=body["last"], pieces=pieces)


def forgotten_entry(part: Forgotten) -> Entry:
    body = {
        "place": part.place, "digest": part.digest.hex(), "role": part.role, "moment": part.moment,
        "stretches": part.stretches,
    }  # fmt: skip
    return Entry(kind="forgotten", key=part.id, body=body)


def forgotten_in(record: Record) -> Forgotten:
    return Forgotten(id=record.key, **(record.body | {"digest": bytes.fromhex(record.body["digest"])}))
