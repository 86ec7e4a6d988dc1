"""The figures of the paper: what the run came to in numbers, who worked when, what it cost, what was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.inspect.report import charts
from swarm.inspect.report.markup import Markup, element, words
from swarm.inspect.report.sheet import (
    NOTHING,
    and_more,
    between,
    dollars,
    numbers,
    percent,
    section,
    soft,
    table,
    took,
)  # fmt: skip

_BARS, _LANES = 1_500, 40
_SOURCES, _COSTS, _MACHINES = 30, 20, 100
_ITSELF = "the coordinator and the plan itself"
_STRIPS = (
    "Each strip is a source from its beginning to its end: full height where findings rest on it, or where "
    "reading it failed (framed); half height where it was read and bears none; pale where it was not read."
)


def in_figures(overview: Mapping[str, Any]) -> Markup:
    coverage, spent, states, graph = (overview[name] for name in ("coverage", "spent", "slices", "graph"))
    share = coverage["read"] / coverage["chars"] if coverage["chars"] else 0.0
    contradictions = f"{'' if graph['contradictions_exact'] else 'at most '}{graph['contradictions']:,}"
    cached = f", {spent['cached_tokens']:,} of them from a cache" if spent["cached_tokens"] else ""
    pairs = [
        ("Sources", f"{coverage['inputs']:,}"),
        ("Read", f"{coverage['read']:,} of {coverage['chars']:,} characters ({percent(share)})"),
        ("Cited", f"{coverage['cited']:,} characters"),
        ("Findings", f"{graph['findings']:,} ({graph['claims']:,} different claims)"),
        ("Contradictions", contradictions),
        ("Slices", f"{states['done']:,} done, {states['failed']:,} failed, {states['ready']:,} left"),
        ("Calls", f"{spent['calls']:,}"),
        ("Tokens", f"{spent['input_tokens']:,} in{cached}, {spent['output_tokens']:,} out"),
        ("Cost", dollars(spent["cost_usd"])),
        ("Took", took(overview["last"] - overview["begun"])),
    ]
    items = [element("div", None, element("dt", None, name), element("dd", None, value)) for name, value in pairs]
    return section("In figures", element("dl", None, items))


def plots(look: Look) -> Markup:
    """Who worked when, what was spent when, and how full windows were."""
    return section("How it went", _worked(look), _spent(look), _filled(look))


def _figure(drawing: Markup, caption: str) -> Markup:
    return element("figure", None, drawing, element("figcaption", None, caption)) if drawing else NOTHING


def _worked(look: Look) -> Markup:
    """Lane by lane where there are few, else how many places were busy."""
    told = ENDPOINTS["timeline"](look)
    if not told["bars"]:
        return NOTHING
    ends = between(told["from"], told["to"])
    idle = told["idle"]
    idly = (
        ""
        if idle is None
        else f" Of the time of all {told['of']:,} places {percent(idle)} was idle, once files were read in."
    )
    places, others = told["lanes"]["places"], told["lanes"]["coordinator"]
    if told["exact"] and len(told["bars"]) <= _BARS and places + others <= _LANES:
        bars = [(bar[0], bar[1], bar[2], bar[3]) for bar in told["bars"]]
        caption = (
            f"Who worked when: {places:,} lanes of slices, and {others:,} of the coordinator's own calls below "
            f"them. What failed is framed.{idly}"
        )
        return _figure(charts.lanes(bars, places + others, (told["from"], told["to"]), caption, ends), caption)
    most = max(height for _, height in told["busy"])
    caption = f"Places that were busy over time, {most:.1f} at the most.{idly}"
    points = [(at, height) for at, height in told["busy"]]
    return _figure(charts.curve(points, caption, ends, f"{most:.0f}", steps=True), caption)


def on_machines(overview: Mapping[str, Any]) -> Markup:
    """What each machine did; nothing where the run's own process did all."""
    rows = []
    for one in overview["machines"][:_MACHINES]:
        ends = element("td", None, " to ".join(between(one["first"], one["last"])))
        sums = (f"{one['done']:,}", f"{one['failed']:,}", f"{one['lost']:,}")
        rows.append(element("tr", None, words("td", one["name"]), ends, numbers(*sums)))
    if not rows:
        return NOTHING
    head = ("machine", "at work", "slices done", "failed", "lost to another")
    return section("Machines", table(head, rows, 3), and_more(len(overview["machines"]) - len(rows), "machines"))


def _spent(look: Look) -> Markup:
    told = ENDPOINTS["cost"](look)
    by_cost = told["total"]["cost_usd"] > 0
    points = [(at, cost if by_cost else tokens) for at, cost, tokens in told["over_time"]]
    if len(points) < 2:
        return NOTHING
    total = dollars(told["total"]["cost_usd"]) if by_cost else f"{points[-1][1]:,.0f} tokens"
    high = total if by_cost else f"{points[-1][1] / 1_000:,.0f}k"
    ends = between(points[0][0], points[-1][0])
    caption = f"{'Dollars' if by_cost else 'Tokens'} over time: {total} in the end."
    return _figure(charts.curve(points, caption, ends, high), caption)


def _filled(look: Look) -> Markup:
    told = ENDPOINTS["windows"](look)
    if not told["total"]:
        return NOTHING
    caption = (
        f"How full the windows of {told['total']:,} calls were counted to be: {percent(told['mean'])} on average, "
        f"{percent(told['peak'])} at the most."
    )
    return _figure(charts.columns(told["histogram"], caption, ("0% of the window", "100%")), caption)


def what_was_read(look: Look) -> Markup:
    told = ENDPOINTS["coverage"](look, limit=_SOURCES, sort="findings")
    folder = look.follower.names.folder
    rows = []
    for one in told["sources"]:
        share = one["read"] / one["chars"] if one["chars"] else 1.0
        said = f"{percent(share)} read, {one['findings']:,} finding{'' if one['findings'] == 1 else 's'}"
        drawn = element("td", {"class": "drawn"}, charts.strip(one["bins"], said))
        path = words("td", one["path"].removeprefix(folder))
        rows.append(element("tr", None, path, drawn, element("td", None, said)))
    left = and_more(told["total"] - len(rows), "sources")
    skipped = [
        element("li", None, words("span", one["path"]), ": ", words("span", one["reason"]))
        for one in told["skipped_inputs"][:_SOURCES]
    ]
    parts = [soft(_STRIPS), words("p", f"All are in {folder}", "soft") if folder else None] if rows else []
    parts += [table(("source", "from beginning to end", ""), rows), left] if rows else []
    if skipped:
        parts += [soft("Not read at all:"), element("ul", None, skipped)]
        parts.append(and_more(told["skipped_total"] - len(skipped), "inputs"))
    return section("What was read", *parts)


def what_it_cost(look: Look) -> Markup:
    told = ENDPOINTS["cost"](look)
    rows = []
    for one in told["rows"][:_COSTS]:
        sums = (f"{one['calls']:,}", f"{one['input_tokens']:,}", f"{one['output_tokens']:,}")
        names = [words("td", text) for text in (one["model"], one["kind"], one["asked"] or _ITSELF)]
        rows.append(element("tr", None, names, numbers(*sums, dollars(one["cost_usd"]))))
    if not rows:
        return NOTHING
    head = ("model", "kind of call", "branch", "calls", "tokens in", "tokens out", "cost")
    return section("What it cost", table(head, rows, 4), and_more(len(told["rows"]) - len(rows), "rows"))
