"""Long texts read with the model: each once for a client, whoever asks what of it later.

What is unread is read together, in a run of its own whose result is a graph of findings. The journal says which
run has read which text, so that a branch, another conversation or the next process finds it; a run that a limit or
a kill has ended goes on where it was. Requests that need the same run wait for it together: it ends with the last
of them. This module knows sources and what they were read for, and no request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import blake2b
from typing import Any

from swarm.coordinator.begin import task_of
from swarm.coordinator.records import ANSWER
from swarm.errors import Rejected, SwarmError, UsageError
from swarm.limits.budget import DEFAULT_COST_USD, costs_money
from swarm.models.base import Model
from swarm.observe.log import get_logger
from swarm.run import Swarm
from swarm.serve.conversation import run_of
from swarm.source import Corpus, Source
from swarm.store.journal import Entry
from swarm.store.opening import Store
from swarm.task import Answer, Limits, Task, Usage

log = get_logger("serve")

_READING, _MATERIAL = "reading", "material"
_TRIES = 3
"""Times that a run is gone on with for the sake of slices that failed: each try may be paid."""
_KEPT = 4_096  # runs that are known to be done


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """What is known of some texts. `runs` says for each source which run holds its findings; `share` of their
    characters are read, from 0 to 1; `usage` is what was spent for it now; `stopped` says why not all is read, and
    is empty where it is."""

    runs: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    usage: Usage = field(default_factory=Usage)
    stopped: str = ""


@dataclass
class Spent:
    """What was spent for one request so far: known also of one that ends early."""

    usage: Usage = field(default_factory=Usage)


@dataclass
class _Going:
    """A run that is being worked, and how many wait for it."""

    task: asyncio.Task[Answer]
    waiting: int = 0
    ends: bool = False


@dataclass(kw_only=True)
class Readings:
    """Reads with one model into one store. `model` is asked by `swarm`, which all readings share."""

    swarm: Swarm
    model: Model
    store: Store
    where: str
    _going: dict[str, _Going] = field(default_factory=dict)
    _done: dict[str, Answer] = field(default_factory=dict)
    """Runs in which nothing is left to do."""
    _told: dict[str, Usage] = field(default_factory=dict)
    """Of runs at work, what of their spending was told to a request: each cent is told to one that waits."""

    @property
    def at_work(self) -> int:
        """Runs that are being worked."""
        return len(self._going)

    def began(self, client: str, source: str) -> bool:
        """Whether a source of this client's was read, or has begun to be."""
        return self.store.journal.record(run_of(client), _READING, source) is not None

    def known(self, client: str, sources: Sequence[Source]) -> tuple[dict[str, str], list[Source]]:
        """For each of these the run that has read it, or has begun to; and the sources that none has."""
        runs: dict[str, str] = {}
        unread: dict[str, Source] = {}
        for source in sources:
            record = self.store.journal.record(run_of(client), _READING, source.id)
            if record is not None:
                runs[source.id] = str(record.body["run"])
            else:
                unread[source.id] = source
        return runs, list(unread.values())

    async def spent(self, client: str) -> Usage:
        """What was spent on all that was ever read for a client, what was on its way when a process died at its
        worst."""
        journal, total = self.store.journal, Usage()
        for run in journal.keys(run_of(client), _MATERIAL):
            await self._settle(run)
            total += journal.spent(run)
        return total

    async def _settle(self, run: str) -> None:
        """Count what was on its way when a run was broken off at the worst that it can have come to."""
        if run not in self._going and self._broke_off(run):
            await self.store.journal.settle_lost(run)
            self.store.journal.let_go(run)

    async def read(
        self,
        client: str,
        sources: Sequence[Source],
        about: str,
        limits: Limits,
        spent: Spent | None = None,
    ) -> Read:
        """Read what of these is unread, with a question in mind, as far as the limits allow. `spent` knows at any
        time what it came to.

        Raises:
            Rejected, UsageError: the model cannot be used at all.
        """
        runs, unread = self.known(client, sources)
        if unread:
            await self._begin(client, unread, about)
            runs, _ = self.known(client, sources)
        materials = [self._material(client, run) for run in dict.fromkeys(runs.values())]
        total = sum(one.corpus.chars for one in materials) or 1
        spent, stopped, done = spent or Spent(), "", 0.0
        for one in materials:
            answer = await self._read(one, limits.left(spent.usage), spent)
            done += answer.coverage.chars_read if answer is not None else 0
            stopped = stopped or _why(answer)
        return Read(runs=runs, share=min(1.0, done / total), usage=spent.usage, stopped=stopped)

    async def _begin(self, client: str, unread: Sequence[Source], about: str) -> None:
        """Give the sources that none has read to a run. Of two at once, each source goes to one."""
        ids = sorted(source.id for source in unread)
        run = f"reading {client} {blake2b(' '.join(ids).encode(), digest_size=8).hexdigest()}"
        sources = [[one.id, one.path, one.media, one.chars, one.bytes] for one in unread]
        await self.store.journal.append(
            run_of(client),
            Entry(kind=_MATERIAL, key=run, body={"sources": sources, "about": about}),
            *(Entry(kind=_READING, key=id_, body={"run": run}) for id_ in ids),
        )

    def _material(self, client: str, run: str) -> _Material:
        record = self.store.journal.record(run_of(client), _MATERIAL, run)
        assert record is not None
        sources = tuple(
            Source(id=id_, path=path, media=media, chars=chars, bytes=size)
            for id_, path, media, chars, size in record.body["sources"]
        )
        return _Material(run=run, corpus=Corpus(sources=sources), about=str(record.body["about"]))

    async def _read(self, one: _Material, limits: Limits, spent: Spent) -> Answer | None:
        """What a run has come to, once nothing is left to do or a limit allows no more."""
        if (done := self._done.get(one.run)) is not None:
            return done
        known = self._answer(one.run)
        if known is not None and not self._left_undone(one.run, known):
            if len(self._done) >= _KEPT:
                self._done.clear()
            self._done[one.run] = known
            return known
        joins = one.run in self._going
        try:
            answer: Answer | None = await self._together(one.run, partial(self._work, one, limits))
            if joins and answer is not None and self._left_undone(one.run, answer):
                answer = await self._together(one.run, partial(self._work, one, limits))
        except (Rejected, UsageError):
            raise
        except SwarmError as error:
            log.warning("long texts were not read to the end", reason=str(error))
            answer = self._answer(one.run)
        finally:
            await asyncio.shield(self._settle(one.run))
            spent.usage += self._untold(one.run)
        return answer

    def _untold(self, run: str) -> Usage:
        """What was spent on a run since this was asked last."""
        now = self.store.journal.spent(run)
        before = self._told.get(run, now)
        self._told[run] = now
        if run not in self._going:
            self._told.pop(run)
        return now - before

    async def answer(self, run: str, task: Task, corpus: Corpus) -> Answer:
        """What a run of any task comes to; whoever needs the same run waits for it together.

        Raises:
            SwarmError: as `Swarm.run`.
        """
        return await self._together(run, lambda: self.swarm.read(task, corpus, run_id=run))

    async def _together(self, run: str, work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """Work a run, or wait for the request that does."""
        while (going := self._going.get(run)) is not None and going.ends:
            await asyncio.wait((going.task,))
        if going is None:
            going = self._going[run] = _Going(asyncio.create_task(work()))
            going.task.add_done_callback(lambda _: self._going.pop(run))
        going.waiting += 1
        try:
            await asyncio.wait((going.task,))
            return going.task.result()
        finally:
            going.waiting -= 1
            if not going.waiting:
                going.ends = True
                going.task.cancel()
                await asyncio.wait((going.task,))
                if not going.task.cancelled():
                    going.task.exception()  # seen: it was raised above, or nobody is there to hear of it

    async def _work(self, one: _Material, limits: Limits) -> Answer:
        journal = self.store.journal
        spent = journal.spent(one.run)
        self._told.setdefault(one.run, spent)
        if limits.cost_usd is None and costs_money(self.model):
            limits = replace(limits, cost_usd=DEFAULT_COST_USD)
        limits = limits.beyond(spent)
        asked = Task(questions=(one.about,) if one.about else (), paths=(), output="graph", limits=limits)
        if journal.record(one.run, "task", "") is not None:
            asked = replace(task_of(journal, one.run, None, self.where), limits=limits)
        return await self.swarm.read(asked, one.corpus, run_id=one.run)

    def _answer(self, run: str) -> Answer | None:
        last = self.store.journal.latest(run, "answer")
        return ANSWER.validate_python(last.body) if last is not None else None

    def _left_undone(self, run: str, answer: Answer) -> bool:
        """Whether going on with a run may read more."""
        if self._broke_off(run) or answer.stopped:
            return True
        unread = bool(answer.failures) or answer.coverage.chars_unread > 0
        return unread and self.store.journal.count(run, "session") < _TRIES

    def _broke_off(self, run: str) -> bool:
        """Whether a process died while it was at work on a run, or was told to stop."""
        session = self.store.journal.latest(run, "session")
        record = self.store.journal.latest(run, "answer")
        return session is not None and (record is None or record.key != session.key)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Material:
    """What one run reads, and what for."""

    run: str
    corpus: Corpus
    about: str


def _why(answer: Answer | None) -> str:
    """Why not all is read; empty where it is."""
    if answer is None:
        return "the model that reads could not be reached"
    if answer.stopped:
        return answer.stopped
    if answer.failures:
        return f"{len(answer.failures)} parts of the long texts could not be read"
    return "" if not answer.coverage.chars_unread else "not all of the long texts was read"
