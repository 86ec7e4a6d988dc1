"""Figures as SVG that needs no script: what they show is told beside them in words by whoever draws them.

Colours are those of the page, by classes; nothing is told by colour alone. Widths are in units of the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from swarm.inspect.report.markup import Markup, element

WIDE = 720.0
_LEFT, _RIGHT = 54.0, 8.0  # beside what is drawn
_TALL = 150.0
_FOOT = 18.0


def _drawing(height: float, label: str, *children: Markup) -> Markup:
    box = {"viewBox": f"0 0 {WIDE:g} {height:g}", "role": "img", "aria-label": label, "class": "chart"}
    return element("svg", {**box, "xmlns": "http://www.w3.org/2000/svg"}, *children)


def _said(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return element("text", {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor}, text)


def _rule(y: float) -> Markup:
    return element("path", {"class": "rule", "d": f"M{_LEFT:g} {y:g}H{WIDE - _RIGHT:g}"})


def _frame(high: str, low: str, first: str, last: str) -> list[Markup]:
    """Lines at the top and at the bottom, with what they stand for, and where it begins and ends."""
    bottom = _TALL - _FOOT
    return [
        _rule(8.5),
        _rule(bottom),
        _said(_LEFT - 6, 12, high, "end"),
        _said(_LEFT - 6, bottom, low, "end"),
        _said(_LEFT, _TALL - 4, first),
        _said(WIDE - _RIGHT, _TALL - 4, last, "end"),
    ]


def curve(
    points: Sequence[tuple[float, float]], label: str, ends: tuple[str, str], high: str, *, steps: bool = False
) -> Markup:
    """How something goes on over time: an area under a line. `ends` say when it begins and ends, `high` how much
    the top is."""
    if not points:
        return Markup("")
    low, most = points[0][0], max(value for _, value in points) or 1.0
    long = (points[-1][0] - low) or 1.0
    bottom = _TALL - _FOOT

    def at(point: tuple[float, float]) -> tuple[float, float]:
        x = _LEFT + (point[0] - low) / long * (WIDE - _LEFT - _RIGHT)
        return round(x, 1), round(bottom - point[1] / most * (bottom - 8.5), 1)

    (x, y), path = at(points[0]), []
    first = x
    path.append(f"M{x:g} {y:g}")
    for point in points[1:]:
        x, y = at(point)
        path.append(f"H{x:g}V{y:g}" if steps else f"L{x:g} {y:g}")
    line = "".join(path)
    area = element("path", {"class": "area", "d": f"{line}V{bottom:g}H{first:g}Z"})
    return _drawing(_TALL, label, area, element("path", {"class": "line", "d": line}), *_frame(high, "0", *ends))


def columns(amounts: Sequence[int], label: str, ends: tuple[str, str]) -> Markup:
    """How often what occurs: a column each."""
    most, bottom = max(amounts, default=0) or 1, _TALL - _FOOT
    wide = (WIDE - _LEFT - _RIGHT) / max(1, len(amounts))
    path = []
    for place, amount in enumerate(amounts):
        if amount:
            tall = max(1.0, amount / most * (bottom - 8.5))
            path.append(f"M{_LEFT + place * wide + 1:.1f} {bottom:g}v{-tall:.1f}h{wide - 2:.1f}v{tall:.1f}z")
    bars = element("path", {"class": "bar", "d": "".join(path)})
    return _drawing(_TALL, label, bars, *_frame(f"{most:,}", "0", *ends))


def lanes(
    bars: Iterable[tuple[int, float, float, str]], count: int, span: tuple[float, float], label: str,
    ends: tuple[str, str],
) -> Markup:  # fmt: skip
    """Who worked when: a row for each lane, a bar for each stretch of work; what is white was idle."""
    tall = max(3.0, min(14.0, 420.0 / max(1, count)))
    low, long = span[0], (span[1] - span[0]) or 1.0
    paths: dict[str, list[str]] = {}
    for lane, begun, ended, state in bars:
        x = _LEFT + (begun - low) / long * (WIDE - _LEFT - _RIGHT)
        wide = max(0.6, (ended - begun) / long * (WIDE - _LEFT - _RIGHT) - 0.7)  # so that two are seen to be two
        y, thick = 4 + lane * tall, max(1.5, tall - 1.5)
        paths.setdefault(state, []).append(f"M{x:.1f} {y:.1f}h{wide:.1f}v{thick:.1f}h{-wide:.1f}z")
    drawn = [
        element("path", {"class": f"state-{state}", "d": "".join(path)}) for state, path in sorted(paths.items())
    ]
    height = 4 + count * tall + _FOOT
    said = [_said(_LEFT, height - 4, ends[0]), _said(WIDE - _RIGHT, height - 4, ends[1], "end")]
    return _drawing(height, label, *drawn, *said)


READ_CLASSES = {"x": "cited", "o": "read", "s": "searched", "-": "planned", "!": "failed", ".": "unread"}


def strip(bins: str, label: str) -> Markup:
    """How far one source was read, from its beginning to its end."""
    wide = WIDE / max(1, len(bins))
    paths: dict[str, list[str]] = {}
    at = 0
    for letter, several in groupby(bins):
        many = len(list(several))
        top, tall = (0, 14) if letter in "x!" else (4, 6)  # what bears something stands out without its colour
        paths.setdefault(letter, []).append(f"M{at * wide:.1f} {top}h{many * wide:.1f}v{tall}h{-many * wide:.1f}z")
        at += many
    drawn = [
        element("path", {"class": f"read-{READ_CLASSES.get(letter, 'unread')}", "d": "".join(path)})
        for letter, path in paths.items()
    ]
    box = {"viewBox": f"0 0 {WIDE:g} 14", "preserveAspectRatio": "none", "role": "img", "aria-label": label}
    return element("svg", {**box, "class": "strip", "xmlns": "http://www.w3.org/2000/svg"}, *drawn)
