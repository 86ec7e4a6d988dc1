"""Concurrency adapts: up a little for what goes well, down by half for an overload, once a round trip."""

from hypothesis import given
from hypothesis import strategies as st

from swarm.limits.places import Places


def full(places: Places) -> Places:
    while places.free:
        places.take()
    return places


def test_it_doubles_each_round_trip_until_the_ceiling() -> None:
    places = Places(100)
    for expected in (16, 32, 64, 100, 100):
        full(places)
        assert places.taken == expected
        for _ in range(expected):
            places.grow()
            places.give_back()


def test_many_overloads_of_one_round_trip_halve_it_once() -> None:
    places = Places(16)
    assert [places.shrink(sent, 10.0) for sent in (1.0, 2.0, 9.9)] == [True, False, False]
    assert places.limit == 8
    assert places.shrink(10.5, 11.0)
    assert places.limit == 4


def test_after_an_overload_it_grows_by_one_a_round_trip() -> None:
    places = full(Places(16))
    places.shrink(1.0, 2.0)
    for _ in range(8):
        places.grow()
    assert 8 <= places.limit <= 9


def test_places_that_are_not_used_prove_nothing() -> None:
    places = Places(100)
    places.take()
    for _ in range(50):
        places.grow()
    assert places.limit == 16


@given(st.lists(st.booleans(), max_size=300), st.integers(1, 200))
def test_there_is_always_one_place_and_never_more_than_the_ceiling(news: list[bool], ceiling: int) -> None:
    places = full(Places(ceiling))
    for now, good in enumerate(news):
        if good:
            places.grow()
        else:
            places.shrink(now, now + 0.5)
        assert 1 <= places.limit <= ceiling
