"""What a sub-agent with tools can ask the run: the shared graph, the material, the plan, and what its tools gave.

All of it is looked up; no model is asked. What is read to a sub-agent is data to it, as everything that a tool
gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from swarm.coordinator.desk import Desk
from swarm.coordinator.found import ask, search
from swarm.coordinator.work.brief import decided, material_of, said_to
from swarm.coordinator.work.state import Branch, RunResults, Work
from swarm.coordinator.work.take import source_at
from swarm.equipment import ToolFailed
from swarm.graph.rows import Row
from swarm.source import Passage, Span
from swarm.views.view import view
from swarm.worker.quotes import Material

_VIEW_TOKENS = 2_000
_PASSAGES = 8
_AROUND_CHARS = 400  # on each side of a quote
_STANDINGS, _RESULTS = 30, 6
_RESULT_CHARS = 1_200
_LINES = 400  # of a source or a result, at once
_QUOTED = 5  # passages that may hold a quote


async def search_graph(desk: Desk, question: str) -> str:
    """A view of what the run knows on a question."""
    await _up_to_date(desk)
    if not len(desk.graph):
        return "Nothing is known yet."
    return view(desk.graph, question, _VIEW_TOKENS, lambda span: _quote(desk, span)).text


async def _up_to_date(desk: Desk) -> None:
    if desk.follow is not None:
        await asyncio.to_thread(desk.follow)


async def open_finding(desk: Desk, id_: str) -> str:
    """A node of the graph, with its quotes and what stands around them."""
    await _up_to_date(desk)
    row = desk.graph.row(id_.strip().strip("[]"))
    if row is None:
        raise ToolFailed(f"no node, or several, begin with {id_[:80]!r}: take an id that search_graph shows")
    if row.kind == "summary":
        summary = desk.graph.summary(row.num)
        covers = "\n".join(f"- [{one}]" for one in summary.covers[:_STANDINGS])
        return f"{summary.text}\n\nIt stands for {summary.findings:,} findings:\n{covers}"
    if row.kind != "finding":
        return row.text
    return "\n\n".join([row.text, *_evidence(desk, row)])


def _evidence(desk: Desk, row: Row) -> list[str]:
    (finding,) = desk.graph.findings([row])
    told = []
    for span in finding.evidence:
        quote, where = _quote(desk, span)
        source = desk.sources[span.source]
        wide = Span(span.source, max(0, span.start - _AROUND_CHARS), min(source.chars, span.end + _AROUND_CHARS))
        told.append(f'{where}: "{quote}"\nIt stands here:\n{desk.library.text(wide)}')
    return told


def _quote(desk: Desk, span: Span) -> tuple[str, str]:
    where = desk.library.locate(span, desk.paths[span.source])
    return desk.library.text(span), str(where)


async def search_sources(desk: Desk, words: str) -> str:
    """The passages of the task's material that answer best, each with its path and line."""
    if not desk.corpus.sources:
        raise ToolFailed("the task has no material to search")
    await ask(desk, (words,))
    found = search(desk, words, _PASSAGES)
    if not found:
        return "Nothing was found: try other words."
    return "\n\n".join(_passage(desk, one) for one in found)


def _passage(desk: Desk, passage: Passage) -> str:
    return f"{desk.library.locate(passage.span, desk.paths[passage.span.source])}:\n{passage.text.strip()}"


async def open_source(desk: Desk, path: str, line: int) -> str:
    """A source of the material, or an artifact, from a line on."""
    source = source_at(desk, path.strip())
    if source is None:
        raise ToolFailed(f"there is no source {path[:120]!r}: take a path that search_sources shows")
    passages = material_of(desk, (Span(source.id, 0, source.chars),), 200_000)
    return lines_of("".join(one.text for one in passages), line, "")


async def ask_coordinator(desk: Desk, work: Work, branch: Branch, who: str, question: str) -> str:
    """What the run knows that bears on a question: its goal, what was said and settled, where the plan stands,
    what slices came to. The planner hears of the question, where there is one."""
    await _up_to_date(desk)
    if work.program is None:
        branch.reasons.append(f"{asks(who)}{question[:400]}")
    parts = [f"The goal: {desk.question}"]
    if said := said_to(desk, ""):
        parts.append("Said by the person who asked:\n" + "\n".join(f"- {one}" for one in said))
    if settled := decided(desk):
        parts.append("Settled:\n" + "\n".join(f"- {one}" for one in settled))
    standings = list(branch.standings.values())[-_STANDINGS:]
    if standings:
        parts.append("The plan:\n" + "\n".join(f"- {one.name} ({one.state}): {one.text}" for one in standings))
    results = RunResults(desk.journal, desk.run)
    named = [one for one in _names(branch, question) if one in results][:_RESULTS]
    parts += [f"{name} came to:\n{results[name][:_RESULT_CHARS]}" for name in named]
    parts.append(await search_graph(desk, question))
    return "\n\n".join(parts)


def asks(who: str) -> str:
    """How a question begins that a planner hears of."""
    return f'"{who}" asks: '


def _names(branch: Branch, question: str) -> Sequence[str]:
    return [name for name in dict.fromkeys((*branch.standings, *branch.ends)) if name and name in question]


def known(desk: Desk, question: str, tokens: int) -> list[str]:
    """The claims that bear on a question, in at most so many o200k tokens."""
    if desk.follow is not None:
        desk.follow()
    return [one.claim for one in view(desk.graph, question, tokens).findings] if len(desk.graph) else []


def locate(desk: Desk, quote: str) -> Span | None:
    """Where words stand in the task's own material."""
    if not desk.corpus.sources:
        return None
    return Material(desk.library.search(quote, desk.corpus, _QUOTED)).locate(quote)


def lines_of(text: str, line: int, words: str) -> str:
    """So many lines of a text from `line` on, or those that hold `words`, each with its number."""
    lines = text.splitlines()
    if words:
        wanted = words.casefold()
        found = [f"{number}: {one}" for number, one in enumerate(lines, start=1) if wanted in one.casefold()]
        more = f"\n({len(found) - _LINES:,} more lines hold it)" if len(found) > _LINES else ""
        return "\n".join(found[:_LINES]) + more if found else "No line holds these words."
    first = max(1, line)
    shown = "\n".join(lines[first - 1 : first - 1 + _LINES])
    left = len(lines) - (first - 1 + _LINES)
    return f"{shown}\n({left:,} more lines, from line {first + _LINES:,} on)" if left > 0 else shown
