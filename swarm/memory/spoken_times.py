"""When something holds, in the words of who says it: "since March 2024", "yesterday", "two years ago".

Words that count from the day of speaking need that day: without one they tell nothing. This module knows English
words for time and no more.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from swarm.graph.values import read_time
from swarm.memory.messages import moment

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = (
    rf"\d{{4}}-\d{{2}}(?:-\d{{2}})?|(?:the )?\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH},? \d{{4}}|"
    rf"{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|{_MONTH}\.?,? \d{{4}}|(?:19|20)\d{{2}}"
)
_SAID = re.compile(
    rf"(?:^|[\s,]+)(?:back in|as of|starting|in|on|from)\s+(?P<date>{_DATE})(?=$|[\s,.])", re.IGNORECASE
)
_SINCE = re.compile(rf"(?:^|[\s,]+)since\s+(?:{_DATE}|last \w+|\w+)$", re.IGNORECASE)
"""It held then and holds when it is said: that is the time that counts."""
_COUNTS = {
    word: number
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
} | {"a": 1, "an": 1, "a couple of": 2, "a few": 3}
_AGO = re.compile(
    r"(?:^|[\s,]+)(?:about |around |almost )?(?P<count>\d{1,3}|a couple of|a few|an?|one|two|three|four|five|six|"
    r"seven|eight|nine|ten|eleven|twelve) (?P<unit>day|week|month|year)s? ago\b",
    re.IGNORECASE,
)
_LAST = re.compile(r"(?:^|[\s,]+)(?:yesterday|last (?P<unit>night|week|month|year))\b", re.IGNORECASE)
_DAYS = {"day": 1, "night": 1, "week": 7, "month": 30, "year": 365}


def told_time(clause: str, value: str, at: str | None) -> tuple[str, str]:
    """When what a clause says holds from, as a day, a month or a year in ISO form, empty where it does not say;
    and the value without those words."""
    when, value = "", _SINCE.sub("", value)
    for words in (_SAID, _AGO, _LAST):
        if (found := words.search(clause)) is None:
            continue
        when = _stated(found["date"]) if words is _SAID else _counted(found, at)
        inside = words.search(value)
        if when and inside is not None and inside.end() >= len(value) - 1:
            value = value[: inside.start()].rstrip(" ,")
        elif inside is not None and words is not _SAID:
            value = words.sub("", value).strip(" ,")
        break
    return when, value


def _stated(text: str) -> str:
    interval = read_time(text)
    if not interval.start:
        return ""
    start, end = interval.start, interval.end
    if start == end:
        return start
    return start[:7] if start[:7] == end[:7] else start[:4]


def _counted(found: re.Match[str], at: str | None) -> str:
    day = moment(at)[:10]
    if not day:
        return ""
    unit = (found["unit"] or "day").lower()
    said = found.groupdict().get("count")
    count = 1 if said is None else _COUNTS.get(said.lower()) or int(said)
    try:
        then = date.fromisoformat(day) - timedelta(days=count * _DAYS[unit])
    except (ValueError, OverflowError):
        return ""
    iso = then.isoformat()
    return iso[:4] if unit == "year" else iso[:7] if unit == "month" else iso
