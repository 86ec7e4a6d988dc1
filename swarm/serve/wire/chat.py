"""OpenAI's Chat Completions: requests, replies and streams of this wire.

Annotations are `url_citation`s of the message; in a stream they come in the `delta`, as OpenAI sends its own. This
module knows no HTTP and no model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Any

from swarm.serve.events import ALIVE
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
    called,
    changed,
    field_of,
    form_tokens,
    joined_text,
    later,
    objects,
    openai_error,
    openai_usage,
    openai_used,
    parts_of,
    plain_content,
    tokens_field,
    url_citation,
)

name: WireName = "chat"

_ASKED, _REPLIED = "prompt_tokens", "completion_tokens"
_LEADS = ("system", "developer")
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "assistant": "assistant", "tool": "tool"}
_ROLES |= {"function": "tool"}
_STOPS: dict[str, Stop] = {
    "stop": "end",
    "length": "length",
    "content_filter": "refusal",
    "tool_calls": "calls",
    "function_call": "calls",
}
_ENDS: dict[Stop, str] = {"end": "stop", "length": "length", "refusal": "content_filter", "calls": "tool_calls"}


def parse(body: dict[str, Any], count: Callable[[str], int]) -> Request:
    """See `Wire`."""
    messages = objects(body.get("messages"), "messages")
    leading = _leading(messages)
    turns = tuple(_turn(message, ("messages", at)) for at, message in enumerate(messages) if at >= leading)
    tools = [tool for name in ("tools", "functions") for tool in field_of(body, name, list, ())]
    return Request(
        wire=name,
        model=field_of(body, "model", str, ""),
        system="\n\n".join(joined_text(message.get("content"), ())[0] for message in messages[:leading]),
        turns=turns,
        tools_tokens=form_tokens(count, tools, body.get("response_format")),
        fixed_tokens=sum(_fixed(part.raw) for turn in turns for part in turn.parts if part.kind == "other"),
        stream=bool(field_of(body, "stream", bool, False)),
        max_output=_longest(body),
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
    messages = request.body.get("messages") or []
    leads = [dict(message) for message in messages[: _leading(messages)]]
    if system is not None:
        role = leads[0]["role"] if leads else "system"
        leads = [{"role": role, "content": system}] if system else []
    if more:
        leads = _with_more(leads, more)
    return changed(
        request.body, changes, {"messages": [*leads, *(_written(turn) for turn in later(request, turns))]}
    )


def _with_more(leads: list[dict[str, Any]], more: str) -> list[dict[str, Any]]:
    """One system message, as templates of many servers allow but one."""
    if not leads:
        return [{"role": "system", "content": more}]
    last = leads[-1]
    content = last.get("content")
    together = (
        [*content, {"type": "text", "text": more}]
        if isinstance(content, list)
        else "\n\n".join(text for text in (content, more) if text)
    )
    return [*leads[:-1], {**last, "content": together}]


def _longest(body: dict[str, Any]) -> int | None:
    """Of two limits the larger one: which of them holds differs from server to server."""
    told = [tokens_field(body, name) for name in ("max_completion_tokens", "max_tokens")]
    return max((one for one in told if one is not None), default=None)


def _leading(messages: Sequence[dict[str, Any]]) -> int:
    return next((at for at, one in enumerate(messages) if one.get("role") not in _LEADS), len(messages))


def _turn(message: dict[str, Any], path: Path) -> Turn:
    role = _ROLES.get(str(message.get("role")), "user")
    content, at = message.get("content"), (*path, "content")
    parts: tuple[Part, ...]
    if role == "tool":
        text, where = joined_text(content, at)
        call = message.get("tool_call_id") or message.get("name") or ""
        parts = (Part(text=text, raw=message, path=where, kind="result", call=str(call)),)
    else:
        parts = parts_of(content, at, _part) + tuple(_calls(message, path))
    speaker = message.get("name")
    return Turn(role=role, parts=parts, raw=message, path=path, name=speaker if isinstance(speaker, str) else None)


def _part(part: dict[str, Any], path: Path) -> Part:
    for field in ("text", "refusal"):
        if part.get("type") == field and isinstance(part.get(field), str):
            return Part(text=part[field], raw=part, path=(*path, field))
    return Part(text=None, raw=part, path=path, kind="other")


def _calls(message: dict[str, Any], path: Path) -> Iterable[Part]:
    several = message.get("tool_calls")
    for number, call in enumerate(several if isinstance(several, list) else ()):
        if isinstance(call, dict):
            kind = "custom" if isinstance(call.get("custom"), dict) else "function"
            field = "input" if kind == "custom" else "arguments"
            given = call.get(kind) or {}
            at = (*path, "tool_calls", number, kind, field)
            given = given if isinstance(given, dict) else {}
            text = called(given.get("name"), given.get(field))
            yield Part(text=text, raw=call, path=at, kind="call", call=str(call.get("id", "")))


def _fixed(raw: Any) -> int:
    kind = raw.get("type") if isinstance(raw, dict) else ""
    return IMAGE_TOKENS if kind == "image_url" else FILE_TOKENS


def _written(turn: Turn) -> dict[str, Any]:
    if turn.raw is not None:
        return dict(turn.raw)
    calls = [part.raw for part in turn.parts if part.kind == "call"]
    said = [part for part in turn.parts if part.kind not in ("call", "result")]
    message: dict[str, Any] = {"role": turn.role}
    if turn.role == "tool":
        part = turn.parts[0]
        return message | {"tool_call_id": part.call, "content": part.text or ""}
    message["content"] = plain_content(said, "text") if said or not calls else None
    if calls:
        message["tool_calls"] = calls
    if turn.name:
        message["name"] = turn.name
    return message


# Replies


def _annotation(citation: Citation) -> dict[str, Any]:
    return {"type": "url_citation", "url_citation": url_citation(citation)}


class _Reading:
    """See `Reading`. Places are the index of the choice, and 0."""

    def __init__(self) -> None:
        self.used = Used(known=False)
        self.stop: Stop | None = None
        self._more: Used | None = None
        self._base: dict[str, Any] = {}

    def take(self, event: Event) -> Delta | None:
        if not isinstance(event.data, dict):
            return None
        self.used = openai_used(event.data.get("usage"), _ASKED, _REPLIED) or self.used
        for choice in event.data.get("choices") or ():
            self._base = self._base or {k: v for k, v in event.data.items() if k not in ("choices", "usage")}
            if (end := choice.get("finish_reason")) is not None:
                self.stop = _STOPS.get(end, "end")
            content = (choice.get("delta") or {}).get("content")
            if isinstance(content, str) and content:
                return Delta(content, (choice.get("index") or 0, 0))
        return None

    def cite(self, place: tuple[int, int], citations: Sequence[Citation]) -> list[Event]:
        if not citations:
            return []
        delta = {"annotations": [_annotation(one) for one in citations]}
        choice = {"index": place[0], "delta": delta, "finish_reason": None}
        return [Event("", {**self._base, "choices": [choice]})]

    def amended(self, event: Event) -> Event:
        if self._more is None or not isinstance(event.data, dict) or not event.data.get("usage"):
            return event
        usage = openai_usage(self.used + self._more, _ASKED, _REPLIED, event.data["usage"])
        return Event(event.name, event.data | {"usage": usage})

    def add(self, used: Used) -> None:
        self._more = used


def reading() -> Reading:
    """See `Wire`."""
    return _Reading()


def read_whole(body: dict[str, Any]) -> tuple[str, Used, Stop]:
    """See `Wire`."""
    choice = (body.get("choices") or [{}])[0]
    message = choice.get("message") or {}
    text = message.get("content") or message.get("refusal") or ""
    used = openai_used(body.get("usage"), _ASKED, _REPLIED) or Used(known=False)
    stop = _STOPS.get(choice.get("finish_reason") or "stop", "end")
    return joined_text(text, ())[0], used, "refusal" if message.get("refusal") else stop


def cited_whole(body: dict[str, Any], cite: Cite, more: Used) -> dict[str, Any]:
    """See `Wire`."""
    body = dict(body)
    body["choices"] = [_cited(choice, cite) for choice in body.get("choices") or ()]
    if (used := openai_used(body.get("usage"), _ASKED, _REPLIED)) is not None:
        body["usage"] = openai_usage(used + more, _ASKED, _REPLIED, body["usage"])
    return body


def _cited(choice: dict[str, Any], cite: Cite) -> dict[str, Any]:
    message = choice.get("message") or {}
    text = message.get("content")
    found = cite(text) if isinstance(text, str) else ()
    if not found:
        return choice
    annotations = [*(message.get("annotations") or ()), *map(_annotation, found)]
    return choice | {"message": message | {"annotations": annotations}}


class _Writing:
    """See `Writing`."""

    def __init__(self, request: Request) -> None:
        self._base = {
            "id": f"chatcmpl-{token_hex(12)}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": request.model,
        }
        options = request.body.get("stream_options")
        self._tells_usage = isinstance(options, dict) and bool(options.get("include_usage"))

    def begin(self) -> list[Event]:
        return [self._chunk({"role": "assistant", "content": ""})]

    def text(self, text: str) -> list[Event]:
        return [self._chunk({"content": text})] if text else []

    def cite(self, citations: Sequence[Citation]) -> list[Event]:
        return [self._chunk({"annotations": [_annotation(one) for one in citations]})] if citations else []

    def end(self, used: Used, stop: Stop) -> list[Event]:
        events = [self._chunk({}, _ENDS.get(stop, "stop"))]
        if self._tells_usage:
            usage = openai_usage(used, _ASKED, _REPLIED)
            events.append(Event("", {**self._base, "choices": [], "usage": usage}))
        return [*events, Event("", "[DONE]")]

    def alive(self) -> list[Event]:
        return [ALIVE]

    def _chunk(self, delta: dict[str, Any], end: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}
        return Event("", {**self._base, "choices": [choice]})


def writing(request: Request) -> Writing:
    """See `Wire`."""
    return _Writing(request)


def whole(request: Request, text: str, citations: Sequence[Citation], used: Used, stop: Stop) -> dict[str, Any]:
    """See `Wire`."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    message["annotations"] = [_annotation(one) for one in citations]
    return {
        "id": f"chatcmpl-{token_hex(12)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _ENDS.get(stop, "stop")}],
        "usage": openai_usage(used, _ASKED, _REPLIED),
    }


def error(wrong: Wrong) -> dict[str, Any]:
    """See `Wire`."""
    return openai_error(wrong)


def error_event(wrong: Wrong) -> list[Event]:
    """See `Wire`. OpenAI's SDK raises at an event that holds an `error`."""
    return [Event("", openai_error(wrong))]


def asked_usage(body: dict[str, Any]) -> bool:
    """Whether the client wants the chunk that tells usage."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def text_only(request: Request, model: str, max_output: int) -> dict[str, Any]:
    """See `Wire`."""
    leads = [{"role": "system", "content": request.system}] if request.system else []
    turns = [_written(replace(turn, raw=None, parts=plain(turn.parts))) for turn in request.turns]
    return {"model": model, "messages": [*leads, *turns], "max_completion_tokens": max_output}


def plain(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts as texts alone."""
    return tuple(Part(text=part.text) for part in parts if part.text is not None)
