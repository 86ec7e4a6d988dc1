"""Merging: how a part comes into a graph, so that order, repetition and partition make no difference.

What is reported only grows: spans under findings, findings under slices. A removed source is a fact too, which
comes before all evidence from it. What else a graph shows (who stands for whom, the tree, what is disputed) is
derived from these facts here, as they come, and a little of it changes with each. Shapiro et al. 2011,
"Conflict-free replicated data types". This module calls no model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from swarm.graph import alike, tree
from swarm.graph.identity import entity_id, name_of, question_id
from swarm.graph.nodes import Part, Removal, Summary, Verdict
from swarm.graph.places import move, place_of_span, replace_all, source_id
from swarm.graph.rows import COMPATIBLE, EDGES, GONE, LIVE, SAME, Row, Rows
from swarm.graph.twins import settle
from swarm.graph.unlearn import drop_questions, remove, rests_on_removed
from swarm.names import names
from swarm.source import Source
from swarm.task import Finding, Report, Slice

_ENTITIES = 8  # of one finding
_ABOUT, _FROM = EDGES["about"], EDGES["derived_from"]
_VERDICTS = {
    "same": SAME, "compatible": COMPATIBLE, "contradicts": EDGES["contradicts"], "supersedes": EDGES["supersedes"],
}  # fmt: skip


class Joined(Rows):
    """Rows that parts are joined into, in one transaction. `close` gives new findings their places in the tree."""

    def close(self) -> None:
        tree.plant(self)
        super().close()


def merge(rows: Rows, parts: Iterable[Part]) -> None:
    """Join parts into the graph of `rows`."""
    slices: dict[str, Slice] = {}  # wait for their reports, which change the same row
    for part in parts:
        match part:
            case Report():
                _report(rows, part, slices.pop(part.slice, None))
            case Source():
                _source(rows, part)
            case Slice():
                if (same := slices.get(part.id)) is not None:
                    _slice(rows, same)
                slices[part.id] = part
            case Verdict():
                _verdict(rows, part)
            case Removal():
                remove(rows, part, _refresh)
            case Summary():
                tree.plant(rows)
                rows.flush()
                _summarise(rows, part)
    for slice_ in slices.values():
        _slice(rows, slice_)


# Sources and slices


def _source(rows: Rows, source: Source) -> None:
    if rows.joined.get(source.id) is source:
        return
    rows.joined[source.id] = source
    row = rows.find(source.id)
    more = [source.media, source.chars, source.bytes]
    path = source.path
    if row is None:
        num = rows.insert(source.id, "source", path, more=json.dumps(more))
        rows.add_fact("source", source.id, path, *more)
        rows.paths[num] = path
        return
    if row.state == GONE:
        return
    if row.state == LIVE:
        before = json.loads(row.more or "null")
        rows.drop_fact("source", source.id, row.text, *before)
        path = min(path, row.text)
        more = [max(pair) for pair in zip(more, before, strict=True)]
    rows.add_fact("source", source.id, path, *more)
    rows.update(row.num, state=LIVE, text=path, more=json.dumps(more))
    if path != row.text:
        tree.plant(rows)
        rows.flush()
        rows.paths[row.num] = path
        replace_all(rows, row.num)


def _slice(rows: Rows, slice_: Slice) -> None:
    num = _outcome(rows, slice_.id, slice_.question, lambda known: _place(known, slice_))
    _succeed(rows, num, slice_)


def _place(known: dict[str, Any], slice_: Slice) -> None:
    known["spans"] = [list(span) for span in slice_.spans]
    known["round"], known["item"] = slice_.round, slice_.item


def _succeed(rows: Rows, num: int, slice_: Slice) -> None:
    if slice_.parent is not None:
        rows.link(num, EDGES["depends_on"], [rows.number(slice_.parent, "slice")])
    if slice_.needs:
        rows.link(num, EDGES["depends_on"], [rows.number(need, "slice") for need in slice_.needs])


def _outcome(rows: Rows, id_: str, question: str, change: Callable[[dict[str, Any]], None]) -> int:
    """Change what is known of a slice; its fact is what is known after."""
    row = rows.find(id_)
    known: dict[str, Any] = json.loads(row.more) if row and row.more else {}
    if row is not None and row.state == LIVE:
        rows.drop_fact("slice", id_, row.text, row.more)
    before = len(known.get("rejected", ()))
    change(known)
    if rests_on_removed(rows, known):
        known["summary"] = ""
        if row is not None:
            drop_questions(rows, row)
    rows.rejected += len(known.get("rejected", ())) - before
    text = max(question, row.text if row else "")
    more = json.dumps(known, sort_keys=True)
    rows.add_fact("slice", id_, text, more)
    if row is None:
        num = rows.insert(id_, "slice", text, more=more)
    else:
        num = row.num
        rows.update(num, state=LIVE, text=text, more=more)
        if text != row.text:
            rows.unlink(num, EDGES["answers"])
    if question and (row is None or text != row.text):
        rows.pending.edges.append((num, EDGES["answers"], rows.number(question_id(text), "question", text)))
    return num


def _refresh(rows: Rows, id_: str) -> None:
    _outcome(rows, id_, "", lambda _: None)


# Reports


def _report(rows: Rows, report: Report, of: Slice | None) -> None:
    """Join a report, together with the slice that it is of where that is at hand."""
    slice_ = _reported_slice(rows, report, of)
    for finding in report.findings:
        before = rows.find(finding.id)
        num = _finding(rows, before, finding)
        if before is None:
            rows.pending.edges.append((num, _FROM, slice_))
            rows.add_fact("reported", report.slice, finding.id)
        else:
            _reported(rows, slice_, report.slice, num, finding.id)
    raised = report.open_questions
    if raised and rows.removed and rests_on_removed(rows, json.loads(rows.node(slice_).more or "{}")):
        raised = ()
    for text in filter(str.strip, raised):
        id_ = question_id(text)
        _reported(rows, slice_, report.slice, rows.number(id_, "question", text), id_)
    for decision in report.decisions:
        num = rows.number(decision.id, "decision", decision.text)
        rows.link(num, EDGES["depends_on"], [rows.number(about, _kind_of(about)) for about in decision.about])
        _reported(rows, slice_, report.slice, num, decision.id)
    for artifact in report.artifacts:
        num = _with_more(rows, artifact.id, artifact.name, [artifact.media, artifact.ref])
        _reported(rows, slice_, report.slice, num, artifact.id)


def _reported_slice(rows: Rows, report: Report, of: Slice | None) -> int:
    if of is not None and of.question != report.question:
        _slice(rows, of)
        of = None

    def change(known: dict[str, Any]) -> None:
        if of is not None:
            _place(known, of)
        known["failed"] = report.failure is not None and known.get("failed", True)
        known["rejected"] = sorted({*report.rejected, *known.get("rejected", ())})
        known["summary"] = max(report.summary, known.get("summary", ""))
        known["echoed"] = max(report.echoed, known.get("echoed", 0))

    num = _outcome(rows, report.slice, report.question, change)
    if of is not None:
        _succeed(rows, num, of)
    return num


def _reported(rows: Rows, slice_: int, slice_id: str, num: int, id_: str) -> None:
    rows.flush()
    if rows.new_link(num, _FROM, slice_):
        rows.add_fact("reported", slice_id, id_)


def _with_more(rows: Rows, id_: str, name: str, more: list[str]) -> int:
    num = rows.number(id_, "artifact", name)
    rows.update(num, more=json.dumps(more))
    return num


def _kind_of(id_: str) -> Any:
    """The kind that an id of ours names by its first letter."""
    return {"f": "finding", "q": "question", "d": "decision", "a": "artifact", "e": "entity"}.get(
        id_[:1], "finding"
    )


def _finding(rows: Rows, row: Row | None, finding: Finding) -> int:
    """Join a finding, of which `row` is known; its number."""
    spans = []
    for span in dict.fromkeys(finding.evidence):
        source = rows.number(span.source, "source")
        if source not in rows.removed:
            spans.append((source, span.start, span.end))
    if row is not None and row.state == LIVE:
        if spans:
            _more_evidence(rows, row, finding, spans)
        return row.num
    if not spans:
        if row is None:
            return rows.insert(finding.id, "finding", "", state=GONE)
        rows.update(row.num, state=GONE)
        return row.num
    return _new_finding(rows, row, finding, spans)


def _new_finding(rows: Rows, row: Row | None, finding: Finding, spans: list[tuple[int, int, int]]) -> int:
    fields = [finding.subject, finding.attribute, finding.value, finding.unit, finding.time]
    more = json.dumps(fields, ensure_ascii=False) if any(fields) else None
    rank = tree.rank(finding.id)
    place = min(place_of_span(rows, span, rank) for span in spans)
    if row is None:
        num = rows.insert_later(finding.id, finding.claim, finding.relevance, more, place)
    else:
        num = row.num
        rows.update(num, state=LIVE, text=finding.claim, relevance=finding.relevance, more=more, place=place)
    new = rows.pending
    for source, start, end in spans:
        new.evidence.append((num, source, start, end, finding.relevance))
        rows.add_fact("cites", finding.id, source_id(rows, source), start, end, finding.relevance)
    rows.findings += 1
    new.texts.append((num, " ".join([finding.claim, *(field for field in fields[:3] if field)])))
    new.edges += [(num, _ABOUT, rows.number(entity_id(name), "entity", name)) for name in _entities(finding)]
    facts = alike.facts_of(finding.claim, *fields)
    slot = alike.slot_of(facts)
    if slot is not None:
        key = alike.slot_key(slot, rows.graph)
        new.slots.append((key, facts.when.start, rank, num))
        new.shared[key] = (slot, facts.slot is None)
    keys = alike.keys(facts, rows.graph)
    met = row is not None or any(key in new.bands or _is_taken(rows, key) for key in keys)
    new.alike += [(key, rank, num) for key in keys]
    new.bands.update(keys)
    if met:
        settle(rows, [(rank, num)], arrived=num)
    else:
        rows.seedlings.append((place, num, rank, tree.mass(finding.claim)))
    return num


def _is_taken(rows: Rows, key: int) -> bool:
    return rows.execute("SELECT 1 FROM alike WHERE band = ? LIMIT 1", (key,)).fetchone() is not None


def _more_evidence(rows: Rows, row: Row, finding: Finding, spans: list[tuple[int, int, int]]) -> None:
    rows.flush()
    changed: dict[str, Any] = {}
    for span in spans:
        before = rows.place_evidence(row.num, span, finding.relevance)
        source = source_id(rows, span[0])
        if before is not None:
            if before >= finding.relevance:
                continue
            rows.drop_fact("cites", row.id, source, span[1], span[2], before)
        rows.add_fact("cites", row.id, source, span[1], span[2], finding.relevance)
    if finding.relevance > row.relevance:
        changed["relevance"] = finding.relevance
    if finding.claim < row.text:
        changed["text"] = finding.claim
    if changed:
        rows.update(row.num, **changed)
    rank = tree.rank(row.id)
    place = min(place_of_span(rows, span, rank) for span in spans)
    if row.place is None or place < row.place:
        move(rows, row, rank, place)


def _entities(finding: Finding) -> list[str]:
    """The names in a finding, in their normal form: its subject, and those in its claim."""
    found = [*([name_of(finding.subject)] if finding.subject else []), *_named(finding.claim)]
    return list(dict.fromkeys(filter(None, found)))[:_ENTITIES]


def read_ahead(report: Report) -> None:
    """Read the claims of a report before its merge: what the store's one writer will ask for is then at hand."""
    for finding in report.findings:
        _named(finding.claim)
        alike.facts_of(
            finding.claim, finding.subject, finding.attribute, finding.value, finding.unit, finding.time
        )


@lru_cache(maxsize=16_384)
def _named(claim: str) -> tuple[str, ...]:
    return tuple(name_of(name.text) for name in names(claim) if name.sure >= 0.4)


# Summaries


def _summarise(rows: Rows, summary: Summary) -> None:
    """Put a summary on its branch of the tree. It is passed over where no branch holds all that it covers: it is
    no fact, and is written again when it is needed."""
    covered = [row for id_ in summary.covers if (row := rows.find(id_)) is not None]
    branch = tree.branch_over(rows, summary.level, covered) if len(covered) == len(summary.covers) else None
    if branch is None:
        return
    row = rows.find(summary.id)
    if row is None:
        more = {
            "level": summary.level,
            "findings": sum(_count(row) for row in covered),
            "statements": [[statement.text, list(statement.rests_on)] for statement in summary.statements],
            "covers": list(summary.covers),
        }
        num = rows.insert(summary.id, "summary", summary.text, more=json.dumps(more, ensure_ascii=False))
        rows.index(num, summary.text)
        rows.link(num, EDGES["summarises"], [row.num for row in covered])
    else:
        num = row.num
    tree.set_summary(rows, branch, num, tree.mass(summary.text))


def _count(row: Row) -> int:
    """The findings that a node stands for."""
    return int(json.loads(row.more or "{}")["findings"]) if row.kind == "summary" else 1


# Verdicts and removals


def _verdict(rows: Rows, verdict: Verdict) -> None:
    one, other = (rows.number(id_, "finding") for id_ in (verdict.one, verdict.other))
    source, target = one, other
    if verdict.judgement == "supersedes" and verdict.later == verdict.other:
        source, target = other, one
    if rows.new_link(source, _VERDICTS[verdict.judgement], target):
        rows.add_fact("verdict", verdict.one, verdict.other, verdict.judgement, verdict.later)
        rows.flush()
        if verdict.judgement == "same":
            settle(rows, [(tree.rank(rows.node(num).id), num) for num in (one, other)])
