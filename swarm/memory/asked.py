"""A question to a memory, taken apart: its words, whom it means by "I" and "you", and the days that it names.

The rules for days and for "I" and "you" are for English. This module knows the question alone.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from swarm.terms import STOP, WORD, spaced, stem

_WORDS = 32  # of a question: the first and the last
_CHARS = 2_000  # of the beginning, and of the end
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_TH = r"(?:st|nd|rd|th)?\b"
_NAMED = re.compile(
    rf"(?:\b(?P<before>\d{{1,2}}){_TH}(?: of)?,? +)?\b{_MONTH}(?:,? +(?P<after>\d{{1,2}}){_TH})?"
    r"(?:,? +(?:of )?(?P<year>[12]\d{3})\b)?"
)
_ISO = re.compile(r"\b([12]\d{3})-(\d\d)(?:-(\d\d))?\b")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_I = frozenset("i me my mine myself we us our".split())
_YOU = frozenset("you your yours yourself".split())
_SOON = 8  # days after which most of what happened has been told
_YEAR_ALONE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """A day, a month or a year that a question names; None where it does not say."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    def span(self) -> tuple[str, str] | None:
        """The first and the last day, and some days more in which one tells of a day; None without a year."""
        if self.year is None or self.month is None:
            return None
        if self.day is None:
            return f"{self.year}-{self.month:02}-01", f"{self.year}-{self.month:02}-31"
        began = date(self.year, self.month, self.day)
        return began.isoformat(), date.fromordinal(began.toordinal() + _SOON).isoformat()

    def told(self, at: str) -> float:
        """How likely what was said at this time tells of it: 1 in its month, 2 on its day and soon after."""
        try:
            said = date.fromisoformat(at[:10])
        except ValueError:
            return 0.0
        if self.month is None:
            return _YEAR_ALONE * (said.year == self.year)
        year = self.year or said.year
        score = float((said.year, said.month) == (year, self.month))
        if self.day is not None:
            day = min(self.day, monthrange(year, self.month)[1])
            score += 0 <= said.toordinal() - date(year, self.month, day).toordinal() <= _SOON
        return score


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """`words` holds for each stem the forms in which the question has it. `role` is the one whom it means by "I"
    or "you", None where it means both or neither."""

    words: Mapping[str, tuple[str, ...]]
    role: str | None
    days: tuple[Day, ...]


def gist(question: str) -> str:
    """A question of any length as its beginning and its end: what is asked for stands there."""
    return question if len(question) <= 2 * _CHARS else f"{question[:_CHARS]} {question[-_CHARS:]}"


def ask(question: str) -> Asked:
    """Take a question apart."""
    question = gist(question)
    said = WORD.findall(spaced(question))
    telling = [word for word in said if word.lower() not in STOP] or said
    forms: dict[str, dict[str, None]] = {}
    for word in telling:
        forms.setdefault(stem(word), {})[word.lower()] = None
    lower = {word.lower() for word in said}
    roles = [role for role, words in (("user", _I), ("assistant", _YOU)) if words & lower]
    every = list(forms.items())
    some = every if len(every) <= _WORDS else every[: _WORDS // 2] + every[-_WORDS // 2 :]
    return Asked(
        words={one: tuple(found) for one, found in some},
        role=roles[0] if len(roles) == 1 else None,
        days=tuple(_days(question)),
    )


def _days(question: str) -> Iterable[Day]:
    rest = question
    for found in _ISO.finditer(question):
        year, month, day = int(found[1]), int(found[2]), int(found[3] or 0)
        if 1 <= month <= 12:
            yield Day(year=year, month=month, day=_real(day, month, year))
            rest = rest.replace(found[0], " ")
    for found in _NAMED.finditer(rest):
        month = _MONTHS.index(found["month"][:3].lower()) + 1
        named = int(found["year"]) if found["year"] else None
        yield Day(year=named, month=month, day=_real(int(found["before"] or found["after"] or 0), month, named))
    for found in _YEAR.finditer(_NAMED.sub(" ", rest)):
        yield Day(year=int(found[1]))


def _real(day: int, month: int, year: int | None) -> int | None:
    return day if 1 <= day <= monthrange(year or 2024, month)[1] else None


__all__ = ["Asked", "Day", "ask", "gist"]
