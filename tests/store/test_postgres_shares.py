"""What machines share limits by, on a server: one step at a time, whoever takes it, and facts that are true."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from swarm.errors import UsageError
from swarm.models.base import Completion
from swarm.store.journal import Entry, Intent
from swarm.store.opening import open_store
from swarm.store.postgres_shares import PostgresShares
from swarm.store.shares import Facts, Paid, State
from swarm.task import Usage
from swarm.testing.postgres import LocalPostgres

KEY = "{:032x}"


@pytest.fixture(scope="module")
def url(postgres: LocalPostgres) -> str:
    return postgres.database()


@pytest.fixture
def shares(url: str) -> Iterator[PostgresShares]:
    shares = PostgresShares(url)
    yield shares
    shares.close()


def count(state: State, facts: Facts) -> tuple[State, int]:
    number = state.get("number", 0) + 1
    return {"number": number}, number


def test_steps_of_many_are_taken_one_after_another(url: str) -> None:
    several = [PostgresShares(url) for _ in range(3)]
    numbers: list[int] = []

    def take(shares: PostgresShares) -> None:
        async def main() -> None:
            numbers.extend(await asyncio.gather(*(shares.change("counted", count) for _ in range(50))))

        asyncio.run(main())

    threads = [threading.Thread(target=take, args=(shares,)) for shares in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for shares in several:
        shares.close()
    assert sorted(numbers) == list(range(1, 151))


def test_a_state_that_is_empty_is_gone(shares: PostgresShares) -> None:
    shares.change_sync("short", count)
    assert shares.change_sync("short", lambda state, facts: ({}, state)) == {"number": 1}
    assert shares.change_sync("short", lambda state, facts: (state, state)) == {}


def test_what_a_run_has_paid_and_may_have_paid_is_known_at_once(url: str, shares: PostgresShares) -> None:
    def facts_of(run: str) -> tuple[Paid, Paid]:
        return shares.change_sync("facts", lambda state, facts: ({}, (facts.paid(run), facts.in_doubt(run))))

    def intent(number: int) -> Intent:
        return Intent(run="run", key=KEY.format(number), model="m", kind="read", tokens=500, cost_usd=0.25)

    async def main() -> None:
        with open_store(url) as store:
            journal = store.journal
            await journal.append("run", Entry(kind="task", key="", body={}))
            for number in range(3):
                await journal.begin_call(intent(number))
            assert facts_of("run") == (Paid(), Paid(calls=3, input_tokens=1_500, units=750 * 10**9))
            used = Usage(calls=1, input_tokens=7, output_tokens=5, cached_tokens=3, cost_usd=0.1234567)
            await journal.finish_call("run", KEY.format(0), Completion(text="{}", usage=used))
            await journal.fail_call("run", KEY.format(1), "no", Usage())
            paid = Paid(calls=1, input_tokens=7, output_tokens=5, cached_tokens=3, units=123_456_700_000)
            assert facts_of("run") == (paid, Paid(calls=1, input_tokens=500, units=250 * 10**9))
            await journal.settle_lost("run")
            paid, in_doubt = facts_of("run")
            spent = journal.spent("run")
            assert (paid.calls, paid.input_tokens, paid.output_tokens) == (2, 507, 5)
            assert (spent.calls, spent.tokens, round(spent.cost_usd * 10**12)) == (2, 512, paid.units)
            assert in_doubt == Paid()
            await journal.forget("run")
            assert facts_of("run") == (Paid(), Paid())

    asyncio.run(main())


def test_who_is_gone_is_known(url: str, shares: PostgresShares) -> None:
    other = PostgresShares(url)
    other.attend("other")
    shares.attend("this")

    def gone() -> set[str]:
        return shares.change_sync("gone", lambda state, facts: ({}, facts.gone(["this", "other", "nobody"])))

    assert gone() == {"nobody"}
    other.close()
    while gone() == {"nobody"}:  # the server is told, but not at once
        pass
    assert gone() == {"other", "nobody"}


def test_a_file_has_no_shares() -> None:
    with open_store() as store, pytest.raises(UsageError, match="a file has one process"):
        assert store.shares
