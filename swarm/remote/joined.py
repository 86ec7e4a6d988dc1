"""A run as a worker knows it: its task, models and program as its last session has them, and whether it goes on.

It is made from the journal, once for each session, and kept while slices of the run are worked here. Of the plan
it knows only what a slice is offered with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from swarm.coordinator.away import POSTURE
from swarm.coordinator.begin import LIMITS
from swarm.coordinator.desk import Desk
from swarm.coordinator.following import Following
from swarm.coordinator.records import TASK, corpus_of
from swarm.coordinator.work.fit import roles_of
from swarm.coordinator.work.places import workplaces
from swarm.coordinator.work.state import ROOT, Branch, Places, Work, order_id
from swarm.errors import LimitReached, NoSuchRun, StoreError, UsageError
from swarm.graph.graph import SharedGraph
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.models.base import Model
from swarm.orders import Order
from swarm.program import Program
from swarm.remote.programs import program_of
from swarm.source import Corpus
from swarm.store.cuts import Cuts
from swarm.store.library import Library
from swarm.store.opening import Store
from swarm.store.texts import fetch
from swarm.task import Limits, Slice

_LOOK_SECONDS = 0.5  # how soon a pause or a stop is noticed
_PARTS = ("model", "reader")
_IDLE_SECONDS = 60.0  # after which what a run holds open here is let go of


class Purse(Protocol):
    """What runs may spend, over all machines; see `swarm.limits.shared`."""

    def budget(self, run: str, limits: Limits) -> Budget:
        """Of a run."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a worker goes by. `models` makes a model by its name in a session, its window and its address. A `plan`
    that is given is that of every run. `trusted` are the recipes that it may call; None: any."""

    models: Callable[[str, int | None, str | None], Model]
    places: int
    plan: Program | None = None
    trusted: Collection[str] | None = ()


@dataclass(kw_only=True)
class Joined:
    """One run, in one of its sessions. `desk` is a template: each slice has a journal and a gate of its own."""

    desk: Desk
    store: Store
    needs_all: bool
    """Whether all of its material may be asked for, and is not here yet."""
    slices: int = 0
    """At work now."""
    idle_since: float = field(default_factory=time.monotonic)
    over: LimitReached | None = None
    """The limit at which the run ends."""
    here: set[str] = field(default_factory=set)
    """Sources whose text is known to be here."""

    async def turn(self) -> None:
        """Before a call: wait while the run is paused.

        Raises:
            LimitReached: the run has come to a limit, and nothing more is sent.
        """
        await self.desk.steering.sending()
        if self.over is not None:
            raise self.over

    async def read(self, slice_: Slice) -> None:
        """See to it that the text of a slice is here."""
        desk = self.desk
        wanted = {span.source for span in slice_.spans}
        if self.needs_all:
            wanted |= {source.id for source in desk.corpus.sources}
        if wanted <= self.here:
            return
        sources = [desk.sources[id_] for id_ in sorted(wanted - self.here)]
        missing = [one for one in sources if desk.library.source(one.id) is None]
        if missing:
            await fetch(desk.library, self.store.blobs, missing)
        self.here |= wanted
        self.needs_all = False

    def enter(self, slice_: Slice) -> None:
        """Take a slice up, with the branch that it belongs to."""
        work, order = self.desk.work, slice_.order
        if work is None or order is None or not slice_.parent or slice_.parent in work.branches:
            return
        for record in self.desk.journal.records(self.desk.run, "slice"):
            if order_id(record.key) == slice_.parent:
                asked = Order(name=record.key, objective=record.body["objective"])
                work.branches[slice_.parent] = Branch(order=asked, depth=slice_.depth, parent=ROOT)
                return

    async def follow(self) -> None:
        """Go by what the coordinator tells of the run, until cancelled."""
        desk, known = self.desk, -1
        while True:
            record = None
            with suppress(StoreError):  # it is away: what is sent meanwhile cannot be recorded, and is not sent
                record = await asyncio.to_thread(desk.journal.latest, desk.run, POSTURE)
            if record is not None and record.seq != known and record.body["session"] >= desk.session:
                known = record.seq
                self._go_by(record.body)
            await asyncio.sleep(_LOOK_SECONDS)

    def _go_by(self, posture: dict[str, Any]) -> None:
        steering = self.desk.steering
        if posture["paused"]:
            steering.pause()
        else:
            steering.go_on()
        if posture["stopping"]:
            steering.stop()
        if posture["over"] is not None:
            self.over = LimitReached(posture["over"], posture["limit"] or "")


@dataclass(kw_only=True)
class _Placed:
    """The worktrees of a run, and how many sessions of it have them."""

    places: Places | None
    held: AsyncExitStack
    sessions: int = 0


StillOurs = Callable[[str, str], Awaitable[bool]]
"""Whether a slice, by its run and its id, is this worker's for sure."""


class Runs:
    """The runs that a worker is at."""

    def __init__(self, store: Store, purse: Purse | None, terms: Terms, still_ours: StillOurs) -> None:
        self._store, self._purse, self._terms, self._still_ours = store, purse, terms, still_ours
        self._joined: dict[tuple[str, int], tuple[Joined, AsyncExitStack]] = {}
        self._joining: dict[tuple[str, int], asyncio.Lock] = {}
        self._made: dict[tuple[str, int | None, str | None], Model] = {}
        self._placed: dict[str, _Placed] = {}
        self._placing = asyncio.Lock()

    @asynccontextmanager
    async def at(self, run: str, session: int) -> AsyncIterator[Joined]:
        """A run, while a slice of it is worked.

        Raises:
            UsageError: this machine cannot work it: a key, a package or a recipe is missing.
        """
        name = (run, session)
        async with self._joining.setdefault(name, asyncio.Lock()):
            if name not in self._joined:
                await self.tidy(run=run)
                self._joined[name] = await self._join(run, session)
            joined, _ = self._joined[name]
            joined.slices += 1
        try:
            yield joined
        finally:
            joined.slices -= 1
            joined.idle_since = time.monotonic()

    async def tidy(self, *, run: str | None = None, all_: bool = False) -> None:
        """Let go of the runs at which nothing is worked and was not for a while; of `run`, or of all, at once."""
        now = time.monotonic()
        for name, (joined, held) in list(self._joined.items()):
            idle = all_ or name[0] == run or now - joined.idle_since > _IDLE_SECONDS
            if idle and not joined.slices and self._joined.pop(name, None) is not None:
                await held.aclose()

    async def close(self) -> None:
        """Let go of all, once nothing is worked any more."""
        await self.tidy(all_=True)
        for model in self._made.values():
            await model.close()
        self._made.clear()

    async def _join(self, run: str, session: int) -> tuple[Joined, AsyncExitStack]:
        held = AsyncExitStack()
        try:
            desk = await self._desk(run, session, held)
            roles = desk.work.roles.values() if desk.work is not None else ()
            uses = any(role.tools or role.code is not None for role in roles)
            joined = Joined(desk=desk, store=self._store, needs_all=uses)
            if desk.work is not None:
                desk.work.places = await held.enter_async_context(self._places(desk))
            following = asyncio.create_task(joined.follow())
            held.push_async_callback(_ended, following)
        except BaseException:
            await held.aclose()
            raise
        return joined, held

    @asynccontextmanager
    async def _places(self, desk: Desk) -> AsyncIterator[Places | None]:
        """The worktrees of a run. They are one process's at a time: where another coordinator has taken the run
        over, and slices of the first one are still worked here, they share them with those of the second."""
        run = desk.run
        async with self._placing:
            if run not in self._placed:
                held = AsyncExitStack()
                made = await held.enter_async_context(workplaces(desk, partial(self._still_ours, run)))
                self._placed[run] = _Placed(places=made, held=held)
            placed = self._placed[run]
            placed.sessions += 1
        try:
            yield placed.places
        finally:
            async with self._placing:
                placed.sessions -= 1
                if not placed.sessions:
                    del self._placed[run]
                    await placed.held.aclose()

    async def _desk(self, run: str, session: int, held: AsyncExitStack) -> Desk:
        journal, database = self._store.journal, self._store.database
        record = await asyncio.to_thread(journal.record, run, "session", str(session))
        asked = await asyncio.to_thread(journal.record, run, "task", "")
        if record is None or asked is None:
            raise NoSuchRun(f"the store holds no run {run} in its session {session}")
        body = record.body
        limits = replace(LIMITS.validate_python(body["limits"]), wall_seconds=None)  # which its coordinator keeps
        model, reader = self._models(body)
        plan = self._terms.plan
        if plan is None and await asyncio.to_thread(journal.latest, run, "program") is not None:
            programs = program_of(self._store, body, (model, reader), self._terms.trusted)
            plan = await held.enter_async_context(programs)
        task = replace(TASK.validate_python(asked.body["task"]), limits=limits)
        corpus = await asyncio.to_thread(corpus_of, journal, run) or Corpus(sources=())
        if self._purse is None:
            budget = Budget(limits, await asyncio.to_thread(journal.spent, run))
        else:
            budget = self._purse.budget(run, limits)
        # of the run's calls in flight each machine has a part, where they share
        at_once = self._terms.places if self._purse is None else int(body.get("places") or self._terms.places)
        graph = SharedGraph(database, run, f"{session}, of a worker")  # a coordinator here has one of its own
        await graph.clear()
        held.push_async_callback(graph.clear)
        desk = Desk(
            run=run,
            session=session,
            task=task,
            limits=limits,
            model=model,
            reader=reader,
            library=Library(database),
            cuts=Cuts(database),
            journal=journal,
            gate=Gate(journal, run, budget, Rates.of(limits), at_once, lambda _: None),
            corpus=corpus,
            graph=graph,
            emit=lambda _: None,
            concurrency=self._terms.places,
            window=max(model.window, reader.window),
            clock=time.monotonic,
            began=time.monotonic(),
            program=plan,
        )
        if task.mode == "work":
            root = Branch(order=Order(name=ROOT, objective=desk.question, done_when=task.done_when))
            coded = plan if plan is not None and plan.orders is not None else None
            desk.work = Work(root=root, program=coded, roles=roles_of(plan), branches={ROOT: root})
        branches = desk.work.branches if desk.work is not None and desk.work.program is None else None
        said = desk.steering.instructions
        following = Following(journal, run, graph, desk.library, corpus, said=said, branches=branches)
        desk.follow = following.catch_up
        return desk

    def _models(self, body: dict[str, Any]) -> tuple[Model, Model]:
        """Those of a session, as far as they are the same here."""
        made = {part: self._model(str(body[part]), body["window"], body["base_url"]) for part in _PARTS}
        for part, model in made.items():
            facts = body["facts"][part]
            if (facts["revision"], facts["window"]) != (model.revision, model.window):
                raise UsageError(
                    f"the model {model.name} is another here than where the run is coordinated (revision "
                    f"{model.revision}, window {model.window:,}; there {facts['revision']}, {facts['window']:,}): "
                    "run the same version of Swarm"
                )
        return made["model"], made["reader"]

    def _model(self, name: str, window: int | None, address: str | None) -> Model:
        key = (name, window, address)
        if key not in self._made:
            self._made[key] = self._terms.models(*key)
        return self._made[key]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
