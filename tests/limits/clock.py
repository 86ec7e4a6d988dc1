"""An event loop whose clock moves only when nothing is left to do: a minute passes at once, in the right order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from asyncio_throttle import throttler

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Sleeps by setting the clock forward."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class ClockLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.selector = _Selector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


def in_no_time(main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns, on a clock of its own that begins at 0."""
    with asyncio.Runner(loop_factory=ClockLoop) as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(throttler, "time", SimpleNamespace(monotonic=runner.get_loop().time))
        return runner.run(main)
