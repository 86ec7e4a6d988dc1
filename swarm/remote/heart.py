"""What a worker says while it lives: to the claims, that its leases are to last; to all, what it is doing.

It beats on a thread of its own, so that a slice which keeps the event loop busy loses nothing. An event loop that
has not come by for two minutes is taken for dead, and its leases lapse. A lease is over here as soon as it may be
over in the store: the clock is one that does not stop while the process is frozen.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from swarm.errors import StaleLease, StoreError
from swarm.observe.log import get_logger
from swarm.store.claims import Claims, Lease
from swarm.store.machines import Doing, Machine, Machines

log = get_logger("heart")

LEASE_SECONDS = 15.0
"""A worker that is silent for so long has lost its slices."""
_BEATS = 3  # in the length of a lease, at the least
_STUCK_SECONDS = 120.0
_LOOK_SECONDS = 0.1  # while a call waits for its lease to be renewed


@dataclass(eq=False, kw_only=True)
class Held:
    """A lease that this process has. Until `until`, in seconds of the monotonic clock, it lasts for sure."""

    lease: Lease
    until: float
    task: asyncio.Task[None]
    began: float = field(default_factory=time.monotonic)
    lost: bool = False
    ending: bool = False
    """It is being handed in: the store decides whether it is ours."""

    async def sure(self) -> None:
        """Right before anything leaves that another might do as well: only while the lease lasts for sure.

        Raises:
            StaleLease: it is another's by now.
        """
        while not self.lost and time.monotonic() >= self.until:  # noqa: ASYNC110 - it is a thread that renews it
            await asyncio.sleep(_LOOK_SECONDS)
        if self.lost:
            raise StaleLease(f"slice {self.lease.ref} is worked by another by now")


class Heart:
    """Of one worker. `describe` tells what is said of it, but for what it is doing; `on_drain` is called, on the
    event loop, when somebody asks it to drain."""

    def __init__(
        self, claims: Claims, machines: Machines, describe: Callable[[], Machine], on_drain: Callable[[], None]
    ) -> None:
        self._claims, self._machines, self._describe, self._on_drain = claims, machines, describe, on_drain
        self._held: dict[int, Held] = {}
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._came_by = time.monotonic()

    @property
    def held(self) -> Mapping[int, Held]:
        """By their epochs."""
        return self._held

    @contextmanager
    def beating(self) -> Iterator[None]:
        thread = threading.Thread(target=self._beat, name="swarm-heart", daemon=True)
        self._tick()
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    @contextmanager
    def holding(self, lease: Lease, since: float) -> Iterator[Held]:
        """While a slice is worked by the current task, which is cancelled when the lease is lost. `since` is when
        it was asked for, in seconds of the monotonic clock."""
        task = asyncio.current_task()
        assert task is not None
        held = Held(lease=lease, until=since + LEASE_SECONDS, task=task)
        self._held[lease.epoch] = held
        try:
            yield held
        finally:
            del self._held[lease.epoch]

    def _tick(self) -> None:
        """The event loop comes by."""
        self._came_by = time.monotonic()
        if not self._ended.is_set():
            self._loop.call_later(1.0, self._tick)

    def _beat(self) -> None:
        while True:
            try:
                if time.monotonic() - self._came_by < _STUCK_SECONDS:
                    self._renew()
                if self._machines.beat(self._told()):
                    self._loop.call_soon_threadsafe(self._on_drain)
            except StoreError as error:  # what is under a lease waits; who waits too long has lost it
                log.warning("the store is not there", reason=str(error))
            except RuntimeError:  # the event loop has ended
                return
            if self._ended.wait(LEASE_SECONDS / _BEATS / 2):
                return

    def _renew(self) -> None:
        several = list(self._held.values())
        if not several:
            return
        since = time.monotonic()
        lasting = self._claims.renew([held.lease for held in several], LEASE_SECONDS)
        for held in several:
            if held.lease.epoch in lasting:
                held.until = since + LEASE_SECONDS
            elif not (held.lost or held.ending):
                held.lost = True
                log.warning("lost a slice to another", slice=held.lease.ref)
                self._loop.call_soon_threadsafe(held.task.cancel)

    def _told(self) -> Machine:
        now = time.monotonic()
        doing = tuple(
            Doing(run=held.lease.run, ref=held.lease.ref, seconds=round(now - held.began, 1))
            for held in list(self._held.values())
        )
        return replace(self._describe(), doing=doing)
