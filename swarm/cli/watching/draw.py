"""A frame, drawn: what each panel says, line by line, at a given width. Plain functions without a terminal.

An item of a panel is a line and what it stands for, so that whoever chooses it can be shown more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from swarm.cli.plain import dollars, number, plural, seconds
from swarm.cli.watching.frame import Frame, Gauge, OnMachine, Row
from swarm.cli.watching.ink import SIGNS, Line, bar, clock, column, curve, fit, spread, stacked, width_of, wrapped

STATUS = {
    "running": ("▶", "running"), "paused": ("‖", "warn"), "answered": ("✓", "done"), "no_evidence": ("∅", "warn"),
    "partial": ("◐", "warn"), "interrupted": ("✗", "failed"),
}  # fmt: skip
_LIVE = ("running", "paused")
_PHASES = {
    "gather": "reading files", "plan": "planning", "dispatch": "reading", "judge": "judging",
    "consolidate": "condensing", "finish": "answering",
}  # fmt: skip
_NAMES = {
    "cost_usd": "dollars", "tokens": "tokens", "calls": "calls", "wall_seconds": "seconds", "slices": "slices",
    "requests_per_minute": "requests", "input_tokens_per_minute": "tokens in",
    "output_tokens_per_minute": "tokens out",
}  # fmt: skip
_LIVES = {"alive": ("●", "done"), "silent": ("◌", "warn"), "lost": ("✗", "failed")}
_LABEL = 11  # cells of the names of gauges
_NARROW = 60  # cells, below which columns are left out


@dataclass(frozen=True, slots=True)
class Item:
    """A line. `slice` is the id of the slice that it is about, `branch` the key of a branch that can be opened, or
    of which there is `more`; None: it is about none."""

    line: Line
    slice: str = ""
    branch: str | None = None
    is_open: bool = False
    more: bool = False

    @property
    def key(self) -> tuple[str, str | None, bool]:
        """What it stands for, from one frame to the next."""
        return self.slice, self.branch, self.more


Draw = Callable[[Frame, int], list[Item]]


def head(frame: Frame, width: int) -> list[Line]:
    """The run as a whole, the most important first."""
    one = frame.head
    sign, part = STATUS.get(one.status, ("?", "warn"))
    status = one.status.replace("_", " ")
    doing = "working" if one.works and one.phase == "dispatch" else _PHASES.get(one.phase, one.phase)
    said = [doing] if doing and one.status == "running" else []
    said += [one.why] if one.why else []
    said += [f"about {seconds(max(1.0, one.left))} left"] if one.left is not None else []
    first: Line = ((f"{sign} {status}", part), ("".join(f" · {text}" for text in said), "strong"))
    if one.behind:
        first = (("▶ reading its records", "warn"), (f" · {one.records:,} so far", "strong"))
    facts = [one.model] if one.model else []
    facts += [f"window {one.window:,}"] if one.window else []
    facts += [f"of {one.of}"] if one.of else []
    facts += [f"on {one.host}"] if one.host else []
    when = f"session {one.session}, " if one.session > 1 else ""
    live = one.status in _LIVE
    went = f"{when}{'for' if live else 'took'} {seconds(one.went)}, begun {_when(one.begun)}" if one.begun else ""
    lines = [
        spread(first, ((one.run, "dim"),), width),
        fit(((one.asked, "strong"),), width),
        _slices(frame, width),
        spread(((" · ".join(facts), "dim"),), ((went, "dim"),), width),
    ]
    if one.answer:
        lines.insert(2, fit((("answer: ", "dim"), (one.answer, "")), width))
    if one.again:
        lines.insert(1, fit((("go on with: ", "dim"), (one.again, "title")), width))
    return lines


def _slices(frame: Frame, width: int) -> Line:
    """Slices by state: a bar, and each count with its sign and its word."""
    counts = dict(frame.states)
    words: list[tuple[str, str]] = []
    for state in ("done", "running", "failed", "dropped", "ready"):
        if count := counts.get(state, 0):
            words += [("  " if words else "", ""), (f"{SIGNS[state]} {count:,} {state}", state)]
    if not words:
        return (("no slices yet", "dim"),)
    total = (f"  of {plural(frame.slices, 'slice')}", "dim")
    told: Line = (*words, total)
    room = max(10, width - width_of(told) - 2)
    return fit((*stacked(frame.states, room), ("  ", ""), *told), width)


def plan(frame: Frame, width: int) -> list[Item]:
    """The plan as a tree."""
    return [_row(row, width) for row in frame.rows] or [Item(_nothing("no plan yet"))]


def _row(row: Row, width: int) -> Item:
    indent = "  " * min(row.depth, max(1, width // 8))
    if row.kind == "more":
        return Item(fit(((f"{indent}… and {row.more:,} more", "dim"),), width), branch=row.key, more=True)
    cost = column(dollars(row.cost_usd) if row.cost_usd else "", 8, right=True)
    if row.kind == "branch":
        sign = "▾" if row.is_open else "▸"
        counts = dict(row.counts)
        total = sum(count for state, count in row.counts if state != "split")
        told: list[tuple[str, str]] = []
        for state in ("running", "failed"):
            told += [(f"{SIGNS[state]}{counts[state]:,} ", state)] if state in counts else []
        told.append((f"{counts.get('done', 0):,}/{total:,}", "done" if counts.get("done") == total else ""))
        planner = (f"{SIGNS[row.state]} ", row.state) if row.state else ("", "")
        left: Line = ((f"{indent}{sign} ", "title"), planner, (row.name, "strong"))
        return Item(
            spread(left, (*told, (cost, "dim")), width), slice=row.slice, branch=row.key, is_open=row.is_open
        )
    took = column(clock(row.seconds) if row.seconds is not None else "", 7, right=True)
    left = ((f"{indent}{SIGNS[row.state]} ", row.state), (row.name, "" if row.state != "ready" else "dim"))
    state = column(row.state, 8) if width >= _NARROW else ""
    part = row.state if row.state != "done" else "dim"
    return Item(spread(left, ((state, part), (took, "dim"), (cost, "dim")), width), slice=row.slice)


def places(frame: Frame, width: int) -> list[Item]:
    """Who is at work, on what, since when."""
    found = frame.places
    share = found.busy / found.of if found.of else 0.0
    told = f" {found.busy:,} of {plural(found.of, 'place')} busy"
    items = [Item(fit((*bar(share, min(20, width // 3), "running"), (told, "strong")), width))]
    for one in found.workers:
        left: Line = ((f"{SIGNS['running']} " if one.key else "◆ ", "running"), (one.name, ""))
        where = f" on {one.machine}" if one.machine and width >= _NARROW else ""
        right: Line = ((f"{one.doing}{where}", "dim"), (column(clock(one.seconds), 7, right=True), "strong"))
        items.append(Item(spread(left, right, width), slice=one.key))
    listed = sum(1 for one in found.workers if one.key)
    if found.busy > listed:
        items.append(Item(((f"… and {found.busy - listed:,} more", "dim"),)))
    if (free := found.of - found.busy) > 0:
        items.append(Item(((f"○ {free:,} free", "dim"),)))
    if frame.machines:
        items += [Item(()), Item((("on machines", "title"),))]
    return [*items, *(Item(_machine(one, width)) for one in frame.machines)]


def _machine(one: OnMachine, width: int) -> Line:
    """A machine: its name, whether it lives, and what it did."""
    sign, part = _LIVES.get(one.life, ("·", "dim"))
    said = [one.life] if one.life else []
    said += ["draining"] if one.draining else []
    told = [(one.working, "at work", "running"), (one.done, "done", ""), (one.failed, "failed", "failed")]
    told.append((one.lost, "lost", "warn"))
    counts = [(f"{count:,} {word}", colour) for count, word, colour in told if count or word == "at work"]
    right = [piece for pair in counts for piece in ((" · ", "dim"), pair)][1:]
    left: Line = ((f"{sign} ", part), (one.name, ""), (f" {', '.join(said)}" if said else "", part))
    return spread(left, tuple(right), width)


def spent(frame: Frame, width: int) -> list[Item]:
    """What was used against the limits, what goes over the wire, and how full windows are."""
    lines = [_gauge(gauge, width) for gauge in frame.gauges]
    if frame.cached_tokens and frame.input_tokens:
        share = frame.cached_tokens / frame.input_tokens
        lines.append(fit(((column("", _LABEL), ""), (f"{share:.0%} of the input from a cache", "dim")), width))
    if frame.head.status in _LIVE:
        lines += [(), (("in the last minute", "title"),), *(_gauge(gauge, width) for gauge in frame.rates)]
    lines += [(), (("how full windows were", "title"),), *_fill(frame, width)]
    return [Item(line) for line in lines]


def _gauge(gauge: Gauge, width: int) -> Line:
    """A name, a bar where there is a limit, and both numbers."""
    name = (column(_NAMES[gauge.name], _LABEL), "")
    used = _value(gauge.name, gauge.used)
    room = max(6, min(30, width - _LABEL - 32))
    if gauge.limit is None:
        line: Line = (name, (column("no limit", max(room, len("no limit"))), "dim"), (f" {used}", "strong"))
        return fit(line, width)
    share = gauge.used / gauge.limit if gauge.limit else 1.0
    part = "failed" if share >= 1 else "warn" if share >= 0.8 else "bar"
    told = (f" of {_value(gauge.name, gauge.limit)} ({share:.0%})", part if share >= 0.8 else "dim")
    return fit((name, *bar(share, room, part), (f" {used}", "strong"), told), width)


def _value(name: str, value: float) -> str:
    if name == "cost_usd":
        return dollars(value)
    return seconds(value) if name == "wall_seconds" else number(value)


def _fill(frame: Frame, width: int) -> list[Line]:
    fill = frame.fill
    if not fill.calls:
        return [_nothing("no call has told its window yet")]
    return [
        fit((*curve(fill.last, width - 8), (f" {fill.last[-1]:.0%}", "strong")), width),
        fit(
            (
                (f"mean {fill.mean:.0%}", "strong"),
                (f" · fullest {fill.fullest:.0%}", "warn" if fill.fullest > 0.9 else "strong"),
                (f" ({fill.fullest_by})" if fill.fullest_by else "", "dim"),
            ),
            width,
        ),
        fit(((f"of {number(fill.window)} tokens, {plural(fill.calls, 'call')}", "dim"),), width),
    ]


def findings(frame: Frame, width: int) -> list[Item]:
    """Those that were reported last, the newest first."""
    items = [
        Item(spread(((one.text, ""),), ((f"{clock(max(0.0, frame.now - one.at))} ago", "dim"),), width), one.slice)
        for one in frame.findings
    ]
    return items or [Item(_nothing("nothing was found yet"))]


def disputes(frame: Frame, width: int) -> list[Item]:
    """Open contradictions: claims that cannot both hold, and that nothing has settled."""
    found = frame.disputes
    if found is None:
        return [Item(_nothing("not looked for yet"))]
    if not found.pairs:
        return [Item(_nothing(f"none, as of {_clock(found.at)}"))]
    items: list[Item] = []
    for one, other in found.pairs:
        items.append(Item(fit((("≠ ", "warn"), (one, "")), width)))
        items.append(Item(fit((("  ", ""), (other, "dim")), width)))
    more = "the first of them, " if found.more else ""
    return [*items, Item(_nothing(f"{more}as of {_clock(found.at)}"))]


def failures(frame: Frame, width: int) -> list[Item]:
    """Slices that failed, the last first, each with its reason: on as many lines as that takes, within reason."""
    items: list[Item] = []
    for one in frame.failures:
        items.append(Item(fit((("✗ ", "failed"), (one.name, "strong")), width), one.key))
        items += [Item(((line, "dim"),), one.key) for line in wrapped(one.why, width, "    ")[:3]]
    if frame.failed > len(frame.failures):
        items.append(Item(_nothing(f"… and {frame.failed - len(frame.failures):,} more")))
    return items or [Item(_nothing("none"))]


def instructions(frame: Frame, width: int) -> list[Item]:
    """What a person added, the last first."""
    lines = [line for text in frame.instructions for line in wrapped(f"• {text}", width)[:4]]
    return [Item(((line, ""),)) for line in lines] or [Item(_nothing("none"))]


def lines_of(items: Sequence[Item]) -> list[Line]:
    return [item.line for item in items]


def _nothing(text: str) -> Line:
    return ((text, "dim"),)


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
