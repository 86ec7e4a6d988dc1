"""What is right in form goes through as it is; what is not is told in a line; a broken schema is told at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import UsageError
from swarm.program import Role, Vote
from swarm.worker.form import fits, problem_with

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "born": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


def problem(text: str, schema: Any = PERSON, max_tokens: int = 1_500) -> str | None:
    return problem_with(text, schema, max_tokens)[1]


def test_a_result_of_its_schema_comes_back_parsed() -> None:
    assert problem_with(' {"name": "Ada", "born": 1815}\n', PERSON, 1_500) == ({"name": "Ada", "born": 1815}, None)


def test_a_result_without_a_schema_is_its_text() -> None:
    assert problem_with(" as it came\n", None, 1_500) == (" as it came\n", None)
    assert problem_with(" \n", None, 1_500) == (None, "empty")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Ada", "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ('```json\n{"name": "Ada"}\n```', "not JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"name": "Ada"} is the answer', "not JSON: Extra data: line 1 column 17 (char 16)"),
        ("{}", "the result must contain ['name'] properties"),
        ('{"name": "Ada", "born": "1815"}', "the result.born must be integer"),
        ('{"name": "Ada", "data": 1}', "the result must not contain {'data'} properties"),
        ('{"name": "Ada", "name": "Eve"}', "not JSON: 'name' stands twice in one object"),
        ('{"name": NaN}', "not JSON: NaN is no number of JSON"),
        ("", "not JSON: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(text: str, said: str) -> None:
    assert problem_with(text, PERSON, 1_500) == (None, said)


def test_what_is_too_long_is_wrong_in_form() -> None:
    assert problem("word " * 200, None, 100) == "longer than 100 tokens"
    assert problem("word " * 200, None, 300) is None
    assert problem(json.dumps({"name": "x y " * 2_000}), PERSON) == "longer than 1,500 tokens"


def test_nothing_nested_too_deeply_gets_through_or_crashes() -> None:
    tree = {"type": "array", "items": {"$ref": "#"}}
    assert problem("[[], [[]]]", tree) is None
    said = problem("[" * 100_000 + "]" * 100_000, tree, 10**6)
    assert said is not None
    assert "\n" not in said
    assert problem("[" * 900 + "]" * 900, tree, 10**6) in (None, "nested too deeply")


def test_defaults_of_a_schema_are_not_filled_in() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 5}}}
    assert problem_with("{}", schema, 1_500) == ({}, None)


@given(st.text(), st.sampled_from([None, PERSON]))
def test_every_text_has_a_verdict(text: str, schema: Any) -> None:
    value, said = problem_with(text, schema, 50)
    assert (said is None) or (value is None and "\n" not in said and len(said) <= 200)


BROKEN: list[Any] = [
    {"type": "strin"},
    {"pattern": "("},
    {"properties": 5},
    {"items": 3},
    {"$ref": "#"},
    {"$ref": "#/definitions/x"},
    {"const": {1, 2}},
    {"minLength": "a"},
]


@pytest.mark.parametrize("schema", BROKEN, ids=str)
def test_a_broken_schema_is_told_at_once_and_by_whose_role(schema: Any) -> None:
    with pytest.raises(UsageError, match=r"^role 'scribe': its schema is broken: [^\n]+$"):
        fits(Role(name="scribe", schema=schema))
    with pytest.raises(UsageError, match=r"^the schema is broken: "):
        problem("{}", schema)
    with pytest.raises(UsageError, match="'scribe'"):
        problem_with("{}", schema, 10, role="scribe")


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/x", "https://example.org/x", "file:///etc/passwd", "other.json"]
)
def test_a_schema_fetches_nothing(uri: str) -> None:
    with pytest.raises(UsageError, match="nothing is fetched"):
        fits(Role(schema={"$ref": uri}))


def test_a_keyword_that_would_be_passed_over_is_refused() -> None:
    newer = {"type": "object", "properties": {"pair": {"prefixItems": [{"type": "string"}]}}}
    with pytest.raises(UsageError, match="prefixItems came after draft 7"):
        fits(Role(schema=newer))
    fits(Role(schema={"type": "object", "properties": {"prefixItems": {"enum": [{"prefixItems": 1}]}}}))


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (Role(legs=0), "legs is 0"),
        (Role(report_tokens=0), "report_tokens is 0"),
        (Role(view_tokens=-1), "view_tokens is -1"),
        (Role(vote=Vote(lead=0)), "lead is 0"),
        (Role(vote=Vote(lead=5, most=4)), "a lead of 5 cannot come of at most 4 replies"),
    ],
)
def test_a_role_that_cannot_work_is_refused(role: Role, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fits(role)


def test_a_role_that_can_work_is_let_be() -> None:
    fits(Role())
    fits(Role(name="scribe", schema=PERSON, vote=Vote.for_steps(10**6, 0.01), view_tokens=0, legs=1))
