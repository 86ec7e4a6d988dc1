"""A call of a tool on behalf of an agent of somebody else's: whatever happens, it comes to a text for its model.

What a tool could not do is told in one line, and never breaks the loop of the agent. To cancel the call is to
cancel what it waits for; tasks in the background go on. This module knows no SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swarm.equipment import Tool, ToolFailed
from swarm.errors import SwarmError, UsageError
from swarm.observe.log import get_logger, redact_text
from swarm.prompts.acting import arguments_in

log = get_logger("embed")

_LONGEST = 2_000  # characters of what went wrong


@dataclass(frozen=True, slots=True)
class Called:
    """What a call came to. `line` is for the SDKs that have no mark for a call that failed."""

    text: str
    failed: bool = False

    @property
    def line(self) -> str:
        return f"Error: {self.text}" if self.failed else self.text


async def called(tool: Tool, arguments: Mapping[str, Any] | str) -> Called:
    """Call a tool. `arguments` are an object, or the JSON of one as a model wrote it."""
    try:
        given = arguments_in(arguments) if isinstance(arguments, str) else dict(arguments)
    except ValueError as error:
        return Called(str(error), failed=True)
    try:
        return Called(await tool.call(given))
    except Exception as error:
        return failed(error)


def failed(error: Exception) -> Called:
    """What is told of an error: in one line, without what nobody is to see."""
    known = isinstance(error, ToolFailed | SwarmError)
    if not known:  # a tool may be somebody's code: what it trips over is told to who used it
        log.info("tool failed", error=type(error).__name__)
    said = str(error) or ("it failed, and does not say why" if known else "")
    line = redact_text(said if known else f"{type(error).__name__}: {said}")
    told = "; ".join(part for text in line.splitlines() if (part := text.strip()))
    return Called(told[:_LONGEST], failed=True)


def by_name(tools: Iterable[Tool]) -> dict[str, Tool]:
    """The tools by their names.

    Raises:
        UsageError: two have one name: no provider takes that.
    """
    found: dict[str, Tool] = {}
    for one in tools:
        if one.name in found:
            raise UsageError(f"two tools are called {one.name!r}: give one of them another name")
        found[one.name] = one
    return found
