"""The engine of this process: at most `places` slices at a time, and no place idle while one is ready.

It is given a queue and a handler, and knows nothing of slices, models or journals. What becomes ready while others
run starts as soon as a place is free: there are no waves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

Handler = Callable[[str], Awaitable[None]]


class Queue(Protocol):
    """Where the engine gets its references, such as an agenda. None: nothing is ready now."""

    def take(self) -> str | None: ...


class LocalEngine:
    """Takes references from a queue and hands them to a handler, `places` at a time."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._running = 0
        self._paused = False
        self._filling = False
        self._fill: Callable[[], None] | None = None
        self._changed: asyncio.Future[None] | None = None

    @property
    def running(self) -> int:
        """References that a handler is at."""
        return self._running

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def spare(self) -> int:
        """Places that stand idle; none while the engine is paused."""
        return 0 if self._paused else max(0, self.places - self._running)

    def wake(self) -> None:
        """Something has become ready: start it, once whoever says so has come to its next wait. The end of a
        handler need not be told."""
        if self._fill is not None and not self._filling and self.spare:
            self._filling = True
            asyncio.get_running_loop().call_soon(self._fill)

    def pause(self) -> None:
        """Start nothing until `go_on`. What runs goes on, and `serve` waits."""
        self._paused = True

    def go_on(self) -> None:
        self._paused = False
        self.wake()
        self._tell()

    async def serve(self, queue: Queue, handler: Handler) -> None:
        """Run until nothing is ready or running. The first error of a handler cancels the rest and is raised."""
        if self._fill is not None:
            raise RuntimeError("the engine serves a queue already")
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    self._fill = fill = self._filler(group, queue, handler)
                    fill()
                    while self._running or self._paused:
                        self._changed = asyncio.get_running_loop().create_future()
                        await self._changed
                        fill()
                finally:
                    self._fill = None
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            self._running = 0
            self._filling = False
            self._changed = None

    def _filler(self, group: asyncio.TaskGroup, queue: Queue, handler: Handler) -> Callable[[], None]:
        """What starts all that is ready and has a place."""
        failed = False

        async def work(ref: str | None) -> None:
            """One place: it goes on with what is ready next, as long as anything is."""
            nonlocal failed
            try:
                while ref is not None:
                    await handler(ref)
                    ref = None if self._paused or failed else queue.take()
                    if ref is not None and self._running < self.places:
                        fill()  # a slice that ends may make several ready
            except asyncio.CancelledError:
                self.wake()  # where it was this one alone that was cancelled
                raise
            except BaseException:
                failed = True
                raise
            finally:
                self._running -= 1
                if not self._running:
                    self._tell()

        def fill() -> None:
            self._filling = False
            while not failed and self._fill is fill and self.spare:
                ref = queue.take()
                if ref is None:
                    return
                self._running += 1
                group.create_task(work(ref))

        return fill

    def _tell(self) -> None:
        """Let `serve` look again."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
