"""A connection of the server, with bounds that come before anybody is known: how long it takes to say what it
wants, and in how many bytes.

Without them whoever reaches the port could hold all of its connections for good, or fill the memory with headers.
This module knows uvicorn's protocol, and nothing of what is served.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 30.0
"""For the head of a request, from the connection or its first byte on; and for a body that nobody reads."""
HEAD_BYTES: Final = 64 * 1024


class Connection(HttpToolsProtocol):
    """As uvicorn's own, within bounds."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._head: int | None = 0
        """Bytes of a head that is not complete; None between its end and the next one's beginning."""
        self._whole = True
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")
        elif self._whole and (self.cycle is None or self.cycle.response_complete):
            self._wait()  # a blank line between two requests ends uvicorn's own waiting, and begins nothing

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._whole = self._head or 0, False
        self._wait()

    def on_headers_complete(self) -> None:
        self._head = None
        self._wait_no_more()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._whole = True
        self._wait_no_more()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._whole:
            self._wait()

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.head_seconds, self.timeout_keep_alive_handler)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
