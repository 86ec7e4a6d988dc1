"""Rows, lines of JSON and elements of JSON documents are records, and placed by what stands above them."""

from __future__ import annotations

import json

from swarm.sources.json_values import document
from swarm.sources.passages import drafts
from swarm.sources.records import jsonl, table
from swarm.terms import unescaped


def test_a_row_with_line_breaks_in_quotes_is_one_record_under_its_header():
    rows = 'name,note\r\n"Ann","one\r\ntwo, ""three"""\r\nBob,4" disk\r\n'
    units = list(table([rows]))
    assert [unit.text for unit in units] == [
        "name,note\r\n", '"Ann","one\r\ntwo, ""three"""\r\n', 'Bob,4" disk\r\n'
    ]  # fmt: skip
    assert {unit.context for unit in units} == {"name | note"}
    assert [unit.cut for unit in units] == [1, 2, 2]


def test_a_table_without_a_header_has_none():
    assert {unit.context for unit in table(["1;2;3\n4;5;6\n"])} == {""}


def test_a_quote_that_is_never_closed_does_not_swallow_the_file():
    rows = "a\tb\n" + '"open\t1\n' + "x\ty\n" * 40_000
    units = list(table([rows], tabs=True))
    assert "".join(unit.text for unit in units) == rows
    assert max(len(unit.text) for unit in units) < 100_000


def test_small_records_share_a_passage_that_says_where_each_begins():
    (made,) = drafts(table(["city,people\nRome,3\nOslo,1\nLima,10\n"]))
    starts = [0, *made.records]
    assert [made.text[a:b] for a, b in zip(starts, [*made.records, None], strict=True)] == [
        "city,people\nRome,3\n", "Oslo,1\n", "Lima,10\n"
    ]  # fmt: skip


def test_a_line_of_json_with_some_text_in_it_is_a_passage_of_its_own():
    text = "".join(json.dumps({"id": n, "text": "words " * 60}) + "\n" for n in range(5))
    made = list(drafts(jsonl([text])))
    assert [json.loads(draft.text)["id"] for draft in made] == [0, 1, 2, 3, 4]
    assert [draft.cut for draft in made] == [2] * 5


def test_the_elements_of_a_json_array_are_records_wherever_the_array_lies():
    value = {"version": 2, "data": [{"id": n, "text": "words " * 60} for n in range(5)]}
    units = [unit for unit in document([json.dumps(value, indent=1)]) if unit.kind == "record" and unit.context]
    assert [unit.cut for unit in units] == [2] * 5
    assert {unit.context for unit in units} == {"data"}
    assert [json.loads(unit.text.strip(" \n,[]}") + "}")["id"] for unit in units[1:]] == [1, 2, 3, 4]


def test_a_large_element_is_entered():
    value = [{"title": "T", "paragraphs": [{"context": "words " * 100, "n": n} for n in range(9)]}]
    units = list(document([json.dumps(value)]))
    assert "".join(unit.text for unit in units) == json.dumps(value)
    assert [unit.cut for unit in units] == [2] + [1] * 9
    assert len(list(drafts(units))) == 9


def test_what_is_no_json_is_read_on_as_lines():
    units = list(document(['{"a": 1}\n{"b": oops}\nand more\n']))
    assert [unit.text for unit in units] == ['{"a": 1}\n', '{"b": oops}\n', "and more\n"]


def test_an_array_nested_a_hundred_thousand_deep_is_read():
    text = "[" * 100_000
    assert "".join(unit.text for unit in document([text])) == text


def test_the_search_sees_the_characters_that_escapes_stand_for():
    assert unescaped(r'"caf\u00e9\nnoir \"x\" \ud83d\ude00 \ud800 \\n"') == '"café\nnoir "x" 😀 \ufffd \\n"'
