"""LangChain's messages where a chat model has tools: from turns to messages, and back.

What a package puts into a message beside text and calls (thinking in parts of the content, or in additional
arguments) is kept and goes back with its turn. This module knows no package.
"""

from __future__ import annotations

import json
from typing import Any

from swarm.models.tools import NOTHING, arguments_of, ids_of, keep, kept_by, told, turn_taken
from swarm.prompts.acting import Turn
from swarm.prompts.render import Rendered
from swarm.prompts.replies import ToolCall

_PLAIN = {"tool_calls", "function_call", "refusal", "parsed"}  # said elsewhere, or of no use to anyone
_KEPT_CHARS = 200_000


def conversation(rendered: Rendered, by: str) -> list[Any]:
    """The messages of a step."""
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage

    messages: list[Any] = [SystemMessage(rendered.system), HumanMessage("\n\n".join(rendered.parts))]
    for turn, ids in zip(rendered.turns, ids_of(rendered.turns), strict=True):
        messages.append(_said(turn, ids, kept_by(by, turn)))
        if turn.calls:
            messages += [
                ToolMessage(
                    told(result),
                    tool_call_id=name,
                    name=call.name,
                    status="error" if result.failed else "success",
                )
                for call, result, name in zip(turn.calls, turn.results, ids, strict=True)
            ]
        else:
            messages += [HumanMessage(told(result)) for result in turn.results]
    if rendered.last:
        messages.append(HumanMessage(rendered.last))
    return messages


def _said(turn: Turn, ids: list[str], kept: dict[str, Any]) -> Any:
    from langchain_core.messages import AIMessage

    calls = [
        {"type": "tool_call", "id": name, "name": call.name, "args": arguments_of(call)}
        for call, name in zip(turn.calls, ids, strict=True)
    ]
    content = kept.get("content") or (turn.says if turn.says.strip() or turn.calls else NOTHING)
    return AIMessage(content=content, tool_calls=calls, additional_kwargs=kept.get("more", {}))


def turn(message: Any, by: str) -> str:
    """What was said and done, as the JSON of an `ActReply`."""
    calls = [
        ToolCall(id=call["id"] or "", name=call["name"], arguments=json.dumps(call["args"], ensure_ascii=False))
        for call in getattr(message, "tool_calls", None) or ()
    ]
    calls += [
        ToolCall(id=call["id"] or "", name=call["name"] or "", arguments=call["args"] or "{")
        for call in getattr(message, "invalid_tool_calls", None) or ()
    ]
    return turn_taken(str(message.text), calls, _kept(message, by))


def _kept(message: Any, by: str) -> str:
    parts = message.content if isinstance(message.content, list) else ()
    told = all(
        isinstance(part, str) or part.get("type") in {"text", "tool_use", "function_call"} for part in parts
    )
    more = {name: value for name, value in message.additional_kwargs.items() if name not in _PLAIN}
    try:
        kept = keep(by, {"content": None if told else list(parts), "more": more})
    except (TypeError, ValueError):
        return ""  # something that is no JSON: it cannot outlive this process
    return kept if len(kept) <= _KEPT_CHARS else ""
