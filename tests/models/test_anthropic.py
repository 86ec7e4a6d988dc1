"""What is Claude's alone: the cache, the thinking, the ways to give a schema."""

import pytest

from swarm.errors import ModelError
from swarm.models.anthropic import Anthropic
from swarm.models.base import FREE, Price
from swarm.prompts.replies import ReadReply

TEXT = "Ida Lewis kept the lighthouse for 54 years."
PRICE = Price(input_usd=2.0, output_usd=10.0, cached_usd=0.2)


async def test_a_model_without_schemas_is_made_to_call_a_tool(connect, provider, read):
    provider.structured = False
    completion = await connect("messages").call(read(TEXT), max_output=500)
    assert provider.requests[1]["tool_choice"] == {"type": "tool", "name": "reply"}
    assert ReadReply.model_validate_json(completion.text).findings


async def test_a_short_prefix_is_not_marked_for_the_cache(connect, provider, read):
    await connect("messages").call(read(TEXT), max_output=500)
    assert "cache_control" not in str(provider.requests[0])


async def test_a_long_shared_prefix_is_cached_and_the_slice_is_not(connect, provider, read):
    model = connect("messages", price=PRICE)
    prompt = read(TEXT, question="Who kept the lighthouse? " * 200)
    first = await model.call(prompt, max_output=500)
    second = await model.call(prompt, max_output=500)
    blocks = provider.requests[0]["messages"][0]["content"]
    assert ["cache_control" in block for block in blocks] == [True, False]
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens > 1_000


async def test_input_is_the_sum_of_fresh_cached_and_written_and_each_has_its_price(connect, provider, read):
    model = connect("messages", price=PRICE)
    prompt = read(TEXT, question="Who kept the lighthouse? " * 200)
    first = await model.call(prompt, max_output=500)
    second = await model.call(prompt, max_output=500)
    assert first.usage.input_tokens == second.usage.input_tokens
    plain = PRICE.cost(first.usage.input_tokens, first.usage.output_tokens)
    assert plain < first.usage.cost_usd < 1.25 * plain, "writing to the cache costs a quarter more"
    assert second.usage.cost_usd < plain / 2, "reading from it a tenth"


async def test_effort_is_passed_on_only_when_given(connect, provider, read):
    await connect("messages").call(read(TEXT), max_output=500)
    await connect("messages", effort="low").call(read(TEXT), max_output=500)
    assert "effort" not in provider.requests[0]["output_config"]
    assert provider.requests[1]["output_config"]["effort"] == "low"


async def test_a_shorter_longest_reply_is_learnt_from_the_refusal(connect, provider, read):
    from swarm.testing.provider import Fault

    said = "max_tokens: 16384 > 8192, which is the maximum allowed number of output tokens"
    provider.faults.append(Fault(status=400, message=said))
    model = connect("messages")
    await model.call(read(TEXT), max_output=16_384)
    assert provider.requests[1]["max_tokens"] == model.max_output == 8_192


def test_a_server_on_this_machine_is_free_and_needs_no_key():
    assert Anthropic("any", base_url="http://localhost:8080").price == FREE


def test_a_server_elsewhere_needs_one():
    with pytest.raises(ModelError, match="set ANTHROPIC_API_KEY"):
        Anthropic("any", base_url="https://gateway.example")
