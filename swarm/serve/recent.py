"""Which turns of a request stay as they are, and how the others are left out so that what is sent is valid.

A conversation is cut into steps that stay whole: what a person said, or what the model said and called with all
the results. What is kept is the end of it, beside the turn that is to be answered; texts that are material are
said shorter. This module knows turns and a way to count them; what stands for the rest is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarm.serve.asked import apart, ends
from swarm.serve.request import Part, Request, Turn, WireName
from swarm.serve.wire.shared import FILE_TOKENS, IMAGE_TOKENS

Count = Callable[[str], int]
Place = tuple[int, int]
"""A turn, and a part of it."""

PER_PART = 6
"""Tokens around a part, at the most."""
PER_TURN = 8
_WHOLE = 0.7
"""Of what steps after the last question may take: beyond it, all but the last one stay in their shorter form."""
_CHARS_A_TOKEN = 12  # no text that says something has more
MOST_ENDS = 6_000
"""Characters that are kept of both ends of the texts in the turn that is to be answered, where the window
allows."""
_GLIMPSE = 240  # of both ends of one in another turn
_PARTS = 8  # of one turn that are said shorter each by itself
_RESULT_FIELDS: dict[WireName, str] = {"messages": "content", "responses": "output", "chat": "content"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Turns `first` to `last` (not included), which stay together. `asks` is whether a person speaks first in
    it."""

    first: int
    last: int
    asks: bool


def steps(turns: Sequence[Turn]) -> list[Step]:
    """The steps of a conversation, which tile it."""
    if not turns:
        return []
    begins: list[int] = []
    open_calls: set[str] = set()
    for at, turn in enumerate(turns):
        calls = {part.call for part in turn.parts if part.kind == "call"}
        results = {part.call for part in turn.parts if part.kind == "result"}
        goes_on = bool(results) or (turn.role == "assistant" and at > 0 and turns[at - 1].role == "assistant")
        if not open_calls and not goes_on:
            begins.append(at)
        open_calls = (open_calls | calls) - results
        if _asks(turn) and begins[-1:] != [at]:
            begins.append(at)  # a call that nobody answered: a person goes on regardless
            open_calls = set()
    if begins[:1] != [0]:
        begins.insert(0, 0)
    ends_ = [*begins[1:], len(turns)]
    return [Step(first=a, last=b, asks=_asks(turns[a])) for a, b in zip(begins, ends_, strict=True)]


def _asks(turn: Turn) -> bool:
    return turn.role == "user" and not any(part.kind == "result" for part in turn.parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What stays of the turns: those from `first` on, or `asked` (a turn before that) and then those. Those of
    `short` stay in their shorter form. `tokens` is what they take."""

    first: int
    asked: int | None
    tokens: int
    short: frozenset[int] = frozenset()

    def places(self, turns: int) -> list[int]:
        """The turns that stay, in their order."""
        return [*([self.asked] if self.asked is not None else []), *range(self.first, turns)]


def kept(
    request: Request, whole: Sequence[Turn], short: Sequence[Turn], count: Count, must: int, may: int
) -> Kept | None:
    """The end of the conversation: the last turn of a person's, and of the steps after it as many as fit `must`
    tokens, at least the last one; then steps before it within `may`. Each stays as it is where that fits, else in
    its shorter form. None where not even these fit."""
    cut = steps(request.turns)
    asking = max((at for at, step in enumerate(cut) if step.asks), default=-1)
    fit = _Fit(cut, whole, short, count)
    needed = [at for at in dict.fromkeys((asking, len(cut) - 1)) if at >= 0]
    # a question that would leave no room for the step after it stays in its shorter form
    if not all(fit.take(at, must, must // 2 if at < needed[-1] else must) for at in needed):
        return None
    first = len(cut) - 1
    while first - 1 > asking and fit.take(first - 1, must, int(_WHOLE * must)):
        first -= 1
    if first > asking + 1:
        asked = cut[asking].first if asking >= 0 else None
        return Kept(first=cut[first].first, asked=asked, tokens=fit.tokens, short=fit.short())
    best, tokens, shorter = max(asking, 0), fit.tokens, fit.short()
    most = tokens + may
    for at in range(best - 1, -1, -1):
        if not fit.take(at, most):
            break
        if cut[at].asks:
            best, tokens, shorter = at, fit.tokens, fit.short()
    return Kept(first=cut[best].first if cut else 0, asked=None, tokens=tokens, short=shorter)


class _Fit:
    """Steps that are taken, and what they take together."""

    def __init__(self, cut: Sequence[Step], whole: Sequence[Turn], short: Sequence[Turn], count: Count) -> None:
        self.tokens = 0
        self._cut, self._whole, self._short, self._count = cut, whole, short, count
        self._shorter: set[int] = set()

    def take(self, at: int, most: int, most_whole: int | None = None) -> bool:
        """Take a step, in its shorter form where all would take more than `most_whole` (`most`, unless given)
        otherwise; False where it does not fit `most` even so."""
        step = self._cut[at]
        for turns, limit in ((self._whole, most_whole or most), (self._short, most)):
            cost = self._cost(turns[step.first : step.last], limit)
            if self.tokens + cost <= limit:
                self.tokens += cost
                self._shorter |= set(range(step.first, step.last)) if turns is self._short else set()
                return True
        return False

    def short(self) -> frozenset[int]:
        """The turns that were taken in their shorter form."""
        return frozenset(self._shorter)

    def _cost(self, turns: Sequence[Turn], limit: int) -> int:
        chars = sum(len(part.text or "") for turn in turns for part in turn.parts)
        if chars > _CHARS_A_TOKEN * limit:
            return limit + 1  # it does not fit, and counting millions of tokens takes seconds
        return sum(tokens_of(turn, self._count) for turn in turns)


def tokens_of(turn: Turn, count: Count) -> int:
    """What a turn takes; what is no text as much as it may take at the most."""
    return PER_TURN + sum(PER_PART + _of_part(part, count) for part in turn.parts)


def _of_part(part: Part, count: Count) -> int:
    if part.text is not None:
        return count(part.text)
    kind = str(part.raw.get("type", "")) if isinstance(part.raw, dict) else ""
    if "thinking" in kind or kind == "reasoning":
        return sum(count(value) for value in part.raw.values() if isinstance(value, str))
    return IMAGE_TOKENS if "image" in kind else FILE_TOKENS


def shortened(request: Request, material: Collection[Place], asked: int, chars: int) -> list[Turn]:
    """The turns with what is material said shorter; `asked` is the turn that is to be answered, of which about
    `chars` characters stay. Calls of the model stay as they are."""
    made: list[Turn] = []
    for at, turn in enumerate(request.turns):
        short = [number for number in range(len(turn.parts)) if (at, number) in material]
        if not short:
            made.append(turn)
            continue
        each = max(2 * _GLIMPSE, chars // min(len(short), _PARTS)) if at == asked else 0
        parts = _shorter(request.wire, turn, at, short, each)
        made.append(replace(turn, raw=None, parts=tuple(parts)))
    return made


def _shorter(wire: WireName, turn: Turn, at: int, short: Sequence[int], each: int) -> Iterator[Part]:
    """The parts of a turn, those of `short` said shorter, in about `each` characters where that is not 0; of very
    many, the middle ones become one note."""
    left_out = set(short[_PARTS // 2 : -_PARTS // 2]) if len(short) > _PARTS else set()
    left_out = {number for number in left_out if turn.parts[number].kind == "text"}
    for number, part in enumerate(turn.parts):
        if number in left_out:
            if number == min(left_out):
                chars = sum(len(turn.parts[other].text or "") for other in left_out)
                yield Part(text=_note(chars, at, f"in {len(left_out)} texts"))
        elif number in short and part.kind != "call":
            yield _short(wire, part, at, each)
        else:
            yield part


def _note(chars: int, at: int, more: str = "") -> str:
    stood = f"{chars:,} characters{' ' * bool(more)}{more}"
    return f"[Here stood {stood}; what bears on the question stands above, from message {at + 1}.]"


def _short(wire: WireName, part: Part, at: int, each: int) -> Part:
    text = part.text or ""
    if each and part.kind == "text":
        found = apart(text)
        room = max(0, each // 3 - len(found.before)), max(0, each * 2 // 3 - len(found.after))
        head, tail = ends(text, *room, found.start, found.end)
        said = [found.before.strip(), head, _note(len(text), at), tail, found.after.strip()]
    else:
        head, tail = ends(text, _GLIMPSE, _GLIMPSE)
        said = [head, _note(len(text), at), tail]
    return _with_text(wire, part, "\n\n".join(piece for piece in said if piece))


def _with_text(wire: WireName, part: Part, text: str) -> Part:
    """The part with another text: what it was stays as it was but for that, where it is the result of a call."""
    if part.kind != "result":
        return Part(text=text)
    raw: Any = None
    if isinstance(part.raw, dict):
        raw = {**part.raw, _RESULT_FIELDS[wire]: text}
    return Part(text=text, raw=raw, kind="result", call=part.call)


def with_view(turns: Iterable[Turn], view: str) -> list[Turn]:
    """The turns with the view before them: in the first one, where a person speaks in it, as many templates allow
    no two turns of one speaker; else in a turn of its own."""
    told = list(turns)
    if not view:
        return told
    if told and _asks(told[0]):
        return [replace(told[0], raw=None, parts=(Part(text=view), *told[0].parts)), *told[1:]]
    return [Turn.said("user", view), *told]
