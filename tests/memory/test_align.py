"""A list of messages is known again: whole, grown, in part, or only what is new."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from swarm.memory.align import SURE, SURE_CHARS, aligned


class Kept:
    """Digests in a list, as a memory has them in tables."""

    def __init__(self, digests: Sequence[bytes] = ()) -> None:
        self.all = list(digests)
        self.looked_at = 0

    def __len__(self) -> int:
        return len(self.all)

    def digests(self, first: int, count: int) -> list[bytes]:
        found = self.all[first - 1 : first - 1 + count]
        self.looked_at += len(found)
        return found

    def places(self, digest: bytes, limit: int) -> list[int]:
        return [at + 1 for at in range(len(self.all) - 1, -1, -1) if self.all[at] == digest][:limit]

    def after(self, digest: bytes, place: int) -> int:
        return next((at + 1 for at in range(place, len(self.all)) if self.all[at] == digest), 0)

    def told_by_system(self, first: int) -> int:
        return sum(one.startswith(b"system") for one in self.all[first - 1 :])

    def take(self, given: Sequence[bytes]) -> list[int]:
        places = aligned(given, self, [_tells(one) for one in given])
        self.all += [one for one, place in zip(given, places, strict=True) if not place]
        return places


def _tells(digest: bytes) -> int:
    """As of texts, but for single words, which stand for what nobody says twice by chance."""
    if digest.startswith(b"system "):
        return 0
    return len(digest) if b" " in digest or digest in SHORT else SURE_CHARS // SURE + 1


SHORT = (b"ok", b"continue", b"Done.", b"thanks")
few = st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=12)
"""Lists in which the same is said often."""
distinct = st.lists(st.integers(0, 10_000), unique=True, max_size=30).map(
    lambda numbers: [b"%d" % number for number in numbers]
)


@given(few)
def test_the_same_list_twice_is_known(messages: list[bytes]) -> None:
    kept = Kept()
    kept.take(messages)
    assert kept.all == messages
    assert kept.take(messages) == list(range(1, len(messages) + 1))


@given(few, st.data())
def test_a_list_that_grows_turn_by_turn_is_kept_once_and_in_order(
    messages: list[bytes], data: st.DataObject
) -> None:
    kept = Kept()
    ends = sorted(data.draw(st.lists(st.integers(0, len(messages)), max_size=4)))
    for end in [*ends, len(messages)]:
        kept.take(messages[:end])
    assert kept.all == messages


@given(distinct, st.data())
def test_what_is_new_alone_is_kept_in_order(messages: list[bytes], data: st.DataObject) -> None:
    kept = Kept()
    cuts = sorted({0, len(messages), *data.draw(st.lists(st.integers(0, len(messages)), max_size=4))})
    for start, end in pairwise(cuts):
        kept.take(messages[start:end])
    assert kept.all == messages


@given(distinct, st.integers(1, 6), st.integers(1, 6))
def test_a_window_that_slides_over_a_conversation_is_put_together(
    messages: list[bytes], step: int, overlap: int
) -> None:
    kept = Kept()
    for end in range(step, len(messages) + step, step):
        kept.take(messages[max(0, end - step - overlap) : end])
    assert kept.all == messages


@given(distinct, st.data())
def test_old_parts_handed_over_again_are_known(messages: list[bytes], data: st.DataObject) -> None:
    kept = Kept()
    kept.take(messages)
    start = data.draw(st.integers(0, len(messages)))
    end = data.draw(st.integers(start, len(messages)))
    places = kept.take(messages[start:end])
    if end - start >= SURE or end == len(messages) or (start == 0 and end != 1):
        assert places == list(range(start + 1, end + 1))
        assert kept.all == messages


@given(few, few)
def test_nothing_that_was_handed_over_is_missing(one: list[bytes], other: list[bytes]) -> None:
    kept = Kept()
    kept.take(one)
    places = aligned(other, kept)
    for digest, place in zip(other, places, strict=True):
        assert not place or kept.all[place - 1] == digest


def test_what_was_edited_at_the_head_does_not_bring_the_rest_again() -> None:
    kept = Kept([b"system", b"one", b"two", b"three"])
    assert kept.take([b"summary", b"two", b"three", b"four"]) == [0, 3, 4, 0]
    assert kept.take([b"summary", b"two", b"three", b"four", b"five"])[-1] == 0
    assert kept.all.count(b"two") == kept.all.count(b"summary") == kept.all.count(b"four") == 1


def test_a_branch_adds_its_own_part_and_goes_on() -> None:
    kept = Kept([b"one", b"two", b"old", b"older"])
    kept.take([b"one", b"two", b"new"])
    kept.take([b"one", b"two", b"new", b"newer"])
    assert kept.all == [b"one", b"two", b"old", b"older", b"new", b"newer"]


def test_a_short_word_said_again_much_later_is_new() -> None:
    kept = Kept([b"ok", b"one", b"two", b"three"])
    assert kept.take([b"ok"]) == [0]


def test_the_time_grows_with_the_list_and_not_with_the_memory() -> None:
    kept = Kept([b"%d" % number for number in range(100_000)])
    kept.take([b"99998", b"99999", b"new", b"newer"])
    assert kept.looked_at < 200


def said(
    number: int, words: str = "tells at some length what there is to be told of it, and of nothing else"
) -> bytes:
    return b"%d " % number + words.encode()


RITUAL = [b"run the tests", b"[calls run_tests({})]", b"12 passed", b"All tests pass."]


def test_a_question_that_is_new_is_not_parted_from_a_short_answer_that_was_given_before() -> None:
    kept = Kept([said(1), said(2), b"yes please"])
    assert kept.take([b"Shall I delete the folder?", b"yes please"]) == [0, 0]


def test_what_is_done_again_in_the_same_words_is_kept_again() -> None:
    kept = Kept([said(1), *RITUAL, said(2), said(3)])
    assert kept.take(RITUAL) == [0, 0, 0, 0]
    assert kept.take([b"thanks"]) == [0]
    assert kept.take([said(3), *RITUAL, b"thanks", *RITUAL[:3], b"All tests pass!"])[-4:] == [0, 0, 0, 0]
    assert kept.all.count(b"12 passed") == 3


def test_a_window_cut_at_the_head_loses_none_of_what_is_said_often() -> None:
    talk = [b"continue" if at % 2 == 0 else said(at) if at % 3 else b"Done." for at in range(60)]
    kept = Kept()
    for end in range(1, len(talk) + 1, 2):
        kept.take(talk[max(0, end - 8) : end])
    assert kept.all == talk[: len(kept.all)]
    assert len(kept.all) >= len(talk) - 1


def test_a_system_prompt_that_changes_each_turn_brings_nothing_else_again() -> None:
    talk = [b"ok" if at % 4 == 0 else said(at) for at in range(40)]
    kept = Kept()
    for end in range(1, len(talk) + 1):
        kept.take([b"system day %d" % (end // 3), *talk[:end]])
    assert [one for one in kept.all if not one.startswith(b"system")] == talk
    assert len(kept.all) - len(talk) == 14


def test_conversations_beside_each_other_in_one_memory_are_kept_once_each() -> None:
    talks = [[b"ok" if at % 5 == 4 else said(100 * which + at) for at in range(20)] for which in (1, 2)]
    kept = Kept()
    for end in range(3, 21):
        kept.take(talks[end % 2][:end])
        kept.take(talks[1 - end % 2][:end])
    once = sorted(one for talk in talks for one in talk if one != b"ok")
    assert sorted(one for one in kept.all if one != b"ok") == once
    assert kept.all.count(b"ok") >= 8


def test_answers_that_are_written_anew_bring_nothing_else_again() -> None:
    talk: list[bytes] = []
    kept, every = Kept(), []
    for at in range(20):
        talk.append(b"go on" if at % 5 == 0 else said(at))
        every.append(talk[-1])
        kept.take(talk)
        for version in range(at % 3 + 1):
            talk[2 * at + 1 :] = [said(1_000 + 10 * at + version)]  # in the place of the last
            every.append(talk[-1])
            kept.take(talk)
    assert kept.all == every


def test_a_summary_in_the_place_of_what_was_cut_brings_nothing_again() -> None:
    talk = [said(at) for at in range(40)]
    kept = Kept()
    for end in range(1, 41):
        summary = [b"so far: %d" % (end // 5)] if end > 6 else []
        kept.take([*summary, *talk[max(0, end - 6) : end]])
    assert [one for one in kept.all if not one.startswith(b"so far")] == talk
