"""Long tasks in the background of this process, for an agent that has other things to do meanwhile.

    async with Jobs("tasks.db", model="anthropic:…", roots=["reports/"], limits=Limits(cost_usd=5)) as jobs:
        run = await jobs.start("What changed our churn in Q3?", ["reports/"])
        status = await jobs.wait(run)
        print(status.answer["answer"])

What is asked is held to what the owner allows: the folders `roots`, limits that are the tighter ones, and no work
towards a goal unless he says so. A task outlives the process: leaving the block stops it cleanly, and the next
`Jobs` on that store goes on with what this one or a killed process has left. The store is open only while a task
is at work or is asked about. This module knows who asks what of which task; `running` runs them, `lookup` looks
them up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from swarm.embed import recorded
from swarm.embed.allowed import Allowed, Asked, allowed, tightened
from swarm.embed.lookup import Lookup, brief
from swarm.embed.recorded import Begun
from swarm.embed.running import Running, first, goes_on
from swarm.embed.status import Live, Status
from swarm.errors import UsageError
from swarm.models.base import Model
from swarm.models.registry import connect
from swarm.store.opening import DEFAULT_STORE
from swarm.task import Limits, Task

if TYPE_CHECKING:
    from swarm.graph.likeness import Embed
    from swarm.store.mailbox import What

T = TypeVar("T")
Progress = Callable[[Status], Awaitable[None]]

_UNDER_WAY_SECONDS = 2.0  # a mistake in what is asked mostly shows by then, and is told at once
_TELL_SECONDS = 0.5  # between two words of progress
_LOOK_SECONDS = 1.0  # between two looks at a run of another process


class Jobs:
    """Tasks in the background, from `async with` to the end of its block.

    `store`, `model`, `reader`, `window`, `concurrency`, `base_url` and `embed` are those of `Swarm`. `roots` are
    the folders whose files may be read. `limits` hold for each task: whoever asks may say tighter ones. With
    `work`, tasks may also work towards a goal. At most `most` tasks are at work at once. `total_usd` is what all
    tasks of this store may cost together, those of earlier processes included: each has its own limit, or what is
    left, set aside for it before it begins. `takes_up` is whether tasks that an earlier process has left
    unfinished go on by themselves; those that somebody stopped or that came to a limit wait for `resume`.

    Raises:
        UsageError: a root that is no folder, a limit that makes no sense, or a model that cannot be used.
    """

    def __init__(
        self,
        store: Path | str | None = None,
        model: Model | str = "extractive",
        *,
        reader: Model | str | None = None,
        roots: Sequence[Path | str] | Path | str = (),
        limits: Limits | Mapping[str, Any] | None = None,
        work: bool = False,
        window: int | None = None,
        concurrency: int | None = None,
        base_url: str | None = None,
        embed: Embed | None = None,
        most: int = 8,
        total_usd: float | None = None,
        takes_up: bool = True,
    ) -> None:
        if most < 1:
            raise UsageError(f"most is {most}: give how many tasks may be at work at once, from 1 on")
        if total_usd is not None and not total_usd >= 0:
            raise UsageError(f"total_usd is {total_usd}: give what all tasks may cost together, from 0 on")
        made = connect(model, window=window, base_url=base_url) if isinstance(model, str) else model
        read = connect(reader, window=window, base_url=base_url) if isinstance(reader, str) else (reader or made)
        self.allowed: Allowed = allowed(roots, limits, work, (made, read))
        """What may be asked; its limits are those that hold where nobody says tighter ones."""
        self._store: Path | str = store if store is not None else DEFAULT_STORE
        settings = {"window": window, "concurrency": concurrency, "base_url": base_url, "embed": embed}
        self._running = Running(self._store, (made, read), settings, most, total_usd)
        self._lookup = Lookup(self._store)
        self._takes_up = takes_up

    async def __aenter__(self) -> Self:
        await self._running.__aenter__()
        try:
            if self._takes_up:
                await self._running.take_up(self.allowed)
        except BaseException as error:
            await self._running.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._running.__aexit__(kind, error, trace)

    # What is asked

    async def start(
        self,
        question: str,
        paths: Sequence[str | Path] = (),
        *,
        output: Asked = "answer",
        by: Literal["source", "record"] = "source",
        words: int | None = None,
        done_when: str = "",
        limits: Limits | Mapping[str, Any] | None = None,
    ) -> str:
        """Begin a task and return the id of its run, once what is asked has been looked at.

        `paths` are relative to the roots or to the current folder, or absolute. A table takes one question a line,
        asked of each item: a source or a record (`by`); a digest and a graph need no question. `words` is the
        length of a digest. `done_when` says when work is done. `limits` may be tighter than those of the owner.

        Raises:
            UsageError: it is not allowed, makes no sense, or the model cannot do it; too many are at work.
            StoreError: the store cannot be used.
        """
        self._running.admit()
        task = await asyncio.to_thread(
            lambda: self.allowed.task(
                question, paths, output=output, by=by, words=words, done_when=done_when, limits=limits
            )
        )
        return await self._begin(Begun(run=_new_id(), task=task, settings=self._running.named), task, new=True)

    async def resume(self, run: str, limits: Limits | Mapping[str, Any] | None = None) -> str:
        """Go on with a task that was stopped, came to a limit, failed or was interrupted; with `limits` in place
        of its own, at most those of the owner.

        Raises:
            UsageError: it was not begun as one, is at work or over, or is not allowed (any more).
        """
        self._running.admit()
        status = await self.status(run)
        run = status.run
        if status.at_work:
            raise UsageError(f"the run {run} is at work ({status.line}): there is nothing to resume")
        if status.status in ("answered", "no_evidence"):
            raise UsageError(f"the run {run} is over and has its answer: start another one to ask more")
        async with self._running.holding() as opened:
            known = recorded.begun(opened.store.journal, run)
            if known is None:
                raise UsageError(f"the run {run} was not begun as a task: go on with `swarm resume {run}`")
            if not self.allowed.covers(known.task):
                raise UsageError(f"the run {run} reads or does what is not allowed here (any more)")
            task = goes_on(opened.store, known, self.allowed.limits)
        if limits is not None:
            task = replace(task, limits=tightened(self.allowed.limits, limits))
        return await self._begin(known, task, new=False)

    async def steer(self, run: str, instruction: str) -> Status:
        """Add an instruction, of 4,000 characters at most, to a task that is at work: it holds for what begins
        from now on.

        Raises:
            UsageError: there is no such run, it is over, or the instruction is empty or too long.
        """
        return await self._tell(run, "steer", instruction)

    async def pause(self, run: str) -> Status:
        """Begin nothing new until `go_on`; calls in flight finish.

        Raises:
            UsageError: as `stop`.
        """
        return await self._tell(run, "pause")

    async def go_on(self, run: str) -> Status:
        """After `pause`.

        Raises:
            UsageError: as `stop`.
        """
        return await self._tell(run, "go_on")

    async def stop(self, run: str) -> Status:
        """End a task early, with what it has: calls in flight finish. It goes on when `resume` says so.

        Raises:
            UsageError: there is no such run, or nobody is at it.
        """
        return await self._tell(run, "stop")

    # What is told

    async def status(self, run: str) -> Status:
        """How a task stands, also one of another process or an earlier one. `run` is an id, the beginning of one,
        or `last`.

        Raises:
            UsageError: there is no such run, or several begin so.
        """
        if (live := self._running.live.get(run)) is not None:
            return live.status()
        try:
            run = await _looked(lambda: self._lookup.find(run))
        except UsageError:
            if (failed := self._running.failed.get(run)) is not None:
                return failed  # nothing was kept of it
            raise
        if (live := self._running.live.get(run)) is not None:
            return live.status()
        status = await _looked(lambda: self._lookup.status(run))
        failed = self._running.failed.get(run)
        return failed if failed is not None and status.status == "interrupted" else status

    async def wait(self, run: str, seconds: float | None = None, on_progress: Progress | None = None) -> Status:
        """How a task stands once it is over, or `seconds` from now; None waits as long as it takes. `on_progress`
        is awaited with its status when that has changed. To cancel this leaves the task going on.

        Raises:
            UsageError: as `status`.
        """
        self._running.here()
        until = float("inf") if seconds is None else time.monotonic() + seconds
        last: Status | None = None
        while True:
            live = self._running.live.get(run)
            changed = live.changed if live is not None else None
            status = await self.status(run)
            if on_progress is not None and status != last:
                await on_progress(status)
            last, run, left = status, status.run, until - time.monotonic()
            if not status.at_work or left <= 0:
                return status
            if live is None or changed is None:
                await asyncio.sleep(min(left, _LOOK_SECONDS))
                continue
            await first(changed if on_progress is not None else live.ended, left)
            await first(live.ended, min(_TELL_SECONDS, max(0.0, until - time.monotonic())))

    async def runs(self, limit: int = 20) -> list[Status]:
        """The runs of the store, the one that began last first, without their answers.

        Raises:
            StoreError: the store cannot be read.
        """
        found = await _looked(lambda: self._lookup.runs(limit))
        live = {one.run: brief(one.status()) for one in self._running.live.values()}
        known = {one.run for one in found}
        fresh = [status for run, status in live.items() if run not in known]
        return [*reversed(fresh), *(live.get(one.run, one) for one in found)][:limit]

    async def answer(self, run: str) -> dict[str, Any]:
        """The answer of a task with its citations, in the form of `swarm.mounted.told`.

        Raises:
            UsageError: there is none yet.
        """
        status = await self.status(run)
        if status.answer is None:
            raise UsageError(f"the run {status.run} has no answer ({status.line}): wait for it, or resume it")
        return status.answer

    async def ask(self, run: str, question: str, tokens: int = 2_000) -> dict[str, Any]:
        """What a task has found out so far that bears on a question, in at most so many o200k tokens, with ids to
        be opened. No model is asked.

        Raises:
            UsageError: there is no such run, or the question is empty.
        """
        run = await self._find(run)
        return await _looked(lambda: self._lookup.view(run, question, tokens))

    async def open(self, run: str, id_: str) -> dict[str, Any]:
        """What stands behind a citation of the answer, by its number, or a node of the graph, by its id or the
        beginning of it: exact quotes, and where they stand.

        Raises:
            UsageError: there is no such run, citation or node.
        """
        run = await self._find(run)
        return await _looked(lambda: self._lookup.open(run, id_))

    async def graph(self, run: str, limit: int = 50) -> dict[str, Any]:
        """The graph of a task in short: counts, fingerprint, and its most relevant findings.

        Raises:
            UsageError: there is no such run.
        """
        run = await self._find(run)
        return await _looked(lambda: self._lookup.graph(run, limit))

    # Inside

    async def _begin(self, begun: Begun, task: Task, *, new: bool) -> str:
        """Begin or go on with a task, and say so once that is recorded and its material is looked at."""
        async with self._running.holding() as opened:
            async with self._running.beginning:
                self._running.admit(begun.run)
                task = await self._running.affordable(opened, begun.run, task)
                try:
                    await asyncio.to_thread(opened.store.journal.hold, begun.run)
                    if new:
                        await recorded.note_begin(opened.store.journal, replace(begun, task=task))
                except BaseException:
                    opened.store.journal.let_go(begun.run)
                    raise
                live = self._running.launch(begun, task)
            await first(live.under_way, _UNDER_WAY_SECONDS)
        if live.ended.is_set() and live.failed is not None:
            raise UsageError(live.failed)
        return begun.run

    async def _tell(self, run: str, what: What, text: str = "") -> Status:
        self._running.here()
        run = await self._find(run)
        live = self._running.live.get(run)
        if live is None:
            from swarm.steer import tell

            await _looked(lambda: tell(run, what, text=text, store=self._store))
            return await self.status(run)
        changed = live.changed
        await self._asked(live, what, text)
        await first(changed, _TELL_SECONDS)
        return live.status()

    async def _asked(self, live: Live, what: What, text: str) -> None:
        match what:
            case "steer":
                live.swarm.steer(text)
            case "pause":
                live.swarm.pause()
            case "go_on":
                live.swarm.go_on()
            case _:
                await self._running.stop(live)

    async def _find(self, run: str) -> str:
        if run in self._running.live:
            return run
        return await _looked(lambda: self._lookup.find(run))


async def _looked(look: Callable[[], T]) -> T:
    """On a thread: a large graph takes a while."""
    return await asyncio.to_thread(look)


def _new_id() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
