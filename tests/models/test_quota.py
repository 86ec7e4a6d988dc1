"""What response headers say of rates is read in the forms of both providers, and reaches replies and errors."""

from datetime import UTC, datetime

import pytest

from swarm.errors import RateLimited, Unavailable
from swarm.models.quota import Level, Quota, quota_of, seconds_until
from swarm.testing.allowance import Allowance, Enforcer
from swarm.testing.provider import Fault

NOW = datetime(2026, 11, 27, 10, 0, 0, tzinfo=UTC)
TEXT = "Ida Lewis kept the lighthouse for 54 years."


def test_anthropics_headers_are_read() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-27T10:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-27T10:00:02.5Z",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-tokens-limit": "48000",
        "retry-after": "7",
    }
    assert quota_of(headers, NOW) == Quota(
        requests=Level(limit=50, remaining=49, reset_seconds=1.0),
        input_tokens=Level(limit=40_000, remaining=39_000, reset_seconds=2.5),
        output_tokens=Level(limit=8_000),
        tokens=Level(limit=48_000),
    )


def test_openais_headers_are_read_whatever_their_case() -> None:
    headers = {
        "X-RateLimit-Limit-Requests": "5000",
        "X-RateLimit-Remaining-Requests": "4999",
        "X-RateLimit-Reset-Requests": "12ms",
        "x-ratelimit-limit-tokens": "600000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert quota_of(headers) == Quota(
        requests=Level(limit=5_000, remaining=4_999, reset_seconds=0.012),
        tokens=Level(limit=600_000, remaining=0, reset_seconds=360.0),
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0), ("20ms", 0.02), ("6m0s", 360.0), ("1h2m3.5s", 3_723.5), ("1d", 86_400.0),
        ("2m59.56s", 179.56), ("7.66", 7.66), ("0", 0.0), ("2026-11-27T10:01:00Z", 60.0),
        ("2026-11-27T11:00:00+01:00", 0.0),
        ("2026-11-27T09:00:00Z", 0.0), ("soon", None), ("", None), ("5 minutes", None),
    ],
)  # fmt: skip
def test_a_reset_is_read_in_every_form(text: str, seconds: float | None) -> None:
    assert seconds_until(text, NOW) == (pytest.approx(seconds) if seconds is not None else None)


def test_what_cannot_be_read_counts_as_not_said() -> None:
    assert quota_of({"x-ratelimit-limit-requests": "many"}) == Quota(requests=Level())
    assert quota_of({"x-ratelimit-limit-requests": "0"}) == Quota(requests=Level()), (
        "a limit of nothing is no limit"
    )
    assert quota_of({"x-ratelimit-limit": "5", "content-type": "text/html"}) is None


def allow(provider, allowance: Allowance) -> None:
    provider.allowance = allowance
    provider.enforcer = Enforcer(allowance, lambda: 0.0)


async def test_a_reply_carries_what_its_headers_said(wire, connect, provider, read) -> None:
    allow(provider, Allowance(requests=10, tokens=50_000))
    quota = (await connect(wire).call(read(TEXT), max_output=500)).quota
    assert quota is not None
    assert quota.requests is not None
    assert (quota.requests.limit, quota.requests.remaining) == (10, 9)
    assert quota.tokens is not None
    assert quota.tokens.limit == 50_000


async def test_a_server_that_says_nothing_of_rates_tells_nothing(wire, connect, read) -> None:
    assert (await connect(wire).call(read(TEXT), max_output=500)).quota is None


async def test_an_error_carries_it_too(wire, connect, provider, read) -> None:
    allow(provider, Allowance(requests=1))
    model = connect(wire)
    await model.call(read(TEXT), max_output=500)
    with pytest.raises(RateLimited) as caught:
        await model.call(read(TEXT), max_output=500)
    assert isinstance(caught.value.quota, Quota)
    assert caught.value.quota.requests is not None
    assert (caught.value.quota.requests.remaining, caught.value.in_doubt) == (0, False)
    provider.faults.append(Fault(status=529))
    with pytest.raises(Unavailable) as busy:
        await model.call(read(TEXT), max_output=500)
    assert isinstance(busy.value.quota, Quota)
