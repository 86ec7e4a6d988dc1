"""The turns of a conversation that do not stand in a request any more, in its memory, and what of them is shown.

Each part of a turn is a message of the memory, so that its characters are those of the request. Facts are taken
from messages by their words and no model reads them: what is long is read elsewhere (`readings`). This module
knows which turns are out of sight, and not why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swarm.memory.memory import Memory, open_memory
from swarm.memory.messages import Message
from swarm.memory.page import Item as Shown
from swarm.serve.asked import apart
from swarm.serve.cited import Item
from swarm.serve.recalled import Page, leading
from swarm.serve.recent import Place
from swarm.serve.request import Request

_HEADINGS = {"fact": "Said earlier, in short", "message": "Said earlier, word for word"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What was remembered: the memory's name, and which part each of its messages is."""

    name: str
    places: dict[str, Place]


def memory_of(client: str, conversation: str) -> str:
    """The name of the memory of a conversation."""
    return f"{client[:120]} {conversation}"


async def remember(
    store: Path | str,
    client: str,
    conversation: str,
    request: Request,
    turns: Collection[int],
    long: Collection[Place],
) -> Earlier:
    """Keep these turns of a request; of what is `long`, only what asks in it. What is kept already is not
    again."""
    said = list(_said(request, turns, long))
    name = memory_of(client, conversation)
    if not said:
        return Earlier(name=name, places={})
    async with open_memory(name, store=store) as memory:
        kept = await memory.remember([message for _, message in said])
    return Earlier(name=name, places=dict(zip(kept.ids, (place for place, _ in said), strict=False)))


def _said(request: Request, turns: Collection[int], long: Collection[Place]) -> Iterator[tuple[Place, Message]]:
    for at in sorted(turns):
        turn = request.turns[at]
        for number, part in enumerate(turn.parts):
            text = part.text or ""
            if (at, number) in long:
                text = apart(text).text if turn.role == "user" and part.kind == "text" else ""
            if text.strip():
                yield (at, number), Message(role=turn.role, name=turn.name, text=text)


async def recall(store: Path | str, earlier: Earlier, request: Request, about: str, page: Page, most: int) -> None:
    """Add to a page what bears on a question, until it holds `most` tokens."""
    if not earlier.places or most <= page.used:
        return
    async with open_memory(earlier.name, store=store) as memory:
        view = await memory.view(about, most - page.used, recent=0)
        await asyncio.to_thread(_show, memory, view.items, earlier, request, page, most)


def _show(
    memory: Memory, shown: Iterable[Shown], earlier: Earlier, request: Request, page: Page, most: int
) -> None:
    for one in shown:
        heading = _HEADINGS.get(one.kind)
        if heading is not None:
            who = f"{one.who}: " if one.who and one.kind == "message" else ""
            line = f"{who}{' '.join(one.text.split())}"
            page.add(heading, line, _items(memory, earlier, request, one), most)


def _items(memory: Memory, earlier: Earlier, request: Request, one: Shown) -> tuple[Item, ...]:
    """Where an item stands in the request; nowhere, where the memory keeps its text otherwise."""
    place = earlier.places.get(one.message or "")
    if one.span is None or place is None:
        return ()
    part = request.turns[place[0]].parts[place[1]]
    start, end = one.span.start, one.span.end
    quote = memory.quote(one.span)
    if (part.text or "")[start:end] != quote:
        return ()
    lead = len(quote) - len(quote.lstrip())
    quote = quote.strip()
    return (leading(place, part.path, f"message {place[0] + 1}", start + lead, quote),)
