"""What fits is passed straight through: both SDKs, a process boundary, and the simulated provider behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from swarm.serve import app
from swarm.serve.clients import Client, Clients, digest_of
from swarm.serve.upstream import behind
from swarm.testing.faults import Fault
from swarm.testing.provider import Provider
from swarm.testing.serving import Serving
from tests.serve.conftest import KEY, of_anthropic, of_openai

ASKED = "Anna lives in Lisbon.\nBob lives in Rome.\n\nWhere does Anna live?"
SAID = "Anna lives in Lisbon."
MESSAGES = [{"role": "user", "content": ASKED}]
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}


def post(endpoint: Serving, path: str, content: bytes, **headers: str) -> httpx2.Response:
    given = {"authorization": f"Bearer {endpoint.token}", "content-type": "application/json"} | headers
    return httpx2.post(f"{endpoint.url}{path}", content=content, headers=given, timeout=60)


def test_chat_is_answered_whole_and_streamed(endpoint: Serving) -> None:
    client = of_openai(endpoint)
    reply = client.chat.completions.create(model="any", messages=MESSAGES)
    assert reply.choices[0].message.content == SAID
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    with client.chat.completions.stream(model="any", messages=MESSAGES) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == SAID


def test_responses_are_answered_whole_and_streamed(endpoint: Serving) -> None:
    client = of_openai(endpoint)
    assert client.responses.create(model="any", input=ASKED).output_text == SAID
    with client.responses.stream(model="any", input=ASKED) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == SAID


def test_messages_are_answered_whole_and_streamed(claude: Serving) -> None:
    client = of_anthropic(claude)
    reply = client.messages.create(model="any", max_tokens=100, messages=MESSAGES)
    assert reply.content[0].text == SAID
    assert reply.usage.input_tokens > 0
    with client.messages.stream(model="any", max_tokens=100, messages=MESSAGES) as stream:
        assert "".join(stream.text_stream) == SAID
        assert stream.get_final_message().usage.output_tokens > 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_body_goes_on_byte_for_byte_but_for_the_name_of_the_model(
    endpoint: Serving, provider: Provider, path: str
) -> None:
    body = (
        '{ "tide":\t{"low": [1.0, 1e3, "\\u00e9é"]},  "model" : "whatever", "metadata": {"model": "stays"},'
        '"input": "Bäume?", "messages": [{"role": "user", "content": "Bäume?"}] }'
    )
    sent: list[bytes] = []
    provider.faults.append(None)
    serve = provider._serve

    async def seen(form: object, exchange: object, raw: bytes) -> None:
        sent.append(raw)
        await serve(form, exchange, raw)

    provider._serve = seen  # type: ignore[method-assign]
    try:
        assert post(endpoint, path, body.encode()).status_code == 200
    finally:
        del provider._serve
    assert sent == [body.replace('"whatever"', '"any"').encode()]


def test_a_stream_arrives_as_it_was_sent_with_what_nobody_knows(provider: Provider, endpoint: Serving) -> None:
    provider.novel = True
    body = json.dumps({"model": "any", "input": ASKED, "stream": True}).encode()
    try:
        here = post(endpoint, "/v1/responses", body)
        there = httpx2.post(
            f"{provider.openai_url}/responses", content=body, headers={"authorization": f"Bearer {KEY}"}
        )
    finally:
        provider.novel = False
    assert here.content == there.content
    assert b"weather_report" in here.content
    assert here.headers["content-type"] == there.headers["content-type"]


def test_a_chunk_of_usage_that_nobody_asked_for_is_taken_out(endpoint: Serving) -> None:
    client = of_openai(endpoint)
    chunks = list(client.chat.completions.create(model="any", messages=MESSAGES, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert not any(chunk.usage for chunk in chunks)
    asked = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model="any", messages=MESSAGES, stream=True, stream_options=asked)
    )
    assert chunks[-1].usage is not None
    assert not chunks[-1].choices


def test_tools_are_called_through_all_three_wires(endpoint: Serving, claude: Serving, provider: Provider) -> None:
    provider.hands = lambda _: {"calls": [{"name": "look", "arguments": {"at": "it"}}]}
    client = of_openai(endpoint)
    chat = client.chat.completions.create(model="any", messages=MESSAGES, tools=[TOOL])
    assert chat.choices[0].message.tool_calls[0].function.arguments == '{"at": "it"}'
    flat = {"type": "function", **TOOL["function"]}
    response = client.responses.create(model="any", input=ASKED, tools=[flat])
    assert response.output[-1].name == "look"
    tool = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
    with of_anthropic(claude).messages.stream(
        model="any", max_tokens=100, messages=MESSAGES, tools=[tool]
    ) as stream:
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use"
    assert message.content[-1].input == {"at": "it"}


def test_images_and_thoughts_go_through(claude: Serving, provider: Provider) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    content = [image, {"type": "text", "text": ASKED}]
    reply = of_anthropic(claude).messages.create(
        model="any", max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    assert reply.content[0].text == SAID
    assert provider.requests[-1]["messages"][0]["content"][0] == image


def test_errors_of_the_provider_come_as_they_are_without_the_key(endpoint: Serving, provider: Provider) -> None:
    headers = {"retry-after": "7", "x-ratelimit-remaining-requests": "0"}
    provider.faults.append(Fault(status=429, message=f"slow down, {KEY}", headers=headers))
    with pytest.raises(openai.RateLimitError) as caught:
        of_openai(endpoint).chat.completions.create(model="any", messages=MESSAGES)
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert "slow down" in str(caught.value)
    assert KEY not in str(caught.value)


def test_an_error_in_a_stream_reaches_the_client(claude: Serving, provider: Provider) -> None:
    provider.faults.append(Fault(after=3, event="overloaded_error", message="busy"))
    with pytest.raises(anthropic.APIStatusError, match="busy"):
        list(of_anthropic(claude).messages.create(model="any", max_tokens=100, messages=MESSAGES, stream=True))


@pytest.mark.parametrize("fault", [Fault(after=3, cut=True), Fault(after=3, reset=True)])
def test_a_stream_that_breaks_off_ends_in_an_error_and_not_in_silence(
    endpoint: Serving, provider: Provider, fault: Fault
) -> None:
    provider.faults.append(fault)
    events = list(of_openai(endpoint).responses.create(model="any", input=ASKED, stream=True))
    assert events[-1].type == "error"
    assert "broke off" in events[-1].message
    provider.faults.append(fault)
    with pytest.raises(openai.APIError, match="broke off"):
        list(of_openai(endpoint).chat.completions.create(model="any", messages=MESSAGES, stream=True))


@asynccontextmanager
async def here(url: str, store: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's SDK with an endpoint in this process, before the provider at that address."""
    client = Client(name="anna", digest=digest_of("a-token"))
    served = app.Serving(clients=Clients([client]), to=behind("openai:any", base_url=url), store=store)
    async with app.opened(served) as endpoint:
        transport = httpx2.ASGITransport(app.application(served, endpoint))
        async with (
            httpx2.AsyncClient(transport=transport) as inner,
            openai.AsyncOpenAI(
                base_url="http://localhost/v1", api_key="a-token", max_retries=0, http_client=inner
            ) as sdk,
        ):
            yield sdk


async def test_a_provider_that_cannot_be_reached_is_a_502(tmp_path: Path) -> None:
    async with here("http://127.0.0.1:9/v1", tmp_path / "s.db") as client:
        with pytest.raises(openai.InternalServerError, match="cannot be reached"):
            await client.chat.completions.create(model="any", messages=MESSAGES)


async def test_a_window_that_is_smaller_than_was_thought_is_learnt_from_the_first_refusal(tmp_path: Path) -> None:
    lines = [f"The tower of town {number} was built in {1200 + number}." for number in range(900)]
    text = "\n".join(lines) + "\n\nWhen was the tower of town 77 built?"
    with Provider(window=6_000) as small:
        async with here(small.openai_url, tmp_path / "s.db") as client:
            reply = await client.responses.create(model="any", input=text)
    assert "1277" in reply.output_text
    assert reply.output[0].content[0].annotations


def test_another_wire_is_translated_where_it_is_text(
    endpoint: Serving, claude: Serving, provider: Provider
) -> None:
    reply = of_anthropic(endpoint).messages.create(
        model="any",
        max_tokens=100,
        system="Be brief.",
        messages=MESSAGES,
        stop_sequences=["END"],
        extra_body={"temperature": 0.5},
    )
    assert reply.content[0].text == SAID
    assert reply.stop_reason == "end_turn"
    assert reply.usage.input_tokens > 0
    sent = provider.requests[-1]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["temperature"], sent["stop"], sent["max_tokens"]) == (0.5, ["END"], 100)
    client = of_openai(claude)
    with client.responses.stream(model="any", input=ASKED, instructions="Be brief.") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == SAID
    assert provider.requests[-1]["system"] == "Be brief."
    with client.chat.completions.stream(
        model="any", messages=MESSAGES, stream_options={"include_usage": True}
    ) as chunks:
        chunks.until_done()
        completion = chunks.get_final_completion()
    assert completion.choices[0].message.content == SAID
    assert completion.usage.completion_tokens > 0


def test_what_another_wire_cannot_say_is_refused_with_the_endpoint_that_can(
    endpoint: Serving, claude: Serving, provider: Provider
) -> None:
    tool = {"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}
    with pytest.raises(anthropic.BadRequestError, match="/v1/chat/completions"):
        of_anthropic(endpoint).messages.create(model="any", max_tokens=10, messages=MESSAGES, tools=[tool])
    with pytest.raises(openai.BadRequestError, match="/v1/messages"):
        of_openai(claude).chat.completions.create(model="any", messages=MESSAGES, tools=[TOOL])
    assert provider.requests == []


def test_tokens_are_counted_and_never_fewer_than_are_billed(
    endpoint: Serving, claude: Serving, provider: Provider
) -> None:
    counted = of_openai(endpoint).responses.input_tokens.count(model="any", input=ASKED).input_tokens
    billed = of_openai(endpoint).responses.create(model="any", input=ASKED).usage.input_tokens
    assert counted >= billed
    of_provider = of_anthropic(claude).messages.count_tokens(model="any", messages=MESSAGES).input_tokens
    assert (
        of_provider
        == of_anthropic(claude).messages.create(model="any", max_tokens=10, messages=MESSAGES).usage.input_tokens
    )


def test_models_are_told_in_the_shape_of_either_vendor(endpoint: Serving) -> None:
    assert [model.id for model in of_openai(endpoint).models.list()] == ["any"]
    assert of_openai(endpoint).models.retrieve("any").object == "model"
    assert [model.id for model in of_anthropic(endpoint).models.list()] == ["any"]
    with pytest.raises(anthropic.NotFoundError):
        of_anthropic(endpoint).models.retrieve("other")
