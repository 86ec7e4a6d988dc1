"""The library: the text of sources, their passages, and the full-text index, in the store.

Text is kept once by the hash of its content and is opened a block at a time, so that no source is ever held in
memory. Paths are not kept with the text: a corpus says by which path each of its sources goes. This module
does not know how files are read (`swarm/sources`), nor what a search is for.
"""

from __future__ import annotations

import json
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from swarm.errors import StoreError
from swarm.source import Corpus, Location, Passage, Source, Span
from swarm.store import intake
from swarm.store.database import Database, Row
from swarm.store.intake import Batch, Intake, Known, Stamp
from swarm.task import TermStatistics
from swarm.tokens import o200k

if TYPE_CHECKING:
    from swarm.store.ranking import Ranker

APART = 1 << 56
"""From this number on, sources and passages are written by others than an intake: see `swarm/memory/`."""
_ROWS = 8_192  # passages fetched at a time
_WAIT_SECONDS = 0.2
_BLOCKS = 128  # blocks kept open: 4 million characters
_OUTLINES = 4_096  # sources whose blocks' offsets are kept

_COLUMNS = "id, source, start, end, tokens, cut, context"
_START = itemgetter(2)


class Shelf(NamedTuple):
    """Where a source stands in the store: its number, its places, and its passages' ids (both ends included)."""

    num: int
    places: str
    first: int
    last: int


class _Searched(NamedTuple):
    """A corpus made ready for searches: its sources, the same by their numbers, and what ranks their passages."""

    sources: tuple[Source, ...]
    by_num: dict[int, Source]
    ranker: Ranker


class Library:
    """The sources of one store. Reading is safe from any thread; writing goes through `intake` and `commit`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._shelves: dict[str, Shelf] = {}
        self._intake = database.intake
        self._searched: _Searched | None = None
        self._starts = lru_cache(_OUTLINES)(self._load_starts)
        self._load = lru_cache(_BLOCKS)(self._load_block)
        self._passages = lru_cache(_BLOCKS)(self._load_passages)

    # Reading

    def text(self, span: Span) -> str:
        """The characters of a span, exactly."""
        num = self._shelf(span.source).num
        pieces: list[str] = []
        at = span.start
        while at < span.end:
            start, _, text = self._block(num, at)
            pieces.append(text[at - start : span.end - start])
            if not pieces[-1]:
                break
            at += len(pieces[-1])
        return "".join(pieces)

    def locate(self, span: Span, path: str) -> Location:
        """Where a span begins in the original that goes by `path`: a line, a page, or neither."""
        shelf = self._shelf(span.source)
        if shelf.places == intake.PLACES_LINES:
            start, line, text = self._block(shelf.num, span.start)
            return Location(path=path, line=line + intake.line_ends(text[: span.start - start]))
        if shelf.places == intake.PLACES_NONE:
            return Location(path=path)
        rows = self.database.read(
            "SELECT place FROM marks WHERE source = ? AND start <= ? ORDER BY start DESC LIMIT 1",
            (shelf.num, span.start),
        )
        place = rows[0][0] if rows else 1
        if shelf.places == intake.PLACES_PAGE_MARKS:
            return Location(path=path, page=place)
        return Location(path=path, line=place)

    def passages(self, corpus: Corpus) -> Iterator[Passage]:
        """All passages in the order of the corpus, then of the text; without their text."""
        for row, source, title in self._rows(corpus, _COLUMNS):
            yield _passage(row, source, title)

    def records(self, corpus: Corpus) -> Iterator[Passage]:
        """As `passages`, but those that hold several records (or functions, or list items) are cut at them."""
        for row, source, title in self._rows(corpus, f"{_COLUMNS}, records"):
            passage = _passage(row, source, title)
            if row[7] is None:
                yield passage
                continue
            offsets = [0, *array("I", row[7]), passage.span.end - passage.span.start]
            text = self.text(passage.span)
            for number, (start, end) in enumerate(pairwise(offsets)):
                yield Passage(
                    id=passage.id,
                    span=Span(source.id, passage.span.start + start, passage.span.start + end),
                    tokens=o200k(text[start:end]),
                    cut=2 if number else passage.cut,
                    context=passage.context,
                )

    def with_text(self, passages: Iterable[Passage]) -> list[Passage]:
        """The same passages with their text."""
        return [
            Passage(
                id=p.id, span=p.span, tokens=p.tokens, cut=p.cut, context=p.context, score=p.score,
                text=self.text(p.span),
            )
            for p in passages
        ]  # fmt: skip

    def passages_in(self, spans: Iterable[Span], paths: Mapping[str, str] | None = None) -> list[Passage]:
        """The passages that tile these spans, with their text; one that a span cuts through is clipped.

        Their contexts begin with the title where `paths`, by the ids of sources, are given.
        """
        return list(self.walk(spans, paths))

    def walk(self, spans: Iterable[Span], paths: Mapping[str, str] | None = None) -> Iterator[Passage]:
        """As `passages_in`, one after the other: of long sources no more is read than is taken."""
        for span in spans:
            title = title_of(paths[span.source]) if paths else ""
            for row in self._tiling(span):
                yield self._clipped(row, span, title)

    def _tiling(self, span: Span) -> Iterator[Sequence[Any]]:
        """The rows of the passages that tile a span. Those of a whole block are read at once: of slices that are
        worked one after the other, most lie in the same few blocks."""
        num = self._shelf(span.source).num
        starts = self._starts(num)
        for at in range(max(0, bisect_right(starts, span.start) - 1), bisect_left(starts, span.end)):
            rows = self._passages(num, starts[at], starts[at + 1] if at + 1 < len(starts) else None)
            first = max(0, bisect_right(rows, span.start, key=_START) - 1)
            yield from rows[first : bisect_left(rows, span.end, key=_START)]

    def _clipped(self, row: Sequence[Any], span: Span, title: str) -> Passage:
        id_, _, start, end, tokens, cut, context = row
        inner = Span(span.source, max(start, span.start), min(end, span.end))
        text = self.text(inner)
        whole = inner.start == start and inner.end == end
        return Passage(
            id=id_,
            span=inner,
            tokens=tokens if whole else o200k(text),
            cut=cut if inner.start == start else 0,
            context=_joined(title, context),
            text=text,
        )

    # Searching

    def search(self, question: str, corpus: Corpus, limit: int) -> list[Passage]:
        """The passages of the corpus that answer a question best, at most `limit`, best first, with text.

        The scores depend on the corpus alone, not on what else is in the store.
        """
        searched = self._ready(corpus)
        ranked = searched.ranker.search(question, limit)
        rows = self.database.read(
            f"SELECT {_COLUMNS} FROM passages WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps([id_ for id_, _ in ranked]),),
        )
        by_id = {row[0]: row for row in rows}
        found = []
        for id_, score in ranked:
            row = by_id[id_]
            source = searched.by_num[row[1]]
            bare = _passage(row, source, title_of(source.path))
            found.append(
                Passage(
                    id=id_, span=bare.span, tokens=bare.tokens, cut=bare.cut, context=bare.context, score=score,
                    text=self.text(bare.span),
                )
            )  # fmt: skip
        return found

    def statistics(self, question: str, corpus: Corpus) -> TermStatistics:
        """How often the question's words occur in the passages of the corpus."""
        return self._ready(corpus).ranker.statistics(question)

    def _ready(self, corpus: Corpus) -> _Searched:
        """A corpus made ready; the last one is kept, since a run asks many questions of one corpus."""
        searched = self._searched
        if searched is None or searched.sources is not corpus.sources:
            from swarm.store.ranking import Held, Ranker

            self._load_shelves(corpus.sources)
            rows: dict[str, bytes] = dict(
                self.database.read(
                    "SELECT id, lengths FROM sources WHERE complete = 1 "
                    "AND id IN (SELECT value FROM json_each(?))",
                    (json.dumps([source.id for source in corpus.sources]),),
                )
            )
            held = []
            for source in corpus.sources:
                shelf = self._shelf(source.id)
                held.append(Held(source.path, shelf.first, shelf.last, rows[source.id]))
            by_num = {self._shelf(source.id).num: source for source in corpus.sources}
            searched = self._searched = _Searched(corpus.sources, by_num, Ranker(self.database, held))
        return searched

    # Writing

    @contextmanager
    def intake(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[Intake]:
        """The one place from which sources are written. Blocks as long as another intake is open.

        Every batch that is taken from it must be committed, in order, before it is left. Not for the event
        loop's thread.

        Raises:
            InterruptedError: `stopped` while waiting.
        """
        while not self._intake.acquire(timeout=_WAIT_SECONDS):
            if stopped():
                raise InterruptedError("stopped while another run was reading its sources")
        try:
            half = [num for (num,) in self.database.read("SELECT num FROM sources WHERE complete = 0")]
            if half:
                self.database.write_sync(lambda connection: intake.clear_all(connection, half))
            sql = "SELECT coalesce(max({0}), 0) + 1 FROM {1} WHERE {0} < ?"
            ((num,),) = self.database.read(sql.format("num", "sources"), (APART,))
            ((passage,),) = self.database.read(sql.format("id", "passages"), (APART,))
            yield Intake(num, passage)
        finally:
            self._intake.release()

    async def commit(self, batch: Batch) -> None:
        """Write a batch; what it finished can be read once this returns."""
        await self.database.write(batch.write)

    def lacking(self, sources: Collection[Source]) -> list[Source]:
        """Those whose text is not here."""
        self._load_shelves(sources)
        return [source for source in sources if source.id not in self._shelves]

    def holds(self, corpus: Corpus) -> bool:
        """Whether the text of every source of a corpus is here."""
        return not self.lacking(corpus.sources)

    def source(self, id_: str) -> Source | None:
        """What the store knows of a source, with an empty path; None where it does not hold it."""
        rows = self.database.read("SELECT media, chars, bytes FROM sources WHERE id = ? AND complete = 1", (id_,))
        return Source(id=id_, path="", media=rows[0][0], chars=rows[0][1], bytes=rows[0][2]) if rows else None

    def known(self, files: Iterable[str]) -> dict[str, Known]:
        """What is remembered of these files, by their absolute paths."""
        rows = self.database.read(
            "SELECT f.path, size, mtime_ns, inode, reader, f.content, skip, s.id, media, chars, bytes "
            "FROM json_each(?) AS wanted JOIN files AS f ON f.path = wanted.value "
            "LEFT JOIN sources AS s ON s.id = f.source AND complete = 1",
            (json.dumps(list(files)),),
        )
        found = {}
        for *stamp, content, skip, id_, media, chars, size in rows:
            source = Source(id=id_, path="", media=media, chars=chars, bytes=size) if id_ else None
            found[stamp[0]] = Known(Stamp(*stamp), content, source, skip)
        return found

    # Inside

    def _shelf(self, source: str) -> Shelf:
        if source not in self._shelves:
            self._find([source])
        try:
            return self._shelves[source]
        except KeyError:
            raise StoreError(
                f"{self.database.path} does not hold source {source}: gather its file again"
            ) from None

    def _load_shelves(self, sources: Iterable[Source]) -> None:
        """Look sources up together."""
        missing = [source.id for source in sources if source.id not in self._shelves]
        if missing:
            self._find(missing)

    def _find(self, sources: Sequence[str]) -> None:
        rows = self.database.read(
            "SELECT id, num, places, first, last FROM sources "
            "WHERE complete = 1 AND id IN (SELECT value FROM json_each(?))",
            (json.dumps(sources),),
        )
        self._shelves.update((id_, Shelf(*rest)) for id_, *rest in rows)

    def _block(self, num: int, at: int) -> tuple[int, int, str]:
        """The block that holds character `at`: its offset, its first line and its text."""
        starts = self._starts(num)
        if not starts:
            raise StoreError(f"{self.database.path} is damaged (a source has no text): name another --store")
        return self._load(num, starts[bisect_right(starts, at) - 1])

    def _load_starts(self, num: int) -> Sequence[int]:
        return array(
            "Q",
            [
                row[0]
                for row in self.database.read("SELECT start FROM blocks WHERE source = ? ORDER BY start", (num,))
            ],
        )

    def _load_block(self, num: int, start: int) -> tuple[int, int, str]:
        rows = self.database.read(
            "SELECT start, line, text FROM blocks WHERE source = ? AND start = ?", (num, start)
        )
        start, line, text = rows[0]
        return start, line, text

    def _load_passages(self, num: int, start: int, end: int | None) -> list[Row]:
        return self.database.read(
            f"SELECT {_COLUMNS} FROM passages WHERE source = ? AND start >= ? AND start < ? ORDER BY start",  # noqa: S608
            (num, start, sys.maxsize if end is None else end),
        )

    def _rows(self, corpus: Corpus, columns: str) -> Iterator[tuple[Sequence[Any], Source, str]]:
        """Rows of passages in the order of the corpus; sources that stand side by side are fetched together."""
        for run in self._runs(corpus):
            sources = {shelf.num: (source, title_of(source.path)) for source, shelf in run}
            at, last = run[0][1].first, run[-1][1].last
            while at <= last:
                until = min(last, at + _ROWS - 1)
                for row in self.database.read(
                    f"SELECT {columns} FROM passages WHERE id BETWEEN ? AND ? ORDER BY id",  # noqa: S608
                    (at, until),
                ):
                    yield row, *sources[row[1]]
                at = until + 1

    def _runs(self, corpus: Corpus) -> Iterator[list[tuple[Source, Shelf]]]:
        self._load_shelves(corpus.sources)
        run: list[tuple[Source, Shelf]] = []
        for source in corpus.sources:
            shelf = self._shelf(source.id)
            if run and shelf.first != run[-1][1].last + 1:
                yield run
                run = []
            run.append((source, shelf))
        if run:
            yield run


@lru_cache(_OUTLINES)
def title_of(path: str) -> str:
    """What a path is called where a passage is placed: the name without its ending; nothing for `-`."""
    return "" if path == "-" else PurePosixPath(path).stem


def _joined(title: str, context: str) -> str:
    return f"{title} > {context}" if title and context else title or context


def _passage(row: Sequence[Any], source: Source, title: str) -> Passage:
    context = row[6]
    return Passage(
        id=row[0],
        span=Span(source.id, row[2], row[3]),
        tokens=row[4],
        cut=row[5],
        context=f"{title} > {context}" if context else title,
    )


__all__ = ["APART", "Library", "Shelf", "title_of"]
