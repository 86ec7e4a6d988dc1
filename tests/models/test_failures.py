"""The wordings of providers, one by one."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from swarm.errors import PromptTooLong, RateLimited, Refused, Rejected, Unavailable
from swarm.models.failures import Failure, error_of, longest_reply, retry_after


def failure(message: str, status: int = 400, code: str = "") -> Failure:
    return Failure(provider="p", status=status, code=code, message=message)


@pytest.mark.parametrize(
    ("message", "tokens", "limit"),
    [
        ("prompt is too long: 208310 tokens > 200000 maximum", 208_310, 200_000),
        ("input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input", 0, 200_000),
        (
            "This model's maximum context length is 128,000 tokens. However, your messages resulted in 130,001.",
            130_001,
            128_000,
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the "
            "messages, 1000 in the completion). Please reduce the length of the messages or completion.",
            5_000,
            4_096,
        ),
        (
            "request (9001 tokens) exceeds the available context size (8192 tokens), try increasing it",
            9_001,
            8_192,
        ),
        ("the request exceeds the available context size. try increasing the context size", 0, 0),
        ("Your input exceeds the context window of this model. Please adjust your input and try again.", 0, 0),
        ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 5_000, 4_096),
        ("`inputs` tokens + `max_new_tokens` must be <= 32768. Given: 33717 `inputs` tokens", 33_717, 32_768),
        ("input is too long for requested model", 0, 0),
    ],
)
def test_too_long_is_understood_with_the_numbers_that_are_said(message, tokens, limit):
    error = error_of(failure(message))
    assert isinstance(error, PromptTooLong)
    assert (error.tokens, error.limit) == (tokens, limit)


def test_a_limit_for_a_minute_that_a_request_can_never_meet_is_too_long():
    said = "Request too large for gpt-4o in organization o on tokens per min (TPM): Limit 30000, Requested 40100."
    error = error_of(failure(said, 429, "rate_limit_exceeded"))
    assert isinstance(error, PromptTooLong)
    assert (error.tokens, error.limit) == (40_100, 30_000)


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (429, "rate_limit_exceeded", "Rate limit reached, too many tokens", RateLimited),
        (429, "insufficient_quota", "You exceeded your current quota", Rejected),
        (402, "", "Payment required", Rejected),
        (400, "content_policy_violation", "no", Refused),
        (400, "invalid_prompt", "flagged as potentially violating our usage policy", Refused),
        (400, "", "messages: at least one message is required", Rejected),
        (403, "", "forbidden", Rejected),
        (404, "", "The model does not exist", Rejected),
        (503, "", "Loading model", Unavailable),
        (529, "overloaded_error", "Overloaded", Unavailable),
        (0, "overloaded_error", "Overloaded", Unavailable),
    ],
)
def test_what_may_pass_is_told_from_what_never_will(status, code, message, expected):
    assert type(error_of(failure(message, status, code))) is expected


def test_a_key_in_the_servers_words_is_not_repeated():
    error = error_of(failure("bad header Authorization: Bearer sk-proj-abcdef1234567890, try again", 400))
    assert "abcdef" not in str(error)


def test_a_piece_of_the_prompt_in_the_servers_words_is_not_repeated():
    sent = "the patient, born in 1961, was admitted on a Tuesday with"
    error = error_of(failure(f"cannot parse: {sent[10:50]}"), sent=sent)
    assert "1961" not in str(error)


def test_the_wait_is_read_in_every_form():
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "250"}) == 0.25
    assert 25 < (retry_after({"retry-after": format_datetime(soon)}) or 0) <= 30
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens for claude-3-5", 8_192),
        ("max_tokens is too large: 16384. This model supports at most 4096 completion tokens", 4_096),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8_192),
        ("`max_tokens` must be less than or equal to `8192`, the maximum value for it", 8_192),
        ("'max_tokens' is too large: 9000. This model's maximum context length is 32768 tokens", None),
        ("something else", None),
    ],
)
def test_the_longest_reply_is_learnt_where_it_is_said(message, limit):
    assert longest_reply(failure(message)) == limit
