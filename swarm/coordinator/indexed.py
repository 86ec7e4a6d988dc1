"""The sources of a run in an index of the user's: put into it when it is first asked, and only what it lacks.

Passages go by their source and place, so that the same text is the same entry in every run and store. Which
sources an index holds is remembered in the store; one that was emptied meanwhile is found out by asking it for
what it should hold. Nothing here decides what a hit is good for, and nothing is waited for without end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Self

from swarm.errors import UsageError
from swarm.index.base import Entry, Hit, Index, checked
from swarm.observe.log import get_logger, redact_text, told
from swarm.source import Corpus, Passage, Source, Span
from swarm.store.journal import to_bytes
from swarm.store.library import Library

log = get_logger("index")

HITS = 100
"""Passages of the corpus that an index is asked for."""
_MOST = 800  # hits of one search, where others' passages are among them
_SECONDS, _BATCH_SECONDS = 20.0, 300.0
"""For which one search, and one batch that is added, is waited."""
_CHECK_SECONDS = 60.0
"""For which the first search is waited: a model on this machine has to be loaded."""
WORD = "swarm"
"""What is asked for to see whether an index answers at all."""
_BATCH = 256  # passages
_FAILURES = 2  # in a row, after which nobody asks any more
_PROBE_CHARS = 200
_PLACE = 32  # characters that a place in a source takes at the most


class Failed(Exception):
    """An index did not do what it was asked, in time: why, in a line."""


class Indexed:
    """An index for one run. `paths` are those that the run was asked about: runs over the same share a space."""

    def __init__(self, index: Index, paths: Sequence[str], corpus: Corpus, library: Library) -> None:
        self._index, self._corpus, self._library = index, corpus, library
        self.space = _space_of(paths, corpus)
        self.name = redact_text(str(getattr(index, "name", type(index).__name__)))
        self._held = f"{self.name}\n{self.space}"
        self._sources = {source.id for source in corpus.sources}
        self._one = asyncio.Lock()
        self._filled = False
        self._failures = 0

    @classmethod
    def of(cls, index: Index | None, paths: Sequence[str], corpus: Corpus, library: Library) -> Self | None:
        """None where there is no index.

        Raises:
            UsageError: what was given is none.
        """
        given = checked(index)
        return None if given is None else cls(given, paths, corpus, library)

    @property
    def given_up(self) -> bool:
        """Whether it has failed too often to be asked again."""
        return self._failures >= _FAILURES

    async def check(self) -> None:
        """Ask for one word, which costs next to nothing: one used wrongly says so before anything else is spent.

        Raises:
            UsageError: a missing extra, a key or a schema that is none, vectors of another embedding.
        """
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._index.search(self.space, WORD, 1)
        except UsageError:
            raise
        except Exception as error:
            self._give_up(error)

    async def search(self, question: str, stopped: Callable[[], bool]) -> list[Span]:
        """The passages that it finds for a question, best first. `stopped` tells that the run is to end.

        Raises:
            Failed: it cannot be reached, is too slow, or does not hold the sources and cannot be given them.
        """
        try:
            async with self._one:
                if not self._filled and not self.given_up:
                    await self._fill(stopped)
            if self.given_up or not self._filled:
                raise Failed("it does not hold the sources")
            found = await self._found(question)
        except Failed:
            raise
        except Exception as error:
            self._failures += 1
            log.warning("the index found nothing", index=self.name, reason=_why(error))
            raise Failed(_why(error)) from None
        self._failures = 0
        return found

    async def _found(self, question: str) -> list[Span]:
        count = HITS
        while True:
            async with asyncio.timeout(_SECONDS):
                hits = await self._index.search(self.space, question, count)
            spans = [span for hit in hits if (span := self._span(hit)) is not None]
            if len(spans) >= HITS or len(hits) < count or count >= _MOST:
                return spans[:HITS]
            count *= 2

    def _span(self, hit: Hit) -> Span | None:
        """The passage that a hit names; None where it is of no source of this run."""
        source, _, place = hit.id.partition(":")
        start, _, end = place.partition("-")
        if source not in self._sources or not (start.isdecimal() and end.isdecimal()) or len(place) > _PLACE:
            return None
        return Span(source, int(start), int(end))

    # Filling

    async def _fill(self, stopped: Callable[[], bool]) -> None:
        """Add what it lacks and take out what is no more there. What was begun is gone on with another time."""
        try:
            known = await self._known()
            await self._remove(known - self._sources)
            new = Corpus(sources=tuple(one for one in self._corpus.sources if one.id not in known))
            if new.sources:
                log.info("sources are added to the index", index=self.name, sources=len(new.sources))
            self._filled = await self._add(new, stopped)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._failures = _FAILURES
        log.warning("went on without the index", index=self.name, reason=_why(error))

    async def _known(self) -> set[str]:
        """The sources that it holds: none, where it finds nothing of what it should hold."""
        rows = self._library.database.read("SELECT source FROM indexed WHERE held = ?", (self._held,))
        known = {source for (source,) in rows}
        for source in self._corpus.sources:
            if source.id in known and source.chars:
                probe = self._library.text(Span(source.id, 0, min(source.chars, _PROBE_CHARS)))
                if not probe.strip():
                    continue
                async with asyncio.timeout(_SECONDS):
                    found = await self._index.search(self.space, probe, 1)
                return known if found else set()
        return known

    async def _add(self, corpus: Corpus, stopped: Callable[[], bool]) -> bool:
        """Whether all of it is there now."""
        passages = self._library.passages(corpus)
        done: list[str] = []
        while some := await asyncio.to_thread(self._taken, passages):
            if stopped():
                return False
            async with asyncio.timeout(_BATCH_SECONDS):
                await self._index.add(self.space, [entry_of(passage) for passage in some])
            last = some[-1].span.source
            done += [id_ for id_ in dict.fromkeys(one.span.source for one in some) if id_ != last]
            await self._note(done)
            done = [last]
        await self._note([source.id for source in corpus.sources])  # those without a passage, too
        return True

    def _taken(self, passages: Iterator[Passage]) -> list[Passage]:
        return self._library.with_text(islice(passages, _BATCH))

    async def _remove(self, sources: set[str]) -> None:
        """Take out what was read at these paths once, and is not there any more or is other text by now."""
        for id_ in sorted(sources):
            source = self._library.source(id_)
            if source is not None:
                ids = await asyncio.to_thread(self._ids_of, source)
                async with asyncio.timeout(_BATCH_SECONDS):
                    await self._index.remove(self.space, ids)
        gone = json.dumps(sorted(sources))
        sql = "DELETE FROM indexed WHERE held = ? AND source IN (SELECT value FROM json_each(?))"
        if sources:
            await self._library.database.write(lambda connection: connection.execute(sql, (self._held, gone)))

    def _ids_of(self, source: Source) -> list[str]:
        return [entry_id(passage.span) for passage in self._library.passages(Corpus(sources=(source,)))]

    async def _note(self, sources: Sequence[str]) -> None:
        rows = [(self._held, source) for source in sources]
        sql = "INSERT INTO indexed (held, source) VALUES (?, ?) ON CONFLICT DO NOTHING"
        if rows:
            await self._library.database.write(lambda connection: connection.executemany(sql, rows))


def entry_of(passage: Passage) -> Entry:
    """A passage as it is put into an index."""
    return Entry(id=entry_id(passage.span), text=passage.text, context=passage.context)


def entry_id(span: Span) -> str:
    return f"{span.source}:{span.start}-{span.end}"


def _space_of(paths: Sequence[str], corpus: Corpus) -> str:
    """A name for what is read: by the paths, so that a file that changed is the only one to be added again; by the
    sources, where there are no paths that lead to them another time."""
    named = [path for path in paths if path != "-"]
    if named and len(named) == len(paths):
        parts = sorted({str(Path(path).absolute()) for path in named})
    else:
        parts = sorted(source.id for source in corpus.sources)
    return f"swarm-{blake2b(to_bytes(json.dumps(parts)), digest_size=16).hexdigest()}"


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not answer in time"
    return told(error)
