"""What a memory comes to hold, piece by piece: each is what a record of the journal says, and becomes rows.

Plain frozen data. `records` tells how a part is written down, `tables` which rows it becomes.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.memory.blocks import Block
from swarm.memory.messages import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """A fact before it has a number. `start` and `end` are characters of the message that it was drawn from; both
    are 0 for one that was said by hand. `at` is when it holds from, as it is shown; empty: as of its message."""

    text: str
    subject: str = ""
    attribute: str = ""
    value: str = ""
    at: str = ""
    start: int = 0
    end: int = 0
    origin: str = "words"
    single: bool = True
    """Whether a later value takes its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A message that is remembered. `stretches` are start, end and o200k tokens, which tile its text."""

    place: int
    message: Message
    digest: bytes
    stretches: tuple[tuple[int, int, int], ...]
    facts: tuple[Drawn, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Noted:
    """A fact with the place of the message that it rests on, or after which it was said by hand. `num` is 0 but
    for one whose id is given."""

    place: int
    drawn: Drawn
    id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retired:
    """A fact holds no longer (`state` retired), or another one says the same (`same`)."""

    id: str
    reason: str
    state: str = "retired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Messages that a reader has read. `key` and `chain` as in the table `readings`."""

    key: str
    first: int
    last: int
    chain: str
    run: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Episode:
    """What stands for old messages: sentences, each with the ids of the messages that it rests on. `pieces` are
    those sentences."""

    id: str
    first: int
    last: int
    pieces: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def text(self) -> str:
        return " ".join(text for text, _ in self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Messages up to this place need no episode any more."""

    place: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """A message whose text is gone. `stretches` is how many it had, so that others keep their numbers."""

    place: int
    id: str
    digest: bytes
    role: str
    moment: str
    stretches: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """A fact, or an episode, that is gone for good."""

    id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """The last list of messages that held something new, by its hash. It is a short cut and in no record."""

    hash: bytes


Part = Kept | Handed | Noted | Retired | Reading | Episode | Told | Forgotten | Erased | Block
