"""Replies of OpenAI's Responses: read, annotated and written, whole or as a stream of numbered events.

An annotation is added by an event of its own, so all later events get higher numbers; whatever tells the text once
more (the part, the item, the response) tells its annotations too. This module knows no requests but their model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from secrets import token_hex
from typing import Any

from swarm.serve.events import ALIVE
from swarm.serve.request import Citation, Cite, Delta, Event, Request, Stop, Used, Wrong
from swarm.serve.wire.shared import openai_usage, openai_used, url_citation

_ASKED, _REPLIED = "input_tokens", "output_tokens"
_REASONS: dict[str, Stop] = {"max_output_tokens": "length", "content_filter": "refusal"}
_WHY: dict[Stop, str] = {"length": "max_output_tokens", "refusal": "content_filter"}
_ENDED = ("response.completed", "response.incomplete", "response.failed")


def _annotation(citation: Citation) -> dict[str, Any]:
    return {"type": "url_citation", **url_citation(citation)}


class Reader:
    """See `Reading`. Places are the index of the item in the output, and of the part in it."""

    def __init__(self) -> None:
        self.used = Used(known=False)
        self.stop: Stop | None = None
        self._more: Used | None = None
        self._items: dict[int, str] = {}
        self._cited: dict[tuple[int, int], list[dict[str, Any]]] = {}
        self._added = 0
        self._number = -1

    def take(self, event: Event) -> Delta | None:
        data = event.data
        if not isinstance(data, dict):
            return None
        self._number = data.get("sequence_number", self._number + 1)
        kind = data.get("type")
        place = (data.get("output_index") or 0, data.get("content_index") or 0)
        if kind == "response.output_text.delta" and data.get("delta"):
            self._items[place[0]] = data.get("item_id", "")
            return Delta(data["delta"], place)
        if kind in _ENDED:
            response = data.get("response") or {}
            self.used = openai_used(response.get("usage"), _ASKED, _REPLIED) or self.used
            self.stop = _stop(response)
        return None

    def cite(self, place: tuple[int, int], citations: Sequence[Citation]) -> list[Event]:
        known = self._cited.setdefault(place, [])
        events = []
        for one in citations:
            self._added += 1
            where = {"item_id": self._items.get(place[0], ""), "output_index": place[0], "content_index": place[1]}
            number = self._number + self._added
            events.append(_added(where, _annotation(one), len(known), number))
            known.append(_annotation(one))
        return events

    def amended(self, event: Event) -> Event:
        data = event.data
        if not isinstance(data, dict) or not (self._cited or self._more or self._added):
            return event
        changed = dict(data)
        if self._added and "sequence_number" in changed:
            changed["sequence_number"] += self._added
        place = (data.get("output_index") or 0, data.get("content_index") or 0)
        match data.get("type"):
            case "response.content_part.done":
                changed["part"] = self._part(place, data.get("part"))
            case "response.output_item.done":
                changed["item"] = self._item(place[0], data.get("item"))
            case kind if kind in _ENDED and isinstance(data.get("response"), dict):
                changed["response"] = self._response(data["response"])
        return Event(event.name, changed) if changed != data else event

    def add(self, used: Used) -> None:
        self._more = used

    @staticmethod
    def failed(wrong: Wrong) -> Event:
        """An error in a stream that has begun. The SDK raises at an event of this name."""
        data = {
            "type": "error", "code": wrong.code or str(wrong.status), "message": wrong.message,
            "param": wrong.param or None, "sequence_number": 0,
        }  # fmt: skip
        return Event("error", data)

    def _response(self, response: dict[str, Any]) -> dict[str, Any]:
        response = dict(response)
        response["output"] = [self._item(at, item) for at, item in enumerate(response.get("output") or ())]
        if self._more is not None:
            usage = openai_usage(self.used + self._more, _ASKED, _REPLIED, response.get("usage"))
            response["usage"] = usage
        return response

    def _item(self, at: int, item: Any) -> Any:
        if not isinstance(item, dict) or not isinstance(item.get("content"), list):
            return item
        return item | {"content": [self._part((at, place), part) for place, part in enumerate(item["content"])]}

    def _part(self, place: tuple[int, int], part: Any) -> Any:
        known = self._cited.get(place)
        if not known or not isinstance(part, dict) or part.get("type") != "output_text":
            return part
        return part | {"annotations": [*(part.get("annotations") or ()), *known]}


def _stop(response: dict[str, Any]) -> Stop:
    reason = (response.get("incomplete_details") or {}).get("reason")
    if reason in _REASONS:
        return _REASONS[reason]
    items = [item for item in response.get("output") or () if isinstance(item, dict)]
    if any(item.get("type") in ("function_call", "custom_tool_call") for item in items):
        return "calls"
    parts = [part for item in items if isinstance(item.get("content"), list) for part in item["content"]]
    return "refusal" if any(part.get("type") == "refusal" for part in parts) else "end"


def _added(where: dict[str, Any], annotation: dict[str, Any], index: int, number: int) -> Event:
    kind = "response.output_text.annotation.added"
    data = {"type": kind, **where, "annotation_index": index, "annotation": annotation, "sequence_number": number}
    return Event(kind, data)


def read_whole(body: dict[str, Any]) -> tuple[str, Used, Stop]:
    """See `Wire`."""
    texts = [
        part.get("text") or part.get("refusal") or ""
        for item in body.get("output") or ()
        if isinstance(item.get("content"), list)
        for part in item["content"]
        if part.get("type") in ("output_text", "refusal")
    ]
    return "".join(texts), openai_used(body.get("usage"), _ASKED, _REPLIED) or Used(known=False), _stop(body)


def cited_whole(body: dict[str, Any], cite: Cite, more: Used) -> dict[str, Any]:
    """See `Wire`."""
    reader = Reader()
    reader.used = openai_used(body.get("usage"), _ASKED, _REPLIED) or Used()
    reader.add(more)
    for at, item in enumerate(body.get("output") or ()):
        parts = item.get("content") if isinstance(item, dict) and item.get("type") == "message" else None
        for number, part in enumerate(parts or ()):
            if part.get("type") == "output_text":
                reader.cite((at, number), cite(part.get("text") or ""))
    return reader._response(body)


class Writer:
    """See `Writing`: one message with one part of text."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._item, self._id = f"msg_{token_hex(12)}", f"resp_{token_hex(12)}"
        self._pieces: list[str] = []
        self._annotations: list[dict[str, Any]] = []
        self._number = 0

    def begin(self) -> list[Event]:
        response = self._response("in_progress", [], None)
        item = self._message("in_progress", [])
        part = _text_part("", [])
        return [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
            self._event("response.output_item.added", output_index=0, item=item),
            self._event("response.content_part.added", **self._where(), part=part),
        ]

    def text(self, text: str) -> list[Event]:
        if not text:
            return []
        self._pieces.append(text)
        return [self._event("response.output_text.delta", **self._where(), delta=text, logprobs=[])]

    def cite(self, citations: Sequence[Citation]) -> list[Event]:
        events = []
        for one in citations:
            events.append(_added(self._where(), _annotation(one), len(self._annotations), self._number))
            self._number += 1
            self._annotations.append(_annotation(one))
        return events

    def end(self, used: Used, stop: Stop) -> list[Event]:
        text = "".join(self._pieces)
        part = _text_part(text, self._annotations)
        ended = "incomplete" if stop in _WHY else "completed"
        item = self._message(ended, [part])
        response = self._response(ended, [item], used, stop)
        return [
            self._event("response.output_text.done", **self._where(), text=text, logprobs=[]),
            self._event("response.content_part.done", **self._where(), part=part),
            self._event("response.output_item.done", output_index=0, item=item),
            self._event(f"response.{ended}", response=response),
        ]

    def alive(self) -> list[Event]:
        return [ALIVE]

    def whole(self, text: str, citations: Sequence[Citation], used: Used, stop: Stop) -> dict[str, Any]:
        """A reply that is not streamed."""
        ended = "incomplete" if stop in _WHY else "completed"
        item = self._message(ended, [_text_part(text, [_annotation(one) for one in citations])])
        return self._response(ended, [item], used, stop)

    def _where(self) -> dict[str, Any]:
        return {"item_id": self._item, "output_index": 0, "content_index": 0}

    def _message(self, status: str, content: list[Any]) -> dict[str, Any]:
        return {"id": self._item, "type": "message", "role": "assistant", "status": status, "content": content}

    def _response(self, status: str, output: list[Any], used: Used | None, stop: Stop = "end") -> dict[str, Any]:
        body = self._request.body
        return {
            "id": self._id, "object": "response", "created_at": int(time.time()), "status": status,
            "model": self._request.model, "output": output, "error": None,
            "incomplete_details": {"reason": _WHY[stop]} if status == "incomplete" else None,
            "instructions": body.get("instructions"), "metadata": body.get("metadata") or {},
            "max_output_tokens": body.get("max_output_tokens"), "temperature": body.get("temperature"),
            "top_p": body.get("top_p"), "parallel_tool_calls": True, "tool_choice": "auto",
            "tools": body.get("tools") or [], "text": body.get("text") or {"format": {"type": "text"}},
            "previous_response_id": None, "store": False,
            "usage": openai_usage(used, _ASKED, _REPLIED) if used is not None else None,
        }  # fmt: skip

    def _event(self, kind: str, **fields: Any) -> Event:
        data = {"type": kind, **fields, "sequence_number": self._number}
        self._number += 1
        return Event(kind, data)


def _text_part(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def whole(request: Request, text: str, citations: Sequence[Citation], used: Used, stop: Stop) -> dict[str, Any]:
    """See `Wire`."""
    return Writer(request).whole(text, citations, used, stop)
