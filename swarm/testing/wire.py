"""The formats of Anthropic Messages, OpenAI Chat Completions and OpenAI Responses, as a server writes them.

Each turns a request's body into an `Asked` and a `Said` into a body or a stream of events. Only what a client of
Swarm meets is here. This module knows no HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_SCHEMA_IN_WORDS = re.compile(r"fits this JSON schema:\n(\{.*\})$", re.MULTILINE)
_PIECE = 40  # characters of a streamed delta


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a request says. `forced` is true where the schema came as a tool that must be called; `mechanism` names
    how the schema was given, if by more than words."""

    model: str
    texts: tuple[str, ...]
    schema: dict[str, Any]
    max_output: int
    stream: bool
    mechanism: str = ""
    cached_texts: int = 0
    """How many of the leading texts stand before a cache mark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A reply. `stop` is one of end, length, refusal; `cached` and `written` are parts of `input_tokens`."""

    text: str
    input_tokens: int
    output_tokens: int
    stop: str = "end"
    cached: int = 0
    written: int = 0
    novel: bool = False
    """Sprinkle in fields and events that no client knows yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    read: Callable[[dict[str, Any]], Asked]
    body: Callable[[Asked, Said], dict[str, Any]]
    events: Callable[[Asked, Said], Iterator[tuple[str, dict[str, Any]]]]
    error: Callable[[int, str, str], dict[str, Any]]
    """From status, code and message."""


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]


def _schema_in(texts: tuple[str, ...]) -> dict[str, Any]:
    for text in texts:
        if (found := _SCHEMA_IN_WORDS.search(text)) is not None:
            return dict(json.loads(found[1]))
    return {}


# --- Anthropic Messages


def _messages_read(body: dict[str, Any]) -> Asked:
    system = body.get("system", "")
    texts = [system] if isinstance(system, str) else [block["text"] for block in system]
    marked = 0
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"text": content}] if isinstance(content, str) else content
        for block in blocks:
            texts.append(block["text"])
            if "cache_control" in block:
                marked = len(texts)
    config = body.get("output_config", {})
    tools = body.get("tools", [])
    mechanism = "output_config" if "format" in config else "tool_choice" if tools else ""
    schema = config["format"]["schema"] if "format" in config else tools[0]["input_schema"] if tools else None
    return Asked(
        model=body["model"],
        texts=tuple(texts),
        schema=schema or _schema_in(tuple(texts)),
        max_output=body["max_tokens"],
        stream=bool(body.get("stream")),
        mechanism=mechanism,
        cached_texts=marked,
    )


_MESSAGES_STOP = {
    "end": "end_turn",
    "length": "max_tokens",
    "refusal": "refusal",
    "full": "model_context_window_exceeded",
}


def _messages_usage(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens - said.cached - said.written,
        "cache_read_input_tokens": said.cached,
        "cache_creation_input_tokens": said.written,
        "output_tokens": said.output_tokens,
    } | ({"moon_phase": "waxing"} if said.novel else {})


def _messages_block(asked: Asked, said: Said) -> dict[str, Any]:
    if asked.mechanism == "tool_choice" and said.stop == "end":
        return {"type": "tool_use", "id": "toolu_1", "name": "reply", "input": {}}
    return {"type": "text", "text": ""}


def _messages_body(asked: Asked, said: Said) -> dict[str, Any]:
    block = _messages_block(asked, said)
    block |= {"input": _object_in(said.text)} if block["type"] == "tool_use" else {"text": said.text}
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked.model, "content": [block],
        "stop_reason": _stop_reason(asked, said), "stop_sequence": None, "usage": _messages_usage(said),
    }  # fmt: skip


def _object_in(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}  # arguments that broke off, or are no JSON


def _stop_reason(asked: Asked, said: Said) -> str:
    tool = asked.mechanism == "tool_choice" and said.stop == "end"
    return "tool_use" if tool else _MESSAGES_STOP[said.stop]


def _messages_events(asked: Asked, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    message = _messages_body(asked, said) | {"content": [], "stop_reason": None}
    message["usage"] = _messages_usage(said) | {"output_tokens": 1}
    yield "message_start", {"type": "message_start", "message": message}
    if said.novel:
        yield "weather_report", {"type": "weather_report", "sky": "clear"}
    block = _messages_block(asked, said)
    yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": block}
    yield "ping", {"type": "ping"}
    kind, field = ("input_json_delta", "partial_json") if block["type"] == "tool_use" else ("text_delta", "text")
    for piece in _pieces(said.text):
        yield (
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: piece}},
        )
    yield "content_block_stop", {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": _stop_reason(asked, said), "stop_sequence": None}
    usage = {"output_tokens": said.output_tokens}
    yield "message_delta", {"type": "message_delta", "delta": delta, "usage": usage}
    yield "message_stop", {"type": "message_stop"}


def _messages_error(status: int, code: str, message: str) -> dict[str, Any]:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        404: "not_found_error",
        413: "request_too_large",
    }
    kinds |= {429: "rate_limit_error", 529: "overloaded_error"}
    kind = code or kinds.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


# --- OpenAI Chat Completions


def _chat_read(body: dict[str, Any]) -> Asked:
    texts = tuple(message["content"] for message in body["messages"])
    form = body.get("response_format", {})
    schema = form.get("json_schema", {}).get("schema")
    return Asked(
        model=body["model"],
        texts=texts,
        schema=schema or _schema_in(texts),
        max_output=body.get("max_completion_tokens") or body.get("max_tokens") or 16,
        stream=bool(body.get("stream")),
        mechanism=form.get("type", ""),
    )


_CHAT_STOP = {"end": "stop", "length": "length", "refusal": "stop", "filtered": "content_filter"}


def _openai_usage(said: Said, asked: str, replied: str) -> dict[str, Any]:
    return {
        asked: said.input_tokens, replied: said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        f"{asked}_details": {"cached_tokens": said.cached, "cache_write_tokens": 0},
        f"{replied}_details": {"reasoning_tokens": 0},
    } | ({"moon_phase": "waxing"} if said.novel else {})  # fmt: skip


def _chat_body(asked: Asked, said: Said) -> dict[str, Any]:
    refused = said.stop == "refusal"
    message = {
        "role": "assistant",
        "content": None if refused else said.text,
        "refusal": said.text if refused else None,
    }
    if said.novel:
        message["mood"] = "cheerful"
    choice = {"index": 0, "message": message, "finish_reason": _CHAT_STOP[said.stop], "logprobs": None}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked.model, "choices": [choice],
        "usage": _openai_usage(said, "prompt_tokens", "completion_tokens"),
    }  # fmt: skip


def _chat_events(asked: Asked, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked.model}
    for piece in _pieces(said.text):
        yield "", base | {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
    yield "", base | {"choices": [{"index": 0, "delta": {}, "finish_reason": _CHAT_STOP[said.stop]}]}
    yield "", base | {"choices": [], "usage": _openai_usage(said, "prompt_tokens", "completion_tokens")}


def _openai_error(status: int, code: str, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}


# --- OpenAI Responses


def _responses_read(body: dict[str, Any]) -> Asked:
    texts = [body.get("instructions") or ""]
    asked = body["input"]
    for item in [{"content": asked}] if isinstance(asked, str) else asked:
        content = item["content"]
        texts += [content] if isinstance(content, str) else [part["text"] for part in content]
    form = body.get("text", {}).get("format", {})
    return Asked(
        model=body["model"],
        texts=tuple(texts),
        schema=form.get("schema") or _schema_in(tuple(texts)),
        max_output=body.get("max_output_tokens") or 16,
        stream=bool(body.get("stream")),
        mechanism=form.get("type", ""),
    )


def _responses_body(asked: Asked, said: Said) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "output_text", "text": said.text, "annotations": []}
    if said.stop == "refusal":
        part = {"type": "refusal", "refusal": said.text}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    reasons = {"length": "max_output_tokens", "filtered": "content_filter"}
    response = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": asked.model, "output": [item],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "status": "incomplete" if said.stop in reasons else "completed",
        "incomplete_details": {"reason": reasons[said.stop]} if said.stop in reasons else None,
        "error": None, "usage": _openai_usage(said, "input_tokens", "output_tokens"),
    }  # fmt: skip
    return response | ({"tide": "low"} if said.novel else {})


def _responses_events(asked: Asked, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    final = _responses_body(asked, said)
    started = final | {"output": [], "status": "in_progress", "usage": None, "incomplete_details": None}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}

    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "response.created", "response": started}
        if said.novel:
            yield {"type": "response.weather_report", "sky": "clear"}
        if said.stop != "refusal":
            for piece in _pieces(said.text):
                yield {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **where}
        yield {"type": f"response.{final['status']}", "response": final}

    for number, event in enumerate(events()):
        yield event["type"], event | {"sequence_number": number}


MESSAGES = Format(read=_messages_read, body=_messages_body, events=_messages_events, error=_messages_error)
CHAT = Format(read=_chat_read, body=_chat_body, events=_chat_events, error=_openai_error)
RESPONSES = Format(read=_responses_read, body=_responses_body, events=_responses_events, error=_openai_error)
