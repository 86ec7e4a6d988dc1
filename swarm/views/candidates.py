"""What of a graph may bear on a question: found by its words, and by what those findings lead to.

Full-text search gives the seeds; from them, personalised PageRank walks over what findings are about and what
stands beside them, so that a finding is reached that shares no word with the question but a name with one that
does. The walk is the local push of Andersen, Chung and Lang 2006 ("Local graph partitioning using PageRank
vectors"): its work depends on the precision and not on the size of the graph; to begin it at the facts and names
of the question is from HippoRAG (Gutiérrez et al. 2024). The weights were chosen on the even half of three sets
of questions, see docs/graph.md. It reads rows; it knows no budgets.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass

from swarm.graph.graph import SharedGraph
from swarm.graph.identity import entity_id
from swarm.graph.rows import EDGES, Row
from swarm.graph.search import scored
from swarm.names import names

_SEEDS = 15
_MATCHES = 160  # findings whose words are compared with the question's
_SHARPNESS = 4  # the walk starts from a match with its score to this power
_DAMPING = 0.2
_EPSILON = 2e-3
_PUSHES = 300
_HUB = 120  # what more findings than this are about tells them apart too little to be followed
_NAMED = 0.6  # the share of the walk that starts from the things that the question names, against its words
_UNSAID = 0.2  # the weight of a finding about a thing that shares no word with the question
_NEIGHBOUR = 0.2
_REACHED = 4.0  # what being reached by the walk counts, against words: both are 1 at the best
_WORDS = (
    8  # the power of words: who matches best counts, and many who match half do not crowd out what was reached
)
_ABOUT = EDGES["about"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A finding and how well it bears on the question, from 0 to 1: of its words, and of the walk that came to
    it."""

    row: Row
    words: float
    reached: float

    @property
    def score(self) -> float:
        return float((self.words**_WORDS + _REACHED * self.reached) / (1 + _REACHED))


def candidates(graph: SharedGraph, about: str, limit: int) -> list[Candidate]:
    """The findings that may bear on `about`, best first, each claim once."""
    matched = [(row, score) for row, score in scored(graph, about, _MATCHES, ("finding",)) if score > 0]
    if not matched:
        return []
    best = matched[0][1]
    words = {row.num: score / best for row, score in matched}
    start = _with_names(graph, about, {row.num: (score / best) ** _SHARPNESS for row, score in matched[:_SEEDS]})
    walk = _walk(graph, start, words)
    rows = {row.num: row for row in graph.rows(walk.keys() | words.keys()) if row.kind == "finding"}
    came = {num: walk[num] - _DAMPING * start.get(num, 0.0) for num in rows if num in walk}
    most = max(came.values(), default=0.0) or 1.0
    found: dict[int, Candidate] = {}
    for num in rows:
        reached = math.sqrt(max(0.0, came.get(num, 0.0)) / most)
        one = Candidate(row=rows[num], words=words.get(num, 0.0), reached=reached)
        found[num] = one
    ordered = sorted(found.values(), key=lambda one: (-one.score, one.row.id))
    return _each_once(graph, ordered, limit)


def _each_once(graph: SharedGraph, found: list[Candidate], limit: int) -> list[Candidate]:
    """For each claim, the finding that stands for it, in the place of the best that says so."""
    chosen: dict[int, Candidate] = {}
    for one in found:
        leader = graph.leader(one.row.num)
        if leader not in chosen:
            row = one.row if leader == one.row.num else graph.rows([leader])[0]
            chosen[leader] = Candidate(row=row, words=one.words, reached=one.reached)
            if len(chosen) == limit:
                break
    return list(chosen.values())


def _with_names(graph: SharedGraph, about: str, start: dict[int, float]) -> dict[int, float]:
    """Where the walk starts: at the findings that match, and at the things that the question names."""
    total = sum(start.values())
    named = [
        row.num
        for name in names(about)
        if (row := graph.row(entity_id(name.text))) is not None and row.kind == "entity"
    ]
    share = _NAMED if named else 0.0
    weights = {num: (1 - share) * weight / total for num, weight in start.items()}
    for num in named:
        weights[num] = weights.get(num, 0.0) + share / len(named)
    return weights


def _walk(graph: SharedGraph, start: dict[int, float], words: dict[int, float]) -> dict[int, float]:
    """How much of the walk ends at each finding."""
    ends: dict[int, float] = defaultdict(float)
    waiting = dict(start)
    queue = [(-weight, num) for num, weight in start.items()]
    heapq.heapify(queue)
    steps = _Steps(graph, words)
    for _ in range(_PUSHES):
        while queue and waiting.get(queue[0][1]) != -queue[0][0]:
            heapq.heappop(queue)  # it has grown since, and waits further up
        if not queue:
            break
        num = heapq.heappop(queue)[1]
        weight = waiting.pop(num)
        ends[num] += _DAMPING * weight
        beside = steps.beside(num)
        total = sum(beside.values())
        for other, share in beside.items():
            grown = waiting.get(other, 0.0) + (1 - _DAMPING) * weight * share / total
            waiting[other] = grown
            if grown > _EPSILON:
                heapq.heappush(queue, (-grown, other))
    return ends


class _Steps:
    """Where the walk goes from a node, and how likely: from a finding to what it is about (the rarer, the
    likelier) and to the findings before and after it; from a thing to the findings about it, those before others
    that share words with the question."""

    def __init__(self, graph: SharedGraph, words: dict[int, float]) -> None:
        self._graph, self._words = graph, words
        self._findings: dict[int, list[int]] = {}

    def beside(self, num: int) -> dict[int, float]:
        sql = "SELECT target FROM edges WHERE source = ? AND kind = ?"
        things = [thing for (thing,) in self._graph.database.read(sql, (num, _ABOUT))]
        if not things:
            return {other: _UNSAID + self._words.get(other, 0.0) for other in self._about(num)}
        found: dict[int, float] = {}
        for thing in things:
            count = len(self._about(thing))
            if 1 < count <= _HUB:
                found[thing] = 1 / math.sqrt(count)
        for other in _neighbours(self._graph, num):
            found[other] = _NEIGHBOUR
        return found

    def _about(self, thing: int) -> list[int]:
        known = self._findings.get(thing)
        if known is None:
            sql = "SELECT source FROM edges WHERE target = ? AND kind = ? LIMIT ?"
            rows = self._graph.database.read(sql, (thing, _ABOUT, _HUB + 1))
            known = self._findings[thing] = [other for (other,) in rows] if len(rows) <= _HUB else []
        return known


def _neighbours(graph: SharedGraph, num: int) -> list[int]:
    """The findings before and after one, in the same source."""
    sql = (
        "SELECT (SELECT finding FROM evidence AS b WHERE b.source = e.source AND b.start < e.start "
        "ORDER BY b.start DESC LIMIT 1), (SELECT finding FROM evidence AS b WHERE b.source = e.source "
        "AND b.start > e.start ORDER BY b.start LIMIT 1) FROM evidence AS e WHERE e.finding = ? LIMIT 2"
    )
    return [other for row in graph.database.read(sql, (num,)) for other in row if other is not None]
