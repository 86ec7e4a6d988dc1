"""An MCP server that misbehaves: for tests of who is connected to it.

As a program, `python odd_server.py [MODE]`: "dies" ends before it answers anything and says why on stderr, "deaf"
never answers and goes on when it is told to end, and "stubborn" answers, and goes on as well. Its process id goes
into the file that ODD_PID names.
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
    for name in ("fail", "fail_silently", "raise", "image", "linked", "structured", "empty", "huge", "hang", "die", "leak"):
        named[name] = types.Tool(name=name, input_schema=NOTHING)
    return list(named.values())


async def listed(_: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    at = int(params.cursor) if params is not None and params.cursor else 0
    every = tools()
    following = str(at + PAGE) if at + PAGE < len(every) else None
    return types.ListToolsResult(tools=every[at : at + PAGE], next_cursor=following)


def text(of: str, *, bad: bool = False, structured: Any = None) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(text=of)]
    return types.CallToolResult(content=content, is_error=bad, structured_content=structured)


async def called(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    given = params.arguments or {}
    match params.name:
        case "echo":
            return text(given["text"])
        case "fail":
            return text("the disk is full: remove something", bad=True)
        case "fail_silently":
            return types.CallToolResult(content=[], is_error=True)
        case "raise":
            raise RuntimeError(f"broken inside, with {KEY}")
        case "image":
            data = base64.b64encode(b"x" * 3_000).decode()
            return types.CallToolResult(
                content=[types.ImageContent(data=data, mime_type="image/png"), types.TextContent(text="a cat")]
            )
        case "linked":
            inside = types.TextResourceContents(uri="memo://1", text="what stands in it")
            blob = types.BlobResourceContents(uri="memo://2", blob="AAAA")
            return types.CallToolResult(
                content=[
                    types.ResourceLink(name="notes", uri="memo://3"),
                    types.EmbeddedResource(resource=inside),
                    types.EmbeddedResource(resource=blob),
                ]
            )
        case "structured":
            return types.CallToolResult(content=[], structured_content={"degrees": 21})
        case "empty":
            return types.CallToolResult(content=[])
        case "huge":
            return text("a" * 1_500_000)
        case "hang":
            await asyncio.sleep(3_600)
        case "die":
            sys.stderr.write(f"fatal: the key {KEY} was refused\n")
            sys.stderr.flush()
            os._exit(3)
        case "leak":
            return text(f"the key is {KEY}")
    return text(f"called {params.name}")


def server() -> Server[Any]:
    return Server("odd", on_list_tools=listed, on_call_tool=called)


async def main() -> None:
    from mcp.server.stdio import stdio_server

    odd = server()
    async with stdio_server() as (reading, writing):
        await odd.run(reading, writing, odd.create_initialization_options())


if __name__ == "__main__":
    if "ODD_PID" in os.environ:
        Path(os.environ["ODD_PID"]).write_text(str(os.getpid()))
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode in ("deaf", "stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "dies":
        sys.exit(f"no licence for {KEY}")
    if mode == "deaf":
        time.sleep(3_600)
    asyncio.run(main())
    if mode == "stubborn":
        time.sleep(3_600)
