"""A worker: it is delivered references, claims what they name, works it, and hands it in before it says that it is
done.

What it cannot work (a key, a recipe or a version is missing) it leaves to others, and says so where
`swarm workers` shows it. Asked to drain, it begins nothing more, finishes what it is at, and leaves. It decides
nothing of a run.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from swarm.coordinator.offers import VERSION, Offer, offer_from, outcome_to_bytes
from swarm.coordinator.work.state import Places
from swarm.engine.base import Engine
from swarm.errors import NoSuchRun, RunError, StaleLease, StoreError, UsageError
from swarm.observe.log import get_logger
from swarm.observe.serving import Serving, serving
from swarm.remote import heart
from swarm.remote.attempt import attempt
from swarm.remote.heart import Heart, Held
from swarm.remote.joined import Joined, Purse, Runs, Terms
from swarm.store.claims import Lease
from swarm.store.machines import Machine
from swarm.store.opening import Store

log = get_logger("worker")

_FAILED = 3  # slices in a row
_TIDY_SECONDS = 15.0


class NotHere(Exception):
    """A slice that another machine may be able to work: it is to be delivered again."""


@dataclass
class Count:
    """What a worker has come to so far."""

    done: int = 0
    note: str = ""
    draining: bool = False


class Worker:
    """Works slices of all runs of a store, as an engine delivers them. `purse` holds them to what they may spend
    over all machines; `tell` is told once what it cannot work, and why."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        terms: Terms,
        purse: Purse | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        host = socket.gethostname()
        self.id = f"{host}-{os.getpid()}-{secrets.token_hex(2)}"
        self.count = Count()
        self._store, self._engine, self._terms = store, engine, terms
        self._host, self._started = host, time.time()
        self._runs = Runs(store, purse, terms, self._still_ours)
        self._tell = tell
        self._failed: list[StoreError] = []
        self._heart: Heart
        self._told: Serving

    async def serve(self) -> None:
        """Until it is drained.

        Raises:
            StoreError: the store, or the engine, cannot be reached any more, or what is beside it here cannot be
                written: nothing that was tried went any more.
        """
        self._heart = Heart(self._store.claims, self._store.machines, self._described, self.drain)
        with serving() as self._told, self._heart.beating():
            try:
                async with self._tidying():
                    await self._engine.serve(self.handle)
                if len(self._failed) >= _FAILED:
                    raise self._failed[-1]
            finally:
                await self._runs.close()
                with suppress(StoreError):  # it is taken for silent, then
                    await asyncio.to_thread(self._store.machines.leave, self.id)

    def drain(self) -> None:
        """Begin nothing more. Safe to call from a signal handler of the event loop, and more than once."""
        if not self.count.draining:
            self.count.draining = True
            log.info("draining", slices=len(self._heart.held))
            self._told.draining()
        self._engine.drain()

    async def handle(self, reference: str) -> None:
        """Work what a reference names, where it is to be worked and nobody is at it."""
        run, _, ref = reference.rpartition("/")
        since = time.monotonic()
        lease = await self._store.claims.claim(run, ref, self.id, heart.LEASE_SECONDS)
        if lease is None:  # done, withdrawn, or another's: whoever coordinates it submits it again if need be
            self._told.delivered_again()
            return
        self._told.claimed()
        handed = False
        with self._heart.holding(lease, since) as held:
            try:
                await self._held(held)
                handed = True
            except asyncio.CancelledError:
                if not held.lost:
                    await self._let_go(lease)
                    raise
                _caught()
            except StaleLease as error:
                log.warning("left a slice to another", slice=ref, reason=str(error))
            except UsageError as error:
                there = await self._let_go(lease)
                if isinstance(error, StoreError):
                    if there and not isinstance(error, NoSuchRun):  # so it is not the server that is away
                        self._fail(error)
                    raise
                if self.count.note != (note := f"run {run}: {error}"):
                    self.count.note = note
                    self._tell(note)
                log.warning("cannot work a run", run=run, reason=str(error))
                raise NotHere(str(error)) from None
            finally:
                self._told.ended(handed_in=handed)
                if held.lost:
                    self._told.lost()

    def _fail(self, error: StoreError) -> None:
        """A slice came to nothing here. Where several did so, one after another, this machine is of no use, and
        would only keep slices from the others."""
        self.count.note = str(error)
        self._failed.append(error)
        if len(self._failed) >= _FAILED:
            self.drain()

    async def _held(self, held: Held) -> None:
        lease = held.lease
        try:
            offer = offer_from(lease.body)
        except ValueError:
            raise UsageError("it is coordinated by another version of Swarm: run the same here") from None
        if offer.version != VERSION:
            raise UsageError("it is coordinated by another version of Swarm: run the same here")
        async with self._runs.at(lease.run, offer.session) as joined, _place_of(joined, offer, held) as place:
            outcome = await attempt(joined, held, offer, {"machine": self.id, "host": self._host})
            held.ending = True
            await self._store.claims.hand_in(lease, outcome_to_bytes(outcome))
            self.count.done += 1
            self._failed.clear()
            self.count.note = ""
            place.done = outcome.report is not None and outcome.report.failure is None

    async def _still_ours(self, run: str, ref: str) -> bool:
        """Whether a slice of a run is ours for sure, right before its work lands."""
        for held in list(self._heart.held.values()):
            if (held.lease.run, held.lease.ref) == (run, ref):
                with suppress(StaleLease):
                    await held.sure()
                    return True
        return False

    async def _let_go(self, lease: Lease) -> bool:
        """Whether the store was there to hear of it; else the lease lapses."""
        with suppress(StoreError):
            await asyncio.shield(self._store.claims.let_go(lease))
            return True
        return False

    @asynccontextmanager
    async def _tidying(self) -> AsyncIterator[None]:
        async def tidy() -> None:
            while True:
                await asyncio.sleep(_TIDY_SECONDS)
                await self._runs.tidy()

        task = asyncio.create_task(tidy())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _described(self) -> Machine:
        return Machine(
            id=self.id,
            host=self._host,
            pid=os.getpid(),
            version=version("swarm-memory"),
            places=self._terms.places,
            started=self._started,
            draining=self.count.draining,
            done=self.count.done,
            memory=_memory(),
            note=self.count.note,
        )


@dataclass
class _Left:
    """Whether a slice is done."""

    done: bool = False


@asynccontextmanager
async def _place_of(joined: Joined, offer: Offer, held: Held) -> AsyncIterator[_Left]:
    """While a slice is worked: afterwards its worktree goes, and what it holds is kept for whoever goes on."""
    left, work, order = _Left(), joined.desk.work, offer.slice.order
    places = None
    if work is not None and order is not None and work.role_of(order).workspace != "none":
        places = work.places
    try:
        yield left
    finally:
        if places is not None:
            await asyncio.shield(_leave(places, offer.slice.id, left, held))


async def _leave(places: Places, slice_: str, left: _Left, held: Held) -> None:
    try:
        if left.done:
            await places.close(slice_)
        else:
            await places.give_back(slice_, ours=not held.lost)
    except RunError as error:
        log.warning("what a worktree holds is not kept", slice=slice_, reason=str(error))


def _caught() -> None:
    """The cancellation of this task was meant for the slice alone."""
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()


def _memory() -> int:
    """Bytes that this process holds in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
