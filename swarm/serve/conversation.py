"""Which conversation a request goes on with: by the turns that it begins with.

Each turn is named by itself and all turns before it, so that a list that is sent whole every time is known again
as far as it is the same, also by another process and after a restart. A list that goes another way from some turn
on is a branch: a conversation of its own, which begins with what was said until then. Names are made for each
client, so that two who say the same word for word share nothing. Content is not kept here, and no name tells it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

from swarm.serve.request import Turn
from swarm.store.journal import Entry, Journal

_TURN, _NEXT = "turn", "next"
_PIECE = 500_000  # characters that are encoded at once
_TOGETHER = 4_000  # turns that are recorded at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """A conversation by its name. `known` turns of the request were there before, `turns` are all of them;
    `branch_of` names the conversation that it parted from, and is empty where it goes on or begins."""

    id: str
    known: int
    turns: int
    branch_of: str = ""


def run_of(client: str) -> str:
    """The name under which the journal keeps what a client's requests have told."""
    return f"served {client}"


def chain(client: str, turns: Iterable[Turn]) -> list[str]:
    """A name for each turn with all that stands before it, 32 hexadecimal digits each. Takes a while where a turn
    is of many megabytes: not for the event loop's thread."""
    names: list[str] = []
    before = blake2b(client.encode("utf-8", "surrogatepass"), digest_size=16, person=b"conversation").digest()
    for turn in turns:
        before = blake2b(before + _digest(turn), digest_size=16, person=b"turn").digest()
        names.append(before.hex())
    return names


def _digest(turn: Turn) -> bytes:
    """What a turn says, whoever wrote it down: a client that sends text as a string now and as a part later says
    the same."""
    made = blake2b(turn.role.encode(), digest_size=16, person=b"said")
    for part in turn.parts:
        said = part.text
        if said is None:
            said = json.dumps(part.raw, sort_keys=True, ensure_ascii=False)
        elif part.kind == "text" and not said:
            continue
        made.update(f"\0{part.kind}\0{part.call}\0{len(said)}\0".encode("utf-8", "surrogatepass"))
        for start in range(0, len(said), _PIECE):
            made.update(said[start : start + _PIECE].encode("utf-8", "surrogatepass"))
    return made.digest()


async def find(journal: Journal, client: str, names: Sequence[str]) -> Conversation:
    """The conversation of turns with these names, which goes on, branches or begins; what is new is recorded."""
    run = run_of(client)
    known = _known(journal, run, names)
    if not names:
        return Conversation(id="", known=0, turns=0)
    before = _conversation(journal, run, names[known - 1]) if known else ""
    if known == len(names):
        return Conversation(id=before, known=known, turns=known)
    # whoever is the first to say something after a turn goes on with its conversation; others part from it
    steps = list(pairwise(names[max(0, known - 1) :]))
    await _append(journal, run, [Entry(kind=_NEXT, key=a, body={"turn": b}) for a, b in steps])
    begun = [] if known else [Entry(kind=_TURN, key=names[0], body={"conversation": names[0]})]
    own, branch_of, entries = await asyncio.to_thread(_followed, journal, run, before or names[0], steps)
    await _append(journal, run, [*begun, *entries])
    return Conversation(id=own, known=known, turns=len(names), branch_of=branch_of)


def _followed(
    journal: Journal, run: str, own: str, steps: Iterable[tuple[str, str]]
) -> tuple[str, str, list[Entry]]:
    """Which conversation the last of these turns belongs to, which one it parted from, and what is to be recorded
    of each."""
    branch_of, entries = "", list[Entry]()
    for a, b in steps:
        first = journal.record(run, _NEXT, a)
        if first is not None and first.body["turn"] != b:
            own, branch_of = b, own
        entries.append(Entry(kind=_TURN, key=b, body={"conversation": own}))
    return own, branch_of, entries


async def _append(journal: Journal, run: str, entries: Sequence[Entry]) -> None:
    """In their order, and some at a time: others are served between."""
    for start in range(0, len(entries), _TOGETHER):
        await journal.append(run, *entries[start : start + _TOGETHER])


def _known(journal: Journal, run: str, names: Sequence[str]) -> int:
    """How many of the first turns are known: a turn is recorded with all before it, so that halving finds it."""
    low, high = 0, len(names)
    while low < high:
        middle = (low + high + 1) // 2
        if journal.record(run, _TURN, names[middle - 1]) is not None:
            low = middle
        else:
            high = middle - 1
    return low


def _conversation(journal: Journal, run: str, name: str) -> str:
    record = journal.record(run, _TURN, name)
    return str(record.body["conversation"]) if record is not None else ""
