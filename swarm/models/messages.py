"""The Messages format where a model has tools: from turns to messages, and from a stream to what was said.

Thinking that the provider sends is kept as it came and goes back with its turn. This module knows no SDK and sends
nothing.
"""

from __future__ import annotations

import json
from typing import Any

from swarm.models.tools import (
    NOTHING,
    arguments_of,
    arguments_told,
    ids_of,
    keep,
    kept_by,
    told,
    turn_taken,
    with_opaque,
)
from swarm.prompts.acting import REPORT, Turn
from swarm.prompts.render import Rendered
from swarm.prompts.replies import ToolCall

_CACHED: dict[str, Any] = {"type": "ephemeral"}
_OPAQUE = {"thinking", "redacted_thinking"}


def conversation(rendered: Rendered, by: str) -> list[dict[str, Any]]:
    """The messages of a step, with at most four cache marks: what all slices share, what this sub-agent was given,
    and the ends of the last two turns. What the last mark stands behind is written, and found at the next step by
    the mark before it, however many calls there were."""
    given = [_text(part) for part in rendered.parts]
    marked = [given[-2:-1], given[-1:]]
    messages: list[dict[str, Any]] = [{"role": "user", "content": given}]
    for turn, ids in zip(rendered.turns, ids_of(rendered.turns), strict=True):
        seen = _results(turn, ids)
        messages += [{"role": "assistant", "content": _said(turn, ids, by)}, {"role": "user", "content": seen}]
        marked.append(seen[-1:])
    for blocks in (*marked[:2], *marked[2:][-2:]):
        for block in blocks:
            block["cache_control"] = _CACHED
    if rendered.last:
        messages[-1]["content"].append(_text(rendered.last))
    return messages


def tools(rendered: Rendered, *, forced: bool) -> dict[str, Any]:
    """The fields of a request that tell of the tools."""
    told = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
        for tool in rendered.tools
    ]
    return {"tools": told} | ({"tool_choice": {"type": "tool", "name": REPORT}} if forced else {})


def _said(turn: Turn, ids: list[str], by: str) -> list[dict[str, Any]]:
    said = [_text(turn.says)] if turn.says.strip() or not turn.calls else []
    said += [
        {"type": "tool_use", "id": name, "name": call.name, "input": arguments_of(call)}
        for call, name in zip(turn.calls, ids, strict=True)
    ]
    return with_opaque(said, kept_by(by, turn).get("at", ()))


def _results(turn: Turn, ids: list[str]) -> list[dict[str, Any]]:
    if not turn.calls:
        return [_text(told(result)) for result in turn.results]
    return [
        {"type": "tool_result", "tool_use_id": name, "content": told(result)}
        | ({"is_error": True} if result.failed else {})
        for result, name in zip(turn.results, ids, strict=True)
    ]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text if text.strip() else NOTHING}


class Streamed:
    """What came of a stream so far. `counts` are running totals, `stop` is None until the end."""

    def __init__(self) -> None:
        self.stop: str | None = None
        self.why = ""
        self.counts = {
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        }
        self._blocks: dict[int, dict[str, Any]] = {}

    def take(self, event: Any) -> None:
        match event.type:
            case "message_start":
                self._bill(event.message.usage)
            case "content_block_start":
                self._blocks[event.index] = _begun(event.content_block)
            case "content_block_delta":
                self._add(self._blocks.setdefault(event.index, _begun(None)), event.delta)
            case "message_delta":
                self.stop = event.delta.stop_reason or self.stop
                self._bill(event.usage)
                details = event.delta.stop_details
                self.why = (details and (details.explanation or details.category)) or self.why
            case _:
                pass

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self._ordered() if block["type"] not in _OPAQUE)

    @property
    def arguments(self) -> str:
        """Of all calls together: where one is asked for, there is one."""
        return "".join(block["json"] for block in self._ordered())

    def turn(self, by: str) -> str:
        """What was said and done, as the JSON of an `ActReply`."""
        calls: list[ToolCall] = []
        opaque: list[tuple[int, dict[str, Any]]] = []
        speaks, spoke = bool(self.text.strip()), False
        blocks = self._ordered()
        for block in blocks:
            match block["type"]:
                case "tool_use":
                    cut = self.stop == "max_tokens" and block is blocks[-1]
                    arguments = arguments_told(block["json"] or _whole(block["input"]), cut=cut)
                    calls.append(ToolCall(id=block["id"], name=block["name"], arguments=arguments))
                case "thinking":
                    thought = {name: block[name] for name in ("type", "thinking", "signature")}
                    opaque.append((len(calls) + spoke, thought))
                case "redacted_thinking":
                    opaque.append((len(calls) + spoke, {"type": block["type"], "data": block["data"]}))
                case _:
                    spoke = spoke or (speaks and bool(block["text"]))
        return turn_taken(self.text, calls, keep(by, {"at": opaque}))

    def _ordered(self) -> list[dict[str, Any]]:
        return [self._blocks[index] for index in sorted(self._blocks)]

    def _bill(self, usage: Any) -> None:
        for name in self.counts:
            if (value := getattr(usage, name, None)) is not None:
                self.counts[name] = value

    def _add(self, block: dict[str, Any], delta: Any) -> None:
        match delta.type:
            case "text_delta":
                block["text"] += delta.text
            case "input_json_delta":
                block["json"] += delta.partial_json
            case "thinking_delta":
                block["thinking"] += delta.thinking
            case "signature_delta":
                block["signature"] += delta.signature
            case _:
                pass


def _begun(block: Any) -> dict[str, Any]:
    """A block that has begun, with all that any kind of block may hold."""
    begun: dict[str, Any] = {
        "type": getattr(block, "type", "text"),
        "json": "",
        "input": getattr(block, "input", None),
    }
    for name in ("text", "thinking", "signature", "data", "id", "name"):
        begun[name] = getattr(block, name, None) or ""
    return begun


def _whole(given: Any) -> str:
    """Arguments that a server sent at once, where the block began."""
    return json.dumps(given, ensure_ascii=False) if given else ""
