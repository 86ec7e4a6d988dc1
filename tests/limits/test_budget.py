import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import LimitReached
from swarm.limits.budget import Budget, Reservation
from swarm.models.base import FREE, Price
from swarm.task import Limits, Usage

PRICE = Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2)


@given(
    st.integers(0, 50_000),
    st.lists(st.tuples(st.integers(1, 2_000), st.integers(1, 500), st.booleans(), st.floats(0, 1)), max_size=60),
)
def test_what_is_spent_never_passes_a_limit_however_many_are_in_flight(
    tokens: int, calls: list[tuple[int, int, bool, float]]
) -> None:
    limits = Limits(tokens=tokens, cost_usd=tokens * 3e-6, calls=40)
    budget = Budget(limits)
    flying: list[tuple[Reservation, Usage]] = []
    for input_tokens, output_tokens, lands, share in calls:
        try:
            reservation = budget.reserve(PRICE, input_tokens, output_tokens)
        except LimitReached:
            continue
        used = Usage(
            calls=1,
            input_tokens=int(input_tokens * share),
            output_tokens=int(output_tokens * share),
            cost_usd=PRICE.cost(int(input_tokens * share), int(output_tokens * share)),
        )
        flying.append((reservation, used))
        if lands:
            budget.settle(*flying.pop(0))
    worst_tokens = budget.spent.tokens + sum(reservation.tokens for reservation, _ in flying)
    worst_usd = budget.spent.cost_usd + sum(reservation.cost_usd for reservation, _ in flying)
    assert worst_tokens <= tokens
    assert worst_usd <= tokens * 3e-6 + 1e-9


def test_a_share_is_held_back_until_the_answer_is_written() -> None:
    budget = Budget(Limits(tokens=1_000))
    with pytest.raises(LimitReached, match="1,000 tokens"):
        budget.reserve(FREE, 700, 100)
    budget.finishing = True
    budget.reserve(FREE, 700, 100)


def test_a_call_that_failed_gives_back_what_was_reserved() -> None:
    budget = Budget(Limits(tokens=1_000))
    budget.settle(budget.reserve(FREE, 600, 100), Usage())
    budget.reserve(FREE, 600, 100)


def test_the_error_names_the_limit() -> None:
    with pytest.raises(LimitReached) as caught:
        Budget(Limits(calls=2)).reserve(FREE, 1, 1)
    assert caught.value.limit == "calls"
    clock = iter([0.0, 61.0])
    with pytest.raises(LimitReached) as caught:
        Budget(Limits(wall_seconds=60), clock=lambda: next(clock)).reserve(FREE, 1, 1)
    assert caught.value.limit == "wall_seconds"


def test_what_an_earlier_part_of_the_run_paid_counts() -> None:
    budget = Budget(Limits(tokens=1_000), spent=Usage(input_tokens=700))
    with pytest.raises(LimitReached):
        budget.reserve(FREE, 60, 0)


def test_affordable_input_is_what_the_tighter_limit_leaves() -> None:
    budget = Budget(Limits(tokens=10_000, cost_usd=0.01))
    budget.finishing = True
    assert budget.affordable_input(PRICE, 500) == 2_500
    assert Budget(Limits()).affordable_input(PRICE, 500) is None
