"""A claim as the words that make its meaning: typography, fillers and forms of numbers and dates put aside.

Numbers with their units, dates, negations, modal verbs, quantifiers and words of direction stay as they are, and
are the claim's `guard`: two claims with different guards never say the same. The rules are for English; in other
languages every word counts, so that less is taken for the same. This module knows words, not findings.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b

from swarm.terms import spaced, stem

_DROPPED = frozenset(
    """
    a an the of in at on and that which who also however indeed moreover additionally furthermore accordingly thus
    therefore hence overall notably specifically please s
    """.split()
)
_GUARDS = frozenset(
    """
    not no never none neither nor without nothing nobody cannot unable fail fails failed lack lacks except unless
    will would shall should may might must can could ought need
    all every each any some most many few several only least almost nearly partly partially mostly half both either
    if when whenever until before after since during while because although
    above below over under up down more less fewer greater smaller larger than between from to into against
    or but is was be been being have had do did
    """.split()
)
_FILLERS = re.compile(
    r"\b(?:of course|in fact|in addition|note that|as it turns? out|it should be noted that|as a matter of fact|"
    r"for the record|it is worth noting that|that is to say)\b,?"
)
_PHRASES = ("of course", "in fact", "in addition", " that", "as it turn", "for the record", "matter of fact")
"""One of these is in every text that holds a filler: to look for them is faster."""
_FORMS = {"are": "is", "were": "was", "has": "have", "does": "do", "an": "a", "grey": "gray", "tyre": "tire"}
_WHEN = frozenset(
    """
    if when whenever until before after since during while because although unless throughout
    monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow tonight midnight noon morning
    afternoon evening night week weekend month year quarter decade century spring summer autumn winter season
    january february march april may june july august september october november december
    north south east west
    """.split()
)
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        """
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty
        """.split()
    )
} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100",
}  # fmt: skip
_CURRENCIES = "$€£¥"
_TENS = frozenset("twenty thirty forty fifty sixty seventy eighty ninety".split())
_SCALES = {
    "k": 3, "thousand": 3, "m": 6, "mn": 6, "million": 6, "millions": 6, "b": 9, "bn": 9, "billion": 9, "t": 12,
    "trillion": 12,
}  # fmt: skip
_UNITS = {
    "%": "%", "percent": "%", "pct": "%", "$": "usd", "usd": "usd", "dollar": "usd", "dollars": "usd", "€": "eur",
    "eur": "eur", "euro": "eur", "euros": "eur", "£": "gbp", "gbp": "gbp", "pound sterling": "gbp", "¥": "jpy",
    "yen": "jpy", "km": "km", "kilometre": "km", "kilometres": "km", "kilometer": "km", "kilometers": "km",
    "m": "m", "metre": "m", "metres": "m", "meter": "m", "meters": "m", "cm": "cm", "centimetres": "cm",
    "centimeters": "cm", "mm": "mm", "millimetres": "mm", "millimeters": "mm", "mile": "mi", "miles": "mi",
    "foot": "ft", "feet": "ft", "ft": "ft", "inch": "in", "inches": "in", "kg": "kg", "kilogram": "kg",
    "kilograms": "kg", "kilo": "kg", "kilos": "kg", "gram": "g", "grams": "g", "mg": "mg", "milligram": "mg",
    "milligrams": "mg", "tonne": "t", "tonnes": "t", "ton": "ton", "tons": "ton", "lb": "lb", "lbs": "lb",
    "pound": "pound", "pounds": "pound", "litre": "l", "litres": "l", "liter": "l", "liters": "l", "ml": "ml",
    "millilitres": "ml", "milliliters": "ml", "second": "s", "seconds": "s", "sec": "s", "secs": "s", "ms": "ms",
    "millisecond": "ms", "milliseconds": "ms", "minute": "min", "minutes": "min", "min": "min", "mins": "min",
    "hour": "h", "hours": "h", "hr": "h", "hrs": "h", "day": "d", "days": "d", "week": "wk", "weeks": "wk",
    "month": "mo", "months": "mo", "year": "y", "years": "y", "yr": "y", "yrs": "y", "kb": "kb", "kilobytes": "kb",
    "mb": "mb", "megabyte": "mb", "megabytes": "mb",
    "l": "l", "g": "g", "h": "h", "gb": "gb", "gigabyte": "gb", "gigabytes": "gb", "tb": "tb",
    "terabytes": "tb", "kw": "kw", "kilowatts": "kw", "mw": "mw", "megawatt": "mw", "megawatts": "mw",
    "degree": "deg", "degrees": "deg", "°c": "degc", "°f": "degf", "celsius": "degc", "fahrenheit": "degf",
    "hz": "hz", "mhz": "mhz", "ghz": "ghz",
}  # fmt: skip
_AFTER_A_NUMBER = frozenset(["st", "nd", "rd", "th", *_NUMBER_WORDS, *_SCALES, *_UNITS])
_ABBREVIATED = {
    "corp": "corporation", "inc": "incorporated", "ltd": "limited", "co": "company", "dept": "department",
    "govt": "government", "dr": "doctor", "prof": "professor", "st": "saint", "mt": "mount",
    "approx": "approximately", "gen": "general", "dir": "directory",
    "vs": "versus", "config": "configuration",
}  # fmt: skip
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sept sep", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"\b(?P<iso>\d{{4}}-\d{{1,2}}(?:-\d{{1,2}})?)\b"
    rf"|(?P<cjk>\d{{4}} *年 *\d{{1,2}} *月(?: *\d{{1,2}} *日)?)"
    rf"|\b(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{_MONTH})\b\.?(?:,? (?P<year>\d{{4}})\b)?"
    rf"|\b(?P<month2>{_MONTH})\b\.? (?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,? (?P<year2>\d{{4}})\b)?"
    rf"|\b(?P<month3>{_MONTH})\b\.?,? (?P<year3>\d{{4}})\b"
)
_DIGIT = re.compile(r"\d")
_DATE_SIGNS = ("-", "年", *(name for name in _MONTHS if len(name) == 3))
"""One of these is in every text that holds a date."""
_NOT = re.compile(
    r"\b(ca|could|wo|sha|might|would|do|does|did|is|are|was|were|has|have|had|should|must|need|ai)n't\b"
)
_SHORTENED = {"wo": "will", "ca": "can", "sha": "shall", "ai": "is"}
_CONTRACTED = {"'ll": " will", "'re": " are", "'ve": " have", "'m": " am"}
_IS = re.compile(r"\b(it|that|there|here|he|she|who|what|where)'s\b")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_IDENTIFIER = r"[a-z]\w*(?:_|\d)\w*|\d+[a-z_]*[a-z_]\d\w*|_\w+"
_WORD = re.compile(
    r"[$€£¥](?=\d)|\d+(?:\.\d+){2,}|\d+(?:[.,']\d{3})*(?:[.,]\d+)?(?:st|nd|rd|th)?(?![\d])|°[cf]\b|%|[^\W\d_]+(?:'[^\W\d_]+)?|\d+"
)
_THOUSANDS = re.compile(r"(?<=\d)[,'](?=\d{3}(?:\D|$))")
_MIXED = re.compile(r"(\d+)([a-z]+)")
_PLAIN_WORD = r"(?a:[a-z]+(?:'[a-z]+)?(?![\w']))"  # nearly all words: tried first
_TOKEN = re.compile(rf"{_PLAIN_WORD}|@[\d-]+@|(?a:{_IDENTIFIER})|\d+[a-z]+\b|{_WORD.pattern}")
_TYPOGRAPHY = str.maketrans(
    {"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "–": "-", "—": "-", "\u2212": "-"}
)


@dataclass(frozen=True, slots=True)
class Claim:
    """`words` in the order of the text; `guard` is the hash of those that must be equal, in their order-free form;
    `theme` is the hash of all others: claims of one theme differ in numbers, dates and negations at the most."""

    words: tuple[str, ...]
    guard: bytes
    theme: bytes
    numbers: tuple[str, ...]


@lru_cache(maxsize=16_384)
def read_claim(text: str) -> Claim:
    """The claim that a sentence makes."""
    words = _words(text)
    numbers = [word for word in words if word[0] in "#@"]
    guards = [word for word in words if word in _GUARDS]
    theme = sorted(word for word in words if word not in _NEGATIONS and word[0] not in "#@")
    guard = _hash([*sorted(numbers), "|", *sorted(guards)])
    return Claim(words=tuple(words), guard=guard, theme=_hash(theme), numbers=tuple(numbers))


_NEGATIONS = frozenset("not no never do does did".split())


def says_when(words: Sequence[str]) -> bool:
    """Whether a run of a claim's words is a circumstance: a date, a number, a time, or a clause that says when."""
    return any(word[0] in "#@" or word in _when() for word in words)


@cache
def _when() -> frozenset[str]:
    return frozenset(word if word in _GUARDS else _spelled(word) for word in _WHEN)


def _words(text: str) -> list[str]:
    tokens = _TOKEN.findall(_plain(text))
    known = [_word(token) for token in tokens]
    return [word for word in known if word] if None not in known else _with_numbers(tokens, known)


def _plain(text: str) -> str:
    """The text in small letters, without contractions and fillers, with dates in one form."""
    if text.isascii():
        plain = text.casefold()
    else:
        plain = spaced(unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).casefold())
    if "'" in plain:
        plain = _IS.sub(r"\1 is", plain)
        plain = _NOT.sub(lambda found: f"{_SHORTENED.get(found[1], found[1])} not", plain)
        for short, long in _CONTRACTED.items():
            plain = plain.replace(short, long)
    plain = plain.replace("cannot", "can not").replace("per cent", "percent")
    if "-" in plain:
        plain = _HYPHEN.sub(_hyphen, plain)
    if any(phrase in plain for phrase in _PHRASES):
        plain = _FILLERS.sub(" ", plain)
    if _DIGIT.search(plain) and any(sign in plain for sign in _DATE_SIGNS):
        plain = _DATE.sub(_date, plain)
    return plain


def _with_numbers(tokens: list[str], known: list[str | None]) -> list[str]:
    """The words of a claim that holds numbers, each with its unit or currency; `known` is what each token is."""
    found: list[str] = []
    currency = ""
    at = 0
    while at < len(tokens):
        token, word = tokens[at], known[at]
        at += 1
        if word is not None:
            if word:
                found.append(word)
        elif token[0] in _CURRENCIES:
            currency = _UNITS[token]
        elif (mixed := None if token.isdigit() else _MIXED.fullmatch(token)) and not _is_measure(mixed[2]):
            found.append(token)
        else:
            if mixed:
                token, tokens[at:at], known[at:at] = mixed[1], [mixed[2]], [_word(mixed[2])]
            number, at = _number(token, tokens, at, currency)
            found.append(f"#{number} {currency}" if currency else f"#{number}")
            currency = ""
    return found


@lru_cache(maxsize=65_536)
def _word(token: str) -> str | None:
    """The word that a token is, empty where it carries no meaning; None for a number or a sign of currency."""
    if token in _DROPPED:
        return ""
    if token[0] == "@":
        return token.rstrip("@")
    if token[0] in _CURRENCIES or token[0].isdigit() or token in _NUMBER_WORDS:
        return None
    word = token.removesuffix("'s").replace("'", "")
    word = _ABBREVIATED.get(word) or _FORMS.get(word, word)
    return word if word in _GUARDS or not word.isascii() else _spelled(word)


def _is_measure(suffix: str) -> bool:
    return suffix in _UNITS or suffix in _SCALES or suffix in ("st", "nd", "rd", "th")


def _hyphen(found: re.Match[str]) -> str:
    """`fail-over` is `failover`; the hyphen of `ninety-five` goes."""
    before = found.string[: found.start()].rpartition(" ")[2]
    return " " if before in _NUMBER_WORDS else ""


def _number(token: str, tokens: list[str], at: int, currency: str) -> tuple[str, int]:
    """A number in one form, with the scale and the unit that follow it; where to go on."""
    value = _NUMBER_WORDS.get(token) or _digits(token)
    if at == len(tokens) or tokens[at] not in _AFTER_A_NUMBER:
        return value, at
    if at < len(tokens) and tokens[at] in ("st", "nd", "rd", "th"):
        at += 1
    if token in _TENS and at < len(tokens) and len(_NUMBER_WORDS.get(tokens[at], "00")) == 1:
        value = str(int(value) + int(_NUMBER_WORDS[tokens[at]]))
        at += 1
    if at < len(tokens) and tokens[at] in _SCALES and (currency or tokens[at] not in _UNITS):
        scale = _SCALES[tokens[at]]
        value = _scaled(value, scale)
        at += 1
    if at < len(tokens) and tokens[at] in _UNITS:
        return f"{value} {_UNITS[tokens[at]]}", at + 1
    return value, at


def _digits(token: str) -> str:
    if token.isdigit():
        return token
    bare = _THOUSANDS.sub("", token.rstrip("stndrh")).replace(",", ".")
    return bare.rstrip("0").rstrip(".") if bare.count(".") == 1 else bare


def _scaled(value: str, zeros: int) -> str:
    whole, _, part = value.partition(".")
    if not (whole + part).isdigit():
        return f"{value}e{zeros}"
    digits = (part + "0" * zeros)[:zeros]
    rest = part[zeros:].rstrip("0")
    return (f"{whole}{digits}".lstrip("0") or "0") + (f".{rest}" if rest else "")


def _date(found: re.Match[str]) -> str:
    if found["iso"] or found["cjk"]:
        parts = [int(part) for part in re.findall(r"\d+", found[0])]
        return " @" + "-".join(f"{part:02}" for part in parts) + "@ "
    month = _MONTHS[found["month"] or found["month2"] or found["month3"]]
    day, year = found["day"] or found["day2"], found["year"] or found["year2"] or found["year3"]
    date = "-".join([year or "", f"{month:02}", *([f"{int(day):02}"] if day else [])])
    return f" @{date}@ "


_BRITISH = (
    ("isation", "ization"), ("ise", "ize"), ("ising", "izing"), ("ised", "ized"), ("ence", "ense"),
    ("lled", "led"),
    ("lling", "ling"),
)  # fmt: skip


def _spelled(word: str) -> str:
    """One spelling for words that have a British and an American one, stemmed, past forms apart; identifiers as
    they are."""
    if "_" in word or not word.isalpha():
        return word
    if len(word) > 5:
        for british, american in _BRITISH:
            if word.endswith(british):
                word = word.removesuffix(british) + american
                break
        word = word[:2] + word[2:].replace("our", "or").replace("aem", "em")
        word = word.replace("haem", "hem")
    short = stem(word) or word
    return f"{short}+ed" if len(word) > 4 and word.endswith("ed") else short


def _hash(words: list[str]) -> bytes:
    return blake2b("\0".join(words).encode(), digest_size=8).digest()
