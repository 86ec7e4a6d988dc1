"""Exchanges with the store, one after another: each when it is due, and none where there is nothing to say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from swarm.errors import StoreError
from swarm.observe.log import get_logger

log = get_logger("shares")

_AGAIN_SECONDS = 1.0
_EXACT_SECONDS = 0.001


class Rounds:
    """Calls `exchange` when it is due; when it is due again, whoever knows says through `by`. Where the store
    cannot be reached it is called again, until it can."""

    def __init__(self, exchange: Callable[[], Awaitable[None]], loop: asyncio.AbstractEventLoop) -> None:
        self._exchange, self._loop = exchange, loop
        self._due = float("inf")
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def by(self, due: float) -> None:
        """Have an exchange at that time of the loop's clock, or before."""
        if due >= self._due:
            return
        self._due = due
        self._sooner.set()
        if self._task is None:
            self._task = self._loop.create_task(self._go_on())

    async def end(self) -> None:
        """Have no more of them."""
        if (task := self._task) is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _go_on(self) -> None:
        away = False
        try:
            while self._due < float("inf"):
                if (left := self._due - self._loop.time()) > _EXACT_SECONDS:
                    self._sooner.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await self._sooner.wait()
                    continue
                self._due = float("inf")
                try:
                    await self._exchange()
                except StoreError as error:
                    if not away:
                        log.warning("limits cannot be shared: calls wait", reason=str(error))
                    away = True
                    self.by(self._loop.time() + _AGAIN_SECONDS)
                else:
                    away = False
        finally:
            self._task = None
