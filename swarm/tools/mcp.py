"""The tools of any MCP server, over stdio and streamable HTTP, by the official SDK (the extra `mcp`).

A server is not trusted: what it says of its tools and what they give back is text of a bounded length, its names
are made valid, and what it was given of secrets appears in no error and no log. This module knows the protocol's
tools; resources, prompts, sampling and the rest of it are not used.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.observe.log import get_logger
from swarm.tools.hosted import Hosted, Lost
from swarm.tools.servers import Http, Stdio, servers_in
from swarm.tools.told import Unfit, as_json, bounded, named, plain

if TYPE_CHECKING:
    import mcp_types

__all__ = ["Http", "Stdio", "mcp_tools", "servers_in"]

log = get_logger("tools")

_MOST_TOOLS = 500
_MOST_PAGES = 100
_DESCRIPTION = 2_000  # characters of what a server says of a tool
_SCHEMA = 20_000  # characters of the schema of its arguments


@asynccontextmanager
async def mcp_tools(
    server: Stdio | Http,
    *,
    prefix: str = "",
    only: Collection[str] = (),
    readonly_hint: bool = True,
    seconds: float = 60.0,
) -> AsyncIterator[tuple[Tool, ...]]:
    """The tools of a server as long as the context lasts; a server that is a program ends with it.

    `prefix` goes in front of each name, `only` leaves out all tools but those that the server calls so. Where a
    server says that a tool only reads, it is believed, with `readonly_hint`, and may be run beside others.
    `seconds` is what starting it and each call may take.

    Raises:
        UsageError: the SDK is not installed, the server does not answer, or has no tool that `only` names.
    """
    async with Hosted(server, seconds) as hosted:
        yield tuple(_tools(hosted, await _listed(hosted), prefix, only, readonly_hint))


async def _listed(hosted: Hosted) -> list[mcp_types.Tool]:
    """All tools, page by page; a server that never comes to an end is cut off."""
    found: list[mcp_types.Tool] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        try:
            page = await hosted.asked(lambda client, at=cursor: client.list_tools(cursor=at))  # type: ignore[misc]
        except Lost as error:
            raise UsageError(f"{hosted.name} does not list its tools: {error}") from None
        found += page.tools
        if not page.next_cursor or page.next_cursor == cursor or len(found) >= _MOST_TOOLS:
            break
        cursor = page.next_cursor
    if len(found) > _MOST_TOOLS:
        log.warning("an MCP server has more tools than are taken", server=hosted.name, taken=_MOST_TOOLS)
    return found[:_MOST_TOOLS]


def _tools(
    hosted: Hosted, found: list[mcp_types.Tool], prefix: str, only: Collection[str], readonly_hint: bool
) -> Iterable[Tool]:
    there = [one.name for one in found]
    if missing := [name for name in only if name not in there]:
        raise UsageError(f"{hosted.name} has no tool {missing[0]!r:.100}: it has {_shown(there)}")
    taken: set[str] = set()
    for one in found:
        if only and one.name not in only:
            continue
        try:
            parameters = _parameters(one)
        except Unfit as error:
            log.warning(
                "a tool of an MCP server is left out", server=hosted.name, tool=one.name[:64], why=str(error)
            )
            continue
        name = named(f"{prefix}{one.name}", taken)
        taken.add(name)
        reads = one.annotations is not None and one.annotations.read_only_hint is True
        yield Tool(
            name=name,
            description=hosted.clean(_said(one)),
            parameters=parameters,
            call=_call(hosted, one.name),
            changes=not (reads and readonly_hint),
        )


def _call(hosted: Hosted, name: str) -> Any:
    async def call(arguments: Mapping[str, Any]) -> str:
        try:
            found = await hosted.asked(lambda client: client.call_tool(name, dict(arguments)))
        except Lost as error:
            raise ToolFailed(f"{hosted.name}: {error}") from None
        text = bounded(hosted.clean(_text(found)))
        if found.is_error:
            raise ToolFailed(text or f"{hosted.name}: {name:.64} failed, and does not say why")
        return text or "done"

    return call


def _said(tool: mcp_types.Tool) -> str:
    text = tool.description or tool.title or ""
    kept = "".join(char if char.isprintable() or char == "\n" else " " for char in text[: 2 * _DESCRIPTION])
    return bounded(kept.strip(), _DESCRIPTION)


def _parameters(tool: mcp_types.Tool) -> dict[str, Any]:
    found = plain(tool.input_schema)
    if len(as_json(found)) > _SCHEMA:
        raise Unfit(f"the schema of its arguments is longer than {_SCHEMA:,} characters")
    return found


def _text(result: mcp_types.CallToolResult) -> str:
    """All that is text in it, and a note for what is not."""
    parts = [_block(block) for block in result.content]
    structured = result.structured_content
    if structured is not None and not any(_says(part, structured) for part in parts):
        parts.append(as_json(structured))
    return "\n".join(parts)


def _says(text: str, structured: Any) -> bool:
    """Whether a text is the structured content once more, as most servers send it."""
    if isinstance(structured, dict) and structured == {"result": text}:
        return True
    try:
        return bool(json.loads(text) == structured or {"result": json.loads(text)} == structured)
    except (ValueError, RecursionError):
        return False


def _block(block: mcp_types.ContentBlock) -> str:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"({block.type}, {block.mime_type:.80}, {len(block.data) * 3 // 4:,} bytes: it is not shown)"
        case "resource_link":
            return f"(a resource: {block.name:.200}, {block.uri!s:.400})"
        case "resource":
            held = getattr(block.resource, "text", None)
            return held if held is not None else f"(a resource: {block.resource.uri!s:.400}, which is no text)"


def _shown(names: list[str]) -> str:
    return ", ".join(name[:64] for name in names[:30]) + (", …" if len(names) > 30 else "") if names else "none"
