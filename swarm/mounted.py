"""A swarm as a LangGraph graph: what stands behind each invocation of `Swarm.compiled`.

An invocation opens the store when a phase first needs it and lets go of it when it ends, is interrupted, fails or
is cancelled, so that another process may go on. Invocations of one process share a store that is open. What goes
through LangGraph's state, stream and interrupts is plain and small; live objects never do. This module does not
know langgraph.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from swarm.errors import UsageError
from swarm.events import Estimated, Event, Finished
from swarm.limits.budget import costs_money
from swarm.observe.telemetry import Untraced, traced
from swarm.source import Corpus
from swarm.store.mailbox import Mailbox, Request
from swarm.store.opening import Store, open_mailbox
from swarm.store.shared import Opened, alone, leave, take
from swarm.task import Answer, Citation, Estimate, Report, Slice, Task, Usage

if TYPE_CHECKING:
    from swarm.coordinator.asking import Asks
    from swarm.coordinator.desk import Desk
    from swarm.coordinator.machine import State
    from swarm.coordinator.named import Place
    from swarm.observe.live import Trace

Emit = Callable[[Event], None]

TASK: TypeAdapter[Task] = TypeAdapter(Task)
_CELLS = 500  # of a table go into the state; all of them are in the journal
_LONGEST = 200  # characters of a text in an event


def _close(opened: Opened, mailbox: Mailbox | None = None) -> None:
    """Blocks, as `leave`."""
    if mailbox is not None:
        mailbox.close()
    leave(opened)


class _Lent:
    """A mailbox that is not closed by whoever has it for a while."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mailbox, name)

    def close(self) -> None:
        """Whoever lent it closes it."""


# Invocations


@dataclass(kw_only=True)
class Mount:
    """What the invocations of one graph have in common. `task` holds where the input says nothing; `begin` opens a
    run on a store, `coordinating` is entered while a phase of it works, `end` records its answer, and `models` is
    entered while the models are used."""

    store: Path | str
    task: Task
    approve: str | None
    ask_at_limit: bool
    new_id: Callable[[], str]
    begin: Callable[[Task, str, Store, Emit], Awaitable[Desk | Answer]]
    coordinating: Callable[[Store, Desk], AbstractAsyncContextManager[None]]
    end: Callable[[Desk, Answer], Awaitable[None]]
    models: Callable[[], AbstractAsyncContextManager[None]]
    begun: dict[str, Task] = field(default_factory=dict)
    """What the runs that are at work were asked: those that have just begun stand in no journal yet."""


class Invocation:
    """See `swarm.coordinator.machine.Host`."""

    def __init__(self, mount: Mount) -> None:
        self.approve, self.ask_at_limit = mount.approve, mount.ask_at_limit
        self._mount = mount
        self._desk: Desk | None = None
        self._held = AsyncExitStack()
        self._opened: Opened | None = None
        self._mailbox: Mailbox | None = None
        self._trace: Trace | Untraced = Untraced(self._emit)
        self._write: Callable[[Any], None] = lambda _: None
        self._outer: tuple[Any, Callable[[Any], None] | None] = (None, None)

    @property
    def desk(self) -> Desk | None:
        return self._desk

    def listen(self, write: Callable[[Any], None]) -> None:
        outer, into = self._outer
        self._write = _in_context(write) if write is outer else into or _in_context(write)

    def forward(self, write: Callable[[Any], None]) -> None:
        self._outer = (write, _in_context(write))

    def _emit(self, event: Event) -> None:
        self._write(plain(event))

    async def begin(self, state: State, place: Place) -> State:
        from swarm.coordinator.machine import Told, asked

        await self.close()
        state = {**state, "raised": None, "said": None}
        task = self._task(state)
        run = await self._run_of(state, task, place, unchanged=state.get("asked") == asked(state))
        begun = await self._start(state, task, run)
        fresh: Any = dict.fromkeys(Told.__annotations__)  # what an earlier invocation has left behind
        fresh |= {"run_id": run, "run": run, "asked": asked(state), "round": 0, "approved": ""}
        fresh |= {"raised": None, "said": None, "ended": None, "asking": None}
        if isinstance(begun, Answer):
            fresh |= self.told(begun)
        elif self.approve != "budget" and costs_money(begun.model, begun.reader):
            await self._estimate(begun)
        return cast("State", fresh)

    async def open(self, state: State) -> Desk | Answer:
        if self._desk is not None:
            return self._desk
        return await self._start(state, self._task(state), state["run"])

    async def _start(self, state: State, task: Task, run: str) -> Desk | Answer:
        from swarm.coordinator.listen import take as take_up

        opened = await self._hold()
        self._held.enter_context(alone(opened, run))
        self._mount.begun[run] = task
        self._held.callback(self._mount.begun.pop, run, None)
        self._trace = self._held.enter_context(traced(run, self._emit))
        begun = await self._mount.begin(task, run, opened.store, self._trace.emit)
        if isinstance(begun, Answer):
            return begun
        self._trace.begun(begun)
        if said := state.get("said"):
            await take_up(begun, Request(id=said["id"], what="steer", text=said["text"]))
        self._desk = begun
        return begun

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        from swarm.coordinator.listen import listening

        desk, opened = self._desk, self._opened
        assert desk is not None
        assert opened is not None
        async with self._mount.coordinating(opened.store, desk), listening(desk, self._lent):
            yield
        desk.steering.ended = False  # of the phase alone; the invocation goes on

    async def _hold(self) -> Opened:
        """The store. On a thread, as a server may not be held up by a disk."""
        if self._opened is None:
            taking = asyncio.ensure_future(asyncio.to_thread(take, self._mount.store))
            try:
                self._opened = await asyncio.shield(taking)
            except asyncio.CancelledError:
                await asyncio.wait([taking])
                if taking.exception() is None:
                    await asyncio.to_thread(leave, taking.result())
                raise
            self._held.push_async_callback(self._let_go)
            await self._held.enter_async_context(self._mount.models())
        return self._opened

    def _task(self, state: State) -> Task:
        return task_of(state, self._mount.task)

    def _lent(self) -> Mailbox:
        """The mailbox of the store, which stays open from phase to phase."""
        if self._mailbox is None:
            self._mailbox = open_mailbox(self._mount.store)
        return cast("Mailbox", _Lent(self._mailbox))

    async def _run_of(self, state: State, task: Task, place: Place, *, unchanged: bool) -> str:
        """Which run answers. One that was asked something else, or that a fork is made of, is left as it is."""
        from swarm.coordinator.named import chosen, named

        run = state.get("run_id") or named(place)
        if not run:
            return self._mount.new_id()
        if unchanged and run == state.get("run"):
            return run
        journal, begun = (await self._hold()).store.journal, self._mount.begun

        def asked_of(known: str) -> Task | None:
            record = journal.record(known, "task", "")
            return begun.get(known) if record is None else TASK.validate_python(record.body["task"])

        return chosen(run, task, state.get("fork") or "", asked_of)

    async def expected(self, asks: Asks) -> dict[str, Any]:
        from swarm.coordinator.asking import question

        assert self._desk is not None
        return question(asks, self._desk, await self._estimate(self._desk))

    async def _estimate(self, desk: Desk) -> Estimate | None:
        from swarm.coordinator.estimate import estimate

        if desk.work is not None:
            return None  # what a goal takes is not known before it is planned, and hardly then
        expected = await estimate(desk)
        self._emit(Estimated(estimate=expected))
        return expected

    def told(self, answer: Answer) -> State:
        self._emit(Finished(answer=answer))
        return told(answer)

    async def end(self, answer: Answer) -> State:
        assert self._desk is not None
        await self._mount.end(self._desk, answer)
        self._trace.answered(answer)
        return self.told(answer)

    async def close(self) -> None:
        if self._desk is not None:
            self._desk.steering.ended = True
        self._desk = None
        await self._held.aclose()

    async def _let_go(self) -> None:
        (opened, self._opened), (mailbox, self._mailbox) = (self._opened, None), (self._mailbox, None)
        assert opened is not None
        leaving = asyncio.ensure_future(asyncio.to_thread(_close, opened, mailbox))
        try:
            await asyncio.shield(leaving)
        finally:
            await asyncio.wait([leaving])


def _in_context(write: Callable[[Any], None]) -> Callable[[Any], None]:
    """LangGraph tells by the context of a call which graph an event comes from, and events come from tasks of
    their own."""
    context = contextvars.copy_context()
    return lambda told: context.copy().run(write, told)


# What goes in and out


def task_of(state: State, task: Task) -> Task:
    """What a state asks; `task` holds where it says nothing.

    Raises:
        UsageError: a value that is none of those allowed.
    """
    from swarm.coordinator.asking import limits_of

    names = ("paths", "output", "slicing", "words", "mode", "done_when")
    given: dict[str, Any] = {name: state.get(name) for name in names if state.get(name)}
    if questions := state.get("questions") or [one for one in [state.get("question")] if one]:
        given["questions"] = questions
    limits = limits_of({**(state.get("limits") or {}), **(state.get("raised") or {})}, task.limits)
    try:
        made = TASK.validate_python({**asdict(task), **given, "limits": asdict(limits)})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if made.output == "answer" and not made.questions:
        raise UsageError(
            "nothing is asked: give a question in the input, or in the task that the graph is made with"
        )
    return made


def told(answer: Answer) -> State:
    """An answer in plain values; of a long table its first cells."""
    cells = answer.cells[:_CELLS]
    cited = answer.citations
    if answer.cells:  # they are numbered in the order of the cells
        cited = cited[: max((number + 1 for cell in cells for number in cell.citations), default=0)]
    ledger = answer.coverage
    return {
        "answer": answer.text,
        "short": answer.short,
        "status": answer.status,
        "complete": answer.complete,
        "stopped": answer.stopped,
        "limit": answer.limit,
        "citations": [_citation(one) for one in cited],
        "cells": [{**asdict(cell), "citations": list(cell.citations)} for cell in cells],
        "left_out": len(answer.cells) - len(cells),
        "coverage": {
            "sources": ledger.sources,
            "skipped": len(ledger.skipped),
            "chars_total": ledger.chars_total,
            "chars_read": ledger.chars_read,
            "chars_skipped": ledger.chars_skipped,
            "chars_unread": ledger.chars_unread,
        },
        "usage": {**asdict(answer.usage), "tokens": answer.usage.tokens},
        "cost_usd": answer.usage.cost_usd,
        "run_id": answer.run_id,
    }


def _citation(one: Citation) -> dict[str, Any]:
    return {**asdict(one), "place": str(one)}


def plain(event: Event) -> dict[str, Any]:
    """An event as it goes through LangGraph's stream: numbers, ids and short texts, never content."""
    said: dict[str, Any] = {"type": type(event).__name__}
    for one in fields(event):
        said |= _plain(one.name, getattr(event, one.name))
    return said


def _plain(name: str, value: Any) -> dict[str, Any]:
    from swarm.coordinator.asking import estimated, usage

    match value:
        case bool() | int() | float() | None:
            return {name: value}
        case str():
            return {name: value[:_LONGEST]}
        case Slice():
            return {"slice": value.id, "round": value.round, "tokens": value.tokens}
        case Report():
            return {"findings": len(value.findings)}
        case Corpus():
            return {"sources": len(value.sources), "skipped": len(value.skipped), "chars": value.chars}
        case Usage():
            return usage(value)
        case Estimate():
            return estimated(value)
        case Answer():
            named = {"run_id": value.run_id, "status": value.status, "complete": value.complete}
            return {**named, "stopped": value.stopped, "cost_usd": value.usage.cost_usd}
    return {}
