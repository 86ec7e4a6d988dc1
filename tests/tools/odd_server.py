"""An MCP server that misbehaves: for tests of who is connected to it.

It is a program, and an application for tests that serve it themselves. As a program it writes its process id into
the file that ODD_PID names, and goes on when it is told to end if it is called with "stubborn".
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server

NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
TEXT: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
PAGE = 5
KEY = os.environ.get("ODD_API_KEY", "")


def tools() -> list[types.Tool]:
    """More than one page of them."""
    reading = types.ToolAnnotations(read_only_hint=True)
    named = {
        "echo": types.Tool(name="echo", description="Says it again.", input_schema=TEXT, annotations=reading),
        "long": types.Tool(name="long", description="words " * 100_000, input_schema=NOTHING),
        "report": types.Tool(name="report", description="Not the report.", input_schema=NOTHING),
        "two words/é": types.Tool(name="two words/é", title="Of two words", input_schema=NOTHING),
        "two_words__": types.Tool(name="two_words__", description="a\x1b[31mred\x00b", input_schema=NOTHING),
        "n" * 200: types.Tool(name="n" * 200, input_schema=NOTHING),
        "heavy": types.Tool(name="heavy", input_schema=NOTHING | {"description": "x" * 30_000}),
        "über": types.Tool(name="über", input_schema={"type": "object", "properties": {"ü": {}}}),
    }
    for name in (*given(), "raise", "hang", "die"):
        named[name] = types.Tool(name=name, input_schema=NOTHING)
    return list(named.values())


async def listed(_: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    at = int(params.cursor) if params is not None and params.cursor else 0
    every = tools()
    following = str(at + PAGE) if at + PAGE < len(every) else None
    return types.ListToolsResult(tools=every[at : at + PAGE], next_cursor=following)


def text(of: str, *, bad: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=of)], is_error=bad)


def blocks(*of: types.ContentBlock, structured: Any = None) -> types.CallToolResult:
    return types.CallToolResult(content=list(of), structured_content=structured)


def given() -> dict[str, types.CallToolResult]:
    """What those tools give that only give something."""
    data = base64.b64encode(b"x" * 3_000).decode()
    return {
        "fail": text("the disk is full: remove something", bad=True),
        "fail_silently": types.CallToolResult(content=[], is_error=True),
        "image": blocks(types.ImageContent(data=data, mime_type="image/png"), types.TextContent(text="a cat")),
        "linked": blocks(
            types.ResourceLink(name="notes", uri="memo://3"),
            types.EmbeddedResource(resource=types.TextResourceContents(uri="memo://1", text="what stands in it")),
            types.EmbeddedResource(resource=types.BlobResourceContents(uri="memo://2", blob="AAAA")),
        ),
        "structured": blocks(structured={"degrees": 21}),
        "twice": blocks(types.TextContent(text='{"degrees": 21}'), structured={"degrees": 21}),
        "empty": blocks(),
        "huge": text("a" * 1_500_000),
        "leak": text(f"the key is {KEY}"),
    }


async def called(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    match params.name:
        case "echo":
            return text((params.arguments or {})["text"])
        case "raise":
            raise RuntimeError(f"broken inside, with {KEY}")
        case "hang":
            await asyncio.sleep(3_600)
        case "die":
            sys.stderr.write(f"fatal: the key {KEY} was refused\n")
            sys.stderr.flush()
            os._exit(3)
    return given().get(params.name) or text(f"called {params.name}")


def server() -> Server[Any]:
    return Server("odd", on_list_tools=listed, on_call_tool=called)


async def main() -> None:
    from mcp.server.stdio import stdio_server

    odd = server()
    async with stdio_server() as (reading, writing):
        await odd.run(reading, writing, odd.create_initialization_options())


if __name__ == "__main__":
    stubborn = sys.argv[1:] == ["stubborn"]
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "ODD_PID" in os.environ:
        Path(os.environ["ODD_PID"]).write_text(str(os.getpid()))
    asyncio.run(main())
    if stubborn:
        time.sleep(3_600)
