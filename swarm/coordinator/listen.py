"""Taking what people ask of a run, while it is at work: from the mailbox of its store, and from this process.

A request is recorded, then gone by, then deleted where it came from. In a replay nobody asks: instructions are
taken up again where the journal shows that they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from swarm.coordinator.desk import Desk
from swarm.coordinator.records import INSTRUCTION, REQUEST, instruction_of
from swarm.errors import StoreError
from swarm.events import Paused, Steered, WentOn
from swarm.observe.log import get_logger
from swarm.store.journal import Entry, Record
from swarm.store.mailbox import AT_ONCE, Mailbox, Request

T = TypeVar("T")

log = get_logger("steering")

_OF_ONE_TIME = ("pause", "go_on", "stop")
"""Requests that mean the run as it was at work when they were made, and not when it goes on."""


@asynccontextmanager
async def listening(desk: Desk, reach: Callable[[], Mailbox]) -> AsyncIterator[None]:
    """While a run is at work, take what is asked of it: what waited for it before anything else is done.

    Raises:
        StoreError: what is asked cannot be recorded.
    """
    ear = _Ear(desk, reach)
    try:
        await ear.take()
        async with asyncio.TaskGroup() as group:
            listens = group.create_task(ear.listen())
            try:
                yield
            finally:
                listens.cancel()
    except* Exception as errors:
        raise errors.exceptions[0] from None
    finally:
        desk.steering.ended = True
        ear.close()


class _Ear:
    """Looks into the mailbox, and at what was posted here. A mailbox that cannot be reached is told of once, and
    looked for again: it is no reason to end a run."""

    def __init__(self, desk: Desk, reach: Callable[[], Mailbox]) -> None:
        self._desk, self._reach = desk, reach
        self._mailbox: Mailbox | None = None
        self._told = False

    async def listen(self) -> None:
        more = False
        while True:
            if not more:
                await self._desk.steering.asked()
            more = await self.take()

    async def take(self) -> bool:
        """Take what waits. Whether more may be waiting."""
        for asked in self._desk.steering.posted():
            if not await take(self._desk, asked):
                log.warning("an instruction came too late: the answer is being written", id=asked.id)
        waiting = await self._in_mailbox(lambda mailbox: mailbox.waiting(self._desk.run)) or []
        taken = 0
        for asked in waiting:
            if await take(self._desk, asked):
                taken += 1
                await self._in_mailbox(partial(_remove, self._desk.run, asked.id))
        return taken == AT_ONCE

    async def _in_mailbox(self, do: Callable[[Mailbox], T]) -> T | None:
        """What comes of it; None where the mailbox cannot be reached."""
        try:
            if self._mailbox is None:
                self._mailbox = self._reach()
            found = await asyncio.to_thread(do, self._mailbox)
        except (StoreError, OSError) as error:
            if not self._told:
                log.warning("requests cannot be looked for", reason=str(error))
            self._told = True
            return None
        self._told = False
        return found

    def close(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close()


def _remove(run: str, id_: str, mailbox: Mailbox) -> None:
    mailbox.remove(run, id_)


async def take(desk: Desk, asked: Request) -> bool:
    """Record a request and go by it, once. False where it has to wait until the run goes on."""
    steering = desk.steering
    if asked.what == "steer" and steering.over:
        return False
    if asked.what in _OF_ONE_TIME and asked.session not in (0, desk.session):
        log.info("passed over a request that was meant for another time", what=asked.what, id=asked.id)
        return True
    kind = INSTRUCTION if asked.what == "steer" else REQUEST
    if desk.journal.record(desk.run, kind, asked.id) is not None:
        return True  # taken before: a process died before it could delete the request
    if asked.what == "steer":
        with steering.recording() as under_way:
            body = {"text": asked.text, "under_way": under_way}
            await desk.journal.append(desk.run, Entry(kind=kind, key=asked.id, body=body))
            steering.instructions.append(instruction_of(asked.id, body))
        desk.emit(Steered(instruction=asked.id))
        return True
    of = {"slice": asked.slice} if asked.slice else {}
    await desk.journal.append(desk.run, Entry(kind=kind, key=asked.id, body={"what": asked.what, **of}))
    _go_by(desk, asked)
    return True


def _go_by(desk: Desk, asked: Request) -> None:
    steering = desk.steering
    log.info("asked by a person", what=asked.what, id=asked.id)
    match asked.what:
        case "pause":
            if steering.pause():
                desk.emit(Paused())
        case "go_on":
            if steering.go_on():
                desk.emit(WentOn())
        case "stop":
            steering.stop()
        case "cancel":
            steering.cancel(asked.slice)


# Again


def restore_steering(desk: Desk) -> None:
    """What was said and cancelled until now. Whether the run was paused is not kept: it goes on."""
    known = {one.id for one in desk.steering.instructions}
    for record in desk.journal.records(desk.run, INSTRUCTION):
        if record.key not in known:
            desk.steering.instructions.append(instruction_of(record.key, record.body))
    for record in desk.journal.records(desk.run, REQUEST):
        if record.body["what"] == "cancel":
            desk.steering.cancelled.add(record.body["slice"])


async def hear(desk: Desk, record: Record) -> None:
    """In a replay: take up an instruction, unless that was done."""
    if all(one.id != record.key for one in desk.steering.instructions):
        await desk.journal.append(desk.run, Entry(kind=INSTRUCTION, key=record.key, body=record.body))
        desk.steering.instructions.append(instruction_of(record.key, record.body))


async def hear_before(desk: Desk, name: str) -> None:
    """In a replay: take up what was said before a prompt was made, as its name tells, which begins so."""
    if desk.recorded is None:
        return
    waiting = _waiting(desk)
    for marks in desk.recorded.marks(name, desk.session):
        for count in range(len(waiting) + 1):
            if desk.steering.mark_with(record.key for record in waiting[:count]) in marks:
                for record in waiting[:count]:
                    await hear(desk, record)
                return


async def conclude(desk: Desk) -> None:
    """Before the answer is written: nothing more is heard. In a replay: all that was."""
    await desk.steering.conclude()
    if desk.recorded is not None:
        for record in _waiting(desk):
            await hear(desk, record)


def _waiting(desk: Desk) -> list[Record]:
    assert desk.recorded is not None
    known = {one.id for one in desk.steering.instructions}
    return [record for record in desk.recorded.instructions(desk.session) if record.key not in known]
