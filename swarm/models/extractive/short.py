"""The few words of a sentence that answer a question, where the kind of the question allows to tell.

Candidates are names, times, numbers and runs of telling words; each is measured by its kind, its distance from the
question's words and the sentence it stands in, with weights fitted on questions whose answers are known. Where
none is likely enough, nothing is said. A yes or no is never given: words alone do not tell it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swarm.models.extractive.evidence import Evidence
from swarm.models.extractive.kinds import NUMBER, TIME, Kind, kind_of
from swarm.models.extractive.query import Query
from swarm.names import names
from swarm.terms import STOP, stem

_SENTENCES = 3
_WORDS = re.compile(r"[^\W_]+(?:[.,'’\-–][^\W_]+)*%?")
_PLACE_BEFORE = frozenset("in at to from near into of on".split())
_FOCUS = re.compile(r"\b(?:which|what|how many)\s+(?:\w+\s+of\s+)?([^\W\d_]+)", re.IGNORECASE)
_LONGEST = 6  # words of a run of telling words


class Marks(NamedTuple):
    """What speaks for a candidate. `near` is the question's weight around it, by distance; `beside` whether a word
    of the question touches it, `counted` whether a number is followed by one, `focus` whether the thing asked for
    stands near, `opens` whether it begins its sentence."""

    sentence: float
    first: float
    near: float
    beside: float
    time: float
    number: float
    person: float
    place: float
    name: float
    run: float
    title: float
    words: float
    asked: float
    counted: float
    focus: float
    opens: float


WEIGHTS = Marks(
    sentence=2.29, first=0.80, near=3.38, beside=0.36, time=2.93, number=1.73, person=1.93, place=0.18,
    name=0.59, run=-0.31, title=-0.20, words=0.21, asked=-0.64, counted=0.76, focus=2.27, opens=-0.20,
)  # fmt: skip
LIKELY = 5.5
"""Score from which a candidate is said: about half of those said of SQuAD are then exactly right."""
COVERED = 0.75
"""Of the question's weight, on the page of the best sentence: with less, the answer takes more than one step."""


@dataclass(frozen=True, slots=True)
class Candidate:
    text: str
    marks: Marks


def short_answer(query: Query, found: Sequence[Evidence]) -> str | None:
    """The best candidate of the best sentences, or None."""
    if not found:
        return None
    first = max(found, key=lambda one: one.direct).signals
    if first.own + first.title + first.page < COVERED:
        return None
    best = max(candidates(query, found), key=lambda one: _score(one.marks), default=None)
    return best.text if best and _score(best.marks) >= LIKELY else None


def _score(marks: Marks) -> float:
    return sum(mark * weight for mark, weight in zip(marks, WEIGHTS, strict=True))


def candidates(query: Query, found: Sequence[Evidence]) -> Iterator[Candidate]:
    """What could be the answer, from the sentences that are the likeliest by themselves."""
    kind = kind_of(query.text)
    if kind == "choice":
        return
    ranked = sorted(found, key=lambda one: -one.direct)[:_SENTENCES]
    for rank, item in enumerate(ranked):
        yield from _of_sentence(query, kind, item, rank, ranked[0].direct)


def _of_sentence(query: Query, kind: Kind, item: Evidence, rank: int, best: float) -> Iterator[Candidate]:
    tokens = [(match.group(), *match.span()) for match in _WORDS.finditer(item.text)]
    stems = [stem(word) for word, _, _ in tokens]
    weights = [query.weights.get(one, 0.0) for one in stems]
    focus = focus_of(query.text)
    people = {name.text for name in names(item.text) if name.sure > 0.3}
    for start, end, sort in _spans(item.text, tokens, stems, query, people):
        inside = [i for i, (_, a, b) in enumerate(tokens) if a < end and b > start]
        if not inside:
            continue
        low, high = inside[0], inside[-1]
        asked = sum(weights[i] > 0 for i in inside) / len(inside)
        if asked == 1:
            continue
        near = sum(
            weight / (1 + (low - i if i < low else i - high))
            for i, weight in enumerate(weights)
            if weight and not low <= i <= high
        )
        before = tokens[low - 1][0].lower() if low else ""
        beside = (low > 0 and weights[low - 1] > 0) or (high + 1 < len(tokens) and weights[high + 1] > 0)
        is_name = sort == "name"
        yield Candidate(
            item.text[start:end],
            Marks(
                sentence=item.direct / best,
                first=float(rank == 0),
                near=near / query.total,
                beside=float(beside),
                time=float(kind == "time" and sort == "time") - float(kind != "time" and sort == "time"),
                number=float(kind == "number" and sort == "number") - float(kind != "number" and sort == "number"),
                person=float(kind == "person" and is_name),
                place=float(kind == "place" and is_name and before in _PLACE_BEFORE),
                name=float(is_name and kind in ("other", "place")),
                run=float(sort == "run" and kind == "other"),
                title=float(item.text[start:end] == item.title),
                words=float(len(inside)),
                asked=asked,
                counted=float(sort == "number" and kind == "number" and any(weights[high + 1 : high + 3])),
                focus=float(focus in stems[max(0, low - 3) : high + 4] and bool(focus)),
                opens=float(low == 0),
            ),
        )


def focus_of(question: str) -> str:
    """The stem of the thing asked for, after `which`, `what` or `how many`; empty where there is none."""
    match = _FOCUS.search(question)
    return stem(match.group(1)) if match and match.group(1).lower() not in STOP else ""


def _spans(
    text: str, tokens: list[tuple[str, int, int]], stems: list[str], query: Query, people: set[str]
) -> Iterator[tuple[int, int, str]]:
    for match in TIME.finditer(text):
        yield *match.span(), "time"
    for match in NUMBER.finditer(text):
        yield *match.span(), "number"
    for name in people:
        at = text.find(name)
        if at >= 0 and not name.endswith(" I"):  # the one who speaks, as often as a ruler
            yield at, at + len(name), "name"
    run: list[int] = []
    for i, (word, start, _) in enumerate(tokens):
        gap = text[tokens[i - 1][2] : start] if i else ""
        telling = word.lower() not in STOP and stems[i] not in query.weights
        if run and (not telling or gap.strip() or len(run) >= _LONGEST):
            yield tokens[run[0]][1], tokens[run[-1]][2], "run"
            run = []
        if telling:
            run.append(i)
    if run:
        yield tokens[run[0]][1], tokens[run[-1]][2], "run"
