"""What a sub-agent with tools asks a model, as that model sees it; and minds that act on it.

A mind looks at a `Seen` and says what it does next, as a dict:

    {"says": "I look first.", "calls": [{"name": "read_file", "arguments": {"path": "a.py"}}]}

It is the same one behind a simulated provider (`Provider(hands=...)`) and in this process
(`Scripted({"act": acting(hands), ...})`). The first of a result is `Error: ` where the call failed, and arguments
that were no JSON stand under `INVALID_JSON`. This module knows no wire.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swarm.models.tools import arguments_of, told
from swarm.prompts.acting import ActPrompt
from swarm.prompts.render import render
from swarm.prompts.replies import ActReply, ToolCall

_TOOL = re.compile(r"^<tool name=\"([^\"]*)\">\n.*?\nParameters: (\{[^\n]*\})\n</tool>$", re.MULTILINE | re.DOTALL)
_TURN = "You said and did:\n"
_CALL = re.compile(r"^<call name=\"([^\"]*)\">(.*?)</call>$", re.MULTILINE | re.DOTALL)
_RESULT = re.compile(r"^<result of=\"[^\"]*\"( failed=yes)?>\n(.*?)\n</result>$", re.MULTILINE | re.DOTALL)
_FORCED = "Hand in now, with `report`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A request of a sub-agent with tools, as a model sees it. `turns` are the calls and the results of each, all
    of which have a result; one without calls has what it was told. `force`: it has to report."""

    text: str
    """What the system and the user say."""
    tools: tuple[str, ...]
    turns: tuple[tuple[tuple[dict[str, Any], ...], tuple[str, ...]], ...]
    force: bool


Hands = Callable[[Seen], dict[str, Any]]
"""A mind of one who has tools. A LookupError comes to the client as a request that was not understood."""


def seen_in(prompt: ActPrompt) -> Seen:
    """The request that this prompt is."""
    rendered = render(prompt)
    texts = [rendered.system, *rendered.parts, rendered.last]
    return Seen(
        text="\n\n".join(text for text in texts if text),
        tools=tuple(tool.name for tool in rendered.tools),
        turns=tuple(
            (
                tuple({"name": call.name, "arguments": arguments_of(call)} for call in turn.calls),
                tuple(told(result) for result in turn.results),
            )
            for turn in rendered.turns
        ),
        force=rendered.force,
    )


def acting(hands: Hands) -> Callable[[Any], ActReply]:
    """What `Scripted` is to answer to a prompt of the kind `act`."""
    return lambda prompt: acted(hands(seen_in(prompt)), len(prompt.turns))


def acted(does: dict[str, Any], turn: int) -> ActReply:
    """What a mind does, as a model's reply. `turn` is how many were before, from which the ids come."""
    calls = [
        ToolCall(id=f"call_{turn}_{place}", name=call["name"], arguments=written(call))
        for place, call in enumerate(does.get("calls", ()))
    ]
    return ActReply(says=does.get("says", ""), calls=calls)


def written(call: dict[str, Any]) -> str:
    """The arguments of a mind's call as text. A text is taken as it is: it may be no JSON."""
    given = call.get("arguments", {})
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def seen_in_words(texts: tuple[str, ...]) -> tuple[Seen, dict[str, dict[str, Any]]]:
    """A request where tools and turns are told in words, and the parameters of each tool."""
    whole = "\n\n".join(texts)
    tools = {html.unescape(name): json.loads(schema) for name, schema in _TOOL.findall(whole)}
    turns = re.split(rf"(?:^|\n\n){_TURN}", whole)[1:]
    return (
        Seen(
            text=whole,
            tools=tuple(tools),
            turns=tuple(_turn(text) for text in turns),
            force=_FORCED in whole,
        ),
        tools,
    )


def _turn(text: str) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    calls = tuple(
        {
            "name": html.unescape(name),
            "arguments": arguments_of(ToolCall(name=name, arguments=_unfenced(arguments))),
        }
        for name, arguments in _CALL.findall(text)
    )
    if not calls:
        return (), (text.partition("\n\nYou were told:\n")[2],)
    results = tuple(("Error: " if failed else "") + _unfenced(result) for failed, result in _RESULT.findall(text))
    return calls, results


def _unfenced(text: str) -> str:
    return text.replace("&lt;", "<")
