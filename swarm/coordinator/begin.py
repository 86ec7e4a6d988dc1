"""Where a run begins or goes on: what the journal tells of it beforehand, and what is recorded of this time.

A run goes on with the text that it began with, wherever the store holds it, and with the settings of the last time
but for those that are given.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from swarm.coordinator.desk import Desk
from swarm.coordinator.records import ANSWER, TASK, corpus_entry, corpus_of
from swarm.errors import SourceError, StoreError
from swarm.events import Event
from swarm.graph.graph import SharedGraph
from swarm.models.base import Model
from swarm.observe.log import redact_text
from swarm.observe.spans import address_in
from swarm.source import Corpus
from swarm.sources.gather import gather
from swarm.store.journal import Entry, Journal
from swarm.store.library import Library
from swarm.store.opening import Store, shown
from swarm.store.published import Absent, Damaged, drop
from swarm.store.texts import fetch, publish
from swarm.task import Answer, Limits, Task

LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)
_SETTINGS = ("model", "reader", "window", "concurrency", "base_url")


async def begin(
    journal: Journal, run: str, task: Task, settings: Mapping[str, Any], model: Model, reader: Model, places: int
) -> int:
    """Record that a run begins or goes on, and tell how often it has. What was on its way when a process died is
    counted as spent."""
    session = journal.count(run, "session") + 1
    body = {
        **settings,
        "facts": {"model": _facts(model), "reader": _facts(reader)},
        "limits": asdict(task.limits),
        "places": places,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": version("swarm-memory"),
    }
    await journal.settle_lost(run)
    await journal.append(
        run,
        Entry(kind="task", key="", body={"task": asdict(task)}),
        Entry(kind="session", key=str(session), body=body),
    )
    return session


async def forget_unread(journal: Journal, run: str) -> None:
    """Leave nothing behind of a run whose sources could not be read the first time."""
    if journal.record(run, "corpus", "") is None:
        await journal.forget(run)


def _facts(model: Model) -> dict[str, Any]:
    """What of a model shapes what is asked of it: a replay does without the model."""
    return {
        "name": model.name,
        "revision": model.revision,
        "selective": model.selective,
        "window": model.window,
        "max_output": model.max_output,
        "address": address_in(getattr(model, "lane", "")),
        "base_url": redact_text(url) if (url := getattr(model, "base_url", None)) else None,
    }


def answer_of(store: Store, run_id: str, task: Task) -> Answer | None:
    """The answer of a run that has nothing left to do; None for one that begins or goes on.

    Raises:
        StoreError: the id is of another task, or of a run of an older version that is not finished.
    """
    journal = store.journal
    record = journal.record(run_id, "task", "")
    if record is None:
        return None
    known = TASK.validate_python(record.body["task"])
    if replace(known, limits=task.limits) != task:
        raise StoreError(f"the run {run_id} is there and was asked something else: give this one another id")
    last = journal.latest(run_id, "answer")
    session = journal.latest(run_id, "session")
    if session is None and last is not None and ANSWER.validate_python(last.body).complete:
        return ANSWER.validate_python(last.body)
    if session is None:
        raise StoreError(
            f"the run {run_id} was begun by an older version, which kept no plan to go on with: begin it anew; "
            f"`swarm graph {run_id}` tells what it found"
        )
    if last is None or last.key != session.key:
        return None
    answer = ANSWER.validate_python(last.body)
    told = SharedGraph(store.database, run_id).fingerprint() == answer.graph
    return answer if answer.complete and not answer.coverage.chars_unread and told else None


async def gathered(
    task: Task,
    store: Store,
    emit: Callable[[Event], None],
    run_id: str | None = None,
    given: Corpus | None = None,
) -> Corpus:
    """The sources of a run: as they were when it began, wherever the store holds their text; those `given`, which
    it holds already; or what the paths of the task lead to. On a server their text is kept there too.

    Raises:
        SourceError: as `gather`, or a source that is read again is not what it was.
    """
    library = Library(store.database)
    known = corpus_of(store.journal, run_id) if run_id is not None else None
    if known is not None:
        await _had_again(known, task, library, store, emit)
        corpus = known
    elif given is not None and library.holds(given):
        corpus = given
    elif task.paths or task.mode != "work":
        corpus = await gather(task.paths, library, on_source=emit)
    else:
        corpus = Corpus(sources=())
    if run_id is not None:
        if known is None:
            await store.journal.append(run_id, corpus_entry(corpus))
        await _shared(corpus, task, library, store)  # what no record names, nobody would ever delete
    return corpus


async def _had_again(
    known: Corpus, task: Task, library: Library, store: Store, emit: Callable[[Event], None]
) -> None:
    """Have the text of a run that goes on: from here, from the server, or from its paths."""
    damaged: list[str] = []
    if await _held(known, library, store, damaged):
        return
    try:
        again = await gather(task.paths, library, on_source=emit)
    except SourceError as error:
        raise SourceError(f"the store does not hold the text with which the run began, and {error}") from None
    left = {source.id for source in again.sources}
    for source in known.sources:
        if source.id not in left:
            raise SourceError(
                f"{source.path} is not what it was when the run began, and the store does not hold its text: "
                "restore the file, or begin a new run"
            )
    if damaged:
        await asyncio.to_thread(drop, store.blobs, damaged)  # and sent anew


async def _held(corpus: Corpus, library: Library, store: Store, damaged: list[str]) -> bool:
    """Whether the text of a corpus is here, be it from the server. What is `damaged` there is told."""
    if library.holds(corpus) or store.url is None:
        return library.holds(corpus)
    try:
        await fetch(library, store.blobs, corpus.sources)
    except Absent:
        return False
    except Damaged as error:
        damaged.append(error.source)
        return False
    return True


async def _shared(corpus: Corpus, task: Task, library: Library, store: Store) -> None:
    """Keep the text on the server, where the store is on one, so that any machine may work on the run and look
    into it. Text that was handed over, and was read from no path, stays here."""
    if store.url is not None and task.paths:
        await publish(library, store.blobs, corpus.sources)


def settings_of(journal: Journal, run_id: str, store: Path | str | None) -> dict[str, Any]:
    """The settings that a run last went on with."""
    record = journal.latest(run_id, "session")
    if record is not None:
        return {name: record.body[name] for name in _SETTINGS}
    record = journal.record(run_id, "task", "")
    if record is None or "settings" not in record.body:
        raise _no_run(store, run_id)
    return dict(record.body["settings"])


def task_of(journal: Journal, run_id: str, limits: Limits | None, store: Path | str | None) -> Task:
    """What a run was asked, with the limits that it last went on with, or those given.

    Raises:
        StoreError: the store does not hold that run.
    """
    record = journal.record(run_id, "task", "")
    if record is None:
        raise _no_run(store, run_id)
    task = TASK.validate_python(record.body["task"])
    session = journal.latest(run_id, "session")
    if limits is None and session is not None:
        limits = LIMITS.validate_python(session.body["limits"])
    return replace(task, limits=limits) if limits is not None else task


def _no_run(store: Path | str | None, run_id: str) -> StoreError:
    return StoreError(f"{shown(store)} holds no run {run_id}: check the id, or name another --store")


async def end(desk: Desk, answer: Answer) -> None:
    """Record what a run came to this time."""
    body = ANSWER.dump_json(answer)
    await desk.journal.append(desk.run, Entry(kind="answer", key=str(desk.session), body=body))
