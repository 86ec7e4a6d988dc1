"""What an input holds, by its name and its first bytes, and which reader makes units of it.

The reader's version is part of a source's id: raise it when a reader changes what it makes of the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from swarm import terms
from swarm.sources import code, docx, html, json_values, pdf, prose, records
from swarm.sources.original import Original
from swarm.sources.units import Unit
from swarm.store.intake import PLACES_LINE_MARKS, PLACES_LINES, PLACES_NONE, PLACES_PAGE_MARKS

READER = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """One kind of input. `parsed` says that bytes are read rather than text."""

    name: str
    read: Callable[[Original], Iterator[Unit]]
    places: str = PLACES_LINES
    parsed: bool = False

    @property
    def seen(self) -> Callable[[str], str] | None:
        """Makes of a text what the search is to see; None: the text itself."""
        return terms.seen_in(self.name)


def _text_reader(units: Callable[..., Iterator[Unit]]) -> Callable[[Original], Iterator[Unit]]:
    return lambda original: units(original.chunks())


TEXT = Media(name="text", read=_text_reader(prose.text))
MARKDOWN = Media(name="markdown", read=_text_reader(prose.markdown))
HTML = Media(name="html", read=_text_reader(html.page), places=PLACES_LINE_MARKS)
CODE = Media(name="code", read=_text_reader(code.code))
CSV = Media(name="csv", read=_text_reader(records.table))
TSV = Media(name="csv", read=_text_reader(partial(records.table, tabs=True)))
JSON = Media(name="json", read=_text_reader(json_values.document))
JSONL = Media(name="jsonl", read=_text_reader(records.jsonl))
PDF = Media(name="pdf", read=lambda original: pdf.pages(original.stream()), places=PLACES_PAGE_MARKS, parsed=True)
DOCX = Media(
    name="docx", read=lambda original: docx.paragraphs(original.stream()), places=PLACES_NONE, parsed=True
)

_ENDINGS = (
    (MARKDOWN, "md markdown mdown mkd mkdn mdx qmd rmd"),
    (HTML, "html htm xhtml"),
    (PDF, "pdf"),
    (DOCX, "docx docm dotx"),
    (CSV, "csv psv"),
    (TSV, "tsv tab"),
    (JSON, "json geojson ipynb jsonld webmanifest har"),
    (JSONL, "jsonl ndjson jsonlines"),
    (TEXT, "txt text log rst adoc asciidoc org tex srt vtt"),
    (
        CODE,
        """
        py pyi pyx pxd c h cc cpp cxx hh hpp hxx inl m mm java kt kts scala groovy gradle clj cljs cljc go rs swift
        js mjs cjs jsx ts mts cts tsx vue svelte php rb rake pl pm lua r jl sh bash zsh fish ps1 psm1 bat cmd sql
        cs fs fsx vb dart ex exs erl hrl hs lhs ml mli nim zig v sv vhd vhdl f f77 f90 f95 for pas d ada adb ads
        lisp el scm rkt tcl asm s proto thrift graphql gql tf hcl cmake mk sol cu cuh glsl hlsl wgsl metal css scss
        sass less
        """,
    ),
)
_BY_ENDING = {ending: media for media, endings in _ENDINGS for ending in endings.split()}
_CODE_NAMES = frozenset(
    {"makefile", "dockerfile", "rakefile", "gemfile", "jenkinsfile", "vagrantfile", "justfile"}
)
_UNSUPPORTED = {
    "doc": "an old Word file", "rtf": "RTF", "odt": "an OpenDocument text", "xls": "an Excel workbook",
    "xlsx": "an Excel workbook", "xlsm": "an Excel workbook", "ods": "an OpenDocument spreadsheet",
    "ppt": "PowerPoint slides", "pptx": "PowerPoint slides", "epub": "an EPUB book", "pages": "a Pages document",
    "msg": "an Outlook message", "ps": "PostScript",
}  # fmt: skip


def unsupported(name: str, head: bytes) -> str | None:
    """Why an input that could be read as bytes is not read at all; None where it is."""
    ending = _ending(name)
    kind = _UNSUPPORTED.get(ending) or ("RTF" if head.startswith(b"{\\rtf") else None)
    return f"{kind}, which is not supported: save it as text, HTML, PDF, DOCX or CSV" if kind else None


def is_markup(name: str) -> bool:
    """Whether an input may say itself in which encoding it is."""
    return _ending(name) in ("html", "htm", "xhtml", "")


def media_of(name: str, head: bytes) -> Media:
    """The media of an input called `name` whose first bytes are `head`."""
    if head.startswith(b"%PDF-"):
        return PDF
    ending = _ending(name)
    media = _BY_ENDING.get(ending)
    if media is None and PurePosixPath(name).name.lower() in _CODE_NAMES:
        media = CODE
    return media or (TEXT if ending else _sniffed(head))


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.lower().lstrip(".")


def _sniffed(head: bytes) -> Media:
    """The media of an input whose name says nothing."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1024].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return HTML
    if start.startswith(b"#!"):
        return CODE
    if start.startswith((b"{", b"[")):
        first, newline, _ = head.partition(b"\n")
        try:
            json.loads(first)
        except (ValueError, RecursionError):
            return JSON if start.rstrip()[1:2] in (b'"', b"{", b"[", b"\n", b"\r", b" ", b"\t") else TEXT
        return JSONL if newline else JSON
    return TEXT
