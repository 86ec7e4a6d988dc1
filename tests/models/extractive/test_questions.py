import pytest

from swarm.models.extractive.kinds import holds, kind_of
from swarm.models.extractive.query import understand
from swarm.names import names
from swarm.task import TermStatistics


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where was Abdul-Aziz bin Muhammad born?", ["Abdul-Aziz bin Muhammad"]),
        ('The song "Back in Time" was written by Alice Munro in March 1982.', ["Back in Time", "Alice Munro"]),
        ("However, nobody in Paris knew the University of Chicago.", ["Paris", "University of Chicago"]),
        ("He met J. Doe. The rest is silence.", ["J Doe"]),
    ],
)
def test_names_are_told_by_their_capitals(text: str, expected: list[str]) -> None:
    assert [name.text for name in names(text)] == expected


def test_quoted_speech_is_no_title() -> None:
    found = [name.text for name in names('He said: "It is impossible that I should ever marry you." So it was.')]
    assert not any("impossible" in name for name in found)


def test_dates_and_openers_are_no_names() -> None:
    assert names("In January 1902 it began. On Monday it ended. During the war nothing happened.") == []


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who wrote it?", "person"),
        ("When did it begin, and who began it?", "time"),
        ("In what year was it built?", "time"),
        ("How many people live there?", "number"),
        ("Where does it rise?", "place"),
        ("Are both of them rivers?", "choice"),
        ("What does it do?", "other"),
    ],
)
def test_the_kind_of_a_question_is_told_by_its_first_words(question: str, kind: str) -> None:
    assert kind_of(question) == kind


def test_a_text_holds_the_kind_of_thing_asked_for() -> None:
    assert holds("time", "It was built in 1889.")
    assert not holds("time", "It was built long ago.")
    assert holds("number", "It has three floors.")
    assert holds("person", "It was built by Eiffel.")


def test_rare_words_weigh_more_than_common_ones() -> None:
    statistics = TermStatistics(passages=1000, mean_tokens=100, frequency={"zebra": 2, "citi": 600})
    query = understand("Which city has a zebra?", statistics)
    assert query.share({"zebra"}) > 0.9
    assert query.share({"zebra", "citi"}) == pytest.approx(1.0)


def test_without_statistics_those_of_the_texts_stand_in() -> None:
    query = understand("zebra city", TermStatistics(), ["a city", "another city", "a city with a zebra"])
    assert query.weights["zebra"] > query.weights["citi"]


def test_questions_of_several_steps_are_told_by_what_joins_them() -> None:
    one = understand("When was the tower built?", TermStatistics())
    several = understand("Where was the father of the man that built the tower born?", TermStatistics())
    assert one.nested < several.nested
