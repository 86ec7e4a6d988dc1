"""Work a slice that is read: a fresh prompt, one reply, and a report of what it proves.

A reader knows its slice and its brief, and nothing of the run, the graph or the other readers. What it claims is
kept only with a quote that stands in the text it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from swarm.errors import InvalidReply
from swarm.graph.identity import finding_id
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate
from swarm.limits.hedged import Hedged
from swarm.models.base import Model
from swarm.observe.log import get_logger
from swarm.prompts.replies import ReadFinding
from swarm.prompts.typed import ReadPrompt
from swarm.source import Passage, Span
from swarm.store.library import Library
from swarm.task import Finding, Output, Report, Slice, TermStatistics
from swarm.tokens import o200k
from swarm.worker.quotes import Material

log = get_logger("reader")

FRESH_TRIES = 2
_REJECTED_CHARS = 300  # of a rejected quote are kept, for people


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """What every reader of one question is told, beside its own slice.

    `matches` holds, for a selective model, the passages of each source that the search ranked; None means that
    the whole slice is read.
    """

    output: Output
    paths: Mapping[str, str]
    max_findings: int
    reading: str = ""
    statistics: TermStatistics = field(default_factory=TermStatistics)
    matches: Mapping[str, tuple[Passage, ...]] | None = None

    def matched(self, spans: tuple[Span, ...]) -> bool:
        """Whether a reader of these spans has anything to read."""
        return self.matches is None or any(True for _ in self._matches_in(spans))

    def passages(self, spans: tuple[Span, ...], library: Library) -> list[Passage]:
        """What a reader of these spans is given."""
        if self.matches is None:
            return library.passages_in(spans, self.paths)
        return [_clipped(passage, span) for passage, span in self._matches_in(spans)]

    def _matches_in(self, spans: tuple[Span, ...]) -> Iterator[tuple[Passage, Span]]:
        """The ranked passages that these spans hold, in whole or in part, each with the span that holds it."""
        for span in spans:
            for passage in (self.matches or {}).get(span.source, ()):
                if passage.span.start < span.end and span.start < passage.span.end:
                    yield passage, span


def _clipped(passage: Passage, span: Span) -> Passage:
    """The part of a passage that a span holds: a slice of a small window may end within one."""
    start, end = max(passage.span.start, span.start), min(passage.span.end, span.end)
    if (start, end) == (passage.span.start, passage.span.end):
        return passage
    text = passage.text[start - passage.span.start : end - passage.span.start]
    return replace(passage, span=Span(span.source, start, end), text=text, tokens=o200k(text))


async def read(
    slice_: Slice,
    brief: Brief,
    library: Library,
    gate: Gate | Hedged,
    model: Model,
    budget: Budget | None = None,
) -> Report:
    """Read one slice, paid from `budget`, a share of the run's, where it has one.

    Raises:
        PromptTooLong: the slice is to be split.
        LimitReached: a limit does not allow the call.
        CallFailed: the model could not be asked, or twice in a row gave no valid reply.
    """
    passages = brief.passages(slice_.spans, library)
    prompt = ReadPrompt(
        question=slice_.question,
        output=brief.output,
        passages=tuple(passages),
        paths={span.source: brief.paths[span.source] for span in slice_.spans},
        tokens=slice_.tokens,
        max_findings=brief.max_findings,
        reading=brief.reading,
        statistics=brief.statistics,
    )
    tried = 0
    for attempt in count():
        try:
            reply = await gate.ask(model, prompt, attempt, budget=budget)
            break
        except InvalidReply as error:
            tried += not error.known  # what was said the last time that the run was at work is no try of this time
            if tried == FRESH_TRIES:
                raise
    material = Material(passages)
    findings: dict[str, Finding] = {}
    rejected: list[str] = []
    echoed = 0
    for found in reply.findings[: brief.max_findings]:
        span = material.locate(found.quote)
        if span is None and material.echoes(found.quote):
            echoed += 1
        elif span is None:
            rejected.append(found.quote[:_REJECTED_CHARS])
        elif found.claim.strip():
            finding = finding_of(found, span)
            findings.setdefault(finding.id, finding)
    if rejected:
        log.info("quotes rejected", slice=slice_.id, rejected=len(rejected))
    return Report(
        slice=slice_.id,
        question=slice_.question,
        findings=tuple(findings.values()),
        summary=reply.summary,
        open_questions=tuple(reply.open_questions),
        rejected=tuple(rejected),
        echoed=echoed,
    )


def finding_of(found: ReadFinding, span: Span) -> Finding:
    """What a sub-agent found, resting on the words that were found to stand in what it was given."""
    return Finding(
        id=finding_id(found.claim, found.subject, found.attribute, found.value, found.time, found.unit),
        claim=found.claim.strip(),
        evidence=(span,),
        relevance=found.relevance,
        subject=found.subject,
        attribute=found.attribute,
        value=found.value,
        unit=found.unit,
        time=found.time,
    )
