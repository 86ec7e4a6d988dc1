"""Paths to a corpus: find the inputs, read what the store does not hold yet, and list what was left out.

Reading runs on a thread and writing on the store's, one batch ahead of one another; the event loop only hands
over. This module knows how a source gets into the library, not what its units are.
"""

from __future__ import annotations

import asyncio
import glob
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from swarm.errors import SourceError
from swarm.events import SourceRead
from swarm.source import Corpus, Skip, Source
from swarm.sources.media import READER, media_of, reader_of
from swarm.sources.passages import drafts
from swarm.store.intake import PLACES_LINES, Batch
from swarm.store.library import Library


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    batch: Batch
    outcomes: list[tuple[Source, bool] | Skip]


async def gather(
    paths: Sequence[str], library: Library, *, on_source: Callable[[SourceRead], None] | None = None
) -> Corpus:
    """Read files, folders, globs and standard input (`-`) into the library.

    Raises:
        SourceError: a path that does not exist, or nothing that can be read.
    """
    stop = threading.Event()
    sources: list[Source] = []
    skipped: list[Skip] = []
    with ExitStack() as stack:
        steps = _steps(paths, library, stop, stack)
        writing: asyncio.Task[None] | None = None
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            await library.commit(step.batch)
            for outcome in step.outcomes:
                if isinstance(outcome, Skip):
                    skipped.append(outcome)
                    continue
                source, fresh = outcome
                sources.append(source)
                if on_source:
                    on_source(SourceRead(path=source.path, chars=source.chars, fresh=fresh))
    if not sources:
        raise SourceError("nothing that can be read: " + "; ".join(f"{s.source}: {s.reason}" for s in skipped[:5]))
    return Corpus(sources=tuple(sources), skipped=tuple(skipped))


def _steps(paths: Sequence[str], library: Library, stop: threading.Event, stack: ExitStack) -> Iterator[_Step]:
    intake = stack.enter_context(library.intake())
    outcomes: list[tuple[Source, bool] | Skip] = []
    seen: set[str] = set()
    for path in _files(paths):
        data = Path(path).read_bytes()
        if b"\0" in data[:8000]:
            outcomes.append(Skip(source=path, reason="binary", bytes=len(data)))
            continue
        content = blake2b(data, digest_size=20).digest()
        media = media_of(path)
        id_ = "s" + blake2b(content + f"{media} {READER}".encode(), digest_size=16).hexdigest()
        text = data.decode("utf-8", "replace").removeprefix("\ufeff")
        if not text.strip() or id_ in seen:
            reason = "duplicate" if id_ in seen else "empty"
            outcomes.append(Skip(source=path, reason=reason, bytes=len(data), chars=len(text)))
            continue
        seen.add(id_)
        fresh = library.source(id_) is None
        if fresh:
            intake.begin(source=id_, content=content, media=media, places=PLACES_LINES, size=len(data))
            for draft in drafts(reader_of(media)([text])):
                intake.add(draft)
                if intake.full:
                    yield _Step(batch=intake.take(), outcomes=[])
            intake.finish()
        outcomes.append((Source(id=id_, path=path, media=media, chars=len(text), bytes=len(data)), fresh))
        if intake.full or len(outcomes) > 100:
            yield _Step(batch=intake.take(), outcomes=outcomes)
            outcomes = []
    yield _Step(batch=intake.take(), outcomes=outcomes)


def _files(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        found = Path(path)
        if found.is_file():
            yield path
        elif found.is_dir():
            yield from sorted(p.as_posix() for p in found.rglob("*") if p.is_file())
        elif matches := sorted(glob.glob(path, recursive=True)):
            yield from (match for match in matches if Path(match).is_file())
        else:
            raise SourceError(f"{path} does not exist: name a file, a folder or a pattern")
