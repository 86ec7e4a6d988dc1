"""Which stretches of a conversation bear on a question: ranked by words, by what stands beside them, by who speaks
and by when, with no language model.

What answers a question often does not repeat its words: the question before it does, or the talk around it. So a
stretch is worth the words of the question that stand in it, in the few stretches beside it, in the talk around it,
and in the question that it replies to; more where the one speaks who is asked about, where the question names the
month, and where it holds names and the kind of thing that is asked for. The weights were fitted on the questions
of even number of the LoCoMo conversations, by logistic regression of which turn is evidence: see docs/memory.md.

The work does not grow with the memory: of each word at most `MOST` stretches are looked at, the latest. This
module knows numbers of stretches, which grow with time, and not where they are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from swarm.memory.asked import Asked, ask, gist
from swarm.models.extractive.kinds import holds, kind_of
from swarm.terms import terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Places = NDArray[np.int64]
    Scores = NDArray[np.float64]

MOST = 4_000
"""Stretches looked at for one word: of a word that stands in more, the latest."""
NEAR = {2: 0.14, 4: 0.2, 12: 0.18}
"""Up to how many stretches away a word of the question counts, and how much, against one in the stretch itself."""
_ROUGH = {4: 0.3, 12: 0.2}  # the same for a first look at very many
_CLOSER, _LEAST = 3, 400  # of what is wanted, and at the least, so many are looked at closely
_READ = 2  # of what is wanted, so many are read
_SIEVED = 4  # as many are looked at where not all are kept
_REACHED = 6  # stretches on either side of one that holds words, which are looked at too
_BREAK_HOURS = 4.0
_LATEST = 12  # of the stretches that hold a word: is it the name of one who speaks?

_OWN, _REPLY = 0.76, 0.24
_SPEAKER, _ROLE = 4.7, 2.3  # by name; by "I" and "you", which were not measured, half as much
_WHEN = 3.7
_KIND, _NAMES = 2.1, 0.57
_SIZE, _USUAL = 0.27, 64  # a stretch says more the longer it is, up to the usual size, in tokens
_COST = 0.4  # and the longer it is, the less fits beside it
_NAME = re.compile(r'(?<=[a-z,] )[A-Z][a-z]+|"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What the ranking sees of a stretch: who speaks (the name, or the role), in which role, when (ISO, or empty),
    how many o200k tokens it has, and whether something is asked in it."""

    who: str
    role: str
    at: str
    tokens: int
    asks: bool


class Held(Protocol):
    """What the ranking asks of a memory. Every answer takes a time that is bounded, however much is there."""

    def bounds(self) -> tuple[int, int]:
        """The numbers of the first stretch and of the last; (1, 0) where there is none."""

    def holding(self, words: Iterable[str], most: int) -> Sequence[int]:
        """The latest stretches in which one of these words (forms of one stem) stands, or in the name of who
        speaks there; at most so many."""

    def between(self, since: str, until: str, most: int) -> Sequence[int]:
        """The latest stretches of the days from `since` to `until` (ISO, both included), at most so many."""

    def lines(self, nums: Sequence[int]) -> Mapping[int, Line]:
        """Those of these stretches that are there."""

    def texts(self, nums: Sequence[int]) -> Mapping[int, str]:
        """Their texts."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A stretch and how well it bears on the question; scores of one question compare, those of two do not."""

    num: int
    score: float


def ranked(held: Held, question: str, limit: int, keep: Callable[[int, Line], bool] | None = None) -> list[Ranked]:
    """The stretches that bear on a question, best first, equals in the order of the conversation; of those that
    `keep` keeps, where it is given."""
    import numpy as np

    first, last = held.bounds()
    if limit <= 0 or last < first:
        return []
    asked = ask(question)
    found = _Found(held, asked, first, last)
    near = found.near(max(_LEAST, _CLOSER * limit) * (1 if keep is None else _SIEVED))
    found.fill(held, near)
    lines = held.lines(near.tolist())
    scores = found.scores(near, _sittings(near, lines)) + _reply(found, near, lines)
    scores += _told(found, asked, near, lines)
    order = np.argsort(-scores, kind="stable")
    best: list[Ranked] = []
    for num, score in zip(near[order].tolist(), scores[order].tolist(), strict=True):
        if (line := lines.get(num)) is not None and (keep is None or keep(num, line)):
            best.append(Ranked(num, score))
            if len(best) == _READ * limit:
                break
    return _by_text(held, question, best)[:limit]


def _told(found: _Found, asked: Asked, near: Places, lines: Mapping[int, Line]) -> Scores:
    """What it is worth who speaks, when, and how much is said."""
    import numpy as np

    when: dict[str, float] = {}
    speaks: dict[tuple[str, str], float] = {}
    worth = np.zeros(len(near))
    tokens = np.ones(len(near))
    for at, num in enumerate(near.tolist()):
        line = lines.get(num)
        if line is None:
            continue
        if line.at not in when:
            when[line.at] = _WHEN * sum(day.told(line.at) for day in asked.days)
        if (who := (line.who, line.role)) not in speaks:
            speaks[who] = _speaks(found, asked, line)
        worth[at] = when[line.at] + speaks[who]
        tokens[at] = max(1, line.tokens)
    told: Scores = worth + _SIZE * np.log(np.minimum(tokens, _USUAL)) - _COST * np.log(tokens)
    return told


def _by_text(held: Held, question: str, best: Sequence[Ranked]) -> list[Ranked]:
    """In the order that it makes whether a stretch holds the kind of thing that is asked for, and names."""
    texts, kind = held.texts([one.num for one in best]), kind_of(gist(question))
    result = []
    for one in best:
        text = texts.get(one.num, "")
        more = _KIND * holds(kind, text) + _NAMES * math.log1p(len(_NAME.findall(text)))
        result.append(Ranked(one.num, one.score + more))
    return sorted(result, key=lambda one: (-one.score, one.num))


class _Found:
    """Where the words of a question stand, and what each is worth.

    A word that stands in the name of somebody who speaks is left out: it stands everywhere, and tells by whom
    something was said. `named` are these words, where they name one speaker; otherwise empty.
    """

    def __init__(self, held: Held, asked: Asked, first: int, last: int) -> None:
        import numpy as np

        self._first, self._last = first, last
        lists = {word: held.holding(forms, MOST) for word, forms in asked.words.items()}
        speakers = _speakers(held, lists)
        self.named = frozenset(speakers) if len(set(speakers.values())) == 1 else frozenset[str]()
        self.words: dict[str, tuple[Places, float]] = {}
        for word, nums in lists.items():
            if word not in speakers and len(nums):
                at = np.unique(np.array(nums, dtype=np.int64))
                self.words[word] = at, self._weight(at)
        times = [held.between(*span, most=MOST) for day in asked.days if (span := day.span())]
        said = [lists[word][:_LEAST] for word in self.named]
        self._told = np.array([num for one in (*times, *said) for num in one], dtype=np.int64)

    def _weight(self, at: Places) -> float:
        """Inverse document frequency; of a word whose stretches were not all seen, from how dense they are."""
        whole = self._last - self._first + 1
        seen = whole if len(at) < MOST else self._last - int(at[0]) + 1
        holding = min(whole, len(at) * whole / seen)
        return math.log(1 + (whole - holding + 0.5) / (holding + 0.5))

    def near(self, most: int) -> Places:
        """The stretches that may bear on the question: the best of those that hold its words, what stands beside
        these, and what was said in its time."""
        import numpy as np

        hits = np.unique(np.concatenate([self._told, *(at for at, _ in self.words.values())]))
        if len(hits) > most:
            rough = self.scores(hits, near=_ROUGH)
            hits = np.sort(hits[np.argsort(-rough, kind="stable")[:most]])
        near: Places = np.unique((hits[:, None] + np.arange(-_REACHED, _REACHED + 1)).ravel())
        near = near[(near >= self._first) & (near <= self._last)]
        if len(near) > 2 * most:
            near = np.sort(near[np.argsort(-self.scores(near), kind="stable")[: 2 * most]])
        return near

    def fill(self, held: Held, near: Places) -> None:
        """Find common words too in those of the stretches that are older than all that were looked at for them."""
        import numpy as np

        common = {word: int(at[0]) for word, (at, _) in self.words.items() if len(at) >= MOST}
        older = near[near < max(common.values(), default=0)].tolist()
        holding: dict[str, list[int]] = {word: [] for word in common}
        for num, text in held.texts(older).items() if older else ():
            for word in common.keys() & set(terms(text)):
                holding[word].append(num)
        for word, nums in holding.items():
            at, weight = self.words[word]
            self.words[word] = np.union1d(at, np.array(nums, dtype=np.int64)), weight

    def own(self, nums: Places) -> Scores:
        """The weight of the words that stand in each."""
        return self._within(nums, nums)

    def scores(
        self, nums: Places, sittings: tuple[Places, Places] | None = None, near: Mapping[int, float] = NEAR
    ) -> Scores:
        """What the words in, beside and around each are worth; another sitting is not around it."""
        import numpy as np

        total: Scores = _OWN * np.sqrt(self.own(nums))
        for reach, worth in near.items():
            low, high = nums - reach, nums + reach
            if sittings is not None:
                low, high = np.maximum(low, sittings[0]), np.minimum(high, sittings[1])
            total += worth * self._within(low, high)
        return total

    def _within(self, low: Places, high: Places) -> Scores:
        import numpy as np

        total = np.zeros(len(low))
        for at, weight in self.words.values():
            total += weight * (np.searchsorted(at, high, side="right") > np.searchsorted(at, low, side="left"))
        return total


def _sittings(near: Places, lines: Mapping[int, Line]) -> tuple[Places, Places]:
    """For each stretch, the first and the last of these that were said in the same sitting: a break of hours ends
    one."""
    import numpy as np

    hours: dict[str, float] = {}
    begins, last = [0], math.nan
    for at, num in enumerate(near.tolist()):
        line = lines.get(num)
        if line is None or not line.at:
            continue
        if line.at not in hours:
            hours[line.at] = _hours(line.at)
        if abs(hours[line.at] - last) > _BREAK_HOURS:
            begins.append(at)
        last = hours[line.at]
    starts = np.array(sorted(set(begins)))
    which = np.searchsorted(starts, np.arange(len(near)), side="right") - 1
    ends = np.append(starts[1:], len(near)) - 1
    return near[starts[which]], near[ends[which]]


def _hours(at: str) -> float:
    try:
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() / 3_600
    except ValueError:
        return math.nan


def _speakers(held: Held, lists: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The words that stand in the name of a speaker, and of which: whoever speaks at all is among the latest
    stretches that hold the name."""
    lines = held.lines(sorted({num for nums in lists.values() for num in nums[:_LATEST]}))
    found: dict[str, str] = {}
    for word, nums in lists.items():
        whos = (lines[num].who for num in nums[:_LATEST] if num in lines)
        if (who := next((who for who in whos if word in terms(who)), None)) is not None:
            found[word] = who
    return found


def _reply(found: _Found, near: Places, lines: Mapping[int, Line]) -> Scores:
    """What it is worth to come after a question that holds the words."""
    import numpy as np

    before = near - 1
    asks = np.array([(line := lines.get(num)) is not None and line.asks for num in before.tolist()], dtype=float)
    reply: Scores = _REPLY * asks * found.own(before)
    return reply


def _speaks(found: _Found, asked: Asked, line: Line) -> float:
    if found.named:
        return _SPEAKER if not found.named.isdisjoint(terms(line.who)) else 0.0
    return _ROLE if asked.role is not None and line.role == asked.role else 0.0


__all__ = ["MOST", "NEAR", "Held", "Line", "Ranked", "ranked"]
