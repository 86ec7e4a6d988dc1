"""Anthropic Messages, as a server writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarm.testing.wire.base import (
    FAILED,
    NO_TEXT,
    Asked,
    Conversation,
    Format,
    Said,
    acts,
    object_in,
    pieces,
    schema_in,
    text_of,
)

_STOP = {
    "end": "end_turn",
    "length": "max_tokens",
    "refusal": "refusal",
    "full": "model_context_window_exceeded",
}
_MARKS = 4  # that a request may hold
_SEEN = 12  # characters of a thought that are shown; the rest is its signature


_NO_THREADS = "thread: conversations are not kept here"
"""The SDK's tool runner asks for one, and goes on without where it is told so in the way of `_error`."""


def _read(body: dict[str, Any]) -> Asked:
    if "thread" in body:
        raise ValueError(_NO_THREADS)
    heard = Conversation()
    system = body.get("system", "")
    for text in [system] if isinstance(system, str) else [block["text"] for block in system]:
        heard.tell(text)
    marks = []
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            _hear(heard, message["role"], block)
            if "cache_control" in block:
                marks.append(len(heard.texts))
    if len(marks) > _MARKS:
        raise ValueError(f"a maximum of {_MARKS} blocks with cache_control may be provided, found {len(marks)}")
    texts = tuple(heard.texts)
    config, tools = body.get("output_config") or {}, body.get("tools") or []
    choice = body.get("tool_choice", {}).get("type") == "tool"
    acting = acts({tool["name"] for tool in tools}, body.get("tool_choice") if choice else None)
    schema = config["format"]["schema"] if "format" in config else None
    if schema is None and tools and not acting:
        schema = tools[0]["input_schema"]
    return Asked(
        model=body["model"],
        texts=texts,
        schema=schema or ({} if acting else schema_in(texts)),
        max_output=body["max_tokens"],
        stream=bool(body.get("stream")),
        mechanism="output_config" if "format" in config else "tool_choice" if tools and not acting else "",
        marks=tuple(marks),
        told=tuple(heard.told),
        turns=heard.turns(),
        tools=tuple(_tool(tool) for tool in tools) if acting else (),
        force=acting and choice,
    )


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {"name": tool["name"], "description": tool.get("description", ""), "parameters": tool["input_schema"]}


def _hear(heard: Conversation, role: str, block: dict[str, Any]) -> None:
    match block["type"], role:
        case "text", _:
            if not block["text"].strip():
                raise ValueError("text content blocks must contain non-whitespace text")
            (heard.tell if role == "user" else heard.say)(block["text"])
        case "tool_use", "assistant":
            if not isinstance(block["input"], dict):
                raise ValueError("tool_use.input: input should be a valid dictionary")
            heard.call(block["id"], block["name"], block["input"])
        case "tool_result", "user":
            content = block["content"]
            text = content if isinstance(content, str) else "\n".join(map(text_of, content))
            heard.result(block["tool_use_id"], (FAILED if _unmarked(block, text) else "") + text)
        case "image" | "document", "user":
            source = block["source"]
            heard.tell(source["data"] if source["type"] == "text" else NO_TEXT)
        case "thinking", "assistant":
            heard.think(block, block["thinking"] + block["signature"])
        case "redacted_thinking", "assistant":
            heard.think(block, block["data"])
        case kind:
            raise ValueError(f"no place for {kind}")


def _unmarked(block: dict[str, Any], text: str) -> bool:
    """Whether a call failed and its text does not say so."""
    return bool(block.get("is_error")) and not text.startswith(FAILED)


def _usage(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens - said.cached - said.written,
        "cache_read_input_tokens": said.cached,
        "cache_creation_input_tokens": said.written,
        "output_tokens": said.output_tokens,
    } | ({"moon_phase": "waxing"} if said.novel else {})


def _blocks(asked: Asked, said: Said) -> list[tuple[dict[str, Any], list[tuple[str, str, str]]]]:
    """The blocks of a reply as they begin, each with what is then added: kind of delta, field, text."""
    if asked.mechanism == "tool_choice" and said.stop == "end":
        block = {"type": "tool_use", "id": "toolu_1", "name": "reply", "input": {}}
        return [(block, [("input_json_delta", "partial_json", said.text)])]
    blocks: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = []
    if said.thought and len(asked.turns) % 2:
        blocks.append(({"type": "redacted_thinking", "data": said.thought}, []))
    elif said.thought:
        added = [
            ("thinking_delta", "thinking", said.thought[:_SEEN]),
            ("signature_delta", "signature", said.thought[_SEEN:]),
        ]
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, added))
    if said.text or not said.calls:
        blocks.append(({"type": "text", "text": ""}, [("text_delta", "text", said.text)]))
    for call in said.calls:
        block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
        # as the provider does: no arguments are no text at all
        written = "" if call.arguments == "{}" else call.arguments
        blocks.append((block, [("input_json_delta", "partial_json", written)]))
    return blocks


def _body(asked: Asked, said: Said) -> dict[str, Any]:
    content = []
    for block, added in _blocks(asked, said):
        whole = {field: object_in(text) if field == "partial_json" else text for _, field, text in added}
        content.append(block | ({"input": whole["partial_json"]} if "partial_json" in whole else whole))
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked.model, "content": content,
        "stop_reason": _stop_reason(asked, said), "stop_sequence": None, "usage": _usage(said),
    }  # fmt: skip


def _stop_reason(asked: Asked, said: Said) -> str:
    tool = (asked.mechanism == "tool_choice" or said.calls) and said.stop == "end"
    return "tool_use" if tool else _STOP[said.stop]


def _events(asked: Asked, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    message = _body(asked, said) | {"content": [], "stop_reason": None}
    message["usage"] = _usage(said) | {"output_tokens": 1}
    yield "message_start", {"type": "message_start", "message": message}
    if said.novel:
        yield "weather_report", {"type": "weather_report", "sky": "clear"}
    for index, (block, added) in enumerate(_blocks(asked, said)):
        yield "content_block_start", {"type": "content_block_start", "index": index, "content_block": block}
        yield "ping", {"type": "ping"}
        for kind, field, text in added:
            for piece in pieces(text):
                delta = {"type": kind, field: piece}
                yield "content_block_delta", {"type": "content_block_delta", "index": index, "delta": delta}
        yield "content_block_stop", {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": _stop_reason(asked, said), "stop_sequence": None}
    usage = {"output_tokens": said.output_tokens}
    yield "message_delta", {"type": "message_delta", "delta": ended, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


def _error(status: int, code: str, message: str) -> dict[str, Any]:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        404: "not_found_error",
        413: "request_too_large",
    }
    kinds |= {429: "rate_limit_error", 529: "overloaded_error"}
    kind = code or kinds.get(status, "api_error")
    error: dict[str, Any] = {"type": kind, "message": message}
    if message == _NO_THREADS:
        error["details"] = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    return {"type": "error", "error": error, "request_id": "req_1"}


MESSAGES = Format(read=_read, body=_body, events=_events, error=_error)
