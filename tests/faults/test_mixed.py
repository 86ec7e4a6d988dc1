"""A fifth of all calls fail, in every way at once: all is read in the end, or what is missing is listed."""

from __future__ import annotations

import asyncio

import pytest

from swarm.testing.faults import Fault, faults_at, kinds

KINDS = kinds(0.01) | {"slow first byte": Fault(wait=3.0)}
FINAL = ("refusal", "truncated JSON", "schema violation", "empty reply", "over-long reply")
FOR_GOOD = ("declined", "not valid")  # what a run ends with that is not mended by trying
FILES = {1: 100, 2: 50, 3: 50, 4: 500, 5: 500}  # by seed
SECONDS = 60.0


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (2, 4, 5))])
async def test_no_failure_costs_more_than_its_own_slice(seed, asked, provider, adds_up):
    provider.plan = faults_at(0.2, KINDS.values(), seed)
    work = asked(files=FILES[seed], concurrency=24)
    answer = await asyncio.wait_for(work.run(), SECONDS)
    adds_up(answer, work.chars)
    assert answer.stopped is None or any(why in answer.stopped for why in FOR_GOOD), "it may hit the answer, too"
    assert answer.coverage.chars_read > 0.85 * work.chars
    assert answer.findings >= FILES[seed] - len(answer.failures)
    failed = provider.tally.requests - provider.tally.replies
    assert 0 < failed / provider.tally.requests < 0.3, "a fifth, but for those that were answered all the same"
    assert max(provider.tally.received.values()) <= 2 * 5 + 1, "tries of one call, and a fresh one"

    provider.plan = None
    whole = await asyncio.wait_for(work.resume(answer), SECONDS)
    adds_up(whole, work.chars)
    assert whole.coverage.chars_unread <= answer.coverage.chars_unread
    assert all(any(why in one.reason for why in FOR_GOOD) for one in whole.failures)


@pytest.mark.parametrize("seed", [3])
async def test_what_only_passes_is_all_read_in_the_end(seed, asked, provider, adds_up):
    passing = [fault for kind, fault in KINDS.items() if kind not in FINAL]
    provider.plan = faults_at(0.2, passing, seed)
    work = asked(files=FILES[seed], concurrency=16)
    answer = await asyncio.wait_for(work.run(), SECONDS)
    adds_up(answer, work.chars)
    provider.plan = None
    whole = await asyncio.wait_for(work.resume(answer), SECONDS)
    adds_up(whole, work.chars)
    assert (whole.status, whole.coverage.chars_read) == ("answered", work.chars)
    assert whole.findings == FILES[seed]
