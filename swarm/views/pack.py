"""Pack findings under a token budget, the most relevant first, and say how many were left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarm.prompts.typed import Shown
from swarm.source import Span
from swarm.store.library import Library
from swarm.task import Finding
from swarm.tokens import o200k

QUOTES = 3
"""Quotes shown for one finding; the rest of its evidence stays in the graph."""
_MISSES = 8  # findings that did not fit before a view counts as full
_FRAME_TOKENS = 16  # label, relevance and the markup around a finding


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    shown: tuple[Shown, ...]
    omitted: int


def by_relevance(findings: Iterable[Finding]) -> list[Finding]:
    """Best first; ties by id, so that the order does not depend on arrival."""
    return sorted(findings, key=lambda finding: (-finding.relevance, finding.id))


def in_reading_order(findings: Iterable[Finding], rank: Mapping[str, int]) -> list[Finding]:
    """By where they were read: `rank` is the place of each source in the corpus."""

    def place(finding: Finding) -> tuple[int, int, str]:
        first = min(finding.evidence, key=lambda span: (rank.get(span.source, 0), span.start))
        return rank.get(first.source, 0), first.start, finding.id

    return sorted(findings, key=place)


def shown(label: str, finding: Finding, library: Library, paths: Mapping[str, str]) -> Shown:
    """One finding with its first quotes and where they stand."""
    spans = finding.evidence[:QUOTES]
    first: Span = spans[0]
    return Shown(
        label=label,
        finding=finding,
        quotes=tuple(library.text(span) for span in spans),
        where=str(library.locate(first, paths.get(first.source, first.source))),
        context=library.passages_in((first,), paths)[0].context,
    )


def pack(findings: Sequence[Finding], budget: int, library: Library, paths: Mapping[str, str]) -> View:
    """The longest run of `findings`, in the order given, whose text fits `budget` o200k tokens.

    One that does not fit is passed over, and smaller ones after it may still be taken, until the view is as good
    as full: so the work grows with the budget, and not with the number of findings.
    """
    chosen: list[Shown] = []
    used = misses = 0
    for finding in findings:
        if misses == _MISSES:
            break
        item = shown(f"F{len(chosen) + 1}", finding, library, paths)
        tokens = size(item)
        if used + tokens > budget:
            misses += 1
            continue
        used += tokens
        chosen.append(item)
    return View(shown=tuple(chosen), omitted=len(findings) - len(chosen))


def size(item: Shown) -> int:
    """Tokens of one finding as it is shown, in o200k."""
    quotes = [quote for quote in item.quotes if quote != item.finding.claim]
    return _FRAME_TOKENS + o200k("\n".join([item.finding.claim, *quotes, item.where, item.context]))
