"""DOCX as units: paragraphs, list items and tables in the order of the document, headings by their styles.

Text inside links, content controls, text boxes and tracked insertions is read; tracked deletions, headers,
footers, notes and comments are not. This module knows DOCX through python-docx.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from swarm.sources.original import Unreadable
from swarm.sources.units import LINES, RECORDS, Headings, Unit, section_cut

if TYPE_CHECKING:
    from docx.document import Document

_LARGEST = 256 << 20  # bytes unpacked: what the parser holds in memory, and no decompression bomb
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEFT_OUT = (
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",  # says again what stands beside it
    f"{_WORD}pPr",
    f"{_WORD}moveFrom",
)
_CHARACTERS = {f"{_WORD}tab": "\t", f"{_WORD}br": "\n", f"{_WORD}cr": "\n", f"{_WORD}noBreakHyphen": "-"}
_HEADING = re.compile(r"heading (\d)$", re.IGNORECASE)


def paragraphs(stream: IO[bytes]) -> Iterator[Unit]:
    """Units of a DOCX document.

    Raises:
        Unreadable: corrupt, encrypted, or too large when unpacked.
    """
    document = _opened(stream)
    styles = {style.style_id: style.name or "" for style in document.styles if style.style_id}
    headings = Headings()
    for element in _blocks(document.element.body):
        if element.tag == f"{_WORD}tbl":
            yield from _table(element, headings.context)
            continue
        text = _text(element).strip("\n")
        if not text.strip():
            continue
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


def _opened(stream: IO[bytes]) -> Document:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml import etree  # type: ignore[import-untyped]

    if stream.read(4) == b"\xd0\xcf\x11\xe0":
        raise Unreadable(
            "an encrypted DOCX, or an old Word file: save it as DOCX without a password", lasting=True
        )
    stream.seek(0)
    try:
        with zipfile.ZipFile(stream) as archive:
            # no more than this is ever unpacked: the size that is told here bounds what is read
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST:
                raise Unreadable(f"too large: it unpacks to more than {_LARGEST >> 20} MB", lasting=True)
        stream.seek(0)
        return docx.Document(stream)
    except (
        zipfile.BadZipFile,
        zlib.error,
        OpcError,
        etree.LxmlError,
        KeyError,
        ValueError,
        OSError,
        NotImplementedError,
        EOFError,
    ):
        raise Unreadable("a corrupt DOCX", lasting=True) from None


def _blocks(parent: Any) -> Iterator[Any]:
    """The paragraphs and tables of a body or a cell, also those inside content controls and tracked changes."""
    for child in parent:
        if child.tag in (f"{_WORD}p", f"{_WORD}tbl"):
            yield child
        elif isinstance(child.tag, str) and not child.tag.endswith(("}sectPr", "}tcPr", "}del", "}moveFrom")):
            yield from _blocks(child)


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
            if node.tag == f"{_WORD}p" and pieces:
                pieces.append("\n")
            stack.extend(reversed(node))
    return "".join(pieces)


def _table(table: Any, context: str) -> Iterator[Unit]:
    """Rows as records, their cells put apart by bars; the first row places the others."""
    header = ""
    for number, row in enumerate(table.iter(f"{_WORD}tr")):
        if next(row.iterancestors(f"{_WORD}tbl")) is not table:
            continue  # of a table within a cell: its text is the cell's
        cells = [" ".join(_text(cell).split()) for cell in row.iter(f"{_WORD}tc") if _row_of(cell) is row]
        text = " | ".join(cells)
        if not text.strip(" |"):
            continue
        within = " > ".join(part for part in (context, header) if part)
        yield Unit(f"{text}\n", RECORDS, within, "record")
        if number == 0:
            header = text[:300]


def _row_of(cell: Any) -> Any:
    return next(cell.iterancestors(f"{_WORD}tr"))
