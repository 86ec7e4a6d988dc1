"""Swarm as tools of LangChain, for `create_agent`, LangGraph's `ToolNode` and whatever else takes a `BaseTool`.

    agent = create_agent(model, [ask_tool(Swarm("anthropic:…"), paths=["reports/"])])
    agent = create_agent(model, langchain_tools(job_tools(jobs)))      # long tasks, in the background

What fails is a message with the status `error`, and the agent goes on. This module knows LangChain's tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from swarm.embed import words
from swarm.embed.called import by_name, called, failed
from swarm.equipment import Tool
from swarm.errors import UsageError
from swarm.run import Swarm
from swarm.task import Limits, Task
from swarm.tools.function import as_text

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_ASK = (
    "Answers a question from material of any size, read whole, with exact citations. It takes a while: ask one "
    "whole question, and not its parts one by one."
)
_QUESTION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "description": "One whole question, with all it takes to read it."}
    },
    "required": ["question"],
    "additionalProperties": False,
}


def langchain_tools(tools: Iterable[Tool]) -> list[BaseTool]:
    """The tools as LangChain's. They are asynchronous: agents that hold them are run with `ainvoke` or `astream`.

    Raises:
        UsageError: two have one name.
    """
    return [_made(one) for one in by_name(tools).values()]


def _made(tool: Tool) -> BaseTool:
    from langchain_core.tools import StructuredTool, ToolException

    async def call(**arguments: Any) -> str:
        came = await called(tool, arguments)
        if came.failed:
            raise ToolException(came.line)
        return came.text

    return StructuredTool(
        name=tool.name,
        description=tool.description,
        args_schema=dict(tool.parameters),
        coroutine=call,
        handle_tool_error=True,
    )


def ask_tool(
    swarm: Swarm,
    paths: Sequence[str | Path],
    *,
    name: str = "ask",
    description: str = _ASK,
    limits: Limits | None = None,
    approve: Literal["budget", "plan"] | None = None,
    on_limit: Literal["end", "ask"] = "end",
) -> BaseTool:
    """A tool that answers questions over these paths, and waits for the answer. The model that calls it chooses
    neither paths nor limits. `limits` hold for each question; `approve` and `on_limit` are those of
    `Swarm.compiled`.

    Within an agent that is a graph, the run takes its name from the agent's thread, its events come through the
    agent's custom stream, and what it asks a person interrupts the agent. The message of the tool has all of the
    answer, with the exact place of each quote, as its `artifact`.

    Raises:
        UsageError: no paths.
    """
    from langchain_core.tools import StructuredTool, ToolException

    from swarm.coordinator.machine import GraphBubbleUp

    if not paths:
        raise UsageError("nothing is to be read: give paths, which are files, folders or patterns")
    task = Task(questions=(), paths=tuple(map(str, paths)), limits=limits or Limits())
    graph = swarm.compiled(task, approve=approve, on_limit=on_limit)

    async def ask(**arguments: Any) -> tuple[str, dict[str, Any]]:
        question = arguments.get("question")
        if not isinstance(question, str) or not question.strip():
            raise ToolException("Error: nothing is asked: give a question")
        try:
            out = await graph.ainvoke({"question": question})
        except GraphBubbleUp:
            raise  # a person is asked, or the agent is drained
        except Exception as error:
            raise ToolException(failed(error).line) from None
        return as_text(_told(out)), dict(out)

    return StructuredTool(
        name=name,
        description=description,
        args_schema=_QUESTION,
        coroutine=ask,
        handle_tool_error=True,
        response_format="content_and_artifact",
    )


def _told(out: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: out[name] for name in ("run_id", "status", "complete", "cost_usd")}
    if why := out["stopped"] or (f"the limit {out['limit']} was reached" if out["limit"] else ""):
        told["why"] = why
    return {**told, "note": words.NOTE, "material": words.answer_told(out)}
