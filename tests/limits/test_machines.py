"""Several processes on one store, before a provider that counts: what they share holds at its side."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest

from swarm.store.journal import Entry
from swarm.store.opening import Store, open_store
from swarm.task import Limits
from swarm.testing.allowance import SlidingWindow
from swarm.testing.postgres import LocalPostgres
from swarm.testing.process import Apart
from tests.limits.machine import RUN

WORST = (2_048 + 5 * 256) / 1e6  # dollars of a call


class Machine:
    """A process, see `tests.limits.machine`."""

    def __init__(
        self, store: str, ref: str, provider: str, limits: Limits, concurrency: int, at_once: int, calls: int
    ) -> None:
        said = json.dumps({name: value for name, value in asdict(limits).items() if value is not None})
        words = [store, ref, provider, said, str(concurrency), str(at_once), str(calls)]
        self.process = subprocess.Popen(  # this very program
            [sys.executable, "-m", "tests.limits.machine", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def told(self) -> dict[str, Any]:
        said, _ = self.process.communicate(timeout=200)
        told: dict[str, Any] = json.loads(said)
        return told

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def fleet(
    url: str,
    provider: Apart,
    machines: int,
    limits: Limits,
    concurrency: int = 64,
    at_once: int = 16,
    calls: int = 10**6,
) -> Iterator[tuple[Store, list[Machine]]]:
    """So many machines at one run, each at a slice of it, all ready to begin."""
    refs = [f"slice-{number}" for number in range(machines)]
    with open_store(url) as store:
        asyncio.run(store.journal.append(RUN, Entry(kind="task", key="", body={})))
        asyncio.run(store.claims.offer(RUN, dict.fromkeys(refs, b"")))
        started = [Machine(url, ref, provider.openai_url, limits, concurrency, at_once, calls) for ref in refs]
        try:
            for one in started:
                one.ready()
            for one in started:
                one.go()
            yield store, started
        finally:
            for one in started:
                one.process.kill()
                one.process.communicate()


def most_in_a_minute(ledger: dict[str, list[Any]], name: str) -> int:
    window, most = SlidingWindow(10**9, 60.0), 0
    for at, allowed, amount in zip(ledger["at"], ledger["allowed"], ledger[name], strict=True):
        if allowed:
            window.take(at, amount)
            most = max(most, 10**9 - window.left(at))
    return most


def test_machines_spend_a_limit_in_dollars_together_to_the_last_call_and_not_beyond(
    postgres: LocalPostgres,
) -> None:
    limits = Limits(cost_usd=0.05)
    with Apart(latency=0.05, window=2_048) as provider:
        with fleet(postgres.database(), provider, 2, limits, concurrency=10) as (store, machines):
            told = [one.told() for one in machines]
            spent = store.journal.spent(RUN)
        counts = provider.counts()
    assert {one["ended"] for one in told} == {"the limit of $0.05 is reached"}
    assert 0.05 - WORST < spent.cost_usd <= 0.05 + 1e-9
    assert counts["replies"] == spent.calls == sum(one["answered"] for one in told)
    assert counts["peak_in_flight"] <= 10


@pytest.mark.soak
@pytest.mark.parametrize(
    ("bound", "limit", "latency"), [("requests", 600, 0.5), ("output_tokens", 20_000, 0.5), ("requests", 40, 0.2)]
)
def test_machines_keep_a_rate_together_exactly_use_it_and_share_it_evenly(
    postgres: LocalPostgres, bound: str, limit: int, latency: float
) -> None:
    limits = Limits(**{f"{bound}_per_minute": limit, "cost_usd": 1_000.0})
    with Apart(latency=latency, window=2_048, **{bound: limit}) as provider:
        with fleet(postgres.database(), provider, 4, limits) as (_, machines):
            time.sleep(200.0)
            for one in machines:
                one.kill()
        counts, ledger = provider.counts(), provider.ledger()
    assert counts["outcomes"].get("refused", 0) == 0
    amounts = {"requests": [1] * len(ledger["at"]), **ledger}
    assert most_in_a_minute({**ledger, "requests": amounts["requests"]}, bound) <= limit
    begun = ledger["at"][0]
    used = sum(
        amount for at, amount in zip(ledger["at"], amounts[bound], strict=True) if begun + 60 < at <= begun + 190
    )
    assert used >= 0.85 * limit * 130 / 60


@pytest.mark.soak
def test_a_machine_that_is_killed_strands_no_money(postgres: LocalPostgres) -> None:
    limits = Limits(cost_usd=0.5)
    with (
        Apart(latency=0.2, window=2_048) as provider,
        fleet(postgres.database(), provider, 3, limits, concurrency=30) as (store, machines),
    ):
        provider.wait_for(replies=100)
        machines[0].kill()
        asyncio.run(store.claims.withdraw(RUN, ["slice-0"]))
        told = [one.told() for one in machines[1:]]
        spent = store.journal.spent(RUN)
        assert {one["ended"] for one in told} == {"the limit of $0.50 is reached"}
        assert 0.5 - WORST < spent.cost_usd <= 0.5 + 1e-9


@pytest.mark.soak
def test_a_server_that_restarts_costs_nothing_but_time(postgres: LocalPostgres) -> None:
    limits = Limits(cost_usd=0.5)
    with (
        Apart(latency=0.2, window=2_048) as provider,
        fleet(postgres.database(), provider, 3, limits, concurrency=30) as (store, machines),
    ):
        for replies in (80, 160, 240):
            provider.wait_for(replies=replies)
            postgres.restart(crash=True)
        told = [one.told() for one in machines]
        spent = store.journal.spent(RUN)
        assert {one["ended"] for one in told} == {"the limit of $0.50 is reached"}
        assert 0.5 - WORST < spent.cost_usd <= 0.5 + 1e-9
        assert provider.counts()["peak_in_flight"] <= 30
