"""What the wires have in common where a model has tools: ids, arguments, results, and what a provider wants back.

A provider ties a result to its call by an id, takes arguments that are a JSON object, and may want to see again,
with the turn that it came with, something that only it can read: that is `kept`, and nobody else is given it.
This module knows no provider and no format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from swarm.prompts.acting import CallResult, ToolSpec, Turn, arguments_in, sound
from swarm.prompts.replies import ActReply, ToolCall

Acts = Literal["forced", "tools", "words"]
"""How a model is given its tools: natively, also so that it has to use one of them; natively, but never forced; or
in words, as a part of the prompt."""

NO_JSON = "INVALID_JSON"
"""Under this name stand arguments that were no JSON object: a provider takes nothing else, and the model is to see
what it wrote. The name is what Anthropic recommends."""
NOTHING = "…"  # in the place of what is empty, which not every provider takes

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what every provider takes
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call as an object, also where they are none."""
    try:
        return arguments_in(call.arguments)
    except ValueError:
        return {NO_JSON: call.arguments}


def arguments_text(call: ToolCall) -> str:
    """The same as JSON, as the model wrote it where that is an object."""
    parsed = arguments_of(call)
    return json.dumps(parsed, ensure_ascii=False) if parsed.keys() == {NO_JSON} else call.arguments or "{}"


def arguments_told(text: str, *, cut: bool) -> str:
    """Arguments as a provider sent them. None at all are an empty object, unless the reply was cut there."""
    return text or ("{" if cut else "{}")


def told(result: CallResult) -> str:
    """The text of a result. That a call failed is said in it, because not every provider has a mark for it."""
    text = f"Error: {result.text}" if result.failed else result.text
    return text if text.strip() else NOTHING


def ids_of(turns: Sequence[Turn]) -> list[list[str]]:
    """An id for each call of each turn: its own where that is new and fits, else one that comes from its place."""
    used: set[str] = set()
    ids: list[list[str]] = []
    for number, turn in enumerate(turns):
        ids.append([])
        for place, call in enumerate(turn.calls):
            fits = _ID.fullmatch(call.id) is not None and call.id not in used
            name = call.id if fits else f"call_{number}_{place}"
            used.add(name)
            ids[-1].append(name)
    return ids


def tools_text(tools: Iterable[ToolSpec]) -> str:
    """All that a model is told of its tools, to be counted."""
    told = [[one.name, one.description, one.parameters] for one in tools]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def function(spec: ToolSpec) -> dict[str, Any]:
    """A tool as OpenAI and those who follow it describe one."""
    return {"name": spec.name, "description": spec.description, "parameters": dict(spec.parameters)}


def verbatim(name: str, **fields: Any) -> dict[str, Any]:
    """Fields of a request as the SDKs of Anthropic and OpenAI send them as they are, `name` being one that they
    insist on. What they are given otherwise they look through: a millisecond for each call of a conversation."""
    return {name: (), "extra_body": fields}


def turn_taken(says: str, calls: Iterable[ToolCall], kept: str = "") -> str:
    """The JSON of an `ActReply`."""
    taken = [ToolCall(id=sound(one.id), name=sound(one.name), arguments=sound(one.arguments)) for one in calls]
    return ActReply(says=sound(_THOUGHT.sub("", says)), calls=taken, kept=sound(kept)).model_dump_json()


def keep(by: str, what: Mapping[str, Any]) -> str:
    """`what` a provider wants back, marked as that of the model at this lane; nothing where there is nothing."""
    given = {name: value for name, value in what.items() if value}
    return json.dumps({"by": by, **given}, ensure_ascii=False, separators=(",", ":")) if given else ""


def kept_by(by: str, turn: Turn) -> dict[str, Any]:
    """What was kept of a turn, where it came from the same model; of another's there is nothing to say."""
    try:
        kept = json.loads(turn.kept) if turn.kept else {}
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) and kept.get("by") == by else {}


def with_opaque(said: list[dict[str, Any]], opaque: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """What was said, with the opaque parts where they stood: each comes with how many others were before it."""
    whole = list(said)
    for before, part in reversed(list(opaque)):
        whole.insert(min(before, len(said)), part)
    return whole
