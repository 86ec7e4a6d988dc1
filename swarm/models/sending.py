"""The last moment before a request leaves: a process may be frozen between any two steps, and one that wakes up
when another has taken its place must not send what that one sends.

Whoever asks a model says what is to be waited for then; an HTTP client that is given the hook waits for it when it
has its connection and is about to write. This module knows no SDK and no leases.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httpx2 import Request

Sure = Callable[[], Awaitable[None]]
_SURE: ContextVar[Sure | None] = ContextVar("swarm_sure", default=None)


@contextmanager
def sure_of(sure: Sure | None) -> Iterator[None]:
    """Have each request that is sent within the block wait for this; what it raises keeps the request here."""
    token = _SURE.set(sure)
    try:
        yield
    finally:
        _SURE.reset(token)


async def about_to_write(request: Request) -> None:
    """For the event hook `request` of a client."""
    if (sure := _SURE.get()) is None:
        return

    async def trace(step: str, _: dict[str, Any]) -> None:
        if step.endswith("send_request_headers.started"):
            await sure()

    request.extensions["trace"] = trace
