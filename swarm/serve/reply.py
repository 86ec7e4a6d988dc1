"""The reply of the endpoint as it leaves: begun once, written piece by piece, ended once; and a client that goes
away.

Plain ASGI. This module knows no wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import Any

from swarm.serve.body import Gone, Receive
from swarm.serve.events import dumped, written
from swarm.serve.request import Event, Wire, Wrong

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache, no-transform")]
TAKE_SECONDS = 120.0
"""For a client to take what it is sent, until it counts as gone: the call behind costs money meanwhile."""
JSON = [(b"content-type", b"application/json")]


class Reply:
    """One reply. `plain` is one that began as JSON before anything of it was known: it cannot tell an error any
    more, but by breaking off."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = False
        self.plain = False
        self.ended = False
        self.status = 0

    async def begin(self, status: int, headers: Headers) -> None:
        self.begun, self.status = True, status
        await self._send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def write(self, data: bytes) -> None:
        """Send a piece.

        Raises:
            Gone: nobody takes what was sent before.
        """
        if data:
            try:
                async with asyncio.timeout(TAKE_SECONDS):
                    await self._send({"type": "http.response.body", "body": data, "more_body": True})
            except TimeoutError:
                raise Gone from None

    async def events(self, events: Iterable[Event]) -> None:
        await self.write(b"".join(map(written, events)))

    async def wait(self) -> None:
        """Say in JSON that more is coming: a blank before it means nothing."""
        if not self.begun:
            self.plain = True
            await self.begin(200, JSON)
        await self.write(b" ")

    async def end(self, data: bytes = b"") -> None:
        self.ended = True
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        await self.begin(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self.end(body)

    async def json(self, status: int, value: Any, headers: Headers = ()) -> None:
        await self.whole(status, [*JSON, *headers], dumped(value))

    async def wrong(self, wrong: Wrong, wire: Wire) -> None:
        """An error in the shape of a wire, however far the reply has come."""
        if self.ended or self.plain:  # the server closes a connection whose reply has no end
            return
        if self.begun:
            await self.events(wire.error_event(wrong))
            await self.end()
            return
        await self.json(wrong.status, wire.error(wrong), error_headers(wrong))


def error_headers(wrong: Wrong) -> list[tuple[bytes, bytes]]:
    headers = []
    if wrong.retry_after is not None:
        headers.append((b"retry-after", str(max(1, round(wrong.retry_after + 0.5))).encode()))
    if not wrong.again:
        headers.append((b"x-should-retry", b"false"))
    if wrong.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


async def attended(receive: Receive, reply: Reply, work: Coroutine[Any, Any, None]) -> None:
    """Do the work as long as somebody waits for it; what is left to do once the reply is out is always done.

    Raises:
        Gone: nobody does any more; the work was cancelled, and has ended.
    """
    doing, watching = asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((doing, watching), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done() and not reply.ended:
            raise Gone
        await doing
    finally:
        watching.cancel()
        doing.cancel()
        await asyncio.wait((doing, watching))
        if not doing.cancelled():
            doing.exception()  # seen; what came of it was told above


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a request by their lower names."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
