import random
import time
from itertools import pairwise

import pytest

from swarm.models.extractive.sentences import FILLER, LONGEST, split


def sentences(text: str, *, lines: bool = False) -> list[str]:
    return [text[start:end] for start, end in split(text, lines=lines)]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith arrived at 3.5 p.m. with Mrs. Jones.",
        "J. R. R. Tolkien wrote it.",
        "The U.S. Army bought 1,000 of them.",
        "It costs approx. 20 dollars, i.e. not much.",
        "Version 2.0 follows RFC 2119, sec. 4.",
        "He asked himself why? and went on.",
        "Prices rose by 3.2 percent… or so it seemed.",
    ],
)
def test_points_that_end_nothing_cut_nothing(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four.", ["One.", "Two!", "Three?", "Four."]),
        ('"Go." She went.', ['"Go."', "She went."]),
        ("He left (at last). Nobody spoke.", ["He left (at last).", "Nobody spoke."]),
        ("It was I. The end.", ["It was I.", "The end."]),
        ("我来了。你呢？他走了！", ["我来了。", "你呢？", "他走了！"]),
        ("彼は「行く。」と言った。終わり。", ["彼は「行く。」", "と言った。", "終わり。"]),
        ("Heading\n\nA paragraph", ["Heading", "A paragraph"]),
        ("- one item\n- another item", ["- one item", "- another item"]),
    ],
)
def test_sentences_end_where_a_reader_says_they_do(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_wrapped_lines_are_one_sentence() -> None:
    text = "The reader that fills its window hands over to a successor through\nthe graph, and is never cut off."
    assert sentences(text) == [text]


def test_lines_of_code_stand_alone() -> None:
    assert sentences("x = 1\n\ny = f(x)\n", lines=True) == ["x = 1", "y = f(x)"]


def test_no_sentence_is_longer_than_the_longest_quotation() -> None:
    for text in ("word " * 1000, "x" * 5000, "clause, " * 500, "一" * 3000):
        parts = split(text)
        assert max(end - start for start, end in parts) <= LONGEST
        assert "".join(text[a:b] for a, b in parts).replace(" ", "") == text.replace(" ", "")


def test_offsets_are_exact_in_order_and_lose_nothing_but_white_space() -> None:
    dice = random.Random(7)
    for _ in range(300):
        text = "".join(dice.choice("ab. \n?!A1,;\"'。(「」)-") for _ in range(dice.randrange(120)))
        parts = split(text)
        assert all(0 <= start < end <= len(text) for start, end in parts)
        assert all(before[1] <= after[0] for before, after in pairwise(parts))
        assert "".join("".join(text[a:b] for a, b in parts).split()) == "".join(text.split())


def test_a_cut_never_falls_inside_an_escape() -> None:
    masked = (FILLER * 5 + "é") * 400
    assert all(masked[end - 1] == "é" for _, end in split(masked))


def test_splitting_is_linear_in_the_text() -> None:
    text = "It is said that Mr. Smith went to Washington in 1921, where he met J. Doe. Nobody knows why.\n" * 1000

    def seconds(times: int) -> float:
        began = time.process_time()
        split(text * times)
        return time.process_time() - began

    seconds(1)
    assert seconds(8) < 8 * 3 * max(seconds(1), 0.005)
