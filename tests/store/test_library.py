"""The library keeps text once, opens it in small pieces, and finds in a corpus what is in that corpus."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import blake2b
from math import log
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm.errors import StoreError
from swarm.source import Corpus, Source, Span
from swarm.store import intake as intake_module
from swarm.store.database import Database
from swarm.store.intake import (
    PLACES_LINE_MARKS,
    PLACES_LINES,
    PLACES_NONE,
    PLACES_PAGE_MARKS,
    Draft,
    Intake,
    Stamp,
    line_ends,
)
from swarm.store.library import Library
from swarm.terms import question_terms, terms
from swarm.tokens import o200k

Put = Callable[..., Source]


@pytest.fixture
def library(tmp_path):
    database = Database.open(tmp_path / "store.db")
    yield Library(database)
    database.close()


def add(intake: Intake, path: str, *texts: str, places: str = PLACES_LINES, context: str = "", **more) -> Source:
    """A source of these passages."""
    whole = "".join(texts)
    id_ = "s" + blake2b(whole.encode(), digest_size=8).hexdigest()
    intake.begin(source=id_, media="text", places=places, size=len(whole.encode()))
    for text in texts:
        intake.add(Draft(text=text, tokens=o200k(text), cut=1, context=context, **more))
    return Source(id=id_, path=path, media="text", chars=intake.finish(), bytes=len(whole.encode()))


@pytest.fixture
def put(library: Library) -> Put:
    def put(path: str, *texts: str, **more) -> Source:
        with library.intake() as intake:
            source = add(intake, path, *texts, **more)
            library.database.write_sync(intake.take().write)
        return source

    return put


def corpus_of(*sources: Source) -> Corpus:
    return Corpus(sources=sources)


def test_any_span_of_a_source_has_its_text(library, put, monkeypatch):
    monkeypatch.setattr(intake_module, "BLOCK_CHARS", 100)
    pieces = [f"passage {n} " * (n % 7 + 1) for n in range(60)]
    source, whole = put("a.txt", *pieces), "".join(pieces)
    pick = random.Random(1)
    for _ in range(300):
        start, end = sorted(pick.choices(range(len(whole) + 1), k=2))
        assert library.text(Span(source.id, start, end)) == whole[start:end]
        assert "".join(p.text for p in library.passages_in([Span(source.id, start, end)])) == whole[start:end]
    assert library.text(Span(source.id, 0, len(whole) + 50)) == whole


def test_text_with_any_characters_is_kept(library, put):
    texts = ["nul \0 in it ", "wide 日本 \U0001f469\u200d\U0001f467 ", "quote ' \" \\ ", "\r\n\r\n"]
    source = put("a.txt", *texts)
    assert library.text(Span(source.id, 0, 999)) == "".join(texts)
    assert [p.text for p in library.with_text(library.passages(corpus_of(source)))] == texts


@given(st.lists(st.text("a\n\r", min_size=1, max_size=12).filter(lambda t: not t.endswith("\r")), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_a_span_leads_back_to_its_line(library, put, texts):
    whole = "".join(texts)
    if library.source("s" + blake2b(whole.encode(), digest_size=8).hexdigest()):
        return
    source = put("a.txt", *texts)
    for at in range(len(whole)):
        before = whole[:at]
        if whole[at - 1 : at + 1] != "\r\n":
            line = before.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1
            assert str(library.locate(Span(source.id, at, at + 1), "a.txt")) == f"a.txt:{line}"


def test_lines_are_counted_across_blocks(library, put, monkeypatch):
    monkeypatch.setattr(intake_module, "BLOCK_CHARS", 50)
    texts = [f"line {n}\r\n" for n in range(200)]
    source = put("a.txt", *texts)
    assert [library.locate(Span(source.id, at * 8, at * 8 + 1), "a").line for at in range(3)] == [1, 2, 3]
    start = len("".join(texts[:150]))
    assert library.locate(Span(source.id, start, start + 1), "a").line == 151


def test_line_ends_of_every_kind_are_counted_once():
    assert line_ends("a\nb\r\nc\rd\r\n\r\n") == 5


@pytest.mark.parametrize(
    ("places", "shown"),
    [
        (PLACES_PAGE_MARKS, ["a:p3", "a:p3", "a:p7"]),
        (PLACES_LINE_MARKS, ["a:3", "a:3", "a:7"]),
        (PLACES_NONE, ["a"] * 3),
    ],
)
def test_marks_lead_back_to_pages_or_lines(library, places, shown):
    with library.intake() as intake:
        intake.begin(source="s1", media="pdf", places=places, size=1)
        intake.add(Draft("abcdef", 1, 1, marks=((0, 3),)))
        intake.add(Draft("ghijkl", 1, 1, marks=((2, 7),)))
        intake.finish()
        library.database.write_sync(intake.take().write)
    assert [str(library.locate(Span("s1", at, at + 1), "a")) for at in (0, 7, 8)] == shown


def test_passages_come_in_the_order_of_the_corpus_with_titles_from_its_paths(library, put):
    one = put("x/one.md", "a ", "b ", context="Part")
    two = put("two.txt", "c ")
    three = put("three.txt", "d ", "e ")
    corpus = corpus_of(three, one, two)
    found = [(p.span.source, p.span.start, p.context) for p in library.passages(corpus)]
    assert found == [
        (three.id, 0, "three"), (three.id, 2, "three"), (one.id, 0, "one > Part"), (one.id, 2, "one > Part"),
        (two.id, 0, "two"),
    ]  # fmt: skip
    assert [p.cut for p in library.passages(corpus)] == [9, 1, 9, 1, 9]
    assert [p.text for p in library.passages_in([Span(one.id, 1, 3)])] == [" ", "b"]
    assert {p.context for p in library.passages_in([Span(one.id, 1, 3)], {one.id: one.path})} == {"one > Part"}


def test_a_clipped_passage_counts_its_own_tokens_and_begins_within(library, put):
    source = put("a.txt", "several words in one passage ")
    (clipped,) = library.passages_in([Span(source.id, 8, 20)])
    assert (clipped.text, clipped.tokens, clipped.cut) == ("words in one", o200k("words in one"), 0)


def test_records_that_share_a_passage_come_one_by_one(library, put):
    source = put("a.csv", "h\n1\n2\n3\n", records=(4, 6))
    found = list(library.records(corpus_of(source)))
    assert [library.text(p.span) for p in found] == ["h\n1\n", "2\n", "3\n"]
    assert [p.cut for p in found] == [9, 2, 2]
    assert [p.tokens for p in found] == [o200k("h\n1\n"), 2, 2]


def test_a_source_that_the_store_does_not_hold_is_one_clear_line(library):
    with pytest.raises(StoreError, match="does not hold source s404: gather its file again"):
        library.text(Span("s404", 0, 1))


# Searching


def texts_about(words: list[str], count: int, seed: int) -> list[str]:
    pick = random.Random(seed)
    return [" ".join(pick.choices(words, k=pick.randrange(3, 40))) + f" n{n}\n" for n in range(count)]


WORDS = "whale captain ship sea sailing harpoon Ahab the of and a old man said running runs ran".split()


def expected_scores(question: str, texts: list[str]) -> dict[str, float]:
    """BM25 from its definition."""
    bags = [terms(text) for text in texts]
    lengths = [o200k(text) for text in texts]
    mean = sum(lengths) / len(lengths)
    scores = dict.fromkeys(texts, 0.0)
    for term in question_terms(question):
        holding = sum(term in bag for bag in bags)
        idf = log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for text, bag, length in zip(texts, bags, lengths, strict=True):
            tf = bag.count(term)
            scores[text] += idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * length / mean))
    return {text: score for text, score in scores.items() if score}


def test_the_search_ranks_by_bm25_over_the_corpus_alone(library, put):
    texts = texts_about(WORDS, 80, seed=1)
    put("before.txt", *texts_about(WORDS, 50, seed=2))
    source = put("mine.txt", *texts)
    put("after.txt", *texts_about(WORDS, 90, seed=3))
    question = "Was Captain Ahab running from the whale?"
    found = library.search(question, corpus_of(source), 1_000)
    expected = expected_scores(question, texts)
    assert {p.text: pytest.approx(p.score) for p in found} == expected
    assert [p.score for p in found] == sorted(expected.values(), reverse=True)
    assert {p.span.source for p in found} == {source.id}
    assert library.search(question, corpus_of(source), 5) == found[:5]
    statistics = library.statistics(question, corpus_of(source))
    assert statistics.passages == 80
    assert statistics.frequency == {
        term: sum(term in terms(text) for text in texts) for term in ["captain", "ahab", "run", "whale"]
    }
    assert statistics.mean_tokens == pytest.approx(sum(map(o200k, texts)) / 80)


def test_the_same_corpus_scores_the_same_whatever_else_the_store_holds(tmp_path):
    texts = [texts_about(WORDS, 30, seed=n) for n in range(40)]
    found = []
    for extra in (0, 25):
        database = Database.open(tmp_path / f"{extra}.db")
        library = Library(database)
        sources = []
        with library.intake() as intake:
            for number, part in enumerate(texts):
                sources.append(add(intake, f"{number}.txt", *part))
                if extra:
                    add(intake, "x", *texts_about(WORDS, extra, seed=100 + number))
            database.write_sync(intake.take().write)
        passages = library.search("old captain of the ship", corpus_of(*sources), 200)
        found.append([(p.span, p.score) for p in passages])
        database.close()
    assert found[0] == found[1]


def test_equals_come_in_the_order_of_the_corpus(library, put):
    first, second = put("first.txt", "a whale\n"), put("second.txt", "a whale \n")
    for corpus in (corpus_of(first, second), corpus_of(second, first)):
        found = library.search("whale", corpus, 1)
        assert [p.span.source for p in found] == [corpus.sources[0].id]


def test_searches_over_two_corpora_from_two_threads_do_not_meet(library, put):
    sources = [put(f"{n}.txt", *texts_about(WORDS, 20, seed=n)) for n in range(2)]
    found: list[set[str]] = [set(), set()]

    def search(number: int) -> None:
        corpus = corpus_of(sources[number])
        for _ in range(50):
            found[number] |= {p.span.source for p in library.search("old captain", corpus, 5)}

    threads = [threading.Thread(target=search, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{sources[0].id}, {sources[1].id}]


@pytest.mark.parametrize(
    "question",
    [
        'whale" OR "',
        "whale AND NOT ship",
        "text:whale",
        "whale*",
        "^whale",
        "NEAR(whale ship)",
        "'; DROP TABLE x",
        "whale \0",
    ],
)
def test_no_question_reaches_the_query_language(library, put, question):
    source = put("a.txt", "a whale\n", "a ship\n", "something else\n")
    assert (
        "a whale\n" in [p.text for p in library.search(question, corpus_of(source), 10)] or "whale" not in question
    )


@pytest.mark.parametrize("question", ["", "   ", "?!", "who is it", "zzzz"])
def test_a_question_without_words_to_look_for_finds_nothing(library, put, question):
    source = put("a.txt", "a whale\n")
    assert library.search(question, corpus_of(source), 10) == []
    assert sum(library.statistics(question, corpus_of(source)).frequency.values()) == 0
    assert library.search("whale", Corpus(sources=()), 10) == []
    assert library.search("whale", corpus_of(source), 0) == []


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("吾輩は猫である。名前はまだ無い。", "猫"),
        ("한국어 문장입니다", "문장"),
        ("Das Café an der Straße", "cafe"),
        ("cafe", "Café"),
        ("an apology was made", "apologies"),
        ("It was incredibly nimble", "incredible"),
        ("ΑΘΉΝΑ", "αθήνα"),
        ("ёлка", "ёлка"),
    ],
)
def test_words_are_found_across_forms_accents_and_scripts(library, put, text, question):
    source = put("a.txt", text, "nothing of the kind")
    assert [p.text for p in library.search(question, corpus_of(source), 5)] == [text]
    assert 1 in library.statistics(question, corpus_of(source)).frequency.values()


def test_headings_and_paths_count_less_than_the_text_but_count(library, put):
    named = put("whales.txt", "it swims there\n", "nothing\n")
    headed = put("b.txt", "it swims here\n", context="On whales")
    texted = put("c.txt", "it swims, a whale\n")
    neither = put("d.txt", "it swims alone\n")
    found = library.search("Which whale swims?", corpus_of(neither, headed, named, texted), 10)
    assert [p.span.source for p in found][0::3] == [texted.id, neither.id]


def test_what_the_search_is_to_see_may_differ_from_the_text(library, put):
    source = put("a.jsonl", '{"t": "caf\\u00e9\\nnoir"}', indexed='{"t": "café\nnoir"}')
    assert [p.text for p in library.search("noir", corpus_of(source), 5)] == ['{"t": "caf\\u00e9\\nnoir"}']


# Writing


def test_what_a_dead_process_left_half_written_is_cleared(tmp_path):
    script = """
import os, sys
from pathlib import Path
from swarm.store.database import Database
from swarm.store.intake import Draft
from swarm.store.library import Library

library = Library(Database.open(Path(sys.argv[1])))
with library.intake() as intake:
    for source in ("s1", "s2"):
        intake.begin(source=source, media="text", places="lines", size=10)
        for n in range(50):
            intake.add(Draft(f"whale {n} ", 2, 1, marks=((0, n + 1),)))
        if source == "s1":
            intake.finish()
        library.database.write_sync(intake.take().write)
    os._exit(9)
"""
    path = tmp_path / "store.db"
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode == 9
    database = Database.open(path)
    library = Library(database)
    assert library.source("s1") is not None
    assert library.source("s2") is None
    with library.intake() as intake:
        intake.begin(source="s2", media="text", places=PLACES_LINES, size=10)
        intake.add(Draft("whale again", 2, 1))
        source = Source(id="s2", path="b", media="text", chars=intake.finish(), bytes=10)
        database.write_sync(intake.take().write)
    assert [p.text for p in library.search("whale", corpus_of(source), 100)] == ["whale again"]
    assert library.text(Span("s2", 0, 99)) == "whale again"
    assert database.read("SELECT count(*) FROM passages") == [(51,)]
    assert database.read("SELECT count(*) FROM passage_index_docsize") == [(51,)]
    assert database.read("SELECT count(*) FROM marks WHERE source > 1") == [(0,)]
    database.close()


def test_an_abandoned_source_leaves_nothing(library, monkeypatch):
    monkeypatch.setattr(intake_module, "BATCH_CHARS", 50)
    with library.intake() as intake:
        intake.begin(source="s1", media="text", places=PLACES_LINES, size=10)
        for n in range(30):
            intake.add(Draft(f"whale {n} ", 2, 1))
            if intake.full:
                library.database.write_sync(intake.take().write)
        intake.abandon()
        kept = add(intake, "b.txt", "a whale")
        library.database.write_sync(intake.take().write)
    for table in ("sources", "blocks", "passages", "passage_index_docsize"):
        assert library.database.read(f"SELECT count(*) FROM {table}") == [(1,)]
    assert [p.text for p in library.search("whale", corpus_of(kept), 100)] == ["a whale"]


def test_a_batch_is_full_by_characters_long_before_it_is_large(library):
    with library.intake() as intake:
        intake.begin(source="s1", media="text", places=PLACES_LINES, size=10)
        added = 0
        while not intake.full:
            intake.add(Draft("word " * 200, 200, 1))
            added += 1_000
        assert added < 3_000_000
        intake.abandon()
        library.database.write_sync(intake.take().write)


def test_only_one_intake_is_open_at_a_time_and_waiting_can_be_stopped(library):
    stopped = threading.Event()
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            with library.intake(stopped.is_set):
                pass
        except InterruptedError as error:
            caught.append(error)

    with library.intake():
        waiting = threading.Thread(target=wait)
        waiting.start()
        stopped.set()
        waiting.join()
    assert len(caught) == 1
    with library.intake():
        pass


def test_a_file_is_known_by_what_the_file_system_shows(library, tmp_path: Path):
    stamp = Stamp(path=str(tmp_path / "a"), size=3, mtime_ns=5, inode=7, reader=1)
    other = stamp._replace(path=str(tmp_path / "b"))
    with library.intake() as intake:
        source = add(intake, "a", "abc")
        intake.remember(stamp, b"hash", source.id, None)
        intake.remember(other, b"", None, "binary")
        library.database.write_sync(intake.take().write)
    known = library.known([stamp.path, other.path, "/nowhere"])
    assert known[stamp.path].stamp == stamp
    assert known[stamp.path].source == Source(id=source.id, path="", media="text", chars=3, bytes=3)
    assert (known[other.path].source, known[other.path].skip) == (None, "binary")
    assert set(known) == {stamp.path, other.path}
