"""OpenAI's Responses: requests, replies and streams of this wire.

What the model said and called one after the other (reasoning, calls, messages) is one turn, because the provider
takes none of it without the rest; so are the results of calls made at once. Annotations are `url_citation`s, added
by events and told again wherever the whole text is. This module knows no HTTP and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from swarm.serve.request import (
    Event,
    Part,
    Path,
    Reading,
    Request,
    Role,
    Turn,
    WireName,
    Writing,
    Wrong,
)
from swarm.serve.wire.responses_reply import Reader, Writer, cited_whole, read_whole, whole
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
    parts_of,
    tokens_field,
)

__all__ = [
    "cited_whole",
    "error",
    "error_event",
    "name",
    "parse",
    "read_whole",
    "reading",
    "rebuilt",
    "text_only",
    "whole",
    "writing",
]

name: WireName = "responses"

_LEADS = ("system", "developer")
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "assistant": "assistant"}
_TEXTS = ("input_text", "output_text", "text", "refusal")


def parse(body: dict[str, Any], count: Callable[[str], int]) -> Request:
    """See `Wire`."""
    given = body.get("input")
    if isinstance(given, str):
        items, turns = [], [Turn(role="user", parts=(Part(text=given, path=("input",)),), raw=given)]
    else:
        items = objects(given if given is not None else [], "input")
        turns = list(_turns(items))
    told = [field_of(body, "instructions", str, "")]
    told += [joined_text(item.get("content"), ())[0] for item in items[: _leading(items)]]
    text = body.get("text")
    return Request(
        wire=name,
        model=field_of(body, "model", str, ""),
        system="\n\n".join(text for text in told if text),
        turns=tuple(turns),
        tools_tokens=form_tokens(count, body.get("tools"), text),
        fixed_tokens=sum(_fixed(part.raw, count) for turn in turns for part in turn.parts if part.kind == "other"),
        stream=bool(field_of(body, "stream", bool, False)),
        max_output=tokens_field(body, "max_output_tokens"),
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
    given = request.body.get("input")
    items = given if isinstance(given, list) else []
    leads = items[: _leading(items)] if system is None else []
    told = request.body.get("instructions") if system is None else system
    together = "\n\n".join(text for text in (told, more) if text)
    after = [item for turn in later(request, turns) for item in _items(turn)]
    return changed(request.body, changes, {"instructions": together or None, "input": [*leads, *after]})


def _leading(items: Sequence[dict[str, Any]]) -> int:
    return next((at for at, one in enumerate(items) if one.get("role") not in _LEADS), len(items))


def _turns(items: Sequence[dict[str, Any]]) -> Iterator[Turn]:
    """What follows the leading system messages. Each message of a user's is a turn of its own."""
    first = _leading(items)
    placed = [(at, item, _role(item)) for at, item in enumerate(items) if at >= first]
    for (role, _), group in groupby(
        placed, key=lambda one: (one[2], one[0] if one[2] in ("user", "system") else -1)
    ):
        several = list(group)
        parts = [part for at, item, _ in several for part in _parts(item, ("input", at))]
        raw = [item for _, item, _ in several]
        yield Turn(role=role, parts=tuple(parts), raw=raw, path=("input", several[0][0]))


def _role(item: dict[str, Any]) -> Role:
    kind = str(item.get("type") or "message")
    if kind == "message":
        return _ROLES.get(str(item.get("role")), "user")
    return "tool" if kind.endswith("_output") else "assistant"


def _parts(item: dict[str, Any], path: Path) -> tuple[Part, ...]:
    kind = str(item.get("type") or "message")
    if kind == "message":
        return parts_of(item.get("content"), (*path, "content"), _part)
    if kind.endswith("_output"):
        text, where = joined_text(item.get("output"), (*path, "output"))
        return (Part(text=text, raw=item, path=where, kind="result", call=str(item.get("call_id", ""))),)
    if kind in ("function_call", "custom_tool_call"):
        field = "arguments" if kind == "function_call" else "input"
        text = called(item.get("name"), item.get(field))
        call = str(item.get("call_id", ""))
        return (Part(text=text, raw=item, path=(*path, field), kind="call", call=call),)
    return (Part(text=None, raw=item, path=path, kind="other"),)


def _part(part: dict[str, Any], path: Path) -> Part:
    if part.get("type") in _TEXTS:
        field = "refusal" if part["type"] == "refusal" else "text"
        if isinstance(part.get(field), str):
            return Part(text=part[field], raw=part, path=(*path, field))
    return Part(text=None, raw=part, path=path, kind="other")


def _fixed(raw: Any, count: Callable[[str], int]) -> int:
    kind = raw.get("type") if isinstance(raw, dict) else ""
    if kind == "input_image":
        return IMAGE_TOKENS
    if kind == "reasoning":
        return count(str(raw.get("encrypted_content") or ""))
    return FILE_TOKENS


def _items(turn: Turn) -> Iterator[dict[str, Any]]:
    """The items of a turn; a run of parts of one message is one item."""
    if isinstance(turn.raw, list):
        yield from turn.raw
        return
    if isinstance(turn.raw, str):
        yield {"role": "user", "content": turn.raw}
        return
    for own, group in groupby(turn.parts, key=_is_item):
        parts = list(group)
        if own:
            yield from (part.raw for part in parts)
        else:
            yield {"role": turn.role if turn.role != "tool" else "user", "content": _content(turn, parts)}


def _is_item(part: Part) -> bool:
    if part.kind in ("call", "result"):
        return part.raw is not None
    kind = part.raw.get("type") if isinstance(part.raw, dict) else None
    return isinstance(kind, str) and kind not in _TEXTS and not kind.startswith("input_")


def _content(turn: Turn, parts: Sequence[Part]) -> Any:
    if all(part.raw is None for part in parts):
        return "\n\n".join(part.text or "" for part in parts)
    kind = "output_text" if turn.role == "assistant" else "input_text"
    return [part.raw if part.raw is not None else {"type": kind, "text": part.text or ""} for part in parts]


def reading() -> Reading:
    """See `Wire`."""
    return Reader()


def writing(request: Request) -> Writing:
    """See `Wire`."""
    return Writer(request)


def error(wrong: Wrong) -> dict[str, Any]:
    """See `Wire`."""
    return openai_error(wrong)


def error_event(wrong: Wrong) -> list[Event]:
    """See `Wire`."""
    return [Reader.failed(wrong)]


def text_only(request: Request, model: str, max_output: int) -> dict[str, Any]:
    """See `Wire`."""
    turns = [{"role": turn.role, "content": turn.text} for turn in request.turns if turn.text]
    told = {"instructions": request.system} if request.system else {}
    return {"model": model, **told, "input": turns, "max_output_tokens": max_output, "store": False}
