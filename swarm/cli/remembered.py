"""A memory opened for one command, and what came of it printed: a JSON object or lines.

What memories hold is cleaned before it is shown. This module does not know what was asked of the memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from swarm.cli.plain import clean, number, one_line, plural

if TYPE_CHECKING:
    from swarm.memory.blocks import Block
    from swarm.memory.facts import Fact
    from swarm.memory.memory import Memory
    from swarm.memory.messages import Message
    from swarm.memory.mirror import Mirrored

ID = 12
"""Characters of an id are enough to open it."""
STDIN = "-"
Told = tuple[dict[str, Any], list[str]]
"""What came of a command: as JSON, and as lines."""


def with_memory(
    context: typer.Context,
    store: str | None,
    run: Callable[[Memory], Awaitable[Told]],
    *,
    as_json: bool,
    there: bool = True,
    looks: bool = False,
    model: str = "extractive",
    window: int | None = None,
    base_url: str | None = None,
    cost_usd: float | None = None,
) -> int:
    """Open the memory that is named, do something with it, and print what came of it. It has to be `there`, unless
    it is to be made; one that is only looked at (`looks`) may be at work in another process."""
    from swarm.memory.looking import checked, look
    from swarm.memory.memory import open_memory
    from swarm.task import Limits

    async def opened() -> Told:
        if looks:
            async with look(context.obj, store=store) as memory:
                return await run(memory)
        limits = Limits(cost_usd=cost_usd)
        if there:
            await asyncio.to_thread(checked, context.obj, store)
        async with open_memory(
            context.obj, store=store, model=model, window=window, base_url=base_url, limits=limits
        ) as memory:
            return await run(memory)

    try:
        found, lines = asyncio.run(opened())
    except KeyboardInterrupt:
        raise typer.Abort from None  # told, and not silent as Typer has it
    _print(as_json, found, lines)
    return 0


async def summary(memory: Memory) -> Told:
    """How much a memory holds."""
    counts = {"messages": len(memory), "tokens": memory.tokens, "blocks": len(memory.blocks)}
    told = f"{plural(counts['messages'], 'message')} of {number(memory.tokens)} tokens"
    return {"name": memory.name, **counts}, [f"{memory.name}: {told}, {plural(counts['blocks'], 'block')}"]


def listed(store: str | None = None) -> int:
    """Print which memories a store holds."""
    from swarm.memory.looking import memories

    _print(False, {}, [one_line(name, 200) for name in memories(store)] or ["no memory yet"])
    return 0


def _print(as_json: bool, found: dict[str, Any], lines: Iterable[str]) -> None:
    if as_json:
        from swarm.cli.document import dumps

        sys.stdout.write(f"{dumps(found)}\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines)


def document(value: Any) -> dict[str, Any]:
    """What a call gave back, as JSON has it."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(value), default=str))
    return found


def fact_line(fact: Fact, *, history: bool = False) -> str:
    """A fact on one line; with `history`, whether it holds now."""
    what = f"{fact.subject}, {fact.attribute}: {fact.value}" if fact.attribute and fact.value else fact.text
    holds = "" if not history else "  now" if fact.now else f"  {fact.state if fact.state != 'live' else 'before'}"
    reason = f" ({one_line(fact.reason, 60)})" if fact.reason else ""
    return f"{fact.id[:ID]}  {_time(fact.at):16}  {one_line(what, 100)}{holds}{reason}"


def message_line(message: Message, text: str) -> str:
    """A message, or what of it was found, on one line."""
    return f"{message.id[:ID]}  {_time(message.at):16}  {one_line(message.who, 20)}: {one_line(text, 100)}"


def block_line(block: Block) -> str:
    """A block on one line."""
    pinned = ", pinned" if block.pinned else ""
    return f"{one_line(block.name, 30)}  at most {block.limit_tokens:,} tokens{pinned}  {one_line(block.text, 80)}"


def mirror_lines(done: Mirrored) -> list[str]:
    """What was taken from a mirror, what is to be known, and how much was written."""
    lines = [f"taken: {clean(line)}" for line in done.taken] + [f"note: {clean(line)}" for line in done.told]
    changed = len(done.written) + len(done.removed)
    return [*lines, f"{plural(changed, 'page')} changed in {done.folder}" if changed else "nothing has changed"]


def _time(at: str | None) -> str:
    """A time as all times are listed, however it was said: the day, and the minute where it is known."""
    from swarm.memory.messages import moment

    return moment(at)[:16].replace("T", " ") or "-"


def messages_in(file: str, role: str, name: str | None, at: str | None) -> list[Message]:
    """The messages of a file, or of standard input; text is one, said by whom and when the rest says.

    Raises:
        SourceError: it cannot be read, or a place in it holds no message.
    """
    from swarm.memory.conversations import of_text, read_conversation
    from swarm.memory.messages import Message

    found = list(of_text(sys.stdin.read(), "standard input") if file == STDIN else read_conversation(Path(file)))
    if len(found) == 1 and found[0] == Message(role="user", text=found[0].text):  # text comes so
        return [Message(role=role, text=found[0].text, name=name, at=at)]
    return found


def read_text(file: str) -> str:
    """The text of a file, or of standard input.

    Raises:
        SourceError: it cannot be read.
    """
    from swarm.errors import SourceError

    if file == STDIN:
        return sys.stdin.read()
    try:
        return Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise SourceError(f"--file {file} cannot be read: {error}") from None
