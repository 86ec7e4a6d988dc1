"""Things in a notebook: a card of a few parts, as HTML and as Markdown, the way IPython asks for them.

    class Answer(Displayed, card=answer_card): ...

Text of sources and models is escaped here, once, and stays text: no markup of theirs, no formula, no address to
load. HTML has no script, no style sheet and no address; its greys hold on light and dark grounds alike. A card is
at most `MOST_BYTES` long: of a list that does not fit the beginning is shown, and the rest counted. This module
does not know what is shown; `swarm/cards.py` does.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

MOST_BYTES = 48_000
_LONGEST = 1_500  # characters of one text
_LESS = 8_000  # bytes that are kept free for what comes after the longest list
_TITLE, _SHORT, _NAME = 600, 200, 60  # characters of a title, of what stands beside it, of a column's name
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c\u2028\u2029\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_HALF = re.compile("[\ud800-\udfff]")
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$^=:@])")

Mood = Literal["", "good", "bad"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A sentence, an item or a remark. `cites` are numbers of quotes of the same card; `note` stands small behind
    it, and `quote` below it, folded away."""

    text: str
    cites: tuple[int, ...] = ()
    note: str = ""
    quote: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lines:
    """Under a heading, if any. `form`: one paragraph after the other, a list, or numbered. `total`: how many there
    are, where these are the first of them."""

    lines: Sequence[Line]
    heading: str = ""
    form: Literal["text", "list", "numbers"] = "text"
    total: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A table. All cells are text; those of `numbers`, counted from 0, stand to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    heading: str = ""
    numbers: tuple[int, ...] = ()
    total: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """`title` says what it is, `tag` how it stands, `facts` are a few figures by name."""

    title: str
    tag: str = ""
    mood: Mood = ""
    facts: Sequence[tuple[str, str]] = ()
    parts: Sequence[Lines | Grid] = ()
    foot: str = ""


class Displayed:
    """What notebooks show as a card: `card` makes it of the instance."""

    __slots__ = ()
    _card: ClassVar[Callable[[Any], Card]]

    def __init_subclass__(cls, card: Callable[[Any], Card] | None = None) -> None:
        super().__init_subclass__()
        if card is not None:  # a dataclass with slots is made twice, the second time without what was said here
            cls._card = staticmethod(card)

    def _repr_html_(self) -> str:
        return to_html(type(self)._card(self))

    def _repr_markdown_(self) -> str:
        return to_markdown(type(self)._card(self))


def clip(text: str, most: int = _LONGEST) -> str:
    """The beginning of a long text, and how much is left out."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text) - most:,} characters more)"


def _plain(text: str, most: int) -> str:
    """Without what is not seen and changes how the rest is read."""
    return _HALF.sub("\ufffd", _UNSEEN.sub("", clip(text, most)))


class _Room:
    """Pieces of a document, as long as they fit."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.left = MOST_BYTES

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        self.left -= len(piece.encode())

    def fits(self, piece: str) -> bool:
        return len(piece.encode()) + _LESS <= self.left


def _fill(room: _Room, pieces: Iterable[str], total: int) -> int:
    """Add pieces while they fit; how many are left out of `total`."""
    shown = 0
    for piece in pieces:
        if not room.fits(piece):
            break
        room.add(piece)
        shown += 1
    return total - shown


# HTML

_LINE_GREY, _GROUND_GREY = "rgba(128,128,128,.35)", "rgba(128,128,128,.13)"
_TAGS: dict[Mood, str] = {"": _GROUND_GREY, "good": "rgba(40,160,80,.24)", "bad": "rgba(220,90,40,.26)"}
_SMALL = "opacity:.75;font-size:.9em"
_CELL = f"padding:.15em .7em .15em 0;vertical-align:top;border-bottom:1px solid {_LINE_GREY}"


def to_html(card: Card) -> str:
    """The card as a fragment of HTML."""
    room = _Room()
    # the classes keep notebooks from setting what stands between two dollars as a formula
    room.add(
        '<div class="tex2jax_ignore mathjax_ignore" style="max-width:60rem;margin:.3em 0;padding:.8em 1.1em;'
        f'border:1px solid {_LINE_GREY};border-radius:8px;line-height:1.5;overflow-wrap:anywhere">'
    )
    tag = f' <span style="{_tag(card.mood)}">{_text(card.tag, _SHORT)}</span>' if card.tag else ""
    room.add(f'<div dir="auto" style="font-size:1.1em"><b>{_text(card.title, _TITLE)}</b>{tag}</div>')
    if card.facts:
        facts = " · ".join(f"{_text(name, _NAME)} <b>{_text(value, _SHORT)}</b>" for name, value in card.facts)
        room.add(f'<div style="{_SMALL};margin-top:.2em">{facts}</div>')
    for part in card.parts:
        if room.left < _LESS:
            break
        _html_part(room, part)
    if card.foot:
        room.add(f'<div style="{_SMALL};margin-top:.7em"><code>{_text(card.foot, _SHORT)}</code></div>')
    room.add("</div>")
    return "".join(room.pieces)


def _tag(mood: Mood) -> str:
    return f"padding:.1em .6em;border-radius:99px;font-size:.8em;background:{_TAGS[mood]}"


def _text(text: str, most: int = _LONGEST) -> str:
    return html.escape(_plain(text, most))


def _html_part(room: _Room, part: Lines | Grid) -> None:
    if part.heading:
        room.add(f'<div style="margin:.8em 0 .2em"><b>{_text(part.heading, _SHORT)}</b></div>')
    if isinstance(part, Grid):
        _html_grid(room, part)
        return
    frame = {"text": ("", ""), "list": (f"<ul{_LIST}>", "</ul>"), "numbers": (f"<ol{_LIST}>", "</ol>")}[part.form]
    room.add(frame[0])
    tag, style = ("div", ' style="margin:.45em 0"') if part.form == "text" else ("li", "")
    lines = (f'<{tag}{style} dir="auto">{_html_line(line)}</{tag}>' for line in part.lines)
    left = _fill(room, lines, max(part.total, len(part.lines)))
    room.add(frame[1])
    _html_left(room, left)


_LIST = ' style="margin:.2em 0;padding-left:1.6em"'


def _html_line(line: Line) -> str:
    cites = "".join(f"<sup>[{number}]</sup>" for number in line.cites)
    note = f' <span style="{_SMALL}">{_text(line.note)}</span>' if line.note else ""
    if line.quote is None:
        return f"{_text(line.text)}{cites}{note}"
    quote = (
        f'<blockquote style="margin:.3em 0;padding:.3em .8em;white-space:pre-wrap;border-left:3px solid '
        f'{_LINE_GREY};background:{_GROUND_GREY}">{_text(line.quote)}</blockquote>'
    )
    return f'<details><summary style="cursor:pointer">{_text(line.text)}{cites}{note}</summary>{quote}</details>'


def _html_grid(room: _Room, grid: Grid) -> None:
    def cell(tag: str, place: int, text: str, most: int = _LONGEST) -> str:
        side = "right" if place in grid.numbers else "left"
        return f'<{tag} dir="auto" style="{_CELL};text-align:{side}">{_text(text, most)}</{tag}>'

    head = "".join(cell("th", place, text, _NAME) for place, text in enumerate(grid.head))
    room.add(f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>')
    rows = (f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>" for row in grid.rows)
    left = _fill(room, rows, max(grid.total, len(grid.rows)))
    room.add("</tbody></table>")
    _html_left(room, left)


def _html_left(room: _Room, left: int) -> None:
    if left > 0:
        room.add(f'<div style="{_SMALL}">and {left:,} more</div>')


# Markdown


def to_markdown(card: Card) -> str:
    """The card as Markdown, for what shows no HTML."""
    room = _Room()
    room.add(f"**{_marked(card.title, _TITLE)}**{f' ({_marked(card.tag, _SHORT)})' if card.tag else ''}\n")
    if card.facts:
        room.add(
            "\n"
            + " · ".join(f"{_marked(name, _NAME)} **{_marked(value, _SHORT)}**" for name, value in card.facts)
            + "\n"
        )
    for part in card.parts:
        if room.left < _LESS:
            break
        if part.heading:
            room.add(f"\n**{_marked(part.heading, _SHORT)}**\n")
        pieces = _markdown_rows(room, part) if isinstance(part, Grid) else _markdown_lines(room, part)
        total = len(part.rows) if isinstance(part, Grid) else len(part.lines)
        left = _fill(room, pieces, max(part.total, total))
        if left > 0:
            room.add(f"\n*and {left:,} more*\n")
    if card.foot:
        room.add(f"\n{_marked(card.foot, _SHORT)}\n")
    return "".join(room.pieces)


def _markdown_lines(room: _Room, part: Lines) -> Iterable[str]:
    room.add("\n")
    before, after = {"text": ("", "\n\n"), "list": ("- ", "\n"), "numbers": ("1. ", "\n")}[part.form]
    for line in part.lines:
        cites = "".join(f" \\[{number}\\]" for number in line.cites)
        note = f" *{_marked(line.note)}*" if line.note else ""
        quote = f" — “{_marked(line.quote)}”" if line.quote is not None else ""
        yield f"{before}{_marked(line.text)}{cites}{note}{quote}{after}"


def _markdown_rows(room: _Room, grid: Grid) -> Iterable[str]:
    sides = " | ".join("---:" if place in grid.numbers else "---" for place in range(len(grid.head)))
    room.add(f"\n| {' | '.join(_marked(name, _NAME) for name in grid.head)} |\n| {sides} |\n")
    for row in grid.rows:
        yield f"| {' | '.join(map(_marked, row))} |\n"


def _marked(text: str, most: int = _LONGEST) -> str:
    """On one line, with nothing in it that Markdown, HTML or a formula would be made of."""
    line = " ".join(_plain(text, most).split())
    return _MARKS.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
