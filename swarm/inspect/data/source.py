"""A piece of a source with everything in it that a finding rests on, and what of it was read."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from swarm.errors import StoreError
from swarm.inspect.data.bounds import page, short
from swarm.inspect.data.ground import ground
from swarm.inspect.data.node import missing
from swarm.inspect.look import Look, Unknown
from swarm.source import Source, Span

_CHARS = 6_000
_MOST_CHARS = 40_000
_LINE_CHARS = 400  # that a piece may begin earlier, to begin with a line
_MARKS = 500
_NAMED = 20  # findings of one mark
_CLAIMS = 1_000
_LONGEST = 50_000  # characters of a quote, within which one is looked for that began before


def source(look: Look, id: str, at: int = 0, chars: int = _CHARS) -> dict[str, Any]:  # noqa: A002
    """So many characters of a source, from the line of the character `at` on, to the end of a line. Places are
    characters of the source; `from` and `to` of a mark are indexes into `text` as JavaScript counts.

    Raises:
        Unknown: the run has no such source.
    """
    look.fresh()
    known = _known(look, id)
    at, chars = page(at, max(chars, 1), _MOST_CHARS)
    start = min(at, known.chars)
    end = min(known.chars, start + chars)
    num, findings = _in_graph(look, known.id)
    told: dict[str, Any] = {
        "id": known.id, "path": known.path, "media": known.media, "chars": known.chars, "findings": findings,
        "start": start, "end": end, "line": None, "page": None, "text": None, "marks": [], "marks_total": 0,
        "claims": {},
    }  # fmt: skip
    try:
        start, text = _text(look, known, start, end)
        place = look.library.locate(Span(known.id, start, end), known.path)
    except StoreError:
        return told | {"missing": missing(known.path), "reads": _reads(look, known, start, end)}
    marks, total = _marks(look, num, start, start + len(text)) if num else ([], 0)
    return told | {
        "start": start, "end": start + len(text), "line": place.line, "page": place.page, "text": text,
        "marks": _indexed(marks, start, text), "marks_total": total, "claims": _claims(look, marks),
        "reads": _reads(look, known, start, start + len(text)),
    }  # fmt: skip


def _known(look: Look, id_: str) -> Source:
    """A source of the corpus or of the graph, by its id or its path."""
    corpus = look.follower.plan.corpus
    known = ground(look)
    if corpus is not None and known is not None and (number := known.number.get(id_)) is not None:
        return corpus.sources[number]
    row = look.graph.row(id_) if id_ else None
    if row is None or row.kind != "source":
        raise Unknown(f"the run has no source {id_[:80]!r}: look for it in the list of sources")
    held = look.library.source(row.id)
    chars = held.chars if held is not None else 0
    return Source(id=row.id, path=row.text or row.id, media=held.media if held else "", chars=chars, bytes=0)


def _in_graph(look: Look, id_: str) -> tuple[int, int]:
    """The number of a source in the graph, 0 where nothing rests on it, and how many findings do."""
    row = look.graph.row(id_)
    if row is None:
        return 0, 0
    known = ground(look)
    if known is not None and (number := known.number.get(id_)) is not None:
        return row.num, int(known.where.findings[number])
    sql = "SELECT count(DISTINCT finding) FROM evidence WHERE source = ?"
    return row.num, int(look.graph.database.read(sql, (row.num,))[0][0])


def _text(look: Look, known: Source, start: int, end: int) -> tuple[int, str]:
    """The text from the beginning of a line to the end of one, where lines are no longer than usual."""
    low, high = max(0, start - _LINE_CHARS), min(known.chars, end + _LINE_CHARS)
    text = look.library.text(Span(known.id, low, high))
    if start > 0 and (line := text.rfind("\n", 0, start - low)) >= 0:
        start = low + line + 1
    if end < known.chars and (line := text.find("\n", end - low)) >= 0:
        end = low + line + 1
    return start, text[start - low : end - low]


def _marks(look: Look, num: int, start: int, end: int) -> tuple[list[dict[str, Any]], int]:
    """What findings rest on in a piece, by where it begins; each stretch once, with all findings that rest on it.
    A finding goes by the one that stands for it."""
    sql = (
        "SELECT e.start, e.end, n.id, lead.id FROM evidence AS e JOIN nodes AS n ON n.num = e.finding "
        "LEFT JOIN edges AS same ON same.source = n.num AND same.kind = 4 "
        "LEFT JOIN nodes AS lead ON lead.num = same.target AND lead.state = 'live' "
        "WHERE e.source = ? AND e.start >= ? AND e.start < ? AND e.end > ? AND n.state = 'live' "
        "ORDER BY e.start, e.end, n.num"
    )
    found: dict[tuple[int, int], dict[str, None]] = {}
    for begin, stop, id_, lead in look.graph.database.read(sql, (num, start - _LONGEST, end, start)):
        found.setdefault((begin, stop), {})[lead or id_] = None
    marks = [
        {"start": begin, "end": stop, "findings": list(ids)[:_NAMED], "total": len(ids)}
        for (begin, stop), ids in list(found.items())[:_MARKS]
    ]
    return marks, len(found)


def _claims(look: Look, marks: list[dict[str, Any]]) -> dict[str, str]:
    """What the findings say that are named with marks."""
    ids = list(dict.fromkeys(id_ for mark in marks for id_ in mark["findings"]))[:_CLAIMS]
    return {row.id: short(row.text) for row in look.graph.known(ids)}


def _indexed(marks: list[dict[str, Any]], start: int, text: str) -> list[dict[str, Any]]:
    """Marks with their places in the text, as far as they lie in it, in UTF-16."""
    wide = [place for place, character in enumerate(text) if character > "\uffff"] if not text.isascii() else []
    for mark in marks:
        low = min(max(mark["start"] - start, 0), len(text))
        high = min(max(mark["end"] - start, 0), len(text))
        mark["from"], mark["to"] = low + _before(wide, low), high + _before(wide, high)
    return marks


def _before(wide: list[int], place: int) -> int:
    return bisect_right(wide, place - 1)


def _reads(look: Look, known: Source, start: int, end: int) -> list[dict[str, Any]]:
    """What became of each stretch of a piece."""
    line = ground(look)
    if line is None or (number := line.number.get(known.id)) is None:
        return []
    return [
        {"start": begin, "end": stop, "state": state} for begin, stop, state in line.stretches(number, start, end)
    ]
