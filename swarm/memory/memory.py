"""The facade: a conversation's memory in a user's hand. It opens the store, wires parts and decides nothing.

async with swarm.open_memory("anna") as memory:
    await memory.remember(messages)                       # the whole list each time, or what is new
    view = await memory.view("Where does Anna live?", tokens=2_000)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.errors import UsageError
from swarm.index.base import checked
from swarm.memory import blocks, facts, indexed, page
from swarm.memory.blocks import Block
from swarm.memory.facts import Fact
from swarm.memory.home import Home
from swarm.memory.messages import Message
from swarm.memory.page import Item, MemoryView
from swarm.memory.remember import Remembered, remember
from swarm.memory.search import Found, search
from swarm.memory.settings import Settings
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.source import Span
from swarm.store.shared import shared_store
from swarm.task import Limits

if TYPE_CHECKING:
    from swarm.equipment import Tool
    from swarm.events import Event
    from swarm.index.base import Embed, Index
    from swarm.memory.dream import Dreamt
    from swarm.memory.flush import Flushed


@asynccontextmanager
async def open_memory(
    name: str,
    *,
    store: Path | str | None = None,
    model: Model | str = "extractive",
    reader: Model | str | None = None,
    window: int | None = None,
    base_url: str | None = None,
    embed: Embed | None = None,
    index: Index | None = None,
    limits: Limits | None = None,
    concurrency: int | None = None,
    flush_tokens: int | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> AsyncIterator[Memory]:
    """The memory called `name`, for the length of a block; it is made where it is not there yet. `store`, `model`,
    `reader`, `window`, `base_url`, `embed` and `concurrency` are as in `swarm.Swarm`. `index` is searched
    beside the memory's own: what is remembered is put into it, in a space of the memory's. `flush_tokens` are
    the unread o200k tokens from which on `remember` reads them with the model at once; None: only `flush` does.
    Several memories, and one memory several times, may be open in one process at once.

    Raises:
        UsageError: the name is empty or too long, or the index is none.
        StoreError: the store cannot be used, or another process is at work in it.
        ModelError: an unknown model, or a missing key.
    """
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise UsageError(f"a memory's name is 1 to 200 printable characters: {name!r:.60} is not")
    models = [connect(one, window=window, base_url=base_url) if isinstance(one, str) else one
              for one in (model, *([] if reader is None else [reader]))]  # fmt: skip
    settings = Settings(
        model=models[0], reader=models[-1], embed=embed, index=checked(index), limits=limits or Limits(),
        concurrency=concurrency, flush_tokens=flush_tokens, on_event=on_event,
    )  # fmt: skip
    from swarm.memory.rebuild import begin

    with shared_store(store) as opened:
        home = Home(opened, name)
        await asyncio.to_thread(begin, home)
        try:
            yield Memory(home, settings)
        finally:
            await asyncio.to_thread(home.settle)
            for one in dict.fromkeys(models):
                await one.close()


class Memory:
    """The memory of one conversation; see `open_memory`. What is awaited is durable when it returns."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home, self._settings = home, settings
        self.log, self.graph, self.journal = home.log, home.graph, home.journal

    @property
    def name(self) -> str:
        return self._home.name

    @property
    def run_id(self) -> str:
        """What it is called in the journal and the graph."""
        return self._home.run

    def __len__(self) -> int:
        """Messages that were remembered; those that were forgotten count too."""
        return len(self.log)

    @property
    def tokens(self) -> int:
        """O200k tokens of all messages."""
        return self.log.counted("tokens")

    @property
    def unread_tokens(self) -> int:
        """O200k tokens of messages that no language model has read yet; 0 where none is to."""
        return self.log.counted("tokens") - self.log.counted("read") if self._settings.reads else 0

    # Messages

    async def remember(self, messages: Iterable[Any]) -> Remembered:
        """Keep what is new of a list of messages: the whole conversation each time, its last part, or only what is
        new. Messages are dicts as the SDKs have them, `Message`s, LangChain's messages, or pairs of role and text.
        Text that a view showed is cut out first. Handing over the same again changes nothing.

        A message that repeats the last one word for word and says no time is taken for the last one, handed over
        again; so are three in a row, or one with a time, that stand further up.

        Raises:
            UsageError: something is no message, or its time cannot be read.
        """
        settings = self._settings
        kept = await asyncio.to_thread(
            remember, self._home, messages, draws=not settings.reads, reads=settings.reads
        )
        await indexed.keep_up(self._home, settings.index)
        if settings.flush_tokens is not None and kept.unread_tokens > settings.flush_tokens:
            await self.flush()
            kept = replace(kept, unread_tokens=self.unread_tokens)
        return kept

    def messages(self, last: int | None = None) -> Iterator[Message]:
        """The messages, oldest first, read as they are taken; or only the last few."""
        lines = self.log.between(1, len(self.log)) if last is None else self.log.last(last)
        for line in lines:
            yield self.log.message(line)

    def message(self, id_: str) -> Message | None:
        """The message with this id, or with the only id that begins so; None where there is none."""
        line = self.log.line(id_)
        return None if line is None else self.log.message(line)

    def quote(self, span: Span) -> str:
        """The characters of a message that a span of a view, a fact or a search names: its `source` is the
        message's id. Empty where the message was forgotten."""
        line = self.log.line(span.source)
        return "" if line is None else self.log.text(line.place, span.start, span.end)

    # Looking

    async def view(
        self, about: str, tokens: int = 2_000, *, recent: int | None = None, beside: Collection[str] = ()
    ) -> MemoryView:
        """What the memory holds on `about`, in at most `tokens` o200k tokens: pinned blocks, what holds now, the
        messages that bear on it, and the last `recent` ones (None: 6). `beside` are ids of messages that the agent
        has before it anyway: they are not quoted, nor are facts that rest on them. No model is called."""
        hits = await indexed.hits(self._home, self._settings.index, about)
        return await asyncio.to_thread(page.view, self.log, about, tokens, recent, beside, hits)

    async def search(
        self,
        query: str,
        *,
        limit: int = 10,
        since: str | None = None,
        until: str | None = None,
        who: str | None = None,
    ) -> list[Found]:
        """The stretches of messages that bear on a query, best first. `since` and `until` are days or times, both
        included; `who` is a speaker's name or a role.

        Raises:
            UsageError: a time cannot be read.
        """
        hits = await indexed.hits(self._home, self._settings.index, query)
        return await asyncio.to_thread(search, self.log, query, limit, since, until, who, hits)

    # Facts

    def facts(self, about: str | None = None, limit: int = 100) -> list[Fact]:
        """What holds now: of each attribute the latest value. With `about`, what shares words with it, best first;
        else the latest first."""
        if about is None:
            return facts.now(self.log, limit)
        return [fact for fact, _ in facts.bearing(self.log, about, limit)]

    def fact(self, id_: str) -> Fact | None:
        """The fact with this id, or with the only id that begins so, whether it holds or not."""
        return facts.one(self.log, id_)

    def history(self, fact: Fact | str, attribute: str | None = None) -> list[Fact]:
        """Every version of a fact, oldest first, with dates and what they rest on: of a `Fact`, of the id of one,
        or of a subject and an attribute."""
        found = fact if isinstance(fact, Fact) else None
        if found is None and attribute is None:
            found = facts.one(self.log, str(fact))
        if found is None:
            return facts.versions(self.log, str(fact), attribute) if attribute else []
        if not found.subject or not found.attribute:
            return [found]
        return facts.versions(self.log, found.subject, found.attribute) or [found]

    async def add_fact(
        self,
        text: str,
        *,
        subject: str | None = None,
        attribute: str | None = None,
        value: str | None = None,
        time: str | None = None,
        source: str | Span | None = None,
    ) -> Fact:
        """Add a fact by hand. With subject, attribute and value it takes the place of the value before, from
        `time` on (None: now). `source` is the message that it rests on, or characters of one.

        Raises:
            UsageError: the text is empty, the time cannot be read, or the message is not there.
        """
        from swarm.memory.notes import add_fact

        return await asyncio.to_thread(
            add_fact, self._home, text, subject=subject, attribute=attribute, value=value, time=time, source=source
        )  # fmt: skip

    async def retire(self, fact_id: str, reason: str) -> Fact:
        """Say that a fact holds no longer: it stays as history, with the reason, and is shown no more.

        Raises:
            UsageError: there is no such fact.
        """
        from swarm.memory.notes import retire

        return await asyncio.to_thread(retire, self._home, fact_id, reason)

    # Blocks

    @property
    def blocks(self) -> dict[str, Block]:
        """All blocks, by name."""
        return blocks.read(self.log)

    async def write_block(
        self,
        name: str,
        text: str,
        *,
        limit_tokens: int | None = None,
        pinned: bool | None = None,
        description: str | None = None,
    ) -> Block:
        """Write a block, or write it anew; what is not given stays as it was (at first 500 tokens, pinned).

        Raises:
            UsageError: the text takes more than the limit, or the name is empty.
        """
        from swarm.memory.notes import write_block

        return await asyncio.to_thread(
            write_block, self._home, name, text, limit_tokens=limit_tokens, pinned=pinned, description=description
        )  # fmt: skip

    async def drop_block(self, name: str) -> None:
        """Take a block out.

        Raises:
            UsageError: there is none of that name.
        """
        from swarm.memory.notes import drop_block

        await asyncio.to_thread(drop_block, self._home, name)

    # Tidying

    async def forget(self, id_: str) -> None:
        """Forget a message, a fact or an episode, for good: its text is overwritten wherever this memory keeps it.

        Of a message, what is left is its id and digest (hashes, so that it is not learnt again when the same list
        is handed over), its place and its role. See `swarm/memory/erase.py` for what goes with it.

        Raises:
            UsageError: there is nothing with that id.
        """
        from swarm.memory.erase import forget

        await forget(self._home, id_, self._settings.index)

    async def forget_all(self) -> None:
        """Forget the whole memory, for good: messages, facts, blocks, episodes, and the runs that read for it."""
        from swarm.memory.erase import forget_all

        await forget_all(self._home, self._settings.index)

    async def flush(
        self,
        about: str = "",
        *,
        limits: Limits | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Flushed:
        """Read with the model what no model has read yet, before it leaves the window. With the extractive model
        there is nothing to do. What was read before, by any memory on this store, is not paid again.

        `about` tells readers what matters; without it they report whatever a later question could be about. A
        limit that is reached is no error: `complete` is then False, and a later call goes on. `limits` and
        `on_event` are those of the memory unless they are given.

        Raises:
            SwarmError: the provider accepts no call at all.
        """
        from swarm.memory.flush import flush

        return await flush(self._home, self._settings, about, limits, on_event)

    async def dream(self, *, most: int = 8) -> Dreamt:
        """In idle time: merge facts that say the same, and write episodes of old stretches, at most `most` of
        them; the next call goes on. Messages, and blocks that are pinned, are never touched.

        Raises:
            SwarmError: the provider accepts no call at all.
        """
        from swarm.memory.dream import dream

        return await dream(self._home, self._settings, most)

    def tools(self) -> tuple[Tool, ...]:
        """The memory as tools for the agent itself."""
        from swarm.memory.tools import tools_of

        return tools_of(self)


__all__ = [
    "Block", "Fact", "Found", "Item", "Memory", "MemoryView", "Message", "Remembered", "Settings", "open_memory",
]  # fmt: skip
