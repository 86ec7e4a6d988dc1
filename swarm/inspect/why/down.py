"""From what was asked for down to the findings that say it, and to the exact words that these rest on.

A sentence is led to its findings by place: what rests on the very words that it cites, or on words that overlap
with those, the likest claim first. Where no citation was recorded, as of a text that a program wrote, the claims
and the footnotes of the text are looked through. This module knows the graph and the texts, and no calls.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence

from swarm.errors import StoreError
from swarm.graph.disputes import of_finding
from swarm.graph.graph import as_node
from swarm.graph.rows import EDGES, Row
from swarm.graph.search import scored
from swarm.inspect.opened import Opened
from swarm.inspect.why.match import likeness
from swarm.inspect.why.parts import Ground, How, Near, Quote
from swarm.source import Span
from swarm.task import Answer, Citation

AROUND = 160
"""Characters shown before and after a quotation."""
_QUOTES = 4  # of one finding
_NEAR = 4  # of each kind, beside a finding
_LOOKED = 400  # findings that rest on one place, or one slice reported
_SEARCHED = 12
_LIKE = 0.5
_REST_ON = (
    "SELECT DISTINCT finding FROM evidence INDEXED BY evidence_by_place "
    "WHERE source = ? AND start = ? AND end = ? LIMIT ?"
)
_OVERLAP = (
    "SELECT DISTINCT finding FROM evidence INDEXED BY evidence_by_place "
    "WHERE source = ? AND start < ? AND end > ? ORDER BY abs(start - ?) LIMIT ?"
)
_FOOTNOTE = re.compile(r'^\[\^(\d+)\]: (.*?) "(.*)"\s*$', re.MULTILINE)
_NOTE = re.compile(r"\[\^(\d+)\]")

Found = dict[int, How]
"""Findings by their numbers, and how each was come by."""


def quoted(opened: Opened, citation: Citation, number: int) -> Quote:
    """A citation of the answer, with what stands around it."""
    span = Span(citation.source_id, citation.start, citation.end)
    return _quote(opened, span, number, str(citation), citation.quote)


def quotes_of(opened: Opened, evidence: Sequence[Span], most: int = _QUOTES) -> tuple[Quote, ...]:
    """The first of the spans that a finding rests on."""
    return tuple(_quote(opened, span, None, None, "") for span in evidence[:most])


def by_place(opened: Opened, spans: Iterable[Span]) -> Found:
    """The findings that rest on these words, or, where none does, on words that overlap with them."""
    found: Found = {}
    for span in spans:
        row = opened.graph.row(span.source)
        if row is None:
            continue
        read = opened.graph.database.read
        exact = read(_REST_ON, (row.num, span.start, span.end, _LOOKED))
        for (num,) in exact:
            found[num] = "same words"
        if not exact:
            for (num,) in read(_OVERLAP, (row.num, span.end, span.start, span.start, _LOOKED)):
                found.setdefault(num, "overlapping words")
    return found


def by_words(opened: Opened, text: str) -> Found:
    """The findings whose claims say what a text says, as far as words tell."""
    found: Found = {}
    for row, _ in scored(opened.graph, text, _SEARCHED, ("finding",)):
        like = likeness(text, row.text)
        if like >= _LIKE:
            found[row.num] = "same meaning" if like == 1 else "like words"
    return found


def by_footnote(opened: Opened, answer: Answer, sentence: str) -> tuple[Found, list[Quote]]:
    """The footnotes of a sentence in a written text, and the findings that rest on the words that these quote."""
    notes = {number: (where, quote) for number, where, quote in _FOOTNOTE.findall(answer.text)}
    found: Found = {}
    cited: list[Quote] = []
    for number in dict.fromkeys(_NOTE.findall(_with_notes(answer.text, sentence))):
        where, said = notes.get(number, ("", ""))
        text = html.unescape(said).replace("\\", "")
        if not text:
            continue
        quote = Quote(number=int(number), where=where, source="", start=0, end=0, text=text, held=False)
        for row, _ in scored(opened.graph, text, _SEARCHED, ("finding",)):
            (finding,) = opened.graph.findings([row])
            for held in quotes_of(opened, finding.evidence):
                if " ".join(held.text.split()) == " ".join(text.split()):
                    found[row.num] = "same words"
                    quote = _quote(opened, Span(held.source, held.start, held.end), int(number), held.where, "")
        cited.append(quote)
    return found, cited


def reported_by(opened: Opened, slice_: str, most: int = _LOOKED) -> Found:
    """The findings that a slice reported."""
    row = opened.graph.row(slice_)
    if row is None:
        return {}
    sql = (
        "SELECT n.num FROM edges AS e JOIN nodes AS n ON n.num = e.source WHERE e.target = ? AND e.kind = ? "
        "AND n.kind = 'finding' AND n.state = 'live' ORDER BY n.relevance DESC, n.id LIMIT ?"
    )
    rows = opened.graph.database.read(sql, (row.num, EDGES["derived_from"], most))
    return {num: "reported" for (num,) in rows}


def grounds(opened: Opened, found: Found, text: str, limit: int) -> tuple[tuple[Ground, ...], int]:
    """The findings, those that say the same as one, the likest to a text first; how many more there are."""
    graph = opened.graph
    led: dict[int, How] = {}
    for num, how in found.items():
        leader = graph.leader(num)
        if leader not in led or _BETTER[how] < _BETTER[led[leader]]:
            led[leader] = how
    rows = [(row, likeness(text, row.text)) for row in graph.rows(led)]
    rows.sort(key=lambda one: (_BETTER[led[one[0].num]], -one[1], -one[0].relevance, one[0].id))
    return (
        tuple(_ground(opened, row, led[row.num], like) for row, like in rows[:limit]),
        max(0, len(rows) - limit),
    )


_BETTER: dict[How, int] = {
    "itself": 0, "named": 1, "same words": 2, "same meaning": 3, "overlapping words": 4, "like words": 5,
    "reported": 6,
}  # fmt: skip


def _ground(opened: Opened, row: Row, how: How, like: float) -> Ground:
    graph = opened.graph
    (finding,) = graph.findings([row])
    same = _linked(opened, row.num, "supports", back=True)
    contradicts: list[Row] = []
    after: list[Row] = []
    before: list[Row] = []
    for relation in of_finding(graph, row):
        mine = relation.one.num == row.num
        other = relation.other if mine else relation.one
        if relation.kind == "contradicts":
            contradicts.append(other)
        elif relation.kind == "supersedes":
            (before if mine else after).append(other)
    together = [row.num, *(one.num for one in same)]
    slices = [one.id for num in together for one in _linked(opened, num, "derived_from", back=False)]
    summaries = [one.id for one in _linked(opened, row.num, "summarises", back=True)]
    quotes = quotes_of(opened, finding.evidence)
    shown = as_node(row).more
    return Ground(
        id=row.id,
        claim=row.text,
        relevance=finding.relevance,
        how=how,
        likeness=round(like, 3),
        fields={key: str(value) for key, value in shown.items() if key != "relevance"},
        quotes=quotes,
        more_quotes=len(finding.evidence) - len(quotes),
        same=_near(opened, same),
        contradicts=_near(opened, contradicts),
        supersedes=_near(opened, before),
        superseded_by=_near(opened, after),
        slices=tuple(dict.fromkeys(slices)),
        summaries=tuple(dict.fromkeys(summaries)),
    )


def _linked(opened: Opened, num: int, kind: str, *, back: bool) -> list[Row]:
    """The nodes at the other ends of a finding's edges of one kind."""
    here, there = ("target", "source") if back else ("source", "target")
    sql = f"SELECT {there} FROM edges WHERE {here} = ? AND kind = ? LIMIT ?"  # noqa: S608 - names from above
    nums = opened.graph.database.read(sql, (num, EDGES[kind], _LOOKED))  # type: ignore[index]
    return opened.graph.rows(found for (found,) in nums)


def _near(opened: Opened, rows: Sequence[Row]) -> tuple[Near, ...]:
    return tuple(Near(id=row.id, claim=row.text, where=_where(opened, row)) for row in rows[:_NEAR])


def _where(opened: Opened, row: Row) -> str:
    joined = "evidence AS e JOIN nodes AS n ON n.num = e.source"
    sql = f"SELECT n.id, start, end FROM {joined} WHERE e.finding = ? LIMIT 1"  # noqa: S608 - names from above
    for source, start, end in opened.graph.database.read(sql, (row.num,)):
        return place(opened, Span(source, start, end))
    return ""


def place(opened: Opened, span: Span, path: str | None = None) -> str:
    """The path and the line of a span; the path alone where the text is not on this machine."""
    try:
        return opened.place(span) if path is None else str(opened.library.locate(span, path))
    except StoreError:
        if path is not None:
            return path
        row = opened.graph.row(span.source)
        return row.text if row is not None and row.text else span.source


def _quote(opened: Opened, span: Span, number: int | None, where: str | None, said: str) -> Quote:
    try:
        text = opened.library.text(span)
        before = opened.library.text(Span(span.source, max(0, span.start - AROUND), span.start))
        after = opened.library.text(Span(span.source, span.end, span.end + AROUND))
    except StoreError:
        text, before, after, held = said, "", "", False
    else:
        held = True
    return Quote(
        number=number,
        where=where or place(opened, span),
        source=span.source,
        start=span.start,
        end=span.end,
        text=text,
        before=before,
        after=after,
        held=held,
    )


def _with_notes(text: str, sentence: str) -> str:
    """A sentence with the marks of its footnotes, which follow it in the text."""
    at = text.find(sentence)
    rest = re.match(r"(?:[ \t]*\[\^\d+\])*", text[at + len(sentence) :]) if at >= 0 else None
    return sentence + (rest[0] if rest else "")


def statements_on(opened: Opened, summary: str, finding: str) -> Iterator[str]:
    """The sentences of a summary that rest on a finding."""
    row = opened.graph.row(summary)
    more = json.loads(row.more) if row is not None and row.more else {}
    for text, ids in more.get("statements", ()):
        if finding in ids:
            yield text
