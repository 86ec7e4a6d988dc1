"""The facade: opens the store, wires the parts of one run, and lets the coordinator work. It decides nothing."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import TypeAdapter

from swarm.errors import StoreError
from swarm.events import CorpusReady, Event, Finished, PhaseChanged, RunStarted, Spent
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate
from swarm.limits.pace import Pace
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.store.cuts import Cuts
from swarm.store.database import Database
from swarm.store.journal import Journal
from swarm.store.library import Library
from swarm.task import Answer, Limits, Task, Usage

if TYPE_CHECKING:
    from swarm.graph.likeness import Embed

DEFAULT_STORE = Path(".swarm/swarm.db")
"""Under the current folder."""

_PLACES = 16  # calls in flight; a model that computes here gets as many slices on their way into the journal
_TASK: TypeAdapter[Task] = TypeAdapter(Task)


class Swarm:
    """Runs tasks with a model, on a store.

    `model` plans, judges and answers; `reader` reads the slices and is the same model unless named. Both are names
    (`extractive`, `anthropic:…`, `openai:…`) or models of your own. `store` is a file, by default
    `.swarm/swarm.db` under the current folder; it is locked for the length of a run. `window` is the context
    window in tokens that no request may pass; None takes the model's own. `concurrency` is how many calls may
    be in flight. `embed` turns texts into vectors: with it, findings that may say the same in other words are
    proposed to the model, which judges them.

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
    ) -> None:
        self._model = connect(model, window=window, base_url=base_url) if isinstance(model, str) else model
        if reader is None:
            self._reader = self._model
        else:
            self._reader = connect(reader, window=window, base_url=base_url) if isinstance(reader, str) else reader
        self._store = Path(store) if store is not None else DEFAULT_STORE
        self._concurrency = concurrency or _PLACES
        self._embed = embed
        self._settings = {
            "model": self._model.name,
            "reader": self._reader.name,
            "window": window,
            "concurrency": concurrency,
            "base_url": base_url,
        }
        self._stopping: asyncio.Event | None = None
        self._stop_requested = False

    @classmethod
    def of_run(cls, run_id: str, store: Path | str | None = None) -> Self:
        """A swarm with the settings that a run was started with, to resume it.

        Raises:
            StoreError: the store does not hold that run.
        """
        path = Path(store) if store is not None else DEFAULT_STORE
        settings = _recorded(path, run_id)["settings"]
        return cls(store=path, **{key: value for key, value in settings.items() if value is not None})

    async def run(self, task: Task, *, run_id: str | None = None) -> Answer:
        """Work a task to its answer.

        A limit that is reached, or `stop`, is no error: the answer is then `partial`.

        Raises:
            SwarmError: something is used wrongly, or the provider accepts no call at all.
        """
        return await self._run(task, run_id or _new_id(), lambda _: None)

    async def resume(self, run_id: str, *, limits: Limits | None = None) -> Answer:
        """Go on with what a run has not done; what it has done is taken from the journal.

        Raises:
            StoreError: the store does not hold that run.
            SwarmError: as `run`.
        """
        task = _TASK.validate_python(_recorded(self._store, run_id)["task"])
        return await self.run(replace(task, limits=limits) if limits else task, run_id=run_id)

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

    async def _run(self, task: Task, run_id: str, emit: Callable[[Event], None]) -> Answer:
        from swarm.sources.gather import gather

        began = time.monotonic()
        self._stopping = asyncio.Event()
        if self._stop_requested:
            self._stopping.set()
        window = max(self._model.window, self._reader.window)
        emit(RunStarted(run_id=run_id, model=self._model.name, reader=self._reader.name, window=window))
        database = Database.open(self._store)
        try:
            journal, library = Journal(database), Library(database)
            await journal.append(run_id, "task", "", {"task": asdict(task), "settings": self._settings})
            emit(PhaseChanged(phase="gather"))
            loading = asyncio.create_task(asyncio.to_thread(import_module, "swarm.coordinator.machine"))
            try:
                corpus = await gather(task.paths, library, on_source=emit)
            finally:
                await loading  # langgraph takes half a second to load, and files are looked at meanwhile
            emit(CorpusReady(corpus=corpus))
            from swarm.coordinator import machine
            from swarm.coordinator.desk import Desk
            from swarm.coordinator.restore import begin
            from swarm.graph.graph import SharedGraph

            def spent(usage: Usage) -> None:
                emit(Spent(usage=usage))

            graph = SharedGraph(database, run_id)
            await begin(journal, graph)
            budget = Budget(task.limits, journal.spent(run_id))
            gate = Gate(journal, run_id, budget, Pace(task.limits.requests_per_minute), spent)
            desk = Desk(
                run=run_id,
                task=task,
                model=self._model,
                reader=self._reader,
                library=library,
                cuts=Cuts(database),
                journal=journal,
                gate=gate,
                emit=emit,
                concurrency=self._concurrency,
                window=window,
                clock=time.monotonic,
                began=began,
                stopping=self._stopping,
                corpus=corpus,
                graph=graph,
                embed=self._embed,
            )
            answer = await machine.run(desk)
            await journal.append(run_id, "answer", answer.graph, asdict(answer))
            return answer
        finally:
            database.close()
            await self._model.close()
            if self._reader is not self._model:
                await self._reader.close()


def _recorded(store: Path, run_id: str) -> dict[str, Any]:
    if not store.exists():
        raise StoreError(f"{store} does not exist: name the store of the run with --store")
    database = Database.open(store)
    try:
        record = Journal(database).record(run_id, "task", "")
    finally:
        database.close()
    if record is None:
        raise StoreError(f"{store} holds no run {run_id}: check the id, or name another --store")
    return record.body


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
