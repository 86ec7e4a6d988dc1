"""What was found, as the judge and the answer weigh it: findings scored anew for the question, and their links.

A finding links to another when it names what the other is about (its title), and the question does not: that is
how an answer that takes two steps is put together from two places. Findings of one place form a page. This
module knows what was shown, and nothing of what was not found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from swarm.models.extractive.kinds import holds, kind_of
from swarm.models.extractive.query import Query
from swarm.models.extractive.rank import headed, spoken
from swarm.models.extractive.signals import (
    DIRECT,
    DIRECT_BIAS,
    LINKED,
    LINKED_BIAS,
    READ,
    READ_BIAS,
    SHORT,
    Direct,
    Linked,
    density,
    probability,
)
from swarm.names import Name, names
from swarm.prompts.typed import Shown
from swarm.terms import question_terms, terms

_STEPS = 2  # how often probabilities travel along links
_SOURCES = 40  # findings whose links are followed
_NEARBY = 800  # characters: findings under one heading that are further apart are different pages
_COMMON = 12  # a name that more findings than this hold links nothing
_LED = 0.6  # of a follow-up's words: a finding that holds more was found by it
_AROUND = 6.0  # log-odds: the most that what stands around a finding adds for its reader

Words = tuple[str, ...]


@dataclass(slots=True)
class Evidence:
    """One shown finding: what it is about, whom it names, which terms of the question it covers; how probably it
    is evidence by itself (`direct`) and in all; and the finding that led to it, if one did."""

    shown: Shown
    text: str
    title: str
    page: tuple[object, ...]
    about: Words
    own: frozenset[str]
    placed: frozenset[str]
    names: dict[Words, Name]
    signals: Direct
    led: bool
    direct: float = 0.0
    probability: float = 0.0
    linked: Linked | None = None
    source: Evidence | None = None

    @property
    def covered(self) -> frozenset[str]:
        return self.own | self.placed


@dataclass(slots=True)
class Page:
    """The findings of one place, best first, and the terms of the question that they cover together."""

    items: list[Evidence] = field(default_factory=list)
    covered: frozenset[str] = frozenset()

    @property
    def best(self) -> Evidence:
        return self.items[0]


def weigh(query: Query, shown: Sequence[Shown], asked: Sequence[str]) -> list[Evidence]:
    """The findings with their probabilities, best first."""
    if not shown:
        return []
    kind = kind_of(query.text)
    follow_ups = [(f" {' '.join(terms(one))} ", frozenset(question_terms(one))) for one in asked]
    found = [_one(query, one, holds(kind, one.finding.claim), follow_ups) for one in shown]
    covered = {id(item): page.covered for page in pages(found) for item in page.items}
    for item in found:
        beyond = query.share(covered[id(item)] - item.covered)
        item.signals = item.signals._replace(page=beyond)
        item.direct = item.probability = probability(item.signals, DIRECT, DIRECT_BIAS)
    mentions = _mentions(found)
    rare = _rare_names(query, found)
    for _ in range(_STEPS):
        _follow(query, found, mentions, rare)
    found.sort(key=lambda one: (-one.probability, one.shown.label))
    return found


def pages(found: Sequence[Evidence]) -> list[Page]:
    """The findings by place, in the order of their best ones."""
    grouped: dict[tuple[object, ...], Page] = {}
    for item in found:
        page = grouped.setdefault(item.page, Page())
        page.items.append(item)
        page.covered |= item.covered
    return list(grouped.values())


def bare(title: str) -> Words:
    """A title as the words by which it is spoken of: without what stands in parentheses."""
    return tuple(terms(title.split(" (")[0]))


def _one(query: Query, shown: Shown, holds_kind: bool, follow_ups: list[tuple[str, frozenset[str]]]) -> Evidence:
    finding = shown.finding
    headings = headed(shown.context)
    title = finding.subject or (headings[-1] if headings else "")
    text, about, first = finding.claim, bare(title), finding.evidence[0]
    sequence = terms(text)
    hits = [word for word in sequence if word in query.weights]
    own = frozenset(hits)
    placed = frozenset(terms(f"{title} {shown.context} {finding.time or ''}")).intersection(query.weights) - own
    named, named_share = spoken(query, [title] if title else [])
    own_share, title_share = query.share(own), query.share(placed)
    dense = own_share * density(len(sequence))
    together = query.pairs.intersection(pairwise(hits))
    pairs = min(1.0, sum(query.weights[a] + query.weights[b] for a, b in together) / query.total)
    every, names_share = (own_share + title_share) ** 2, query.name_share(own | placed)
    words = frozenset(sequence) | frozenset(about)
    needle = f" {' '.join(about)} "
    led = any(
        (about and not named and needle in said) or len(words & wanted) > _LED * len(wanted)
        for said, wanted in follow_ups
    )
    seen = READ_BIAS + READ.own * own_share + READ.dense * dense + READ.title * title_share + READ.pairs * pairs
    seen += READ.named * named + READ.named_share * named_share + READ.names * names_share + READ.all * every
    relevance = min(max(finding.relevance, 1e-4), 1 - 1e-4)
    around = 0.0 if led else min(1.0, max(0.0, math.log(relevance / (1 - relevance)) - seen) / _AROUND)
    return Evidence(
        shown=shown,
        text=text,
        title=title,
        page=(title, shown.where) if finding.subject else (title, first.source, first.start // _NEARBY),
        about=about,
        own=own,
        placed=placed,
        names={tuple(terms(name.text)): name for name in names(text)},
        led=led,
        signals=Direct(
            own=own_share,
            dense=dense,
            title=title_share,
            page=0.0,
            pairs=pairs,
            named=named,
            named_share=named_share,
            names=names_share,
            all=every,
            short=float(len(sequence) < SHORT),
            kind=float(holds_kind),
            around=around,
        ),
    )


def _mentions(found: Sequence[Evidence]) -> dict[int, list[tuple[int, float]]]:
    """For each finding, those that speak of what it is about, and how exactly, from 0 to 1."""
    texts = [f" {' '.join(terms(item.text))} " for item in found]
    result: dict[int, list[tuple[int, float]]] = {}
    titles: dict[Words, list[int]] = {}
    for row, item in enumerate(found):
        if item.about and not item.signals.named:
            titles.setdefault(item.about, []).append(row)
    sets = [(frozenset(words), row) for row, item in enumerate(found) for words in item.names if len(words) > 1]
    for about, rows in titles.items():
        needle, whole = f" {' '.join(about)} ", frozenset(about)
        exact = {row for row, text in enumerate(texts) if needle in text and _is_name(about, found[row])}
        partly = {row for words, row in sets if len(about) > 1 and (words < whole or whole < words)} - exact
        for row in rows:
            page = found[row].page
            links = [(other, 1.0) for other in exact if found[other].page != page]
            result[row] = links + [(other, 0.6) for other in partly if found[other].page != page]
    return result


def _is_name(about: Words, item: Evidence) -> bool:
    """A title of one word must be a name where it is spoken of: many are common words."""
    return len(about) > 1 or any(about[0] in words for words in item.names)


def _rare_names(query: Query, found: Sequence[Evidence]) -> Mapping[Words, list[int]]:
    """Names that a few findings share and the question does not hold, and where."""
    where: dict[Words, list[int]] = {}
    for row, item in enumerate(found):
        for words, name in item.names.items():
            if name.sure >= 0.7 and not frozenset(words) <= query.weights.keys():
                where.setdefault(words, []).append(row)
    return {words: rows for words, rows in where.items() if 1 < len(rows) <= _COMMON}


def _follow(
    query: Query,
    found: list[Evidence],
    mentions: Mapping[int, list[tuple[int, float]]],
    rare: Mapping[Words, list[int]],
) -> None:
    """Let the probability of each finding speak for those that it leads to."""
    ranked = sorted(range(len(found)), key=lambda row: -found[row].probability)[:_SOURCES]
    best = found[ranked[0]].probability
    surest = max(item.direct for item in found)
    strength = {row: math.sqrt(found[row].probability / best) for row in ranked}
    covered: dict[tuple[object, ...], frozenset[str]] = {}
    titled: dict[Words, set[tuple[object, ...]]] = {}
    for item in found:
        covered[item.page] = covered.get(item.page, frozenset()) | item.covered
        titled.setdefault(item.about, set()).add(item.page)
    asked = frozenset(query.weights)
    shared = [0.0] * len(found)
    for rows in rare.values():
        for row in rows:
            others = [strength.get(other, 0.0) for other in rows if found[other].page != found[row].page]
            shared[row] = max(shared[row], max(others, default=0.0) / math.sqrt(len(rows)))
    for row, item in enumerate(found):
        signals = Linked(
            link=0.0, left=0.0, gain=0.0, few=0.0, shared=shared[row], nested=query.nested, best=surest,
            led=float(item.led), own=item.signals.own, kind=item.signals.kind,
        )  # fmt: skip
        source = None
        for other, exact in mentions.get(row, ()):
            if other not in strength or found[other].source is item:
                continue
            link = strength[other] * exact
            left = asked - covered[found[other].page]
            gain = link * min(1.0, query.share(item.own & left) / max(0.1, query.share(left)))
            if source is None or link + gain > signals.link + signals.gain:
                source = found[other]
                few = link / len(titled[item.about])
                signals = signals._replace(link=link, left=link * query.share(left), gain=gain, few=few)
        item.linked = signals if source or shared[row] else None
        item.source = source
    for item in found:
        by_link = probability(item.linked, LINKED, LINKED_BIAS) if item.linked else 0.0
        item.probability = 1 - (1 - item.direct) * (1 - by_link)
