"""What a rehearsal came to, as lines for a person and as the JSON object that `swarm rehearse --json` prints.

Every figure stands under a line, or beside a key, that says simulated.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from swarm.cli.plain import dollars, number, one_line, plural, seconds
from swarm.task import Usage
from swarm.testing.forecast import Forecast, Stop
from swarm.testing.rehearsal import Rehearsal

_OPTIONS = {
    "cost_usd": "--max-cost-usd", "tokens": "--max-tokens", "calls": "--max-calls", "slices": "--max-slices",
    "wall_seconds": "--max-seconds",
}  # fmt: skip
_UNITS = {"tokens": "tokens", "calls": "calls", "wall_seconds": "seconds", "slices": "slices"}
_PACED = 1.3  # times as long as the rates demand, or less
_REASONS = 3  # of failures, told
_LEAST_USD = 0.00005  # that are told


def told(rehearsal: Rehearsal, made: Forecast, *, named: bool) -> list[str]:
    """A rehearsal as a person reads it."""
    who = (
        rehearsal.model
        if rehearsal.reader == rehearsal.model
        else f"{rehearsal.model}, read by {rehearsal.reader}"
    )
    lines = [
        f"SIMULATED: a rehearsal with a stand-in for {one_line(who)}{'' if named else ' (--model names another)'}",
        "  nothing was sent and nothing spent; every figure here is simulated",
    ]
    if not rehearsal.runs:
        return [*lines, f"  no run was finished{f': {rehearsal.ended}' if rehearsal.ended else ''}"]
    label = "at the least" if made.cut_off else "expected"
    lines.append(f"  {label}: {_amounts(made.usage)} · about {seconds(max(1.0, made.minutes * 60))}")
    width = max(map(len, made.kinds), default=0)
    lines += [f"    {kind:{width}}  {_amounts(usage)}" for kind, usage in made.kinds.items()]
    lines += [f"  {line}" for line in _basis(rehearsal, made)]
    filled = made.largest / max(1, made.window)
    lines.append(f"  the largest request: {made.largest:,} of {made.window:,} tokens ({filled:.0%})")
    lines += [f"  price of {one_line(price)}" for price in rehearsal.prices]
    wrong = list(what_would_go_wrong(rehearsal, made))
    lines.append(
        "  what would go wrong:" if wrong else "  what would go wrong: nothing, with a provider like this"
    )
    lines += [f"    - {one_line(line)}" for line in wrong]
    lines.append("  the stand-in, and what changes it:")
    lines += [f"    - {line}" for line in _set(rehearsal)]
    lines.append("  not told by this: how good the answer is, and how much a real model finds and writes")
    return lines


def _amounts(usage: Usage) -> str:
    tokens = f"{number(usage.input_tokens)} tokens in, {number(usage.output_tokens)} out"
    return f"{plural(usage.calls, 'call')} · {tokens} · {dollars(usage.cost_usd)}"


def _basis(rehearsal: Rehearsal, made: Forecast) -> Iterator[str]:
    """What the figures rest on."""
    sent = f"{plural(made.sent, 'request')} went to the stand-in"
    if made.cut_off:
        yield f"so far: {sent}, and the rehearsal ended it there (--calls): the whole comes to more than this"
    elif made.share < 1:
        yield f"scaled up from {made.share:.0%} of {plural(made.slices, 'slice')}: {sent}"
    else:
        yield f"{plural(made.slices, 'slice')}, all of them worked: {sent}"
    if len(rehearsal.runs) > 1:
        yield f"of {len(rehearsal.runs)} runs that the recipe makes"
    if rehearsal.ended:
        yield f"the recipe was ended there ({rehearsal.ended}): what it does after that is not in this"


def what_would_go_wrong(rehearsal: Rehearsal, made: Forecast) -> Iterator[str]:
    """In the order of its weight, each with the option that changes it."""
    yield from (_stopped(rehearsal, stop) for stop in dict.fromkeys(made.stopped))
    yield from _ended_otherwise(rehearsal)
    if made.paced_minutes and made.minutes < made.paced_minutes * _PACED:
        least = f"{seconds(made.paced_minutes * 60)} at the least"
        yield f"the rates set the pace: {least} (--requests-per-minute and the like, or the provider's: --rates)"
    if made.lost:
        reasons = Counter(made.lost).most_common(_REASONS)
        why = "; ".join(f"{reason} ({many})" if many > 1 else reason for reason, many in reasons)
        yield f"{plural(len(made.lost), 'slice')} of those that were worked failed for good: {why}"
    if made.met:
        met = ", ".join(f"{many} × {kind}" for kind, many in sorted(made.met.items()))
        paid = made.again_usd >= _LEAST_USD
        again = f"; {dollars(made.again_usd)} of the whole is paid for what came of them" if paid else ""
        yield f"{sum(made.met.values())} of {plural(made.sent, 'request')} went wrong ({met}){again}"
    if made.too_long:
        yield f"requests that the provider found too long, whose slices were split: {made.too_long} (--window)"
    if made.split:
        yield f"slices with too much in them, that were read in halves as well: {made.split} (--max-depth)"
    if made.rejected:
        yield f"quotes that stand nowhere in the text, thrown away with their claims: {made.rejected}"
    if made.skipped:
        first = made.skipped[0]
        yield f"{plural(len(made.skipped), 'source')} would not be read, such as {first}"


def _stopped(rehearsal: Rehearsal, stop: Stop) -> str:
    default = any(run.limits.cost_is_default for run in rehearsal.runs) and stop.limit == "cost_usd"
    which = f"the {'default ' if default else ''}limit of {_value(stop)}"
    text = f"{which} stops it, with {stop.share:.0%} of the slices done"
    if stop.enough is None:
        return f"{text} ({_OPTIONS[stop.limit]})"
    return f"{text}: {_OPTIONS[stop.limit]} {_rounded_up(stop.enough, whole=stop.limit != 'cost_usd')} would do"


def _value(stop: Stop) -> str:
    return dollars(stop.value) if stop.limit == "cost_usd" else f"{stop.value:,g} {_UNITS[stop.limit]}"


def _rounded_up(enough: float, *, whole: bool) -> str:
    """Two figures, and a tenth to spare."""
    least = enough * 1.1
    step = 10.0 ** (math.floor(math.log10(least)) - 1) if least > 0 else 1.0
    if whole:
        step = max(1.0, step)
    return f"{math.ceil(least / step) * step:.10g}"


def _ended_otherwise(rehearsal: Rehearsal) -> Iterator[str]:
    for run in rehearsal.runs:
        if run.answer.stopped and run.answer.limit is None:
            yield f"a run ends early: {run.answer.stopped}"


def _set(rehearsal: Rehearsal) -> Iterator[str]:
    """How the stand-in was set, with the options that change it."""
    it = rehearsal.settings
    delays = it.delays
    yield (
        f"a call takes {delays.median_seconds:g} s (half of them longer, sigma {delays.sigma:g}) and "
        f"{delays.token_seconds:g} s a token (--latency)"
    )
    failing = ", ".join(f"{name} {share:.1%}" for name, share in it.errors.items() if share)
    yield f"requests fail by {failing} (--errors)" if failing else "no request fails (--errors)"
    able = it.ability
    yield f"it reports {able.recall:.0%} of the lines that hold the words of a question (--recall)"
    yield f"a reply has {able.most_findings} findings at the most (--findings)"
    yield f"{able.fabricates:.0%} of its quotes are made up (--fabricates)"
    if it.rates is not None:
        told_rates = ", ".join(f"{limit:,} {name.replace('_', ' ')}" for name, limit in it.rates.limits())
        yield f"it allows {told_rates} a minute (--rates)"


def document(rehearsal: Rehearsal, made: Forecast) -> dict[str, Any]:
    """A rehearsal as JSON-able data; see `docs/rehearsal.md`."""
    it = rehearsal.settings
    return {
        "simulated": True,
        "model": rehearsal.model,
        "reader": rehearsal.reader,
        "runs": len(rehearsal.runs),
        "expected": _counts(made.usage) | {"minutes": round(made.minutes, 3)},
        "kinds": {kind: _counts(usage) for kind, usage in made.kinds.items()},
        "slices": made.slices,
        "share_worked": round(made.share, 4),
        "cut_off": made.cut_off,
        "requests_sent": made.sent,
        "paced_minutes": round(made.paced_minutes, 3),
        "largest_request_tokens": made.largest,
        "window_tokens": made.window,
        "limits": [asdict(stop) for stop in made.stopped],
        "errors": dict(sorted(made.met.items())),
        "too_long": made.too_long,
        "paid_again_usd": round(made.again_usd, 6),
        "findings": made.findings,
        "rejected_quotes": made.rejected,
        "slices_split": made.split,
        "slices_failed": list(made.lost),
        "skipped": list(made.skipped),
        "would_go_wrong": list(what_would_go_wrong(rehearsal, made)),
        "ended": rehearsal.ended,
        "prices": list(rehearsal.prices),
        "stand_in": {
            "latency": asdict(it.delays),
            "errors": dict(it.errors),
            "rates": asdict(it.rates) if it.rates is not None else None,
            "ability": asdict(it.ability),
            "seed": it.seed,
        },
    }


def _counts(usage: Usage) -> dict[str, Any]:
    names = ("calls", "input_tokens", "output_tokens")
    return {name: getattr(usage, name) for name in names} | {"cost_usd": round(usage.cost_usd, 6)}
