"""One step of a sub-agent that has tools, as a prompt: what it was given, what it did so far, what it may do.

It wraps the prompt that says what is to be done; the sub-agent hands in the reply to that with the tool `report`,
whose parameters are that reply's schema. This module knows no tool but that one, no model, and not how a prompt is
worded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from swarm.prompts.replies import ActReply, ToolCall
from swarm.prompts.typed import Prompt

REPORT = "report"
"""The tool by which a sub-agent hands in and ends."""
_DEEPEST = 100  # levels of arguments: an encoder of JSON ends at a thousand, less the calls around it
_TOO_DEEP = f"The arguments are nested more than {_DEEPEST} levels deep: say it in a flatter way."


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolSpec:
    """What a model is told of a tool. `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class CallResult:
    """What came of one call. `failed`: it could not be done, and the text says why."""

    text: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a sub-agent said and did at once, and what came of it: one result for each call, in their order. A turn
    without calls has one result, which is what it is told to go on with."""

    says: str
    calls: tuple[ToolCall, ...]
    results: tuple[CallResult, ...]
    kept: str = ""

    @cached_property
    def text(self) -> str:
        """All of it as one text: what is counted, and what a model without tools of its own is shown."""
        lines = [self.says] if self.says else []
        lines += [f"{call.name} {call.arguments}" for call in self.calls]
        lines += [result.text for result in self.results]
        return "\n".join([*lines, self.kept]) if self.kept else "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class ActPrompt(Prompt[ActReply]):
    """The next step. `base` is what is to be done, `question` the same as its question.

    `turns` are as they are shown: of old ones the results may have been cleared. `chain` names what truly came
    before, cleared or not (`chained`), and with the base and the toolset is the identity: a run that goes on asks
    the same call, however much of it a window then held. Where `force` is set, the reply has to be a call of
    `report`.
    """

    kind = "act"
    reply = ActReply
    base: Prompt[Any]
    tools: tuple[ToolSpec, ...]
    """`report` is the last."""
    toolset: str
    """What names the tools and their schemas (`named`)."""
    turns: tuple[Turn, ...] = ()
    chain: str = ""
    before: str = ""
    """The chain before the last turn."""
    form: tuple[str | int, ...] = ()
    """What names how the turns are shown: two steps of one chain in one form show the same."""
    force: bool = False

    def identity(self) -> list[object]:
        repair = [[self.repair.text, self.repair.error]] if self.repair else []
        return [self.kind, self.base.identity(), self.toolset, self.chain, *repair]


def arguments_in(text: str) -> dict[str, Any]:
    """The arguments of a call, as a model wrote them; none at all are an empty object.

    Raises:
        ValueError: they are no object, or nested so deeply that not every program that they go through takes them.
    """
    try:
        parsed = json.loads(text or "{}")
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        raise ValueError(f"The arguments are no JSON ({error}): were they cut off? Say less at once.") from None
    if not isinstance(parsed, dict):
        raise ValueError("The arguments are no JSON object.")
    if text.count("[") + text.count("{") > _DEEPEST and _is_deep(parsed):
        raise ValueError(_TOO_DEEP)
    return parsed


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        parts = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [inner for part in parts for inner in part]
    return bool(level)


def sound(text: str) -> str:
    """`text` without halves of surrogate pairs, which a provider's escapes and the names of files may leave: no
    request can hold one. Halves that belong together become one."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def named(tools: tuple[ToolSpec, ...]) -> str:
    """A short name for a set of tools: another where a name, a description or a schema is."""
    told = [[one.name, one.description, one.parameters] for one in tools]
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=12).hexdigest()


def chained(chain: str, turn: Turn) -> str:
    """The chain that follows from one more turn, given with its results as they came."""
    calls = [[call.name, call.arguments] for call in turn.calls]
    results = [[one.text, one.failed] for one in turn.results]
    told = json.dumps([chain, turn.says, calls, results], ensure_ascii=False)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
