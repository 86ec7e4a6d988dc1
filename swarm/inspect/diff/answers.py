"""Two answers, held against each other: sentence by sentence and, of tables, cell by cell.

Sentences are the same where they say the same as far as words can tell (`swarm/graph/alike.py`), and reworded
where they share most of their words. Whether one is better is not said: no program can tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from swarm.claims import read_claim
from swarm.graph.alike import same
from swarm.inspect.diff.parts import Answers, CellPair, Cells, Sentence
from swarm.inspect.why.match import sentences_of
from swarm.task import Answer
from swarm.terms import question_terms

MOST = 400
"""Sentences of one answer that are compared: each with each."""
_REWORDED = 0.5  # of the words of both, from which two sentences are shown as one in other words


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    places: frozenset[tuple[str, int, int]]
    words: frozenset[str]
    meaning: tuple[str, ...]


def compared(a: Answer | None, b: Answer | None, limit: int) -> Answers:
    """Two answers; None: there is none."""
    said = _said(a), _said(b)
    one, other = said[0][:MOST], said[1][:MOST]
    pairs = _same(one, other)
    left_a = [place for place in range(len(one)) if place not in pairs]
    left_b = [place for place in range(len(other)) if place not in set(pairs.values())]
    reworded = _reworded(one, other, left_a, left_b)
    taken = {place for place, _, _ in reworded}, {place for _, place, _ in reworded}
    only_a = [one[place].text for place in left_a if place not in taken[0]]
    only_b = [other[place].text for place in left_b if place not in taken[1]]
    return Answers(
        short_a=(a.short or "") if a is not None else "",
        short_b=(b.short or "") if b is not None else "",
        same=len(pairs),
        reworded=tuple(_pair(one[x], other[y], like) for x, y, like in reworded[:limit]),
        more_reworded=max(0, len(reworded) - limit),
        only_a=tuple(only_a[:limit]),
        more_only_a=max(0, len(only_a) - limit),
        only_b=tuple(only_b[:limit]),
        more_only_b=max(0, len(only_b) - limit),
        uncompared=sum(max(0, len(every) - MOST) for every in said),
        cells=_cells(a, b, limit),
    )


def sentences(answer: Answer | None) -> int:
    """How many sentences an answer has."""
    return len(_texts(answer))


def _texts(answer: Answer | None) -> list[tuple[str, tuple[int, ...]]]:
    if answer is None or answer.cells:
        return []
    if answer.statements:
        return [(one.text, one.citations) for one in answer.statements]
    return [(text, ()) for text in sentences_of(answer.text)]


def _said(answer: Answer | None) -> list[_Said]:
    found = []
    for text, numbers in _texts(answer):
        assert answer is not None
        cited = (answer.citations[number] for number in numbers)
        found.append(
            _Said(
                text,
                frozenset((one.source_id, one.start, one.end) for one in cited),
                frozenset(question_terms(text)),
                tuple(sorted(read_claim(text).words)),
            )
        )
    return found


def _same(one: Sequence[_Said], other: Sequence[_Said]) -> dict[int, int]:
    """The places of sentences that say the same, each once."""
    known: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, said in enumerate(other):
        known[said.meaning].append(place)
    found: dict[int, int] = {}
    for place, said in enumerate(one):
        for at, candidate in enumerate(known[said.meaning]):
            if said.text == other[candidate].text or same(said.text, other[candidate].text):
                found[place] = known[said.meaning].pop(at)
                break
    return found


def _reworded(
    one: Sequence[_Said], other: Sequence[_Said], left_a: Sequence[int], left_b: Sequence[int]
) -> list[tuple[int, int, float]]:
    """Pairs of sentences that share most of their words, the likest first, each sentence once."""
    found = [
        (like, x, y)
        for x in left_a
        for y in left_b
        if (like := _likeness(one[x].words, other[y].words)) >= _REWORDED
    ]
    found.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    pairs: list[tuple[int, int, float]] = []
    taken: tuple[set[int], set[int]] = set(), set()
    for like, x, y in found:
        if x not in taken[0] and y not in taken[1]:
            taken[0].add(x)
            taken[1].add(y)
            pairs.append((x, y, like))
    return pairs


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def _pair(one: _Said, other: _Said, like: float) -> Sentence:
    return Sentence(
        a=one.text, b=other.text, likeness=round(like, 3), same_words_cited=bool(one.places & other.places)
    )


def _cells(a: Answer | None, b: Answer | None, limit: int) -> Cells:
    """The cells of two tables by item and question."""
    one, other = (
        {(cell.item, cell.question): cell.text for cell in side.cells} if side else {} for side in (a, b)
    )
    pairs = [
        CellPair(item=item, question=question, a=one.get((item, question), ""), b=other.get((item, question), ""))
        for item, question in dict.fromkeys([*one, *other])
    ]
    unlike = [pair for pair in pairs if not _one(pair)]
    differ = [pair for pair in unlike if pair.a and pair.b]
    only_a, only_b = [pair for pair in unlike if not pair.b], [pair for pair in unlike if not pair.a]
    return Cells(
        same=len(pairs) - len(unlike),
        differ=len(differ),
        only_a=len(only_a),
        only_b=len(only_b),
        some=tuple([*differ, *only_a, *only_b][:limit]),
    )


def _one(pair: CellPair) -> bool:
    return pair.a == pair.b or (bool(pair.a and pair.b) and same(pair.a, pair.b))
