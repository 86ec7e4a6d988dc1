"""What a worker, and whoever offers it slices, tells in numbers, where the process has set OpenTelemetry up.

    with serving() as told:      # for as long as a worker lives
        told.claimed()

Where nobody listens nothing of OpenTelemetry is imported. This module knows no engine and no store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swarm.observe.telemetry import listening

if TYPE_CHECKING:
    from swarm.observe.metrics import Instruments


class Serving:
    """What a worker does, told as it happens: from any thread."""

    def __init__(self, meters: Instruments | None) -> None:
        self._meters = meters
        self._state = "alive"
        self._at = 0
        if meters is not None:
            meters.workers(1, self._state)

    def draining(self) -> None:
        """It begins nothing more. Safe to call more than once."""
        if self._meters is not None and self._state == "alive":
            self._meters.workers(-1, "alive")
            self._state = "draining"
            self._meters.workers(1, self._state)

    def claimed(self) -> None:
        """A slice is its own now."""
        self._at += 1
        if self._meters is not None:
            self._meters.claimed()
            self._meters.held(1)

    def ended(self, *, handed_in: bool) -> None:
        """A slice that it had claimed is so no more: it was handed in, or let go of, or lost."""
        self._at -= 1
        if self._meters is not None:
            self._meters.held(-1)
            if handed_in:
                self._meters.handed_in()

    def lost(self, number: int = 1) -> None:
        """Leases could not be renewed in time: the slices are others'."""
        if self._meters is not None:
            self._meters.lost(number)

    def delivered_again(self) -> None:
        """A slice was delivered that is another's, or done with."""
        if self._meters is not None:
            self._meters.delivered_again()

    def _end(self) -> None:
        if self._meters is not None:
            self._meters.workers(-1, self._state)
            self._meters.held(-self._at)


@contextmanager
def serving() -> Iterator[Serving]:
    """For as long as a worker lives: it counts as one that is alive."""
    told = Serving(_meters())
    try:
        yield told
    finally:
        told._end()


def offered(number: int) -> None:
    """Slices of a run are there for workers."""
    if (meters := _meters()) is not None:
        meters.offered(number)


def _meters() -> Instruments | None:
    if not listening():
        return None
    from swarm.observe.parts import instruments

    return instruments()
