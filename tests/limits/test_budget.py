"""What is spent never passes a limit: of the run, of a slice, or of anything between, whatever is in flight."""

import asyncio
import math
import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.errors import LimitReached, UsageError
from swarm.limits.budget import DEFAULT_COST_USD, Budget, Reservation, changed, effective
from swarm.models.base import FREE, Price
from swarm.models.scripted import Scripted
from swarm.task import Limits, Usage

PRICE = Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2)
PAID, UNPAID = Scripted({}, price=PRICE), Scripted({})


def used(share: float, input_tokens: int, output_tokens: int) -> Usage:
    asked, said = int(input_tokens * share), int(output_tokens * share)
    return Usage(calls=1, input_tokens=asked, output_tokens=said, cost_usd=PRICE.cost(asked, said))


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
        flying.append((reservation, used(share, input_tokens, output_tokens)))
        if lands:
            budget.settle(*flying.pop(0))
    worst_tokens = budget.spent.tokens + sum(reservation.tokens for reservation, _ in flying)
    worst_usd = budget.spent.cost_usd + sum(reservation.cost_usd for reservation, _ in flying)
    assert worst_tokens <= tokens
    assert worst_usd <= tokens * 3e-6 + 1e-9


LIMITS = st.builds(
    Limits,
    tokens=st.none() | st.integers(0, 60_000),
    calls=st.none() | st.integers(0, 150),
    cost_usd=st.none() | st.floats(0, 0.3),
)


@given(
    st.lists(st.tuples(st.integers(0, 11), LIMITS), min_size=1, max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 11), st.integers(1, 2_000), st.integers(1, 500), st.floats(0, 1), st.integers(0, 300)
        ),
        max_size=300,
    ),
    st.booleans(),
)
def test_no_budget_of_a_tree_ever_passes_its_limits_and_the_sums_agree(
    shares: list[tuple[int, Limits]], calls: list[tuple[int, int, int, float, int]], finishing: bool
) -> None:
    tree, parents = grown(shares)
    tree[0].finishing = finishing
    paid = [Usage() for _ in tree]
    flying: list[tuple[int, Reservation, Usage]] = []

    def settle(down_to: int) -> None:
        while len(flying) > down_to:
            place, reservation, usage = flying.pop(0)
            tree[place].settle(reservation, usage)
            while place >= 0:
                paid[place] += usage
                place = parents[place]

    for at, input_tokens, output_tokens, share, most_flying in calls:
        with suppress(LimitReached):
            reservation = tree[at % len(tree)].reserve(PRICE, input_tokens, output_tokens)
            flying.append((at % len(tree), reservation, used(share, input_tokens, output_tokens)))
        settle(most_flying)
        for budget in tree:
            within(budget)
    settle(0)
    for budget, usage in zip(tree, paid, strict=True):
        assert (budget.spent.tokens, budget.spent.calls) == (usage.tokens, usage.calls)
        assert budget.spent.cost_usd == pytest.approx(usage.cost_usd, abs=1e-9)
        assert budget._reserved == (0, 0, 0)


def grown(shares: list[tuple[int, Limits]]) -> tuple[list[Budget], list[int]]:
    """A tree of budgets, and the place of the parent of each; -1 for the root's."""
    tree, parents = [Budget(shares[0][1])], [-1]
    for parent, limits in shares[1:]:
        parents.append(parent % len(tree))
        tree.append(tree[parent % len(tree)].share(limits))
    return tree, parents


def within(budget: Budget) -> None:
    """Spent and reserved together are within the limits."""
    limits, spent, reserved = budget.limits, budget._usage, budget._reserved
    assert limits.calls is None or spent.calls + reserved.calls <= limits.calls
    assert limits.tokens is None or spent.tokens + reserved.tokens <= limits.tokens
    assert limits.cost_usd is None or budget._settled.units + reserved.units <= round(limits.cost_usd * 10**12)


def test_a_hundred_thousand_cents_add_up_to_exactly_a_thousand_dollars() -> None:
    price = Price(input_usd=1.0, output_usd=0.0, cached_usd=1.0)
    budget = Budget(Limits(cost_usd=1_000.0))
    budget.finishing = True
    for _ in range(100_000):
        most = budget.reserve(price, 10_000, 0)
        budget.settle(most, Usage(calls=1, input_tokens=10_000, cost_usd=0.01))
    assert budget.spent.cost_usd == 1_000.0
    with pytest.raises(LimitReached):
        budget.reserve(price, 1, 0)


# Shares


def test_a_share_that_is_used_up_stops_its_slice_and_not_the_run() -> None:
    run = Budget(Limits(tokens=100_000))
    one, other = run.share(Limits(tokens=1_000)), run.share(Limits(tokens=1_000))
    one.settle(one.reserve(FREE, 900, 0), Usage(calls=1, input_tokens=900))
    with pytest.raises(LimitReached, match="the slice's limit of 1,000 tokens is reached") as caught:
        one.reserve(FREE, 200, 0)
    assert (caught.value.limit, caught.value.scope) == ("tokens", "slice")
    other.reserve(FREE, 200, 0)
    assert run.spent.tokens == 900


def test_the_runs_own_limit_is_told_before_that_of_a_slice() -> None:
    share = Budget(Limits(calls=2)).share(Limits(calls=0))
    with pytest.raises(LimitReached) as caught:
        share.reserve(FREE, 1, 1)
    assert (caught.value.limit, caught.value.scope) == ("calls", "run")


def test_nothing_is_reserved_anywhere_when_one_budget_refuses() -> None:
    run = Budget(Limits(tokens=10_000))
    with pytest.raises(LimitReached):
        run.share(Limits(tokens=100)).reserve(FREE, 101, 0)
    assert run._reserved == (0, 0, 0)


def test_of_a_share_nothing_is_held_back_and_its_seconds_begin_with_it() -> None:
    now = [0.0]
    run = Budget(Limits(wall_seconds=100), clock=lambda: now[0])
    now[0] = 50.0
    share = run.share(Limits(tokens=1_000, wall_seconds=20))
    share.reserve(FREE, 1_000, 0)
    now[0] = 70.0
    with pytest.raises(LimitReached, match="the slice's limit of 20 seconds"):
        share.reserve(FREE, 0, 0)


def test_an_error_pickles_with_whose_limit_it_was() -> None:
    error = pickle.loads(pickle.dumps(LimitReached("enough", "tokens", "slice")))
    assert (str(error), error.limit, error.scope) == ("enough", "tokens", "slice")


# Waiting for what is in flight


async def test_worst_cases_in_flight_do_not_end_a_run_that_has_money_left() -> None:
    budget = Budget(Limits(tokens=10_000))
    budget.finishing = True
    most_flying = flying = 0

    async def call() -> None:
        nonlocal most_flying, flying
        reservation = await budget.acquire(FREE, 100, 3_000)  # three of them at once are all that fit
        flying += 1
        most_flying = max(most_flying, flying)
        await asyncio.sleep(0)
        flying -= 1
        budget.settle(reservation, Usage(calls=1, input_tokens=100, output_tokens=0))

    await asyncio.gather(*(call() for _ in range(60)))
    assert budget.spent.tokens == 6_000
    assert most_flying == 3


async def test_waiting_ends_with_the_limit_when_nothing_in_flight_can_help_any_more() -> None:
    budget = Budget(Limits(tokens=1_000))
    budget.finishing = True
    first = await budget.acquire(FREE, 600, 0)
    second = asyncio.create_task(budget.acquire(FREE, 600, 0))
    third = asyncio.create_task(budget.acquire(FREE, 400, 0))
    assert await third
    assert not second.done()
    budget.settle(first, Usage(calls=1, input_tokens=600))
    with pytest.raises(LimitReached, match="1,000 tokens"):
        await second
    with pytest.raises(LimitReached):
        await budget.acquire(FREE, 1_001, 0)


async def test_a_call_that_is_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    budget = Budget(Limits(calls=3))
    first = await budget.acquire(FREE, 1, 1)
    waiting = asyncio.create_task(budget.acquire(FREE, 1, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget._waiting == []
    budget.settle(first, Usage())
    await budget.acquire(FREE, 1, 1)


@given(st.integers(0, 2**32 - 1))
def test_hundreds_of_tasks_over_nested_budgets_never_pass_one(seed: int) -> None:
    import random

    rng = random.Random(seed)
    run = Budget(Limits(tokens=80_000, cost_usd=0.3))
    shares = [run.share(Limits(tokens=rng.randint(500, 4_000), calls=rng.randint(1, 9))) for _ in range(40)]

    async def call(budget: Budget) -> None:
        asked, said = rng.randint(1, 900), rng.randint(1, 300)
        try:
            reservation = await budget.acquire(PRICE, asked, said)
        except LimitReached:
            return
        for one in (run, budget):
            within(one)
        for _ in range(rng.randint(0, 3)):
            await asyncio.sleep(0)
        budget.settle(reservation, used(rng.random(), asked, said))

    async def all_of_them() -> None:
        await asyncio.gather(*(call(rng.choice(shares)) for _ in range(300)))

    asyncio.run(all_of_them())
    assert run._reserved == (0, 0, 0)
    assert run.spent.tokens == sum(share.spent.tokens for share in shares)
    assert run._settled.units == sum(share._settled.units for share in shares)


# The run's own limits


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
    assert (caught.value.limit, caught.value.scope) == ("calls", "run")
    clock = iter([0.0, 61.0])
    with pytest.raises(LimitReached) as caught:
        Budget(Limits(wall_seconds=60), clock=lambda: next(clock)).reserve(FREE, 1, 1)
    assert caught.value.limit == "wall_seconds"
    with pytest.raises(LimitReached, match="the limit of 2 slices is reached"):
        Budget(Limits(slices=2)).check_slices(2)


def test_what_an_earlier_part_of_the_run_paid_counts() -> None:
    budget = Budget(Limits(tokens=1_000), spent=Usage(input_tokens=700))
    with pytest.raises(LimitReached):
        budget.reserve(FREE, 60, 0)


def test_affordable_input_is_what_the_tighter_limit_leaves() -> None:
    budget = Budget(Limits(tokens=10_000, cost_usd=0.01))
    budget.finishing = True
    assert budget.affordable_input(PRICE, 500) == 2_500
    assert Budget(Limits()).affordable_input(PRICE, 500) is None
    assert Budget(Limits(cost_usd=math.inf)).affordable_input(PRICE, 500) is None
    assert budget.share(Limits(tokens=600)).affordable_input(PRICE, 500) == 100


# Which limits a run has


def test_the_default_in_dollars_stands_where_a_model_costs_money_and_nobody_said() -> None:
    assert effective(Limits(), [UNPAID]).cost_usd is None
    limits = effective(Limits(), [UNPAID, PAID])
    assert (limits.cost_usd, limits.cost_is_default) == (DEFAULT_COST_USD, True)
    with pytest.raises(LimitReached, match=r"the default limit of \$5.00 is reached"):
        Budget(limits).reserve(PRICE, 10_000_000, 0)


@pytest.mark.parametrize("said", [0.0, 2.5, math.inf])
def test_what_was_said_about_dollars_stands(said: float) -> None:
    limits = effective(Limits(cost_usd=said), [PAID])
    assert (limits.cost_usd, limits.cost_is_default) == (said, False)


def test_a_run_without_end_in_dollars_can_be_had() -> None:
    Budget(Limits(cost_usd=math.inf)).reserve(PRICE, 10**12, 10**12)


def test_a_run_that_goes_on_keeps_the_limits_that_are_not_given_anew() -> None:
    before = effective(Limits(tokens=5_000, rounds=2), [PAID])
    after = changed(before, Limits(tokens=9_000))
    assert (after.tokens, after.rounds, after.cost_usd, after.cost_is_default) == (
        9_000,
        2,
        DEFAULT_COST_USD,
        True,
    )
    after = changed(before, Limits(cost_usd=20.0))
    assert (after.tokens, after.cost_usd, after.cost_is_default) == (5_000, 20.0, False)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tokens": -1}, "limits.tokens is -1: give a number from 0 on"),
        ({"cost_usd": math.nan}, "limits.cost_usd is nan"),
        ({"rounds": 0}, "limits.rounds is 0: give a number from 1 on"),
        ({"requests_per_minute": 0}, "limits.requests_per_minute is 0"),
        ({"calls": 2.5}, "limits.calls is 2.5: give a whole number"),
        ({"each_slice": Limits(tokens=-3)}, "limits.each_slice.tokens is -3"),
        ({"each_slice": Limits(slices=3)}, "limits.each_slice.slices: of a slice only cost_usd, tokens"),
        ({"each_slice": Limits(each_slice=Limits(tokens=1))}, "the share of a slice has no shares of its own"),
    ],
)
def test_a_limit_that_makes_no_sense_is_told_in_one_line(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        effective(Limits(**wrong), [])
    assert says in str(caught.value)


def test_what_is_left_of_limits_and_what_lies_beyond_is_spent_is_told_of_each_that_is_set():
    limits = Limits(tokens=1_000, calls=3, wall_seconds=9.0)
    spent = Usage(calls=5, input_tokens=300, output_tokens=100, cost_usd=2.0)
    assert limits.left(spent) == Limits(tokens=600, calls=0, wall_seconds=9.0)
    assert limits.beyond(spent) == Limits(tokens=1_400, calls=8, wall_seconds=9.0)
    assert Limits(cost_usd=3.0).left(spent).cost_usd == 1.0
    assert (spent + spent) - spent == spent
