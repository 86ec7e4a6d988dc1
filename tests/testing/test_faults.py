"""Every kind of fault reaches a client of the real SDKs as what it is, in every format; and plans are
repeatable."""

import asyncio

import pytest
from pydantic import ValidationError

from swarm.errors import RateLimited, RunError, Unavailable
from swarm.prompts.replies import ReadReply
from swarm.testing.faults import Arrival, Fault, always, fault_where, faults_at, kinds, log_normal, one_of

KINDS = kinds(0.05)
NO_ANSWER = (
    "500", "503", "529", "connection reset", "stalled stream", "cut stream", "reset stream", "early end",
    "wrong content type",
)  # fmt: skip
NO_REPLY = ("truncated JSON", "schema violation", "empty reply", "over-long reply")


def arrival(key="k", attempt=0, body=b""):
    return Arrival(key=key, attempt=attempt, number=0, body=body)


async def failure_of(model, prompt):
    with pytest.raises(RunError) as caught:
        await model.call(prompt, max_output=500)
    return caught.value


@pytest.mark.parametrize("kind", NO_ANSWER)
async def test_what_breaks_or_is_no_answer_is_unavailable(kind, wire, provider, connect, read):
    provider.faults.append(KINDS[kind])
    model = connect(wire, provider, read_seconds=1.0)
    assert type(await failure_of(model, read())) is Unavailable
    assert (await model.call(read(), max_output=500)).text, "the next is answered"
    provider.tally.wait_for(replies=1, quiet=True)  # the client may have it all before the server knows
    assert provider.tally.replies == 1
    assert provider.tally.requests == 2


async def test_a_rate_limit_is_told_with_and_without_a_time(wire, provider, connect, read):
    provider.faults += [KINDS["429"], KINDS["429 with retry-after"]]
    model = connect(wire, provider)
    waits = [await failure_of(model, read()) for _ in range(2)]
    assert [(type(error), error.retry_after) for error in waits] == [(RateLimited, None), (RateLimited, 0.05)]


async def test_a_slow_first_byte_is_waited_for_as_long_as_was_agreed(wire, provider, connect, read):
    provider.faults += [Fault(wait=0.2), Fault(wait=30)]
    assert (await connect(wire, provider, read_seconds=10).call(read(), max_output=500)).text
    assert type(await failure_of(connect(wire, provider, read_seconds=0.2), read())) is Unavailable


@pytest.mark.parametrize("kind", NO_REPLY)
async def test_a_reply_that_is_not_what_was_asked_for_comes_as_it_is_and_is_billed(
    kind, wire, provider, connect, read
):
    provider.faults.append(KINDS[kind])
    completion = await connect(wire, provider).call(read(), max_output=500)
    with pytest.raises(ValidationError):
        ReadReply.model_validate_json(completion.text)
    assert completion.usage.input_tokens > 0
    if kind == "over-long reply":
        assert completion.usage.output_tokens == 500


async def test_a_refusal_is_a_refusal(wire, provider, connect, read):
    provider.faults.append(KINDS["refusal"])
    assert (await connect(wire, provider).call(read(), max_output=500)).refusal


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("how", ["cut", "reset", "stall", "end"])
async def test_a_reply_may_break_off_anywhere(how, after, wire, provider, connect, read):
    provider.faults.append(Fault(**{how: True, "after": after}))
    assert type(await failure_of(connect(wire, provider, read_seconds=0.3), read())) is Unavailable


async def test_a_client_that_gives_up_leaves_nothing_behind(provider, connect, read):
    provider.faults += [Fault(stall=True), Fault(stall=True, after=0)]
    model = connect("messages", provider, read_seconds=0.1)
    for _ in range(2):
        await failure_of(model, read())
    await asyncio.to_thread(provider.tally.wait_for, requests=2, quiet=True)
    assert provider.tally.outcomes == {"broken": 2}


def test_every_kind_of_the_list_is_there():
    assert len(KINDS) >= 15
    assert len(set(map(repr, KINDS.values()))) == len(KINDS)


def test_random_faults_are_the_same_for_the_same_request_and_seed():
    plan, again, other = (faults_at(0.2, KINDS.values(), seed) for seed in (1, 1, 2))
    many = [arrival(str(key), attempt) for key in range(500) for attempt in range(2)]
    assert [plan(one) for one in many] == [again(one) for one in many]
    assert [plan(one) for one in many] != [other(one) for one in many]


def test_random_faults_are_as_many_as_was_asked_for_and_of_all_kinds():
    plan = faults_at(0.2, KINDS.values(), 7)
    hit = [fault for key in range(5_000) if (fault := plan(arrival(str(key)))) is not None]
    assert 900 < len(hit) < 1_100
    assert {repr(fault) for fault in hit} == {repr(fault) for fault in KINDS.values()}


def test_a_later_attempt_of_the_same_request_is_another_throw():
    plan = faults_at(0.5, [Fault(status=500)], 3)
    failed = [[plan(arrival(str(key), attempt)) is not None for attempt in range(8)] for key in range(100)]
    assert sum(all(tries) for tries in failed) < 5
    assert len({tuple(tries) for tries in failed}) > 50


def test_a_fault_may_hit_one_request_and_spare_the_others():
    plan = one_of([fault_where("house 7", Fault(status=500), attempts=2), fault_where("house", Fault(status=503))])
    said = [plan(arrival("k", attempt, b"the key of house 7")) for attempt in range(3)]
    assert [fault.status for fault in said] == [500, 500, 503]
    assert plan(arrival(body=b"a boat")) is None


def test_latency_is_fixed_or_log_normal_by_seed():
    assert always(0.5)(arrival()) == 0.5
    drawn = sorted(log_normal(0.1, 0.5, seed=1)(arrival(str(key))) for key in range(2_001))
    assert drawn == sorted(log_normal(0.1, 0.5, seed=1)(arrival(str(key))) for key in range(2_001))
    assert drawn[1_000] == pytest.approx(0.1, rel=0.1)
    assert drawn[1_980] == pytest.approx(0.32, rel=0.3)


async def test_latency_is_awaited_so_that_many_calls_wait_at_the_same_time(provider, connect, read):
    provider.latency = 0.3
    model = connect("chat", provider)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(model.call(read(f"Ida {n} kept the lighthouse."), max_output=99) for n in range(20)))
    assert 0.3 <= asyncio.get_running_loop().time() - began < 3
    assert provider.tally.peak_in_flight > 10
