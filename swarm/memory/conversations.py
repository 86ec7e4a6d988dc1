"""Conversations in files, as messages: the formats in which chats are kept and exported.

    JSONL                     a message a line: role (or speaker), content (or text), name, at
    JSON                      a list of such messages, or an object with messages or turns
    conversations.json        as ChatGPT and Claude export them: all conversations, in the order of time
    LoCoMo                    sessions with dates, between two speakers
    .txt, .md                 one message

Standard input is JSONL or JSON where it looks so, else one message. What is read is data. This module knows files;
what becomes of the messages is the memory's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from swarm.errors import SourceError, UsageError
from swarm.memory.messages import Message, message_of, since_epoch

_ROLES = frozenset(["user", "assistant", "system", "developer", "tool", "function", "human", "ai"])
_MOST_STEPS = 1_000_000  # from the end of a conversation to its beginning


def read_conversation(path: Path) -> Iterator[Message]:
    """The messages of a file, as they are taken.

    Raises:
        SourceError: the file cannot be read, or a place in it holds no message.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            if path.suffix.lower() in (".jsonl", ".ndjson"):
                yield from _of_lines(lines, str(path))
                return
            text = lines.read()
    except UnicodeDecodeError:
        raise SourceError(f"{path} is not UTF-8 text: a conversation is JSONL, JSON or plain text") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    yield from of_text(text, str(path), is_json=path.suffix.lower() == ".json")


def of_text(text: str, where: str, *, is_json: bool = False) -> Iterator[Message]:
    """The messages of a text that came without a file's name to tell its format.

    Raises:
        SourceError: a place in it holds no message.
    """
    if not is_json and not text.lstrip().startswith(("{", "[")):
        if text.strip():
            yield Message(role="user", text=text)
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = text.splitlines()
        if len(lines) < 2 or not _is_json(lines[0]):
            if not is_json:
                yield Message(role="user", text=text)
                return
            raise SourceError(f"{where} is not JSON: {error}") from None
        yield from _of_lines(lines, where)
        return
    yield from _of_value(value, where)


def _of_lines(lines: Iterable[str], where: str) -> Iterator[Message]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        at = f"{where}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{at} is not JSON: {error}") from None
        yield from _of_value(value, at) if _holds_many(value) else [_message(value, at)]


def _of_value(value: Any, where: str) -> Iterator[Message]:
    if isinstance(value, list):
        if value and all(_holds_many(one) for one in value):
            for number, one in enumerate(sorted(value, key=_begun), start=1):
                yield from _of_value(one, f"{where}, conversation {number}")
        else:
            for number, one in enumerate(value, start=1):
                yield _message(one, f"{where}, message {number}")
    elif isinstance(value, Mapping) and isinstance(value.get("mapping"), Mapping):
        yield from _of_tree(value, where)
    elif isinstance(value, Mapping) and isinstance(value.get("conversation"), Mapping):
        yield from _of_sessions(value["conversation"], where)
    elif key := _holds_many(value):
        yield from _of_value(value[key], where)
    else:
        yield _message(value, where)


def _holds_many(value: Any) -> str:
    """The key under which an object holds messages; empty where it holds none."""
    if not isinstance(value, Mapping) or "role" in value:
        return ""
    keys = ("messages", "turns", "chat_messages", "conversation", "mapping")
    return next((key for key in keys if isinstance(value.get(key), list | Mapping)), "")


def _message(value: Any, where: str) -> Message:
    """One message, whoever wrote it down."""
    if not isinstance(value, Mapping):
        raise SourceError(f"{where} is no message: write an object with role and content")
    speaker = value.get("role") or value.get("sender") or value.get("speaker") or value.get("from")
    text = next(
        (value[key] for key in ("content", "text", "message", "value") if value.get(key) is not None), None
    )
    if speaker is None or not isinstance(text, str | list):
        raise SourceError(f"{where} is no message: it needs a role (or a speaker) and content (or text)")
    known = str(speaker) in _ROLES
    name = value.get("name") or (None if known else str(speaker))
    times = ("at", "timestamp", "created_at", "create_time", "date", "time")
    at = next((value[key] for key in times if value.get(key)), None)
    more = {key: value[key] for key in ("tool_calls", "tool_call_id") if value.get(key)}
    try:
        return message_of(
            {"role": str(speaker) if known else "user", "content": text, "name": name, "at": at} | more
        )
    except UsageError as error:
        raise SourceError(f"{where}: {error}") from None


def _of_tree(conversation: Mapping[str, Any], where: str) -> Iterator[Message]:
    """A conversation of ChatGPT's export: a tree of versions, of which the one shown last is read."""
    nodes = conversation["mapping"]
    at = conversation.get("current_node") or next(
        (id_ for id_ in reversed(nodes) if isinstance(nodes[id_], Mapping) and not nodes[id_].get("children")),
        None,
    )
    path: list[Mapping[str, Any]] = []
    while isinstance(node := nodes.get(at), Mapping) and len(path) < min(len(nodes), _MOST_STEPS):
        path.append(node)
        at = node.get("parent")
    for node in reversed(path):
        if isinstance(message := node.get("message"), Mapping) and (found := _of_node(message, where)) is not None:
            yield found


def _of_node(message: Mapping[str, Any], where: str) -> Message | None:
    content, author = message.get("content"), message.get("author")
    parts = content.get("parts") if isinstance(content, Mapping) else None
    text = "\n".join(part for part in parts or () if isinstance(part, str))
    if parts is None and isinstance(content, Mapping) and isinstance(content.get("text"), str):
        text = content["text"]  # code that was run, and what came of it
    role = str(author.get("role", "user")) if isinstance(author, Mapping) else "user"
    if not text.strip() or role == "system":
        return None
    at = message.get("create_time")
    try:
        when = since_epoch(at).isoformat(timespec="seconds") if isinstance(at, int | float) else None
    except UsageError as error:
        raise SourceError(f"{where}: {error}") from None
    return Message(role=role, text=text, at=when)


def _of_sessions(conversation: Mapping[str, Any], where: str) -> Iterator[Message]:
    """A conversation of LoCoMo: sessions by number, each with its date."""
    numbers = sorted(
        int(key.removeprefix("session_"))
        for key, turns in conversation.items()
        if key.removeprefix("session_").isdigit() and isinstance(turns, list)
    )
    if not numbers:
        raise SourceError(f"{where} holds no messages: there is no session in its conversation")
    for number in numbers:
        at = conversation.get(f"session_{number}_date_time")
        for turn in conversation[f"session_{number}"]:
            yield _message({**turn, "at": at} if isinstance(turn, Mapping) else turn, f"{where}, session {number}")


def _begun(conversation: Mapping[str, Any]) -> str:
    """When a conversation began, as text that sorts; empty where it does not say, so that the order stays."""
    at = conversation.get("create_time") or conversation.get("created_at") or ""
    return f"{at:020.3f}" if isinstance(at, int | float) else str(at)


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


__all__ = ["of_text", "read_conversation"]
