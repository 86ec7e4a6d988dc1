"""The facade: opens the store, wires the parts of one run, and lets the coordinator work. It decides nothing."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from swarm.errors import SourceError
from swarm.events import (
    CorpusReady,
    Estimated,
    Event,
    Finished,
    PhaseChanged,
    Resumed,
    RunStarted,
    Spent,
)
from swarm.limits.budget import Budget, costs_money, effective
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.observe.log import redact_text
from swarm.source import Corpus
from swarm.store.cuts import Cuts
from swarm.store.journal import Entry
from swarm.store.library import Library
from swarm.store.opening import DEFAULT_STORE, Store, open_store
from swarm.task import Answer, Limits, Task, Usage

if TYPE_CHECKING:
    from swarm.coordinator.desk import Desk
    from swarm.graph.likeness import Embed
    from swarm.task import Estimate

Approve = Callable[["Estimate"], bool]
Emit = Callable[[Event], None]

_PLACES = 16  # calls in flight; a model that computes here gets as many slices on their way into the journal
_LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)


class Swarm:
    """Runs tasks with a model, on a store.

    `model` plans, judges and answers; `reader` reads the slices and is the same model unless named. Both are names
    (`extractive`, `anthropic:…`, `openai:…`) or models of your own. `store` is a file, by default
    `.swarm/swarm.db` under the current folder, locked for the length of a run, or the URL of a PostgreSQL
    database (`postgresql://…`), where each run is. `window` is the context window in tokens that no request may
    pass; None takes the model's own. `concurrency` is how many calls may be in flight. `embed` turns texts into
    vectors: with it, findings that may say the same in other words are proposed to the model, which judges them.
    `approve` is shown what a run with a model that costs money is estimated to come to, before anything is sent:
    where it returns False, nothing is.

    Raises:
        ModelError: an unknown name, or a missing key.
    """

    def __init__(
        self,
        model: Model | str = "extractive",
        *,
        reader: Model | str | None = None,
        store: Path | str | None = None,
        window: int | None = None,
        concurrency: int | None = None,
        base_url: str | None = None,
        embed: Embed | None = None,
        approve: Approve | None = None,
    ) -> None:
        self._model = connect(model, window=window, base_url=base_url) if isinstance(model, str) else model
        if reader is None:
            self._reader = self._model
        else:
            self._reader = connect(reader, window=window, base_url=base_url) if isinstance(reader, str) else reader
        self._store = store if store is not None else DEFAULT_STORE
        self._concurrency = concurrency or _PLACES
        self._embed, self._approve = embed, approve
        self._settings = {
            "model": self._model.name,
            "reader": self._reader.name,
            "window": window,
            "concurrency": concurrency,
            "base_url": redact_text(base_url) if base_url else None,
        }
        self._stopping: asyncio.Event | None = None
        self._stop_requested = False

    @classmethod
    def of_run(cls, run_id: str, store: Path | str | None = None, **settings: Any) -> Self:
        """A swarm with the settings that a run last went on with, to resume it. Those of `settings` (see `Swarm`)
        that are not None hold for what is left.

        Raises:
            StoreError: the store does not hold that run.
        """
        from swarm.coordinator.begin import settings_of

        with open_store(store, read_only=True) as opened:
            known = settings_of(opened.journal, run_id, store)
        given = {key: value for key, value in settings.items() if value is not None}
        if "model" in given and "reader" not in given and known["reader"] == known["model"]:
            known["reader"] = None  # it followed the model, and goes on to
        known = {key: value for key, value in known.items() if value is not None}
        return cls(store=store, **(known | given))

    async def run(self, task: Task, *, run_id: str | None = None) -> Answer:
        """Work a task to its answer. `run_id` names the run; one that the store holds goes on.

        A limit that is reached, or `stop`, is no error: the answer is then `partial`.

        Raises:
            StoreError: the store cannot be used, another process is at this run, or the id is of another task.
            SwarmError: something is used wrongly, or the provider accepts no call at all.
        """
        return await self._run(task, run_id or _new_id(), lambda _: None)

    async def resume(self, run_id: str, *, limits: Limits | None = None) -> Answer:
        """Go on with what a run has not done; what it has done is taken from the journal. `limits` are those that
        hold from now on; None: those that it last went on with.

        Raises:
            StoreError: as `run`, or the store does not hold that run.
            SwarmError: as `run`.
        """
        return await self.run(self.task_of(run_id, limits), run_id=run_id)

    def task_of(self, run_id: str, limits: Limits | None = None) -> Task:
        """What a run was asked, with the limits that it last went on with, or those given.

        Raises:
            StoreError: the store does not hold that run.
        """
        from swarm.coordinator.begin import task_of

        with open_store(self._store, read_only=True) as opened:
            return task_of(opened.journal, run_id, limits, self._store)

    async def estimate(self, task: Task) -> Estimate:
        """What a task would come to: nothing is sent, and no run begins. Its sources are read into the store.

        Raises:
            SwarmError: as `run`.
        """
        from swarm.coordinator.begin import gathered
        from swarm.coordinator.estimate import estimate

        with open_store(self._store) as store:
            try:
                corpus = await gathered(task, store, lambda _: None)
                return await estimate(self._desk(task, "", 1, store, corpus, lambda _: None))
            finally:
                await self._close_models()

    @asynccontextmanager
    async def stream(self, task: Task, *, run_id: str | None = None) -> AsyncIterator[AsyncIterator[Event]]:
        """As `run`, with its events as they come; the last is `Finished`. Leaving the block cancels the run.

        Raises:
            SwarmError: as `run`, out of the iterator.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        async def work() -> Answer:
            try:
                return await self._run(task, run_id or _new_id(), events.put_nowait)
            finally:
                events.put_nowait(None)

        running = asyncio.create_task(work())

        async def iterate() -> AsyncIterator[Event]:
            while (event := await events.get()) is not None:
                yield event
            yield Finished(answer=await running)

        try:
            yield iterate()
        finally:
            running.cancel()
            await asyncio.wait([running])

    def stop(self) -> None:
        """Hand out no more slices; calls in flight finish, and the run ends with what it has. Safe to call from
        a signal handler of the event loop, more than once, and before the run has begun."""
        self._stop_requested = True
        if self._stopping is not None:
            self._stopping.set()

    async def _run(self, task: Task, run_id: str, emit: Emit) -> Answer:
        from swarm.coordinator.begin import answer_of, begin, forget_unread
        from swarm.coordinator.records import ANSWER

        began = time.monotonic()
        self._stopping = asyncio.Event()
        if self._stop_requested:
            self._stopping.set()
        window = max(self._model.window, self._reader.window)
        emit(RunStarted(run_id=run_id, model=self._model.name, reader=self._reader.name, window=window))
        try:
            with open_store(self._store) as store:
                journal = store.journal
                journal.hold(run_id)
                if (answer := answer_of(store, run_id, task)) is not None:
                    return answer
                task = replace(task, limits=effective(task.limits, (self._model, self._reader)))
                session = await begin(journal, run_id, task, self._settings, self._model, self._reader)
                try:
                    corpus = await self._gather(task, store, run_id, emit)
                except SourceError:
                    await forget_unread(journal, run_id)
                    raise
                desk = self._desk(task, run_id, session, store, corpus, emit)
                desk.began = began
                answer = await self._work(desk)
                await journal.append(run_id, Entry(kind="answer", key=str(session), body=ANSWER.dump_json(answer)))
                return answer
        finally:
            await self._close_models()

    async def _gather(self, task: Task, store: Store, run_id: str, emit: Emit) -> Corpus:
        from swarm.coordinator.begin import gathered

        emit(PhaseChanged(phase="gather"))
        loading = asyncio.create_task(asyncio.to_thread(import_module, "swarm.coordinator.machine"))
        try:
            corpus = await gathered(task, store, emit, run_id)
        finally:
            await loading  # langgraph takes half a second to load, and files are looked at meanwhile
        emit(CorpusReady(corpus=corpus))
        return corpus

    def _desk(self, task: Task, run_id: str, session: int, store: Store, corpus: Corpus, emit: Emit) -> Desk:
        """The parts of a run, joined."""
        from swarm.coordinator.desk import Desk
        from swarm.graph.graph import SharedGraph

        def spent(usage: Usage) -> None:
            emit(Spent(usage=usage))

        budget = Budget(task.limits, store.journal.spent(run_id))
        rates = Rates.of(task.limits)
        return Desk(
            run=run_id,
            session=session,
            task=task,
            limits=task.limits,
            model=self._model,
            reader=self._reader,
            library=Library(store.database),
            cuts=Cuts(store.database),
            journal=store.journal,
            gate=Gate(store.journal, run_id, budget, rates, self._concurrency, spent),
            emit=emit,
            concurrency=self._concurrency,
            window=max(self._model.window, self._reader.window),
            clock=time.monotonic,
            began=time.monotonic(),
            stopping=self._stopping or asyncio.Event(),
            corpus=corpus,
            graph=SharedGraph(store.database, run_id),
            embed=self._embed,
        )

    async def _work(self, desk: Desk) -> Answer:
        from swarm.coordinator import machine
        from swarm.coordinator.estimate import estimate
        from swarm.coordinator.finish import finish
        from swarm.coordinator.restore import catch_up, restore

        await asyncio.to_thread(catch_up, desk.journal, desk.graph)
        restore(desk)
        if desk.done:
            desk.emit(Resumed(done=len(desk.done), slices=len(desk.slices) - len(desk.split)))
        if costs_money(self._model, self._reader):
            expected = await estimate(desk)
            desk.emit(Estimated(estimate=expected))
            if self._approve is not None and not await asyncio.to_thread(self._approve, expected):
                desk.stopped = "not approved"
                return await finish(desk)
        return await machine.run(desk)

    async def _close_models(self) -> None:
        await self._model.close()
        if self._reader is not self._model:
            await self._reader.close()


def _new_id() -> str:
    """Sorts by time of day and is unlike every other: `20261123-104455-3f9a1c`."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"


def run_sync(question: str, sources: str | Path | Sequence[str | Path], **settings: Any) -> Answer:
    """Ask one question of files, folders or globs, and wait for the answer.

    `settings` are those of `Swarm`, and `limits`.

    Raises:
        SwarmError: as `Swarm.run`.
    """
    limits = settings.pop("limits", Limits())
    many = [sources] if isinstance(sources, (str, Path)) else sources
    task = Task(questions=(question,), paths=tuple(str(source) for source in many), limits=limits)
    return asyncio.run(Swarm(**settings).run(task))
