"""The mark around a view, by which its text is known again wherever it turns up.

An agent that was shown a view may quote from it, and what it writes may be read later as a source. What stands
in a marked stretch was known before: it is no evidence, and is never taken for a new finding. The mark holds a
hash of the stretch, so that text which was changed, or only dressed up as a view, is read like any other. It
knows text alone.
"""

from __future__ import annotations

import re
from hashlib import blake2b

_MARK = re.compile(r"<memory run=\"([^\"\n]{0,80})\" hash=\"([0-9a-f]{16})\">\n(.*?)\n</memory>", re.DOTALL)


def marked(run: str, text: str) -> str:
    """`text` as a view of the graph of `run`; empty where there is nothing to show."""
    if not text:
        return ""
    inner = text.replace("<memory", "&lt;memory").replace("</memory", "&lt;/memory")
    return f'<memory run="{run}" hash="{_hash(run, inner)}">\n{inner}\n</memory>'


def stretches(text: str) -> list[tuple[int, int]]:
    """Where views stand in a text, as (start, end) in characters."""
    if "<memory" not in text:
        return []
    return [found.span() for found in _MARK.finditer(text) if _hash(found[1], found[3]) == found[2]]


def _hash(run: str, text: str) -> str:
    return blake2b(f"{run}\0{text}".encode("utf-8", "replace"), digest_size=8, person=b"view").hexdigest()
