"""What the findings on one thing come to: which contradict one another, and which hold no longer.

Findings with a subject, an attribute and a value are compared as values: different ones at overlapping times
contradict, and a later one supersedes an earlier one, which stays as history. Prose that differs in numbers, dates
or negations alone is for a model to judge, once for each pair; what it judged is a fact. All of it is derived
when it is read, from a few findings at a time. This module calls no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from swarm.claims import Claim
from swarm.graph import alike
from swarm.graph.graph import SharedGraph
from swarm.graph.rows import COMPATIBLE, EDGES, SAME, Row
from swarm.graph.twins import facts_of

MOST = 24
"""Findings of one slot that are compared: the latest."""
SERIES = 4
"""Prose that fits one pattern so often is a series (a log, a table), and no dispute."""
_CONDITIONS = frozenset("if when whenever unless until while elif else".split())
_CONTRADICTS, _SUPERSEDES = EDGES["contradicts"], EDGES["supersedes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """`kind` is contradicts (either may be named first) or supersedes (`one` holds now, `other` did before)."""

    kind: str
    one: Row
    other: Row


def relations(graph: SharedGraph, slot: int) -> list[Relation]:
    """How the findings of a slot stand to one another."""
    members = _members(graph, slot)
    if not members or len(members) > MOST:
        members = members[:MOST]
    facts = {row.num: facts_of(row) for row in members}
    if facts and next(iter(facts.values())).slot is None:
        pairs = [(one, other) for one, other in combinations(members, 2)] if len(members) <= SERIES else []
        found = [relation for pair in pairs if (relation := _judged(graph, *pair)) is not None]
        return [relation for relation in found if relation.kind in ("contradicts", "supersedes")]
    return _structured(graph, members, facts)


def _structured(graph: SharedGraph, members: list[Row], facts: dict[int, alike.Facts]) -> list[Relation]:
    """By value and time; `members` come latest first."""
    found: list[Relation] = []
    for at, one in enumerate(members):
        mine = facts[one.num]
        chained = False
        for other in members[at + 1 :]:
            theirs = facts[other.num]
            assert mine.value is not None
            assert theirs.value is not None
            if not mine.value.differs_from(theirs.value):
                continue
            judged = _judged(graph, one, other)
            if judged is not None:
                found += [judged] if judged.kind in ("contradicts", "supersedes") else []
            elif mine.when.overlaps(theirs.when):
                found.append(Relation(kind="contradicts", one=one, other=other))
            elif not chained:
                found.append(Relation(kind="supersedes", one=one, other=other))
                chained = True  # what came before that one is superseded by it
    return found


def disputed(graph: SharedGraph, limit: int | None = None) -> Iterator[Relation]:
    """The open contradictions of a graph: all of them, or those found in the first `limit` slots and verdicts."""
    most = -1 if limit is None else limit
    sql = "SELECT slot FROM disputed WHERE graph = ? AND prose = 0 ORDER BY slot LIMIT ?"
    for (slot,) in graph.database.read(sql, (graph.num, most)):
        yield from (relation for relation in relations(graph, slot) if relation.kind == "contradicts")
    # by id, and not in the order of arrival: what is asked on, and what an answer shows, rests on it
    sql = (
        "SELECT source, target FROM edges INDEXED BY verdicts JOIN nodes AS one ON one.num = source "
        "JOIN nodes AS other ON other.num = target WHERE edges.kind IN (5, 6, 11, 12) AND edges.kind = 5 "
        "AND source BETWEEN ? AND ? "
        "ORDER BY min(one.id, other.id), max(one.id, other.id) LIMIT ?"
    )
    for source, target in graph.database.read(sql, (*graph.range, most)):
        rows = graph.rows([source, target])
        if len(rows) == 2 and facts_of(rows[0]).slot is None:
            relation = _judged(graph, rows[0], rows[1])
            if relation is not None and relation.kind == "contradicts":
                yield relation


def of_finding(graph: SharedGraph, row: Row) -> list[Relation]:
    """The relations that a finding is in: of its slot where it has a value, else those that a model judged."""
    fields = json.loads(row.more) if row.more else [None] * 5
    if fields[0] and fields[1] and fields[2]:
        slot = alike.slot_of(facts_of(row))
        found = relations(graph, slot) if slot is not None else []
        return [one for one in found if row.num in (one.one.num, one.other.num)]
    sql = (
        "SELECT source, target FROM edges WHERE kind IN (?1, ?2) AND source = ?3 "
        "UNION SELECT source, target FROM edges WHERE kind IN (?1, ?2) AND target = ?3"
    )
    pairs = {frozenset(pair) for pair in graph.database.read(sql, (_CONTRADICTS, _SUPERSEDES, row.num))}
    both = sorted(sorted((other.id, other) for other in graph.rows(pair)) for pair in pairs)
    judged = (_judged(graph, *(row for _, row in rows)) for rows in both if len(rows) == 2)
    return [one for one in judged if one is not None and one.kind != "none"]


def holds_now(graph: SharedGraph, row: Row) -> Row | None:
    """The finding with the latest value of the same property, where that is another and later one."""
    fields = json.loads(row.more) if row.more else [None] * 5
    if not all(fields[:3]):
        return None
    mine = facts_of(row)
    slot = alike.slot_of(mine)
    if slot is None:
        return None
    sql = "SELECT num FROM slots WHERE slot = ? AND start > ? ORDER BY start DESC, rank LIMIT 1"
    for (num,) in graph.database.read(sql, (alike.slot_key(slot, graph.num), mine.when.start)):
        for latest in graph.rows([graph.leader(num)]):
            theirs = facts_of(latest)
            if mine.value is not None and theirs.value is not None and mine.value.differs_from(theirs.value):
                return latest
    return None


def to_judge(graph: SharedGraph, limit: int) -> list[tuple[Row, Row]]:
    """Pairs in prose that may contradict and that no model has judged, at most `limit`."""
    pairs: list[tuple[Row, Row]] = []
    sql = "SELECT slot FROM disputed WHERE graph = ? AND prose = 1 ORDER BY slot"
    for (slot,) in graph.database.read(sql, (graph.num,)):
        members = _members(graph, slot)
        if not 1 < len(members) <= SERIES:
            continue
        for one, other in combinations(sorted(members, key=lambda row: row.id), 2):
            if (
                may_contradict(facts_of(one).claim, facts_of(other).claim)
                and verdict_on(graph, one, other) is None
            ):
                pairs.append((one, other))
                if len(pairs) == limit:
                    return pairs
    return pairs


def may_contradict(one: Claim, other: Claim) -> bool:
    """Whether two claims of one theme differ in a way that excludes one: in a negation, or in one number or
    date."""
    if _CONDITIONS.intersection(one.words):
        return False  # what is said of a case is not said of another
    if sorted(one.numbers) == sorted(other.numbers):
        return one.guard != other.guard
    differing = sum(a != b for a, b in zip(one.numbers, other.numbers, strict=False))
    return len(one.numbers) == len(other.numbers) and differing == 1


def _members(graph: SharedGraph, slot: int) -> list[Row]:
    """The findings of a slot, latest first, each claim once."""
    sql = (
        "SELECT num FROM slots WHERE slot = ? AND NOT EXISTS "
        "(SELECT 1 FROM edges WHERE source = slots.num AND kind = ?) ORDER BY start DESC, rank LIMIT ?"
    )
    return graph.rows(
        num for (num,) in graph.database.read(sql, (alike.slot_key(slot, graph.num), EDGES["supports"], MOST + 1))
    )


def _judged(graph: SharedGraph, one: Row, other: Row) -> Relation | None:
    """What a model judged of two findings; None where none was asked."""
    verdict = verdict_on(graph, one, other)
    if verdict is None:
        return None
    kind, source = verdict
    if kind == _SUPERSEDES:
        later, earlier = (one, other) if source == one.num else (other, one)
        return Relation(kind="supersedes", one=later, other=earlier)
    return Relation(kind="contradicts" if kind == _CONTRADICTS else "none", one=one, other=other)


def verdict_on(graph: SharedGraph, one: Row, other: Row) -> tuple[int, int] | None:
    """The kind of edge and its source; of several verdicts one that settles comes before one that does not."""
    sql = (
        "SELECT kind, source FROM edges WHERE kind IN (?, ?, ?, ?) "
        "AND ((source = ? AND target = ?) OR (source = ? AND target = ?)) ORDER BY kind DESC, source LIMIT 1"
    )
    kinds = (_CONTRADICTS, _SUPERSEDES, SAME, COMPATIBLE)
    rows = graph.database.read(sql, (*kinds, one.num, other.num, other.num, one.num))
    return (rows[0][0], rows[0][1]) if rows else None
