"""OpenAI's Responses format where a model has tools: from turns to items, and from a stream to what was said.

Nothing is stored at the provider: its reasoning comes encrypted, is kept, and goes back with its turn. This module
knows no SDK and sends nothing.
"""

from __future__ import annotations

from typing import Any

from swarm.models.tools import (
    NOTHING,
    arguments_text,
    arguments_told,
    function,
    ids_of,
    keep,
    kept_by,
    told,
    turn_taken,
    with_opaque,
)
from swarm.prompts.acting import REPORT, Turn
from swarm.prompts.render import Rendered
from swarm.prompts.replies import ToolCall

SEALED = "reasoning.encrypted_content"


def conversation(rendered: Rendered, by: str, *, sealed: bool) -> list[dict[str, Any]]:
    """The input of a step. `sealed` is whether the provider takes its own reasoning back."""
    items: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "input_text", "text": part} for part in rendered.parts]}
    ]
    for turn, ids in zip(rendered.turns, ids_of(rendered.turns), strict=True):
        items += _said(turn, ids, kept_by(by, turn), sealed=sealed)
        if turn.calls:
            items += [
                {"type": "function_call_output", "call_id": name, "output": told(result)}
                for result, name in zip(turn.results, ids, strict=True)
            ]
        else:
            items += [_user(told(result)) for result in turn.results]
    if rendered.last:
        items.append(_user(rendered.last))
    return items


def tools(rendered: Rendered, *, forced: bool) -> dict[str, Any]:
    """The fields of a request that tell of the tools. Strict schemas are a subset that tools of others miss."""
    told = [{"type": "function", "strict": False, **function(tool)} for tool in rendered.tools]
    return {"tools": told} | ({"tool_choice": {"type": "function", "name": REPORT}} if forced else {})


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": text}]}


def _said(turn: Turn, ids: list[str], kept: dict[str, Any], *, sealed: bool) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    if turn.says.strip() or not turn.calls:
        phase = {"phase": kept["phase"]} if kept.get("phase") else {}
        said.append({"role": "assistant", "content": turn.says if turn.says.strip() else NOTHING, **phase})
    said += [
        {"type": "function_call", "call_id": name, "name": call.name, "arguments": arguments_text(call)}
        for call, name in zip(turn.calls, ids, strict=True)
    ]
    # reasoning that nothing followed is not taken back
    empty = not turn.calls and not turn.says.strip()
    return with_opaque(said, kept.get("at", ()) if sealed and not empty else ())


class Streamed:
    """What came of a stream so far: the items, by their places."""

    def __init__(self) -> None:
        self._items: dict[int, Any] = {}
        self._arguments: dict[int, str] = {}
        self._texts: dict[int, str] = {}

    def take(self, event: Any) -> None:
        match event.type:
            case "response.output_item.added":
                self._items[event.output_index] = event.item
            case "response.output_item.done":
                self._items[event.output_index] = event.item
                self._arguments.pop(event.output_index, None)
            case "response.function_call_arguments.delta":
                place = event.output_index
                self._arguments[place] = self._arguments.get(place, "") + event.delta
            case "response.output_text.delta":
                self._texts[event.output_index] = self._texts.get(event.output_index, "") + event.delta
            case _:
                pass

    @property
    def pieces(self) -> str:
        """The text, as it came."""
        return "".join(self._texts[place] for place in sorted(self._texts))

    def turn(self, final: Any, by: str) -> str:
        """What was said and done, as the JSON of an `ActReply`. `final` is the response as it ended; some servers
        leave out of it what they streamed."""
        calls: list[ToolCall] = []
        opaque: list[tuple[int, dict[str, Any]]] = []
        texts: list[str] = []
        phase = ""
        cut = final.status == "incomplete"
        items = list(enumerate(final.output or ())) or sorted(self._items.items())
        for place, item in items:
            match item.type:
                case "message":
                    text = "".join(getattr(part, "text", None) or "" for part in item.content or ())
                    texts.append(text or self._texts.get(place, ""))
                    phase = getattr(item, "phase", None) or phase
                case "function_call":
                    written = item.arguments or self._arguments.get(place, "")
                    arguments = arguments_told(written, cut=cut and place == items[-1][0])
                    calls.append(ToolCall(id=item.call_id, name=item.name, arguments=arguments))
                case "reasoning" if item.encrypted_content:
                    spoke = bool("".join(texts).strip())
                    opaque.append((len(calls) + spoke, item.to_dict(mode="json", exclude_none=True)))
                case _:
                    pass
        says = "".join(texts) if items else self.pieces
        return turn_taken(says, calls, keep(by, {"at": opaque, "phase": phase}))
