"""Bytes become the characters that were meant, or a reason why not."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.sources.decode import HEAD, Survey

SAMPLES = {
    "cp1252": "He said “hello” — it’s a café, naïve as they come. Où est passée la belle époque ?",
    "cp1251": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "koi8-r": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.",
    "shift_jis": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "euc-jp": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "gb18030": "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。",
    "big5": "話說天下大勢，分久必合，合久必分。周末七國分爭，併入於秦。",
    "euc-kr": "나는 학교에 갑니다. 오늘은 날씨가 좋습니다. 한국어 문장입니다.",
    "iso8859-7": "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας και η μεγαλύτερη πόλη.",
    "utf-16": "Hello, Ωmega and 日本.",
    "utf-32": "Hello, Ωmega and 日本.",
    "utf-8-sig": "Hello, Ωmega and 日本.",
    "utf-16-le": "Hello world, this is plain text, with a café in it.",
    "utf-16-be": "Hello world, this is plain text, with a café in it.",
}


def encoding_of(data: bytes, markup: bool = False, step: int = 1 << 20) -> str | None:
    survey = Survey(data[:HEAD], markup)
    for at in range(0, len(data), step):
        survey.feed(data[at : at + step], last=at + step >= len(data))
    return survey.encoding()


@pytest.mark.parametrize(("name", "text"), SAMPLES.items(), ids=SAMPLES)
def test_text_in_any_common_encoding_is_read(name, text):
    data = (text * 5).encode(name)
    found = encoding_of(data)
    assert found is not None
    assert data.decode(found) == text * 5


def test_a_byte_that_is_not_utf8_far_behind_in_the_file_is_noticed():
    data = b"plain words " * 100_000 + "später".encode("cp1252") + b" more" * 1000
    assert encoding_of(data, step=1000) == "cp1252"


def test_a_few_broken_bytes_do_not_make_utf8_another_encoding():
    data = ("Größe und Maß für schöne Mädchen. " * 20).encode() + b"\xff oops"
    assert encoding_of(data) == "utf-8"


def test_a_page_says_its_encoding_itself():
    page = '<html><head><meta charset="iso-8859-2"></head>Příliš žluťoučký</html>'.encode("iso-8859-2")
    assert encoding_of(page, markup=True) == "iso8859-2"
    assert encoding_of(b'<meta charset="no-such-thing">' + b"caf\xe9", markup=True) == "cp1252"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\x7fELF\2\1\1\0" + bytes(100),
        bytes(range(1, 256)) * 40,
        b"\xff\xd8\xff\xe0" + bytes(range(1, 32)) * 20,
    ],
    ids=["png", "elf", "every byte", "controls"],
)
def test_what_is_no_text_is_told(data):
    assert encoding_of(data) is None


@given(st.binary(max_size=400), st.integers(1, 50))
def test_no_bytes_whatever_make_it_raise(data, step):
    name = encoding_of(data, markup=True, step=step)
    if name is not None:
        decoder = codecs.getincrementaldecoder(name)("replace")
        text = "".join(decoder.decode(data[at : at + step]) for at in range(0, len(data), step))
        (text + decoder.decode(b"", True)).encode()
