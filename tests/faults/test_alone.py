"""One kind of fault at a slice: it passes and all is read, or it stays and exactly that slice is missing."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from swarm.testing.faults import Fault, fault_where, kinds, one_of

# a first byte that comes only after the client gave up; one that is merely late is no fault
KINDS = kinds(0.02) | {"slow first byte": Fault(wait=3.0)}
SLOW_DOWN = ("429", "429 with retry-after")
INVALID = ("truncated JSON", "schema violation", "empty reply")
FINAL = ("refusal",)
ENDLESS = ("over-long reply",)
PASSING = [kind for kind in KINDS if kind not in (*SLOW_DOWN, *INVALID, *FINAL, *ENDLESS)]

LINE = "ground corn in the year 1801,"  # no finding quotes it: it stands in requests to read, and in no other
HOLDS = f"Mill 3 {LINE}"
TRIES, SLOW_TRIES, FRESH_TRIES = 3, 5, 2  # the first two as in conftest, the last of `swarm.worker.read`
SECONDS = 20.0


def sent(provider, words: str = HOLDS) -> int:
    """How often the most frequent request that holds `words` came."""
    bodies = (json.dumps(body, sort_keys=True) for body in provider.requests)
    return max(Counter(body for body in bodies if words in body).values())


async def test_faults_that_pass_cost_a_retry_each_and_nothing_is_unread(asked, provider, adds_up):
    kinds_ = [kind for kind in KINDS if kind not in FINAL]
    provider.plan = one_of(
        [fault_where(f"Mill {n} {LINE}", KINDS[kind], attempts=1) for n, kind in enumerate(kinds_)]
    )
    work = asked(files=len(kinds_))
    answer = await asyncio.wait_for(work.run(), SECONDS)
    adds_up(answer, work.chars)
    assert (answer.status, answer.failures) == ("answered", ())
    assert answer.coverage.chars_read == work.chars
    assert provider.tally.outcomes["error"] + provider.tally.outcomes["broken"] >= 10
    assert sent(provider, LINE) <= TRIES


async def lost(work, provider, kind, adds_up):
    """The answer of a run in which one slice, and it alone, failed with a reason."""
    provider.plan = fault_where(HOLDS, KINDS[kind])
    answer = await asyncio.wait_for(work.run(), SECONDS)
    adds_up(answer, work.chars)
    assert (answer.status, answer.stopped) == ("partial", None)
    (failure,) = answer.failures
    (span,) = failure.spans
    cited = {citation.source_id for citation in answer.citations}
    assert span.source not in cited
    assert len(cited) == 5, "what the others found is there"
    return answer


async def gone_on(work, provider, answer, adds_up, *, new: int, afresh: int = 0):
    """Nothing goes wrong any more: the run goes on, and of the slices only what was missing is read; `afresh` of
    them had been answered before."""
    provider.plan = None
    before = dict(provider.tally.received)
    completed = dict(provider.tally.completed)
    whole = await asyncio.wait_for(work.resume(answer), SECONDS)
    adds_up(whole, work.chars)
    assert sum(provider.tally.received[key] > before[key] for key in completed) == afresh, "paid twice"
    read = [body for body in provider.requests[sum(before.values()) :] if LINE in json.dumps(body)]
    assert len(read) == new
    return whole


@pytest.mark.parametrize("kind", [*PASSING, *SLOW_DOWN])
async def test_a_fault_that_stays_costs_its_slice_until_the_run_goes_on(kind, asked, provider, adds_up):
    work = asked()
    answer = await lost(work, provider, kind, adds_up)
    assert sent(provider) == (SLOW_TRIES if kind in SLOW_DOWN else TRIES)
    whole = await gone_on(work, provider, answer, adds_up, new=1)
    assert (whole.status, whole.coverage.chars_read) == ("answered", work.chars)


@pytest.mark.parametrize("kind", INVALID)
async def test_a_slice_without_a_valid_reply_is_repaired_tried_afresh_and_listed(kind, asked, provider, adds_up):
    await lost(asked(), provider, kind, adds_up)
    assert sent(provider) == FRESH_TRIES
    assert sum(HOLDS in json.dumps(body) for body in provider.requests) == 2 * FRESH_TRIES


async def test_a_slice_without_a_valid_reply_is_read_when_the_run_goes_on(asked, provider, adds_up):
    work = asked()
    answer = await lost(work, provider, "schema violation", adds_up)
    whole = await gone_on(work, provider, answer, adds_up, new=1, afresh=1)
    assert (whole.status, whole.coverage.chars_read) == ("answered", work.chars)


async def test_what_a_model_declines_is_listed_and_not_asked_again(asked, provider, adds_up):
    work = asked()
    answer = await lost(work, provider, "refusal", adds_up)
    assert sent(provider) == 1
    assert "declined" in answer.failures[0].reason
    again = await gone_on(work, provider, answer, adds_up, new=0)
    assert [failure.slice for failure in again.failures] == [failure.slice for failure in answer.failures]


async def test_a_reply_that_never_ends_does_not_multiply_the_calls(asked, provider, adds_up):
    provider.plan = fault_where("ground corn", KINDS["over-long reply"])
    work = asked(files=1)
    answer = await asyncio.wait_for(work.run(depth=3), SECONDS)
    adds_up(answer, work.chars)
    assert provider.tally.requests < 10  # with the depth that there is, not 3 but 8, it is 513


@pytest.mark.parametrize("kind", ["503", "connection reset", "stalled stream"])
async def test_a_provider_that_is_down_ends_the_run_with_everything_listed(kind, asked, provider, adds_up):
    provider.plan = fault_where(":", KINDS[kind])
    work = asked(files=4)
    answer = await asyncio.wait_for(work.run(), SECONDS)
    adds_up(answer, work.chars)
    assert (answer.status, answer.coverage.chars_unread) == ("partial", work.chars)
    assert max(provider.tally.received.values()) <= TRIES
    provider.plan = None
    whole = await asyncio.wait_for(work.resume(answer), SECONDS)
    assert (whole.status, whole.coverage.chars_read) == ("answered", work.chars)
