"""HTML and SVG from trees of elements: text is escaped where it is put in, and nothing else can be put in.

    element("p", {"class": "soft"}, "a < b")  ->  <p class="soft">a &lt; b</p>

It knows no page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f]")
_HIDDEN = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufff9-\ufffb\ud800-\udfff]")
_EMPTY = frozenset(("br", "hr"))


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Iterable[str] | None


def shown(text: str) -> str:
    """`text` with symbols in the place of characters that are not seen, and may change how the rest is read."""
    text = _CONTROL.sub(lambda found: chr(0x2400 + ord(found[0])), text.replace("\r\n", "\n"))
    return _HIDDEN.sub("\ufffd", text)


def element(name: str, attributes: Mapping[str, object] | None = None, *children: Child) -> Markup:
    """One element. Attributes that are None are left out; so are children."""
    told = "".join(
        f' {key}="{html.escape(shown(str(value)))}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    if name in _EMPTY:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{joined(*children)}</{name}>")


def joined(*children: Child) -> Markup:
    """Children one after the other: markup as it is, text escaped."""
    parts = []
    for child in children:
        if child is None:
            continue
        several = (child,) if isinstance(child, str) else child
        parts += [one if isinstance(one, Markup) else html.escape(shown(one)) for one in several]
    return Markup("".join(parts))


def words(name: str, text: str, names: str = "") -> Markup:
    """An element that holds text from outside: its direction of writing stays its own."""
    return element(name, {"class": f"text {names}".strip(), "dir": "auto"}, text)
