"""A memory as tools, for the agent whose memory it is. What they answer carries the mark of a view, so that it is
not learnt again. This module knows what is told; what is done is done by `Memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.memory.blocks import Block
from swarm.memory.facts import Fact
from swarm.memory.page import MemoryView, indented
from swarm.memory.search import Found
from swarm.tools.function import tool
from swarm.views.mark import marked

_MOST_TOKENS, _MOST_FOUND = 8_000, 30
_SHORT = 12
"""Characters of an id that are told: enough to name it."""


class Remembering(Protocol):
    """What the tools need: a `swarm.memory.memory.Memory`."""

    @property
    def run_id(self) -> str: ...
    async def view(self, about: str, tokens: int = ..., *, recent: int | None = ...) -> MemoryView: ...
    async def search(
        self,
        query: str,
        *,
        limit: int = ...,
        since: str | None = ...,
        until: str | None = ...,
        who: str | None = ...,
    ) -> list[Found]: ...
    def facts(self, about: str | None = ..., limit: int = ...) -> list[Fact]: ...
    def fact(self, id_: str) -> Fact | None: ...
    def history(self, fact: Fact | str, attribute: str | None = ...) -> list[Fact]: ...
    async def add_fact(
        self,
        text: str,
        *,
        subject: str | None = ...,
        attribute: str | None = ...,
        value: str | None = ...,
        time: str | None = ...,
    ) -> Fact: ...
    async def retire(self, fact_id: str, reason: str) -> Fact: ...
    async def write_block(self, name: str, text: str) -> Block: ...
    async def forget(self, id_: str) -> None: ...


def tools_of(memory: Remembering) -> tuple[Tool, ...]:
    """See `Memory.tools`."""

    async def recall(
        about: Annotated[str, "What you want to know, in words"],
        tokens: Annotated[int, "How long it may be"] = 2_000,
    ) -> str:
        """Look into your memory of this conversation: notes, facts that hold now, and messages that bear on it."""
        view = await memory.view(about, tokens=max(200, min(tokens, _MOST_TOKENS)), recent=0)
        return view.text or "Nothing is remembered that bears on it."

    async def search_messages(
        query: Annotated[str, "Words to look for"],
        limit: int = 10,
        since: Annotated[str | None, "A day, such as 2026-05-31"] = None,
        until: Annotated[str | None, "A day, such as 2026-05-31"] = None,
        who: Annotated[str | None, "A speaker's name, or user or assistant"] = None,
    ) -> str:
        """Search what was said, word for word, best first, with ids by which a message can be opened."""
        with _told():
            found = await memory.search(
                query, limit=max(1, min(limit, _MOST_FOUND)), since=since, until=until, who=who
            )
        lines = [_line(one.message.id, one.message.who, one.message.at, one.text) for one in found]
        return marked(memory.run_id, "\n".join(lines)) or "Nothing was said with these words."

    async def facts(about: Annotated[str, "What they are about"], limit: int = 20) -> str:
        """Facts that hold now, with ids. A fact that a later one replaced is not among them: see fact_history."""
        found = memory.facts(about, limit=max(1, min(limit, 100)))
        return marked(memory.run_id, "\n".join(map(_fact, found))) or "No fact is known on that."

    async def fact_history(fact_id: str) -> str:
        """Every version of a fact, oldest first."""
        if memory.fact(fact_id) is None:
            raise ToolFailed(f"there is no fact {fact_id!r:.50}: ask `facts` for the ids")
        return marked(memory.run_id, "\n".join(map(_fact, memory.history(fact_id))))

    async def add_fact(
        text: Annotated[str, "The fact as one sentence"],
        subject: Annotated[str | None, "Who or what it is about"] = None,
        attribute: Annotated[str | None, "Which property of it, where it has one value at a time"] = None,
        value: Annotated[str | None, "The value that it has now"] = None,
        time: Annotated[str | None, "Since when it holds, such as 2026-05-31"] = None,
    ) -> str:
        """Remember a fact. With subject, attribute and value it takes the place of the value before."""
        with _told():
            added = await memory.add_fact(text, subject=subject, attribute=attribute, value=value, time=time)
        return f"remembered as {added.id[:_SHORT]}"

    async def retire_fact(fact_id: str, reason: Annotated[str, "Why it holds no longer"]) -> str:
        """Say that a fact holds no longer. It stays as history."""
        with _told():
            retired = await memory.retire(fact_id, reason)
        return f"retired: {retired.text}"

    async def write_note(
        name: Annotated[str, "Which note, such as user, plan, style"],
        text: Annotated[str, "All that it is to say from now on"],
    ) -> str:
        """Write a note that you see in every view, or write it anew. It is bounded: rewrite it rather than add."""
        with _told():
            block = await memory.write_block(name, text)
        return f"written: the note {block.name} may have {block.limit_tokens} tokens"

    async def forget(id: Annotated[str, "Of a message or a fact"]) -> str:  # noqa: A002 - what models call it
        """Forget a message or a fact for good, with all that rests on it, when you are asked to."""
        with _told():
            await memory.forget(id)
        return "forgotten"

    looking = (recall, search_messages, facts, fact_history)
    doing = (add_fact, retire_fact, write_note, forget)
    return (*(tool(one, changes=False) for one in looking), *(tool(one) for one in doing))


class _told:  # noqa: N801 - reads like a word
    """A mistake in what was asked is told to the agent, which may mend it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, UsageError):
            raise ToolFailed(str(error)) from None


def _line(id_: str, who: str, at: str | None, text: str) -> str:
    when = f", {at}" if at else ""
    return f"[{id_[:_SHORT]}] {who}{when}: {indented(text)}"


def _fact(fact: Fact) -> str:
    since = f" (since {fact.at})" if fact.at else ""
    ended = "" if fact.now else f" (no longer{f': {fact.reason}' if fact.reason else ''})"
    return f"[{fact.id[:_SHORT]}] {' '.join(fact.text.split())}{since}{ended}"


__all__: Sequence[str] = ["tools_of"]
