"""The facade: opens the store, wires the parts of one run, and lets the coordinator work. It decides nothing."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from swarm.coordinator.indexed import Indexed
from swarm.coordinator.steering import Reins
from swarm.errors import SourceError
from swarm.events import CorpusReady, Estimated, Event, Finished, PhaseChanged, Resumed, RunStarted, Spent
from swarm.limits.budget import Budget, costs_money, effective
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.observe.log import redact_text
from swarm.observe.telemetry import traced
from swarm.program import Program
from swarm.source import Corpus
from swarm.store.cuts import Cuts
from swarm.store.library import Library
from swarm.store.mailbox import request
from swarm.store.opening import DEFAULT_STORE, Store, open_mailbox, open_store
from swarm.store.shared import alone, shared_store
from swarm.task import Answer, Limits, Task, Usage

if TYPE_CHECKING:
    from swarm.coordinator.desk import Desk
    from swarm.coordinator.distributed import EngineName
    from swarm.coordinator.machine import Mounted
    from swarm.engine.base import Engine
    from swarm.index.base import Embed, Index
    from swarm.task import Estimate

Approve = Callable[["Estimate"], bool]
Emit = Callable[[Event], None]

_PLACES = 16  # calls in flight; a model that computes here gets as many slices on their way into the journal


class Swarm:
    """Runs tasks with a model, on a store.

    `model` plans, judges and answers; `reader` reads the slices and is the same model unless named. Both are names
    (`extractive`, `anthropic:…`, `openai:…`) or models of your own. `store` is a file, by default
    `.swarm/swarm.db` under the current folder, locked for the length of a run, or the URL of a PostgreSQL
    database (`postgresql://…`), where each run is. `window` is the context window in tokens that no request may
    pass; None takes the model's own. `concurrency` is how many calls may be in flight. `embed` turns texts into
    vectors: with it, findings that may say the same in other words are proposed to the model, which judges them.
    `index` is searched beside the library where something is looked for in the sources, which are put into it; one
    that fails costs its hits and not the run. Whoever made it closes it.
    `engine` says where slices are worked: in this process, or, with `postgres` and a store there, by whoever
    serves it with `swarm worker`; `concurrency` counts over all of them.
    `approve` is shown what a run with a model that costs money is estimated to come to, before anything is sent:
    where it returns False, nothing is.

    Raises:
        ModelError: an unknown name, or a missing key.
    """

    joining = False  # whether nothing is run: a worker calls a recipe to learn its plan
    _clock: Callable[[], float] = staticmethod(time.monotonic)  # in seconds: a rehearsal goes by its own

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
        index: Index | None = None,
        approve: Approve | None = None,
        engine: EngineName | Engine = "local",
    ) -> None:
        self._model = connect(model, window=window, base_url=base_url) if isinstance(model, str) else model
        if isinstance(reader, str):
            reader = connect(reader, window=window, base_url=base_url)
        self._reader = reader or self._model
        self._store = store if store is not None else DEFAULT_STORE
        self._concurrency = concurrency or _PLACES
        self._embed, self._index, self._approve, self._engine = embed, index, approve, engine
        self._settings: dict[str, Any] = {
            "model": self._model.name,
            "reader": self._reader.name,
            "window": window,
            "concurrency": concurrency,
            "base_url": redact_text(base_url) if base_url else None,
        }
        self._reins = Reins()
        self._users = 0

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

    async def run(self, task: Task, *, run_id: str | None = None, plan: Program | None = None) -> Answer:
        """Work a task to its answer. `run_id` names the run; one that the store holds goes on. `plan` is for work:
        a plan that is code, or roles and checks for one that a model makes; a run that goes on is given it again.

        A limit that is reached, or `stop`, is no error: the answer is then `partial`.

        Raises:
            StoreError: the store cannot be used, another process is at this run, or the id is of another task.
            SwarmError: something is used wrongly, or the provider accepts no call at all.
        """
        return await self._run(task, run_id or _new_id(), lambda _: None, plan)

    async def read(
        self, task: Task, corpus: Corpus, *, run_id: str | None = None, emit: Emit = lambda _: None
    ) -> Answer:
        """As `run`, of text that the store holds already, not of paths; `emit` is told of events."""
        return await self._run(task, run_id or _new_id(), emit, None, corpus)

    async def resume(self, run_id: str, *, limits: Limits | None = None, plan: Program | None = None) -> Answer:
        """Go on with what a run has not done; what it has done is taken from the journal. `limits` are those that
        hold from now on; None: those that it last went on with.

        Raises:
            StoreError: as `run`, or the store does not hold that run.
            SwarmError: as `run`.
        """
        return await self.run(self.task_of(run_id, limits), run_id=run_id, plan=plan)

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

        async with self._models():
            with shared_store(self._store) as opened:
                corpus = await gathered(task, opened.store, lambda _: None)
                return await estimate(self._desk(task, "", 1, opened.store, corpus, lambda _: None))

    @asynccontextmanager
    async def stream(
        self, task: Task, *, run_id: str | None = None, plan: Program | None = None
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """As `run`, with its events as they come; the last is `Finished`. Leaving the block cancels the run.

        Raises:
            SwarmError: as `run`, out of the iterator.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        async def work() -> Answer:
            try:
                return await self._run(task, run_id or _new_id(), events.put_nowait, plan)
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

    def compiled(
        self,
        task: Task | None = None,
        *,
        plan: Program | None = None,
        approve: Literal["budget", "plan"] | None = None,
        on_limit: Literal["end", "ask"] = "end",
        checkpointer: Any = None,
    ) -> Mounted:
        """This swarm as a compiled LangGraph graph, to be invoked, streamed, mounted in a graph of yours,
        interrupted, forked and opened in Studio. `task` holds where the input says nothing; `plan` is as in `run`.

        `approve` asks a person by an interrupt, before anything is sent (`budget`) or before the first slice
        (`plan`); with `on_limit="ask"` so does a limit that is reached. Both need a checkpointer: this one, or
        that of the graph that this is mounted in.
        """
        from swarm.coordinator.begin import end
        from swarm.coordinator.distributed import coordinating
        from swarm.coordinator.machine import mounted
        from swarm.mounted import Invocation, Mount

        mount = Mount(
            store=self._store,
            task=task or Task(questions=(), paths=()),
            approve=approve,
            ask_at_limit=on_limit == "ask",
            new_id=_new_id,
            begin=lambda asked, run_id, store, emit: self._begin(asked, run_id, store, emit, plan),
            coordinating=lambda store, desk: coordinating(self._engine, store, desk),
            end=end,
            models=self._models,
        )
        return mounted(lambda: Invocation(mount), checkpointer)

    def stop(self) -> None:
        """Hand out no more slices; calls in flight finish, and the run ends with what it has. Safe to call from
        a signal handler of the event loop, more than once, and before the run has begun; so are those below."""
        self._reins.stop()

    def pause(self) -> None:
        """Begin and send nothing until `go_on`; calls in flight finish. No limit in seconds runs meanwhile."""
        self._reins.ask(request("pause"))

    def go_on(self) -> None:
        """After `pause`."""
        self._reins.ask(request("go_on"))

    def steer(self, instruction: str) -> None:
        """Add an instruction, of 4,000 characters at most: it holds for what begins from now on.

        Raises:
            UsageError: it is empty or too long.
        """
        self._reins.ask(request("steer", text=instruction))

    def cancel(self, slice_id: str) -> None:
        """Leave a slice alone: it ends here, where it has begun, and what is in it stays unread."""
        self._reins.ask(request("cancel", slice_=slice_id))

    async def _run(
        self, task: Task, run_id: str, emit: Emit, plan: Program | None, corpus: Corpus | None = None
    ) -> Answer:
        from swarm.coordinator.begin import end
        from swarm.coordinator.distributed import checked, coordinating
        from swarm.coordinator.listen import listening

        checked(self._engine, self._store)
        async with self._models():
            with shared_store(self._store) as opened, alone(opened, run_id), traced(run_id, emit) as trace:
                begun = await self._begin(task, run_id, opened.store, trace.emit, plan, corpus)
                if isinstance(begun, Answer):
                    return begun
                trace.begun(begun)
                async with (
                    coordinating(self._engine, opened.store, begun),
                    listening(begun, lambda: open_mailbox(self._store)),
                ):
                    answer = await self._work(begun)
                await end(begun, answer)
                trace.answered(answer)
                return answer

    async def _begin(
        self, task: Task, run_id: str, store: Store, emit: Emit, plan: Program | None, given: Corpus | None = None
    ) -> Desk | Answer:
        """The desk of a run that begins or goes on, brought to where the journal leaves off; its answer, where
        nothing is left to do."""
        from swarm.coordinator.begin import answer_of, begin, forget_unread
        from swarm.coordinator.kept import bring_back
        from swarm.coordinator.restore import catch_up, restore
        from swarm.coordinator.work.fit import fit_to_work

        began = self._clock()
        window = max(self._model.window, self._reader.window)
        emit(RunStarted(run_id=run_id, model=self._model.name, reader=self._reader.name, window=window))
        journal = store.journal
        journal.hold(run_id)
        if (answer := answer_of(store, run_id, task)) is not None:
            return answer
        fit_to_work(task, plan, self._model, self._reader)
        task = replace(task, limits=effective(task.limits, (self._model, self._reader)))
        session = await begin(journal, run_id, task, self._settings, self._model, self._reader, self._concurrency)
        try:
            corpus = await self._gather(task, store, run_id, emit, given)
        except SourceError:
            await forget_unread(journal, run_id)
            raise
        desk = self._desk(task, run_id, session, store, corpus, emit)
        desk.began, desk.program = began, plan
        await asyncio.to_thread(catch_up, desk.journal, desk.graph)
        await asyncio.to_thread(bring_back, desk.journal, run_id, desk.library)
        restore(desk)
        if desk.index is not None:
            await desk.index.check()
        if desk.done:
            emit(Resumed(done=len(desk.done), slices=len(desk.slices) - len(desk.split)))
        return desk

    async def _gather(self, task: Task, store: Store, run_id: str, emit: Emit, given: Corpus | None) -> Corpus:
        from swarm.coordinator.begin import gathered

        emit(PhaseChanged(phase="gather"))
        loading = asyncio.create_task(asyncio.to_thread(import_module, "swarm.coordinator.machine"))
        try:
            corpus = await gathered(task, store, emit, run_id, given)
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

        steering = self._reins.of_run(self._clock)
        budget = Budget(task.limits, store.journal.spent(run_id), steering.seconds)
        gate = Gate(store.journal, run_id, budget, Rates.of(task.limits), self._concurrency, spent)
        gate.wait_for(steering.sending)
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
            gate=gate,
            emit=emit,
            concurrency=self._concurrency,
            window=max(self._model.window, self._reader.window),
            clock=self._clock,
            began=self._clock(),
            steering=steering,
            corpus=corpus,
            graph=SharedGraph(store.database, run_id),
            embed=self._embed,
            index=Indexed.of(self._index, task.paths, corpus, Library(store.database)),
        )

    async def _work(self, desk: Desk) -> Answer:
        from swarm.coordinator import machine
        from swarm.coordinator.estimate import estimate
        from swarm.coordinator.finish import finish

        if costs_money(self._model, self._reader):
            expected = await estimate(desk)
            desk.emit(Estimated(estimate=expected))
            if self._approve is not None and not await asyncio.to_thread(self._approve, expected):
                desk.stopped = "not approved"
                return await finish(desk)
        return await machine.run(desk)

    @asynccontextmanager
    async def _models(self) -> AsyncIterator[None]:
        """While they are used: what they have open is closed by the last run of this swarm that ends."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                await self._model.close()
                if self._reader is not self._model:
                    await self._reader.close()


def _new_id() -> str:
    """Sorts by time of day and is unlike every other: `20261123-104455-3f9a1c`."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
