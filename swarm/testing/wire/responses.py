"""OpenAI Responses, as a server writes it."""

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

_REASONS = {"length": "max_output_tokens", "filtered": "content_filter"}


def _read(body: dict[str, Any]) -> Asked:
    heard = Conversation()
    heard.tell(body.get("instructions") or "")
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _hear(heard, item)
    texts = tuple(heard.texts)
    form = (body.get("text") or {}).get("format") or {}
    tools = body.get("tools") or ()
    acting = acts({tool["name"] for tool in tools}, body.get("tool_choice"))
    return Asked(
        model=body["model"],
        texts=texts,
        schema=form.get("schema") or ({} if acting else schema_in(texts)),
        max_output=body.get("max_output_tokens") or 16,
        stream=bool(body.get("stream")),
        mechanism=form.get("type", ""),
        told=tuple(heard.told),
        turns=heard.turns(),
        tools=tuple(_tool(tool) for tool in tools) if acting else (),
        force=acting and isinstance(body.get("tool_choice"), dict),
    )


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "parameters")}


def _hear(heard: Conversation, item: dict[str, Any]) -> None:
    match item.get("type", "message"):
        case "message":
            content = item["content"]
            texts = [content] if isinstance(content, str) else map(text_of, content)
            for text in texts:
                (heard.say if item["role"] == "assistant" else heard.tell)(text)
        case "function_call":
            heard.call(item["call_id"], item["name"], item["arguments"])
        case "function_call_output":
            told = item["output"]
            heard.result(item["call_id"], told if isinstance(told, str) else "\n".join(map(text_of, told)))
        case "reasoning":
            heard.think(item, item["encrypted_content"])
        case kind:
            raise ValueError(f"no place for {kind}")


def _items(said: Said) -> list[dict[str, Any]]:
    cut = said.stop == "length"
    items: list[dict[str, Any]] = []
    if said.thought:
        items.append({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": said.thought})
    if said.text or not said.calls:
        part: dict[str, Any] = {"type": "output_text", "text": said.text, "annotations": []}
        if said.stop == "refusal":
            part = {"type": "refusal", "refusal": said.text}
        status = "incomplete" if cut and not said.calls else "completed"
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [part]})
    for number, call in enumerate(said.calls, 1):
        status = "incomplete" if cut and number == len(said.calls) else "completed"
        items.append(
            {
                "id": f"fc_{number}", "type": "function_call", "call_id": call.id, "name": call.name,
                "arguments": call.arguments, "status": status,
            }
        )  # fmt: skip
    return items


def _body(asked: Asked, said: Said) -> dict[str, Any]:
    response = {
        "id": "resp_1", "object": "response", "created_at": 1, "model": asked.model, "output": _items(said),
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "status": "incomplete" if said.stop in _REASONS else "completed",
        "incomplete_details": {"reason": _REASONS[said.stop]} if said.stop in _REASONS else None,
        "error": None, "usage": openai_usage(said, "input_tokens", "output_tokens"),
    }  # fmt: skip
    return response | ({"tide": "low"} if said.novel else {})


def _item_events(place: int, item: dict[str, Any], said: Said) -> Iterator[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": place}
    empty: dict[str, dict[str, Any]] = {"message": {"content": []}, "function_call": {"arguments": ""}}
    begun = item | empty.get(item["type"], {})
    yield {"type": "response.output_item.added", "output_index": place, "item": begun}
    if item["type"] == "message" and said.stop != "refusal":
        part, here = item["content"][0], where | {"content_index": 0}
        yield {"type": "response.content_part.added", "part": part | {"text": ""}, **here}
        for piece in pieces(said.text):
            yield {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **here}
        yield {"type": "response.output_text.done", "text": said.text, "logprobs": [], **here}
        yield {"type": "response.content_part.done", "part": part, **here}
    if item["type"] == "function_call":
        for piece in pieces(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": piece, **where}
        arguments = {"name": item["name"], "arguments": item["arguments"]}
        yield {"type": "response.function_call_arguments.done", **arguments, **where}
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


def _events(asked: Asked, said: Said) -> Iterator[tuple[str, dict[str, Any]]]:
    final = _body(asked, said)
    started = final | {"output": [], "status": "in_progress", "usage": None, "incomplete_details": None}

    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "response.created", "response": started}
        if said.novel:
            yield {"type": "response.weather_report", "sky": "clear"}
        for place, item in enumerate(final["output"]):
            yield from _item_events(place, item, said)
        yield {"type": f"response.{final['status']}", "response": final}

    for number, event in enumerate(events()):
        yield event["type"], event | {"sequence_number": number}


RESPONSES = Format(read=_read, body=_body, events=_events, error=openai_error)
