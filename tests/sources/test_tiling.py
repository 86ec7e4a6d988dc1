"""Whatever a text holds, its units and its passages are the text, and stay within bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm.sources import code, json_values, prose, records
from swarm.sources.passages import WHOLE, drafts
from swarm.sources.units import cut_before, cut_near_middle, lines, split
from swarm.tokens import o200k

READERS = {
    "text": prose.text,
    "markdown": prose.markdown,
    "csv": records.table,
    "jsonl": records.jsonl,
    "json": json_values.document,
    "code": code.code,
}
FRAGMENTS = st.sampled_from(
    [
        "\n", "\r\n", "\r", "\n\n", " ", "    ", "\t", "# A heading\n", "## Sub\r\n", "Title\n=====\n",
        "Chapter 3\n\n", "- item\n", "  1. nested\n", "```\n", "~~~~py\n", "***\n", "| a | b |\n",
        "Some words of a sentence. ", "word " * 300, "x" * 2_000, "a,b,c\n",
        '"quoted, ""and\nbroken"",",1\n', '"', "{", "}", "[", "]", ",", ":",
        '{"key": "value"}', '[1, 2.5e3, null]', '"\\u00e9\\n"', "def f(x):\n", "    return 1\n", "class A {\n",
        "@decorated(\n", "// why\n", "日本語の文。", "e\u0301", "👩\u200d👧", "\ufeff", "\0", "\u2028", "\x1c",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.lists(FRAGMENTS, max_size=40).map("".join), st.text(max_size=400))


def chunked(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(text=TEXTS, size=st.integers(1, 500))
@settings(max_examples=150, deadline=None)
def test_the_units_of_a_text_are_the_text(reader, text, size):
    assert "".join(unit.text for unit in reader(chunked(text, size))) == text


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(text=TEXTS)
@settings(max_examples=100, deadline=None)
def test_the_passages_of_a_text_are_the_text_and_none_is_too_long(reader, text):
    made = list(drafts(reader([text])))
    assert "".join(draft.text for draft in made) == text
    for draft in made:
        assert 0 < len(draft.text) <= WHOLE
        assert draft.tokens == o200k(draft.text)
        assert all(0 < offset < len(draft.text) for offset in draft.records)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(
    words=st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30), min_size=1),
    spaces=st.lists(st.sampled_from([" ", "  ", "\n", "\n\n", "\r\n", "\t", ". "]), min_size=1),
    times=st.integers(1, 60),
)
@example(words=["0" * 21], spaces=[" "], times=28)
@settings(max_examples=60, deadline=None)
def test_no_word_is_cut(reader, words, spaces, times):
    text = "".join(word + spaces[at % len(spaces)] for at, word in enumerate(words * times))
    at = 0
    for draft in drafts(reader([text])):
        assert at == 0 or text[at].isspace() or text[at - 1].isspace() or text[at - 1] in "。！？」』”’）"
        at += len(draft.text)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_line_of_any_length_passes_in_bounded_pieces(reader):
    def chunks():
        for _ in range(40):
            yield "many words without an end " * 4_000

    longest = max(len(unit.text) for unit in reader(chunks()))
    assert longest < 1_500_000


@given(text=TEXTS.filter(lambda text: len(text) > 1), data=st.data())
def test_a_cut_is_inside_and_never_between_carriage_return_and_line_feed(text, data):
    limit = data.draw(st.integers(1, len(text) - 1))
    at = cut_before(text, limit)
    assert 0 < at <= limit
    if limit > 20:
        assert text[at - 1 : at + 1] != "\r\n"
    assert 0 < cut_near_middle(text) < len(text)


@given(text=TEXTS, limit=st.integers(2, 900))
def test_pieces_are_the_text_and_within_the_limit(text, limit):
    pieces = list(split(text, limit))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


@given(text=TEXTS.map(lambda text: text.replace("\r", "")), size=st.integers(1, 50))
def test_lines_do_not_depend_on_the_chunks_that_a_text_comes_in(text, size):
    assert list(lines(chunked(text, size))) == list(lines([text]))


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=600)),
    lambda inner: st.one_of(st.lists(inner, max_size=6), st.dictionaries(st.text(max_size=10), inner, max_size=6)),
    max_leaves=60,
)


@given(value=JSON_VALUES, indent=st.sampled_from([None, 0, 2]), size=st.integers(1, 3_000))
@settings(deadline=None)
def test_a_json_document_of_any_shape_is_read_in_full(value, indent, size):
    text = json.dumps(value, indent=indent)
    units = list(json_values.document(chunked(text, size)))
    assert "".join(unit.text for unit in units) == text
