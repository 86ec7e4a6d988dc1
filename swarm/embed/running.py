"""The tasks that are at work in this process: begun, held to a number at once, and ended in good order.

Each has its own `Swarm`; models are shared, and closed with the last of them. What goes wrong with a task is told
of it, and is no concern of others. This module does not know who asks for a task, nor what he may ask.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from swarm.coordinator.begin import task_of
from swarm.embed import recorded
from swarm.embed.allowed import Allowed, tightest
from swarm.embed.recorded import Begun
from swarm.embed.status import Live, Status
from swarm.embed.total import within_total
from swarm.errors import StoreError, StoreInUse, SwarmError, UsageError
from swarm.limits.budget import costs_money
from swarm.models.base import Model
from swarm.observe.log import get_logger, redact_text
from swarm.run import Swarm
from swarm.store.opening import Store, is_url
from swarm.store.shared import Opened, leave, take
from swarm.task import Limits, Task

log = get_logger("jobs")

LEAVE_SECONDS = 10.0
"""For which calls in flight are waited for when all is left; they are broken off then, and nothing is lost."""
_KEPT = 64  # tasks that failed and are still told from memory


class Running:
    """Tasks at work on one store, from `async with` to the end of its block. At most `most` are at once, and all
    that there are cost `total_usd` together."""

    def __init__(
        self,
        store: Path | str,
        models: tuple[Model, Model],
        settings: Mapping[str, Any],
        most: int,
        total_usd: float | None = None,
    ) -> None:
        self.live: dict[str, Live] = {}
        self.failed: dict[str, Status] = {}
        """What could not be done here, and may be recorded nowhere."""
        self._store, self._models, self._settings = store, models, settings
        self.beginning = asyncio.Lock()
        """Held by whoever begins a task, from looking whether it may be begun to having begun it."""
        self._turns = asyncio.Semaphore(most)
        self._most, self._total = most, total_usd
        self._held = AsyncExitStack()
        self._group: asyncio.TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        if self.open:
            raise UsageError("the block of these tasks is entered already: share them, or make others")
        self._loop = asyncio.get_running_loop()
        self.beginning, self._turns = asyncio.Lock(), asyncio.Semaphore(self._most)  # of this loop
        await self._held.__aenter__()
        self._held.push_async_callback(self._close_models)
        group = await asyncio.TaskGroup().__aenter__()
        # its own end is a quiet one, whatever ended the block: what is raised in there is not to be wrapped
        self._held.push_async_callback(group.__aexit__, None, None, None)
        self._held.push_async_callback(self._end_all)
        self._group = group
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group = None
        await self._held.__aexit__(kind, error, trace)

    @property
    def open(self) -> bool:
        return self._group is not None

    @property
    def named(self) -> dict[str, Any]:
        """What shapes what is asked of models: who goes on with other ones would pay for the same again."""
        url = self._settings["base_url"]
        return {
            "model": self._models[0].name,
            "reader": self._models[1].name,
            "window": self._settings["window"],
            "base_url": redact_text(url) if url else None,
        }

    def admit(self, run: str | None = None) -> None:
        """
        Raises:
            UsageError: nothing may be begun now, or the run is at work.
        """
        if not self.open:
            raise UsageError("tasks are begun inside the block: async with Jobs(…) as jobs")
        self.here()
        if run in self.live:
            raise UsageError(f"the run {run} is at work: there is nothing to resume")
        if len(self.live) >= self._most:
            raise UsageError(
                f"{len(self.live)} tasks are at work, and no more may be at once: wait for one, or stop one"
            )

    def here(self) -> None:
        """
        Raises:
            UsageError: whoever asks is in another event loop than the tasks.
        """
        if self.open and asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                "these tasks are at work in another event loop: from a thread, use "
                "asyncio.run_coroutine_threadsafe(jobs.start(…), loop)"
            )

    async def affordable(self, opened: Opened, run: str, task: Task) -> Task:
        """The task with the dollars that the total leaves it.

        Raises:
            UsageError: none.
        """
        if self._total is None or not costs_money(*self._models):
            return task
        at_work = {one.run: one.task.limits for one in self.live.values()}
        limits = await asyncio.to_thread(
            within_total, opened.store.journal, self._total, run, task.limits, at_work
        )
        return replace(task, limits=limits)

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[Opened]:
        """The store, open for writing: once in this process, however many use it.

        Raises:
            StoreError: it cannot be used.
        """
        loop = asyncio.get_running_loop()
        taking = loop.run_in_executor(None, take, self._store)
        try:
            opened = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_let_go)  # not waited for: whoever cancels may do so at each await
            raise
        try:
            yield opened
        finally:
            await asyncio.shield(loop.run_in_executor(None, leave, opened))

    def launch(self, begun: Begun, task: Task) -> Live:
        assert self._group is not None
        model, reader = (cast("Model", _Lent(one)) for one in self._models)
        same = self._models[0] is self._models[1]
        swarm = Swarm(model, reader=None if same else reader, store=self._store, **self._settings)
        live = Live(begun.run, task, swarm)
        self.live[begun.run] = live
        # it outlives whoever asks for it, and so does not belong to his traces, streams and graphs
        live.running = self._group.create_task(self._work(live), context=contextvars.Context())
        return live

    async def take_up(self, allowed: Allowed) -> None:
        """Go on with what an earlier process has left, as far as it is allowed and with the same models."""
        if not is_url(self._store) and not await asyncio.to_thread(Path(self._store).exists):
            return
        try:
            async with self.holding() as opened:
                for one in await asyncio.to_thread(recorded.unfinished, opened.store.journal):
                    if one.settings == self.named and allowed.covers(one.task):
                        await self._take_up(opened, one, allowed.limits)
        except StoreInUse as error:
            log.warning("tasks that were left unfinished do not go on", reason=str(error))

    async def _take_up(self, opened: Opened, begun: Begun, owner: Limits) -> None:
        try:
            await asyncio.to_thread(opened.store.journal.hold, begun.run)
            task = await self.affordable(opened, begun.run, goes_on(opened.store, begun, owner))
        except (StoreError, UsageError) as error:  # another process was faster, or nothing may be spent any more
            opened.store.journal.let_go(begun.run)
            log.warning("a task that was left unfinished does not go on", run=begun.run, reason=str(error))
        else:
            self.launch(begun, task)

    async def stop(self, live: Live) -> None:
        """As a person or an agent says: it goes on when somebody says so."""
        live.stopping = True
        async with self.holding() as opened:
            await recorded.note_end(opened.store.journal, live.run, "stopped")
            if live.run not in self.live:  # it has ended meanwhile
                opened.store.journal.let_go(live.run)
        live.swarm.stop()

    async def _work(self, live: Live) -> None:
        """A task from its turn to its end."""
        failed: str | None = "it was broken off, and can be resumed"
        try:
            async with self._turns, self.holding() as opened:
                failed = await self._run(live, opened.store)
        except SwarmError as error:  # the store cannot be used: nothing can be recorded there
            failed = str(error)
        finally:
            del self.live[live.run]
            live.end(failed)
            if failed is not None:
                self.failed[live.run] = live.status()
                while len(self.failed) > _KEPT:
                    del self.failed[next(iter(self.failed))]

    async def _run(self, live: Live, store: Store) -> str | None:
        """Why a task could not be done; None where it came to an answer, be it a partial one."""
        self.failed.pop(live.run, None)
        try:
            async with live.swarm.stream(live.task, run_id=live.run) as events:
                async for event in events:
                    live.take(event)
        except StoreError as error:
            return str(error)  # somebody else is at it, or nothing can be written: no record of ours
        except SwarmError as error:
            why = redact_text(str(error))
        except Exception as error:
            log.error("a task failed", run=live.run, error=redact_text(repr(error)))
            why = f"something is wrong in Swarm itself ({type(error).__name__}): see the log"
        else:
            return None
        if store.journal.record(live.run, "task", "") is not None:
            await recorded.note_end(store.journal, live.run, "failed", why)
            store.journal.let_go(live.run)  # on a server whoever writes to a run holds it
        return why

    async def _end_all(self) -> None:
        """Stop what is at work, and wait a while for it; those who come next go on with it."""
        live = list(self.live.values())
        if not live:
            return
        running = [one.running for one in live if one.running is not None]
        try:
            async with self.holding() as opened:
                await _note_left(opened.store, live)
                for one in live:
                    one.leave()
                await asyncio.wait(running, timeout=LEAVE_SECONDS)
                for task in running:
                    task.cancel()
                await asyncio.wait(running)
                await _note_left(opened.store, live)
                for one in live:
                    opened.store.journal.let_go(one.run)  # of those that have waited for their turn
        finally:
            for task in running:
                task.cancel()

    async def _close_models(self) -> None:
        for model in dict.fromkeys(self._models):
            await model.close()


class _Lent:
    """A model that several swarms use: whoever lent it closes it."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def close(self) -> None:
        """Not here."""


def goes_on(store: Store, begun: Begun, owner: Limits) -> Task:
    """A task that goes on: as it last did, within what the owner allows now."""
    known = store.journal.record(begun.run, "task", "") is not None
    task = task_of(store.journal, begun.run, None, None) if known else begun.task
    return replace(task, limits=tightest(owner, task.limits))


async def first(event: asyncio.Event, seconds: float) -> None:
    """Until that has happened, or so many seconds have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds if seconds != float("inf") else None):
            await event.wait()


def _let_go(taking: asyncio.Future[Opened]) -> None:
    if not taking.cancelled() and taking.exception() is None:
        taking.get_loop().run_in_executor(None, leave, taking.result())


async def _note_left(store: Store, live: list[Live]) -> None:
    """Before and after they end: a session may begin in between."""
    for one in live:
        if not one.stopping and not one.complete:
            await recorded.note_end(store.journal, one.run, "left")
