"""OpenAI Chat Completions, as a server writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarm.testing.wire.base import (
    Asked,
    Conversation,
    Format,
    Said,
    acts,
    openai_error,
    openai_usage,
    pieces,
    schema_in,
    text_of,
)

_STOP = {"end": "stop", "length": "length", "refusal": "stop", "filtered": "content_filter"}


def _read(body: dict[str, Any]) -> Asked:
    heard = Conversation()
    for message in body["messages"]:
        _hear(heard, message)
    texts = tuple(heard.texts)
    form = body.get("response_format") or {}
    tools = [tool["function"] for tool in body.get("tools") or ()]
    acting = acts({tool["name"] for tool in tools}, body.get("tool_choice"))
    return Asked(
        model=body["model"],
        texts=texts,
        schema=form.get("json_schema", {}).get("schema") or ({} if acting else schema_in(texts)),
        max_output=body.get("max_completion_tokens") or body.get("max_tokens") or 16,
        stream=bool(body.get("stream")),
        mechanism=form.get("type", ""),
        told=tuple(heard.told),
        turns=heard.turns(),
        tools=tuple(tools) if acting else (),
        usage=bool((body.get("stream_options") or {}).get("include_usage")),
        force=acting and isinstance(body.get("tool_choice"), dict),
    )


def _hear(heard: Conversation, message: dict[str, Any]) -> None:
    match message["role"]:
        case "assistant":
            if not message.get("content") and not message.get("tool_calls"):
                raise ValueError("an assistant message needs content or tool_calls")
            for detail in message.get("reasoning_details", ()):
                heard.think(detail, detail["data"])
            if message.get("content"):
                heard.say(_text(message["content"]))
            for call in message.get("tool_calls", ()):
                heard.call(call["id"], call["function"]["name"], call["function"]["arguments"])
        case "tool":
            heard.result(message["tool_call_id"], _text(message["content"]))
        case _:
            heard.tell(_text(message["content"]))


def _text(content: Any) -> str:
    """Content, which is a text or a list of parts."""
    return content if isinstance(content, str) else "\n".join(map(text_of, content))


def _calls(said: Said) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in said.calls
    ]


def _stop_reason(said: Said) -> str:
    return "tool_calls" if said.calls and said.stop == "end" else _STOP[said.stop]


def _details(said: Said) -> list[dict[str, Any]]:
    return [{"type": "reasoning.encrypted", "data": said.thought, "index": 0}] if said.thought else []


def _body(asked: Asked, said: Said) -> dict[str, Any]:
    refused = said.stop == "refusal"
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if refused or (said.calls and not said.text) else said.text,
        "refusal": said.text if refused else None,
    }
    if said.calls:
        message["tool_calls"] = _calls(said)
    if said.thought:
        message["reasoning_details"] = _details(said)
    if said.novel:
        message["mood"] = "cheerful"
    choice = {"index": 0, "message": message, "finish_reason": _stop_reason(said), "logprobs": None}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked.model, "choices": [choice],
        "usage": openai_usage(said, "prompt_tokens", "completion_tokens"),
    }  # fmt: skip


def _deltas(said: Said) -> Iterator[dict[str, Any]]:
    if said.thought:
        yield {"reasoning_details": _details(said)}
    for piece in pieces(said.text):
        yield {"content": piece}
    for index, call in enumerate(_calls(said)):
        arguments = call["function"]["arguments"]
        begun = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        yield {"tool_calls": [begun]}
        for piece in pieces(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _events(asked: Asked, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked.model}
    for delta in _deltas(said):
        yield "", base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield "", base | {"choices": [{"index": 0, "delta": {}, "finish_reason": _stop_reason(said)}]}
    if asked.usage:
        yield "", base | {"choices": [], "usage": openai_usage(said, "prompt_tokens", "completion_tokens")}


CHAT = Format(read=_read, body=_body, events=_events, error=openai_error)
