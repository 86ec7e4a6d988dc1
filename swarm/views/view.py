"""The view: what one agent is shown of a graph, under a budget of tokens.

Stable parts first, so that providers' prompt caches hit: what was decided, then the coarse level (summaries that
together stand for all findings), what is disputed, and last the findings that bear on what is asked. Where all
findings fit, all are shown and no summary is. Ids are shown, so that an agent can ask to open a node; what was
left out is counted. The text carries a mark by which it is known again: see `swarm/views/mark.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from swarm.graph.cover import cut, is_below, stretches_of
from swarm.graph.disputes import Relation, disputed, holds_now, of_finding
from swarm.graph.graph import SharedGraph
from swarm.graph.identity import name_of, question_id
from swarm.graph.nodes import Summary
from swarm.graph.rows import EDGES, Row
from swarm.source import Span
from swarm.task import Finding
from swarm.terms import question_terms, terms
from swarm.tokens import o200k
from swarm.views.candidates import Candidate, candidates
from swarm.views.choose import Item, choose
from swarm.views.mark import marked

_CANDIDATES = 300
_SHARES = {"decisions": 0.15, "summaries": 0.3, "disputes": 0.15}
"""The most that each part takes of the budget; what it leaves goes to the findings."""
_FINER = (1.2, 1.0, 0.7, 0.4)
"""Of the share of summaries: the sizes that the tree knows are estimates, so the finest cut that fits is looked
for."""
_DISPUTES = 20
_BESIDE_JUDGED = 0.5  # what being found counts where readers judged findings for the same question
_DECISIONS = 50
_MISSES = 12  # findings that did not fit before a view counts as full
_SLACK = 1.3  # more is chosen than may fit, by its estimated size: what does fit is shown
_FRAME_TOKENS = 80  # headings, the mark and the line that counts what was left out
SHORT_ID = 10

Quote = Callable[[Span], tuple[str, str]]
"""Of a span: its text, and where it stands for a person (`path:line`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What was chosen, and the text of it; `tokens` are o200k tokens of `text`, never more than asked for.

    `findings` are in the order of choice, `summaries` in reading order. `omitted` findings are neither shown nor
    below a summary that is shown.
    """

    about: str
    text: str
    tokens: int
    findings: tuple[Finding, ...] = ()
    summaries: tuple[Summary, ...] = ()
    disputes: tuple[tuple[Finding, Finding], ...] = ()
    omitted: int = 0
    ids: frozenset[str] = field(default_factory=frozenset)
    """The nodes that were shown."""


def view(graph: SharedGraph, about: str, tokens: int, quote: Quote | None = None) -> View:
    """What the graph knows on `about`, in at most `tokens` o200k tokens.

    `quote` opens evidence; without it, findings are shown without their quotes.
    """
    page = _Page(graph, tokens, quote)
    page.add("Decided", (_decision(row) for row in _decisions(graph)), _SHARES["decisions"])
    findings = _everything(graph, page) if _may_fit(graph, page) else None
    overview: list[int] = []
    if findings is None:
        overview = _overview(graph, page)
        findings = chosen(graph, about, int(_SLACK * page.left(1.0)), page.cost)
    disputes = _disputes(graph, findings)
    page.add("Disputed", (_dispute(one) for one in disputes), _SHARES["disputes"])
    shown = page.add_findings(graph, findings)
    summaries = [graph.summary(num) for num in overview]
    covered = stretches_of(graph, overview)
    apart = [row for row in shown if not is_below(covered, row)]
    omitted = max(0, graph.claims - sum(summary.findings for summary in summaries) - len(apart))
    text = page.text(omitted)
    loaded = graph.findings(shown)
    return View(
        about=about,
        text=text,
        tokens=o200k(text),
        findings=tuple(loaded),
        summaries=tuple(summaries),
        disputes=tuple((one, other) for one, other in _loaded(graph, disputes)),
        omitted=omitted,
        ids=frozenset([*(row.id for row in shown), *(summary.id for summary in summaries)]),
    )


class _Page:
    """The text so far, and what is left of the budget."""

    def __init__(self, graph: SharedGraph, tokens: int, quote: Quote | None) -> None:
        self.graph, self.tokens, self._quote = graph, tokens, quote
        self._parts: list[tuple[str, list[str]]] = []
        self._used = _FRAME_TOKENS

    def left(self, share: float) -> int:
        return min(self.tokens - self._used, int(share * self.tokens))

    def add(self, heading: str, lines: Iterable[str], share: float) -> int:
        """As many lines as the share holds; their number."""
        room = self.left(share)
        kept: list[str] = []
        for line in lines:
            cost = o200k(line) + 1
            if cost > room:
                break
            kept.append(line)
            room -= cost
            self._used += cost
        if kept:
            self._parts.append((heading, kept))
        return len(kept)

    def add_some(self, heading: str, lines: Sequence[str], room: int) -> list[bool]:
        """Those of the lines that fit `room`, in their order; which they are."""
        kept: list[str] = []
        took: list[bool] = []
        for line in lines:
            cost = o200k(line) + 1
            took.append(cost <= room)
            if took[-1]:
                kept.append(line)
                room -= cost
                self._used += cost
        if kept:
            self._parts.append((heading, kept))
        return took

    def cost(self, row: Row) -> int:
        """About what a finding takes: what it does take is counted when it is shown."""
        return 10 + len(row.text) // 4 + len(row.more or "") // 8 + (24 if self._quote else 0)

    def add_findings(self, graph: SharedGraph, rows: Sequence[Row]) -> list[Row]:
        """The lines of findings, as many as fit; those that were shown."""
        room = self.left(1.0)
        kept, shown = [], []
        misses = 0
        for row in rows:
            line = _finding(graph, row, self._quote)
            cost = o200k(line) + 1
            if cost > room:
                misses += 1
                if misses == _MISSES:
                    break
                continue
            kept.append(line)
            shown.append(row)
            room -= cost
            self._used += cost
        if kept:
            self._parts.append(("Findings", kept))
        return shown

    def text(self, omitted: int) -> str:
        """The whole; lines at its end are dropped where the count of the whole is more than that of its parts."""
        while True:
            blocks = [f"{heading}:\n" + "\n".join(lines) for heading, lines in self._parts]
            if omitted:
                blocks.append(f"Not shown: {omitted:,} findings. Search for them, or open a node by its id.")
            whole = marked(self.graph.run, "\n\n".join(blocks))
            if o200k(whole) <= self.tokens or not self._parts:
                return whole if o200k(whole) <= self.tokens else ""
            heading, lines = self._parts[-1]
            lines.pop()
            omitted += heading == "Findings"
            if not lines:
                self._parts.pop()


# What is chosen


def chosen(graph: SharedGraph, about: str, budget: int, cost: Callable[[Row], int]) -> list[Row]:
    """The findings for a question, under a budget: those judged for this very question by a reader count as
    judged, all others as they are found."""
    found = candidates(graph, about, _CANDIDATES)
    judged = judged_for(graph, about)
    weight = _BESIDE_JUDGED if judged else 1.0
    relevance = {one.row.num: weight * one.score for one in found}
    rows = {one.row.num: one.row for one in found}
    for row in judged:
        rows[row.num] = row
        relevance[row.num] = max(row.relevance, relevance.get(row.num, 0.0))
    rows, relevance = _with_latest(graph, rows, relevance)
    wanted = frozenset(question_terms(about))
    order = sorted(rows, key=lambda num: (-relevance[num], rows[num].id))
    items = [
        Item(
            cost=cost(rows[num]),
            relevance=relevance[num],
            place=(rows[num].place or b"")[:-14],
            terms=wanted.intersection(terms(rows[num].text)),
        )
        for num in order
    ]
    taken = choose(items, budget, dict.fromkeys(wanted, 1.0))
    return [rows[order[at]] for at in sorted(taken, key=lambda at: (-items[at].relevance, at))]


def judged_for(graph: SharedGraph, about: str) -> list[Row]:
    """The most relevant findings that readers reported for this very question."""
    row = graph.row(question_id(about))
    if row is None or row.kind != "question":
        return []
    sql = (
        "SELECT DISTINCT n.num, n.relevance, n.id FROM edges AS a "
        "JOIN edges AS r ON r.target = a.source AND r.kind = ? "
        "JOIN nodes AS n ON n.num = r.source AND n.kind = 'finding' AND n.state = 'live' "
        "WHERE a.target = ? AND a.kind = ? ORDER BY n.relevance DESC, n.id LIMIT ?"
    )
    rows = graph.database.read(sql, (EDGES["derived_from"], row.num, EDGES["answers"], _CANDIDATES))
    return graph.rows(dict.fromkeys(graph.leader(num) for num, *_ in rows))


def _with_latest(
    graph: SharedGraph, rows: dict[int, Row], relevance: dict[int, float]
) -> tuple[dict[int, Row], dict[int, float]]:
    """Beside a value that holds no longer, the one that does: it is no less relevant, and the old one is."""
    rows, relevance = dict(rows), dict(relevance)
    best = sorted(relevance, key=lambda num: -relevance[num])[: _CANDIDATES // 4]
    for num in best:
        latest = holds_now(graph, rows[num])
        if latest is not None:
            rows[latest.num] = latest
            relevance[latest.num] = max(relevance.get(latest.num, 0.0), relevance[num])
    return rows, relevance


def _may_fit(graph: SharedGraph, page: _Page) -> bool:
    return len(graph) * 12 <= page.left(1.0)


def _everything(graph: SharedGraph, page: _Page) -> list[Row] | None:
    """All findings, in reading order, where they fit; else None."""
    room = page.left(1.0) - _FRAME_TOKENS
    rows = graph.rows(num for _, num in _leaves(graph))
    for row in rows:
        room -= page.cost(row)
    return rows if room >= 0 else None


def _leaves(graph: SharedGraph) -> list[tuple[bytes, int]]:
    sql = "SELECT place, num FROM tree WHERE graph = ? AND level = 0 ORDER BY place"
    return [(place, num) for place, num in graph.database.read(sql, (graph.num,))]


def _overview(graph: SharedGraph, page: _Page) -> list[int]:
    """Summaries that together cover as much as there is a summary of, as fine as their share of the budget
    holds."""
    room = page.left(_SHARES["summaries"])
    for share in _FINER:
        found = cut(graph, int(share * room))
        lines = [_summary(graph.summary(num)) for num in found]
        if sum(o200k(line) + 1 for line in lines) <= room:
            break
    return [num for num, kept in zip(found, page.add_some("Overview", lines, room), strict=True) if kept]


def _decisions(graph: SharedGraph) -> list[Row]:
    sql = (
        "SELECT num FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = 'decision' "
        "AND num BETWEEN ? AND ? AND state = 'live' ORDER BY id LIMIT ?"
    )
    return graph.rows(num for (num,) in graph.database.read(sql, (*graph.range, _DECISIONS)))


def _disputes(graph: SharedGraph, findings: Sequence[Row]) -> list[Relation]:
    """The open contradictions that what is shown is in, then others."""
    found: dict[tuple[int, int], Relation] = {}
    for row in findings[: _CANDIDATES // 4]:
        for relation in of_finding(graph, row):
            if relation.kind == "contradicts":
                found.setdefault((relation.one.num, relation.other.num), relation)
    if len(found) < _DISPUTES:
        for relation in disputed(graph, _DISPUTES):
            found.setdefault((relation.one.num, relation.other.num), relation)
    return list(found.values())[:_DISPUTES]


def _loaded(graph: SharedGraph, disputes: Sequence[Relation]) -> Iterable[tuple[Finding, Finding]]:
    for one in disputes:
        first, second = graph.findings([one.one, one.other])
        yield first, second


# How it is said


def short(id_: str) -> str:
    """The beginning of an id, by which a node can be opened."""
    return id_[:SHORT_ID]


def _decision(row: Row) -> str:
    return f"- [{short(row.id)}] {_line(row.text)}"


def _summary(summary: Summary) -> str:
    return f"- [{short(summary.id)}] (of {summary.findings:,} findings) {_line(summary.text)}"


def _dispute(one: Relation) -> str:
    return f"- [{short(one.one.id)}] {_claim(one.one)} | against [{short(one.other.id)}] {_claim(one.other)}"


def _claim(row: Row) -> str:
    """The claim, with what it is about and when it holds where it does not say so itself."""
    text = _line(row.text)
    subject, _, _, _, time = json.loads(row.more) if row.more else [None] * 5
    if subject and name_of(subject) not in text.casefold():
        text = f"{_line(subject)}: {text}"
    return f"{text} ({_line(time)})" if time and time not in text else text


def _finding(graph: SharedGraph, row: Row, quote: Quote | None) -> str:
    line = f"- [{short(row.id)}] {_claim(row)}"
    if quote is not None:
        (finding,) = graph.findings([row])
        text, where = quote(finding.evidence[0])
        said = _line(text)
        line += f" ({where})" if said in line else f' ({where}: "{said}")'
    return line


def _line(text: str) -> str:
    return " ".join(text.split())


__all__ = ["Candidate", "View", "chosen", "judged_for", "short", "view"]
