"""What the endpoint tells of itself: its models in both vendors' shapes, and the OpenAPI description of its
routes.

Bodies are described by their main fields and are open: whatever else a vendor's format has is passed on. This
module serves nothing.
"""

from __future__ import annotations

from typing import Any

from swarm.serve.request import WireName

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 1}
_SHARE = {"type": "number"}
_FLAG = {"type": "boolean", "default": False}
_LIST = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
_MODEL = {"type": "string", "description": "Any name: the model behind answers, and the reply says which it is."}

BODIES: dict[WireName, dict[str, Any]] = {
    "chat": {
        "type": "object",
        "additionalProperties": True,
        "required": ["messages"],
        "properties": {
            "model": _MODEL,
            "messages": _LIST,
            "max_completion_tokens": _NUMBER,
            "max_tokens": _NUMBER,
            "temperature": _SHARE,
            "stop": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
            "stream": _FLAG,
            "stream_options": {"type": "object", "properties": {"include_usage": _FLAG}},
            "tools": _LIST,
            "response_format": {"type": "object", "additionalProperties": True},
        },
    },
    "responses": {
        "type": "object",
        "additionalProperties": True,
        "required": ["input"],
        "properties": {
            "model": _MODEL,
            "input": {"anyOf": [_TEXT, _LIST]},
            "instructions": _TEXT,
            "max_output_tokens": _NUMBER,
            "temperature": _SHARE,
            "stream": _FLAG,
            "tools": _LIST,
            "text": {"type": "object", "additionalProperties": True},
        },
    },
    "messages": {
        "type": "object",
        "additionalProperties": True,
        "required": ["messages", "max_tokens"],
        "properties": {
            "model": _MODEL,
            "system": {"anyOf": [_TEXT, _LIST]},
            "messages": _LIST,
            "max_tokens": _NUMBER,
            "temperature": _SHARE,
            "stop_sequences": {"type": "array", "items": _TEXT},
            "stream": _FLAG,
            "tools": _LIST,
        },
    },
}

ERRORS = {
    "401": "No token, or a wrong one.",
    "402": "The request may come to more than the client has left; nothing was sent.",
    "403": "Called by a name, or from a page, that is not allowed.",
    "413": "The body is larger than the client may send.",
    "429": "Too many requests at a time or in a minute, here or at the model behind; see retry-after.",
    "502": "The model behind cannot be reached, or broke off.",
    "503": "The endpoint has as much to do as it may; see retry-after.",
}


def operation(name: WireName, *, counts: bool = False) -> dict[str, Any]:
    """What OpenAPI says of a route beside what FastAPI does."""
    answers: dict[str, Any] = {
        status: {"description": words, "content": {"application/json": {"schema": {"type": "object"}}}}
        for status, words in ERRORS.items()
    }
    reply: dict[str, Any] = {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}
    if counts:
        reply["application/json"]["schema"] = {
            "type": "object",
            "required": ["input_tokens"],
            "properties": {"input_tokens": {"type": "integer"}},
        }
    else:
        reply["text/event-stream"] = {"schema": _TEXT}
    answers["200"] = {"description": "As the vendor's own endpoint replies.", "content": reply}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": BODIES[name]}}},
        "responses": answers,
        "security": [{"bearer": []}, {"key": []}],
    }


SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}

DESCRIPTION = (
    "Speaks OpenAI's Chat Completions and Responses and Anthropic's Messages. What fits the window of the model "
    "behind is passed straight through; what does not is read by parts, and answered with citations."
)


def openai_model(name: str, since: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": since, "owned_by": "swarm"}


def anthropic_model(name: str, since: str, longest: int) -> dict[str, Any]:
    """No input limit is told: there is none."""
    return {
        "type": "model", "id": name, "display_name": name, "created_at": since, "lifecycle": "active",
        "max_tokens": longest,
    }  # fmt: skip
