"""What the coordinator of one run works with: its parts, and what it knows so far.

The state of LangGraph's machine is small and holds numbers only; everything of size is here, and can be rebuilt
from the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import TypeAdapter

from swarm.events import Event
from swarm.graph.graph import SharedGraph
from swarm.graph.likeness import Embed
from swarm.graph.nodes import Summary, Verdict
from swarm.limits.gate import Gate
from swarm.models.base import Model
from swarm.source import Corpus, Source
from swarm.store.cuts import Cuts
from swarm.store.journal import Journal
from swarm.store.library import Library
from swarm.task import Answer, Report, Slice, SliceFailure, Task
from swarm.worker.read import Brief


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A slice as the journal keeps it beside its report, with the sources that were cited from it."""

    slice: Slice
    sources: tuple[Source, ...]


REPORT: TypeAdapter[Report] = TypeAdapter(Report)
READ: TypeAdapter[Read] = TypeAdapter(Read)
SUMMARY: TypeAdapter[Summary] = TypeAdapter(Summary)
VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
"""What the journal's records of these kinds hold."""


@dataclass(kw_only=True)
class Desk:
    """One run. `began` is the clock's reading in seconds at its start."""

    run: str
    task: Task
    model: Model
    reader: Model
    library: Library
    cuts: Cuts
    journal: Journal
    gate: Gate
    corpus: Corpus
    graph: SharedGraph
    emit: Callable[[Event], None]
    concurrency: int
    window: int
    """The limit in tokens that the run began with; a provider that takes less makes later requests smaller."""
    clock: Callable[[], float]
    began: float
    stopping: asyncio.Event
    embed: Embed | None = None
    """The user's embeddings, where they gave any: they propose findings that may say the same."""

    briefs: dict[str, Brief] = field(default_factory=dict)
    """By question."""
    slices: dict[str, Slice] = field(default_factory=dict)
    """All of the run, by id, also those that were split."""
    planned: list[str] = field(default_factory=list)
    """Ids that wait for dispatch."""
    done: set[str] = field(default_factory=set)
    split: set[str] = field(default_factory=set)
    failures: dict[str, SliceFailure] = field(default_factory=dict)
    items: dict[str, list[str]] = field(default_factory=dict)
    """Findings of each slice that fills a cell of a table."""
    asked: list[str] = field(default_factory=list)
    """Follow-up questions so far."""
    settling: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Contradictions that the sources are asked about, by the question: the ids of both findings."""
    stopped: str | None = None
    """Why the run ends early: the limit that was reached, or `interrupted`."""
    answer: Answer | None = None

    @property
    def question(self) -> str:
        return self.task.questions[0] if self.task.questions else ""

    @cached_property
    def paths(self) -> Mapping[str, str]:
        return {source.id: source.path for source in self.corpus.sources}

    @cached_property
    def sources(self) -> Mapping[str, Source]:
        return {source.id: source for source in self.corpus.sources}

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The place of each source in the corpus."""
        return {source.id: place for place, source in enumerate(self.corpus.sources)}

    def add(self, slices: list[Slice]) -> None:
        """Plan slices; one that asks the same of the same text as an earlier one is left out."""
        for slice_ in slices:
            if slice_.id not in self.slices:
                self.slices[slice_.id] = slice_
                self.planned.append(slice_.id)
