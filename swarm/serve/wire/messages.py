"""Anthropic's Messages: requests, replies and streams of this wire.

Annotations are citations of a text block (`char_location`), whose document is the turn of the request that is
cited, counted from 0. This module knows no HTTP and no model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any

from swarm.serve.request import (
    Citation,
    Cite,
    Delta,
    Event,
    Part,
    Path,
    Reading,
    Request,
    Role,
    Stop,
    Turn,
    Used,
    WireName,
    Writing,
    Wrong,
)
from swarm.serve.wire.shared import (
    FILE_TOKENS,
    IMAGE_TOKENS,
    anthropic_error,
    called,
    changed,
    field_of,
    form_tokens,
    joined_text,
    later,
    objects,
    parts_of,
    plain_content,
    tokens_field,
    told,
)

name: WireName = "messages"

_UNTHREADED = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
"""What makes the tool runner of Anthropic's SDK go on by sending the whole conversation."""

_ROLES: dict[str, Role] = {"assistant": "assistant", "system": "system"}
_STOPS: dict[str, Stop] = {
    "end_turn": "end",
    "pause_turn": "end",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "sequence",
    "tool_use": "calls",
    "refusal": "refusal",
}
_ENDS: dict[Stop, str] = {
    "end": "end_turn",
    "length": "max_tokens",
    "refusal": "refusal",
    "calls": "tool_use",
    "sequence": "end_turn",
}


def parse(body: dict[str, Any], count: Callable[[str], int]) -> Request:
    """See `Wire`. A conversation that the provider keeps, of which only the new turns are sent, cannot be counted,
    read or cited here."""
    if body.get("thread") is not None:
        raise Wrong(400, "send the whole conversation, without thread", param="thread", details=_UNTHREADED)
    messages = objects(body.get("messages"), "messages")
    turns = tuple(_turn(message, ("messages", at)) for at, message in enumerate(messages))
    config = body.get("output_config")
    fixed = [part.raw for turn in turns for part in turn.parts if part.kind == "other"]
    return Request(
        wire=name,
        model=field_of(body, "model", str, ""),
        system=joined_text(body.get("system") or "", ())[0],
        turns=turns,
        tools_tokens=form_tokens(count, body.get("tools"), config),
        fixed_tokens=sum(_fixed(raw, count) for raw in fixed),
        stream=bool(field_of(body, "stream", bool, False)),
        max_output=tokens_field(body, "max_tokens"),
        body=body,
    )


def rebuilt(
    request: Request,
    *,
    turns: Iterable[Turn] | None = None,
    system: str | None = None,
    more: str = "",
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """See `Wire`."""
    given = request.body.get("system") if system is None else system
    if more:
        blocks = [{"type": "text", "text": given}] if isinstance(given, str) and given else given or []
        given = [*blocks, {"type": "text", "text": more}]
    messages = [_written(turn) for turn in later(request, turns)]
    return changed(request.body, changes, {"messages": messages, "system": given or None})


def _turn(message: dict[str, Any], path: Path) -> Turn:
    role = _ROLES.get(str(message.get("role")), "user")
    return Turn(
        role=role, parts=parts_of(message.get("content"), (*path, "content"), _part), raw=message, path=path
    )


def _part(block: dict[str, Any], path: Path) -> Part:
    match block.get("type"):
        case "text" if isinstance(block.get("text"), str):
            return Part(text=block["text"], raw=block, path=(*path, "text"))
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            given = json.dumps(block.get("input") or {}, ensure_ascii=False)
            text = called(block.get("name"), given)
            return Part(text=text, raw=block, path=(*path, "input"), kind="call", call=str(block.get("id", "")))
        case "search_result":
            text, where = joined_text(block.get("content"), (*path, "content"))
            return Part(text=text, raw=block, path=where)
        case "document" if isinstance(source := block.get("source"), dict):
            return _document(block, source, path)
        case kind if isinstance(kind, str) and kind.endswith("tool_result"):
            text, where = joined_text(block.get("content"), (*path, "content"))
            call = str(block.get("tool_use_id", ""))
            return Part(text=text, raw=block, path=where, kind="result", call=call)
        case _:
            return Part(text=None, raw=block, path=path, kind="other")


def _document(block: dict[str, Any], source: dict[str, Any], path: Path) -> Part:
    if source.get("type") == "text" and isinstance(source.get("data"), str):
        return Part(text=source["data"], raw=block, path=(*path, "source", "data"))
    if source.get("type") == "content":
        text, where = joined_text(source.get("content"), (*path, "source", "content"))
        return Part(text=text, raw=block, path=where)
    return Part(text=None, raw=block, path=path, kind="other")


def _fixed(block: Any, count: Callable[[str], int]) -> int:
    kind = block.get("type") if isinstance(block, dict) else ""
    if kind == "image":
        return IMAGE_TOKENS
    if kind in ("thinking", "redacted_thinking"):
        return count("".join(str(block.get(field, "")) for field in ("thinking", "signature", "data")))
    return FILE_TOKENS


def _written(turn: Turn) -> dict[str, Any]:
    if turn.raw is not None:
        return dict(turn.raw)
    role = "assistant" if turn.role == "assistant" else "user"
    return {"role": role, "content": plain_content(turn.parts, "text")}


# Replies


def _location(citation: Citation) -> dict[str, Any]:
    return {
        "type": "char_location",
        "cited_text": citation.quote,
        "document_index": citation.turn,
        "document_title": citation.title or None,
        "start_char_index": citation.quote_start,
        "end_char_index": citation.quote_end,
        "file_id": None,
        "url": citation.url,
        "mark": {"start": citation.start, "end": citation.end, "part": citation.part},
    }


def _used(usage: Any, before: Used) -> Used:
    """Usage as it is told, with that of an earlier event where an event leaves something out."""
    if not isinstance(usage, dict):
        return before
    cached, written = before.cached_tokens, before.written_tokens
    fresh = before.input_tokens - cached - written
    if usage.get("cache_read_input_tokens") is not None:
        cached = told(usage["cache_read_input_tokens"])
    if usage.get("cache_creation_input_tokens") is not None:
        written = told(usage["cache_creation_input_tokens"])
    if usage.get("input_tokens") is not None:
        fresh = told(usage["input_tokens"])
    made = Used(
        input_tokens=fresh + cached + written,
        output_tokens=told(usage.get("output_tokens")) or before.output_tokens,
        cached_tokens=cached,
        written_tokens=written,
    )
    return sum(_compacted(usage), start=made)


def _compacted(usage: dict[str, Any]) -> Iterator[Used]:
    """What the provider took to sum the conversation up: billed, and told beside the rest."""
    steps = usage.get("iterations")
    for one in steps if isinstance(steps, list) else ():
        if isinstance(one, dict) and one.get("type") == "compaction":
            yield _used({name: value for name, value in one.items() if name != "iterations"}, Used())


def _usage(used: Used, before: Any = None) -> dict[str, Any]:
    usage = dict(before) if isinstance(before, dict) else {}
    return usage | {
        "input_tokens": used.input_tokens - used.cached_tokens - used.written_tokens,
        "cache_read_input_tokens": used.cached_tokens,
        "cache_creation_input_tokens": used.written_tokens,
        "output_tokens": used.output_tokens,
    }


class _Reading:
    """See `Reading`. Places are the index of the block, and 0."""

    def __init__(self) -> None:
        self.used = Used(known=False)
        self.stop: Stop | None = None
        self._more: Used | None = None

    def take(self, event: Event) -> Delta | None:
        data = event.data
        if not isinstance(data, dict):
            return None
        match data.get("type"):
            case "message_start":
                self.used = _used((data.get("message") or {}).get("usage"), self.used)
            case "message_delta":
                self.used = _used(data.get("usage"), self.used)
                if (end := (data.get("delta") or {}).get("stop_reason")) is not None:
                    self.stop = _STOPS.get(end, "end")
            case "content_block_delta":
                delta = data.get("delta") or {}
                if delta.get("type") == "text_delta" and delta.get("text"):
                    return Delta(delta["text"], (data.get("index") or 0, 0))
        return None

    def cite(self, place: tuple[int, int], citations: Sequence[Citation]) -> list[Event]:
        return [_cited(place[0], one) for one in citations]

    def amended(self, event: Event) -> Event:
        data = event.data
        if self._more is None or not isinstance(data, dict):
            return event
        if data.get("type") == "message_start" and isinstance(data.get("message"), dict):
            message = data["message"]
            begun = replace(self._more, output_tokens=0)
            usage = _usage(_used(message.get("usage"), Used()) + begun, message.get("usage"))
            return Event(event.name, data | {"message": message | {"usage": usage}})
        if data.get("type") == "message_delta":
            return Event(event.name, data | {"usage": _usage(self.used + self._more, data.get("usage"))})
        return event

    def add(self, used: Used) -> None:
        self._more = used


def reading() -> Reading:
    """See `Wire`."""
    return _Reading()


def _cited(block: int, citation: Citation) -> Event:
    delta = {"type": "citations_delta", "citation": _location(citation)}
    return _event({"type": "content_block_delta", "index": block, "delta": delta})


def read_whole(body: dict[str, Any]) -> tuple[str, Used, Stop]:
    """See `Wire`."""
    text = "".join(block.get("text") or "" for block in body.get("content") or () if block.get("type") == "text")
    used = _used(body.get("usage"), Used(known=False))
    return text, used, _STOPS.get(body.get("stop_reason") or "end_turn", "end")


def cited_whole(body: dict[str, Any], cite: Cite, more: Used) -> dict[str, Any]:
    """See `Wire`."""
    body = dict(body)
    blocks = [dict(block) for block in body.get("content") or ()]
    for block in blocks:
        text = block.get("text") if block.get("type") == "text" else None
        if isinstance(text, str) and (found := cite(text)):
            block["citations"] = [*(block.get("citations") or ()), *map(_location, found)]
    body["content"] = blocks
    body["usage"] = _usage(_used(body.get("usage"), Used()) + more, body.get("usage"))
    return body


class _Writing:
    """See `Writing`."""

    def __init__(self, request: Request) -> None:
        self._model = request.model

    def begin(self) -> list[Event]:
        message = _message(self._model, [], Used(), None)
        block = {"type": "text", "text": "", "citations": []}
        return [
            _event({"type": "message_start", "message": message}),
            _event({"type": "content_block_start", "index": 0, "content_block": block}),
        ]

    def text(self, text: str) -> list[Event]:
        delta = {"type": "text_delta", "text": text}
        return [_event({"type": "content_block_delta", "index": 0, "delta": delta})] if text else []

    def cite(self, citations: Sequence[Citation]) -> list[Event]:
        return [_cited(0, one) for one in citations]

    def end(self, used: Used, stop: Stop) -> list[Event]:
        delta = {"stop_reason": _ENDS[stop], "stop_sequence": None}
        return [
            _event({"type": "content_block_stop", "index": 0}),
            _event({"type": "message_delta", "delta": delta, "usage": _usage(used)}),
            _event({"type": "message_stop"}),
        ]

    def alive(self) -> list[Event]:
        return [_event({"type": "ping"})]


def writing(request: Request) -> Writing:
    """See `Wire`."""
    return _Writing(request)


def whole(request: Request, text: str, citations: Sequence[Citation], used: Used, stop: Stop) -> dict[str, Any]:
    """See `Wire`."""
    block = {"type": "text", "text": text, "citations": [_location(one) for one in citations] or None}
    return _message(request.model, [block], used, _ENDS[stop])


def _message(model: str, content: list[Any], used: Used, stop: str | None) -> dict[str, Any]:
    return {
        "id": f"msg_{token_hex(12)}", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop, "stop_sequence": None, "usage": _usage(used),
    }  # fmt: skip


def _event(data: dict[str, Any]) -> Event:
    return Event(data["type"], data)


def error(wrong: Wrong) -> dict[str, Any]:
    """See `Wire`."""
    return anthropic_error(wrong)


def error_event(wrong: Wrong) -> list[Event]:
    """See `Wire`."""
    return [Event("error", anthropic_error(wrong))]


def text_only(request: Request, model: str, max_output: int) -> dict[str, Any]:
    """See `Wire`. A turn of the system's between others is told by the user; turns without any text are left out,
    as this wire takes none."""
    turns = [
        {"role": "assistant" if turn.role == "assistant" else "user", "content": turn.text}
        for turn in request.turns
        if turn.text.strip()
    ]
    system = {"system": request.system} if request.system.strip() else {}
    return {"model": model, **system, "messages": turns, "max_tokens": max_output}
