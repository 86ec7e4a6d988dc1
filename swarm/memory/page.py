"""The view: what an agent is shown of a memory, under a budget of tokens.

Stable parts first, so that providers' prompt caches hit: pinned blocks, then what holds now and bears on what is
asked, then the messages that do, with those beside them, quoted exactly with who said them and when, and last the
recent ones. No model is called. Each item has a label, `[1]`, by which an answer can cite it. The text carries the
mark of `swarm/views/mark.py`, by which it is known again and never learnt. This module chooses; what bears on a
question is ranked by `recall` and `facts`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from swarm.memory import blocks, episodes, facts
from swarm.memory.log import Log, Stretch
from swarm.memory.lookup import Lookup
from swarm.memory.recall import ranked
from swarm.source import Span
from swarm.tokens import o200k
from swarm.views.mark import marked

Kind = Literal["block", "fact", "episode", "message"]

RECENT = 6
"""Messages of the end of a conversation that are shown unless another number is asked for."""
_LABEL = "[888] "
_SPARE = 8  # tokens that the hash in the mark, and joining parts, may come to more than was counted
_HEADING = 6  # tokens
_LEAST = 10  # tokens: of a line
_CANDIDATES = 100
_AT_ONCE = 40
_SHORT = 15  # tokens of a short message
_NO_TIME = "(no time)"
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_LINE_END = re.compile(r"\r\n?|[\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SHARES = {"blocks": 0.9, "facts": 0.25, "episodes": 0.15, "recent": 0.2}
"""The most that each part takes of the budget; what it leaves goes to the messages that bear on the question."""
_MISSES = 12
_CHARS_A_TOKEN = 30  # no text in any language has more characters a token than this, but for runs of one character


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that a view shows. `label` is its number there; `span` the characters of the message (whose id is
    the span's `source`) that are quoted or that a fact rests on; `at` is when it was said, or holds from."""

    label: int
    kind: Kind
    text: str
    span: Span | None = None
    message: str | None = None
    who: str | None = None
    at: str | None = None
    id: str = ""
    """Of a fact or an episode, its id; of a block, its name; of a message, that of the message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryView:
    """What was chosen, and the text of it; `tokens` are o200k tokens of `text`, never more than asked for."""

    about: str
    text: str
    tokens: int
    items: tuple[Item, ...] = ()


@dataclass(kw_only=True, slots=True)
class Line:
    """A line of a view before it has a label. `order` places messages; `head` is the time that stands above those
    of one hour, once for all of them."""

    kind: Kind
    text: str
    shown: str
    span: Span | None = None
    who: str | None = None
    at: str | None = None
    id: str = ""
    order: int = 0
    head: tuple[str, str] = ("", "")
    """What those under one head have in common, and how it is shown."""


@dataclass(kw_only=True, slots=True)
class _Section:
    heading: str
    lines: list[Line] = field(default_factory=list)


def view(
    log: Log,
    about: str,
    tokens: int,
    recent: int | None = None,
    beside: Collection[str] = (),
    hits: Sequence[int] = (),
) -> MemoryView:
    """What a memory holds on `about`, in at most `tokens` o200k tokens, but for the messages of `beside`, and for
    facts that rest on them. `hits` are stretches that another index has found, best first."""
    page = _Page(log.run, tokens)
    page.add("Blocks", _blocks(log), _SHARES["blocks"])
    if about.strip():
        known = (line for line in _facts(log, about) if _source(line) not in beside)
        page.add("Facts", known, _SHARES["facts"])
        page.add("Earlier, in short", _episodes(log, about), _SHARES["episodes"])
    last = [one for one in _recent(log, RECENT if recent is None else recent) if one.id not in beside]
    kept = page.fit(reversed(last), _SHARES["recent"])
    taken = {line.order for line in kept}
    others = (line for line in _found(log, about, tokens, hits) if line.id not in beside)
    room = page.reserve(kept)
    found = page.fit((line for line in others if line.order not in taken), 1.0, room)
    page.put("Messages", sorted(found, key=lambda line: line.order))
    page.put("Last messages", sorted(kept, key=lambda line: line.order))
    return page.made(about)


class _Page:
    """The sections so far, and what is left of the budget."""

    def __init__(self, run: str, tokens: int) -> None:
        self.run, self.tokens = run, tokens
        self._used = o200k(marked(run, "-")) + _SPARE
        self._sections: list[_Section] = []

    def add(self, heading: str, lines: Iterable[Line], share: float) -> None:
        chosen = self.fit(lines, share)
        self.put(heading, chosen)

    def fit(self, lines: Iterable[Line], share: float, reserved: int = 0) -> list[Line]:
        """Those of the lines that fit a share of the budget, in their order."""
        room = min(self.tokens - self._used - reserved, int(share * self.tokens)) - _HEADING
        chosen: list[Line] = []
        heads: set[str] = set()
        misses = 0
        for line in lines:
            cost = _cost(line, heads)
            if cost > room:
                misses += 1
                if misses == _MISSES or room < _LEAST:
                    break
                continue
            chosen.append(line)
            heads.add(line.head[0])
            room -= cost
        return chosen

    def reserve(self, lines: list[Line]) -> int:
        """Tokens of a section of these lines."""
        heads: set[str] = set()
        total = _HEADING if lines else 0
        for line in lines:
            total += _cost(line, heads)
            heads.add(line.head[0])
        return total

    def put(self, heading: str, lines: list[Line]) -> None:
        if lines:
            self._sections.append(_Section(heading=heading, lines=lines))
            self._used += self.reserve(lines)

    def made(self, about: str) -> MemoryView:
        """The whole; lines at its end are dropped where the count of the whole is more than that of its parts."""
        while True:
            text, items = self._text()
            count = o200k(text)
            if count <= self.tokens or not self._sections:
                break
            self._drop()
        if count > self.tokens:
            text, items, count = "", (), 0
        return MemoryView(about=about, text=text, tokens=count, items=items)

    def _drop(self) -> None:
        """Give up one line: of the messages that were found, the one that was least."""
        section = self._sections[-1]
        section.lines.pop(0)
        if not section.lines:
            self._sections.pop()

    def _text(self) -> tuple[str, tuple[Item, ...]]:
        parts: list[str] = []
        items: list[Item] = []
        for section in self._sections:
            shown: list[str] = []
            head = ""
            for line in section.lines:
                label = len(items) + 1
                if line.head[0] != head:
                    head = line.head[0]
                    shown.append(line.head[1])
                shown.append(f"[{label}] {line.shown}")
                items.append(
                    Item(
                        label=label, kind=line.kind, text=line.text, span=line.span,
                        message=line.span.source if line.span else None, who=line.who, at=line.at, id=line.id,
                    )
                )  # fmt: skip
            parts.append(f"{section.heading}:\n" + "\n".join(shown))
        return marked(self.run, "\n\n".join(parts)), tuple(items)


def _cost(line: Line, heads: set[str]) -> int:
    """Tokens of a line, and of the time above it where that does not stand there for another one."""
    head = f"{line.head[1]}\n" if line.head[0] not in heads | {""} else ""
    return o200k(f"{head}{_LABEL}{line.shown}\n")


# What is shown


def _blocks(log: Log) -> list[Line]:
    every = sorted(blocks.read(log).values(), key=lambda block: not block.pinned)
    return [
        Line(kind="block", text=block.text, shown=f"{block.name}: {indented(block.text)}", id=block.name)
        for block in every
        if block.pinned and block.text.strip()
    ]


def _facts(log: Log, about: str) -> Iterable[Line]:
    for fact, _ in facts.bearing(log, about, _CANDIDATES):
        told = [f"says {fact.who}"] if fact.by_another else []
        told += [fact.at] if fact.at and fact.at not in fact.text else []
        shown = " ".join(fact.text.split()) + (f" ({', '.join(told)})" if told else "")
        yield Line(kind="fact", text=fact.text, shown=shown, span=fact.span, who=fact.who, at=fact.at, id=fact.id)


def _source(line: Line) -> str | None:
    return line.span.source if line.span is not None else None


def _episodes(log: Log, about: str) -> Iterable[Line]:
    """What stands for old messages; where it tells what holds no longer, what does stands below."""
    for episode in episodes.bearing(log, about, 10):
        text = " ".join(episode.text.split())
        low = text.casefold()
        changes = facts.changed(log, range(episode.first, episode.last + 1)).values()
        told = [one.told for some in changes for one in some if one.was and one.was.casefold() in low]
        yield Line(kind="episode", text=episode.text, shown=text + _asides(told), at=episode.at, id=episode.id)


def _recent(log: Log, count: int) -> list[Line]:
    """The last messages, oldest first; of long ones the last stretches."""
    lines = log.last(count) if count > 0 else []
    nums = [num for line in lines for num in range(max(line.first, line.last - 1), line.last + 1)]
    return _all_said(log, log.stretches(nums))


def _found(log: Log, about: str, tokens: int, hits: Sequence[int]) -> Iterable[Line]:
    """The stretches that bear on the question, best first: the ranking knows what stands beside what."""
    best = ranked(Lookup(log), about, max(_CANDIDATES, tokens // _SHORT)) if about.strip() else []
    nums = [one.num for one in best]
    if hits:
        from swarm.index.fused import fused

        nums = [num for num, _ in fused([nums, hits])]
    for start in range(0, len(nums), _AT_ONCE):
        yield from _all_said(log, log.stretches(nums[start : start + _AT_ONCE]))


def _all_said(log: Log, stretches: Sequence[Stretch]) -> list[Line]:
    """Stretches as lines; where one says what holds no longer, what does stands below it."""
    changed = facts.changed(log, {stretch.line.place for stretch in stretches})
    return [
        _said(
            stretch,
            [
                change.told
                for change in changed.get(stretch.line.place, ())
                if change.start < stretch.end and change.end > stretch.start
            ],
        )
        for stretch in stretches
    ]


def _asides(told: Iterable[str]) -> str:
    return "".join(f"\n({text})" for text in dict.fromkeys(told))


def _said(stretch: Stretch, told: Sequence[str]) -> Line:
    line = stretch.line
    part = "" if stretch.end - stretch.start == line.chars else " (a part)"
    return Line(
        kind="message",
        text=stretch.text,
        shown=f"{line.who}{part}: {indented(stretch.text)}{_asides(told)}",
        span=stretch.span,
        who=line.who,
        at=line.at,
        id=line.id,
        order=stretch.num,
        head=_head(line.at),
    )


def indented(text: str) -> str:
    """A text whose further lines cannot pass for lines of the view, which begin at the margin."""
    return _LINE_END.sub(r"\g<0> ", text.strip())


def _head(at: str | None) -> tuple[str, str]:
    """Messages of one hour stand under one time, that of the first."""
    found = _ISO.fullmatch(at.strip()) if at else None
    if found is None:
        return (at, at) if at else (_NO_TIME, _NO_TIME)
    day, hour, minute, zone = found.groups(default="")
    return f"{day} {hour}{zone}", f"{day} {hour}{minute}{zone}".strip()
