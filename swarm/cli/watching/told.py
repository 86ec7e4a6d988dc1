"""A frame where there is no screen: as a picture in plain text, as one line of a log, and as JSON-able data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from swarm.cli.plain import dollars, number, plural
from swarm.cli.watching import draw
from swarm.cli.watching.frame import Frame
from swarm.cli.watching.ink import plain

PANELS: tuple[tuple[str, str, draw.Draw], ...] = (
    ("plan", "Plan", draw.plan),
    ("places", "At work", draw.places),
    ("spent", "Spent", draw.spent),
    ("findings", "Found", draw.findings),
    ("disputes", "Disputed", draw.disputes),
    ("failures", "Failed", draw.failures),
    ("instructions", "Added", draw.instructions),
)
"""The panels in their order: a name, a title, and how each is drawn."""
_LINES = {"plan": 40, "findings": 12, "failures": 24}
_OTHERWISE = 20


def picture(frame: Frame, width: int) -> Iterator[str]:
    """All panels, one below the other, each with its first lines."""
    for line in draw.head(frame, width):
        yield plain(line).rstrip()
    for name, title, drawn in PANELS:
        lines = [plain(line).rstrip() for line in draw.lines_of(drawn(frame, width - 2))]
        most = _LINES.get(name, _OTHERWISE)
        yield from ("", title, *(f"  {line}".rstrip() for line in lines[:most]))
        if len(lines) > most and name != "findings":  # of these only the last are known here
            yield f"  … {plural(len(lines) - most, 'more line')}"


def line(frame: Frame) -> str:
    """How it stands, on one line."""
    counts = dict(frame.states)
    said = [f"{frame.head.run} {frame.head.status}"]
    said += [frame.head.why] if frame.head.why else []
    said += [f"{counts.get('done', 0):,} of {plural(frame.slices, 'slice')} done"] if frame.slices else []
    said += [f"{counts[state]:,} {state}" for state in ("running", "failed", "dropped") if counts.get(state)]
    used = {gauge.name: gauge.used for gauge in frame.gauges}
    said += [f"{plural(int(used['calls']), 'call')}, {number(used['tokens'])} tokens, {dollars(used['cost_usd'])}"]
    return " · ".join(said)


def document(frame: Frame) -> dict[str, Any]:
    """The whole frame, by the names of its fields. Moments are seconds since the epoch, no limit is null, and text
    is cut as it is on a screen."""
    told = asdict(frame) | {"states": dict(frame.states)}
    for row in told["rows"]:
        row["counts"] = dict(row["counts"])
    return told
