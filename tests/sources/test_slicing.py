"""Slices cover the corpus once, fit the budget, and end where a reader would stop."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.source import Corpus, Passage, Span
from swarm.sources.gather import gather
from swarm.sources.slicing import OVERHEAD, by_record, by_source, halve, pack
from swarm.store.library import Library
from swarm.tokens import o200k

WORDS = ["the", "captain", "said", "nothing", "日本語", "extraordinarily", "x9", "don’t", "ok"]


def passage(number: int, source: str, start: int, end: int, tokens: int, cut: int) -> Passage:
    return Passage(id=number, span=Span(source, start, end), tokens=tokens, cut=cut, context="")


@st.composite
def corpora(draw) -> list[Passage]:
    """The passages of a few sources, without a text behind them."""
    made: list[Passage] = []
    for source in range(draw(st.integers(1, 4))):
        at = 0
        for number in range(draw(st.integers(1, 25))):
            tokens = draw(st.integers(1, 60))
            cut = 9 if not number else draw(st.integers(0, 8))
            made.append(passage(len(made), f"s{source}", at, at + 3 * tokens, tokens, cut))
            at += 3 * tokens
    return made


def covered(slices) -> list[Span]:
    """The spans of slices with neighbours put together, in order."""
    spans: list[Span] = []
    for slice_, _ in slices:
        for span in slice_:
            if spans and spans[-1].source == span.source and spans[-1].end == span.start:
                spans[-1] = Span(span.source, spans[-1].start, span.end)
            else:
                spans.append(span)
    return spans


def whole(passages: list[Passage]) -> list[Span]:
    ends = {p.span.source: p.span.end for p in passages}
    return [Span(source, 0, end) for source, end in ends.items()]


@given(corpora(), st.integers(100, 400))
def test_slices_cover_every_character_once_and_in_order_and_fit_the_budget(passages, budget):
    slices = list(pack(passages, budget))
    assert covered(slices) == whole(passages)
    for spans, tokens in slices:
        assert spans
        assert tokens <= budget
        inside = [
            p
            for p in passages
            if any(p.span.source == s.source and s.start <= p.span.start < s.end for s in spans)
        ]
        assert tokens == sum(p.tokens + 1 for p in inside) + OVERHEAD * len({s.source for s in spans})


@given(corpora(), st.integers(100, 400))
def test_a_slice_ends_at_the_strongest_cut_of_its_last_quarter(passages, budget):
    starts = {p.span[:2]: at for at, p in enumerate(passages)}
    begins = [starts[spans[0][:2]] for spans, _ in pack(passages, budget)]
    for first, following in pairwise(begins):
        total, candidates = 0, []
        for at in range(first, len(passages)):
            fresh = at == first or passages[at].span.source != passages[at - 1].span.source
            if at > first and total >= 0.75 * budget:
                candidates.append((passages[at].cut, at))
            total += passages[at].tokens + 1 + (OVERHEAD if fresh else 0)
            if total > budget:
                candidates.append((passages[at].cut, at))
                break
        assert following == max(candidates)[1]


@given(corpora())
def test_passages_larger_than_the_budget_stand_alone_where_no_library_is_given(passages):
    slices = list(pack(passages, 30))
    assert covered(slices) == whole(passages)
    assert all(tokens <= 30 or len(spans) == 1 for spans, tokens in slices)


def test_packing_is_one_pass_that_holds_no_more_than_a_slice():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield passage(taken, "s0", 10 * taken, 10 * taken + 10, 5, 1)

    slices = pack(endless(), 600)
    for number in range(1, 50):
        next(slices)
        assert taken <= 110 * number


@given(corpora(), st.integers(100, 400))
def test_one_slice_an_input_or_more_where_it_is_large(passages, budget):
    slices = list(by_source(Corpus(sources=()), passages, budget))
    assert covered(slices) == whole(passages)
    assert all(len({span.source for span in spans}) == 1 and tokens <= budget for spans, tokens in slices)
    sizes = {s: sum(p.tokens + 1 for p in passages if p.span.source == s) for s, _, _ in whole(passages)}
    for source, size in sizes.items():
        if size + OVERHEAD <= budget:
            assert sum(spans[0].source == source for spans, _ in slices) == 1


@given(corpora(), st.integers(100, 400))
def test_one_slice_a_record_or_more_where_it_is_large(passages, budget):
    slices = list(by_record(Corpus(sources=()), passages, budget))
    assert covered(slices) == whole(passages)
    begins = {spans[0][:2] for spans, _ in slices}
    assert {p.span[:2] for p in passages if p.cut >= 2} <= begins


def story(pick: random.Random) -> str:
    pieces = []
    for _ in range(pick.randrange(1, 60)):
        pieces.append(
            " ".join(pick.choices(WORDS, k=pick.randrange(1, 80))) + pick.choice([". ", "\n\n", ".\n", " "])
        )
        if pick.random() < 0.1:
            pieces.append(f"\n\n# Heading {len(pieces)}\n\n")
        if pick.random() < 0.05:
            pieces.append("x" * pick.randrange(50, 3_000) + " ")
    return "".join(pieces) + "end"


@pytest.fixture
async def stories(library: Library, write) -> tuple[Corpus, dict[str, str]]:
    pick = random.Random(5)
    texts = {f"{number}.md": story(pick) for number in range(6)}
    for name, text in texts.items():
        write(name, text)
    corpus = await gather(["."], library)
    return corpus, {source.id: texts[source.path] for source in corpus.sources}


def torn(text: str, at: int) -> str:
    """The word that a cut at `at` goes through; nothing where it goes between two."""
    if at == 0 or text[at].isspace() or text[at - 1].isspace():
        return ""
    return text[:at].split()[-1] + text[at:].split()[0]


@pytest.mark.parametrize("budget", [40, 90, 200, 1_000, 100_000])
async def test_with_a_library_no_budget_is_passed_and_no_word_is_cut_that_fits(library, stories, budget):
    corpus, texts = stories
    slices = list(pack(library.passages(corpus), budget, library=library))
    assert covered(slices) == [Span(source.id, 0, source.chars) for source in corpus.sources]
    for spans, tokens in slices:
        assert sum(o200k(library.text(span)) for span in spans) <= tokens <= budget
        for source, start, _ in spans:
            text = texts[source]
            if word := torn(text, start):
                # no room in a slice, or none in a passage
                assert o200k(word) > budget - OVERHEAD - 1 or len(word) > 900


async def test_halving_goes_on_down_to_single_characters_and_loses_none(library, stories):
    corpus, _ = stories
    spans = tuple(Span(source.id, 0, source.chars) for source in corpus.sources[:2])
    todo, leaves, rounds = [spans], [], 0
    while todo:
        rounds += 1
        part = todo.pop()
        halves = halve(part, library)
        if halves is None or sum(span.end - span.start for span in part) < 5:
            leaves.append(part)
        else:
            todo += reversed(halves)
    assert covered((leaf, 0) for leaf in leaves) == list(spans)
    single = leaves[0][0]
    assert halve((Span(single.source, single.start, single.start + 1),), library) is None
    assert halve((), library) is None


async def test_halves_are_about_equal_and_cut_between_words(library, stories):
    corpus, texts = stories
    for spans, tokens in pack(library.passages(corpus), 2_000):
        if tokens < 400:
            continue
        halves = halve(spans, library)
        assert halves is not None
        sizes = [sum(o200k(library.text(span)) for span in half) for half in halves]
        assert min(sizes) > 0.15 * sum(sizes)
        source, start, _ = halves[1][0]
        assert not torn(texts[source], start) or len(torn(texts[source], start)) > 900


async def test_each_row_of_a_table_is_a_slice_of_its_own_however_small(library, write):
    write("people.csv", 'name,age\nAnn,31\nBob,27\n"Cy\nril",9\n')
    write("lines.jsonl", '{"n": 1}\n{"n": 2}\n')
    corpus = await gather(["people.csv", "lines.jsonl"], library)
    slices = list(by_record(corpus, library.records(corpus), 1_000))
    texts = ["".join(library.text(span) for span in spans) for spans, _ in slices]
    assert texts == ["name,age\nAnn,31\n", "Bob,27\n", '"Cy\nril",9\n', '{"n": 1}\n', '{"n": 2}\n']


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=3_000),
    st.integers(30, 300),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
async def test_any_text_packs_into_any_budget(library, folder, text, budget):
    (folder / "a.txt").write_text(text + "x", newline="")
    corpus = await gather(["a.txt"], library)
    (source,) = corpus.sources
    slices = list(pack(library.passages(corpus), budget, library=library))
    assert covered(slices) == [Span(source.id, 0, source.chars)]
    assert all(tokens <= budget for _, tokens in slices)
