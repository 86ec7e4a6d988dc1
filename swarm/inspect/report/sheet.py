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


def between(begun: float, ended: float) -> tuple[str, str]:
    """The ends of a stretch of time, with seconds where it is short."""
    if ended - begun >= 3_600:
        return moment(begun), f"{moment(ended)} UTC"
    seconds = [f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}" for at in (begun, ended)]
    return seconds[0], f"{seconds[1]} UTC"


def percent(share: float) -> str:
    """Never 100% where something is left, and never 0% where there is something."""
    if 0.0 < share < 0.01:
        return "< 1%"
    return "> 99%" if 0.99 < share < 1.0 else f"{share:.0%}"


def dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"


def took(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
