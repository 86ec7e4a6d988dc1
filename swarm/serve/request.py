"""A request as the endpoint sees it, whichever wire it came by: what is to be answered, and in what form.

A wire is one of three formats: `chat` (OpenAI's Chat Completions), `responses` (OpenAI's Responses) and `messages`
(Anthropic's Messages). Each has a module in `serve/wire` that fulfils `Wire`: it reads a body into a `Request`,
builds a body with other turns, reads a reply as it streams, and writes one. What a client sent stays as it came in
`body`, and in the `raw` of each turn and part: fields that nobody knows are never lost. This module knows no
format, no network and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

WireName = Literal["chat", "responses", "messages"]
Kind = Literal["text", "call", "result", "other"]
Role = Literal["system", "user", "assistant", "tool"]
Stop = Literal["end", "length", "refusal", "calls", "sequence"]

Path = tuple[str | int, ...]
"""Where in the body: `("messages", 3, "content", 0, "text")`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A piece of a turn. `text` is what it says, None where it says nothing in words (an image, a file, thinking).

    `raw` is the part as it came, None for one that was made here, which is text. `path` leads to its text in the
    body, empty for one that was made here. `kind` tells calls of tools and their results, which are text too (the
    arguments as JSON, the result); `call` is the id that joins the two: neither may be sent without the other.
    """

    text: str | None
    raw: Any = None
    path: Path = ()
    kind: Kind = "text"
    call: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One message, or one item. `raw` is the turn as it came; None for one that was made here, or changed: then it
    is written from its parts, each as it came unless it was made here too. `name` is the speaker's, where one is
    given."""

    role: Role
    parts: tuple[Part, ...]
    raw: Any = None
    path: Path = ()
    name: str | None = None

    @property
    def text(self) -> str:
        """All that it says, with a line break between two parts."""
        return "\n".join(part.text for part in self.parts if part.text is not None)

    @classmethod
    def said(cls, role: Role, text: str) -> Turn:
        """A turn that is made here."""
        return cls(role=role, parts=(Part(text=text),))


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is asked. `system` is what stands before the turns (instructions, leading system messages); system
    messages between others are turns. `tools_tokens` is what tools and the form of the reply take, in tokens of
    the counter; `fixed_tokens` what images and all else that is no text may take. `max_output` is in tokens, None
    where the client set no limit."""

    wire: WireName
    model: str
    system: str
    turns: tuple[Turn, ...]
    tools_tokens: int = 0
    fixed_tokens: int = 0
    stream: bool = False
    max_output: int | None = None
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> Turn | None:
        """The last turn of the user's, which is what is to be answered."""
        return next((turn for turn in reversed(self.turns) if turn.role == "user"), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Used:
    """Tokens of one reply, as all wires tell them. `input_tokens` includes `cached_tokens` and `written_tokens`
    (of the cache). `known` is false where nothing was told."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    known: bool = True

    def __add__(self, other: Used) -> Used:
        return Used(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
            known=self.known and other.known,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """What a stretch of the reply's text rests on. `start` and `end` are those of its mark, `[3]`, in characters
    of the text of the part of the reply that it stands in. `quote` is what is cited; it stands at `quote_start` to
    `quote_end` (characters) of the text of turn `turn`, part `part` of the request. `url` leads there."""

    start: int
    end: int
    quote: str
    turn: int
    part: int
    quote_start: int
    quote_end: int
    title: str = ""
    url: str = ""


Cite = Callable[[str], Sequence[Citation]]
"""Finds the citations of one text of a reply."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream: its name (empty in Chat Completions) and what it holds: a dict, or a text that is no
    JSON, such as `[DONE]`. `raw` is how it came, to be sent on as it is where nothing was changed."""

    name: str
    data: Any
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that an event adds to the reply. `place` names the part of the reply that it belongs to: annotations
    count characters in it from its beginning."""

    text: str
    place: tuple[int, int]


class Reading(Protocol):
    """Reads one reply of the model behind, as it streams or whole, and can write annotations into it."""

    used: Used
    stop: Stop | None
    """None until the reply said that it is at its end."""

    def take(self, event: Event) -> Delta | None:
        """Read the next event. The text that it adds, if any."""

    def cite(self, place: tuple[int, int], citations: Sequence[Citation]) -> list[Event]:
        """Events that add these annotations to the text of that place, to be sent after the delta that ends the
        mark. They are remembered, for `amended`."""

    def amended(self, event: Event) -> Event:
        """The event as it is to be sent: where it tells the whole of a text that was annotated, with all of them,
        and where it tells usage, with what `add` said on top. Every event passes here, after `take`."""

    def add(self, used: Used) -> None:
        """What was spent besides this reply: it is told with it. Call it before the first event."""


class Writing(Protocol):
    """Writes one reply from scratch, event after event: the answer is Swarm's own, or comes from another wire."""

    def begin(self) -> list[Event]:
        """What comes before any text."""

    def text(self, text: str) -> list[Event]:
        """A piece of text."""

    def cite(self, citations: Sequence[Citation]) -> list[Event]:
        """Annotations of the text so far."""

    def end(self, used: Used, stop: Stop) -> list[Event]:
        """What comes after the last text; nothing may follow."""

    def alive(self) -> list[Event]:
        """What says that the reply is still coming, and adds nothing to it. May come before `begin`, and before
        the first event of the model behind."""


class Wire(Protocol):
    """What a module of `serve/wire` does."""

    name: WireName

    def parse(self, body: dict[str, Any], count: Callable[[str], int]) -> Request:
        """Read a body.

        Raises:
            Wrong: it is not of this format.
        """

    def rebuilt(
        self,
        request: Request,
        *,
        turns: Iterable[Turn] | None = None,
        system: str | None = None,
        more: str = "",
        changes: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The body with other turns (None: as they are) and another system text (None: as it is); `more` is put
        after the system text, as a block of its own. All else stays as the client sent it, but for `changes`: top
        fields by name, None to leave one out."""

    def reading(self) -> Reading:
        """A reader for one streamed reply."""

    def read_whole(self, body: dict[str, Any]) -> tuple[str, Used, Stop]:
        """The text, usage and end of a reply that is not streamed."""

    def cited_whole(self, body: dict[str, Any], cite: Cite, more: Used) -> dict[str, Any]:
        """A reply that is not streamed, with annotations on each of its texts, and `more` added to its usage."""

    def writing(self, request: Request) -> Writing:
        """A writer for one streamed reply."""

    def whole(
        self, request: Request, text: str, citations: Sequence[Citation], used: Used, stop: Stop
    ) -> dict[str, Any]:
        """A reply that is not streamed."""

    def text_only(self, request: Request, model: str, max_output: int) -> dict[str, Any]:
        """A request of another wire, as far as it is text, as a body of this one: neither streamed nor with any
        other field."""

    def error(self, wrong: Wrong) -> dict[str, Any]:
        """The body of an error."""

    def error_event(self, wrong: Wrong) -> list[Event]:
        """An error in a stream that has begun."""


class Wrong(Exception):
    """The request cannot be answered: a status, and words that hold nothing of its content and no secret.

    `code` and `param` are OpenAI's fields, `details` are Anthropic's, which its SDK acts on. `retry_after` is in
    seconds. `again` false tells SDKs not to retry.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str = "",
        retry_after: float | None = None,
        again: bool = True,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after, self.again, self.details = retry_after, again, details
