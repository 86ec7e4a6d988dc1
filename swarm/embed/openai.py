"""Tools for OpenAI's SDK: their definitions for Chat Completions and for Responses, and who handles the calls.

    tools = OpenAITools(job_tools(jobs))
    while True:
        reply = (await client.chat.completions.create(messages=messages, tools=tools.chat, …)).choices[0].message
        messages.append(reply.model_dump(exclude_none=True))
        if not reply.tool_calls:
            break
        messages += [await tools.handle(call) for call in reply.tool_calls]

Neither format has a mark for a call that failed: such a result begins with `Error: `. This module knows the two
formats; it imports no SDK and knows no particular tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from swarm.embed.called import Called, by_name, called
from swarm.equipment import Tool


class OpenAITools:
    """Tools as both formats of OpenAI's have them.

    Raises:
        UsageError: two have one name.
    """

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = by_name(tools)

    @property
    def chat(self) -> list[Any]:
        """For `client.chat.completions.create(tools=…)`."""
        return [{"type": "function", "function": _function(one)} for one in self._tools.values()]

    @property
    def responses(self) -> list[Any]:
        """For `client.responses.create(tools=…)`."""
        return [{"type": "function", "strict": False, **_function(one)} for one in self._tools.values()]

    async def handle(self, call: Any) -> Any:
        """What one call came to, ready to be sent: a message of the role `tool` for a call of Chat Completions, an
        item `function_call_output` for one of Responses. `call` is as the SDK gives it, or the same as a dict."""
        given: Mapping[str, Any] = call if isinstance(call, Mapping) else call.model_dump()
        if given.get("type") == "function_call":
            came = await self._called(given["name"], given["arguments"])
            return {"type": "function_call_output", "call_id": given["call_id"], "output": came.line}
        asked = given.get("function") or given.get("custom") or {}
        came = await self._called(asked.get("name", ""), asked.get("arguments", ""))
        return {"role": "tool", "tool_call_id": given["id"], "content": came.line}

    async def _called(self, name: str, arguments: str) -> Called:
        if name not in self._tools:
            return Called(f"there is no tool {name[:80]!r}. There are: {', '.join(self._tools)}", failed=True)
        return await called(self._tools[name], arguments)


def _function(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
