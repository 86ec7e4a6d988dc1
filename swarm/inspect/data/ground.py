"""How far a run came in its corpus: all sources laid end to end, and what became of each stretch of that line.

The sums are those of the answer's ledger (`coordinator/finish.py`): a character counts as read when it was read
for all that was asked at first; of work, what was given to a sub-agent does. Columns of numbers, so that a million
spans are told in a second. This module draws nothing.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from swarm.inspect.look import Look
from swarm.inspect.plan import Plan
from swarm.source import Source

Numbers = NDArray[np.int64]
Amounts = NDArray[np.float64]

UNREAD, READ, SEARCHED, PLANNED, FAILED = range(5)
STATES: Final = ("unread", "read", "skipped", "planned", "failed")
"""Of text. `skipped`: it counts as read, but a search found nothing there, and no reader was asked. `planned` is
yet to be read, or being read; `failed` is what failed or was left alone."""
_BEFORE: Final = (FAILED, PLANNED, UNREAD, READ, SEARCHED)
"""What a character counts as that several slices hold: the first of these that one of them is."""
_LETTERS: Final = np.array(list(".os-!"))
BINS: Final = 120


class Spans:
    """The spans of all slices on the line, which only grow in number. `owner` is the place of the slice in the
    plan, and `first` whether that is of the first round."""

    def __init__(self, plan: Plan) -> None:
        sources = plan.corpus.sources if plan.corpus is not None else ()
        self.sources = sources
        self.number = {source.id: number for number, source in enumerate(sources)}
        self.begins: Numbers = np.concatenate(([0], np.cumsum([one.chars for one in sources], dtype=np.int64)))
        self.starts, self.ends, self.owner = array("q"), array("q"), array("q")
        self.first = array("b")

    def grow(self, plan: Plan) -> None:
        for place, seen in enumerate(islice(plan.slices.values(), len(self.first), None), len(self.first)):
            self.first.append(seen.slice.round == 1)
            for span in seen.slice.spans:
                if (number := self.number.get(span.source)) is not None:
                    at = int(self.begins[number])
                    self.starts.append(at + span.start)
                    self.ends.append(at + min(span.end, self.sources[number].chars))
                    self.owner.append(place)


@dataclass(frozen=True, slots=True)
class Cited:
    """What findings rest on: stretches of the line that are apart and in order, what they come to up to each of
    their ends, and how many findings rest on each source. `last` is the number of the last finding."""

    starts: Numbers
    ends: Numbers
    sums: Numbers
    findings: Numbers
    last: int

    def upto(self, at: Amounts) -> Amounts:
        """Characters that are cited before places on the line."""
        if not len(self.starts):
            return np.zeros(len(at))
        return np.interp(at, np.ravel((self.starts, self.ends), "F"), self._heights())

    def _heights(self) -> Amounts:
        before = self.sums - (self.ends - self.starts)
        return np.ravel((before, self.sums), "F").astype(np.float64)


@dataclass(frozen=True, slots=True)
class Ground:
    """`edges` cut the line into stretches, which are `states[n]` from `edges[n]` to `edges[n + 1]`; every source
    begins at one. `sums` are characters by state up to each edge. `by_source` has a row for each source and a
    column for each state; `cited` is by source."""

    sources: tuple[Source, ...]
    number: dict[str, int]
    begins: Numbers
    edges: Numbers
    states: NDArray[np.int8]
    sums: Numbers
    by_source: Numbers
    cited: Numbers
    where: Cited

    def stretches(self, number: int, start: int, end: int) -> list[tuple[int, int, str]]:
        """What became of a part of a source, in characters of it."""
        at = int(self.begins[number])
        low = max(0, int(np.searchsorted(self.edges, at + start, "right")) - 1)
        high = int(np.searchsorted(self.edges, at + end, "left"))
        found: list[tuple[int, int, str]] = []
        for place in range(low, min(high, len(self.states))):
            begin = max(start, int(self.edges[place]) - at)
            stop = min(end, int(self.edges[place + 1]) - at)
            state = STATES[self.states[place]]
            if found and found[-1][2] == state:
                found[-1] = (found[-1][0], stop, state)
            elif begin < stop:
                found.append((begin, stop, state))
        return found

    def bins(self, numbers: list[int]) -> list[str]:
        """Sources as `BINS` letters each: of a stretch the state that most of it is in, but a failure is never
        lost in what is around it."""
        begin = self.begins[numbers].astype(np.float64)
        long = self.begins[np.array(numbers, np.int64) + 1] - begin
        at = (begin[:, None] + long[:, None] * (np.arange(BINS + 1) / BINS)[None, :]).ravel()
        amounts = np.stack([self._within(np.interp(at, self.edges, sums)) for sums in self.sums.T])
        cited = self._within(self.where.upto(at))
        state = np.argmax(amounts, axis=0)
        state[amounts[FAILED] > 1e-6] = FAILED
        letters = _LETTERS[state]
        letters[(state == READ) & (cited > 1e-6)] = "x"
        return ["".join(row) if wide > 0 else "" for row, wide in zip(letters, long, strict=True)]

    def _within(self, sums: Amounts) -> Amounts:
        return np.diff(sums.reshape(-1, BINS + 1), axis=1)


def ground(look: Look) -> Ground | None:
    """How far the run came by now; None before it has looked at its files."""
    followed = look.fresh()
    if followed.plan.corpus is None:
        return None
    spans = look.kept("spans", lambda: Spans(followed.plan), "once")
    facts = look.graph.database.read("SELECT facts, num FROM graphs WHERE run = ?", (followed.run,))
    where = look.kept(
        "cited", lambda: _cited(look, spans, None), facts, more=lambda known: _cited(look, spans, known)
    )
    return look.kept("ground", lambda: _ground(look, spans, where), (followed.version, facts))


def _ground(look: Look, spans: Spans, where: Cited) -> Ground:
    plan, task = look.follower.plan, look.follower.task
    spans.grow(plan)
    counts = _of_work(look, spans) if task is not None and task.mode == "work" else _of_reading(look, spans)
    edges, by_state = counts
    states = np.full(len(edges) - 1, UNREAD, np.int8)
    for state in reversed(_BEFORE):
        states[by_state[state] > 0] = state
    long = np.diff(edges)
    sums = np.zeros((len(edges), len(STATES)), np.int64)
    for state in range(len(STATES)):
        np.cumsum(np.where(states == state, long, 0), out=sums[1:, state])
    at = np.searchsorted(edges, spans.begins)
    cited = np.rint(np.diff(where.upto(spans.begins.astype(np.float64)))).astype(np.int64)
    by_source = np.diff(sums[at], axis=0)
    read = by_source[:, READ] + by_source[:, SEARCHED]
    return Ground(
        sources=spans.sources, number=spans.number, begins=spans.begins, edges=edges, states=states, sums=sums,
        by_source=by_source, cited=np.minimum(cited, read), where=where,
    )  # fmt: skip


Counts = tuple[Numbers, dict[int, Numbers]]
"""The edges of stretches, and of each state how many slices hold a stretch in it."""


def _of_reading(look: Look, spans: Spans) -> Counts:
    codes = _codes(look)
    owner = np.array(spans.owner, np.int64)
    starts, ends = np.array(spans.starts, np.int64), np.array(spans.ends, np.int64)
    code = np.where(np.array(spans.first, np.int8) > 0, codes, -1)[owner] if len(owner) else owner
    edges = np.unique(np.concatenate((spans.begins, starts, ends)))
    return edges, {state: _held(edges, starts[code == state], ends[code == state]) for state in _BEFORE}


def _held(edges: Numbers, starts: Numbers, ends: Numbers) -> Numbers:
    change = np.zeros(len(edges), np.int64)
    np.add.at(change, np.searchsorted(edges, starts), 1)
    np.add.at(change, np.searchsorted(edges, ends), -1)
    return np.cumsum(change)[:-1]


def _codes(look: Look) -> Numbers:
    """What the text of each slice counts as; -1 where its halves tell that."""
    followed = look.follower
    searched = _searched(look)
    waits = PLANNED if followed.live else UNREAD
    of = {"ready": waits, "running": waits, "done": READ, "failed": FAILED, "dropped": FAILED, "split": -1}
    slices = followed.plan.slices
    codes = np.fromiter((of[seen.state] for seen in slices.values()), np.int64, len(slices))
    if searched:
        hollow = np.fromiter((id_ in searched for id_ in slices), np.bool_, len(slices))
        codes[hollow & (codes == READ)] = SEARCHED
    return codes


def _searched(look: Look) -> frozenset[str]:
    """The slices in which the search found nothing."""
    followed = look.follower
    number = followed.counts.get("unmatched", 0)
    if not number:
        return frozenset()
    records = followed.opened.journal.records
    return look.kept(
        "searched",
        lambda: frozenset(id_ for one in records(followed.run, "unmatched") for id_ in one.body["slices"]),
        number,
    )


def _of_work(look: Look, spans: Spans) -> Counts:
    """A source that was given to a sub-agent counts as read, whole."""
    followed = look.follower
    given = np.full(len(spans.sources), -1, np.int64)
    for seen in followed.plan.slices.values():
        for span in seen.slice.spans:
            if (number := spans.number.get(span.source)) is None:
                continue
            if seen.begun is not None:
                given[number] = READ
            elif given[number] < 0 and followed.live and seen.state in ("ready", "running"):
                given[number] = PLANNED
    edges = np.unique(spans.begins)
    of = given[np.searchsorted(spans.begins, edges[:-1], "right") - 1]
    return edges, {state: (of == state).astype(np.int64) for state in _BEFORE}


def _cited(look: Look, spans: Spans, known: Cited | None) -> Cited:
    """What all findings rest on, or what those do that came after the ones that are known."""
    graph = look.graph
    first, last = graph.range
    if known is None:
        nothing = np.empty(0, np.int64)
        known = Cited(nothing, nothing, nothing, np.zeros(len(spans.sources), np.int64), first)
    sql = "SELECT finding, source, start, end FROM evidence WHERE finding BETWEEN ? AND ? ORDER BY finding, source"
    rows: list[Any] = graph.database.read(sql, (known.last + 1, last)) if graph.num else []
    columns = np.array(rows, np.int64).reshape(-1, 4)
    latest = int(columns[-1, 0]) if len(columns) else known.last
    sql = (
        "SELECT num, id FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = 'source' "
        "AND num BETWEEN ? AND ?"
    )
    held = {num: spans.number[id_] for num, id_ in graph.database.read(sql, graph.range) if id_ in spans.number}
    nums = np.array(sorted(held), np.int64)
    columns = columns[np.isin(columns[:, 1], nums)]
    numbers = np.array([held[num] for num in nums.tolist()], np.int64)[np.searchsorted(nums, columns[:, 1])]
    new = np.append(True, np.any(columns[1:, :2] != columns[:-1, :2], axis=1))[: len(columns)]
    at = spans.begins[numbers]
    starts, ends = _union(
        np.concatenate((known.starts, at + columns[:, 2])), np.concatenate((known.ends, at + columns[:, 3]))
    )
    findings = known.findings + np.bincount(numbers[new], minlength=len(spans.sources))
    return Cited(starts, ends, np.cumsum(ends - starts), findings, latest)


def _union(starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
    """Stretches that are apart, in order, of any that may overlap."""
    if not len(starts):
        return starts, ends
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    first = np.concatenate(([True], starts[1:] > ends[:-1]))
    last = np.concatenate((np.flatnonzero(first)[1:] - 1, [len(starts) - 1]))
    return starts[first], ends[last]
