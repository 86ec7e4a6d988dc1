"""An event loop whose time passes only while everybody waits for it: what takes minutes is over in a moment.

Time stands still while anything is worked out, in this thread, another or a program that was started, and while
bytes are on their way between two ends in this process. When nothing is left but to wait, it jumps to the moment
when the first one goes on. So what is waited for (a reply that is set to take three seconds, a rate, a retry) adds
up exactly, however fast the machine is, and what the machine takes itself counts as nothing.

It is right only where both ends of every connection are served by this one loop.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, TypeVar

from swarm.store.grouped import unanswered

T = TypeVar("T")

_SETTLED_SECONDS = 0.001  # without a byte arriving, after which none is on its way: the kernel takes microseconds
_LATE_SECONDS = 0.25  # the same, where one is known to be on its way and the machine has much to do
_PATIENCE_SECONDS = 30.0
"""For which a thread or a program is waited for, until time passes all the same: it may wait for just that."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """`skipped` is how many seconds have passed in it; `time` begins where the machine's clock stands.
    `on_its_way` may be set to what tells whether a request has left that has not arrived, or a reply."""

    def __init__(self) -> None:
        self.on_its_way: Callable[[], bool] = lambda: False
        self._began = monotonic()
        self.skipped = 0.0
        self._asked = 0
        self._programs: list[asyncio.SubprocessTransport] = []
        super().__init__(_Waiting(self))

    def time(self) -> float:
        return self._began + self.skipped

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        asked = BaseEventLoop.run_in_executor(self, executor, func, *args)
        self._asked += 1
        asked.add_done_callback(self._answered)
        return asked

    def _answered(self, _: asyncio.Future[Any]) -> None:
        self._asked -= 1

    async def subprocess_exec(self, *args: Any, **options: Any) -> Any:
        return self._followed(await super().subprocess_exec(*args, **options))

    async def subprocess_shell(self, *args: Any, **options: Any) -> Any:
        return self._followed(await super().subprocess_shell(*args, **options))

    def _followed(self, started: Any) -> Any:
        self._programs.append(started[0])
        return started

    def others_at_work(self) -> bool:
        """Whether another thread was asked for something that it has not answered yet, or a program runs."""
        self._programs = [program for program in self._programs if program.get_returncode() is None]
        return self._asked > 0 or unanswered(self) > 0 or bool(self._programs)


class _Waiting(selectors.DefaultSelector):
    """Waits for what happens, and lets time pass in place of waiting for it."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if events := super().select(0):
            return events
        patient_until = monotonic() + _PATIENCE_SECONDS
        while self._loop.others_at_work() and monotonic() < patient_until:
            if events := super().select(0.1):
                return events
        seconds = _LATE_SECONDS if self._loop.on_its_way() else _SETTLED_SECONDS
        if events := super().select(seconds):
            return events
        self._loop.skipped += timeout
        return []


def run_simulated(make: Callable[[SimulatedLoop], Coroutine[Any, Any, T]]) -> T:
    """Run what `make` returns in such a loop, as `asyncio.run` does."""
    loops: list[SimulatedLoop] = []

    def new() -> SimulatedLoop:
        loops.append(SimulatedLoop())
        return loops[0]

    with asyncio.Runner(loop_factory=new) as runner:
        runner.get_loop()
        return runner.run(make(loops[0]))
