"""The server's sliding window is exact, told in the providers' own headers, and its ledger adds up."""

import pytest

from swarm.errors import PromptTooLong, RateLimited
from swarm.testing.allowance import Allowance, Enforcer, SlidingWindow


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_window_holds_its_limit_in_any_period_and_no_more():
    window = SlidingWindow(10, 60.0)
    for second in range(10):
        assert window.wait(second, 1) == 0
        window.take(second, 1)
    assert window.wait(59.5, 1) == pytest.approx(0.5)
    assert window.wait(59.5, 3) == pytest.approx(2.5)
    assert window.wait(60.0, 1) == 0
    assert window.wait(60.0, 2) == pytest.approx(1.0)
    assert window.wait(60.0, 11) == float("inf")
    assert window.left(65.0) == 6
    assert window.full_in(65.0) == pytest.approx(4.0)
    assert window.full_in(100.0) == 0


def test_what_is_refused_uses_nothing_up():
    clock = Clock()
    enforcer = Enforcer(Allowance(requests=10, input_tokens=100, period_seconds=10), clock)
    assert enforcer.admit(90, 1) == (0.0, None)
    assert enforcer.admit(20, 1) == (10.0, "input_tokens")
    assert enforcer.admit(10, 1) == (0.0, None)
    assert enforcer.ledger.refused() == 1
    clock.now += 10
    assert enforcer.admit(100, 1) == (0.0, None)


def test_the_share_used_in_a_stretch_of_time_is_computed_from_the_ledger():
    clock = Clock()
    enforcer = Enforcer(Allowance(requests=60, tokens=600, period_seconds=60), clock)
    for _ in range(120):
        clock.now += 1
        enforcer.admit(4, 1)
    assert enforcer.share("requests", 110, 170) == pytest.approx(1.0)
    assert enforcer.share("tokens", 110, 170) == pytest.approx(0.5)
    assert enforcer.ledger.used("output_tokens", 100, 110) == 10
    assert len(enforcer.ledger.columns()["at"]) == 120


async def test_a_client_past_the_rate_is_refused_with_the_time_to_wait(wire, provider, connect, read):
    provider.allowance, provider.clock = Allowance(requests=2, period_seconds=0.5), (clock := Clock())
    provider.reset()
    model = connect(wire, provider)
    for _ in range(2):
        await model.call(read(), max_output=99)
    with pytest.raises(RateLimited) as caught:
        await model.call(read(), max_output=99)
    assert 0 < caught.value.retry_after <= 0.5
    assert provider.tally.outcomes == {"answered": 2, "refused": 1}
    clock.now += caught.value.retry_after
    await model.call(read(), max_output=99)


async def test_every_response_tells_the_rates_in_the_providers_own_headers(wire, provider, connect, read):
    limits = {"input_tokens": 100_000, "output_tokens": 5_000} if wire == "messages" else {"tokens": 100_000}
    provider.allowance = Allowance(requests=50, **limits)
    provider.reset()
    completion = await connect(wire, provider).call(read(), max_output=99)
    quota, usage = completion.quota, completion.usage
    assert (quota.requests.limit, quota.requests.remaining) == (50, 49)
    assert 58 < quota.requests.reset_seconds <= 61
    if wire == "messages":
        assert quota.input_tokens.remaining == 100_000 - usage.input_tokens
        assert quota.output_tokens.remaining == 5_000 - usage.output_tokens
    else:
        assert quota.tokens.remaining == 100_000 - usage.tokens


async def test_a_refusal_tells_the_rates_too(wire, provider, connect, read):
    provider.allowance = Allowance(requests=1)
    provider.reset()
    model = connect(wire, provider)
    await model.call(read(), max_output=99)
    with pytest.raises(RateLimited) as caught:
        await model.call(read(), max_output=99)
    assert caught.value.quota.requests.remaining == 0
    assert 55 < caught.value.retry_after <= 60


async def test_a_request_that_a_whole_period_does_not_hold_is_refused_for_good(wire, provider, connect, read):
    provider.allowance = Allowance(input_tokens=100)
    provider.reset()
    with pytest.raises(PromptTooLong) as caught:
        await connect(wire, provider).call(read(), max_output=99)
    assert caught.value.limit == 100


async def test_without_an_allowance_nothing_is_told(wire, provider, connect, read):
    assert (await connect(wire, provider).call(read(), max_output=99)).quota is None
