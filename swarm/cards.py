"""What a notebook shows of an answer, an estimate, a corpus, a run, and what a run knows: the choice of facts.

What is shown is known here by its attributes alone, since it imports this module and not the other way round. How
a card looks is the business of `swarm/display.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from swarm.display import Card, Grid, Line, Lines, Mood, clip

_MOOD: dict[str, Mood] = {"answered": "good", "running": "good", "no_evidence": "bad", "partial": "bad"}
_CITATIONS, _ROWS, _FEW = 60, 40, 6
_QUOTE = 900  # characters
_PLURAL = {"entity": "entities", "summary": "summaries"}


def answer_card(answer: Any) -> Card:
    """The answer with its quotes, what of the material was read, and what it cost."""
    stopped = answer.stopped or ("slices failed" if answer.failures else "")
    return Card(
        title=answer.short or {"answered": "Answer", "partial": "Answer so far"}.get(answer.status, "No evidence"),
        tag=f"{answer.status}: {clip(stopped, 200)}" if stopped else answer.status,
        mood=_MOOD[answer.status],
        facts=_answer_facts(answer),
        parts=[*_held(answer), *_undone(answer)],
        foot=answer.run_id,
    )


def _answer_facts(answer: Any) -> list[tuple[str, str]]:
    coverage, usage = answer.coverage, answer.usage
    facts = []
    if coverage.chars_total:
        share = coverage.chars_read / coverage.chars_total
        of = f"{_number(coverage.chars_total)} characters in {coverage.sources:,} sources"
        facts.append(("read", f"{_share(share)} of {of}"))
    facts += [("findings", f"{answer.findings:,}"), ("slices", f"{answer.slices:,}")]
    facts += [("calls", f"{usage.calls:,}"), ("tokens", _number(usage.tokens))]
    return [*facts, ("cost", _dollars(usage.cost_usd)), ("took", _took(answer.elapsed_seconds))]


def _held(answer: Any) -> Iterator[Lines | Grid]:
    """What it says, and on what it rests."""
    yield from _said(answer)
    yield from _cells(answer)
    yield from _disagreements(answer)
    yield from _quotes(answer)


def _said(answer: Any) -> Iterator[Lines]:
    if answer.statements and not answer.cells:
        said = [Line(text=one.text, cites=tuple(n + 1 for n in one.citations)) for one in answer.statements]
        yield Lines(lines=said)
    elif answer.text and not answer.cells:
        yield Lines(lines=[Line(text=part) for part in answer.text.split("\n\n") if part.strip()])


def _cells(answer: Any) -> Iterator[Grid]:
    if answer.cells:
        rows = [
            (cell.item, cell.question, (cell.text or "–") + "".join(f" [{n + 1}]" for n in cell.citations))
            for cell in answer.cells[:_ROWS]
        ]
        yield Grid(head=("item", "question", "says"), rows=rows, total=len(answer.cells))


def _disagreements(answer: Any) -> Iterator[Lines]:
    if answer.contradictions:
        yield Lines(
            heading="The sources disagree",
            form="list",
            lines=[
                Line(text=" ↔ ".join(clip(claim, 400) for claim in one.claims), cites=_numbers(one.citations))
                for one in answer.contradictions
            ],
        )


def _numbers(several: Iterable[Sequence[int]]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(number + 1 for one in several for number in one))


def _quotes(answer: Any) -> Iterator[Lines]:
    if answer.citations:
        shown = [Line(text=str(one), quote=clip(one.quote, _QUOTE)) for one in answer.citations[:_CITATIONS]]
        yield Lines(heading="Sources", form="numbers", lines=shown, total=len(answer.citations))


def _undone(answer: Any) -> Iterator[Lines]:
    lines = [
        Line(text=f"slice {one.name or one.slice[:12]}", note=clip(one.reason, 300))
        for one in answer.failures[:_FEW]
    ]
    if lines:
        yield Lines(heading="Not done", form="list", lines=lines, total=len(answer.failures))
    skipped = answer.coverage.skipped
    if skipped:
        yield Lines(heading="Not read", form="list", lines=_skips(skipped), total=len(skipped))


def _skips(skipped: Sequence[Any]) -> list[Line]:
    return [Line(text=one.source, note=clip(one.reason, 200)) for one in skipped[:_FEW]]


def estimate_card(estimate: Any) -> Card:
    """What a run would come to, and what that rests on."""
    likely, most = estimate.likely, estimate.most
    over = estimate.over_limit
    rows = [
        ("calls", f"{likely.calls:,}", f"{most.calls:,}"),
        ("tokens in", _number(likely.input_tokens), _number(most.input_tokens)),
        ("tokens out", _number(likely.output_tokens), _number(most.output_tokens)),
        ("cost", _dollars(likely.cost_usd), _dollars(estimate.most_usd)),
    ]
    return Card(
        title="Estimate",
        tag=f"stops at {over.limit}, with about {_share(over.share)} read" if over is not None else "",
        mood="bad" if over is not None else "",
        facts=[("slices", f"{estimate.slices:,}"), ("takes about", _took(60 * estimate.minutes))],
        parts=[
            Grid(head=("", "likely", "at the most"), rows=rows, numbers=(1, 2)),
            Lines(form="list", lines=[Line(text=text) for text in (*estimate.prices, *estimate.assumptions)]),
        ],
    )


def corpus_card(corpus: Any) -> Card:
    """The sources that a task reads, and what was left out."""
    parts: list[Lines | Grid] = []
    if corpus.sources:
        rows = [(one.path, one.media, f"{one.chars:,}") for one in corpus.sources[:_ROWS]]
        head = ("source", "read as", "characters")
        parts.append(Grid(head=head, rows=rows, numbers=(2,), total=len(corpus.sources)))
    if corpus.skipped:
        lines = _skips(corpus.skipped)
        parts.append(Lines(heading="Not read", form="list", lines=lines, total=len(corpus.skipped)))
    facts = [("sources", f"{len(corpus.sources):,}"), ("characters", _number(corpus.chars))]
    return Card(title="Corpus", facts=facts, parts=parts)


def run_card(run: Any) -> Card:
    """How a run stands."""
    return Card(
        title=clip(run.asked, 300) or run.id,
        tag=f"{run.status}: {clip(run.why, 200)}" if run.why else run.status,
        mood=_MOOD.get(run.status, ""),
        facts=_run_facts(run),
        foot=run.id,
    )


def _run_facts(run: Any) -> list[tuple[str, str]]:
    models = run.model if run.model == run.reader else f"{run.model}, read by {run.reader}"
    return [
        ("slices", f"{run.slices_done:,} of {run.slices_planned:,}"),
        ("calls", f"{run.usage.calls:,}"),
        ("tokens", _number(run.usage.tokens)),
        ("cost", _dollars(run.usage.cost_usd)),
        ("model", models),
        ("begun", f"{datetime.fromtimestamp(run.begun, UTC):%Y-%m-%d %H:%M} UTC"),
    ]


def shown_card(shown: Any) -> Card:
    """A run with what it came to."""
    card = run_card(shown.run)
    parts: list[Lines | Grid] = []
    if shown.answer is not None:
        parts += [
            *_said(shown.answer),
            *_cells(shown.answer),
            *_disagreements(shown.answer),
            *_quotes(shown.answer),
        ]
    if shown.instructions:
        added = [Line(text=clip(text, 400)) for text in shown.instructions[-_FEW:]]
        parts.append(Lines(heading="Added on the way", form="list", lines=added, total=len(shown.instructions)))
    if shown.failures:
        lines = [Line(text=f"slice {id_[:12]}", note=clip(why, 300)) for id_, why in shown.failures[:_FEW]]
        parts.append(Lines(heading="Not done", form="list", lines=lines, total=len(shown.failures)))
    facts = [*card.facts, ("sessions", f"{len(shown.sessions):,}")]
    return Card(title=card.title, tag=card.tag, mood=card.mood, facts=facts, parts=parts, foot=card.foot)


def knowledge_card(known: Any) -> Card:
    """What a run knows: how much of what, the most relevant findings, and what they disagree on."""
    parts: list[Lines | Grid] = []
    disputes = list(islice(known.contradictions(), _FEW + 1))
    if disputes:
        lines = [Line(text=f"{clip(one.claim, 400)} ↔ {clip(other.claim, 400)}") for one, other in disputes[:_FEW]]
        heading = "Findings disagree" + (": the first of them" if len(disputes) > _FEW else "")
        parts.append(Lines(heading=heading, form="list", lines=lines))
    best = [
        Line(text=clip(one.claim, 500), note=f"{one.relevance:.2f}  {one.id[:12]}") for one in known.findings(10)
    ]
    if best:
        parts.append(Lines(heading="Most relevant", form="list", lines=best, total=len(known)))
    counts = [(_PLURAL.get(kind, f"{kind}s"), f"{count:,}") for kind, count in known.counts().items()]
    return Card(title="What the run knows", facts=counts, parts=parts, foot=f"{known.run} · {known.fingerprint}")


def opened_card(opened: Any) -> Card:
    """A node down to the texts that it rests on."""
    node = opened.node
    parts: list[Lines | Grid] = []
    if opened.evidence:
        quotes = [
            Line(text=str(where), quote=clip(text, _QUOTE)) for where, _, text in opened.evidence[:_CITATIONS]
        ]
        parts.append(Lines(heading="Rests on", form="numbers", lines=quotes, total=len(opened.evidence)))
    if opened.inside:
        inner = [Line(text=clip(one.text, 500), note=one.id[:12]) for one in opened.inside[:_ROWS]]
        parts.append(Lines(heading="Stands for", form="list", lines=inner, total=len(opened.inside)))
    facts = [
        (name, clip(f"{value:.2f}" if isinstance(value, float) else str(value), 200))
        for name, value in node.more.items()
        if value and isinstance(value, (str, int, float))
    ]
    return Card(title=clip(node.text, 600) or node.id, tag=node.kind, facts=facts, parts=parts, foot=node.id)


# Figures


def _number(value: float) -> str:
    for most, divisor, unit in ((10_000, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if value < most:
            return f"{value / divisor:,.{1 if unit and value < most / 10 else 0}f}{unit}"
    return f"{value / 1e9:.1f}G"


def _share(share: float) -> str:
    """Never 100 % where something is left."""
    return "all" if share >= 1 else f"{min(99.9, 100 * share):.1f} %"


def _dollars(value: float) -> str:
    return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"


def _took(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
