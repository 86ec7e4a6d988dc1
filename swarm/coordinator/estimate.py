"""What a run will come to, before anything is sent: slices, calls, tokens, dollars and minutes.

What cannot be known before it is read (how much is found, how much is asked on, how long replies are) is assumed,
and every assumption is told. Beside what is likely stands the most that can come to pass. It asks no model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from swarm.coordinator.ahead import AGAIN, SHOWN_TOKENS, Ahead, ahead_of, billed, usage_of
from swarm.coordinator.desk import Desk
from swarm.coordinator.dispatch import CLOSER
from swarm.coordinator.judge import MAX_FOLLOW_UPS
from swarm.coordinator.plan import CLOSELY, LISTED_SOURCES, UNWRITTEN, brief_of
from swarm.coordinator.work.ahead import estimate_work
from swarm.limits.budget import HELD_SHARE, effective
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.prompts.typed import PlanPrompt
from swarm.task import Estimate, OverLimit, Usage
from swarm.worker.read import FRESH_TRIES

_JUDGEMENT, _SUMMARY, _ANSWER = 150, 350, 500  # tokens of these replies
_FOLLOW_UPS = 2  # questions that are likely asked on
_SLICES_A_FOLLOW_UP = 8  # ... where there are so many slices for each
_FOLLOW_UP_TOKENS = 8_000
_GROUP = 16  # findings of one summary, on average
_PAIRS, _FINDINGS_A_PAIR_PROMPT = 6, 40  # prompts in which findings are compared, at the most and likely
_SETTLING = 3  # contradictions that a round asks the sources about, at the most
_REPAIR_TOKENS = 6_500  # that a prompt grows by when the reply is sent back: as many as its characters
_REPAIRED = 2  # calls for one reply, at the most
_SECONDS_A_CALL, _TOKENS_A_SECOND = 3.0, 50.0
_SECONDS_HERE = 0.02  # for a model that computes on this machine


async def estimate(desk: Desk) -> Estimate:
    """What is left of the run: all of it, before it has a plan.

    Raises:
        WindowTooSmall: as `plan`.
    """
    if desk.task.mode == "work":
        prices = tuple(dict.fromkeys(priced(model) for model in (desk.model, desk.reader)))
        limits = effective(desk.limits, (desk.model, desk.reader))
        return await asyncio.to_thread(estimate_work, replace(desk, limits=limits), prices)
    ahead = await ahead_of(replace(desk, limits=effective(desk.limits, (desk.model, desk.reader))))
    return await asyncio.to_thread(_estimate, ahead)


def _estimate(ahead: Ahead) -> Estimate:
    reading, likely = ahead.reading, _likely(ahead)
    total = sum(likely, reading)
    minutes = _minutes(ahead, reading, likely)
    return Estimate(
        slices=ahead.count,
        likely=total,
        most=sum(_most(ahead), Usage()),
        minutes=minutes,
        limits=ahead.desk.limits,
        spent=ahead.desk.spent,
        prices=tuple(dict.fromkeys(priced(model) for model in (ahead.desk.model, ahead.desk.reader))),
        assumptions=_assumptions(ahead),
        over_limit=_over_limit(ahead, reading, total, minutes),
    )


# What is likely


def _likely(ahead: Ahead) -> list[Usage]:
    """The calls around the reading, one after another."""
    desk, model = ahead.desk, ahead.desk.model
    steps: list[Usage] = []
    if ahead.fresh and desk.task.output == "answer":
        steps.append(usage_of(model, 1, billed(model, _planner_tokens(ahead)), _JUDGEMENT))
    if desk.task.output in UNWRITTEN:
        return steps
    shown = ahead.shown(ahead.findings)
    asked = _asked_on(ahead)
    for _ in range(min(ahead.rounds_left, 2 if asked else 1)):
        pairs = min(_PAIRS, ahead.findings // _FINDINGS_A_PAIR_PROMPT)
        steps += [usage_of(model, 1, ahead.shown(2 * _GROUP // 2), _JUDGEMENT)] * pairs
        steps.append(usage_of(model, 1, shown, _JUDGEMENT))
    if asked:
        counted = ahead.frame + min(_FOLLOW_UP_TOKENS, ahead.mean) * desk.reader.ratio()
        tokens = billed(desk.reader, counted)
        steps.append(usage_of(desk.reader, asked, tokens * asked, ahead.reply_tokens * asked))
    summaries = _summaries(ahead)
    if summaries:
        steps.append(usage_of(model, summaries, ahead.shown(_GROUP) * summaries, _SUMMARY * summaries))
    steps.append(usage_of(model, 1, shown, _ANSWER if desk.task.output == "answer" else 3 * desk.task.words))
    return steps


def _asked_on(ahead: Ahead) -> int:
    """Follow-up questions."""
    return min(_FOLLOW_UPS, ahead.count // _SLICES_A_FOLLOW_UP) if ahead.rounds_left else 0


def _planner_tokens(ahead: Ahead) -> int:
    corpus = ahead.desk.corpus
    prompt = PlanPrompt(
        question=ahead.desk.question,
        output=ahead.desk.task.output,
        sources=tuple(source.path for source in corpus.sources[:LISTED_SOURCES]),
        count=len(corpus.sources),
        chars=corpus.chars,
    )
    return ahead.desk.model.count(prompt)


def _summaries(ahead: Ahead) -> int:
    """Calls that write summaries: none as long as one prompt holds all findings."""
    desk = ahead.desk
    if desk.task.output in UNWRITTEN or (desk.model.selective and desk.task.output == "answer"):
        return 0
    # a group that fills more than half of a prompt is said shorter in several
    half = max(1.0, (ahead.room - ahead.answer_frame) / desk.model.ratio() / 2)
    prompts = _GROUP * SHOWN_TOKENS / half
    each = prompts + 0.5 if prompts > 1 else 1.0
    findings, calls = ahead.findings, 0.0
    while findings > 1 and ahead.counted(findings) >= ahead.room:
        findings = -(-findings // _GROUP)
        calls += findings * each
    return round(calls)


def _minutes(ahead: Ahead, reading: Usage, steps: Sequence[Usage]) -> float:
    """Readers work side by side, the rest one after another; the speeds that the limits allow hold for all."""
    limits, places = ahead.desk.limits, max(1, ahead.desk.concurrency)
    side_by_side = _seconds(ahead.desk.reader, reading) / min(places, max(1, reading.calls))
    alone = sum(_seconds(ahead.desk.model, step) / min(places, max(1, step.calls)) for step in steps)
    total = sum(steps, reading)
    speeds = (
        (total.calls, limits.requests_per_minute),
        (total.input_tokens, limits.input_tokens_per_minute),
        (total.output_tokens, limits.output_tokens_per_minute),
    )
    return max((side_by_side + alone) / 60, *(amount / speed if speed else 0.0 for amount, speed in speeds))


def _seconds(model: Model, usage: Usage) -> float:
    if model.selective:
        return usage.calls * _SECONDS_HERE
    return usage.calls * _SECONDS_A_CALL + usage.output_tokens / _TOKENS_A_SECOND


# The most


def _most(ahead: Ahead) -> list[Usage]:
    """Every reply as long as can be and sent back once, every slice tried anew and read closer, all rounds."""
    desk = ahead.desk
    tries = FRESH_TRIES * _REPAIRED
    halvings = min(CLOSER, desk.limits.depth) if desk.task.output in CLOSELY and not desk.reader.selective else 0
    nodes = 2 ** (halvings + 1) - 1
    rounds = ahead.rounds_left
    asked = (
        rounds * (MAX_FOLLOW_UPS + _SETTLING) * 2
    )  # what is found for a question fills a slice, or two at the most
    once = (halvings + 1) * ahead.input_tokens + nodes * ahead.count * ahead.frame
    once += asked * ((halvings + 1) * (desk.reader.window - reserved_output(desk.reader)) + nodes * ahead.frame)
    replies = nodes * (ahead.count + asked)
    reading = _bound(desk.reader, replies, once, tries)
    around = [] if desk.task.output in UNWRITTEN else _most_around(ahead, replies)
    return [reading, *around]


def _most_around(ahead: Ahead, replies: int) -> list[Usage]:
    desk, model, rounds = ahead.desk, ahead.desk.model, ahead.rounds_left
    pairs = (rounds + 1) * _PAIRS * (1 if desk.embed is None else 2) + rounds * _SETTLING
    wide = (1 if ahead.fresh else 0) + rounds + 1 + (pairs if desk.task.output == "answer" else 0)
    found = [_bound(model, wide, wide * ahead.room, _REPAIRED)]
    if not (model.selective and desk.task.output == "answer"):
        findings = len(desk.graph) + replies * brief_of(desk, desk.question).max_findings
        tokens = replies * reserved_output(desk.reader) + findings * SHOWN_TOKENS
        groups = 2 * findings // _GROUP + 1
        found.append(
            _bound(model, groups, int(2 * tokens * model.ratio()) + groups * ahead.answer_frame, _REPAIRED)
        )
    return found


def _bound(model: Model, replies: int, input_tokens: int, tries: int) -> Usage:
    """So many replies, each asked for so many times."""
    repairs = replies * tries // 2 * _REPAIR_TOKENS
    output = replies * tries * reserved_output(model)
    usage = Usage(calls=replies * tries, input_tokens=input_tokens * tries + repairs, output_tokens=output)
    return replace(usage, cost_usd=model.price.worst(usage.input_tokens, usage.output_tokens))


# What is told with it


def _over_limit(ahead: Ahead, reading: Usage, total: Usage, minutes: float) -> OverLimit | None:
    """The limit that comes first, where one comes before the end. A part of some is held back from the reading."""
    limits, spent = ahead.desk.limits, ahead.desk.spent
    wanted = (
        ("cost_usd", limits.cost_usd, HELD_SHARE, spent.cost_usd, reading.cost_usd, total.cost_usd),
        ("tokens", limits.tokens, HELD_SHARE, spent.tokens, reading.tokens, total.tokens),
        ("calls", limits.calls, 0.0, spent.calls, reading.calls, total.calls),
        ("wall_seconds", limits.wall_seconds, 0.0, 0, minutes * 60, minutes * 60),
        ("slices", limits.slices, 0.0, len(ahead.desk.done), ahead.count, ahead.count),
    )
    found = [
        OverLimit(limit=name, share=round(max(0.0, min(1.0, (limit * (1 - held) - used) / needed)), 3))
        for name, limit, held, used, needed, all_of_it in wanted
        if limit is not None and needed and (needed > limit * (1 - held) - used or all_of_it > limit - used)
    ]
    return min(found, key=lambda over: over.share, default=None)


def priced(model: Model) -> str:
    """What a model costs, on one line."""
    price = model.price
    if price.worst(1_000_000, 1_000_000) == 0:
        return f"{model.name}: no charge"
    known = "" if price.known else "; no price of it is known, so this is the highest that its provider has"
    dated = f", of {price.as_of}" if price.as_of else ""
    return (
        f"{model.name}: ${price.input_usd:g} in and ${price.output_usd:g} out for a million tokens{dated}{known}"
    )


def _share(model: Model) -> str:
    return f"{billed(model, 1_000) / 1_000:.0%}"


def _assumptions(ahead: Ahead) -> tuple[str, ...]:
    desk = ahead.desk
    counted = (
        "every prompt was counted"
        if len(ahead.sample) == ahead.count
        else f"{len(ahead.sample)} prompts were counted"
    )
    told = [
        f"{counted}; of what Swarm counts, which is the most that can be billed, {_share(desk.reader)} is billed",
        f"a reader writes {ahead.reply_tokens:,} tokens, and {AGAIN:.0%} of the slices are read twice",
        "nothing comes from the provider's cache or from an earlier run",
    ]
    if desk.task.output not in UNWRITTEN:
        told.append(f"{ahead.findings:,} findings of {SHOWN_TOKENS} tokens")
    if asked := _asked_on(ahead):
        told.append(f"{asked} follow-up questions")
    if summaries := _summaries(ahead):
        told.append(f"{summaries:,} summaries, since one prompt does not hold what is found")
    if not desk.reader.selective:
        told.append(
            f"a call takes {_SECONDS_A_CALL:g} s and a second for each {_TOKENS_A_SECOND:g} tokens of its reply, "
            f"{desk.concurrency} at once"
        )
    return tuple(told)
