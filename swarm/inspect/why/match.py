"""What a text may mean in a run: a sentence of its answer, a cell, a citation, a finding or a slice.

By number, id or name where it is one, else by its words: the same, a part of it, or as many of them as it holds.
This module does not know what any of it rests on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from swarm.coordinator.finish import NO_EVIDENCE
from swarm.graph.search import scored
from swarm.inspect.follow import Follower
from swarm.inspect.opened import Opened
from swarm.inspect.why.parts import Match, What
from swarm.models.extractive.sentences import split
from swarm.task import Answer
from swarm.terms import question_terms, terms

ENOUGH = 0.5
"""Half of the words, or so: what is less like is only named as near."""
_EXACT, _PART = 1.0, 0.9
_BY_WORDS = 0.8  # the most that words in another order come to
_OTHERS = 5
_SEARCHED = 12
_CELL_WORDS = 3  # of a question or an item, below which it is a name
_NUMBER = re.compile(r"(?:sentence\s+)?#?(\d{1,6})", re.IGNORECASE)
_MARK = re.compile(r"(?:citation\s*)?\[\^?(\d{1,6})\]", re.IGNORECASE)
_ID = re.compile(r"[a-z][0-9a-f]{5,32}")
_MARKS = re.compile(r"\s*\[\^?\d+\]")
_FOOTNOTE = re.compile(r"\[\^\d+\]: ")


def matches(opened: Opened, followed: Follower, answer: Answer | None, text: str) -> list[Match]:
    """What a text may mean, the likeliest first; those with less than `ENOUGH` are only near."""
    text = text.strip()
    if (numbered := _numbered(answer, text)) is not None:
        return [numbered]
    if found := [*_by_id(opened, followed, text), *_by_name(followed, text)]:
        return found
    told = [_like(text, one) for one in _of_answer(answer)] if answer is not None else []
    rows = scored(opened.graph, text, _SEARCHED, ("finding",))
    claims = [
        _like(text, Match(what="finding", name=f"finding {row.id[:12]}", text=row.text, id=row.id))
        for row, _ in rows
    ]
    ranked = sorted([*told, *claims], key=lambda one: (-one.likeness, _ORDER[one.what], one.place))
    return [one for one in ranked if one.likeness > 0]


def chosen(found: list[Match]) -> tuple[Match | None, tuple[Match, ...]]:
    """The best, and what else it may be; of nothing that is like enough, what is nearest."""
    best = found[0] if found and found[0].likeness >= ENOUGH else None
    rest = [one for one in found if one is not best]
    if best is None:
        return None, tuple(rest[:3])
    near = [one for one in rest if one.likeness >= ENOUGH and (one.what == "finding") <= (best.what == "finding")]
    return best, tuple(near[:_OTHERS])


_ORDER: dict[What, int] = {
    "sentence": 0, "cell": 1, "result": 2, "short": 3, "finding": 4, "slice": 5, "citation": 6,
}  # fmt: skip


def likeness(asked: str, text: str) -> float:
    """How much of what is asked a text says, from 0 to 1; 1 where both are the same."""
    one, other = plain(asked), plain(text)
    if not one or not other:
        return 0.0
    if one == other:
        return _EXACT
    if one in other and len(one) > _CELL_WORDS:
        return _PART
    wanted, there = set(question_terms(asked)), set(terms(text))
    both = len(wanted & there)
    if not both:
        return 0.0
    return _BY_WORDS * (0.75 * both / len(wanted) + 0.25 * both / max(len(set(question_terms(text))), both))


def plain(text: str) -> str:
    """A text without case, marks of citations, and what surrounds it."""
    return " ".join(_MARKS.sub("", text).split()).casefold().strip(" .\"'“”‘’")


def sentences_of(text: str) -> list[str]:
    """The sentences of a written text, without its headings and footnotes, and the marks of these."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#") and not _FOOTNOTE.match(line)]
    kept = [_MARKS.sub("", line) for line in kept]
    return [line[start:end] for line in kept for start, end in split(line)]


def _like(text: str, one: Match) -> Match:
    told = one.text if one.what != "cell" else f"{one.name.removeprefix('cell ')}: {one.text}"
    found = max(likeness(text, one.text), likeness(text, told)) if one.what == "cell" else likeness(text, told)
    return Match(what=one.what, name=one.name, text=one.text, likeness=round(found, 3), place=one.place, id=one.id)


def _of_answer(answer: Answer) -> Iterator[Match]:
    for place in range(len(answer.statements)):
        yield _sentence(answer, place)
    for place, cell in enumerate(answer.cells):
        name = f"cell {cell.item} / {cell.question}"
        yield Match(what="cell", name=name, text=cell.text, place=place)
    if answer.short:
        yield Match(what="short", name="the short answer", text=answer.short)
    if not answer.statements and not answer.cells and answer.text != NO_EVIDENCE:
        for place, written in enumerate(sentences_of(answer.text)):
            yield Match(what="result", name=f"sentence {place + 1}", text=written, place=place)


def _sentence(answer: Answer, place: int) -> Match:
    return Match(what="sentence", name=f"sentence {place + 1}", text=answer.statements[place].text, place=place)


def _numbered(answer: Answer | None, text: str) -> Match | None:
    """What a number names: `3` the third sentence, `[3]` the third citation."""
    if answer is None:
        return None
    if (mark := _MARK.fullmatch(text)) is not None and 1 <= int(mark[1]) <= len(answer.citations):
        place = int(mark[1]) - 1
        quote = answer.citations[place].quote
        return Match(what="citation", name=f"citation [{place + 1}]", text=quote, place=place)
    number = _NUMBER.fullmatch(text)
    if number is None or int(number[1]) < 1:
        return None
    place = int(number[1]) - 1
    if place < len(answer.statements):
        return _sentence(answer, place)
    told = [one for one in _of_answer(answer) if one.what in ("result", "cell")]
    return told[place] if place < len(told) and not answer.statements else None


def _by_id(opened: Opened, followed: Follower, text: str) -> Iterator[Match]:
    """The findings and slices whose ids begin so."""
    if not _ID.fullmatch(text):
        return
    sql = (
        "SELECT id, text FROM nodes INDEXED BY nodes_by_id WHERE id >= ? AND id < ? AND num BETWEEN ? AND ? "
        "AND kind = 'finding' AND state = 'live' ORDER BY id LIMIT ?"
    )
    parameters = (text, f"{text}\U0010ffff", *opened.graph.range, _OTHERS + 1)
    for id_, claim in opened.graph.database.read(sql, parameters):
        yield Match(what="finding", name=f"finding {id_[:12]}", text=claim, id=id_)
    slices = (seen for id_, seen in followed.plan.slices.items() if id_.startswith(text))
    for seen in sorted(slices, key=lambda one: one.slice.id)[: _OTHERS + 1]:
        yield _slice(seen.slice.id, followed.names.of(seen), seen.slice.question)


def _by_name(followed: Follower, text: str) -> Iterator[Match]:
    """The slices that go by this name."""
    name = text.casefold()
    for id_, seen in followed.plan.slices.items():
        if seen.name.casefold() == name and (seen.slice.order is not None or seen.slice.item):
            yield _slice(id_, seen.name, seen.slice.question)


def _slice(id_: str, name: str, asked: str) -> Match:
    return Match(what="slice", name=f"slice {name}", text=asked, id=id_)


__all__ = ["ENOUGH", "chosen", "likeness", "matches", "plain", "sentences_of"]
