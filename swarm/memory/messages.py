"""Messages: who said what, and when, whichever SDK's shape they come in.

A message is known by its digest (role, name, time and text) and by its place among the others: "ok" said twice is
two messages. What a view of a memory or a graph said is cut out of its text, so that nobody learns it again.
This module knows nothing of where messages are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from swarm.errors import UsageError
from swarm.graph.values import read_time
from swarm.memory.units import as_message
from swarm.views.mark import stretches

_ROLES = {
    "human": "user", "ai": "assistant", "developer": "system", "function": "tool", "AIMessageChunk": "assistant",
    "HumanMessageChunk": "user",
}  # fmt: skip
_CUT = "[…]"
_CALLS = ("tool_use", "function_call")
_LONGEST_NAME = 200  # characters
_MILLISECONDS = 1e11  # a number of seconds as large is in the year 5138


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message. `role` is system, user, assistant or tool; `name` is the speaker where several have one role;
    `at` is ISO text, or any date in words that can be read, and None where nobody said when. `id` is given by
    the memory, a hash of the rest and of the place; leave it empty. `num` is the place, from 1; 0 before it has
    one."""

    role: str
    text: str
    name: str | None = None
    at: str | None = None
    id: str = ""
    num: int = 0

    @property
    def who(self) -> str:
        """Who speaks: the name, or the role."""
        return self.name or self.role


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A message as it was handed over, brought into one form. `at` is where it stood in the list, from 0; `cut`
    counts the views that were cut out of it."""

    message: Message
    digest: bytes
    at: int
    cut: int = 0


def given(messages: Iterable[Any]) -> list[Given]:
    """Messages of any shape in one form; those of which nothing is left but a view are left out.

    Raises:
        UsageError: something is no message, or its time cannot be read.
    """
    if isinstance(messages, str | bytes | Mapping | Message):
        raise UsageError("remember takes a list of messages: put the one message into a list")
    found = []
    for at, one in enumerate(messages):
        message, cut = _unmarked(message_of(one))
        if message.text.strip():
            found.append(Given(message=message, digest=digest(message), at=at, cut=cut))
    return found


def message_of(value: Any) -> Message:
    """A message of an SDK, a dict, a pair of role and text, or a `Message`, as a `Message`."""
    if isinstance(value, Message):
        message = value
    else:
        at = getattr(value, "at", None)
        plain = as_message(_without_times(value))
        if isinstance(value, Mapping):
            at = next((value[key] for key in ("at", "timestamp", "created_at") if value.get(key)), at)
        role = str(plain.get("role") or plain.get("type"))
        name = plain.get("name")
        message = Message(
            role=_role(plain, role), text=text_of(plain), name=str(name) if name else None, at=_time(at)
        )
    if message.at is not None and not moment(message.at):
        raise UsageError(f"a message's time cannot be read: {message.at!r:.60} (give it as ISO, 2026-05-31T14:00)")
    name, at = _one_line(message.name or "") or None, _one_line(message.at or "") or None
    return Message(role=_one_line(message.role), text=whole(message.text), name=name, at=at)


def _one_line(text: str) -> str:
    """What stands beside a message, so that it cannot pass for something else: one short line without characters
    that are obeyed and not seen."""
    seen = "".join(one if one.isprintable() else " " for one in whole(text)[:_LONGEST_NAME])
    return " ".join(seen.split())


def digest(message: Message) -> bytes:
    """What two messages have in common that are the same but for their place."""
    parts = (message.role, message.name or "", message.at or "", message.text)
    hashed = blake2b(digest_size=16, person=b"message")
    for part in parts:
        data = part.encode("utf-8", "replace")
        hashed.update(len(data).to_bytes(8, "big"))
        hashed.update(data)
    return hashed.digest()


def message_id(digest: bytes, place: int) -> str:
    """The id of the message with this digest at a place: the same in every memory that begins alike."""
    return "t" + blake2b(digest + place.to_bytes(8, "big"), digest_size=16, person=b"place").hexdigest()


@lru_cache(maxsize=4_096)
def moment(at: str | None) -> str:
    """A time as text that sorts: UTC, without a zone; a time without a zone is taken as it is. Empty where there
    is none that could be read."""
    if not at:
        return ""
    try:
        read = datetime.fromisoformat(at.strip())
        if read.tzinfo is not None:
            read = read.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return read_time(at).start
    return read.date().isoformat() if len(at.strip()) <= 10 else read.isoformat(timespec="seconds")


def whole(text: str) -> str:
    """Text that every store takes: halves of surrogate pairs that belong together are joined, others replaced, and
    so is the character zero."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def text_of(message: Mapping[str, Any]) -> str:
    """All that a message says, calls and results of tools too."""
    parts = _texts(message.get("content"))
    if not _has_calls(message.get("content")):  # LangChain has those of Anthropic in both places
        parts += [_call(call) for call in message.get("tool_calls") or ()]
    kind = message.get("type")
    if kind in ("function_call", "custom_tool_call"):
        parts.append(_call(message))
    elif "output" in message:
        parts += _texts(message["output"])
    elif kind == "reasoning":
        parts += _texts(message.get("summary"))
    return "\n".join(part for part in parts if part)


def _has_calls(content: Any) -> bool:
    parts = content if isinstance(content, list) else ()
    return any(isinstance(part, Mapping) and part.get("type") in _CALLS for part in parts)


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    found: list[str] = []
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, Mapping):
            found += _part(part)
    return found


def _part(part: Mapping[str, Any]) -> list[str]:
    kind = str(part.get("type", ""))
    if isinstance(text := part.get("text"), str):
        return [text]
    if kind in _CALLS:
        return [_call(part)]
    if kind == "tool_result":
        return _texts(part.get("content"))
    if isinstance(refusal := part.get("refusal"), str):
        return [refusal]
    return [f"[{kind}]"] if kind and kind not in ("thinking", "redacted_thinking") else []


def _call(call: Mapping[str, Any]) -> str:
    import json

    inner = call.get("function")
    function = inner if isinstance(inner, Mapping) else call
    taken = next((function[key] for key in ("arguments", "args", "input") if function.get(key)), "")
    said = taken if isinstance(taken, str) else json.dumps(taken, ensure_ascii=False)
    return f"[calls {function.get('name', 'a tool')}({said})]"


def _role(message: Mapping[str, Any], role: str) -> str:
    if message.get("role") or "content" in message:
        return _ROLES.get(role, role)
    return "tool" if role.endswith("_output") else "assistant"


def _without_times(value: Any) -> Any:
    """A dict whose times may be objects that are no part of a message."""
    if isinstance(value, Mapping):
        return {key: inner for key, inner in value.items() if key not in ("at", "timestamp", "created_at")}
    return value


def _time(at: Any) -> str | None:
    if at is None or at == "":
        return None
    if isinstance(at, bool | int | float):
        return since_epoch(at).isoformat()
    return at.isoformat() if isinstance(at, datetime | date) else str(at)


def since_epoch(at: float) -> datetime:
    """The time that is so many seconds, or milliseconds, after 1970.

    Raises:
        UsageError: it is in no year that a calendar has.
    """
    try:
        return datetime.fromtimestamp(at / 1_000 if abs(at) >= _MILLISECONDS else at, UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"a message's time cannot be read: {at!r:.60} (give seconds since 1970, or ISO)"
        ) from None


def _unmarked(message: Message) -> tuple[Message, int]:
    """The message without the views in it, and how many there were."""
    marks = stretches(message.text)
    if not marks:
        return message, 0
    kept, at = [], 0
    for start, end in marks:
        kept.append(message.text[at:start])
        at = end
    text = _CUT.join([*kept, message.text[at:]]) if "".join([*kept, message.text[at:]]).strip() else ""
    return Message(role=message.role, text=text, name=message.name, at=message.at), len(marks)


__all__ = [
    "Given",
    "Message",
    "digest",
    "given",
    "message_id",
    "message_of",
    "moment",
    "since_epoch",
    "text_of",
    "whole",
]
