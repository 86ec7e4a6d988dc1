"""Servers of others that speak OpenAI's language, each with its own accent."""

import pytest

from swarm.errors import ModelError, Rejected
from swarm.models.base import FREE
from swarm.models.language import json_in
from swarm.models.openai import OpenAI
from swarm.models.prices import UNKNOWN_WINDOW
from swarm.models.registry import connect as connect_by_name
from swarm.prompts.replies import ReadReply
from swarm.testing.provider import Fault

TEXT = "Ida Lewis kept the lighthouse for 54 years."


async def test_a_base_url_alone_means_chat_completions_without_a_key_on_this_machine(provider, read):
    model = connect_by_name("openai:llama3.2", base_url=provider.openai_url)
    await model.call(read(TEXT), max_output=100)
    await model.close()
    assert "messages" in provider.requests[0]
    assert model.price == FREE
    assert model.window == UNKNOWN_WINDOW


async def test_the_base_url_may_come_from_the_environment(provider, read, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", provider.openai_url)
    model = connect_by_name("openai:llama3.2")
    await model.call(read(TEXT), max_output=100)
    await model.close()
    assert "messages" in provider.requests[0]


async def test_the_format_can_be_insisted_on(provider, read):
    for name, field in (("openai-responses:x", "input"), ("openai-chat:x", "messages")):
        model = connect_by_name(name, base_url=provider.openai_url)
        await model.call(read(TEXT), max_output=100)
        await model.close()
        assert field in provider.requests[-1]


async def test_the_schema_is_also_told_in_words_because_some_servers_ignore_it(wire, connect, provider, read):
    await connect(wire).call(read(TEXT), max_output=100)
    asked = str(provider.requests[0])
    assert "It fits this JSON schema:" in asked


async def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it(connect, provider, read):
    said = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    provider.faults.append(Fault(status=400, message=said))
    model = connect("chat")
    await model.call(read(TEXT), max_output=100)
    await model.call(read(TEXT), max_output=100)
    assert ["max_tokens" in body for body in provider.requests] == [True, False, False]


@pytest.mark.parametrize(
    "said",
    [
        "response_format.type must be one of: text, json_object",
        "'json_schema' is not supported",
        "Failed to compile grammar",
        "This model does not support structured outputs",
    ],
)
async def test_a_server_without_schemas_is_asked_for_an_object(said, connect, provider, read):
    provider.faults.append(Fault(status=400, message=said))
    completion = await connect("chat").call(read(TEXT), max_output=500)
    assert provider.requests[1]["response_format"] == {"type": "json_object"}
    assert ReadReply.model_validate_json(completion.text).findings


async def test_what_has_nothing_to_do_with_the_form_is_not_tried_in_another(connect, provider, read):
    provider.faults.append(Fault(status=400, message="temperature: out of range"))
    with pytest.raises(Rejected):
        await connect("chat").call(read(TEXT), max_output=100)
    assert len(provider.requests) == 1


async def test_usage_that_is_not_told_is_taken_as_counted(connect, provider, read):
    body = '{"id":"1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"{}"}}]}'  # noqa: E501
    provider.faults.append(Fault(body=body, content_type="application/json"))
    model = connect("chat")
    prompt = read(TEXT)
    completion = await model.call(prompt, max_output=100)
    assert completion.usage.input_tokens == model.count(prompt)


async def test_a_message_in_parts_is_joined(connect, provider, read):
    body = '{"id":"1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":[{"type":"text","text":"{\\"a\\""},{"type":"text","text":": 1}"}]}}]}'  # noqa: E501
    provider.faults.append(Fault(body=body, content_type="application/json"))
    assert (await connect("chat").call(read(TEXT), max_output=100)).text == '{"a": 1}'


@pytest.mark.parametrize(
    ("said", "read_as"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('```\n{"a": "```"}\n```', '{"a": "```"}'),
        ('Sure! {"a": {"b": 2}} Anything else?', '{"a": {"b": 2}}'),
        ('<think>maybe {"x": 0}</think>\n{"a": 1}', '{"a": 1}'),
        ("no object", "no object"),
        ("", ""),
        ('{"cut": "of', '{"cut": "of'),
    ],
)
def test_the_object_is_found_in_what_surrounds_it(said, read_as):
    assert json_in(said) == read_as


def test_a_server_elsewhere_wants_a_key():
    with pytest.raises(ModelError, match="set OPENAI_API_KEY"):
        OpenAI("deepseek-chat", base_url="https://api.deepseek.com")


def test_the_price_of_a_hosted_server_is_found_by_its_address():
    model = OpenAI("deepseek-chat", base_url="https://api.deepseek.com", api_key="k")
    assert model.price.known
    assert model.price.input_usd < 5
    assert model.window > UNKNOWN_WINDOW


def test_a_server_that_no_table_knows_costs_the_most_there_is_and_says_that_it_is_a_guess():
    model = OpenAI("m", base_url="https://gateway.example/v1", api_key="k")
    assert not model.price.known
    assert model.price.input_usd >= OpenAI("gpt-5", api_key="k").price.input_usd
