"""What the wires share: reading parts of any shape without falling over them, and both vendors' errors.

This module knows the shapes that all three have in common, and no wire by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from swarm.serve.request import Citation, Part, Path, Request, Turn, Used, Wrong

IMAGE_TOKENS = 6_000
"""Of one image, at the most: 4,784 are published for Claude, fewer for OpenAI's models but for the small ones."""
FILE_TOKENS = 32_000
"""Of a document whose length nobody tells."""
TOOL_TOKENS = 24  # around each tool
TOOLS_TOKENS = 512  # what providers add for the first one

_OPENAI_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
_OPENAI_KINDS |= {402: "insufficient_quota", 429: "rate_limit_error"}
_ANTHROPIC_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def field_of(body: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """A field that is of this type where it is there.

    Raises:
        Wrong: it is of another.
    """
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Wrong(400, f"{name} is not {_NAMES[kind]}", param=name)
    return value


_NAMES = {int: "a whole number", str: "a text", bool: "true or false", list: "a list", dict: "an object"}


def objects(values: Any, name: str) -> list[dict[str, Any]]:
    """A list of objects.

    Raises:
        Wrong: it is none.
    """
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Wrong(400, f"{name} is not a list of objects", param=name)
    return values


def tokens_field(body: Mapping[str, Any], *names: str) -> int | None:
    """The first of these fields that is given, in tokens.

    Raises:
        Wrong: it is no number from 1 on.
    """
    for name in names:
        value: int | None = field_of(body, name, int, None)
        if value is not None:
            if value < 1:
                raise Wrong(400, f"{name} is {value}: give a number from 1 on", param=name)
            return value
    return None


def form_tokens(count: Callable[[str], int], tools: Any, *forms: Any) -> int:
    """Tokens of tools and of the form of a reply."""
    tokens = sum(count(json.dumps(form, ensure_ascii=False)) + TOOL_TOKENS for form in forms if form)
    if isinstance(tools, list) and tools:
        tokens += TOOLS_TOKENS
        tokens += sum(count(json.dumps(tool, ensure_ascii=False)) + TOOL_TOKENS for tool in tools)
    return tokens


def joined_text(content: Any, path: Path) -> tuple[str, Path]:
    """The text of content that is a text, or a list of parts with texts; and where it is, as far as it is in one
    place."""
    if isinstance(content, str):
        return content, path
    texts = [
        (part["text"], (*path, number, "text"))
        for number, part in enumerate(content if isinstance(content, list) else ())
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]
    if len(texts) == 1:
        return texts[0]
    return "\n".join(text for text, _ in texts), path


def called(name: Any, given: Any) -> str:
    """The text of a call of a tool: what was given comes first, so that its characters are those of the body."""
    return f"{given or ''} ({name or ''})"


def parts_of(content: Any, path: Path, read: Callable[[dict[str, Any], Path], Part]) -> tuple[Part, ...]:
    """The parts of a message's content, which is a text or a list."""
    if isinstance(content, str):
        return (Part(text=content, path=path),)
    if not isinstance(content, list):
        return ()
    return tuple(
        read(part, (*path, number))
        if isinstance(part, dict)
        else Part(text=None, raw=part, path=(*path, number), kind="other")
        for number, part in enumerate(content)
    )


def plain_content(parts: Iterable[Part], text_type: str) -> str | list[Any]:
    """Content from parts: one text, or a list of parts, each as it came unless it was made here."""
    told = list(parts)
    if all(part.raw is None for part in told):
        return "\n\n".join(part.text or "" for part in told)
    return [part.raw if part.raw is not None else {"type": text_type, "text": part.text or ""} for part in told]


def changed(
    body: Mapping[str, Any], changes: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """A body with other fields; None leaves one out."""
    whole = {**body, **fields, **(changes or {})}
    return {name: value for name, value in whole.items() if value is not None or body.get(name, 0) is None}


def later(request: Request, turns: Iterable[Turn] | None) -> tuple[Turn, ...]:
    return request.turns if turns is None else tuple(turns)


def url_citation(citation: Citation) -> dict[str, Any]:
    """An annotation as OpenAI's wires have it, and beside it what Swarm knows of it."""
    return {
        "start_index": citation.start,
        "end_index": citation.end,
        "title": citation.title,
        "url": citation.url,
        "cited_text": citation.quote,
        "source": {
            "turn": citation.turn,
            "part": citation.part,
            "start": citation.quote_start,
            "end": citation.quote_end,
        },
    }


def openai_used(usage: Any, asked: str, replied: str) -> Used | None:
    """Usage as OpenAI's wires tell it."""
    if not isinstance(usage, dict):
        return None
    details = usage.get(f"{asked}_details") or {}
    return Used(
        input_tokens=told(usage.get(asked)),
        output_tokens=told(usage.get(replied)),
        cached_tokens=told(details.get("cached_tokens")) if isinstance(details, dict) else 0,
        written_tokens=told(details.get("cache_write_tokens")) if isinstance(details, dict) else 0,
    )


def openai_usage(used: Used, asked: str, replied: str, before: Any = None) -> dict[str, Any]:
    """Usage to be told, over what the model behind told in its own fields."""
    usage = dict(before) if isinstance(before, dict) else {}
    details = usage.get(f"{asked}_details")
    details = dict(details) if isinstance(details, dict) else {}
    details |= {"cached_tokens": used.cached_tokens, "cache_write_tokens": used.written_tokens}
    return {
        **usage,
        asked: used.input_tokens,
        replied: used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        f"{asked}_details": details,
        f"{replied}_details": usage.get(f"{replied}_details") or {"reasoning_tokens": 0},
    }


def told(value: Any) -> int:
    """A count that somebody told; 0 where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def openai_error(wrong: Wrong) -> dict[str, Any]:
    kind = _OPENAI_KINDS.get(wrong.status, "invalid_request_error" if wrong.status < 500 else "server_error")
    if wrong.code == "insufficient_quota":
        kind = wrong.code
    error = {"message": wrong.message, "type": kind, "param": wrong.param or None, "code": wrong.code or None}
    return {"error": error}


def anthropic_error(wrong: Wrong) -> dict[str, Any]:
    kind = _ANTHROPIC_KINDS.get(wrong.status, "invalid_request_error" if wrong.status < 500 else "api_error")
    error: dict[str, Any] = {"type": kind, "message": wrong.message}
    if wrong.details is not None:
        error["details"] = dict(wrong.details)
    return {"type": "error", "error": error, "request_id": None}


def moved(citations: Sequence[Citation], by: int) -> list[Citation]:
    """The same citations, in a text that begins later."""
    return [replace(one, start=one.start + by, end=one.end + by) for one in citations]
