"""What travels when a slice is worked on another machine: what it is offered with, and what it comes to.

Both are small and plain: text is named by its spans, results and artifacts by the records that hold them, a model
and a program by the run's session. Whoever works it makes of an offer the prompt that the coordinator would have
made, so that the calls have the names that they would have had here.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from swarm import errors
from swarm.errors import CallFailed, LimitReached, PromptTooLong, RunError, SwarmError, UsageError
from swarm.observe.log import redact_text
from swarm.prompts.typed import Shown
from swarm.source import Passage
from swarm.store.journal import Entry
from swarm.task import Limits, Output, Report, Slice, TermStatistics, Usage
from swarm.worker.read import Brief

Named = tuple[str, str]
"""The id and the path of a source that the run made."""
VERSION = 1
"""Of what is written here: a worker of another one leaves the slice to others."""

_NOTHING = Usage()


class NotBegun(RunError):
    """The run stops, and nobody had begun the slice that was offered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a sub-agent is told beside its order: a view of the graph, what the person who asked added, what was
    settled. `tries` is how often the slice failed before the run went on."""

    shown: tuple[Shown, ...] = ()
    said: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    tries: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a reader is told: see `swarm.worker.read.Brief`. `matches` are the ranked passages that its spans hold,
    without their text; None: all of the spans is read."""

    output: Output
    paths: dict[str, str]
    max_findings: int
    reading: str
    statistics: TermStatistics
    matches: dict[str, tuple[Passage, ...]] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A slice, with what its sub-agent is told: a reader, or one that works. `session` counts how often the run
    was at work by then; the models, limits and program of that time hold."""

    session: int
    slice: Slice
    told: Told | None = None
    given: Given | None = None
    share: Limits | None = None
    """What a slice that is read may spend, with all that it is cut into."""
    trace: str = ""
    """The span of the slice, for what is asked for it elsewhere; see `swarm.observe.telemetry.carried`."""
    version: int = VERSION


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """An error of a run, as it was raised."""

    kind: str
    text: str
    limit: str = ""
    scope: str = "run"
    tokens: int = 0
    window: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a slice came to: a report, or why there is none. `entries` are to be recorded with what becomes of it;
    `kept` are the texts that it rests on or made, by their ids and paths, and `handoffs` the keys of those that
    were recorded on the way, each with its own. `asked` are the questions that its planner is to hear of. `peak`
    is the largest request, in tokens; `usage` is what it spent of its share, where it has one."""

    report: Report | None = None
    failed: Failed | None = None
    entries: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    kept: tuple[Named, ...] = ()
    handoffs: tuple[tuple[str, tuple[Named, ...]], ...] = ()
    asked: tuple[str, ...] = ()
    peak: int = 0
    usage: Usage = _NOTHING
    machine: str = ""
    """Which worked it, on which `host`."""
    host: str = ""

    def recorded(self) -> list[Entry]:
        return [Entry(kind=kind, key=key, body=body) for kind, key, body in self.entries]


_OFFER: TypeAdapter[Offer] = TypeAdapter(Offer)
_OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def offer_to_bytes(offer: Offer) -> bytes:
    return _to_bytes(_OFFER, offer)


def offer_from(body: bytes) -> Offer:
    """Raises ValueError: it was written by another version, or is none."""
    return _OFFER.validate_python(json.loads(body))


def outcome_to_bytes(outcome: Outcome) -> bytes:
    return _to_bytes(_OUTCOME, outcome)


def outcome_from(body: bytes) -> Outcome:
    """Raises ValueError: it was written by another version, or is none."""
    return _OUTCOME.validate_python(json.loads(body))


def _to_bytes(adapter: TypeAdapter[Any], value: Offer | Outcome) -> bytes:
    plain = adapter.dump_python(value, mode="json", exclude_defaults=True)
    return json.dumps(plain, separators=(",", ":")).encode()  # escaped: the name of a file may hold half of a pair


def told(brief: Brief, slice_: Slice) -> Told:
    """What the reader of a slice is told, as it travels."""
    sources = {span.source for span in slice_.spans}
    matches = None
    if brief.matches is not None:
        matches = {
            source: tuple(replace(one, text="") for one in brief.matches[source] if _within(one, slice_))
            for source in sources & brief.matches.keys()
        }
    return Told(
        output=brief.output,
        paths={source: brief.paths[source] for source in sources},
        max_findings=brief.max_findings,
        reading=brief.reading,
        statistics=brief.statistics,
        matches=matches,
    )


def _within(passage: Passage, slice_: Slice) -> bool:
    return any(
        span.source == passage.span.source and passage.span.start < span.end and span.start < passage.span.end
        for span in slice_.spans
    )


def failed(error: RunError) -> Failed:
    """An error as it travels."""
    match error:
        case LimitReached():
            return Failed(kind="LimitReached", text=error.message, limit=error.limit, scope=error.scope)
        case PromptTooLong():
            return Failed(kind="PromptTooLong", text=error.message, tokens=error.tokens, window=error.limit)
    return Failed(kind=type(error).__name__, text=str(error))


def broken(error: Exception) -> Failed:
    """An error that no slice is expected to end with, as it travels: Swarm is used wrongly, or the user's code, or
    ours, has a mistake. It ends the run, as it would where the run is coordinated."""
    if isinstance(error, UsageError):
        return Failed(kind=type(error).__name__, text=str(error))
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return Failed(kind="RecipeError", text=f"a slice broke off: {redact_text(told)[:400]}{where}")


_ERRORS: Mapping[str, type[SwarmError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, SwarmError)
}


def raised(failed: Failed | None) -> SwarmError:
    """The error that travelled."""
    if failed is None:
        return CallFailed("nothing came of it")
    if failed.kind == "LimitReached":
        return LimitReached(failed.text, failed.limit, failed.scope)
    if failed.kind == "PromptTooLong":
        return PromptTooLong(failed.text, failed.tokens, failed.window)
    return _ERRORS.get(failed.kind, CallFailed)(failed.text)
