"""What a coordinator needs where slices are worked on other machines: an engine, claims, and limits that hold over
all of them.

A run that is worked in this process needs none of it; what an earlier coordinator of the run left under way is
withdrawn then.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib.metadata import version
from itertools import count
from typing import Literal

from swarm.coordinator.away import Away
from swarm.coordinator.desk import Desk
from swarm.engine.base import Engine
from swarm.errors import StoreError, UsageError
from swarm.events import Unserved
from swarm.limits.shared import sharing
from swarm.observe.log import get_logger
from swarm.store.machines import Machine, Seen
from swarm.store.opening import Store, is_url
from swarm.store.texts import publish

log = get_logger("machines")

EngineName = Literal["local", "postgres"]
ENGINES: tuple[EngineName, ...] = ("local", "postgres")
_BEAT_SECONDS = 3.0
_LOOK_EVERY = 4  # beats: a thousand workers say a lot


def checked(engine: EngineName | Engine, store: object) -> None:
    """See to it that a run can be worked so.

    Raises:
        UsageError: an unknown engine, or one on PostgreSQL with a store that is a file.
    """
    if isinstance(engine, str) and engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}: take {' or '.join(ENGINES)}")
    if engine == "postgres" and not is_url(str(store)):
        raise UsageError(
            "slices that are worked on many machines need a store on a server: --store postgresql://…"
        )


def coordinates(run: str) -> str:
    """What a coordinator says of itself to all."""
    return f"coordinates {run}"


@asynccontextmanager
async def coordinating(engine: EngineName | Engine, store: Store, desk: Desk) -> AsyncIterator[None]:
    """While a run is coordinated here: its slices go where the engine is, and what it spends is counted there.

    Raises:
        StoreError: the store, or the engine, cannot be reached.
    """
    if engine == "local":
        if store.url is not None:
            await _withdraw(store, desk.run)
        yield
        return
    async with AsyncExitStack() as held:
        given = await held.enter_async_context(_opened(engine, store))
        me = _machine(desk.run)
        held.push_async_callback(_leave, store, me)
        beating = asyncio.create_task(_beat(store, me, desk))
        held.push_async_callback(_ended, beating)
        if store.url is not None:
            await publish(desk.library, store.blobs, desk.corpus.sources)
            shared = await held.enter_async_context(sharing(store.shares, me.id))
            desk.gate.pay_from(shared.budget(desk.run, desk.limits, desk.steering.seconds))
        hold = await asyncio.to_thread(store.journal.hold, desk.run)
        desk.away = Away(desk.run, hold, store.claims, given)
        yield


@asynccontextmanager
async def _opened(engine: EngineName | Engine, store: Store) -> AsyncIterator[Engine]:
    """One that only submits."""
    if not isinstance(engine, str):
        yield engine
        return
    from swarm.engine.postgres import PostgresEngine

    assert store.url is not None
    made = PostgresEngine(store.url, 1)
    try:
        yield made
    finally:
        await made.close()


async def _withdraw(store: Store, run: str) -> None:
    """A run that was worked on other machines goes on in this process."""
    under_way = await asyncio.to_thread(store.claims.standings, run)
    if under_way:
        log.info("withdrawn from other machines", run=run, slices=len(under_way))
        hold = await asyncio.to_thread(store.journal.hold, run)
        await store.claims.withdraw(run, [one.ref for one in under_way], hold=hold)


def _machine(run: str) -> Machine:
    host = socket.gethostname()
    return Machine(
        id=f"{host}-{os.getpid()}-{secrets.token_hex(2)}",
        host=host,
        pid=os.getpid(),
        version=version("swarm-memory"),
        places=0,
        started=time.time(),
        note=coordinates(run),
    )


async def _beat(store: Store, me: Machine, desk: Desk) -> None:
    """Say that it lives; and tell whoever watches the run, once, where no worker can work it."""
    away = said = False
    for number in count():
        try:
            await asyncio.to_thread(store.machines.beat, me)
            away = False
            if number % _LOOK_EVERY == 1:
                reason = _refused(await asyncio.to_thread(store.machines.seen), desk.run)
                if reason and not said:
                    desk.emit(Unserved(slices=0, reason=reason))
                said = bool(reason)
        except StoreError as error:
            if not away:
                log.warning("the store is not there", reason=str(error))
            away = True
        await asyncio.sleep(_BEAT_SECONDS)


def _refused(seen: list[Seen], run: str) -> str:
    """Why workers leave a run to others, where all that live do."""
    workers = [one for one in seen if one.places and one.life == "alive"]
    mark = f"run {run}: "
    if not workers or not all(one.note.startswith(mark) for one in workers):
        return ""
    return workers[0].note.removeprefix(mark)


async def _leave(store: Store, me: Machine) -> None:
    with suppress(StoreError):
        await asyncio.to_thread(store.machines.leave, me.id)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
