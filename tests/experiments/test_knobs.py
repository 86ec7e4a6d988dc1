"""The constants that may be turned, found in a text and turned in it."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from swarm.experiments.knobs import Move, blank, digest_of, knobs, moves_between, moves_in, told, turned

TEXT = '''"""Größe: ein Text mit Umlauten."""
import os

RATE = 0.02   # range: 0.001..1
SIZE: int = 1_024
BIAS = -3.5e-2
ANNEAL = False
WAY = "sgd"  # one of: sgd, adam
LEVEL = 2  # one of: 1, 2, 4
SEED = 7
_HIDDEN = 3
NAME = "free text"
A = B = 1
ö = 5; AFTER = 6
MASK = 0xFF
LATER = os.cpu_count()


def f(x=1):
    RATE = 3
    return x
'''


def test_what_can_be_turned_is_found_and_seeds_and_private_names_are_left_alone() -> None:
    found = {knob.name: knob for knob in knobs(TEXT)}
    assert list(found) == ["RATE", "SIZE", "BIAS", "ANNEAL", "WAY", "LEVEL", "ö", "AFTER"]
    assert (found["RATE"].kind, found["RATE"].low, found["RATE"].high) == ("float", 0.001, 1.0)
    assert (found["SIZE"].kind, found["SIZE"].value) == ("int", 1024)
    assert (found["BIAS"].source, found["BIAS"].value) == ("-3.5e-2", -0.035)
    assert found["ANNEAL"].choices == ("False", "True")
    assert found["WAY"].choices == ('"sgd"', '"adam"')
    assert found["LEVEL"].choices == ("1", "2", "4")


def test_turning_changes_just_the_value_where_it_stands() -> None:
    new = turned(TEXT, {"RATE": "0.5", "ö": "50", "AFTER": "60", "WAY": '"adam"'})
    assert "RATE = 0.5   # range: 0.001..1" in new
    assert "ö = 50; AFTER = 60" in new
    assert 'WAY = "adam"  # one of' in new
    assert "    RATE = 3\n" in new
    assert turned(new, {"RATE": "0.02", "ö": "5", "AFTER": "6", "WAY": '"sgd"'}) == TEXT


def test_what_is_no_python_has_no_knobs() -> None:
    assert knobs("def (") == ()
    assert knobs("A = 1\0") == ()
    assert turned("def (", {"A": "2"}) == "def ("


def test_moves_are_told_and_read_back() -> None:
    moves = (Move(name="RATE", old="0.1", new="0.2"), Move(name="WAY", old='"sgd"', new='"adam"'))
    assert told(moves) == 'RATE 0.1 → 0.2, WAY "sgd" → "adam"'
    assert moves_in(told(moves)) == moves
    assert moves_in("rewrote the loop, RATE 0.1 → 0.2") == ()
    assert moves_in("") == ()


def test_moves_between_two_texts_are_all_that_differs_or_nothing() -> None:
    after = turned(TEXT, {"RATE": "0.5", "ANNEAL": "True"})
    assert told(moves_between(TEXT, after)) == "RATE 0.02 → 0.5, ANNEAL False → True"
    assert moves_between(TEXT, TEXT) == ()
    assert moves_between(TEXT, after + "print()\n") == ()


def test_a_file_is_as_simple_at_one_value_as_at_another() -> None:
    assert blank(turned(TEXT, {"RATE": "0.123456", "ANNEAL": "True", "WAY": '"adam"'})) == blank(TEXT)


@given(
    st.lists(st.tuples(st.sampled_from("abcäöü"), st.integers(-99, 99) | st.floats(0, 9)), max_size=6),
    st.sampled_from(["\n", "\r\n", "  # ünïcode\n"]),
)
def test_a_text_is_python_with_the_same_names_after_it_was_turned(pairs: list, end: str) -> None:
    text = "".join(f"{name}{n} = {value!r}{end}" for n, (name, value) in enumerate(pairs))
    new = turned(text, {knob.name: "42" for knob in knobs(text)})
    assert [knob.source for knob in knobs(new)] == ["42"] * len(pairs)
    assert len(ast.parse(new).body) == len(pairs)
    assert digest_of(new) == digest_of(new)
