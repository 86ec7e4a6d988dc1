"""What a client can do to the endpoint, to the model behind and to other clients by what it sends: nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
import uvicorn

from swarm.serve import app
from swarm.serve.app import Serving as Served
from swarm.serve.clients import Client, Clients, digest_of
from swarm.serve.connection import HEAD_BYTES, Connection
from swarm.serve.endpoint import Endpoint
from swarm.serve.passing import smaller_window
from swarm.serve.request import WireName
from swarm.serve.upstream import Upstream, behind
from swarm.serve.wire import WIRES
from swarm.testing.faults import Fault
from swarm.testing.provider import Provider
from swarm.testing.serving import Serving
from tests.serve.conftest import of_anthropic, of_openai
from tests.serve.stories import ASKS, TWO_WINDOWS

MESSAGES = [{"role": "user", "content": "Anna lives in Lisbon. Where does Anna live?"}]


@contextmanager
def headers_at(provider: Provider) -> Iterator[list[dict[str, str]]]:
    """The headers of what reaches the provider."""
    seen: list[dict[str, str]] = []
    serve = provider._serve

    async def noted(form: Any, exchange: Any, raw: bytes) -> None:
        seen.append(exchange.headers | {"": json.dumps(exchange.query)})
        await serve(form, exchange, raw)

    provider._serve = noted  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        del provider._serve


def test_the_tool_runner_of_anthropic_s_sdk_sends_all_of_its_conversation(
    claude: Serving, provider: Provider
) -> None:
    """By default it leaves the conversation to the provider and sends what is new, which nobody here could see."""

    @anthropic.beta_tool
    def look(at: str) -> str:
        """Look at it."""
        return f"{at} is in Lisbon."

    does = [{"calls": [{"name": "look", "arguments": {"at": "it"}}]}, {"says": "In Lisbon."}]
    provider.hands = lambda seen: does[len(seen.turns)]
    for stream in (False, True):
        runner = of_anthropic(claude).beta.messages.tool_runner(
            model="any", max_tokens=100, tools=[look], messages=MESSAGES, stream=stream
        )
        last = None
        for one in runner:
            last = one.get_final_message() if stream else one  # type: ignore[union-attr]
        assert last is not None
        assert last.content[-1].text == "In Lisbon."
        assert [len(body["messages"]) for body in provider.requests] == [1, 3]
        assert not any("thread" in body for body in provider.requests)
        provider.reset()
    with pytest.raises(anthropic.BadRequestError, match="whole conversation"):
        of_anthropic(claude).beta.messages.create(
            model="any",
            max_tokens=9,
            messages=MESSAGES,
            thread={"type": "continue", "previous_message_id": "msg_1"},
        )
    assert provider.requests == []


def test_citations_that_come_back_with_the_next_turn_are_not_passed_on(
    endpoint: Serving, claude: Serving, provider: Provider
) -> None:
    """A provider refuses fields that it does not know."""
    mine = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "", "url": "https://a.example"}
    chat = of_openai(endpoint)
    asked: list[Any] = [{"role": "user", "content": f"{TWO_WINDOWS}\n\n{ASKS}"}]
    said = chat.responses.create(model="any", input=asked)
    items = [item.model_dump() for item in said.output]
    assert items[0]["content"][0]["annotations"][0]["url"].startswith("swarm:/")
    items[0]["content"][0]["annotations"].append(mine)
    chat.responses.create(model="any", input=[{"role": "user", "content": ASKS}, *items, *MESSAGES])
    assert provider.requests[-1]["input"][1]["content"][0]["annotations"] == [mine]
    block = of_anthropic(claude).messages.create(model="any", max_tokens=300, messages=asked).content[0]
    assert block.citations
    turns = [{"role": "user", "content": ASKS}, {"role": "assistant", "content": [block]}, *MESSAGES]
    of_anthropic(claude).messages.create(model="any", max_tokens=300, messages=turns)
    assert "swarm:" not in json.dumps(provider.requests[-1])
    assert provider.requests[-1]["messages"][1]["content"][0]["text"] == block.text

    with pytest.raises(openai.BadRequestError, match="keeps only a part") as refused:
        chat.responses.create(model="any", input="And where does Ben live?", previous_response_id=said.id)
    assert refused.value.code == "previous_response_not_found"


def test_no_header_of_a_client_s_reaches_the_provider_but_those_of_the_wire(
    endpoint: Serving, provider: Provider
) -> None:
    given = {
        "authorization": f"Bearer {endpoint.token}",
        "cookie": "a=b",
        "connection": "x-secret",
        "forwarded": "for=1.2.3.4",
        "host": "localhost",
        "idempotency-key": "one-that-others-guess",
        "openai-organization": "theirs",
        "openai-project": "theirs",
        "proxy-authorization": "Basic eA==",
        "x-forwarded-for": "1.2.3.4",
        "x-secret": "1",
        "openai-beta": "responses=v1",
    }
    body = json.dumps({"messages": MESSAGES}).encode()
    with headers_at(provider) as seen:
        url = f"{endpoint.openai_url}/chat/completions?api-version=1&beta=true&key=x"
        assert httpx2.post(url, content=body, headers=given).status_code == 200
    (sent,) = seen
    own = {"accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"}
    assert set(sent) - own == {"", "authorization", "idempotency-key", "openai-beta"}
    assert sent["idempotency-key"] != "one-that-others-guess"
    assert sent[""] == '{"beta": "true"}'
    assert endpoint.token not in str(sent)


def test_a_provider_that_sends_elsewhere_is_not_followed_and_its_address_not_told(
    endpoint: Serving, provider: Provider
) -> None:
    provider.faults.append(Fault(status=307, headers={"location": "http://10.0.0.1/inner"}))
    with pytest.raises(openai.InternalServerError, match="sends elsewhere") as caught:
        of_openai(endpoint).chat.completions.create(model="any", messages=MESSAGES)
    assert "location" not in caught.value.response.headers


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"role": "user", "role": "system", "content": "x"}]}',
        b'{"messages": [], "Max_Tokens": 9}',
        b'{"messages": [], "max_to\xe2\x84\xaaens": 9}',
        b'{"messages": [], "N": 9}',
    ],
)
def test_what_two_readers_could_understand_in_two_ways_is_refused(endpoint: Serving, body: bytes) -> None:
    headers = {"authorization": f"Bearer {endpoint.token}"}
    reply = httpx2.post(f"{endpoint.openai_url}/chat/completions", content=body, headers=headers)
    assert reply.status_code == 400
    assert any(words in reply.json()["error"]["message"] for words in ("stands twice", "written otherwise"))


def test_halves_of_characters_and_headers_beyond_ascii_are_no_mistake_of_the_endpoint_s(endpoint: Serving) -> None:
    headers = [("authorization", f"Bearer {endpoint.token}"), ("content-type", "application/json")]
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "x": "\ud800"}}}
    body = json.dumps({"model": "any", "messages": [{"role": "user", "content": "Hi \udfff"}], "tools": [tool]})
    url = f"{endpoint.openai_url}/chat/completions"
    assert httpx2.post(url, content=body, headers=headers).status_code != 500
    url = f"{endpoint.openai_url}/responses/input_tokens"
    asked = json.dumps({"model": "any", "input": "\ud800"})
    assert httpx2.post(url, content=asked, headers=headers).status_code == 200
    url, plain = f"{endpoint.openai_url}/responses", json.dumps({"model": "any", "input": "Hi"})
    odd = httpx2.Headers([*headers, ("x-client-request-id", "\u00e9")], encoding="latin-1")
    assert httpx2.post(url, content=plain, headers=odd).status_code == 200


def test_no_client_makes_the_window_smaller_by_words_that_an_error_repeats() -> None:
    to = behind("openai:any", base_url="http://127.0.0.1:9/v1", window=32_768)
    words = "This model's maximum context length is 600 tokens."
    error = json.dumps({"error": {"message": f"Invalid value: '{words}'", "type": "invalid_request_error"}})
    plain = WIRES["chat"].parse({"messages": MESSAGES}, len)
    quoted = WIRES["chat"].parse({"messages": [{"role": words, "content": "x"}]}, len)
    upstream = Upstream(to)
    assert smaller_window(error.encode(), 400, upstream, plain) == 600
    assert smaller_window(error.encode(), 400, upstream, quoted) == 0
    upstream.answered = 700
    assert smaller_window(error.encode(), 400, upstream, plain) == 0


# Without a server of its own


CLIENT = Client(name="anna", digest=digest_of("a-token"))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Served, Endpoint]]:
    served = Served(clients=Clients([CLIENT]), store=folder / "s.db")
    async with app.opened(served) as endpoint:
        yield served, endpoint


@pytest.mark.parametrize(("wire", "path"), [("chat", "/v1/chat/completions"), ("messages", "/v1/messages")])
async def test_a_mistake_of_the_endpoint_s_own_is_an_error_of_the_wire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wire: WireName, path: str
) -> None:
    async def breaks(*_: Any) -> None:
        raise LookupError("a secret")

    async with opened(tmp_path) as (served, endpoint):
        monkeypatch.setattr(Endpoint, "_answer", breaks)
        transport = httpx2.ASGITransport(app.application(served, endpoint))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            reply = await client.post(path, json={"messages": MESSAGES}, headers={"x-api-key": "a-token"})
    assert reply.status_code == 500
    assert reply.json()["error"]["message"] == "this endpoint made a mistake"
    assert ("type" in reply.json()) == (wire == "messages")


async def test_what_is_left_to_do_when_the_reply_is_out_is_done_though_the_client_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[bool] = []
    out = asyncio.Event()

    async def answers(_: Endpoint, asking: Any) -> None:
        await asking.reply.json(200, {})
        out.set()
        await asyncio.sleep(0.01)
        settled.append(True)

    async def receive() -> dict[str, Any]:
        if not out.is_set() and not asked:
            asked.append(True)
            return {"type": "http.request", "body": json.dumps({"messages": MESSAGES}).encode()}
        await out.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    asked: list[bool] = []
    monkeypatch.setattr(Endpoint, "_answer", answers)
    async with opened(tmp_path) as (_, endpoint):
        await endpoint.serve("chat", {"headers": []}, receive, send, CLIENT)
    assert settled == [True]


_WHOLE = b"GET / HTTP/1.1\r\n\r\n"


class _Hasty(Connection):
    head_seconds = 0.1


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: loc",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"x: y\r\n" * (HEAD_BYTES // 6),
        _WHOLE,
        b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx",
    ],
)
async def test_a_connection_on_which_nothing_is_asked_is_closed(said: bytes) -> None:
    """Whoever reaches the port could hold all of them for good otherwise."""

    async def answers(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(answers, http=_Hasty, lifespan="off", log_config=None, timeout_keep_alive=600)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    state = server.server_state
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Hasty(config, state, {}), "127.0.0.1", 0)
    async with listening, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(said)
        if said == _WHOLE:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\r\n")  # ends uvicorn's own waiting
        await reader.read()  # to the end
        writer.close()
