"""A message list as one of the SDKs has it, cut into units that stay whole: what a person said, or one step of the
model with all results of its calls.

A list may be cut between units and nowhere else: a call that has lost its result is refused by every provider, and
so is a result without its call, and reasoning without what followed it. Messages are read and never changed. This
module knows the shapes of messages; how many fit, and what stands for the others, is told above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from swarm.errors import UsageError
from swarm.tokens import TokenCounter

Side = Literal["system", "user", "model", "result"]
Wire = Literal["chat", "responses", "messages", "langchain"]
"""Whose list it is: OpenAI's chat completions, its Responses, Anthropic's messages, LangChain's objects."""

PER_MESSAGE = 4
"""Tokens that a message costs beside its text, with those that joining texts may add."""
MEDIA_TOKENS = 2_000
"""What one picture, sound or document of base64 counts: providers count an image below this."""
_SIDES: dict[str, Side] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "HumanMessageChunk": "user",
    "assistant": "model", "ai": "model", "AIMessageChunk": "model", "tool": "result", "function": "result",
}  # fmt: skip
_LANGCHAIN = ("role", "content", "tool_calls", "invalid_tool_calls", "tool_call_id", "type", "name")
"""What of a LangChain message is sent: the rest is what came back with a reply."""
_MEDIA = ("data:", "JVBERi0", "iVBORw0", "/9j/", "R0lGOD", "UklGR")
_MEDIA_CHARS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What decides where a list may be cut. `says` is whether a person speaks in it; `calls` and `results` are the
    ids of calls made and answered; `item` is an output item of the Responses format: several make a step."""

    side: Side
    says: bool = False
    calls: frozenset[str] = frozenset()
    results: frozenset[str] = frozenset()
    item: bool = False


@dataclass(kw_only=True, slots=True)
class Unit:
    """Messages that stay together, by their places in the list. `whole` is false for results that have no call."""

    places: list[int] = field(default_factory=list)
    says: bool = False
    begins: bool = False
    """Whether it begins with a person: a list may begin here."""
    whole: bool = True


def plain(value: Any) -> Any:
    """A message as dicts, lists and texts, whichever objects of an SDK it holds.

    Raises:
        UsageError: it is nothing that a list of messages holds.
    """
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if callable(dump := getattr(value, "model_dump", None)):
        dumped = dump(mode="json", exclude_none=True, warnings=False)
        if _is_langchain(value):
            return {key: dumped[key] for key in _LANGCHAIN if key in dumped}
        return dumped
    raise UsageError(f"a message holds a {type(value).__name__}: hand over dicts, or messages of an SDK")


def as_message(value: Any) -> dict[str, Any]:
    """As `plain`, for a message; a pair of a role and a text is one too, as LangChain takes it.

    Raises:
        UsageError: it is no message.
    """
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return {"role": value[0], "content": value[1]}
    found = plain(value)
    if not isinstance(found, dict) or not ({"role", "type"} & found.keys()):
        raise UsageError(f"{type(value).__name__} is no message: it has neither a role nor a type")
    return found


def shape(message: Mapping[str, Any]) -> Shape:
    """What kind of message it is, and what it belongs to."""
    kind, role = str(message.get("type", "")), str(message.get("role", ""))
    if side := _SIDES.get(role) or (_SIDES.get(kind) if "content" in message else None):
        return _spoken(message, side, item=kind == "message")
    if kind.endswith("_output") or kind == "mcp_approval_response":
        ids = message.get("call_id") or message.get("approval_request_id")
        return Shape(side="result", results=frozenset([str(ids)]), item=True)
    if kind == "mcp_approval_request":
        return Shape(side="model", calls=frozenset([str(message.get("id"))]), item=True)
    called = frozenset([str(message["call_id"])]) if message.get("call_id") else frozenset[str]()
    return Shape(side="model", calls=called, item=True)


def _spoken(message: Mapping[str, Any], side: Side, *, item: bool) -> Shape:
    content = message.get("content")
    blocks = [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []
    calls = {str(call.get("id")) for call in message.get("tool_calls") or () if isinstance(call, Mapping)}
    calls |= {str(block.get("id")) for block in blocks if block.get("type") == "tool_use"}
    results = {str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"}
    if "function_call" in message:
        calls.add("function_call")
    if side == "result":
        results.add(str(message.get("tool_call_id") or "function_call"))
    says = side == "user" and (
        any(block.get("type") != "tool_result" for block in blocks) if blocks else bool(content) or not results
    )
    return Shape(
        side="result" if results and not says else side,
        says=says,
        calls=frozenset(calls),
        results=frozenset(results),
        item=item,
    )


def units(shapes: Sequence[Shape]) -> list[Unit]:
    """The units of a list in their order; what the system says is in none of them."""
    found: list[Unit] = []
    called: dict[str, int] = {}  # the unit in which each call was made
    joins = False  # whether an output item of the model still belongs to the last unit
    for place, one in enumerate(shapes):
        if one.side == "system":
            continue
        if one.results and one.results <= called.keys():
            _joined(found, min(called[id_] for id_ in one.results), called)
        elif not (one.side == "model" and joins and one.item):
            found.append(Unit(begins=one.side == "user", whole=not one.results))
        found[-1].places.append(place)
        found[-1].says |= one.says
        called |= dict.fromkeys(one.calls, len(found) - 1)
        joins = one.side == "model" and one.item
    return found


def _joined(found: list[Unit], first: int, called: dict[str, int]) -> None:
    """Make one unit of all from `first` on: a result may come when others have spoken since its call."""
    for unit in found[first + 1 :]:
        found[first].places += unit.places
        found[first].says |= unit.says
        found[first].whole &= unit.whole
    del found[first + 1 :]
    for id_, unit_number in called.items():
        called[id_] = min(unit_number, first)


def text_of(message: Mapping[str, Any]) -> str:
    """The words in a message, without calls, results and pictures."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    words = (
        part if isinstance(part, str) else part.get("text") for part in parts if isinstance(part, str | Mapping)
    )
    return "\n".join(word for word in words if isinstance(word, str))


def size(message: Mapping[str, Any], counter: TokenCounter) -> int:
    """Tokens of a message, from above: every text in it, names of fields too, and a flat amount for media."""
    texts, media = [], 0
    for text in _texts(message):
        if len(text) > _MEDIA_CHARS and text.startswith(_MEDIA):
            media += 1
        else:
            texts.append(text)
    return counter.count("\n".join(texts)) + len(texts) + PER_MESSAGE + media * MEDIA_TOKENS


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif value is not None:
        yield str(value)


def wire_of(messages: Sequence[Any], plain_ones: Sequence[Mapping[str, Any]], *, system: bool) -> Wire:
    """Whose list it is, by what only one of them has; `system` is whether the system is told beside the list."""
    if any(_is_langchain(message) for message in messages):
        return "langchain"
    kinds = {
        str(part.get("type", ""))
        for message in plain_ones
        if isinstance(message.get("content"), list)
        for part in message["content"]
        if isinstance(part, Mapping)
    }
    if system or kinds & {"tool_use", "tool_result", "thinking", "redacted_thinking"}:
        return "messages"
    if any("role" not in message or message.get("type") == "message" for message in plain_ones) or any(
        kind.startswith(("input_", "output_")) for kind in kinds
    ):
        return "responses"
    return "chat"


def _is_langchain(value: Any) -> bool:
    return any(kind.__module__.startswith("langchain_core.messages") for kind in type(value).__mro__)


__all__ = [
    "PER_MESSAGE", "Shape", "Side", "Unit", "Wire", "as_message", "plain", "shape", "size", "text_of", "units",
    "wire_of",
]  # fmt: skip
