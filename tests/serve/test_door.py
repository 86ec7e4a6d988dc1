"""Who gets in, by which name, with how large a body; and what is never told."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest

from swarm.cli.main import main
from swarm.testing.provider import Provider
from swarm.testing.serving import Serving
from tests.serve.conftest import LARGEST, Alone, of_anthropic, of_openai

CHAT = b'{"model": "any", "messages": [{"role": "user", "content": "Where?"}]}'


def ask(endpoint: Serving, path: str = "/v1/models", **headers: str) -> httpx2.Response:
    return httpx2.get(f"{endpoint.url}{path}", headers=headers)


def test_every_route_but_health_wants_the_token(endpoint: Serving) -> None:
    for path in ("/v1/models", "/openapi.json", "/v1/models/any", "/nothing", "/"):
        assert ask(endpoint, path).status_code == 401
        assert ask(endpoint, path, authorization="Bearer wrong-token-0123456789").status_code == 401
    assert httpx2.post(f"{endpoint.url}/v1/chat/completions", content=CHAT).status_code == 401
    assert ask(endpoint, "/healthz").json() == {"status": "ok"}


def test_the_token_comes_by_either_header(endpoint: Serving) -> None:
    assert ask(endpoint, authorization=f"Bearer {endpoint.token}").status_code == 200
    assert ask(endpoint, **{"x-api-key": endpoint.token}).status_code == 200


def test_a_wrong_token_is_the_error_that_each_sdk_knows(endpoint: Serving) -> None:
    with pytest.raises(openai.AuthenticationError):
        of_openai(endpoint, "wrong-token-0123456789").models.list()
    with pytest.raises(anthropic.AuthenticationError) as caught:
        of_anthropic(endpoint, "wrong-token-0123456789").messages.create(model="a", max_tokens=1, messages=[])
    assert caught.value.body["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "[::", "10.0.0.7"]
)
def test_a_name_that_is_not_its_own_is_turned_away(endpoint: Serving, host: str) -> None:
    reply = ask(endpoint, "/healthz", host=host, authorization=f"Bearer {endpoint.token}")
    assert reply.status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]:80"])
def test_names_of_this_machine_are_its_own(endpoint: Serving, host: str) -> None:
    assert ask(endpoint, "/healthz", host=host).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
def test_pages_of_other_origins_are_turned_away(endpoint: Serving, origin: str) -> None:
    reply = ask(endpoint, origin=origin, authorization=f"Bearer {endpoint.token}")
    assert reply.status_code == 403
    assert not any(name.startswith("access-control") for name in reply.headers)


def test_a_body_of_no_sense_is_one_clear_error(endpoint: Serving) -> None:
    deep = b'{"messages": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    bodies = {
        b"": "no JSON object",
        b"[]": "no JSON object",
        b'{"messages": NaN}': "no JSON object",
        b'{"messages": []} x': "no JSON object",
        b'{"messages": [],}': "no JSON object",
        b'{"messages": "x"}': "list of objects",
        b'{"messages": [1]}': "list of objects",
        b"\xff\xfe": "no JSON object",
        b'{"n": ' + b"9" * 10_000 + b"}": "no JSON object",
        deep: "nested too deeply",
        b'{"messages": [], "max_tokens": 1, "max_tokens": 9}': "stands twice",
        b'{"messages": [], "max_tokens": -1}': "give a number",
        b'{"messages": [], "max_tokens": true}': "whole number",
    }
    headers = {"authorization": f"Bearer {endpoint.token}"}
    for body, words in bodies.items():
        reply = httpx2.post(f"{endpoint.url}/v1/chat/completions", content=body, headers=headers)
        assert (reply.status_code, words in reply.json()["error"]["message"]) == (400, True), (
            body[:40],
            reply.text,
        )


def test_what_is_not_there_is_told_in_the_shape_of_the_wire(endpoint: Serving) -> None:
    token = {"authorization": f"Bearer {endpoint.token}"}
    assert "nothing is at" in ask(endpoint, "/v1/nothing", **token).json()["error"]["message"]
    reply = ask(endpoint, "/v1/messages", **token)
    assert reply.status_code == 405
    assert reply.json()["type"] == "error"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(alone: Alone) -> None:
    endpoint = alone.serving
    head = (
        f"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {endpoint.token}\r\n"
        "Content-Length: 1000000000000\r\n\r\n"
    )
    assert b" 413 " in spoken(endpoint, head.encode())
    chunked = head.replace("Content-Length: 1000000000000", "Transfer-Encoding: chunked").encode()
    size = LARGEST // 3 + 1
    assert b" 413 " in spoken(endpoint, chunked + (f"{size:x}\r\n{'x' * size}\r\n" * 3).encode())
    with pytest.raises(anthropic.APIStatusError) as caught:
        of_anthropic(endpoint).messages.create(
            model="any", max_tokens=10, messages=[{"role": "user", "content": "x" * LARGEST}]
        )
    assert caught.value.status_code == 413
    assert caught.value.body["error"]["type"] == "request_too_large"


def spoken(endpoint: Serving, data: bytes) -> bytes:
    """The first of what comes back on a connection on which that was sent."""
    host, port = endpoint.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(data)
        return connection.recv(65_536)


def test_the_log_has_neither_content_nor_a_token(alone: Alone) -> None:
    endpoint, log = alone.serving, alone.log
    client = of_openai(endpoint)
    client.responses.create(model="any", input="Zyxomma is a dragonfly. What is Zyxomma?")
    client.chat.completions.create(model="any", messages=[{"role": "user", "content": "What is Zyxomma?"}])
    with pytest.raises(openai.APIStatusError):
        client.post("/responses", cast_to=object, body={"input": [{"Zyxomma": 1}], "stream": "Zyxomma"})
    with pytest.raises(openai.AuthenticationError):
        of_openai(endpoint, "a-wrong-token-9876543210").models.list()
    of_openai(endpoint).models.list()  # what was asked before is in the log by now
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["wire"] for line in lines if line["event"] == "request"} >= {"chat", "responses"}
    text = log.read_text()
    assert "yxomma" not in text
    assert endpoint.token not in text
    assert "9876543210" not in text


def test_a_token_is_made_and_shown_once_where_none_is_given(alone: Alone) -> None:
    made = alone.serving.token
    assert len(made) > 32
    assert of_openai(alone.serving, made).models.list().data[0].id == "extractive"
    with pytest.raises(openai.AuthenticationError):
        of_openai(alone.serving, "another-token-0123456789").models.list()


@pytest.mark.parametrize(
    ("options", "environment", "words"),
    [
        (["--model", "langchain:openai/x"], {}, "no endpoint can be made"),
        (["--model", "openai:a|openai:b"], {}, "no endpoint can be made"),
        ([], {"SWARM_SERVE_TOKEN": "short"}, "fewer than"),
    ],
)
def test_mistakes_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    environment: dict[str, str],
    words: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["swarm", "serve", "--port", "0", *options])
    assert main() == 2
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert words in said.err


def test_the_description_tells_routes_bodies_and_how_to_come_in(endpoint: Serving) -> None:
    told = ask(endpoint, "/openapi.json", authorization=f"Bearer {endpoint.token}").json()
    assert set(told["components"]["securitySchemes"]) == {"bearer", "key"}
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens"):
        operation = told["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert schema["additionalProperties"] is True
        assert schema["properties"]
        assert operation["security"]
        assert "429" in operation["responses"]
    assert told["paths"]["/healthz"]["get"]["security"] == []


def test_it_ends_when_told_to_and_lets_a_reply_end_first(tmp_path: Path) -> None:
    with (
        Provider(latency=1.0) as slow,
        Serving("openai:any", slow.openai_url, store=tmp_path / "s.db") as endpoint,
        ThreadPoolExecutor() as threads,
    ):
        asking = threads.submit(of_openai(endpoint).responses.create, model="any", input="Is it? It is.")
        slow.tally.wait_for(requests=1)
        assert endpoint.stop() == 0
        assert asking.result().output_text
