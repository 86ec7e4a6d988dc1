"""What becomes of a request, without a server: signs of life, and a client that leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from swarm.serve.app import Serving, opened
from swarm.serve.clients import Client, Clients, digest_of
from swarm.serve.endpoint import Endpoint, Terms
from swarm.serve.own import Own
from swarm.serve.request import WireName, Wrong
from swarm.task import Usage

CLIENT = Client(name="anna", digest=digest_of("a-token"), concurrent=1)
BODIES: dict[WireName, bytes] = {
    "chat": b'{"stream": true, "messages": [{"role": "user", "content": "Why?"}]}',
    "responses": b'{"stream": true, "input": "Why?"}',
    "messages": b'{"stream": true, "max_tokens": 9, "messages": [{"role": "user", "content": "Why?"}]}',
}


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    serving = Serving(
        clients=Clients([CLIENT]),
        store=tmp_path / "s.db",
        terms=Terms(alive_seconds=0.001, patience_seconds=0.0, concurrent=1),
    )
    async with opened(serving) as endpoint:
        yield endpoint


class Talk:
    """One exchange: what the client sends, and what it gets. It stays until `leave` is set."""

    def __init__(self, body: bytes) -> None:
        self.sent: list[bytes] = []
        self.status = 0
        self.more_body = True
        self.leave = asyncio.Event()
        self._changed = asyncio.Condition()
        self._body: bytes | None = body

    async def receive(self) -> MutableMapping[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body}
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.sent.append(message.get("body", b""))
        self.more_body = message.get("more_body", True)
        async with self._changed:
            self._changed.notify_all()

    async def heard(self, messages: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.sent) >= messages)


async def serve(endpoint: Endpoint, wire: WireName, talk: Talk) -> None:
    await endpoint.serve(wire, {"headers": []}, talk.receive, talk.send, CLIENT)


@pytest.mark.parametrize(
    ("wire", "sign"), [("chat", b": alive"), ("responses", b": alive"), ("messages", b"event: ping")]
)
async def test_a_reply_that_takes_long_gives_signs_of_life(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, wire: WireName, sign: bytes
) -> None:
    talk = Talk(BODIES[wire])

    async def answer(*_: Any) -> Own:
        await talk.heard(4)
        return Own(pieces=(("So.", ()),), spent=Usage())

    monkeypatch.setattr(endpoint.folding, "answer", answer)
    await serve(endpoint, wire, talk)
    assert talk.sent[1].startswith(sign)
    assert b"So." in b"".join(talk.sent)
    assert talk.sent[-1] == b""


async def test_a_reply_in_one_piece_that_takes_long_is_kept_alive_by_blanks(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk(b'{"input": "Why?"}')

    async def answer(*_: Any) -> Own:
        await talk.heard(4)
        return Own(pieces=(("So.", ()),), spent=Usage())

    monkeypatch.setattr(endpoint.folding, "answer", answer)
    await serve(endpoint, "responses", talk)
    assert talk.sent[1] == b" "
    assert json.loads(b"".join(talk.sent))["output"][0]["content"][0]["text"] == "So."
    assert not talk.more_body


async def test_one_that_was_kept_alive_and_fails_has_no_end_rather_than_a_wrong_one(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk(b'{"input": "Why?"}')

    async def answer(*_: Any) -> Own:
        await talk.heard(3)
        raise Wrong(502, "nothing came of it")

    monkeypatch.setattr(endpoint.folding, "answer", answer)
    await serve(endpoint, "responses", talk)
    assert b"".join(talk.sent).isspace()
    assert talk.more_body


async def test_a_client_that_leaves_ends_what_is_done_for_it_and_makes_room(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    talk = Talk(BODIES["chat"])

    async def answer(*_: Any) -> Own:
        talk.leave.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        raise AssertionError

    monkeypatch.setattr(endpoint.folding, "answer", answer)
    async with asyncio.timeout(30):
        await serve(endpoint, "chat", talk)
    assert ended == ["cancelled"]
    await endpoint.idle()
    again = Talk(BODIES["chat"])
    monkeypatch.undo()
    await serve(endpoint, "chat", again)
    assert again.status == 200


async def test_what_is_too_much_at_a_time_is_refused_and_said_so(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Talk(BODIES["chat"]), Talk(BODIES["chat"])
    begun = asyncio.Event()

    async def answer(*_: Any) -> Own:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(endpoint.folding, "answer", answer)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(endpoint, "chat", first))
        await begun.wait()
        await serve(endpoint, "chat", second)
        first.leave.set()
    assert second.status == 503


async def test_a_client_that_takes_nothing_counts_as_gone(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk(BODIES["chat"])
    monkeypatch.setattr("swarm.serve.reply.TAKE_SECONDS", 0.01)

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(30):
        await endpoint.serve("chat", {"headers": []}, talk.receive, send, CLIENT)
    async with asyncio.timeout(30):
        await endpoint.idle()
