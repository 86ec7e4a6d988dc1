"""What a worker knows of a run that others work on: for tools that ask what is known, and where the plan stands.

It is brought up to date when it is asked, from the records that came since the last time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from swarm.coordinator.kept import kept_source
from swarm.coordinator.records import (
    DROPPED,
    INSTRUCTION,
    REPORT,
    SUMMARY,
    VERDICT,
    children,
    halves_of,
    instruction_of,
    plan_of,
)
from swarm.coordinator.steering import Instruction
from swarm.coordinator.work.state import ROOT, Branch, order_id
from swarm.coordinator.work.take import order_of, slice_of
from swarm.graph.graph import SharedGraph
from swarm.graph.load import merge_all
from swarm.graph.nodes import Part, Removal
from swarm.source import Corpus, Source
from swarm.sources.kept import keep
from swarm.store.journal import Journal, Record
from swarm.store.library import Library
from swarm.task import Report, Slice

_PAGE = 1_000


class Following:
    """Of one run. `graph` belongs to this process alone, and is empty at first; texts that the run made come into
    `library`, and what the person who asked added into `said`. Where a planner plans, `branches` are those that
    are known, by their ids: the standings of their slices come to them, and branches that are not there yet."""

    def __init__(
        self,
        journal: Journal,
        run: str,
        graph: SharedGraph,
        library: Library,
        corpus: Corpus,
        *,
        said: list[Instruction],
        branches: dict[str, Branch] | None,
    ) -> None:
        self._journal, self._run, self._graph, self._library = journal, run, graph, library
        self._said, self._branches = said, branches
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
            order = order_of(record.key, record.body)
            slice_ = slice_of(order, parent, self._by_path.get)
            self._slices[slice_.id] = slice_
            if (home := self._home(slice_)) is not None:
                home.stands(order.name, "planned", order.objective)

    def _home(self, slice_: Slice | None) -> Branch | None:
        """The branch of a slice, where that has a planner."""
        if self._branches is None or slice_ is None or slice_.order is None:
            return None
        id_ = slice_.parent or ROOT
        if id_ not in self._branches:
            planned = self._slices[id_].order
            assert planned is not None
            self._branches[id_] = Branch(order=planned, parent=self._slices[id_].parent or ROOT)
        return self._branches[id_]

    def _dropped(self, record: Record) -> None:
        slice_ = self._slices.get(order_id(record.key))
        if (home := self._home(slice_)) is not None:
            home.stands(record.key, "dropped", record.body["reason"])

    def _heard(self, record: Record) -> None:
        self._said.append(instruction_of(record.key, record.body))

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
        if record.kind != "handoff":
            self._came_to(slice_, report)
        yield slice_
        for id_ in sorted({span.source for finding in report.findings for span in finding.evidence}):
            yield self._sources[id_]
        yield report

    def _came_to(self, slice_: Slice, report: Report) -> None:
        order = slice_.order
        if order is None or (home := self._home(slice_)) is None:
            return
        if report.failure is not None:
            home.stands(order.name, "failed", report.failure)
        else:
            home.stands(order.name, "done", report.summary or report.result)
            home.ended(order)


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
    DROPPED: Following._dropped,
    INSTRUCTION: Following._heard,
}
