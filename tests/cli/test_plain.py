"""Text from strangers, before it reaches a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.cli.plain import clean, dollars, number, one_line, plural, seconds


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;your new title\x07text", "text"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0;2;0;0;0\x1b\\sixel", "sixel"),
        ("\x9b2Jcleared", "cleared"),
        ("over\x08\x08\x08\x08write", "overwrite"),
        ("line\rline", "line\nline"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("a\u200db \u0645\u200c\u0646", "a\u200db \u0645\u200c\u0646"),  # joiners belong to words
        ("tab\tand\nline", "tab\tand\nline"),
        ("\ud800 alone", " alone"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
    ],
)
def test_nothing_that_a_terminal_obeys_is_left(given: str, shown: str) -> None:
    assert clean(given) == shown


@given(st.text(st.characters(codec=None)))
def test_whatever_comes_in_no_control_character_comes_out(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", clean(text))
    assert "\n" not in one_line(text)


@given(st.text(), st.integers(4, 50))
def test_a_line_is_never_longer_than_asked(text: str, width: int) -> None:
    assert len(one_line(text, width)) <= width


def test_a_long_line_is_cut_between_words() -> None:
    assert one_line("one two three four five", 16) == "one two three …"


def test_counts_and_sums_are_short() -> None:
    assert [number(value) for value in (0, 9_999, 31_200, 402_118, 4_100_000, 912_000_000, 3_000_000_000)] == [
        "0", "9,999", "31.2k", "402k", "4.1M", "912M", "3.0G",
    ]  # fmt: skip
    assert [dollars(value) for value in (0, 0.0042, 0.1, 12.345)] == ["$0.00", "$0.0042", "$0.10", "$12.35"]
    assert [seconds(value) for value in (0.44, 9.99, 42.2, 59.7, 190, 7500)] == [
        "0.4 s", "10.0 s", "42 s", "1 min 0 s", "3 min 10 s", "2 h 5 min",
    ]  # fmt: skip
    assert (plural(1, "slice"), plural(1200, "slice")) == ("1 slice", "1,200 slices")
