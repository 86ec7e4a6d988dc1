"""What kind of thing a question asks for, told from its first words, and what looks like one in a text."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["person", "time", "number", "place", "choice", "other"]

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_PERIODS = "night|week|weekend|month|year|spring|summer|autumn|fall|winter"
_DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
TIME = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? )?(?:{_MONTHS})(?: \d{{1,2}}(?:st|nd|rd|th)?)?,?(?: \d{{4}})?\b"
    r"|\b(?:1\d{3}|20\d{2})s?\b|\b\d{1,2}(?:st|nd|rd|th) century\b|\b\d{1,4} (?:BC|BCE|AD|CE)\b"
    rf"|\b(?:yesterday|today|tonight|tomorrow|(?:last|next|this) (?:{_PERIODS}|{_DAYS}))\b"
)
NUMBER = re.compile(
    r"[$€£]?\d[\d,.]*(?:\s?%|\s(?:percent|per cent|million|billion|trillion|thousand|hundred))?"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|"
    r"billion|dozens?|half|once|twice)\b",
    re.IGNORECASE,
)
_CAPITAL = re.compile(r"(?<=[a-z,;] )[A-ZÀ-ÖØ-Þ][\w'’-]+")
_PERIOD = "year|date|day|month|time|century|decade"
_WHEN = re.compile(rf"\bwhen\b|\b(?:which|what) (?:{_PERIOD})\b", re.IGNORECASE)
_HOW = "many|much|long|old|far|tall|large|big|high|fast|often|deep|wide"
_COUNT = "number|percentage|percent|proportion|population|age"
_NUMBER = re.compile(rf"\bhow (?:{_HOW})\b|\bwhat (?:is the |was the |were the )?(?:{_COUNT})\b", re.IGNORECASE)
_PEOPLE = "person|president|author|actor|actress|singer|king|queen|director|writer"
_PERSON = re.compile(rf"\b(?:who|whom|whose)\b|\b(?:which|what) (?:{_PEOPLE})\b", re.IGNORECASE)
_PLACES = "city|country|state|town|county|place|continent|river|region|village|province|island"
_PLACE = re.compile(rf"\bwhere\b|\b(?:which|what) (?:{_PLACES})\b", re.IGNORECASE)
_CHOICE = re.compile(
    r"^\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)\b", re.IGNORECASE
)


def kind_of(question: str) -> Kind:
    """What a question asks for; `other` where its words do not tell."""
    if _CHOICE.match(question):
        return "choice"
    found: list[tuple[int, Kind]] = []
    patterns: tuple[tuple[re.Pattern[str], Kind], ...] = (
        (_WHEN, "time"), (_NUMBER, "number"), (_PERSON, "person"), (_PLACE, "place"),
    )  # fmt: skip
    for pattern, kind in patterns:
        if match := pattern.search(question):
            found.append((match.start(), kind))
    return min(found)[1] if found else "other"


def holds(kind: Kind, text: str) -> bool:
    """Whether a text holds something that looks like what is asked for; true where one cannot tell."""
    if kind == "time":
        return bool(TIME.search(text))
    if kind == "number":
        return bool(NUMBER.search(text))
    if kind in ("person", "place"):
        return bool(_CAPITAL.search(text))
    return True
