"""DOCX as units: paragraphs, list items and tables in the order of the document, headings by their styles.

Text inside links, content controls, text boxes and tracked insertions is read; tracked deletions, headers,
footers, notes and comments are not. The document passes through a paragraph or a row at a time, so that memory
grows neither with it nor with what somebody packed into it. This module knows the XML of DOCX, and not how it is
packed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

from swarm.sources.package import Package, Part
from swarm.sources.units import LINES, RECORDS, Headings, Unit, section_cut

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # says again what is beside it
_LEFT_OUT = (_FALLBACK, f"{_WORD}pPr", f"{_WORD}moveFrom")
_NO_BLOCKS = (_FALLBACK, f"{_WORD}sectPr", f"{_WORD}tcPr", f"{_WORD}del", f"{_WORD}moveFrom")
_PARAGRAPH, _TABLE, _ROW, _CELL = (f"{_WORD}{name}" for name in ("p", "tbl", "tr", "tc"))
_CHARACTERS = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n", f"{_WORD}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)


def paragraphs(stream: IO[bytes]) -> Iterator[Unit]:
    """Units of a DOCX document.

    Raises:
        Unreadable: corrupt, encrypted, or too large when unpacked.
    """
    with Package(stream) as package:
        name = package.related("", "officeDocument") or "word/document.xml"
        styles = _styles(package, package.related(name, "styles"))
        headings = Headings()
        header: str | None = None  # of the table one is in; None before its first row
        for element in _blocks(package.part(name)):
            if element.tag == _TABLE:
                header = None
            elif element.tag == _ROW:
                text = _row(element)
                if text.strip(" |"):
                    within = " > ".join(part for part in (headings.context, header) if part)
                    yield Unit(f"{text}\n", RECORDS, within, "record")
                if header is None:
                    header = text[:300] if text.strip(" |") else ""
            else:
                yield from _paragraph(element, styles, headings)


def _styles(package: Package, name: str | None) -> dict[str, str]:
    """The names of styles by their ids."""
    found: dict[str, str] = {}
    if name is None or name not in package:
        return found
    for event, element in (part := package.part(name)).events():
        if event == "end" and element.tag == f"{_WORD}style":
            named = element.find(f"{_WORD}name")
            found[element.get(f"{_WORD}styleId", "")] = named.get(f"{_WORD}val", "") if named is not None else ""
            part.forget(element)
    return found


def _blocks(part: Part) -> Iterator[Any]:
    """The paragraphs, and each table as it begins with its rows behind it, also those inside content controls and
    tracked changes. An element is good until the next is asked for."""
    block: Any = None
    passed_over: Any = None
    for event, element in part.events():
        if event == "start":
            if block is not None or passed_over is not None:
                continue
            if element.tag in (_PARAGRAPH, _ROW):
                block = element
            elif element.tag in _NO_BLOCKS:
                passed_over = element
            elif element.tag == _TABLE:
                yield element
        elif element is block:
            yield element
            block = None
            part.forget(element)
        elif block is None:
            if element is passed_over:
                passed_over = None
            part.forget(element)


def _paragraph(element: Any, styles: dict[str, str], headings: Headings) -> Iterator[Unit]:
    text = _text(element).strip("\n")
    if not text.strip():
        return
    style = element.find(f"{_WORD}pPr/{_WORD}pStyle")
    name = styles.get(style.get(f"{_WORD}val", ""), "") if style is not None else ""
    level = 1 if name == "Title" else int(match[1]) if (match := _HEADING.match(name)) else 0
    if level:
        headings.enter(level, text)
        yield Unit(f"{text}\n\n", section_cut(level), headings.context, "heading")
    elif name.startswith("List") or element.find(f"{_WORD}pPr/{_WORD}numPr") is not None:
        yield Unit(f"{text}\n", RECORDS, headings.context)
    else:
        yield Unit(f"{text}\n\n", LINES, headings.context)


def _text(element: Any) -> str:
    """The characters of a paragraph, wherever inside it they stand."""
    pieces: list[str] = []
    stack = [element]
    while stack:
        node = stack.pop()
        if node.tag == f"{_WORD}t":
            pieces.append(node.text or "")
        elif node.tag in _CHARACTERS:
            pieces.append(_CHARACTERS[node.tag])
        elif node.tag not in _LEFT_OUT:
            if node.tag == _PARAGRAPH and pieces:
                pieces.append("\n")
            stack.extend(reversed(node))
    return "".join(pieces)


def _row(row: Any) -> str:
    """A row's cells, put apart by bars; what a table within a cell says is the cell's."""
    cells = (cell for cell in row.iter(_CELL) if next(cell.iterancestors(_ROW)) is row)
    return " | ".join(" ".join(_text(cell).split()) for cell in cells)
