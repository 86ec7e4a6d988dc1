"""OpenAI's Chat Completions format where a model has tools: from turns to messages, and back.

Some servers send what they thought beside the message, or sign each call, and want it back; of that, only what is
named here is kept. This module knows no SDK and sends nothing.
"""

from __future__ import annotations

import json
from typing import Any

from swarm.models.tools import (
    NOTHING,
    arguments_text,
    arguments_told,
    function,
    ids_of,
    keep,
    kept_by,
    told,
    turn_taken,
)
from swarm.prompts.acting import REPORT, Turn
from swarm.prompts.render import Rendered
from swarm.prompts.replies import ToolCall

_THOUGHTS = ("reasoning_content", "reasoning_details")  # DeepSeek and others; OpenRouter
_SIGNATURE = "extra_content"  # Gemini signs its calls there


def conversation(rendered: Rendered, by: str) -> list[dict[str, Any]]:
    """The messages of a step."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": rendered.system},
        {"role": "user", "content": "\n\n".join(rendered.parts)},
    ]
    for turn, ids in zip(rendered.turns, ids_of(rendered.turns), strict=True):
        messages.append(_said(turn, ids, kept_by(by, turn)))
        if turn.calls:
            messages += [
                {"role": "tool", "tool_call_id": name, "content": told(result)}
                for result, name in zip(turn.results, ids, strict=True)
            ]
        else:
            messages += [{"role": "user", "content": told(result)} for result in turn.results]
    if rendered.last:
        messages.append({"role": "user", "content": rendered.last})
    return messages


def tools(rendered: Rendered, *, forced: bool) -> dict[str, Any]:
    """The fields of a request that tell of the tools."""
    told = [{"type": "function", "function": function(tool)} for tool in rendered.tools]
    choice = {"type": "function", "function": {"name": REPORT}}
    return {"tools": told} | ({"tool_choice": choice} if forced else {})


def _said(turn: Turn, ids: list[str], kept: dict[str, Any]) -> dict[str, Any]:
    content = turn.says if turn.says.strip() else None if turn.calls else NOTHING
    message: dict[str, Any] = {"role": "assistant", "content": content, **kept.get("message", {})}
    signatures = kept.get("calls", {})
    if turn.calls:
        message["tool_calls"] = [
            {
                "id": name,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call)},
                **signatures.get(str(place), {}),
            }
            for place, (call, name) in enumerate(zip(turn.calls, ids, strict=True))
        ]
    return message


def turn(text: str, message: Any, by: str, *, cut: bool) -> str:
    """What was said and done, as the JSON of an `ActReply`. `text` is the message's content, `cut` whether the
    reply was longer than it might be."""
    given = [call for call in message.tool_calls or () if getattr(call, "function", None) is not None]
    calls = [
        ToolCall(
            id=call.id or "",
            name=call.function.name or "",
            arguments=arguments_told(_written(call.function.arguments), cut=cut and call is given[-1]),
        )
        for call in given
    ]
    thoughts = {name: value for name in _THOUGHTS if (value := getattr(message, name, None))}
    signed = {
        str(place): {_SIGNATURE: value}
        for place, call in enumerate(given)
        if (value := getattr(call, _SIGNATURE, None))
    }
    return turn_taken(text, calls, keep(by, {"message": thoughts, "calls": signed}))


def _written(arguments: Any) -> str:
    """Some servers send an object where the format has text."""
    return arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
