"""PDF pages become paragraphs that know their page."""

from __future__ import annotations

import io
import threading

import pytest

from swarm.sources.original import Unreadable
from swarm.sources.pdf import pages


def pdf(*texts: list[str], outline: str = "", trailer: str = "") -> bytes:
    """A PDF with one page for each list of lines; `outline` names the last page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R" + (" /Outlines 4 0 R" if outline else "") + " >>"]
    kids = " ".join(f"{6 + 2 * n} 0 R" for n in range(len(texts)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(texts)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    objects.append("<< /Type /Outlines /First 5 0 R /Last 5 0 R /Count 1 >>")
    objects.append(f"<< /Title ({outline}) /Parent 4 0 R /Dest [{4 + 2 * len(texts)} 0 R /Fit] >>")
    for number, lines in enumerate(texts):
        moves = " ".join(f"({line}) Tj 0 -14 Td" for line in lines)
        content = f"BT /F1 11 Tf 50 750 Td {moves} ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {7 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    return (
        data
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{len(data)}\n%%EOF\n"
        ).encode()
    )


FIRST = [
    "The first paragraph has a line of some length here and",
    "ends soon.",
    "The second one follows on the same page, as long",
    "as that.",
]
ENCRYPTED = (
    "/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] /Encrypt << /Filter /Standard "
    f"/V 1 /R 2 /O <{'11' * 32}> /U <{'22' * 32}> /P -44 >>"
)


def test_paragraphs_are_told_apart_and_know_their_page():
    units = list(pages(io.BytesIO(pdf(FIRST, ["On another page."]))))
    assert [(unit.text, unit.marks) for unit in units] == [
        ("\n".join(FIRST[:2]) + "\n\n", ((0, 1),)),
        ("\n".join(FIRST[2:]) + "\n\n", ((0, 1),)),
        ("On another page.\n\n", ((0, 2),)),
    ]


def test_the_outline_names_the_sections():
    units = list(pages(io.BytesIO(pdf(["One."], ["Two."], outline="Results"))))
    assert [(unit.cut, unit.context) for unit in units] == [(1, ""), (8, "Results")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.4\nnothing of the kind", "corrupt"),
        (b"", "corrupt"),
        (pdf(["x"])[:300], "corrupt"),
        (pdf(["x"], trailer=ENCRYPTED), "encrypted"),
        (pdf([]), "without text"),
    ],
    ids=["garbage", "empty", "cut off", "encrypted", "no text"],
)
def test_a_pdf_that_cannot_be_read_says_why(data, reason):
    with pytest.raises(Unreadable, match=reason):
        list(pages(io.BytesIO(data)))


def test_pdfs_may_be_read_from_many_threads():
    data = pdf(*[[f"Page {n} of the document."] for n in range(20)])
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(list(pages(io.BytesIO(data)))))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 4
