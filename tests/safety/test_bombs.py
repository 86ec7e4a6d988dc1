"""A small file that unpacks to a large one, a gigabyte on one line, a nest without a bottom: memory has an end."""

from __future__ import annotations

import io
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docx
import pytest

from swarm.sources import code, html, json_values, prose, records
from swarm.sources.passages import drafts

PEAK_MB = 300
PIECE = 1 << 20


def write(path: Path, pieces: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def one_line(name: str, megabytes: int) -> Iterator[bytes]:
    """A line of about that size in the format of `name`."""
    words = (b"word " * (PIECE // 5 + 1))[:PIECE]
    start, piece, end = {
        "line.txt": (b"", words, b""),
        "line.md": (b"# ", words, b""),
        "line.csv": (b'a,b\n"', words, b'"\n'),
        "line.jsonl": (b'{"a": "', words, b'"}\n'),
        "line.json": (b'{"a": "', words, b'"}'),
        "line.html": (b"<p>", words, b"</p>"),
        "line.py": (b"x = '", words, b"'\n"),
    }[name]
    yield start
    for _ in range(megabytes):
        yield piece
    yield end


@pytest.mark.parametrize(("name", "megabytes"), [("line.txt", 16), ("line.jsonl", 6)])
def test_megabytes_on_one_line_are_read_in_bounded_memory(
    folder: Path, measured: Callable[[], Any], name: str, megabytes: int
) -> None:
    write(folder / name, one_line(name, megabytes))
    came = measured()
    assert came.read[name] == (folder / name).stat().st_size
    assert came.skipped == {}
    assert came.peak_mb < PEAK_MB


@pytest.mark.soak
@pytest.mark.parametrize(
    "name", ["line.txt", "line.md", "line.csv", "line.jsonl", "line.json", "line.html", "line.py"]
)
def test_a_gigabyte_on_one_line_is_read_in_bounded_memory(
    folder: Path, measured: Callable[[], Any], name: str
) -> None:
    write(folder / name, one_line(name, 1_024))
    came = measured()
    assert came.read[name] > 1_000 * PIECE
    assert came.peak_mb < PEAK_MB + 100  # the store's cache has filled by then


def packed(document: bytes, *, more: dict[str, bytes] | None = None) -> bytes:
    """A DOCX whose text is this XML."""
    plain, out = io.BytesIO(), io.BytesIO()
    docx.Document().save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            archive.writestr(name, document if name == "word/document.xml" else source.read(name))
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return out.getvalue()


def body(content: bytes, before: bytes = b"") -> bytes:
    name = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return b"%s<w:document %s><w:body>%s</w:body></w:document>" % (before, name, content)


def paragraph(text: bytes) -> bytes:
    return b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % text


LAUGHS = b"<!DOCTYPE w [<!ENTITY a0 'lol'>%s]>" % b"".join(
    b"<!ENTITY a%d '%s'>" % (n + 1, b"&a%d;" % n * 10) for n in range(9)
)


def a_zip_of_nothing(entries: int) -> bytes:
    """A zip whose list names as many empty parts, made without holding any of them."""
    entry = b"PK\1\2" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"x"
    size = entries * len(entry)
    end = b"PK\5\6" + bytes(4) + b"\xff\xff\xff\xff" + size.to_bytes(4, "little") + bytes(6)
    return b"PK\3\4" + bytes(26) + entry * entries + end


def test_what_is_packed_into_a_docx_has_an_end(folder: Path, measured: Callable[[], Any]) -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("word/document.xml", "w") as part,
    ):
        for _ in range(17):
            part.write(bytes(16 * PIECE))
    (folder / "b-large.docx").write_bytes(out.getvalue())
    (folder / "c-empty-paragraphs.docx").write_bytes(packed(body(b"<w:p/>" * 300_000 + paragraph(b"the end"))))
    (folder / "d-one-paragraph.docx").write_bytes(packed(body(b"<w:p>%s</w:p>" % (b"<w:r/>" * 1_400_000))))
    (folder / "e-one-row.docx").write_bytes(
        packed(body(b"<w:tbl><w:tr>%s</w:tr></w:tbl>" % (b"<w:tc/>" * 1_200_000)))
    )
    (folder / "f-laughs.docx").write_bytes(packed(body(paragraph(b"&a9;"), LAUGHS)))
    (folder / "g-deep.docx").write_bytes(packed(body(b"<w:sdt>" * 100_000 + b"</w:sdt>" * 100_000)))
    (folder / "h-parts.docx").write_bytes(a_zip_of_nothing(500_000))
    (folder / "i-pictures.docx").write_bytes(
        packed(body(paragraph(b"with a large picture")), more={"word/media/a.bmp": bytes(64 * PIECE)})
    )
    came = measured()
    assert came.read == {"a-good.txt": 19, "c-empty-paragraphs.docx": 9, "i-pictures.docx": 22}
    assert came.skipped == {
        "b-large.docx": "too large: it unpacks to more than 256 MB",
        "d-one-paragraph.docx": "too large: one paragraph or row of more than 8 MB",
        "e-one-row.docx": "too large: one paragraph or row of more than 8 MB",
        "f-laughs.docx": "a corrupt DOCX",
        "g-deep.docx": "a corrupt DOCX",
        "h-parts.docx": "too large: it holds too many parts",
    }
    assert came.peak_mb < PEAK_MB


def pdf(content: bytes, megabytes: int) -> bytes:
    """A PDF of one page that draws `content` over and over."""
    packing, piece = zlib.compressobj(9), content * (PIECE // len(content))
    stream = b"".join([*(packing.compress(piece) for _ in range(megabytes)), packing.flush()])
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R "
        b"/Resources << /Font << /F1 3 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        offsets.append(b"%010d 00000 n \n" % len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"xref\n0 6\n0000000000 65535 f \n%s" % b"".join(offsets)
    return data + b"%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (table, len(data))


def test_what_is_packed_into_a_pdf_has_an_end_and_the_next_pdf_is_read(
    folder: Path, measured: Callable[[], Any]
) -> None:
    (folder / "b-objects.pdf").write_bytes(pdf(b"BT /F1 9 Tf (x) Tj ET ", 80))
    (folder / "c-good.pdf").write_bytes(pdf(b"BT /F1 9 Tf (A page like any other.) Tj ET " + b" " * 900_000, 1))
    came = measured()
    assert came.read == {"a-good.txt": 19, "c-good.pdf": 24}
    assert came.skipped == {"b-objects.pdf": "too large: to read it takes more than 1024 MB of memory"}
    assert came.peak_mb < PEAK_MB
    assert came.apart_mb < 1_100


def test_nests_without_a_bottom_are_read_and_nothing_recurses(folder: Path, measured: Callable[[], Any]) -> None:
    deep = 100_000
    (folder / "b.html").write_text("<div>" * deep + "deep in a page" + "</div>" * deep)
    (folder / "c.html").write_text("<svg>" * deep + "hidden" + "</svg>" * deep + "and seen again")
    (folder / "d.json").write_text("[" * deep + "1" + "]" * deep)
    (folder / "e.json").write_text('{"a":' * deep + "1" + "}" * deep)
    (folder / "f.jsonl").write_text("[" * deep + "]" * deep + "\n")
    (folder / "g").write_text('{"a":' * deep)
    (folder / "h.html").write_text(LAUGHS.decode() + "<p>&a9;</p>")
    (folder / "i.md").write_text(">" * deep + " deep in a quotation\n" + " " * deep + "- deep in a list\n")
    came = measured()
    assert came.skipped == {}
    for name in ("d.json", "e.json", "f.jsonl", "g", "i.md"):
        assert came.read[name] == (folder / name).stat().st_size
    assert came.read["b.html"] == len("deep in a page\n\n")
    assert came.read["c.html"] == len("and seen again\n\n")
    assert came.read["h.html"] < 1_000
    assert came.peak_mb < PEAK_MB


def test_packed_text_is_not_unpacked_at_all(folder: Path, measured: Callable[[], Any]) -> None:
    import bz2
    import gzip
    import lzma

    for name, pack in (("b.txt.gz", gzip.compress), ("c.bz2", bz2.compress), ("d.xz", lzma.compress)):
        (folder / name).write_bytes(pack(bytes(32 * PIECE)))
    came = measured()
    assert came.skipped == {"b.txt.gz": "binary", "c.bz2": "binary", "d.xz": "binary"}


READERS = {
    "text": prose.text,
    "markdown": prose.markdown,
    "html": html.page,
    "code": code.code,
    "json": json_values.document,
    "csv": records.table,
    "jsonl": records.jsonl,
}
SIZE = 200_000  # just below the longest line that is taken as a whole
LINES = {
    "dots": "." * SIZE,
    "dots and quotes": '."' * (SIZE // 2),
    "blanks": " " * SIZE,
    "a heading and blanks": "# a" + " " * SIZE + "b\n",
    "marks": "#" * SIZE,
    "rule": "- " * (SIZE // 2) + "x\n",
    "tags that never end": "<a " * (SIZE // 3),
    "quotes that never end": "<a '" * (SIZE // 4),
    "breaks": "<p>x" + "<br>" * (SIZE // 4),
    "entities": "&a" * (SIZE // 2),
    "accents": "\u0301" * SIZE,
    "brackets": "[" * SIZE,
    "backslashes": '"' + "\\" * SIZE + '"',
    "line ends": "\r" * SIZE,
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_no_line_takes_time_that_grows_faster_than_it(line: str) -> None:
    """Each of these takes a tenth of a second; where time grew with the square, it was a minute."""
    for name, units in READERS.items():
        began = time.process_time()
        length = sum(len(draft.text) for draft in drafts(units([line, "\n", line[:1000]])))
        assert time.process_time() - began < 4, name
        assert name == "html" or length == len(line) + 1 + len(line[:1000])


def test_what_follows_megabytes_of_blanks_in_json_is_not_lost() -> None:
    text = '{"a": 1}' + " " * 3_000_000 + '{"b": 2}'
    chunks = [text[at : at + 256_000] for at in range(0, len(text), 256_000)]
    assert "".join(unit.text for unit in json_values.document(chunks)) == text


def test_a_unit_of_html_is_bounded_even_where_it_holds_line_breaks_alone() -> None:
    longest = max(len(unit.text) for unit in html.page(["<p>x", "<br>" * 500_000, "y</p>"]))
    assert longest < 100_000
