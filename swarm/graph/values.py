"""Values and times of structured findings in a form in which they can be compared.

A value is a quantity (a number and a unit), or a text in its normal form; two quantities with different units are
not comparable. A time is the interval of days that a phrase stands for: a day, a month, a quarter, a year, a
decade, a century. This module knows phrases, not findings.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from swarm.claims import read_claim
from swarm.graph.identity import name_of


class Value(NamedTuple):
    """`number` is empty for a text; `unit` is empty where none is known."""

    text: str
    number: str = ""
    unit: str = ""

    def differs_from(self, other: Value) -> bool:
        """Whether both cannot be the value of one property at one time. Quantities in different units might be the
        same, so they do not differ; nor does a text from a quantity."""
        if bool(self.number) != bool(other.number):
            return False
        if self.number:
            return self.unit == other.unit and self.number != other.number
        return self.text != other.text


class Interval(NamedTuple):
    """Days from `start` to `end`, both included, as `YYYY-MM-DD`, or one moment of a day as `YYYY-MM-DDTHH:MM:SS`.
    Both empty: at no time in particular."""

    start: str = ""
    end: str = ""

    def overlaps(self, other: Interval) -> bool:
        """Whether both may hold at one time; what holds at no time in particular may hold at any."""
        if not self.start or not other.start:
            return True
        mine, theirs = len(self.end), len(other.end)  # a day holds each of its moments
        return self.start[:theirs] <= other.end and other.start[:mine] <= self.end


ALWAYS = Interval()


@lru_cache(maxsize=16_384)
def read_value(value: str, unit: str | None = None) -> Value:
    """The value that a phrase stands for."""
    words = read_claim(f"{value} {unit}" if unit and unit not in value else value).words
    numbers = [word for word in words if word[0] == "#"]
    if len(numbers) == 1 and len(words) <= 2:
        number, _, measured = numbers[0][1:].partition(" ")
        rest = [word for word in words if word[0] != "#"]
        return Value(text=" ".join(words), number=number, unit=measured or " ".join(rest))
    return Value(text=" ".join(words) or name_of(value))


_YEAR = re.compile(r"(?:year |fy ?|in )?(\d{4})")
_QUARTER = re.compile(r"(?:q([1-4])|(first|second|third|fourth) quarter)(?: of)?[ -]?(\d{4})|(\d{4})[ -]?q([1-4])")
_DECADE = re.compile(r"(?:the )?(\d{3})0'?s")
_CENTURY = re.compile(r"(?:the )?(\d{1,2})(?:st|nd|rd|th) century")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_LEADING = re.compile(r"^(?:on|in|at|during|as of|by|since|from|the) ")


@lru_cache(maxsize=16_384)
def read_time(text: str | None) -> Interval:
    """The days that a phrase such as "2024", "May 2024", "Q3 2024" or "3 May 2024" stands for; `ALWAYS` where it
    stands for none."""
    plain = _LEADING.sub("", " ".join((text or "").casefold().split()))
    if found := _YEAR.fullmatch(plain):
        return Interval(f"{found[1]}-01-01", f"{found[1]}-12-31")
    if found := _QUARTER.fullmatch(plain):
        quarter = int(found[1] or found[5] or _ORDINALS[found[2]])
        year = found[3] or found[4]
        return Interval(f"{year}-{3 * quarter - 2:02}-01", _last_day(int(year), 3 * quarter))
    if found := _DECADE.fullmatch(plain):
        return Interval(f"{found[1]}0-01-01", f"{found[1]}9-12-31")
    if found := _CENTURY.fullmatch(plain):
        first = int(found[1]) * 100 - 99
        return Interval(f"{first:04}-01-01", f"{first + 99:04}-12-31")
    return _parsed(plain)


def _parsed(text: str) -> Interval:
    """What dateutil reads: parsed twice, since what it fills in from the default the phrase leaves open."""
    from dateutil import parser

    if not any(c.isdigit() for c in text):
        return ALWAYS
    try:
        low = parser.parse(text, default=datetime(1, 1, 1))
        high = parser.parse(text, default=datetime(4, 12, 31))
    except (ValueError, OverflowError):
        try:
            high = low = parser.parse(text, default=datetime(4, 1, 1))
        except (ValueError, OverflowError):
            return ALWAYS
        if low.year == 4:
            return ALWAYS
        return Interval(f"{low:%Y-%m}-01".rjust(10, "0"), _last_day(low.year, low.month))
    if low.year != high.year:
        return ALWAYS  # a day without a year is no time at which one could compare
    if low.month != high.month:
        return Interval(f"{low.year:04}-01-01", f"{low.year:04}-12-31")
    if low.day != high.day:
        return Interval(f"{low.year:04}-{low.month:02}-01", _last_day(low.year, low.month))
    day = f"{low.year:04}-{low.month:02}-{low.day:02}"
    moment = f"{day}T{low:%H:%M:%S}" if ":" in text else day
    return Interval(moment, moment)


def _last_day(year: int, month: int) -> str:
    return f"{year:04}-{month:02}-{monthrange(year, month)[1]:02}"
