"""Lines of a terminal as plain data, and what they are made of: text that is cut and spread to a width, bars, and
small curves. A line is pieces of text, each with the part that it plays; which colour that has is not known here,
and whatever is told by colour is told by a sign or a word as well.

Widths count cells: a letter of Chinese takes two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

Piece = tuple[str, str]
"""A text and its part: empty for what is plain, `dim`, `strong`, `title`, `bar`, `track`, `warn`, or the state of
a slice."""
Line = tuple[Piece, ...]

SIGNS = {"ready": "○", "running": "▶", "done": "✓", "failed": "✗", "dropped": "–", "split": "÷"}
"""Of the states of slices."""
_STACKED = {"done": "█", "running": "▓", "failed": "✗", "dropped": "–", "ready": "░"}
_EIGHTHS = " ▏▎▍▌▋▊▉"
_HEIGHTS = "▁▂▃▄▅▆▇█"


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def width_of(line: Line) -> int:
    return sum(cell_len(text) for text, _ in line)


def fit(line: Line, width: int) -> Line:
    """The line, cut to a width with a mark where something is missing."""
    if width_of(line) <= width:
        return line
    kept: list[Piece] = []
    left = width - 1
    for text, part in line:
        size = cell_len(text)
        if size > left:
            kept.append((set_cell_size(text, max(0, left)).rstrip() + "…", part))
            break
        kept.append((text, part))
        left -= size
    return tuple(kept) if width > 0 else ()


def spread(left: Line, right: Line, width: int) -> Line:
    """One part at either end of the line; the left one gives way, down to a third of the width."""
    right = fit(right, max(0, width - width // 3 - 1))
    left = fit(left, width - width_of(right) - 1)
    return (*left, (" " * max(1, width - width_of(left) - width_of(right)), ""), *right)


def column(text: str, width: int, *, right: bool = False) -> str:
    """Text in exactly so many cells."""
    if cell_len(text) > width:
        text = plain(fit(((text, ""),), width))
    space = " " * (width - cell_len(text))
    return space + text if right else text + space


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Text on as many lines as it takes."""
    room = max(8, width - len(indent))
    lines = Text(text).wrap(_CONSOLE, room, tab_size=4)
    return [f"{indent}{line.plain.rstrip()}" for line in lines] or [indent]


_CONSOLE = Console(width=80, markup=False, highlight=False, emoji=False)


def bar(share: float, width: int, part: str = "bar") -> Line:
    """How much of something, from 0 to 1, in eighths of a cell."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, rest = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[rest] if rest else "")
    return ((filled, part), ("░" * (width - len(filled)), "track"))


def stacked(counts: Iterable[tuple[str, int]], width: int) -> Line:
    """Slices by state, as a bar: each state that any is in has a cell at least, and its own sign."""
    known = dict(counts)
    shown = [(state, known[state]) for state in _STACKED if known.get(state, 0) > 0]
    total = sum(count for _, count in shown)
    if not total:
        return (("░" * width, "track"),)
    cells = {state: max(1, count * width // total) for state, count in shown}
    largest = max(shown, key=lambda one: one[1])[0]
    cells[largest] = max(1, cells[largest] + width - sum(cells.values()))
    return tuple((_STACKED[state] * cells[state], state) for state, _ in shown)


def curve(values: Sequence[float], width: int) -> Line:
    """Shares from 0 to 1 as columns, the last ones where there are more than fit. What is over nine tenths is
    told."""
    return tuple(
        (_HEIGHTS[min(7, int(min(1.0, max(0.0, value)) * 8))], "warn" if value > 0.9 else "bar")
        for value in values[-width:]
    )


def clock(seconds: float) -> str:
    """A stretch of time in a column: 42s, 3m10s, 2h05m, 4d03h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3_600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 172_800:
        return f"{whole // 3_600}h{whole % 3_600 // 60:02}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3_600:02}h"
