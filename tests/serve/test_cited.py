"""Marks in a streamed reply: what becomes a citation, where it stands, and what stays text."""

from __future__ import annotations

import random

import pytest

from swarm.serve.cited import Cited, Item, Items, Marks, cited, labels
from swarm.serve.request import Citation, Delta


def item(label: int) -> Item:
    return Item(quote=f"quote {label}", turn=label, part=0, start=label, end=label + 7)


ITEMS: Items = {label: (item(label),) for label in range(1, 13)}


def marks(text: str, items: Items = ITEMS) -> list[tuple[int, str]]:
    """Which item is cited by which characters."""
    return [(one.turn, text[one.start : one.end]) for one in cited(text, items)]


def in_pieces(text: str, sizes: random.Random) -> list[Citation]:
    found, reader, at = [], Marks(ITEMS), 0
    while at < len(text):
        size = sizes.randint(1, 5)
        found += reader.feed(text[at : at + size])
        at += size
    return found + reader.end()


def test_a_mark_leads_to_its_item_and_covers_its_own_characters() -> None:
    (one,) = cited("It is so [3].", ITEMS)
    assert one == Citation(
        start=9, end=12, quote="quote 3", turn=3, part=0, quote_start=3, quote_end=10, title="", url=""
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("so [1][2].", [(1, "[1]"), (2, "[2]")]),
        ("so [1, 2; 4].", [(1, "[1, 2; 4]"), (2, "[1, 2; 4]"), (4, "[1, 2; 4]")]),
        ("so [2-4]", [(2, "[2-4]"), (3, "[2-4]"), (4, "[2-4]")]),
        ("so [2\u20133] on", [(2, "[2\u20133]"), (3, "[2\u20133]")]),
        ("Lisbon[1].", [(1, "[1]")]),
        ("[[1]]", [(1, "[1]")]),
        ("so [ 1 ].", [(1, "[ 1 ]")]),
        ("so [1, 99]", [(1, "[1, 99]")]),
    ],
)
def test_marks_that_count(text: str, found: list[tuple[int, str]]) -> None:
    assert marks(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "so [99].",
        "so [x].",
        "so [].",
        "so [1",
        "see [1](https://example.org)",
        "[1]: https://example.org",
        "in `a[1]` there",
        "```\na[1]\n```\n",
        "```py\nx = `[1]`\n```",
        "from [1-900] on",
        "so [9-2]",
        "so [1 2",
        "[" + "1, " * 40 + "1]",
        "so [1a]",
    ],
)
def test_what_stays_text(text: str) -> None:
    assert marks(text) == []


def test_marks_after_code_and_after_a_tick_that_stands_alone_count_again() -> None:
    assert marks("`a[1]` so [2]") == [(2, "[2]")]
    assert marks("it`s a tick [1]\nso [2]") == [(2, "[2]")]
    assert marks("```\na[1]\n```\nso [2]") == [(2, "[2]")]


def test_cut_into_pieces_anywhere_it_is_the_same() -> None:
    text = "One [1]. Two [2, 3]: `x[4]` and [5](there) [6][7] ```\n[8]\n``` end [9-11] [99] [12]"
    whole = cited(text, ITEMS)
    assert [one.turn for one in whole] == [1, 6, 7, 9, 10, 11, 12]
    for seed in range(200):
        assert in_pieces(text, random.Random(seed)) == whole


def test_a_mark_is_told_with_the_piece_after_it_and_never_later() -> None:
    reader = Marks(ITEMS)
    assert reader.feed("so [1") == []
    assert reader.feed("]") == []
    assert [one.turn for one in reader.feed(".")] == [1]
    assert reader.end() == []


def test_what_rests_on_several_places_is_cited_with_all_of_them() -> None:
    assert [one.turn for one in cited("so [1]", {1: (item(5), item(6)), 2: ()})] == [5, 6]
    assert cited("so [2]", {1: (item(5),), 2: ()}) == []


def test_each_text_of_a_reply_counts_its_own_characters() -> None:
    reply = Cited(ITEMS)
    assert reply.take(Delta("a [1", (0, 0))) == []
    assert reply.take(Delta("b [2] ", (1, 0)))[0].start == 2
    assert reply.take(Delta("] ", (0, 0)))[0].start == 2
    assert reply.take(Delta("[3]", (1, 0))) == []
    assert [(place, [one.turn for one in found]) for place, found in reply.end()] == [((1, 0), [3])]
    assert [one.turn for one in reply.citations] == [2, 1, 3]


def test_of_a_long_quote_the_sentence_is_cited_that_bears_the_reply_out() -> None:
    before = "Nobody went ashore, and the lanterns burned until the morning came. " * 4
    fact = "The harbour master of Ostend kept two brass keys."
    quote = f"{before}{fact} {before}"
    long = Item(quote=quote, turn=0, part=0, start=100, end=100 + len(quote), url="swarm:/messages/0/content")
    (one,) = cited("Well then. Two keys of brass were with the harbour master of Ostend [1].", {1: (long,)})
    assert one.quote == fact
    assert (one.quote_start, one.quote_end) == (100 + len(before), 100 + len(before) + len(fact))
    assert one.url == f"swarm:/messages/0/content#char={one.quote_start},{one.quote_end}"
    (whole,) = cited("Something else altogether is said here [1].", {1: (long,)})
    assert whole.quote == quote


def test_labels_of_a_mark() -> None:
    assert labels("[1, 1, 3-4]") == [1, 3, 4]
    assert labels("[]") == labels("[-]") == labels("[1-]") == labels("[,]") == []
