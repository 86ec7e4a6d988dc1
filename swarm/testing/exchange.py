"""One HTTP exchange at the server's side, which may end as it should or be broken off in the middle.

Plain ASGI, as uvicorn speaks it; to cut or reset a connection it reaches for uvicorn's transport. It knows no
format.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NO_LINGER = struct.pack("ii", 1, 0)  # on close: throw away what is unsent and send a reset


class Exchange:
    """A request, and the reply to it as far as it got."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.path: str = scope["path"]
        self.query: dict[str, str] = dict(parse_qsl(scope["query_string"].decode()))
        self.headers: dict[str, str] = {name.decode(): value.decode() for name, value in scope["headers"]}
        self._receive, self._send = receive, send

    async def body(self) -> bytes:
        """All that the client sent."""
        parts = []
        while True:
            message = await self._receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def reply(self, status: int, headers: Mapping[str, str], body: bytes, content_type: str) -> bool:
        """Send a whole reply. Whether anybody was there to take it."""
        await self.begin(status, {**headers, "content-length": str(len(body))}, content_type)
        return await self.end(body)

    async def reply_json(self, status: int, headers: Mapping[str, str], body: Any) -> bool:
        """As `reply`."""
        return await self.reply(status, headers, json.dumps(body).encode(), "application/json")

    async def begin(self, status: int, headers: Mapping[str, str], content_type: str) -> None:
        """Send the head of a reply; without a content-length it is sent in chunks."""
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"content-type", content_type.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> bool:
        """Send the rest of the body. Whether anybody was there to take it."""
        here = not self._transport().is_closing()
        await self._send({"type": "http.response.body", "body": data, "more_body": False})
        return here

    def cut(self) -> None:
        """Close the connection, once what was written is sent."""
        self._transport().close()

    def reset(self) -> None:
        """Break the connection off: the client gets a reset instead of an end."""
        transport = self._transport()
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()

    async def left(self) -> None:
        """Return when the client has gone away."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _transport(self) -> Any:
        return self._send.__self__.transport  # type: ignore[attr-defined]  # `send` is a method of uvicorn's
