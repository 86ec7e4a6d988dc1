import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.source import Passage, Span
from swarm.worker.quotes import Material

TEXT = (
    "He said “the harvest of 1,843 bushels – a record – was kept”.\n"
    'The engine’s devel-\nopment took  three\n\tyears. Then: \\"enough\\", caf\\u00e9, and ﬁnally peace… or not.'
)


def material(text: str, at: int = 100) -> Material:
    middle = len(text) // 2
    pieces = [(0, middle), (middle, len(text))]
    return Material(
        [
            Passage(id=n, span=Span("s", at + a, at + b), tokens=1, cut=0, context="", text=text[a:b])
            for n, (a, b) in enumerate(pieces)
        ]
    )


def quoted(text: str, quote: str) -> str | None:
    span = material(text).locate(quote)
    return None if span is None else text[span.start - 100 : span.end - 100]


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("the harvest of 1,843 bushels", "the harvest of 1,843 bushels"),
        (
            '"the harvest of 1,843 bushels - a record - was kept"',
            "the harvest of 1,843 bushels – a record – was kept",
        ),
        ("The engine's development took three years.", "The engine’s devel-\nopment took  three\n\tyears."),
        ('"enough", café', 'enough\\", caf\\u00e9'),
        ("The engine's devel-opment", "The engine’s devel-\nopment"),
        ("and finally peace... or not", "and ﬁnally peace… or not"),
    ],
)
def test_a_quote_is_found_whatever_its_typography(quote: str, found: str) -> None:
    assert quoted(TEXT, quote) == found


@pytest.mark.parametrize(
    "quote",
    [
        "the harvest of 1,844 bushels",
        "harvest the of",
        "the harvest of 1,843 bushels was kept",
        "",
        "  ",
        "e",
        "''",
    ],
)
def test_a_quote_that_does_not_stand_there_is_rejected(quote: str) -> None:
    assert quoted(TEXT, quote) is None


def test_a_quote_does_not_run_across_two_sources() -> None:
    passages = [
        Passage(id=n, span=Span(source, 0, 5), tokens=1, cut=9, context="", text=text)
        for n, (source, text) in enumerate([("a", "alpha"), ("b", " beta")])
    ]
    assert Material(passages).locate("alpha beta") is None


@given(st.text(min_size=8, max_size=200), st.data())
def test_every_stretch_of_the_text_is_found_as_itself(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 4))
    end = data.draw(st.integers(start + 3, len(text)))
    quote = text[start:end]
    if len(quote.strip()) < 3:
        return
    assert quoted(text, quote) == quote.strip()


@given(st.lists(st.text("abc\u00ad\u00e9ﬁ1'’“ -–\n\t\\\"u0", min_size=1, max_size=12), min_size=1, max_size=8))
def test_a_quote_with_other_white_space_is_found_where_it_stands(words: list[str]) -> None:
    text = "\n ".join(words)
    found = quoted(text, " ".join(text.split()))
    if found is not None:
        assert found in text
