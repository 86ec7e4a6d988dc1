"""HTML as units: its text with the block structure kept, and for each piece the line of the original.

Scripts, styles and other things that no reader sees are left out. White space is collapsed as a browser does;
each block ends with a line end, paragraphs with two. Only what cutting needs is made of the markup: the names of
tags and where they stand, in time that grows with the text and no faster, however broken the page (the standard
library's parser takes quadratic time, and faster ones keep no positions). This module knows markup, not files.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal, NamedTuple

from swarm.sources.units import LINES, LONGEST_UNIT, RECORDS, Headings, Kind, Unit, section_cut

_HIDDEN = frozenset({"template", "svg", "math", "object", "canvas", "audio", "video"})
_RAW = frozenset({"script", "style", "iframe", "noembed", "noframes"})  # no tags within, but for their own end
_BLOCKS = frozenset(
    """
    address article aside blockquote body center dd details dialog dir div dl dt fieldset figcaption figure footer
    form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav ol optgroup option p pre
    section select summary table tbody tfoot thead title tr ul
    """.split()
)
_HEADINGS = {"title": 1, "h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_ITEMS = frozenset({"li", "tr", "dt", "option"})
_CELLS = frozenset({"td", "th"})


_LONGEST_TAG = 250_000
"""Characters; the rest of a longer tag (an image written into the page) is passed over unread."""
_LONGEST_ENTITY = 40

_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")
_TAG_WITH_STRAY_QUOTES = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)[^>]*+>")
_CDATA = "<![CDATA["
_TAG_END, _COMMENT_END, _CDATA_END = re.compile(">"), re.compile("--!?>"), re.compile(r"\]\]>")
_RAW_END = {name: re.compile(rf"(?=</{name}[\s/>])", re.IGNORECASE) for name in _RAW}
_LONGEST_END = 16  # characters of any of these, at the most


class _Token(NamedTuple):
    """A tag's name, or text as it is written (entities and all), and the line it begins on."""

    kind: Literal["start", "end", "text"]
    value: str
    line: int


class _Tokens:
    """Cuts a page that comes in chunks into tags and text."""

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._line = 1
        self._next_end = 0  # where the next `>` stands; the length of the text where there is none
        self._until: re.Pattern[str] | None = None  # all is passed over up to this

    def __call__(self, chunks: Iterable[str]) -> Iterator[_Token]:
        for chunk in chain(chunks, [None]):
            self._text = self._text[self._at :] + (chunk or "")
            self._at = self._next_end = 0
            while self._at < len(self._text):
                at = self._at
                token = self._next(last=chunk is None)
                if token:
                    yield token
                elif self._at == at:
                    break  # more of the page is needed

    def _pass(self, end: int) -> None:
        self._line += self._text.count("\n", self._at, end)
        self._at = end

    def _next(self, last: bool) -> _Token | None:
        """The next token; None where something was passed over, or where the text ends too early."""
        if self._until:
            match = self._until.search(self._text, self._at)
            if match:
                self._until = None
            elif not last and len(self._text) - self._at <= _LONGEST_END:
                return None
            self._pass(match.end() if match else len(self._text) - (0 if last else _LONGEST_END))
            return None
        opens = self._text.find("<", self._at)
        if opens == self._at:
            return self._markup(last)
        end = len(self._text) if opens < 0 else opens
        if opens < 0 and not last:
            entity = self._text.rfind("&", max(self._at, end - _LONGEST_ENTITY))
            end = entity if entity >= 0 else end
        return self._taken("text", self._at, end) if end > self._at else None

    def _markup(self, last: bool) -> _Token | None:
        following = self._text[self._at + 1 : self._at + 2]
        if not following and not last:
            return None
        if following and following in "!?":
            self._declaration(last)
            return None
        if following.isalpha() or following == "/":
            return self._tag(last)
        return self._taken("text", self._at, self._at + 1)

    def _declaration(self, last: bool) -> None:
        start = self._text[self._at : self._at + len(_CDATA)]
        if len(start) < len(_CDATA) and not last:
            return
        if start.startswith("<!--"):
            self._until = _COMMENT_END
            self._pass(self._at + 2)  # `<!-->` is a whole comment
        elif start == _CDATA:
            self._pass(self._at + len(_CDATA))  # its text is text like any other
        else:
            self._until = _TAG_END
            self._pass(self._at + 1)

    def _tag(self, last: bool) -> _Token | None:
        if self._next_end <= self._at:
            found = self._text.find(">", self._at)
            self._next_end = found if found >= 0 else len(self._text)
        match = _TAG.match(self._text, self._at) if self._next_end < len(self._text) else None
        if match is None:
            left = len(self._text) - self._at
            if not last and left < _LONGEST_TAG:
                return None
            if self._next_end < len(self._text):
                match = _TAG_WITH_STRAY_QUOTES.match(self._text, self._at)
        if match:
            name = match[2].lower()
            if name in _RAW and not match[1]:
                self._until = _RAW_END[name]
            return self._taken("end" if match[1] else "start", self._at, match.end(), name)
        if last or self._text[self._at + 1] == "/":
            return self._taken("text", self._at, self._at + 1)
        self._until = _TAG_END
        return self._taken("text", self._at, self._at)

    def _taken(self, kind: Literal["start", "end", "text"], begin: int, end: int, value: str = "") -> _Token:
        token = _Token(kind, value or self._text[begin:end], self._line)
        self._pass(end)
        return token


class _Page:
    def __init__(self) -> None:
        self.ready: list[Unit] = []
        self._headings = Headings()
        self._pieces: list[str] = []
        self._marks: list[tuple[int, int]] = []
        self._size = 0
        self._line = 0  # of the original, as last marked in this unit
        self._space = False  # white space was passed and not yet written
        self._hidden = ""  # the tag whose content no reader sees
        self._depth = 0  # how often it is open
        self._pre = 0
        self._heading = 0
        self._cut = LINES
        self._kind: Kind = ""

    def start(self, tag: str, line: int) -> None:
        if self._hidden:
            self._depth += tag == self._hidden
        elif tag in _HIDDEN:
            self._hidden, self._depth = tag, 1
        elif tag in _BLOCKS:
            self.end_block()
            if tag in _HEADINGS:
                self._heading = _HEADINGS[tag]
            elif tag in _ITEMS:
                self._cut, self._kind = RECORDS, "record" if tag == "tr" else ""
            elif tag == "pre":
                self._pre += 1
        elif tag == "br":
            self._break()
        elif tag in _CELLS and self._pieces:
            self._write(" | ", line)
            self._space = False

    def end(self, tag: str) -> None:
        if self._hidden:
            self._depth -= tag == self._hidden
            if not self._depth or tag in ("body", "html"):
                self._hidden = ""
        elif tag in _BLOCKS:
            self.end_block()
            if tag == "pre":
                self._pre = max(0, self._pre - 1)

    def text(self, raw: str, line: int) -> None:
        if self._hidden:
            return
        for number, piece in enumerate(raw.split("\n")):
            if "&" in piece:
                piece = html.unescape(piece).replace("\xa0", " ")
            if self._pre:
                if number and self._pieces:
                    self._break()
                if piece:
                    self._write(piece.rstrip("\r"), line + number)
                continue
            words = piece.split()
            if not words:
                self._space = self._space or bool(piece) or number > 0
                continue
            if self._space or number or piece[0].isspace():
                self._blank()
            self._write(" ".join(words), line + number)
            self._space = piece[-1].isspace()

    def end_block(self) -> None:
        """What was read is a unit; the next one is a paragraph until something else is said."""
        text = "".join(self._pieces).rstrip()
        if text:
            marks = tuple(mark for mark in self._marks if mark[0] < len(text))
            text += "\n" if self._cut == RECORDS else "\n\n"
            cut, kind = self._cut, self._kind
            if self._heading:
                self._headings.enter(self._heading, text)
                cut, kind = section_cut(self._heading), "heading"
            self.ready.append(Unit(text, cut, self._headings.context, kind, marks=marks))
        self._pieces, self._marks, self._size, self._line = [], [], 0, 0
        self._cut, self._kind, self._heading, self._space = LINES, "", 0, False

    def _blank(self) -> None:
        """Write the white space that was passed, unless a line begins here."""
        if self._pieces and not self._pieces[-1].endswith(("\n", " ")):
            self._pieces.append(" ")
            self._size += 1
        self._space = False

    def _break(self) -> None:
        if self._pieces:
            self._bound()
        if self._pieces:
            self._pieces.append("\n")
            self._size += 1
        self._space = False

    def _bound(self) -> None:
        """Hand over what is held where it is longer than a unit may be, and go on in the same block."""
        if self._size > LONGEST_UNIT:
            cut, kind, heading = self._cut, self._kind, self._heading
            self.end_block()
            self._cut, self._kind, self._heading = cut, kind, heading

    def _write(self, text: str, line: int) -> None:
        if not text:
            return
        self._bound()
        if line != self._line:
            self._marks.append((self._size, line))
            self._line = line
        self._pieces.append(text)
        self._size += len(text)


def page(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of an HTML page, with marks of lines."""
    reading = _Page()
    for kind, value, line in _Tokens()(chunks):
        if kind == "text":
            reading.text(value, line)
        elif kind == "start":
            reading.start(value, line)
        else:
            reading.end(value)
        if reading.ready:
            yield from reading.ready
            reading.ready.clear()
    reading.end_block()
    yield from reading.ready
