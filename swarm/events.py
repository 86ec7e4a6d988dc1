"""What a run tells while it goes on. Typed, frozen, and small: ids and counts, never content.

The last event of every run is `Finished`. This module knows the words of a task and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.source import Corpus
from swarm.task import Answer, Estimate, Report, Slice, Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    run_id: str
    model: str
    reader: str
    window: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRead:
    """One input was read into the store, or found there unchanged (`fresh` is false)."""

    path: str
    chars: int
    fresh: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusReady:
    corpus: Corpus


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimated:
    """What a run with a model that costs money is expected to come to, before anything is sent."""

    estimate: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumed:
    """A run goes on: of its `slices` so far, `done` need nothing more."""

    done: int
    slices: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SlicesPlanned:
    """`slices` more slices are ready, in the round given."""

    slices: int
    round: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceStarted:
    slice: Slice


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceFinished:
    slice: Slice
    report: Report


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceSplit:
    """The slice was too long for the window and is succeeded by `into` halves."""

    slice: Slice
    into: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceFailed:
    slice: Slice
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """The running total, after each settled call."""

    usage: Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseChanged:
    """`phase` is one of gather, plan, dispatch (or work), judge, consolidate, finish."""

    phase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SliceDropped:
    """The slice is not worked, or not any more: a person cancelled it, say."""

    slice: Slice
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Paused:
    """Nothing new is begun; calls in flight finish. A person asked for it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WentOn:
    """After a pause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Steered:
    """An instruction was taken: it holds for what begins from now on. Its text is in the record of this id."""

    instruction: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unserved:
    """Slices are offered to other machines, and none has begun one for a while; why, where a worker says so."""

    slices: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    answer: Answer


Event = (
    RunStarted | SourceRead | CorpusReady | Estimated | Resumed | SlicesPlanned | SliceStarted | SliceFinished
    | SliceSplit | SliceFailed | SliceDropped | Spent | PhaseChanged | Paused | WentOn | Steered | Unserved
    | Finished
)  # fmt: skip
