"""A tool of LangChain as one of Swarm's: any `BaseTool`, also what `@tool` makes of a function.

What it returns is told as text: of pictures and the like only that they were there. This module knows LangChain's
tools; it knows no tool of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.tools.function import as_text, mistakes
from swarm.tools.told import Unfit, bounded, named, plain

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_CALL = "swarm"  # the id of every call: the tool may be told one, and nobody looks it up


def from_langchain(tool: BaseTool, *, changes: bool = True) -> Tool:
    """The tool as it is, asynchronous or not; one that is not runs in a thread. One that `changes` nothing may run
    beside others.

    Raises:
        UsageError: it is no tool, or takes arguments that no model could give.
    """
    from langchain_core.tools import BaseTool

    if not isinstance(tool, BaseTool):
        raise UsageError(
            f"{tool!r:.100} is no tool of LangChain: make one of a function with langchain_core's @tool"
        )
    try:
        parameters = plain(_schema(tool))
    except Unfit as error:
        raise UsageError(f"the tool {tool.name} of LangChain cannot be used: {error}") from None

    async def call(arguments: Mapping[str, Any]) -> str:
        return await _called(tool, dict(arguments), tuple(parameters["properties"]))

    return Tool(
        name=named(tool.name),
        description=tool.description,
        parameters=parameters,
        call=call,
        changes=changes,
    )


def _schema(tool: BaseTool) -> Mapping[str, Any]:
    """Of the arguments that a model gives: those that a program injects are not among them."""
    schema = tool.tool_call_schema
    if isinstance(schema, dict):
        found = schema
    else:  # a model of pydantic's first version says it in its own way
        found = schema.model_json_schema() if hasattr(schema, "model_json_schema") else schema.schema()
    return {key: value for key, value in found.items() if key != "description"}  # which is the tool's


async def _called(tool: BaseTool, arguments: dict[str, Any], known: tuple[str, ...]) -> str:
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import ToolException
    from pydantic import ValidationError

    try:
        found = await tool.ainvoke({"name": tool.name, "args": arguments, "id": _CALL, "type": "tool_call"})
    except ValidationError as error:
        raise ToolFailed(mistakes(error, known)) from None
    except ToolException as error:
        raise ToolFailed(str(error) or f"{tool.name} failed, and does not say why") from None
    if not isinstance(found, ToolMessage):  # a command to a graph, of which there is none
        return as_text(found)
    text = bounded(_text(found.content))
    if found.status == "error":
        raise ToolFailed(text)
    return text


def _text(content: str | list[str | dict[Any, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block if isinstance(block, str) else _block(block) for block in content)


def _block(block: Mapping[Any, Any]) -> str:
    if isinstance(block.get("text"), str):
        return str(block["text"])
    return f"(a block of type {str(block.get('type', 'unknown'))[:40]}, which is not shown)"
