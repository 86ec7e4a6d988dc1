"""The best metric over the experiments as a picture: what was kept, by name, and all else that was tried.

A small SVG of its own: the light chart libraries draw no names at points and no mark for what never measured
anything. This module knows rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from swarm.experiments.ledger import Row
from swarm.experiments.measure import Yardstick

_WIDTH, _HEIGHT = 960, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 48, 56
_KEPT, _OTHER, _BROKEN, _INK, _FAINT = "#1a7f37", "#9aa4af", "#cf222e", "#1f2328", "#e4e8ec"
_NAME_CHARS = 44
_NAMES = 24  # of kept experiments, the last ones: more cannot be read
_REACH = 1.0  # what is worse than the baseline by more than this many of the whole gain is drawn at the edge


def plot(rows: Iterable[Row], yard: Yardstick, title: str = "") -> str:
    """The picture, as the text of an SVG file."""
    everything = list(rows)
    landed = [row for row in everything if row.landed and row.metric is not None]
    low, high = _span(everything, yard)
    scale = _Scale(len(everything), low, high)
    name = yard.name
    kept = sum(row.status == "keep" for row in everything)
    tried = sum(row.status != "baseline" for row in everything)
    way = "lower" if yard.better == "min" else "higher"
    said = title or f"{tried} experiments, {kept} kept: {name} ({way} is better)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(said)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="26" font-size="15">{escape(said)}</text>',
        *_axes(scale, name),
        *_points(everything, scale),
    ]
    if landed:
        parts += _line(everything, scale, yard)
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Scale:
    """Where a value stands in the picture."""

    def __init__(self, count: int, low: float, high: float) -> None:
        self.count, self.low, self.high = max(1, count - 1), low, high

    def x(self, at: int) -> float:
        return _LEFT + at / self.count * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        part = (min(self.high, max(self.low, value)) - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - part * (_HEIGHT - _BOTTOM - _TOP)


def _span(rows: Sequence[Row], yard: Yardstick) -> tuple[float, float]:
    """From the best to somewhat worse than the first; what is far worse would press all else together."""
    values = [row.metric for row in rows if row.metric is not None]
    if not values:
        return 0.0, 1.0
    landed = [row.metric for row in rows if row.landed and row.metric is not None] or values
    reach = _REACH * (max(landed) - min(landed)) or abs(landed[0]) * 0.1 or 1.0
    worst = landed[0] + reach if yard.better == "min" else landed[0] - reach
    inside = [value for value in values if yard.gain(value, worst) >= 0] + landed
    low, high = min(inside), max(inside)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _axes(scale: _Scale, name: str) -> list[str]:
    parts = []
    for tick in _ticks(scale.low, scale.high):
        y = scale.y(tick)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_FAINT}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    bottom, middle = _HEIGHT - _BOTTOM, (_HEIGHT - _BOTTOM + _TOP) / 2
    parts += [
        f'<text x="{scale.x(int(tick)):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in _ticks(0, scale.count)
        if tick == int(tick)
    ]
    turn = f'transform="rotate(-90 16 {middle:.0f})"'
    return [
        *parts,
        f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 14}" text-anchor="middle">experiment</text>',
        f'<text x="16" y="{middle:.0f}" text-anchor="middle" {turn}>{escape(name)}</text>',
    ]


def _ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between two."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _points(rows: Sequence[Row], scale: _Scale) -> list[str]:
    """Each that was not kept: a faint point, or a cross at the bottom where it measured nothing."""
    parts = []
    for at, row in enumerate(rows):
        x = scale.x(at)
        about = escape(f"{row.number}: {row.description} ({row.status}{_measure(row)})")
        if row.metric is None:
            y = _HEIGHT - _BOTTOM - 6
            shape = f'<path d="M{x - 3:.1f} {y - 3}l6 6m0 -6l-6 6" stroke="{_BROKEN}" fill="none">'
            parts.append(f"{shape}<title>{about}</title></path>")
        elif not row.landed:
            parts.append(_dot(x, scale.y(row.metric), 3, _OTHER, about))
    return parts


def _line(rows: Sequence[Row], scale: _Scale, yard: Yardstick) -> list[str]:
    """The best so far as steps, and what was kept with its name."""
    steps: list[str] = []
    dots: list[str] = []
    best: float | None = None
    named = {row.number for row in [row for row in rows if row.landed][-_NAMES:]}
    for at, row in enumerate(rows):
        if not row.landed or row.metric is None:
            continue
        x, y = scale.x(at), scale.y(row.metric)
        better = best is None or yard.gain(row.metric, best) > 0
        if best is not None:
            steps.append(f"H{x:.1f}")
        if better:
            best = row.metric
            steps.append(f"V{y:.1f}" if steps else f"M{x:.1f} {y:.1f}")
        dots.append(_dot(x, y, 4.5, _KEPT, escape(f"{row.number}: {row.description}{_measure(row)}")))
        if row.number in named:
            dots.append(_name(row, x, y))
    steps.append(f"H{scale.x(scale.count):.1f}")
    path = f'<path d="{" ".join(steps)}" stroke="{_KEPT}" stroke-width="2" fill="none"/>'
    return [path, *dots]


def _name(row: Row, x: float, y: float) -> str:
    said = row.description or row.status
    said = said if len(said) <= _NAME_CHARS else f"{said[: _NAME_CHARS - 1]}…"
    end = x > _WIDTH * 0.75  # no room on the right
    at = f'x="{x - 7:.1f}" y="{y + 14:.1f}" text-anchor="end"' if end else f'x="{x + 6:.1f}" y="{y - 7:.1f}"'
    return f'<text {at} font-size="11">{escape(said)}</text>'


def _dot(x: float, y: float, size: float, colour: str, about: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"><title>{about}</title></circle>'


def _measure(row: Row) -> str:
    return "" if row.metric is None else f", {row.metric:.6g}"
