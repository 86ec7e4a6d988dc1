"""DOCX is read in the order of the document, wherever in it the words stand."""

from __future__ import annotations

import io
import zipfile

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from swarm.sources import docx as reader
from swarm.sources import package
from swarm.sources.original import Unreadable


def saved(document) -> io.BytesIO:
    stream = io.BytesIO()
    document.save(stream)
    stream.seek(0)
    return stream


def test_headings_paragraphs_lists_and_tables_come_in_order():
    document = docx.Document()
    document.add_heading("Report", 0)
    document.add_heading("Findings", 1)
    document.add_paragraph("It grew.")
    document.add_paragraph("first", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["Year", "Sales", "2024", "12"], strict=True):
        cell.text = text
    table.cell(1, 1).add_table(rows=1, cols=1).cell(0, 0).text = "nested"
    document.add_paragraph("The end.")
    units = list(reader.paragraphs(saved(document)))
    assert [(unit.cut, unit.context, unit.text) for unit in units] == [
        (8, "Report", "Report\n\n"),
        (8, "Findings", "Findings\n\n"),
        (1, "Findings", "It grew.\n\n"),
        (2, "Findings", "first\n"),
        (2, "Findings", "Year | Sales\n"),
        (2, "Findings > Year | Sales", "2024 | 12 nested\n"),
        (1, "Findings", "The end.\n\n"),
    ]


def test_links_insertions_and_controls_are_read_and_deletions_are_not():
    document = docx.Document()
    paragraph = document.add_paragraph("a ")
    for xml in (
        "<w:ins {0}><w:r><w:t>inserted </w:t></w:r></w:ins>",
        "<w:del {0}><w:r><w:delText>deleted </w:delText></w:r></w:del>",
        "<w:moveFrom {0}><w:r><w:t>moved </w:t></w:r></w:moveFrom>",
        "<w:hyperlink {0}><w:r><w:t>link</w:t><w:tab/><w:t>x</w:t></w:r></w:hyperlink>",
    ):
        paragraph._p.append(parse_xml(xml.format(nsdecls("w"))))
    document.element.body.insert(
        0,
        parse_xml(
            f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        ),
    )
    assert [unit.text for unit in reader.paragraphs(saved(document))] == ["control\n\n", "a inserted link\tx\n\n"]


def test_a_decompression_bomb_is_not_unpacked(monkeypatch):
    document = docx.Document()
    document.add_paragraph("x" * 3_000_000)
    monkeypatch.setattr(package, "LARGEST", 2 << 20)
    with pytest.raises(Unreadable, match="too large: it unpacks to more than 2 MB"):
        list(reader.paragraphs(saved(document)))


def _zip_with_nothing() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.txt", "a")
    return stream.getvalue()


def _broken_inside() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(saved(docx.Document())) as source, zipfile.ZipFile(stream, "w") as archive:
        for name in source.namelist():
            archive.writestr(name, source.read(name)[: 100 if name == "word/document.xml" else None])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no zip at all", "corrupt"),
        (b"", "corrupt"),
        (_zip_with_nothing(), "corrupt"),
        (_broken_inside(), "corrupt"),
        (saved(docx.Document()).getvalue()[:-200], "corrupt"),
        (b"\xd0\xcf\x11\xe0" + bytes(600), "encrypted"),
    ],
    ids=["garbage", "empty", "another zip", "broken xml", "cut off", "encrypted"],
)
def test_a_docx_that_cannot_be_read_says_why(data, reason):
    with pytest.raises(Unreadable, match=reason):
        list(reader.paragraphs(io.BytesIO(data)))
