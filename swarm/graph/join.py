"""Merging: how a part comes into a graph, so that order, repetition and partition make no difference.

What is reported only grows: spans under findings, findings under slices. A removed source is a fact too, which comes
before all evidence from it. What else a graph shows (who stands for whom, the tree, what is disputed) is derived
from these facts here, as they come, and a little of it changes with each. Shapiro et al. 2011, "Conflict-free
replicated data types". This module calls no model.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from swarm.graph import alike, tree
from swarm.graph.identity import entity_id, name_of, question_id
from swarm.graph.nodes import Part, Removal, Summary, Verdict
from swarm.graph.rows import COMPATIBLE, EDGES, GONE, LIVE, SAME, Row, Rows
from swarm.names import names
from swarm.source import Source
from swarm.task import Finding, Report, Slice

_ENTITIES = 8  # of one finding
_SUPPORTS, _ABOUT, _FROM = EDGES["supports"], EDGES["about"], EDGES["derived_from"]
_VERDICTS = {
    "same": SAME, "compatible": COMPATIBLE, "contradicts": EDGES["contradicts"], "supersedes": EDGES["supersedes"],
}  # fmt: skip


def merge(rows: Rows, parts: Iterable[Part]) -> None:
    """Join parts into the graph of `rows`."""
    for part in parts:
        match part:
            case Report():
                _report(rows, part)
            case Source():
                _source(rows, part)
            case Slice():
                _slice(rows, part)
            case Verdict():
                _verdict(rows, part)
            case Removal():
                _removal(rows, part)
            case Summary():
                _plant(rows)
                rows.flush()
                _summarise(rows, part)
    _plant(rows)


# Sources and slices


def _source(rows: Rows, source: Source) -> None:
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
        _plant(rows)
        rows.flush()
        rows.paths[row.num] = path
        _replace_all(rows, row.num)


def _slice(rows: Rows, slice_: Slice) -> None:
    def change(known: dict[str, Any]) -> None:
        known["spans"] = [list(span) for span in slice_.spans]
        known["round"], known["item"] = slice_.round, slice_.item

    num = _outcome(rows, slice_.id, slice_.question, change)
    if slice_.parent is not None:
        rows.link(num, EDGES["depends_on"], [rows.number(slice_.parent, "slice")])


def _outcome(rows: Rows, id_: str, question: str, change: Callable[[dict[str, Any]], None]) -> int:
    """Change what is known of a slice; its fact is what is known after."""
    row = rows.find(id_)
    known: dict[str, Any] = json.loads(row.more) if row and row.more else {}
    if row is not None and row.state == LIVE:
        rows.drop_fact("slice", id_, row.text, row.more)
    before = len(known.get("rejected", ()))
    change(known)
    if _rests_on_removed(rows, known):
        known["summary"] = ""
        if row is not None:
            _drop_questions(rows, row)
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


def _rests_on_removed(rows: Rows, known: dict[str, Any]) -> bool:
    """Whether all that a slice read was removed."""
    sources = {span[0] for span in known.get("spans", ())}
    return bool(sources and rows.removed) and all(rows.number(id_, "source") in rows.removed for id_ in sources)


def _drop_questions(rows: Rows, slice_: Row) -> None:
    """Take back the questions that a slice raised."""
    rows.flush()
    for num in rows.sources(slice_.num, _FROM):
        row = rows.node(num)
        if row.kind == "question":
            rows.execute("DELETE FROM edges WHERE source = ? AND kind = ? AND target = ?", (num, _FROM, slice_.num))
            rows.drop_fact("reported", slice_.id, row.id)
            if not rows.targets(num, _FROM) and not rows.sources(num, EDGES["answers"]):
                rows.delete(row)


# Reports


def _report(rows: Rows, report: Report) -> None:
    failed = report.failure is not None

    def change(known: dict[str, Any]) -> None:
        known["failed"] = failed and known.get("failed", True)
        known["rejected"] = sorted({*report.rejected, *known.get("rejected", ())})
        known["summary"] = max(report.summary, known.get("summary", ""))
        known["echoed"] = max(report.echoed, known.get("echoed", 0))

    slice_ = _outcome(rows, report.slice, report.question, change)
    for finding in report.findings:
        before = rows.find(finding.id)
        num = _finding(rows, before, finding)
        if before is None:
            rows.pending.edges.append((num, _FROM, slice_))
            rows.add_fact("reported", report.slice, finding.id)
        else:
            _reported(rows, slice_, report.slice, num, finding.id)
    raised = report.open_questions
    if raised and rows.removed and _rests_on_removed(rows, json.loads(rows.node(slice_).more or "{}")):
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
    return {"f": "finding", "q": "question", "d": "decision", "a": "artifact", "e": "entity"}.get(id_[:1], "finding")


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
    if not spans and row is None:
        return rows.insert(finding.id, "finding", "", state=GONE)
    if not spans:
        rows.update(row.num, state=GONE)
        return row.num
    return _new_finding(rows, row, finding, spans)


def _new_finding(rows: Rows, row: Row | None, finding: Finding, spans: list[tuple[int, int, int]]) -> int:
    fields = [finding.subject, finding.attribute, finding.value, finding.unit, finding.time]
    more = json.dumps(fields, ensure_ascii=False) if any(fields) else None
    rank = tree.rank(finding.id)
    place = min(_place(rows, span, rank) for span in spans)
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
    slot = alike.slot_key(facts, rows.graph)
    if slot is not None:
        new.slots.append((slot, facts.when.start, rank, num))
        if facts.slot is None:
            new.prose.add(slot)
    keys = alike.keys(facts, rows.graph)
    met = row is not None or any(key in new.bands or _is_taken(rows, key) for key in keys)
    new.alike += [(key, rank, num) for key in keys]
    new.bands.update(keys)
    if met:
        _settle(rows, [(rank, num)], arrived=num)
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
    place = min(_place(rows, span, rank) for span in spans)
    if row.place is None or place < row.place:
        _move(rows, row, rank, place)


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


def source_id(rows: Rows, num: int) -> str:
    known = rows.ids.get(num)
    if known is None:
        known = rows.ids[num] = rows.node(num).id
    return known


# Places in the tree


def _plant(rows: Rows) -> None:
    """Give the new findings their places in the tree."""
    if rows.seedlings:
        new, rows.seedlings = sorted(rows.seedlings), []
        tree.add_all(rows, new)


def _place(rows: Rows, span: tuple[int, int, int], rank: int) -> bytes:
    path = rows.paths.get(span[0])
    if path is None:
        path = rows.paths[span[0]] = rows.node(span[0]).text
    return tree.place_of(path, source_id(rows, span[0]), span[1], rank)


def _move(rows: Rows, row: Row, rank: int, place: bytes) -> None:
    _plant(rows)
    rows.update(row.num, place=place)
    if row.place is not None and not rows.targets(row.num, _SUPPORTS):
        tree.take(rows, row.place, rank, spoil=False)
        tree.add(rows, row.num, place, rank, tree.mass(row.text))


def _replace_all(rows: Rows, source: int) -> None:
    """The path of a source became known, or another: its findings stand elsewhere."""
    for (num,) in list(rows.execute("SELECT DISTINCT finding FROM evidence WHERE source = ?", (source,))):
        row = rows.node(num)
        rank = tree.rank(row.id)
        spans = rows.execute("SELECT source, start, end FROM evidence WHERE finding = ?", (num,))
        place = min(_place(rows, span, rank) for span in list(spans))
        if place != row.place:
            _move(rows, row, rank, place)


# Who stands for whom


def _settle(rows: Rows, queue: list[tuple[int, int]], arrived: int | None = None) -> None:
    """Decide for the findings in the queue, in the order of their hashes, who stands for them."""
    _plant(rows)
    rows.flush()
    heapq.heapify(queue)
    while queue:
        rank, num = heapq.heappop(queue)
        row = rows.node(num)
        if row.state != LIVE:
            continue
        mine = facts_of(row)
        before = rows.targets(num, _SUPPORTS)
        leader = next((other for other in _alike(rows, row, rank, mine) if not rows.targets(other, _SUPPORTS)), None)
        if leader is not None and before == [leader]:
            continue
        was_leader = not before and num != arrived
        rows.unlink(num, _SUPPORTS)
        rows.folded += (leader is not None) - bool(before)
        if leader is not None:
            rows.link(num, _SUPPORTS, [leader])
            if was_leader:
                if row.place is not None:
                    tree.take(rows, row.place, rank, spoil=False)
                for follower in rows.sources(num, _SUPPORTS):
                    heapq.heappush(queue, (tree.rank(rows.node(follower).id), follower))
        elif not was_leader:
            assert row.place is not None
            tree.add(rows, num, row.place, rank, tree.mass(row.text))
            for other in _alike(rows, row, rank, mine, later=True):
                heapq.heappush(queue, (tree.rank(rows.node(other).id), other))
        if num == arrived:
            arrived = None


def _alike(rows: Rows, row: Row, rank: int, mine: alike.Facts, *, later: bool = False) -> Iterable[int]:
    """Findings that say the same and come before this one in the order of hashes (or `later`), in that order."""
    sign = ">" if later else "<"
    found: dict[int, int] = {}
    for key in alike.keys(mine, rows.graph):
        sql = f"SELECT rank, num FROM alike WHERE band = ? AND rank {sign} ? ORDER BY rank"  # noqa: S608
        found.update((num, other) for other, num in rows.execute(sql, (key, rank)))
    judged = set()
    for num in (*rows.targets(row.num, SAME), *rows.sources(row.num, SAME)):
        other = rows.node(num)
        other_rank = tree.rank(other.id)
        if other.state == LIVE and (other_rank > rank if later else other_rank < rank):
            found[num] = other_rank
            judged.add(num)
    for num in sorted(found, key=lambda num: (found[num], num)):
        if num in judged or alike.say_the_same(mine, facts_of(rows.node(num))):
            yield num


def facts_of(row: Row) -> alike.Facts:
    return _facts(row.text, row.more)


@lru_cache(maxsize=8_192)
def _facts(text: str, more: str | None) -> alike.Facts:
    fields = json.loads(more) if more else [None] * 5
    return alike.facts_of(text, *fields)


# Summaries


def _summarise(rows: Rows, summary: Summary) -> None:
    """Put a summary on its branch of the tree. It is passed over where no branch holds all that it covers: it is no
    fact, and is written again when it is needed."""
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
            _settle(rows, [(tree.rank(rows.node(num).id), num) for num in (one, other)])


_READING = "SELECT id FROM nodes WHERE kind = 'slice' AND state = 'live' AND num BETWEEN ? AND ? AND more LIKE ?"


def _removal(rows: Rows, removal: Removal) -> None:
    _plant(rows)
    rows.flush()
    num = rows.number(removal.source, "source")
    if num in rows.removed:
        return
    row = rows.node(num)
    if row.state == LIVE:
        rows.drop_fact("source", row.id, row.text, *json.loads(row.more or "null"))
    rows.add_fact("removed", row.id)
    rows.update(num, state=GONE, text="", more=None)
    rows.removed.add(num)
    rows.paths[num] = ""
    cited: dict[int, list[tuple[int, int, float]]] = {}
    for finding, *span in rows.execute("SELECT finding, start, end, relevance FROM evidence WHERE source = ?", (num,)):
        cited.setdefault(finding, []).append((span[0], span[1], span[2]))
    rows.execute("DELETE FROM evidence WHERE source = ?", (num,))
    for finding, spans in cited.items():
        _unlearn(rows, finding, removal.source, spans)
    for slice_ in list(rows.execute(_READING, (rows.low, rows.high, f"%{json.dumps(removal.source)[1:-1]}%"))):
        _outcome(rows, slice_[0], "", lambda _: None)


def _unlearn(rows: Rows, finding: int, source: str, spans: list[tuple[int, int, float]]) -> None:
    row = rows.node(finding)
    for start, end, relevance in spans:
        rows.drop_fact("cites", row.id, source, start, end, relevance)
    rank = tree.rank(row.id)
    left = list(rows.execute("SELECT source, start, end, relevance FROM evidence WHERE finding = ?", (finding,)))
    if left:
        rows.update(finding, relevance=max(span[3] for span in left))
        place = min(_place(rows, span[:3], rank) for span in left)
        if place != row.place:
            _move(rows, row, rank, place)
        return
    facts = facts_of(row)
    stands = not rows.targets(finding, _SUPPORTS)
    followers = rows.sources(finding, _SUPPORTS)
    rows.unlink(finding, _SUPPORTS)
    entities = rows.targets(finding, _ABOUT)
    rows.unlink(finding, _ABOUT)
    for entity in entities:
        if not rows.sources(entity, _ABOUT):
            rows.delete(rows.node(entity))
    for key in alike.keys(facts, rows.graph):
        rows.execute("DELETE FROM alike WHERE band = ? AND rank = ? AND num = ?", (key, rank, finding))
    slot = alike.slot_key(facts, rows.graph)
    if slot is not None:
        rows.execute("DELETE FROM slots WHERE slot = ? AND start = ? AND rank = ?", (slot, facts.when.start, rank))
    rows.unindex(finding)
    if stands and row.place is not None:
        tree.take(rows, row.place, rank, spoil=True)
    rows.update(finding, state=GONE, text="", more=None, place=None, relevance=0.0)
    rows.findings -= 1
    rows.folded -= not stands
    _settle(rows, [(tree.rank(rows.node(follower).id), follower) for follower in followers])


__all__ = ["merge"]

