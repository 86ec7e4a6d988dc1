"""Tools for the tool runner of Anthropic's SDK: `client.beta.messages.tool_runner(tools=anthropic_tools(…))`.

    async with Jobs(model="anthropic:…", roots=["reports/"]) as jobs:
        runner = client.beta.messages.tool_runner(tools=anthropic_tools(job_tools(jobs)), …)
        message = await runner.until_done()

What fails is a result with `is_error`. This module knows the SDK; it knows no particular tool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from swarm.embed.called import by_name, called
from swarm.equipment import Tool

if TYPE_CHECKING:
    from anthropic.lib.tools import BetaAsyncFunctionTool


def anthropic_tools(tools: Iterable[Tool]) -> list[BetaAsyncFunctionTool[Any]]:
    """The tools as the runner of an `AsyncAnthropic` takes them.

    Raises:
        UsageError: two have one name.
    """
    return [_made(one) for one in by_name(tools).values()]


def _made(tool: Tool) -> BetaAsyncFunctionTool[Any]:
    from anthropic.lib.tools import BetaAsyncFunctionTool, ToolError

    async def call(**arguments: Any) -> str:
        came = await called(tool, arguments)
        if came.failed:
            raise ToolError(came.text)
        return came.text

    return BetaAsyncFunctionTool(
        call, name=tool.name, description=tool.description, input_schema=cast("Any", dict(tool.parameters))
    )
