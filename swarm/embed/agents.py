"""Tools for OpenAI's Agents SDK (`pip install "swarm-memory[agents]"`): `Agent(tools=agents_tools(…))`.

    async with Jobs(model="openai:…", roots=["reports/"]) as jobs:
        agent = Agent(name="analyst", instructions="…", tools=agents_tools(job_tools(jobs)))
        result = await Runner.run(agent, "What changed our churn in Q3?")

A call that failed is told to the model as a text that begins with `Error: `; the run of the agent goes on. This
module knows the SDK; it knows no particular tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from swarm.embed.called import by_name, called
from swarm.equipment import Tool
from swarm.errors import UsageError

if TYPE_CHECKING:
    from agents import FunctionTool
    from agents.tool_context import ToolContext


def agents_tools(tools: Iterable[Tool]) -> list[FunctionTool]:
    """The tools as an `Agent` takes them. One with arguments that may be left out is not strict: a strict schema
    has none.

    Raises:
        UsageError: the SDK is not installed, or two have one name.
    """
    try:
        import agents  # noqa: F401
    except ImportError:
        raise UsageError("OpenAI's Agents SDK needs a package: pip install 'swarm-memory[agents]'") from None
    # a task loads langgraph on a thread, and that httpx, which the SDK looks into also while it is half loaded
    with suppress(ImportError):
        import_module("httpx")
    return [_made(one) for one in by_name(tools).values()]


def _made(tool: Tool) -> FunctionTool:
    from agents import FunctionTool

    async def call(_context: ToolContext[Any], arguments: str) -> str:
        return (await called(tool, arguments)).line

    schema = dict(tool.parameters)
    return FunctionTool(
        name=tool.name,
        description=tool.description,
        params_json_schema=schema,
        on_invoke_tool=call,
        strict_json_schema=_is_strict(schema),
    )


def _is_strict(schema: dict[str, Any]) -> bool:
    """Whether the schema is strict as it is. Made strict, it would want every argument, with null for what is not
    said."""
    from agents import UserError
    from agents.strict_schema import ensure_strict_json_schema

    try:
        return bool(ensure_strict_json_schema(json.loads(json.dumps(schema))) == schema)
    except (UserError, TypeError, ValueError):
        return False
