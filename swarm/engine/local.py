"""The engine of this process: at most `places` slices at a time, and no place idle while one is ready.

It is given references and a handler, and knows nothing of slices, models or journals. A reference that is
submitted while others run, also from within the handler, starts as soon as a place is free: there are no waves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

Handler = Callable[[str], Awaitable[None]]


class LocalEngine:
    """Hands references to a handler, `places` at a time."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._ready: deque[str] = deque()
        self._known: set[str] = set()
        self._running = 0
        self._start: Callable[[], None] = lambda: None

    @property
    def ready(self) -> int:
        """References that wait for a place."""
        return len(self._ready)

    def submit(self, refs: Iterable[str]) -> None:
        """Add references; one that was submitted before is not added again."""
        for ref in refs:
            if ref not in self._known:
                self._known.add(ref)
                self._ready.append(ref)
        self._start()

    def cancel_ready(self) -> None:
        """Drop what has not started. What runs goes on."""
        self._ready.clear()

    async def serve(self, handler: Handler) -> None:
        """Run until nothing is ready or running. The first error of a handler cancels the rest and is raised."""
        try:
            async with asyncio.TaskGroup() as group:

                async def work(ref: str) -> None:
                    """One place: it goes on with what is ready next, as long as anything is."""
                    try:
                        await handler(ref)
                        while self._ready:
                            await handler(self._ready.popleft())
                    finally:
                        self._running -= 1

                def start() -> None:
                    while self._ready and self._running < self.places:
                        self._running += 1
                        group.create_task(work(self._ready.popleft()))

                self._start = start
                start()
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            self._start = lambda: None
