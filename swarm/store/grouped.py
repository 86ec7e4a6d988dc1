"""A thread that does together what is waiting: one commit, or one question, for many who ask at once.

What an event loop asks in one turn goes to the thread together, and the answers to a group come back together:
handing things over is most of what a small request would cost, and a thread that begins while others are still
asking only contends with them for the interpreter. This module does not know what is asked.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from swarm.errors import StoreError

Ask = TypeVar("Ask")
Got = TypeVar("Got")
_Waiting = tuple[asyncio.AbstractEventLoop | None, "asyncio.Future[Got] | Future[Got]"]
_MOST = 512  # in one group, but for what one turn asked


_unanswered: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


def unanswered(loop: asyncio.AbstractEventLoop) -> int:
    """How many in that loop wait for an answer of one of these threads, and not for time to pass."""
    return _unanswered.get(loop, 0)


class Grouped(Generic[Ask, Got]):
    """`work` gets what was waiting, in order, and returns what came of each: an exception is raised where that one
    was asked, and what `work` itself raises is raised everywhere. It is called on one thread, named `name`."""

    def __init__(self, name: str, work: Callable[[list[Ask]], Sequence[Got | Exception]]) -> None:
        self._work = work
        self._queue: queue.SimpleQueue[list[tuple[Ask, _Waiting[Got]]] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[tuple[Ask, _Waiting[Got]]]] = {}
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    async def ask(self, ask: Ask) -> Got:
        """From an event loop. One that is cancelled while it waits may be done all the same.

        Raises:
            StoreError: closed already; and whatever came of it.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Got] = loop.create_future()
        with self._closing:
            self._check()
            if (gathered := self._gathered.get(loop)) is None:
                gathered = self._gathered[loop] = []
                loop.call_soon(self._hand_over, loop)
            gathered.append((ask, (loop, done)))
        _unanswered[loop] = unanswered(loop) + 1
        try:
            return await done
        finally:
            _unanswered[loop] -= 1

    def ask_sync(self, ask: Ask) -> Got:
        """As `ask`, and blocks."""
        done: Future[Got] = Future()
        with self._closing:
            self._check()
            self._queue.put([(ask, (None, done))])
        return done.result()

    def tell(self, ask: Ask) -> None:
        """As `ask`, and nobody waits for what comes of it. Once closed, nothing is done."""
        with self._closing:
            if not self._closed:
                self._queue.put([(ask, (None, Future()))])

    def close(self) -> None:
        """Finish what is waiting. Safe to call twice."""
        with self._closing:
            if not self._closed:
                self._closed = True
                for gathered in self._gathered.values():
                    self._queue.put(gathered)
                self._gathered.clear()
                self._queue.put(None)
        self._thread.join()

    def _check(self) -> None:
        """Nobody is left waiting behind the end of the queue."""
        if self._closed:
            raise StoreError("the store is closed: open it again")

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._closing:
            if (gathered := self._gathered.pop(loop, None)) is not None:
                self._queue.put(gathered)

    def _loop(self) -> None:
        while (group := self._queue.get()) is not None:
            last = False
            with suppress(queue.Empty):
                while len(group) < _MOST and not last:
                    more = self._queue.get_nowait()
                    if more is None:
                        last = True
                    else:
                        group = group + more
            _tell([waiting for _, waiting in group], self._done([ask for ask, _ in group]))
            if last:
                return

    def _done(self, asked: list[Ask]) -> Sequence[Got | Exception]:
        try:
            return self._work(asked)
        except Exception as error:
            return [error] * len(asked)


def _tell(waiting: list[_Waiting[Got]], came: Sequence[Got | Exception]) -> None:
    loops: dict[asyncio.AbstractEventLoop | None, list[tuple[asyncio.Future[Got] | Future[Got], Got | Exception]]]
    loops = {}
    for (loop, done), got in zip(waiting, came, strict=True):
        loops.setdefault(loop, []).append((done, got))
    for loop, settled in loops.items():
        if loop is None:
            _settle(settled)
        else:
            with suppress(RuntimeError):  # the loop is closed, and so nobody waits there
                loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: list[tuple[asyncio.Future[Got] | Future[Got], Got | Exception]]) -> None:
    for done, got in settled:
        if done.done():
            continue  # given up meanwhile
        if isinstance(got, Exception):
            done.set_exception(got)
        else:
            done.set_result(got)
