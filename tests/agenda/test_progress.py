"""When a run gets nowhere, measures say so; when it does get somewhere, no measure stops it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.agenda.progress import Progress, Repeats
from swarm.errors import UsageError

IDLE: dict[str, Any] = {"done": 5, "claims": 9, "score": None, "proposed": 0, "admitted": 0}


def told(progress: Progress, rounds: int, **changed: Any) -> list[str | None]:
    return [progress.round(**{**IDLE, **changed}) for _ in range(rounds)]


def test_work_that_stands_still_stops_after_as_many_rounds_as_it_has_patience() -> None:
    assert told(Progress(3), 4) == [
        None,
        None,
        None,
        "no progress in 3 rounds of planning: still 5 slices done and 9 claims, and nothing new to do",
    ]
    assert told(Progress(1), 2)[1] is not None


def test_it_goes_on_while_slices_bring_something_new_or_the_plan_grows() -> None:
    progress = Progress(1)
    for at in range(1, 50):
        assert progress.round(done=at, claims=at, score=None, proposed=0, admitted=0) is None
    for _ in range(50):
        assert progress.round(done=49, claims=49, score=None, proposed=4, admitted=1) is None


def test_slices_that_bring_nothing_new_are_no_progress() -> None:
    progress = Progress(2)
    said = [progress.round(done=at, claims=7, score=None, proposed=0, admitted=0) for at in range(1, 4)]
    assert said[:2] == [None, None]
    assert said[2] is not None


def test_a_better_score_is_progress_whatever_anyone_says_is_missing() -> None:
    progress = Progress(1)
    for at in range(20):
        assert progress.round(**{**IDLE, "done": at, "score": at / 20, "missing": ["the tests pass"]}) is None
    said = progress.round(**{**IDLE, "done": 20, "score": 0.95, "missing": ["The  tests pass."]})
    assert said == "the same is asked for again: The tests pass."


def test_a_score_that_only_comes_back_to_where_it_was_is_none() -> None:
    progress = Progress(3)
    scores = [0.5, 0.2, 0.5, 0.2, 0.5]
    said = [progress.round(**{**IDLE, "score": score}) for score in scores]
    assert said[:3] == [None] * 3
    assert said[3] == (
        "no progress in 3 rounds of planning: still 5 slices done and 9 claims, and nothing new to do, "
        "and a score of 0.5 at the best"
    )


def test_a_score_that_is_no_number_counts_for_nothing() -> None:
    assert told(Progress(2), 3, score=float("nan"))[2] is not None


def test_proposing_what_is_known_is_no_progress() -> None:
    progress = Progress(3)
    said = [progress.round(done=at, claims=at, score=None, proposed=6, admitted=0) for at in range(3)]
    assert said[-1] == (
        "no progress in 3 rounds of planning: all that was proposed is known (2 slices done, 2 claims)"
    )


def test_the_same_gap_named_again_after_work_on_it_is_a_circle() -> None:
    progress = Progress(2)

    def missing(done: int, *texts: str) -> str | None:
        return progress.round(done=done, claims=done, score=None, proposed=2, admitted=2, missing=texts)

    assert missing(1, "costs of 2024") is None
    assert missing(1, "Costs of 2024.") is None, "nothing was done since"
    assert missing(4, "costs  of 2024") is None
    assert missing(5, "costs of 2024", "costs of 2025") is None, "something else is missing as well"
    assert missing(6, "costs of 2025", "costs of 2024") is None
    assert missing(7, "costs of 2024") == "the same is asked for again: costs of 2024"


def test_no_patience_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="patience is 0"):
        Progress(0)


ROUNDS = st.lists(
    st.fixed_dictionaries(
        {
            "done": st.integers(0, 4),
            "claims": st.integers(0, 4),
            "score": st.none() | st.sampled_from([0.1, 0.2]),
            "proposed": st.integers(0, 2),
            "admitted": st.integers(0, 2),
            "missing": st.lists(st.sampled_from(["a", "A.", "b", ""]), max_size=2),
        }
    ),
    max_size=12,
)


@given(ROUNDS, st.integers(0, 12), st.integers(1, 4))
def test_told_the_same_again_it_says_the_same(rounds: list[dict[str, Any]], at: int, patience: int) -> None:
    whole, before, after = Progress(patience), Progress(patience), Progress(patience)
    said = [whole.round(**one) for one in rounds]
    assert [before.round(**one) for one in rounds[:at]] == said[:at]
    for one in rounds[:at]:
        after.round(**one)
    assert [after.round(**one) for one in rounds[at:]] == said[at:]


@given(ROUNDS, st.integers(1, 4))
def test_standing_still_always_ends(rounds: list[dict[str, Any]], patience: int) -> None:
    progress = Progress(patience)
    for one in rounds:
        progress.round(**one)
    assert told(progress, patience + 1)[-1] is not None


NOTES = " ".join(f"the {word} was read and compared with the ledger" for word in "abcdefghijklmnopqrst")


def test_the_same_words_are_a_repetition_however_spaced() -> None:
    repeats = Repeats()
    assert not repeats.seen("I read chapter one.", "ch2.txt")
    assert not repeats.seen("I read chapter two.", "ch3.txt")
    assert repeats.seen("i  read chapter ONE", "ch2.txt")
    assert not repeats.seen("I read chapter one.", "ch4.txt")


def test_nearly_the_same_words_are_a_repetition() -> None:
    repeats = Repeats()
    assert not repeats.seen(NOTES)
    assert repeats.seen(NOTES + " indeed")
    assert not repeats.seen(NOTES[: len(NOTES) // 2])


def test_a_counter_that_moved_on_is_none() -> None:
    repeats = Repeats()
    assert not any(repeats.seen(f"{NOTES} up to record {at}") for at in range(100))


def test_a_repetition_is_found_however_long_ago() -> None:
    repeats = Repeats()
    assert not any(repeats.seen(f"note {at}") for at in range(1_000))
    assert repeats.seen("note 0")
