"""A client of an SDK, alive for as long as it can be: one event loop, until it is closed.

A model outlives both: the same object may serve a second run, or a second `asyncio.run`. This module knows no SDK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_NEVER_SENT = {
    "ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "ClientConnectorError",
    "ConnectionRefusedError",
}  # fmt: skip


def was_sent(error: BaseException) -> bool:
    """Whether a request that failed on the network may have reached the provider, which may then bill it. `error`
    is the connection's own, or one of an SDK that was raised from it; by their names, because every HTTP library
    has its own."""
    causes = (error, error.__cause__, error.__context__)
    return not any(type(cause).__name__ in _NEVER_SENT for cause in causes)


class Client(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Client)


class Connection(Generic[C]):
    """Opens a client at once, so that a missing key is known early, and again when the one it had is gone."""

    def __init__(self, open_client: Callable[[], C]) -> None:
        self._open = open_client
        self._client: C | None = open_client()
        self._loop: asyncio.AbstractEventLoop | None = None

    def client(self) -> C:
        """The client for the running event loop. Connections of a loop that has ended went with it."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop not in (None, loop):
            self._client = self._open()
        self._loop = loop
        return self._client

    async def close(self) -> None:
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.close()
