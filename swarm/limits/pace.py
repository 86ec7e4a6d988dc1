"""How fast calls may leave: requests in any 60 seconds, over all sub-agents of a run.

asyncio-throttle keeps a sliding window, as providers do, but alone it polls for every waiter and serves them out
of order; a lock in front leaves one poller and makes it first come, first served.
"""

from __future__ import annotations

import asyncio

from asyncio_throttle.throttler import Throttler

_PERIOD_SECONDS = 60.0


class Pace:
    """Lets at most `requests_per_minute` calls through in any minute; None lets all through."""

    def __init__(self, requests_per_minute: int | None, period_seconds: float = _PERIOD_SECONDS) -> None:
        self._throttler: Throttler | None = None
        if requests_per_minute is not None:
            poll = max(0.001, min(0.05, period_seconds / requests_per_minute / 4))
            self._throttler = Throttler(requests_per_minute, period=period_seconds, retry_interval=poll)
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Return when the next call may leave."""
        if self._throttler is not None:
            async with self._turn:
                await self._throttler.acquire()  # type: ignore[no-untyped-call]
