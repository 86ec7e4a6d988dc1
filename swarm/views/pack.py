"""One finding as a model is shown it, and the tokens that takes."""

from __future__ import annotations

from collections.abc import Mapping

from swarm.prompts.typed import Shown
from swarm.source import Span
from swarm.store.library import Library
from swarm.task import Finding
from swarm.tokens import o200k

QUOTES = 3
"""Quotes shown for one finding; the rest of its evidence stays in the graph."""
FRAME_TOKENS = 16  # label, relevance and the markup around a finding


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


def size(item: Shown) -> int:
    """Tokens of one finding as it is shown, in o200k."""
    quotes = [quote for quote in item.quotes if quote != item.finding.claim]
    if item.finding.time:
        quotes.append(f"When: {item.finding.time}")
    return FRAME_TOKENS + o200k("\n".join([item.finding.claim, *quotes, item.where, item.context]))
