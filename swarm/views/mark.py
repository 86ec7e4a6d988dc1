"""The mark around a view, by which its text is known again wherever it turns up.

An agent that was shown a view may quote from it, and what it writes may be read later as a source. What stands
in a marked stretch was known before: it is no evidence, and is never taken for a new finding. The mark holds a
hash of the stretch, so that text which was changed, or only dressed up as a view, is read like any other. It
knows text alone.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from html import escape

_BEGIN = re.compile(r"<memory run=\"([^\"\n]{0,2000})\" hash=\"([0-9a-f]{16})\">\n")
_END = "\n</memory>"
_LIKE_A_MARK = re.compile(r"<(?=\s*/?\s*memory)", re.IGNORECASE)


def marked(run: str, text: str) -> str:
    """`text` as a view of the graph of `run`; empty where there is nothing to show."""
    if not text:
        return ""
    inner, run = _LIKE_A_MARK.sub("&lt;", text), escape(run.replace("\n", " "))
    return f'<memory run="{run}" hash="{_hash(run, inner)}">\n{inner}\n</memory>'


def stretches(text: str) -> list[tuple[int, int]]:
    """Where views stand in a text, as (start, end) in characters; in a time that grows with the text alone."""
    found: list[tuple[int, int]] = []
    for begin in _BEGIN.finditer(text) if "<memory" in text else ():
        start = begin.end()
        another = text.find("<memory", start)  # in a view there is none
        end = text.find(_END, start, another if another >= 0 else len(text))
        if end >= 0 and _hash(begin[1], text[start:end]) == begin[2]:
            found.append((begin.start(), end + len(_END)))
    return found


def _hash(run: str, text: str) -> str:
    return blake2b(f"{run}\0{text}".encode("utf-8", "replace"), digest_size=8, person=b"view").hexdigest()
