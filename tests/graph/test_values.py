"""Values and times are compared by what they mean, and left alone where that is not certain."""

import pytest

from swarm.graph.values import ALWAYS, Interval, read_time, read_value


@pytest.mark.parametrize(
    ("phrase", "start", "end"),
    [
        ("2024", "2024-01-01", "2024-12-31"),
        ("in May 2024", "2024-05-01", "2024-05-31"),
        ("June 2024", "2024-06-01", "2024-06-30"),
        ("February 2023", "2023-02-01", "2023-02-28"),
        ("Q3 2024", "2024-07-01", "2024-09-30"),
        ("first quarter of 2020", "2020-01-01", "2020-03-31"),
        ("as of 3 May 2024", "2024-05-03", "2024-05-03"),
        ("2024-05-03", "2024-05-03", "2024-05-03"),
        ("the 1990s", "1990-01-01", "1999-12-31"),
        ("19th century", "1801-01-01", "1900-12-31"),
        ("2024-05-03 14:30", "2024-05-03T14:30:00", "2024-05-03T14:30:00"),
    ],
)
def test_a_phrase_stands_for_days(phrase: str, start: str, end: str) -> None:
    assert read_time(phrase) == Interval(start, end)


@pytest.mark.parametrize("phrase", [None, "", "yesterday", "May 3", "soon", "12:30", "32 May 2024", "9" * 40])
def test_what_stands_for_no_certain_days_holds_at_any_time(phrase: str | None) -> None:
    assert read_time(phrase) == ALWAYS


def test_a_day_holds_its_moments_and_years_their_months() -> None:
    assert read_time("2024").overlaps(read_time("May 2024"))
    assert read_time("3 May 2024").overlaps(read_time("2024-05-03 14:30"))
    assert not read_time("2024-05-03 14:30").overlaps(read_time("2024-05-03 15:00"))
    assert not read_time("Q1 2024").overlaps(read_time("Q2 2024"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 million", "3,000,000"),
        ("5 km", "5 kilometres"),
        ("$4", "4 dollars"),
        ("Paris", "paris"),
        ("1.50", "1.5"),
    ],
)
def test_forms_of_one_value_do_not_differ(one: str, other: str) -> None:
    assert not read_value(one).differs_from(read_value(other))


@pytest.mark.parametrize(("one", "other"), [("12 wheels", "13 wheels"), ("Paris", "Lyon"), ("5%", "6%")])
def test_different_values_differ(one: str, other: str) -> None:
    assert read_value(one).differs_from(read_value(other))


def test_quantities_in_different_units_may_be_the_same() -> None:
    assert not read_value("1000", "m").differs_from(read_value("1", "km"))
    assert not read_value("5 km").differs_from(read_value("far away"))
