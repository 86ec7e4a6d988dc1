"""Text from sources, models and servers, made safe and short for a terminal.

What comes from outside may hold escape sequences that move the cursor, rename the window or hide text, and
characters that turn the direction of writing. They are dropped here, before anything is printed. This module
knows nothing of who prints.
"""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"""
      (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]                         # CSI: colours, cursor
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])                  # OSC, DCS and the like: titles, links, ...
      [^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)              # ... up to their end
    | \x1b[ -/]*[0-~]                                          # two-character escapes
    """,
    re.VERBOSE,
)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tab and line feed
    "\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c"  # direction of writing
    "\u2028\u2029\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"  # separators, tags, lone surrogates
)


def clean(text: str) -> str:
    """`text` without anything that a terminal would obey; tabs and line feeds stay."""
    return _UNSEEN.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str, width: int | None = None) -> str:
    """`text`, cleaned, on one line and cut at a word to at most `width` characters, where one is given."""
    line = " ".join(clean(text).split())
    if width is None or len(line) <= width:
        return line
    head = line[: max(width - 2, 1)]
    word = head.rfind(" ")
    return (head[:word] if word > width // 2 else head).rstrip() + " …"


def number(value: float) -> str:
    """A count as a person reads it: 1,204, 31.2k, 4.1M."""
    if value < 10_000:
        return f"{int(value):,}"
    for limit, divisor, unit in ((1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if value < limit:
            return f"{value / divisor:.1f}{unit}" if value < limit / 10 else f"{value / divisor:.0f}{unit}"
    return f"{value / 1e9:.1f}G"


def dollars(value: float) -> str:
    """Cents where that says enough, and more digits below."""
    return f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"


def seconds(value: float) -> str:
    """A stretch of time: 0.4 s, 42 s, 3 min 10 s, 2 h 5 min."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(value: float) -> str:
    """How long ago something was, of which the seconds do not matter: now, 5 min, 3 h, 12 d."""
    for most, divisor, unit in ((3_600, 60, "min"), (172_800, 3_600, "h")):
        if value < most:
            return f"{int(value // divisor)} {unit}" if value >= divisor else "now"
    return f"{int(value // 86_400):,} d"


def plural(count: int, word: str) -> str:
    """`1 source`, `2 sources`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
