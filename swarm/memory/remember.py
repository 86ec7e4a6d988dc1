"""Remembering: a list of messages comes in, and what is new of it is kept, durably, in its order.

Messages are recorded in portions that are bounded in size; a portion and what follows from it is one transaction.
A message of any length is one message, its text recorded in parts. This module blocks, and runs on a thread; it
does not know how a list is aligned, nor how facts are found in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from swarm.memory.align import SURE_CHARS, aligned
from swarm.memory.extract import drawn
from swarm.memory.grown import grown
from swarm.memory.home import Home
from swarm.memory.messages import Given, Message, digest, given, message_id
from swarm.memory.parts import Handed, Kept, Part
from swarm.memory.records import message_entry, part_entries
from swarm.memory.stretches import cuts
from swarm.store.journal import Entry
from swarm.tokens import o200k

_PORTION_CHARS = 1_000_000
_PORTION = 500  # messages
_TO_THE_SECOND = re.compile(r"\d:\d\d:\d\d")
_SHORT = 40  # characters that are said twice within a minute, or a day


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """What came of a list of messages. `new` and `known` count messages; `ids` are those of all that were handed
    over, in their order, empty for one that holds nothing (but a view) or was forgotten. `cut` counts views
    that were cut out, `facts` what was drawn from new messages by their words, `unread_tokens` the o200k tokens
    that no language model has read yet (0 where none is to)."""

    new: int
    known: int
    ids: tuple[str, ...] = ()
    cut: int = 0
    facts: int = 0
    unread_tokens: int = 0


def remember(home: Home, messages: Iterable[Any], *, draws: bool, reads: bool) -> Remembered:
    """Keep what is new. `draws`: facts are taken from messages by their words; `reads`: a model reads them."""
    all_of_it = messages if isinstance(messages, str | bytes | Mapping | Message) else list(messages)
    handed = given(all_of_it)
    with home.lock:
        log = home.log
        whole = _hash(handed)
        places = aligned([one.digest for one in handed], log, [_tells(one.message) for one in handed])
        if 0 in places and whole == log.handed():
            places = [place or _latest(home, one) for place, one in zip(places, handed, strict=True)]
        ids = _ids_of(home, places)
        last = len(log)
        portion: list[tuple[Kept, int]] = []
        chars = facts = 0
        for at, one in enumerate(handed):
            if places[at]:
                continue
            if chars >= _PORTION_CHARS or len(portion) >= _PORTION:
                _write(home, portion, draws=draws)
                portion, chars = [], 0
            last += 1
            kept = _kept(one, last, draws=draws)
            ids[at] = kept.message.id
            facts += len(kept.facts)
            portion.append((kept, one.cut))
            chars += len(one.message.text)
        if portion:
            _write(home, portion, draws=draws, handed=whole)
    new = sum(not place for place in places)
    unread = log.counted("tokens") - log.counted("read") if reads else 0
    by_place = {one.at: id_ for one, id_ in zip(handed, ids, strict=True)}
    return Remembered(
        new=new,
        known=len(handed) - new,
        ids=tuple(by_place.get(at, "") for at in range(len(all_of_it))),
        cut=sum(one.cut for one in handed),
        facts=facts,
        unread_tokens=unread,
    )


def _tells(message: Message) -> int:
    """By how many characters a message is told apart from others: see `swarm.memory.align.aligned`."""
    if message.role == "system":
        return 0
    if message.at and (_TO_THE_SECOND.search(message.at) or len(message.text) >= _SHORT):
        return SURE_CHARS
    return len(message.text)


def _latest(home: Home, one: Given) -> int:
    return next(iter(home.log.places(one.digest, 1)), 0)


def _ids_of(home: Home, places: Sequence[int]) -> list[str]:
    known = {line.place: line.id for line in home.log.lines(place for place in places if place)}
    return [known.get(place, "") for place in places]


def _kept(one: Given, place: int, *, draws: bool) -> Kept:
    message = replace(one.message, id=message_id(one.digest, place), num=place)
    stretches = tuple((start, end, o200k(message.text[start:end])) for start, end in cuts(message.text))
    facts = tuple(drawn(message)) if draws else ()
    return Kept(place=place, message=message, digest=one.digest, stretches=stretches, facts=facts)


def kept_again(message: Any, *, draws: bool) -> Kept:
    """As a message was kept, from its record."""
    stretches = tuple((start, end, o200k(message.text[start:end])) for start, end in cuts(message.text))
    facts = tuple(drawn(message)) if draws else ()
    return Kept(place=message.num, message=message, digest=digest(message), stretches=stretches, facts=facts)


def _hash(handed: Sequence[Given]) -> bytes:
    return blake2b(b"".join(one.digest for one in handed), digest_size=16, person=b"handed").digest()


def _write(home: Home, portion: Sequence[tuple[Kept, int]], *, draws: bool, handed: bytes = b"") -> None:
    for kept, _ in portion:
        for batch in _batches(part_entries(kept.message)):
            home.journal.append_sync(home.run, *batch)
    entries = [message_entry(kept, draws=draws, cut=cut) for kept, cut in portion]
    kept_ones = [kept for kept, _ in portion]
    parts: list[Part] = [*kept_ones]
    if handed:
        parts.append(Handed(hash=handed))
    home.write(entries, parts, grown(home, kept_ones))


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == 4:
            yield batch
            batch = []
    if batch:
        yield batch
