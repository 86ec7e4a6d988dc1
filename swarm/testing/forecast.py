"""From what a rehearsal heard to what the whole would come to, and what would go wrong.

Where a sample of the slices was read, or a limit ended the reading, the reading is scaled up by the slices that
were left; what comes after it is taken as it was, but with prompts that hold as much more as their window lets
them.
Every figure is simulated. This module asks nothing and knows no words to tell it in.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from swarm.coordinator.ahead import SHOWN_TOKENS
from swarm.errors import PromptTooLong
from swarm.limits.budget import HELD_SHARE
from swarm.task import Usage
from swarm.testing.rehearsal import Rehearsal, Rehearsed
from swarm.testing.standins import Heard

_GROUP, _SUMMARY_TOKENS, _SUMMARY_REPLY = 16, 2_800, 350  # findings of a summary, and the tokens of its call
_FULL = 3  # times as many readings as places, from which on a sample tells how many are under way
_PAIRED = 6  # prompts in which findings are compared, at the most


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """A limit that ends a run, as it is called in `Limits`, with `share` of its slices done; `enough` is what
    would do, None where that is not known."""

    limit: str
    value: float
    share: float
    enough: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What the runs of a recipe would come to, each worked to its end. `kinds` is the same by the kind of prompt.
    `share` of the slices was read in the rehearsal. `minutes` are what the provider takes and what is waited for;
    `paced_minutes` are the least that the rates allow, 0 without any. `stopped` are the limits that would end a
    run early, and at which share of it. `cut_off` is true where the end of a run is not known."""

    usage: Usage
    kinds: dict[str, Usage]
    slices: int
    share: float
    minutes: float
    paced_minutes: float
    stopped: tuple[Stop, ...]
    cut_off: bool
    largest: int
    window: int
    sent: int
    """Attempts that the rehearsal itself sent."""
    met: dict[str, int]
    """What went wrong with them, by the name of the error."""
    too_long: int
    """Of them, those that the provider found too long."""
    again_usd: float
    """What was paid for replies that had to be asked for again, in the whole."""
    rejected: int
    findings: int
    """Both of the rehearsal."""
    split: int
    lost: tuple[str, ...]
    """Why slices failed for good."""
    skipped: tuple[str, ...]
    """What cannot be read, with the reason."""


def forecast(rehearsal: Rehearsal) -> Forecast:
    """What all runs of a rehearsal would come to together."""
    runs = rehearsal.runs
    kinds: dict[str, Usage] = {}
    for run in runs:
        for kind, usage in _kinds(run):
            kinds[kind] = kinds.get(kind, Usage()) + usage
    planned, worked = sum(run.planned for run in runs), sum(run.worked for run in runs)
    usage = sum(kinds.values(), Usage())
    return Forecast(
        usage=usage,
        kinds=kinds,
        slices=planned,
        share=min(1.0, worked / planned) if planned else 1.0,
        minutes=sum(_minutes(run, rehearsal) for run in runs),
        paced_minutes=sum(_paced(run, rehearsal) for run in runs),
        stopped=tuple(stop for run in runs if (stop := _stop(run, rehearsal)) is not None),
        cut_off=any(run.cut_off for run in runs),
        largest=max((run.answer.window_peak for run in runs), default=0),
        window=max((run.answer.window_limit for run in runs), default=0),
        sent=sum(len(run.calls) for run in runs),
        met=dict(sum((Counter(run.met) for run in runs), Counter[str]())),
        too_long=sum(call.outcome == PromptTooLong.__name__ for run in runs for call in run.calls),
        again_usd=sum(_again(run) for run in runs),
        rejected=sum(run.answer.rejected_quotes for run in runs),
        findings=sum(run.answer.findings for run in runs),
        split=sum(run.split for run in runs),
        lost=tuple(reason for run in runs for reason in run.failed),
        skipped=tuple(f"{skip.source}: {skip.reason}" for run in runs for skip in run.answer.coverage.skipped),
    )


def scale_of(run: Rehearsed) -> float:
    """How many times as much reading the whole is as what was read."""
    if run.mode == "work" or not run.worked:
        return 1.0
    return max(1.0, run.planned / run.worked)


def _kinds(run: Rehearsed) -> Iterator[tuple[str, Usage]]:
    """Each kind of call, as it would be in the whole. A reading that is gone back to is `read again`."""
    scale = scale_of(run)
    found: dict[str, Usage] = {}
    for call in run.calls:
        kind = call.kind if call.kind != "read" or call.first_reading or run.mode == "work" else "read again"
        found[kind] = found.get(kind, Usage()) + call.usage
    # what broke off may have been billed: it is counted at the most that it can have come to
    doubtful = _less(run.answer.usage, sum(found.values(), Usage()))
    if doubtful.calls > 0:
        found["in doubt"] = doubtful
    for kind, usage in found.items():
        if scale == 1.0:
            yield kind, usage
        elif kind in ("read", "consolidate", "in doubt"):
            yield kind, _times(usage, scale)
        else:
            yield kind, _wider(run, kind, usage, scale)
    if scale > 1.0 and "consolidate" not in found and (summaries := _summaries(run, scale)):
        yield "consolidate", _priced(run, summaries)


def _less(usage: Usage, other: Usage) -> Usage:
    return Usage(
        calls=usage.calls - other.calls,
        input_tokens=max(0, usage.input_tokens - other.input_tokens),
        output_tokens=max(0, usage.output_tokens - other.output_tokens),
        cost_usd=max(0.0, usage.cost_usd - other.cost_usd),
    )


def _times(usage: Usage, scale: float) -> Usage:
    return Usage(
        calls=round(usage.calls * scale),
        input_tokens=round(usage.input_tokens * scale),
        output_tokens=round(usage.output_tokens * scale),
        cached_tokens=round(usage.cached_tokens * scale),
        cost_usd=usage.cost_usd * scale,
    )


def _wider(run: Rehearsed, kind: str, usage: Usage, scale: float) -> Usage:
    """A prompt that shows findings: there are more of them, and no more than its window holds."""
    if kind == "compare":
        return _times(usage, max(1.0, min(scale, _PAIRED / max(1, usage.calls))))
    if kind not in ("judge", "answer"):
        return usage
    shown = run.answer.findings * (scale - 1) * SHOWN_TOKENS * usage.calls
    more = max(0, min(int(shown), run.room * usage.calls - usage.input_tokens))
    return replace(
        usage,
        input_tokens=usage.input_tokens + more,
        cost_usd=usage.cost_usd + more * run.price.input_usd / 1e6,
    )


def _summaries(run: Rehearsed, scale: float) -> int:
    """Calls that say findings shorter, once one prompt does not hold them any more."""
    findings, calls = run.answer.findings * scale, 0.0
    while findings > 1 and findings * SHOWN_TOKENS > run.room:
        findings = math.ceil(findings / _GROUP)
        calls += findings
    return round(calls)


def _priced(run: Rehearsed, calls: int) -> Usage:
    """Summaries that the rehearsal did not come to."""
    tokens, reply = calls * _SUMMARY_TOKENS, calls * _SUMMARY_REPLY
    dollars = (tokens * run.price.input_usd + reply * run.price.output_usd) / 1e6
    return Usage(calls=calls, input_tokens=tokens, output_tokens=reply, cost_usd=dollars)


def _minutes(run: Rehearsed, rehearsal: Rehearsal) -> float:
    """What was waited for in the rehearsal; the reading of the whole, and saying it shorter, at the pace of the
    sample, in all places."""
    scale = scale_of(run)
    seconds = run.seconds
    if scale > 1.0:
        reads = [call for call in run.calls if call.first_reading]
        busy, places = sum(call.seconds for call in reads), max(1, min(run.places, run.planned))
        longest = max((call.seconds for call in reads), default=0.0)  # it may be the last to begin
        more = busy * scale / places + longest * (1 - 1 / places) - run.reading_seconds
        if len(reads) >= _FULL * places:  # then it is seen how many were under way, but for the end of it
            more = max(more, (run.reading_seconds - busy / len(reads)) * (scale - 1))
        seconds += max(0.0, more)
        seconds += _span(call for call in run.calls if call.kind == "consolidate") * (scale - 1)
    return max(seconds / 60, _paced(run, rehearsal))


def _span(calls: Iterable[Heard]) -> float:
    """Seconds in which any of the calls was under way."""
    seconds, until = 0.0, -math.inf
    for call in sorted(calls, key=lambda call: call.began):
        seconds += max(0.0, call.ended - max(call.began, until))
        until = max(until, call.ended)
    return seconds


def _paced(run: Rehearsed, rehearsal: Rehearsal) -> float:
    """Minutes that the whole takes at the least by the rates, the user's own and the provider's."""
    total = sum((usage for _, usage in _kinds(run)), Usage())
    limits, rates = run.limits, rehearsal.settings.rates
    failed = sum(not call.usage.calls for call in run.calls)
    requests = round(total.calls + failed * scale_of(run))
    bounds: list[tuple[int, float | None]] = [
        (requests, limits.requests_per_minute),
        (total.input_tokens, limits.input_tokens_per_minute),
        (total.output_tokens, limits.output_tokens_per_minute),
    ]
    if rates is not None:
        a_minute = 60.0 / rates.period_seconds
        used = {"requests": requests, "input_tokens": total.input_tokens}
        used |= {"output_tokens": total.output_tokens, "tokens": total.tokens}
        bounds += [(used[name], limit * a_minute) for name, limit in rates.limits()]
    return max((amount / rate for amount, rate in bounds if rate), default=0.0)


def _stop(run: Rehearsed, rehearsal: Rehearsal) -> Stop | None:
    """The limit that would end the run early: one that did, or the first that the whole would reach."""
    stops = {stop.limit: stop for stop in _reached(run, rehearsal)}
    if run.stopped is not None:
        limit, share = run.stopped
        known = limit in stops and not run.cut_off
        return Stop(
            limit=limit,
            value=getattr(run.limits, limit),
            share=share,
            enough=stops[limit].enough if known else None,
        )
    if run.cut_off or scale_of(run) == 1.0:
        return None  # it was worked under these limits, and none ended it
    return min(stops.values(), key=lambda stop: stop.share, default=None)


def _reached(run: Rehearsed, rehearsal: Rehearsal) -> Iterator[Stop]:
    kinds = dict(_kinds(run))
    total = sum(kinds.values(), Usage())
    reading = kinds.get("read", total)
    seconds = _minutes(run, rehearsal) * 60
    wanted: tuple[tuple[str, float, float, float, float], ...] = (
        ("cost_usd", HELD_SHARE, reading.cost_usd, total.cost_usd, run.worst.cost_usd),
        ("tokens", HELD_SHARE, reading.tokens, total.tokens, run.worst.tokens),
        ("calls", 0.0, reading.calls, total.calls, 0),
        ("wall_seconds", 0.0, seconds, seconds, 0),
        ("slices", 0.0, run.planned, run.planned, 0),
    )
    for name, held, needed, all_of_it, spare in wanted:
        limit = getattr(run.limits, name)
        if limit is None or not needed:
            continue
        share = (limit * (1 - held) - spare) / needed
        if share < 1 or all_of_it + spare > limit:
            enough = max(all_of_it + spare, (needed + spare) / (1 - held))
            yield Stop(limit=name, value=limit, share=round(max(0.0, min(1.0, share)), 3), enough=enough)


def _again(run: Rehearsed) -> float:
    """Dollars for replies that did not hold, in the whole: asked for again, or broken off."""
    wasted = sum(call.usage.cost_usd for call in run.calls if call.repair)
    doubtful = run.answer.usage.cost_usd - sum(call.usage.cost_usd for call in run.calls)
    return (wasted + max(0.0, doubtful)) * scale_of(run)
