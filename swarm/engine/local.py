"""The engine of this process: at most `places` slices at a time, and no place idle while one is ready.

It is given a queue and a handler, and knows nothing of slices, models or journals. What becomes ready while others
run starts as soon as a place is free: there are no waves. The queue may be another's, such as an agenda, which
decides then what is ready and is told by the handler what is settled; or the engine's own, which `submit` fills.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from swarm.engine.base import Handler


class Queue(Protocol):
    """Where the engine gets its references, such as an agenda. None: nothing is ready now."""

    def take(self) -> str | None: ...


class Waiting:
    """A queue that holds each reference once, first come, first served. Several engines may share one."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, None] = OrderedDict()  # a dict is slow to be emptied from its front
        self._served: set[str] = set()

    def add(self, refs: Sequence[str]) -> None:
        """One that waits or is served already is not added again."""
        for ref in refs:
            if ref not in self._served:
                self._waiting.setdefault(ref)

    def remove(self, refs: Sequence[str]) -> None:
        for ref in refs:
            self._waiting.pop(ref, None)

    def take(self) -> str | None:
        if not self._waiting:
            return None
        ref, _ = self._waiting.popitem(last=False)
        self._served.add(ref)
        return ref

    def served_by(self, handler: Handler) -> Handler:
        """A handler that tells the queue what came of each reference."""

        async def serve(ref: str) -> None:
            try:
                await handler(ref)
            except BaseException:
                self._served.discard(ref)
                self.add([ref])
                raise
            self._served.discard(ref)

        return serve


class LocalEngine:
    """See `swarm.engine.base.Engine`. With a queue that is another's, `submit` says that something became ready
    there, and what is to be cancelled is taken out of it there."""

    def __init__(self, places: int, queue: Queue | None = None) -> None:
        self.places = places
        self._queue = Waiting() if queue is None else queue
        self._running = 0
        self._paused = False
        self._draining = False
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

    async def submit(self, refs: Sequence[str]) -> None:
        if isinstance(self._queue, Waiting):
            self._queue.add(refs)
        self.wake()

    async def cancel(self, refs: Sequence[str]) -> None:
        if isinstance(self._queue, Waiting):
            self._queue.remove(refs)

    def free_slots(self) -> int:
        """Places that stand idle; none while the engine is paused or drains."""
        return 0 if self._paused or self._draining else max(0, self.places - self._running)

    def wake(self) -> None:
        """Something has become ready: start it, once whoever says so has come to its next wait. The end of a
        handler need not be told."""
        if self._fill is not None and not self._filling and self.free_slots():
            self._filling = True
            asyncio.get_running_loop().call_soon(self._fill)

    def pause(self) -> None:
        """Start nothing until `go_on`. What runs goes on, and `serve` waits."""
        self._paused = True

    def go_on(self) -> None:
        self._paused = False
        self.wake()
        self._tell()

    def drain(self) -> None:
        self._draining = True
        self._tell()

    async def close(self) -> None:
        """Nothing is held."""

    async def serve(self, handler: Handler) -> None:
        """Run until nothing is ready or running. The first error of a handler cancels the rest and is raised; of
        the engine's own queue, what was cancelled with it waits again."""
        if self._fill is not None:
            raise RuntimeError("the engine serves already")
        if isinstance(self._queue, Waiting):
            handler = self._queue.served_by(handler)
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    self._fill = fill = self._filler(group, handler)
                    fill()
                    while self._running or (self._paused and not self._draining):
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

    def _filler(self, group: asyncio.TaskGroup, handler: Handler) -> Callable[[], None]:
        """What starts all that is ready and has a place."""
        queue = self._queue
        failed = False

        async def work(ref: str | None) -> None:
            """One place: it goes on with what is ready next, as long as anything is."""
            nonlocal failed
            try:
                while ref is not None:
                    await handler(ref)
                    ref = None if self._paused or self._draining or failed else queue.take()
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
            while not failed and self._fill is fill and self.free_slots():
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
