"""A list of messages is known again: whole, grown, in part, or only what is new."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from swarm.memory.align import SURE, aligned


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

    def take(self, given: Sequence[bytes]) -> list[int]:
        places = aligned(given, self)
        self.all += [one for one, place in zip(given, places, strict=True) if not place]
        return places


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
