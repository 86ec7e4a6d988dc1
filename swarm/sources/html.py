"""HTML as units: its text with the block structure kept, and for each piece the line of the original.

Scripts, styles and other things that no reader sees are left out. White space is collapsed as a browser does;
each block ends with a line end, paragraphs with two. This module knows markup, not files.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

from swarm.sources.units import LINES, LONGEST_UNIT, RECORDS, Headings, Kind, Unit, section_cut

_HIDDEN = frozenset({"script", "style", "template", "svg", "math", "iframe", "object", "canvas", "audio", "video"})
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


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)  # so that each piece of text keeps its own line
        self.ready: list[Unit] = []
        self._headings = Headings()
        self._pieces: list[str] = []
        self._marks: list[tuple[int, int]] = []
        self._size = 0
        self._line = 0  # of the original, as last marked in this unit
        self._space = False  # white space was passed and not yet written
        self._hidden: list[str] = []
        self._pre = 0
        self._heading = 0
        self._cut = LINES
        self._kind: Kind = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if self._hidden:
            if tag == self._hidden[-1]:
                self._hidden.append(tag)
            return
        if tag in _HIDDEN:
            self._hidden.append(tag)
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
            self._write(" | ", self.getpos()[0])
            self._space = False

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:  # <svg/> hides nothing
            self.handle_starttag(tag, attrs)
            if tag not in ("br", "hr", "p", "div"):
                self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag == self._hidden[-1]:
                self._hidden.pop()
            elif tag in ("body", "html"):
                self._hidden.clear()
        elif tag in _BLOCKS:
            self.end_block()
            if tag == "pre":
                self._pre = max(0, self._pre - 1)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        line = self.getpos()[0]
        if self._pre:
            for number, piece in enumerate(data.splitlines(keepends=True)):
                self._write(piece, line + number)
            return
        for number, piece in enumerate(data.split("\n")):
            words = piece.split()
            if not words:
                self._space = self._space or bool(piece) or number > 0
                continue
            if self._space or number > 0 or piece[0].isspace():
                self._blank()
            self._write(" ".join(words), line + number)
            self._space = piece[-1].isspace()

    def handle_entityref(self, name: str) -> None:
        self._character(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self._character(html.unescape(f"&#{name};"))

    def unknown_decl(self, data: str) -> None:
        """A CDATA section of XHTML is text like any other."""
        if data.startswith("CDATA["):
            self.handle_data(data[6:])

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """As the base class, which asserts where a browser sees a comment."""
        try:
            return super().parse_marked_section(i, bool(report))
        except AssertionError:
            return int(self.parse_bogus_comment(i))

    def end_block(self) -> None:
        """What was read is a unit; the next one is a paragraph until something else is said."""
        if self._pieces:
            text = "".join(self._pieces).rstrip(" ")
            item = self._cut == RECORDS
            text += "\n" if item else "\n\n"
            cut, kind = self._cut, self._kind
            if self._heading:
                self._headings.enter(self._heading, text)
                cut, kind = section_cut(self._heading), "heading"
            self.ready.append(Unit(text, cut, self._headings.context, kind, marks=tuple(self._marks)))
            self._pieces, self._marks, self._size, self._line = [], [], 0, 0
        self._cut, self._kind, self._heading, self._space = LINES, "", 0, False

    def _character(self, text: str) -> None:
        if not self._hidden:
            if text.isspace() and text != "\xa0" and not self._pre:
                self._space = True
            else:
                self._blank()
                self._write(text.replace("\xa0", " "), self.getpos()[0])

    def _blank(self) -> None:
        """Write the white space that was passed, unless a line begins here."""
        if self._space and self._pieces and not self._pieces[-1].endswith(("\n", " ")):
            self._pieces.append(" ")
            self._size += 1
        self._space = False

    def _break(self) -> None:
        if self._pieces:
            self._pieces.append("\n")
            self._size += 1
        self._space = False

    def _write(self, text: str, line: int) -> None:
        if self._size > LONGEST_UNIT:
            cut, kind, heading = self._cut, self._kind, self._heading
            self.end_block()
            self._cut, self._kind, self._heading = cut, kind, heading
        if line != self._line:
            self._marks.append((self._size, line))
            self._line = line
        self._pieces.append(text)
        self._size += len(text)


def page(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of an HTML page, with marks of lines."""
    parser = _Page()
    for chunk in chunks:
        parser.feed(chunk)
        yield from parser.ready
        parser.ready.clear()
    parser.close()
    parser.end_block()
    yield from parser.ready
