"""Words of a text as a search sees them: lower-case, without accents, stemmed, stop words left out of questions.

The same stems as the full-text index makes (Porter 1980, "An algorithm for suffix stripping"), so that counts
from the index and counts made here agree. This module knows text and nothing else.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import Stemmer

WORD = re.compile(r"[^\W_]+", re.UNICODE)
"""One word, as the index's tokenizer cuts them."""

_CJK = re.compile(r"([぀-ヿ㐀-䶿一-鿿가-힣豈-﫿])")
_stemmers = threading.local()
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_ESCAPED = ("json", "jsonl")  # media whose text is escaped

STOP = frozenset(
    """
    a about after all also am an and any are as at be because been before being between both but by can could
    did do does doing done during each else ever few for from further had has have having he her here hers him
    his how i if in into is it its itself just many may me might more most much must my no nor not of off on once
    only or other our ours out over own s same shall she should so some such t than that the their theirs them
    then there these they this those through to too under until up us very was we were what when where which
    while who whom whose why will with would you your yours
    """.split()
)


def spaced(text: str) -> str:
    """`text` with blanks around each Chinese, Japanese and Korean character, which no blank separates."""
    return _CJK.sub(r" \1 ", text) if _CJK.search(text) else text


def unescaped(text: str) -> str:
    """JSON as the search should see it: with the characters that its escapes stand for."""
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    if match[3]:
        return _SIMPLE.get(match[3], match[3])
    high = int(match[1], 16)
    if not 0xD800 <= high <= 0xDFFF:
        return chr(high) + (unescaped(f"\\u{match[2]}") if match[2] else "")
    if match[2] and high < 0xDC00:
        return chr(0x10000 + ((high - 0xD800) << 10) + (int(match[2], 16) - 0xDC00))
    return "\ufffd"


def seen_in(media: str) -> Callable[[str], str] | None:
    """What makes of a text in this media what the search is to see; None: it sees the text itself."""
    return unescaped if media in _ESCAPED else None


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The stem of one word, in any case and with any accents."""
    plain = word.lower()
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    stemmer = getattr(_stemmers, "porter", None)
    if stemmer is None:
        stemmer = _stemmers.porter = Stemmer.Stemmer("porter")
    return str(stemmer.stemWord(plain))


def terms(text: str) -> list[str]:
    """The stems of all words of a text, in order, stop words included."""
    return [stem(word) for word in WORD.findall(spaced(text))]


def question_terms(question: str) -> list[str]:
    """The distinct stems of a question that can tell one passage from another, in order."""
    words = [word for word in WORD.findall(spaced(question)) if word.lower() not in STOP]
    return list(dict.fromkeys(stem(word) for word in words))
