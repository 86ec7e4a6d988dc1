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

from swarm.cli.plain import number, one_line, plural

if TYPE_CHECKING:
    from swarm.memory.facts import Fact
    from swarm.memory.memory import Memory

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
    model: str = "extractive",
    window: int | None = None,
    base_url: str | None = None,
    cost_usd: float | None = None,
) -> int:
    """Open the memory that is named, do something with it, and print what came of it."""
    from swarm.memory.memory import open_memory
    from swarm.task import Limits

    async def opened() -> Told:
        limits = Limits(cost_usd=cost_usd)
        async with open_memory(
            context.obj, store=store, model=model, window=window, base_url=base_url, limits=limits
        ) as memory:
            return await run(memory)

    found, lines = asyncio.run(opened())
    _print(as_json, found, lines)
    return 0


async def summary(memory: Memory) -> Told:
    """How much a memory holds."""
    counts = {"messages": len(memory), "tokens": memory.tokens, "blocks": len(memory.blocks)}
    told = f"{plural(counts['messages'], 'message')} of {number(memory.tokens)} tokens"
    return {"name": memory.name, **counts}, [f"{memory.name}: {told}, {plural(counts['blocks'], 'block')}"]


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
    return f"{fact.id[:ID]}  {one_line(fact.at or '-', 19):19}  {one_line(what, 100)}{holds}{reason}"


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
