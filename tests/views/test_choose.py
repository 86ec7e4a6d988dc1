"""The choice under a budget: never over it, and never worse than the bound that is claimed for it."""

from __future__ import annotations

import math
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.views.choose import TIRING, Item, choose

items = st.lists(
    st.builds(
        Item,
        cost=st.integers(1, 12),
        relevance=st.floats(0.01, 1.0),
        place=st.sampled_from("abc"),
        terms=st.frozensets(st.sampled_from(["mill", "toll", "key"]), max_size=2),
    ),
    max_size=9,
)
WEIGHTS = {"mill": 1.0, "toll": 2.0, "key": 1.0}


def worth(chosen: list[Item]) -> float:
    """The value of a set, from its definition."""
    places: dict[object, float] = {}
    for item in chosen:
        places[item.place] = places.get(item.place, 0.0) + item.relevance
    covered = {term for item in chosen for term in item.terms}
    covering = 0.3 * sum(WEIGHTS[term] for term in covered) / sum(WEIGHTS.values())
    return sum(math.log1p(TIRING * held) for held in places.values()) + covering


@settings(max_examples=200, deadline=None)
@given(items, st.integers(0, 40))
def test_the_choice_fits_and_is_within_its_bound_of_the_best_there_is(offered: list[Item], budget: int) -> None:
    chosen = choose(offered, budget, WEIGHTS)
    assert len(chosen) == len(set(chosen))
    assert sum(offered[at].cost for at in chosen) <= budget
    best = max(
        worth([offered[at] for at in some])
        for size in range(len(offered) + 1)
        for some in combinations(range(len(offered)), size)
        if sum(offered[at].cost for at in some) <= budget
    )
    assert worth([offered[at] for at in chosen]) >= (1 - 1 / math.e) / 2 * best - 1e-9


@given(items)
def test_all_are_chosen_where_all_fit(offered: list[Item]) -> None:
    assert sorted(choose(offered, 200, WEIGHTS)) == list(range(len(offered)))


def test_one_large_item_wins_where_it_is_worth_more_than_many_small() -> None:
    small = [Item(cost=1, relevance=0.02, place="a") for _ in range(2)]
    assert choose([*small, Item(cost=10, relevance=1.0, place="b")], 10) == [2]


def test_a_second_place_comes_before_more_from_the_first() -> None:
    same = [Item(cost=5, relevance=0.9, place="a"), Item(cost=5, relevance=0.9, place="a")]
    assert choose([*same, Item(cost=5, relevance=0.8, place="b")], 10) == [0, 2]
