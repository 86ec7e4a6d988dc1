"""A graph that follows what others record of a run: for a worker whose tools ask what is known.

It is brought up to date when it is asked, from the records that came since the last time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from swarm.coordinator.kept import kept_source
from swarm.coordinator.records import REPORT, SUMMARY, VERDICT, children, halves_of, plan_of
from swarm.coordinator.work.state import ROOT, order_id
from swarm.coordinator.work.take import order_of, slice_of
from swarm.graph.graph import SharedGraph
from swarm.graph.load import merge_all
from swarm.graph.nodes import Part, Removal
from swarm.source import Corpus, Source
from swarm.sources.kept import keep
from swarm.store.journal import Journal, Record
from swarm.store.library import Library
from swarm.task import Slice

_PAGE = 1_000


class Following:
    """Of one run. `graph` belongs to this process alone, and is empty at first; texts that the run made come into
    `library`."""

    def __init__(self, journal: Journal, run: str, graph: SharedGraph, library: Library, corpus: Corpus) -> None:
        self._journal, self._run, self._graph, self._library = journal, run, graph, library
        self._corpus = corpus
        self._sources: dict[str, Source] = {source.id: source for source in corpus.sources}
        self._by_path: dict[str, Source] = {source.path: source for source in corpus.sources}
        self._slices: dict[str, Slice] = {}
        self._seq = 0
        self._one = threading.Lock()

    def catch_up(self) -> None:
        """Merge what was recorded since. Blocks; for any thread."""
        with self._one:
            while page := self._journal.since(self._run, self._seq, bodies=_READS.keys(), limit=_PAGE):
                merge_all(self._graph, (part for record in page for part in self._parts(record)))
                self._seq = page[-1].seq

    def _parts(self, record: Record) -> Iterator[Part]:
        read = _READS.get(record.kind)
        if read is not None:
            yield from read(self, record) or ()

    def _planned(self, record: Record) -> None:
        plan = plan_of(int(record.key), record.body, self._corpus)
        self._slices |= {slice_.id: slice_ for slice_ in plan.slices}

    def _cut(self, record: Record) -> None:
        made = children(self._slices[record.key], halves_of(record.body))
        self._slices |= {child.id: child for child in made}

    def _ordered(self, record: Record) -> None:
        if "objective" in record.body:
            branch = record.body.get("branch", ROOT)
            parent = order_id(branch) if branch else ROOT
            slice_ = slice_of(order_of(record.key, record.body), parent, self._by_path.get)
            self._slices[slice_.id] = slice_

    def _kept(self, record: Record) -> None:
        self._sources.setdefault(record.key, kept_source(record.key, record.body))
        if self._library.source(record.key) is None:
            keep(self._library, record.body["text"], record.body["path"])

    def _made(self, record: Record) -> None:
        if (source := self._sources.get(record.body["ref"])) is not None:
            self._by_path[record.key] = source

    def _named(self, record: Record) -> Iterator[Part]:
        yield replace(self._sources[record.body["id"]], path=record.body["path"])

    def _reported(self, record: Record) -> Iterator[Part]:
        report = REPORT.validate_python(record.body)
        if (slice_ := self._slices.get(report.slice)) is None:
            return
        yield slice_
        for id_ in sorted({span.source for finding in report.findings for span in finding.evidence}):
            yield self._sources[id_]
        yield report


def _judged(_: Following, record: Record) -> Iterator[Part]:
    yield VERDICT.validate_python(record.body)


def _summarised(_: Following, record: Record) -> Iterator[Part]:
    yield SUMMARY.validate_python(record.body)


def _removed(_: Following, record: Record) -> Iterator[Part]:
    yield Removal(source=record.body["source"])


_READS: Mapping[str, Callable[[Any, Record], Iterator[Part] | None]] = {
    "plan": Following._planned,
    "split": Following._cut,
    "closer": Following._cut,
    "slice": Following._ordered,
    "kept": Following._kept,
    "artifact": Following._made,
    "named": Following._named,
    "report": Following._reported,
    "handoff": Following._reported,
    "failure": Following._reported,
    "verdict": _judged,
    "summary": _summarised,
    "removal": _removed,
}
