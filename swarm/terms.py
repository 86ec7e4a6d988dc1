"""Words of a text as a search sees them: lower-case, without accents, stemmed, stop words left out of questions.

The same stems as the full-text index makes (Porter 1980, "An algorithm for suffix stripping"), so that counts
from the index and counts made here agree. This module knows text and nothing else.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache

import Stemmer

WORD = re.compile(r"[^\W_]+", re.UNICODE)
"""One word, as the index's tokenizer cuts them."""

_CJK = re.compile(r"([぀-ヿ㐀-䶿一-鿿가-힣豈-﫿])")
_stemmers = threading.local()

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
