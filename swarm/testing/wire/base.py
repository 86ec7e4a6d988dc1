"""What a request says and what is replied, whatever the format.

A conversation with tools is read into turns, as strictly as the providers do: each call has its result. This
module knows no format and no HTTP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swarm.prompts.acting import REPORT

_SCHEMA_IN_WORDS = re.compile(r"fits this JSON schema:\n(\{.*\})$", re.MULTILINE)
_PIECE = 40  # characters of a streamed delta
FAILED = "Error: "
"""What the result of a call that failed begins with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """A call of a tool. `arguments` is JSON as text, which may have been cut off."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What was said and called at once, and the results. `thought` is what only the provider can read."""

    calls: tuple[tuple[str, dict[str, Any]], ...]
    results: tuple[str, ...]
    thought: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a request says. `texts` is all of it in its order, `told` the part that the system and the user say
    outside of turns. `mechanism` names how the schema was given, if by more than words. Where the model is to act,
    there are `tools`, each with a name, a description and parameters; `force` says that it has to report."""

    model: str
    texts: tuple[str, ...]
    schema: dict[str, Any]
    max_output: int
    stream: bool
    mechanism: str = ""
    marks: tuple[int, ...] = ()
    """How many of the leading texts stand before each cache mark. Tools stand before all texts."""
    told: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    turns: tuple[Turn, ...] = ()
    force: bool = False
    usage: bool = True
    """Whether a stream is to tell its usage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A reply. `stop` is one of end, length, refusal; `cached` and `written` are parts of `input_tokens`. `calls`
    are the tools that it uses, `thought` is to come back with them."""

    text: str
    input_tokens: int
    output_tokens: int
    stop: str = "end"
    cached: int = 0
    written: int = 0
    novel: bool = False
    """Sprinkle in fields and events that no client knows yet."""
    calls: tuple[Called, ...] = ()
    thought: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    read: Callable[[dict[str, Any]], Asked]
    body: Callable[[Asked, Said], dict[str, Any]]
    events: Callable[[Asked, Said], Iterator[tuple[str, dict[str, Any]]]]
    error: Callable[[int, str, str], dict[str, Any]]
    """From status, code and message."""


class Conversation:
    """Reads a request message by message."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.told: list[str] = []
        self._turns: list[_Turn] = []
        self._open = False

    def tell(self, text: str) -> None:
        """The system or the user says something. To a turn without calls it is the result."""
        self.texts.append(text)
        if self._open and not self._turns[-1].calls and not self._turns[-1].results:
            self._turns[-1].results[""] = text
        else:
            self.told.append(text)
        self._open = False

    def say(self, text: str) -> None:
        """The model says something, as it came."""
        self.texts.append(text)
        self._turn()

    def think(self, part: Mapping[str, Any], thought: str) -> None:
        """An opaque part of a turn comes back. `thought` is what can be read in it."""
        self.texts.append(json.dumps(part))
        self._turn().thought += thought

    def call(self, name: str, of: str, arguments: Any) -> None:
        """The tool `of` is called, by an id."""
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        parsed = json.loads(written)
        if not isinstance(parsed, dict) or not name:
            raise ValueError(f"the call {name!r} has no arguments or no id")
        if any(name in turn.calls for turn in self._turns):
            raise ValueError(f"the id {name!r} is not unique")
        self.texts += [name, of, written]
        self._turn().calls[name] = (of, parsed)

    def result(self, name: str, text: str) -> None:
        """What came of the call of that id."""
        if not self._turns or name not in self._turns[-1].calls:
            raise ValueError(f"there is no call {name!r} right before its result")
        self.texts += [name, text]
        self._turns[-1].results[name] = text
        self._open = False

    def turns(self) -> tuple[Turn, ...]:
        """All of them.

        Raises:
            ValueError: a call has no result.
        """
        for turn in self._turns:
            if missing := turn.calls.keys() - turn.results.keys():
                raise ValueError(f"calls without results: {', '.join(sorted(missing))}")
        return tuple(
            Turn(
                calls=tuple(turn.calls.values()),
                results=tuple(turn.results[name] for name in turn.calls or turn.results),
                thought=turn.thought,
            )
            for turn in self._turns
        )

    def _turn(self) -> _Turn:
        if not self._open:
            self._turns.append(_Turn())
            self._open = True
        return self._turns[-1]


class _Turn:
    """One that is being read."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[str, dict[str, Any]]] = {}
        self.results: dict[str, str] = {}
        self.thought = ""


def acts(names: set[str], choice: object = None) -> bool:
    """Whether tools of these names are to act with; else they are a way to give a schema: one that has to be used,
    as `choice` says, and does not hand in."""
    return REPORT in names or (bool(names) and not isinstance(choice, dict))


def text_of(part: dict[str, Any]) -> str:
    """The text of a part of a message, in any format. What is no text takes a place."""
    told = part.get("text", part.get("refusal"))
    return told if isinstance(told, str) else NO_TEXT


NO_TEXT = "[no text]"
"""Stands for an image, or a file."""


def pieces(text: str) -> Iterator[str]:
    """A text as it is streamed."""
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE]


def schema_in(texts: tuple[str, ...]) -> dict[str, Any]:
    """The schema that is told in words, if one is."""
    for text in texts:
        if (found := _SCHEMA_IN_WORDS.search(text)) is not None:
            return dict(json.loads(found[1]))
    return {}


def object_in(text: str) -> Any:
    """What a text holds as JSON; an empty object where it broke off, or is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def openai_usage(said: Said, asked: str, replied: str) -> dict[str, Any]:
    return {
        asked: said.input_tokens, replied: said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        f"{asked}_details": {"cached_tokens": said.cached, "cache_write_tokens": 0},
        f"{replied}_details": {"reasoning_tokens": 0},
    } | ({"moon_phase": "waxing"} if said.novel else {})  # fmt: skip


def openai_error(status: int, code: str, message: str) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code or None}}
