"""PDF as units: the text of each page, and the outline's titles as headings.

A page's lines are put together to paragraphs by their ends; words that were hyphenated at a line's end are whole.
Pages that are pictures hold no text, and none is made of them. This module knows PDF through pypdfium2.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from swarm.sources.apart import Apart
from swarm.sources.original import Unreadable
from swarm.sources.units import LINES, Headings, Unit, section_cut

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_ONE_AT_A_TIME = threading.Lock()  # PDFium is not safe to use from two threads, not even on two documents
_APART = Apart("swarm.sources.pdf", "parsed")
_HYPHEN = re.compile("[\ufffe\x02](?:\r\n)?")
_ENDS = re.compile(r"""[.!?:;…][”’"')\]]*$""")


def pages(stream: IO[bytes]) -> Iterator[Unit]:
    """Units of a PDF, with marks of pages; it is parsed in a process apart.

    Raises:
        Unreadable: corrupt, encrypted, without any text, or too large for the memory and time that one may take.
    """
    with _ONE_AT_A_TIME:
        yield from _APART.units(stream)


def parsed(stream: IO[bytes]) -> Iterator[Unit]:
    """As `pages`, parsed right here."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(stream)
    except pypdfium2.PdfiumError as error:
        raise Unreadable(_reason(str(error)), lasting=True) from None
    try:
        found = False
        outline = _outline(document)
        headings = Headings()
        for number in range(len(document)):
            cut = LINES
            for level, title in outline.get(number, ()):
                headings.enter(level, title)
                cut = section_cut(level) if cut == LINES else cut
            for text in _paragraphs(_text(document, number)):
                found = True
                yield Unit(text, cut, headings.context, marks=((0, number + 1),))
                cut = LINES
        if not found:
            raise Unreadable(
                "a PDF without text, pictures of pages perhaps: put it through OCR first", lasting=True
            )
    finally:
        document.close()


def _reason(message: str) -> str:
    if "assword" in message or "ecurity" in message:
        return "an encrypted PDF: save it without a password"
    return "a corrupt PDF"


def _outline(document: PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Levels (from 1) and titles of the outline's entries, by the number of their page (from 0)."""
    found: dict[int, list[tuple[int, str]]] = {}
    for entry in document.get_toc(max_depth=6):
        destination = entry.get_dest()
        index = destination.get_index() if destination else None
        title = entry.get_title().strip("\0 ")
        if index is not None and index >= 0 and title:
            found.setdefault(index, []).append((entry.level + 1, title))
    return found


def _text(document: PdfDocument, number: int) -> str:
    """The text of a page; nothing where PDFium cannot read that page."""
    import pypdfium2

    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return ""
    try:
        text = page.get_textpage().get_text_bounded()
    except pypdfium2.PdfiumError:
        return ""
    finally:
        page.close()
    return _HYPHEN.sub("", text).replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def _paragraphs(text: str) -> Iterator[str]:
    """A paragraph ends with a blank line, or with a sentence on a line that is clearly shorter than the others."""
    lines = text.split("\n")
    width = sorted(len(line) for line in lines)[len(lines) * 3 // 4]
    held: list[str] = []
    for line in lines:
        if line.strip():
            held.append(line + "\n")
        if held and (not line.strip() or (_ENDS.search(line.rstrip()) and len(line) < 0.8 * width)):
            held[-1] += "\n"
            yield "".join(held)
            held = []
    if held:
        held[-1] += "\n"
        yield "".join(held)
