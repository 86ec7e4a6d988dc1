"""The sources of a run: those of its corpus, and those that it made itself and keeps (results, artifacts).

What a run made is a record each, looked up when it is asked for, so that memory does not grow with what was made.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from swarm.source import Corpus, Source
from swarm.sources.kept import keep
from swarm.store.afar import Afar
from swarm.store.journal import Entry, Journal
from swarm.store.library import Library
from swarm.store.opening import Store

_KNOWN = 4_096


class Sources(Mapping[str, Source]):
    """By id. Iterating gives those of the corpus."""

    def __init__(self, corpus: Corpus, journal: Journal, run: str) -> None:
        self._corpus = {source.id: source for source in corpus.sources}
        self._journal, self._run = journal, run
        self._known: OrderedDict[str, Source] = OrderedDict()

    def __getitem__(self, id_: str) -> Source:
        source = self._corpus.get(id_) or self._known.get(id_)
        if source is None:
            record = self._journal.record(self._run, "kept", id_)
            if record is None:
                raise KeyError(id_)
            source = kept_source(id_, record.body)
            self._remember(source)
        return source

    def _remember(self, source: Source) -> None:
        self._known[source.id] = source
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def first(self, source: Source) -> Source:
        """The first of the run's own that had this text, be it this one."""
        try:
            return self[source.id]
        except KeyError:
            self._remember(source)
            return source

    def __iter__(self) -> Iterator[str]:
        return iter(self._corpus)

    def __len__(self) -> int:
        return len(self._corpus)


class PathsOf(Mapping[str, str]):
    """The paths of sources."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = sources

    def __getitem__(self, id_: str) -> str:
        return self._sources[id_].path

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def kept_entries(first: Source, source: Source, text: str, *, cited: bool) -> list[Entry]:
    """The records of a source that the run made: with its text, which can be read nowhere else. Several may come
    to the same text: it is kept under the name of the `first`, and each name under which it is cited is noted."""
    body = {"path": first.path, "media": source.media, "chars": source.chars, "bytes": source.bytes, "text": text}
    entries = [Entry(kind="kept", key=source.id, body=body)]
    if cited:
        named = {"id": source.id, "path": source.path}
        entries.append(Entry(kind="named", key=f"{source.id}:{source.path}", body=named))
    return entries


def kept_source(id_: str, body: Mapping[str, Any]) -> Source:
    return Source(id=id_, path=body["path"], media=body["media"], chars=body["chars"], bytes=body["bytes"])


def bring_back(journal: Journal, run: str, library: Library, ids: Iterable[str] | None = None) -> None:
    """Put into the library what the run made and another store, or none, holds the text of: all of it, or what
    these ids name. Blocks."""
    for id_ in journal.keys(run, "kept") if ids is None else ids:
        if library.source(id_) is None and (record := journal.record(run, "kept", id_)) is not None:
            keep(library, record.body["text"], record.body["path"])


def library_of(store: Store, run: str) -> Library:
    """The library of a store, to look into a run. On a server, text that this machine does not hold is opened
    there."""
    if store.url is None:
        return Library(store.database)

    def made(id_: str) -> tuple[str, str] | None:
        record = store.journal.record(run, "kept", id_)
        return (record.body["media"], record.body["text"]) if record is not None else None

    return Afar(store.database, lambda: store.blobs, made)
