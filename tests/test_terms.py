import apsw
import pytest

from swarm.terms import question_terms, spaced, stem, terms

TEXT = (
    "Running ponies were relational databases; the generously caressed skies of Zürich, naïve façades, "
    "and 3.5 million 日本語 flies that hopped, oscillators, happily adjusted conditional rationality"
)


def test_stems_are_those_of_the_full_text_index() -> None:
    database = apsw.Connection(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize='porter unicode61 remove_diacritics 2')")
    database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, 'row')")
    database.execute("INSERT INTO t VALUES (?)", (spaced(TEXT),))
    assert set(terms(TEXT)) == {row[0] for row in database.execute("SELECT term FROM v")}


def test_case_and_accents_make_no_difference() -> None:
    assert stem("Façades") == stem("FACADES") == stem("facade")


def test_a_question_is_its_telling_words_once_and_in_order() -> None:
    assert question_terms("Who was the mother of the mother of Alexander?") == ["mother", stem("Alexander")]


@pytest.mark.parametrize("question", ["", "Who is it?", "?!", "How many?"])
def test_a_question_without_telling_words_has_no_terms(question: str) -> None:
    assert question_terms(question) == []


def test_each_character_of_a_script_without_blanks_is_a_term() -> None:
    assert terms("東京 tower") == ["東", "京", "tower"]
