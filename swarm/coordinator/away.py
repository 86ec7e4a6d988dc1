"""Slices that are worked on other machines, as their coordinator sees them: offered, submitted, awaited, settled.

What is offered is in the store before an engine hears of it, and what was handed in stays there until what became
of it is in the journal. An engine may lose or repeat what it was given: whatever is unfinished and under no lease
that lasts is submitted again, every few seconds. So a coordinator that takes over finds all that is under way. It
tells the machines, in the journal, whether the run is paused or stops. It knows no sub-agent and no graph.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

from swarm.coordinator.desk import Desk
from swarm.coordinator.offers import NotBegun, Offer, Outcome, offer_to_bytes, outcome_from
from swarm.engine.base import Engine
from swarm.errors import LimitReached, StoreError
from swarm.events import Spent, Unserved
from swarm.observe.log import get_logger
from swarm.observe.serving import offered
from swarm.observe.telemetry import carried, placed
from swarm.store.claims import Claims, Handed, Standing, Watch
from swarm.store.journal import Entry
from swarm.task import Usage

log = get_logger("away")

POSTURE = "posture"
"""Records that tell the machines whether the run is `paused` or `stopping`, and by which limit it is `over`."""
_LOOK_SECONDS = 2.0  # between two looks at all that is under way
_AGAIN_SECONDS = 5.0  # after which something that nobody has begun is submitted again
_HERALD_SECONDS = 0.25
_WATCH_SECONDS = 0.2  # so long a run that ends waits for its watch
_SPENT_EVERY = 4  # looks of the herald


def reference(run: str, ref: str) -> str:
    """A slice of a run as an engine knows it: the ref holds no slash."""
    return f"{run}/{ref}"


class Away:
    """Of one run, while its slices are worked. `hold` tells who coordinates it: one that another took over from
    changes nothing. `claims` and `engine` are whoever opened them's to close."""

    def __init__(self, run: str, hold: int, claims: Claims, engine: Engine) -> None:
        self._run, self._hold, self._claims, self._engine = run, hold, claims, engine
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._early: dict[str, Handed] = {}
        """Handed in before they were asked for: those of a coordinator that died."""
        self._offers: dict[str, Offer] = {}
        """To be sent."""
        self._sent: dict[str, tuple[Offer, float]] = {}
        """Offered, with when they were last submitted, in seconds of the loop."""
        self._over: set[str] = set()
        """To be withdrawn."""
        self._undone: set[str] = set()
        """Those of them that an engine need not deliver any more."""
        self._epochs: dict[str, int] = {}
        """Of what was handed in and is not withdrawn."""
        self._stirred = asyncio.Event()

    async def attempt(self, offer: Offer) -> Outcome:
        """What a slice comes to, wherever it is worked; `settle` it once that is recorded. Cancelled, it is
        withdrawn.

        Raises:
            NotBegun: the run stops, and nobody had begun it.
        """
        ref = offer.slice.id
        outcome = None
        if (early := self._early.pop(ref, None)) is not None and (outcome := _understood(early)) is None:
            self._over.add(ref)
        if outcome is None:
            outcome = await self._asked(ref, replace(offer, trace=carried()))
        placed(self._run, ref, outcome.machine, outcome.host)
        return outcome

    async def _asked(self, ref: str, offer: Offer) -> Outcome:
        waiting: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[ref] = waiting
        self._offers[ref] = offer
        self._stirred.set()
        try:
            return await waiting
        except BaseException:
            self._undone.add(ref)
            self.settle(ref)
            raise
        finally:
            del self._waiting[ref]

    def settle(self, ref: str) -> None:
        """What became of it is in the journal."""
        self._offers.pop(ref, None)
        self._sent.pop(ref, None)
        self._over.add(ref)
        self._stirred.set()

    @asynccontextmanager
    async def at_work(self, desk: Desk, is_open: Callable[[str], bool]) -> AsyncIterator[None]:
        """While slices are worked. What is under way in the store and not `is_open` was settled by a coordinator
        that died.

        Raises:
            StoreError: the store, or the engine, cannot be reached any more.
        """
        for one in await asyncio.to_thread(self._claims.standings, self._run):
            if not is_open(one.ref):
                self._over.add(one.ref)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(working)
                    for working in (self._send(), self._receive(), self._reconcile(desk), self._herald(desk))
                ]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        """Of all that is under way: what is not done is offered anew by whoever goes on with the run."""
        self._over |= self._sent.keys() | (self._epochs.keys() - self._early.keys())
        self._undone |= self._sent.keys()
        with suppress(StoreError):  # that one does it, too; and where it is at it, we may not
            await self._withdraw()

    # To the machines

    async def _send(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await self._withdraw()
            offers, self._offers = self._offers, {}
            if offers:
                bodies = {ref: offer_to_bytes(offer) for ref, offer in offers.items()}
                await self._claims.offer(self._run, bodies, hold=self._hold)
                offered(len(bodies))
                now = asyncio.get_running_loop().time()
                self._sent |= {ref: (offer, now) for ref, offer in offers.items() if ref in self._waiting}
                await self._submit(list(offers))

    async def _withdraw(self) -> None:
        over, undone = list(self._over), list(self._undone)
        if over:
            await self._claims.withdraw(self._run, over, hold=self._hold)
        if undone:
            await self._engine.cancel([reference(self._run, ref) for ref in undone])
        self._over.difference_update(over)
        self._undone.difference_update(undone)
        for ref in over:
            self._epochs.pop(ref, None)

    async def _submit(self, refs: list[str]) -> None:
        await self._engine.submit([reference(self._run, ref) for ref in refs])

    async def _reconcile(self, desk: Desk) -> None:
        """Submit again what is unfinished and under no lease that lasts; let go of what nobody has begun where the
        run stops."""
        served = True
        while True:
            await asyncio.sleep(_LOOK_SECONDS if not _stops(desk) else _HERALD_SECONDS)
            if not self._sent:
                continue
            standings = await asyncio.to_thread(self._claims.standings, self._run)
            if served and (served := _served(standings)) is False:
                desk.emit(Unserved(slices=len(standings)))
            await self._look(desk, {one.ref: one for one in standings})

    async def _look(self, desk: Desk, found: dict[str, Standing]) -> None:
        now, lost, again = asyncio.get_running_loop().time(), [], []
        for ref, (_, submitted) in self._sent.items():
            one = found.get(ref)
            if one is None and now - submitted > _LOOK_SECONDS:
                lost.append(ref)
            elif one is None or one.state == "handed" or (one.state == "claimed" and one.left >= 0):
                continue
            elif _stops(desk):
                self._give_up(ref)
            elif now - submitted > _AGAIN_SECONDS:
                again.append(ref)
        for ref in lost:
            log.warning("offered again what the store had lost", slice=ref)
            self._offers[ref], _ = self._sent[ref]
            self._stirred.set()
        if again:
            self._sent |= {ref: (self._sent[ref][0], now) for ref in again}
            await self._submit(again)

    def _give_up(self, ref: str) -> None:
        waiting = self._waiting.get(ref)
        if waiting is not None and not waiting.done():
            waiting.set_exception(NotBegun("nobody had begun it"))

    async def _herald(self, desk: Desk) -> None:
        """Tell the machines whether the run goes on, and hear what it has spent."""
        number, told = desk.journal.count(desk.run, POSTURE), None
        seq, spent = await asyncio.to_thread(_spent_since, desk, 0)
        for look in count(1):
            try:
                desk.gate.budget.check_time()
            except LimitReached as error:
                desk.stop_at(error)
            if (posture := _posture(desk)) != told:
                number, told = number + 1, posture
                await desk.journal.append(desk.run, Entry(kind=POSTURE, key=str(number), body=posture))
            if look % _SPENT_EVERY == 0:
                seq, more = await asyncio.to_thread(_spent_since, desk, seq)
                spent += more
                if more != Usage():
                    desk.emit(Spent(usage=spent))
            await asyncio.sleep(_HERALD_SECONDS)

    # From the machines

    async def _receive(self) -> None:
        watching = self._claims.watch(self._run)
        watch = await asyncio.to_thread(watching.__enter__)
        try:
            while True:
                known = list(self._epochs.values())
                for handed in await asyncio.to_thread(self._claims.handed, self._run, known):
                    self._take(handed)
                await _waited(watch)
        finally:
            watching.__exit__(None, None, None)

    def _take(self, handed: Handed) -> None:
        self._epochs[handed.ref] = handed.epoch
        waiting = self._waiting.get(handed.ref)
        if waiting is None:
            if handed.ref not in self._over:
                self._early[handed.ref] = handed
        elif not waiting.done():
            outcome = _understood(handed)
            if outcome is not None:
                self._sent.pop(handed.ref, None)
                waiting.set_result(outcome)
            elif handed.ref in self._sent:
                self._over.add(handed.ref)
                self._offers[handed.ref], _ = self._sent.pop(handed.ref)
                self._stirred.set()


def _understood(handed: Handed) -> Outcome | None:
    """None: a worker of another version wrote it, and the slice is offered again."""
    try:
        return outcome_from(handed.outcome)
    except ValueError as error:
        log.warning("what was handed in cannot be read", slice=handed.ref, reason=str(error)[:200])
        return None


def _served(standings: Sequence[Standing]) -> bool:
    """Whether somebody is at what is under way, or was until a moment ago."""
    return any(one.state != "offered" or one.since < _AGAIN_SECONDS for one in standings) or not standings


def _stops(desk: Desk) -> bool:
    return desk.stopped is not None or desk.stopping.is_set()


def _posture(desk: Desk) -> dict[str, Any]:
    over = desk.limit is not None
    return {
        "session": desk.session,
        "paused": desk.steering.paused,
        "stopping": _stops(desk),
        "over": desk.stopped if over else None,
        "limit": desk.limit,
    }


def _spent_since(desk: Desk, seq: int) -> tuple[int, Usage]:
    """What the run's calls came to after the outcome with this `seq`, and the last one's."""
    spent = Usage()
    while page := desk.journal.outcomes(desk.run, seq):
        seq = page[-1].seq
        for one in page:
            spent += one.usage
    return seq, spent


async def _waited(watch: Watch) -> None:
    """Wait on a thread, which is over before anyone goes on: it holds the connection."""
    waiting = asyncio.ensure_future(asyncio.to_thread(watch.wait, _WATCH_SECONDS))
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        await asyncio.wait([waiting])
        raise
