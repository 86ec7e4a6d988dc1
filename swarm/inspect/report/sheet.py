"""What every part of the paper is set in: sections, tables, and numbers in words. It knows no run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from swarm.inspect.report.markup import Child, Markup, element, joined

NOTHING = Markup("")


def section(heading: str, *children: Child) -> Markup:
    """Children under a heading; nothing where there are none."""
    inner = joined(*children)
    return element("section", None, element("h2", None, heading), inner) if inner else NOTHING


def table(head: Sequence[str], rows: Sequence[Markup], numbered: int = 0) -> Markup:
    """The last `numbered` columns hold numbers."""
    first = len(head) - numbered
    names = [{"scope": "col", "class": "number" if place >= first else None} for place in range(len(head))]
    top = element("tr", None, [element("th", told, name) for told, name in zip(names, head, strict=True)])
    return element("table", None, element("thead", None, top), element("tbody", None, rows))


def numbers(*values: str) -> Markup:
    return joined([element("td", {"class": "number"}, value) for value in values])


def soft(text: str) -> Markup:
    return element("p", {"class": "soft"}, text)


def and_more(left: int, what: str) -> Markup | None:
    return soft(f"and {left:,} more {what}") if left > 0 else None


def moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"


def percent(share: float) -> str:
    """Never 100 % where something is left, and never 0 % where there is something."""
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{min(99.9, max(0.1, 100 * share)):.1f} %"


def dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"


def took(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds // 3_600)} h {int(seconds % 3_600 // 60)} min"
