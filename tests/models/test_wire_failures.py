"""What goes wrong on the wire becomes one of our errors: the right one, with nothing secret in it."""

import pickle

import pytest

from swarm.errors import (
    ModelError,
    PromptTooLong,
    RateLimited,
    Refused,
    Rejected,
    RunError,
    Unavailable,
)  # fmt: skip
from swarm.models.anthropic import Anthropic
from swarm.models.openai import OpenAI
from swarm.testing.provider import Fault

TEXT = "Ida Lewis kept the lighthouse for 54 years."
STREAMED = ("messages", "responses")


async def failure_of(model, prompt) -> RunError:
    with pytest.raises(RunError) as caught:
        await model.call(prompt, max_output=500)
    assert "\n" not in str(caught.value)
    assert type(pickle.loads(pickle.dumps(caught.value))) is type(caught.value)
    return caught.value


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408, 409])
async def test_a_passing_trouble_is_unavailable(wire, status, connect, provider, read):
    provider.faults.append(Fault(status=status))
    error = await failure_of(connect(wire), read(TEXT))
    assert type(error) is Unavailable
    assert len(provider.requests) == 1, "adapters do not retry"


@pytest.mark.parametrize(
    ("status", "in_doubt"), [(500, False), (503, False), (529, False), (429, False), (504, True)]
)
async def test_a_refusal_by_status_was_not_billed_unless_someone_gave_up_waiting_for_the_reply(
    wire, status, in_doubt, connect, provider, read
):
    provider.faults.append(Fault(status=status))
    error = await failure_of(connect(wire), read(TEXT))
    assert error.in_doubt is in_doubt
    assert error.overloaded is (status != 500)


async def test_too_fast_says_how_long_to_wait(wire, connect, provider, read):
    provider.faults.append(Fault(status=429, headers={"retry-after": "7"}))
    error = await failure_of(connect(wire), read(TEXT))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7.0


async def test_too_fast_without_a_time_leaves_the_wait_to_the_caller(wire, connect, provider, read):
    provider.faults.append(Fault(status=429))
    error = await failure_of(connect(wire), read(TEXT))
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


async def test_an_overload_that_says_when_to_come_back_is_waited_for(wire, connect, provider, read):
    provider.faults.append(Fault(status=503, headers={"retry-after-ms": "1500"}))
    error = await failure_of(connect(wire), read(TEXT))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 1.5


async def test_a_rate_limit_that_speaks_of_tokens_is_no_overflow(wire, connect, provider, read):
    provider.faults.append(Fault(status=429, message="Rate limit reached: too many tokens per minute"))
    assert isinstance(await failure_of(connect(wire), read(TEXT)), RateLimited)


async def test_an_account_without_credit_is_not_tried_again(connect, provider, read):
    provider.faults.append(Fault(status=429, code="insufficient_quota", message="You exceeded your current quota"))
    assert isinstance(await failure_of(connect("responses"), read(TEXT)), Rejected)


@pytest.mark.parametrize(
    ("wire", "dialect"),
    [
        ("messages", "anthropic"),
        ("responses", "openai"),
        ("chat", "openai"),
        ("chat", "vllm"),
        ("chat", "llamacpp"),
    ],
)
async def test_a_prompt_past_the_window_is_too_long_with_both_numbers(wire, dialect, connect, provider, read):
    provider.window = 1_500
    provider.dialect = dialect
    model = connect(wire)
    error = await failure_of(model, read(TEXT * 60))
    assert isinstance(error, PromptTooLong)
    assert error.limit == 1_500
    assert error.tokens > 1_000
    assert model.window == 1_500, "the model has learnt its window"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=400, message="input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000"),
        Fault(status=413, code="request_too_large", message="Request exceeds the maximum size"),
        Fault(status=400, message="Your input exceeds the context window of this model."),
        Fault(status=400, message="The prompt is longer than the maximum model length of 4096"),
        Fault(status=422, message="`inputs` must have less than or equal to 4096 tokens. Given: 5000"),
        Fault(
            status=500, code="exceed_context_size_error", message="the request exceeds the available context size"
        ),
    ],
)
async def test_every_wording_of_too_long_is_understood(wire, fault, connect, provider, read):
    provider.faults.append(fault)
    assert isinstance(await failure_of(connect(wire), read(TEXT)), PromptTooLong)


async def test_a_context_that_filled_up_while_replying_is_too_long(connect, provider, read):
    provider.faults.append(Fault(text="{", stop="full"))
    assert isinstance(await failure_of(connect("messages"), read(TEXT)), PromptTooLong)


async def test_a_server_that_drops_part_of_the_prompt_in_silence_is_found_out(connect, provider, read):
    provider.window = 700
    provider.dialect = "ollama"
    model = connect("chat")
    error = await failure_of(model, read(TEXT * 400))
    assert isinstance(error, PromptTooLong)
    assert error.limit == model.window == 700


async def test_a_wrong_key_is_rejected_and_the_variable_named_but_never_the_key(provider, read):
    provider.key = "right"
    for model, variable in (
        (Anthropic("claude-test", base_url=provider.url, api_key="sk-ant-wrong-123"), "ANTHROPIC_API_KEY"),
        (OpenAI("test", base_url=provider.openai_url, api_key="sk-wrong-123"), "OPENAI_API_KEY"),
    ):
        error = await failure_of(model, read(TEXT))
        await model.close()
        assert isinstance(error, Rejected)
        assert variable in str(error)
        assert "wrong" not in str(error)


async def test_a_missing_key_is_one_line_that_names_the_variable():
    with pytest.raises(ModelError, match="set ANTHROPIC_API_KEY"):
        Anthropic("claude-opus-5-5")
    with pytest.raises(ModelError, match="set OPENAI_API_KEY"):
        OpenAI("gpt-5-mini")


async def test_an_unknown_model_or_parameter_is_rejected_in_the_servers_words(wire, connect, provider, read):
    provider.faults += [
        Fault(status=404, message="model: claude-tset"),
        Fault(status=400, message="top_k: Extra inputs are not permitted"),
    ]
    model = connect(wire)
    assert "claude-tset" in str(await failure_of(model, read(TEXT)))
    second = await failure_of(model, read(TEXT))
    assert isinstance(second, Rejected)
    assert "top_k" in str(second)


async def test_what_the_prompt_holds_is_never_quoted_in_an_error(wire, connect, provider, read):
    provider.faults.append(Fault(status=400, message=f"invalid character in: {TEXT}"))
    error = await failure_of(connect(wire), read(TEXT))
    assert "Ida Lewis" not in str(error)


async def test_a_prompt_that_policy_forbids_is_refused(wire, connect, provider, read):
    provider.faults.append(Fault(status=400, code="content_filter", message="flagged"))
    assert isinstance(await failure_of(connect(wire), read(TEXT)), Refused)


@pytest.mark.parametrize("wire", STREAMED)
@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_connection_that_is_cut_in_mid_reply_is_unavailable(wire, after, connect, provider, read):
    provider.faults.append(Fault(cut=True, after=after))
    error = await failure_of(connect(wire), read(TEXT))
    assert type(error) is Unavailable
    assert error.in_doubt, "what was sent may be billed, though nothing came back"


@pytest.mark.parametrize("wire", STREAMED)
@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_stream_that_ends_properly_but_too_early_is_unavailable(wire, after, connect, provider, read):
    provider.faults.append(Fault(end=True, after=after))
    error = await failure_of(connect(wire), read(TEXT))
    assert (type(error), error.in_doubt) == (Unavailable, True)


@pytest.mark.parametrize("wire", STREAMED)
async def test_a_stream_that_falls_silent_is_unavailable(wire, connect, provider, read):
    provider.faults.append(Fault(stall=True, after=2))
    error = await failure_of(connect(wire, read_seconds=0.2), read(TEXT))
    assert (type(error), error.in_doubt, error.overloaded) == (Unavailable, True, True)


@pytest.mark.parametrize("wire", STREAMED)
@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("overloaded_error", Unavailable),
        ("api_error", Unavailable),
        ("server_error", Unavailable),
        ("rate_limit_error", RateLimited),
        ("rate_limit_exceeded", RateLimited),
        ("something_new", Unavailable),
        ("context_length_exceeded", PromptTooLong),
    ],
)
async def test_an_error_in_mid_stream_is_what_it_says(wire, event, expected, connect, provider, read):
    provider.faults.append(Fault(event=event, after=2))
    error = await failure_of(connect(wire), read(TEXT))
    assert type(error) is expected
    assert error.in_doubt is issubclass(expected, Unavailable)


async def test_a_page_instead_of_a_reply_is_unavailable(wire, connect, provider, read):
    provider.faults.append(Fault(body="<html>Log in to the hotel's network</html>"))
    assert type(await failure_of(connect(wire), read(TEXT))) is Unavailable


async def test_a_page_of_a_proxy_in_trouble_is_unavailable(wire, connect, provider, read):
    provider.faults.append(Fault(status=502, body="<html><h1>502 Bad Gateway</h1></html>"))
    assert type(await failure_of(connect(wire), read(TEXT))) is Unavailable


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '{"unexpected": true}', '{"choices": []}', '{"choices": [{}]}', '{"choices": [null]}'],
)
async def test_a_body_that_is_no_reply_is_unavailable(wire, body, connect, provider, read):
    provider.faults.append(Fault(body=body, content_type="application/json"))
    assert type(await failure_of(connect(wire), read(TEXT))) is Unavailable


@pytest.mark.parametrize("wire", STREAMED)
async def test_an_event_that_is_no_json_is_unavailable(wire, connect, provider, read):
    body = 'event: message_start\ndata: {"type": "message_st\n\n'
    provider.faults.append(Fault(body=body, content_type="text/event-stream"))
    assert type(await failure_of(connect(wire), read(TEXT))) is Unavailable


async def test_a_server_that_is_not_there_is_unavailable(read):
    for model in (
        Anthropic("claude-test", base_url="http://127.0.0.1:9", api_key="k"),
        OpenAI("test", base_url="http://127.0.0.1:9/v1"),
    ):
        error = await failure_of(model, read(TEXT))
        assert (type(error), error.in_doubt) == (Unavailable, False), "nothing was sent"
        await model.close()
