"""Paths to a corpus: find the inputs, read what the store does not hold yet, list what was left out.

Reading runs on a thread of its own while the store writes what was read before; the event loop only hands over.
This module knows how the work goes on, not how an input is read.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from swarm.errors import SourceError
from swarm.events import SourceRead
from swarm.source import Corpus, Skip, Source
from swarm.sources.reading import Step, read
from swarm.sources.walk import Walk
from swarm.store.library import Library

_REASONS = 3  # told, where nothing could be read


async def gather(
    paths: Sequence[str], library: Library, *, on_source: Callable[[SourceRead], None] | None = None
) -> Corpus:
    """Read files, folders, patterns and standard input (`-`) into the library.

    What the library holds already is not read again: an unchanged file is not even opened. `on_source` is told
    of each source once it is in the store. Cancelling leaves nothing half read behind.

    Raises:
        SourceError: a path that does not exist, or nothing at all that can be read.
        StoreError: the store cannot be written.
    """
    walk = Walk(paths, own=[f"{library.database.path}{ending}" for ending in ("", "-wal", "-shm", ".lock")])
    found = _Found(on_source)
    stop = threading.Event()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="swarm-sources")
    loop = asyncio.get_running_loop()
    going: list[asyncio.Future[Any]] = []

    def start(work: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        future = loop.run_in_executor(thread, work, *arguments)
        going.append(future)
        return future

    with ExitStack() as stack:
        try:
            await asyncio.shield(start(walk.check))
            intake = await asyncio.shield(start(stack.enter_context, library.intake(stop.is_set)))
            steps = read(walk, library, intake, stop.is_set)
            reading = start(next, steps, None)
            while (step := await asyncio.shield(reading)) is not None:
                going.clear()
                reading = start(next, steps, None)
                writing = asyncio.ensure_future(library.commit(step.batch))
                going.append(writing)
                await asyncio.shield(writing)
                found.take(step)
        finally:
            # whatever was begun comes to its end before the intake is open to another
            stop.set()
            await asyncio.wait([start(lambda: None), *going])
            for future in going:
                if not future.cancelled():
                    future.exception()  # seen: it was raised above, or is what stopping led to
            thread.shutdown(wait=False)
    if not found.sources:
        raise SourceError(_nothing(paths, found.skipped, walk.ignored))
    return Corpus(sources=tuple(found.sources), skipped=tuple(found.skipped))


class _Found:
    """What is in the store so far."""

    def __init__(self, on_source: Callable[[SourceRead], None] | None) -> None:
        self.sources: list[Source] = []
        self.skipped: list[Skip] = []
        self._on_source = on_source

    def take(self, step: Step) -> None:
        for outcome in step.done:
            if isinstance(outcome, Skip):
                self.skipped.append(outcome)
                continue
            source, fresh = outcome
            self.sources.append(source)
            if self._on_source:
                self._on_source(SourceRead(path=source.path, chars=source.chars, fresh=fresh))


def _nothing(paths: Sequence[str], skipped: list[Skip], ignored: int) -> str:
    reasons = [f"{skip.source}: {skip.reason}" for skip in skipped[:_REASONS]]
    if len(skipped) > _REASONS:
        reasons.append(f"and {len(skipped) - _REASONS} more")
    if ignored:
        reasons.append(f"{ignored} left out by .gitignore")
    named = ", ".join(paths) or "no paths"
    return f"nothing to read in {named} ({'; '.join(reasons) or 'no files'}): name other files or folders"
