"""What work will come to, as far as that can be said before it is planned: assumptions, and the limits that hold.

What is known is said: the slices of a program that are counted, and those that are open. `swarm rehearse` tells
more.
"""

from __future__ import annotations

from itertools import islice

from swarm.coordinator.ahead import billed, usage_of
from swarm.coordinator.desk import Desk
from swarm.limits.budget import HELD_SHARE
from swarm.limits.gate import reserved_output
from swarm.models.base import Model
from swarm.task import Estimate, Limits, OverLimit, Usage

_SLICES = 12  # of a plan that nobody has made yet
_COUNTED = 100_000  # orders of a program are counted up to here
_SLICE_TOKENS, _SLICE_REPLY = 3_000, 600
_AROUND_TOKENS, _AROUND_REPLY = 4_000, 500  # a planning, a judgement, an answer
_AROUND = 4
_SECONDS_A_CALL, _TOKENS_A_SECOND = 3.0, 50.0


def estimate_work(desk: Desk, prices: tuple[str, ...]) -> Estimate:
    """What is left of the work, likely; the most is what the limits allow."""
    slices, known = _slices(desk)
    votes = _votes(desk)
    calls = round(slices * votes)
    working = usage_of(
        desk.reader, calls, billed(desk.reader, calls * _fitting(desk.reader, _SLICE_TOKENS)), calls * _SLICE_REPLY
    )
    planned = desk.program is not None and desk.program.orders is not None
    around = 0 if planned else _AROUND
    answer = 0 if desk.program is not None and desk.program.answer is not None else 1
    tokens = billed(desk.model, (around + answer) * _fitting(desk.model, _AROUND_TOKENS))
    total = working + usage_of(desk.model, around + answer, tokens, (around + answer) * _AROUND_REPLY)
    seconds = total.calls * _SECONDS_A_CALL + total.output_tokens / _TOKENS_A_SECOND
    limits, spent = desk.limits, desk.spent
    told = [
        f"{slices:,} slices, which is {'counted' if known else 'a guess: the plan is made as it goes'}",
        f"{_SLICE_TOKENS:,} tokens in and {_SLICE_REPLY:,} out for each, and {_AROUND} calls to plan and judge",
    ]
    if votes > 1:
        told.append(f"{votes:.1f} replies for each slice, by its votes")
    told.append("`swarm rehearse` runs it against a simulated provider, which tells more")
    return Estimate(
        slices=slices,
        likely=total,
        most=_most(limits, spent, total),
        minutes=seconds / max(1, desk.concurrency) / 60,
        limits=limits,
        spent=spent,
        prices=prices,
        assumptions=tuple(told),
        over_limit=_over(limits, spent, total),
    )


def _slices(desk: Desk) -> tuple[int, bool]:
    """How many are ahead, and whether that is known."""
    live = len(desk.work.live) if desk.work is not None else 0
    if desk.program is not None and desk.program.orders is not None:
        done = desk.work.pulled if desk.work is not None else 0
        counted = sum(1 for _ in islice(desk.program.orders(), _COUNTED + 1))
        return max(0, counted - done) + live, counted <= _COUNTED and desk.program.follow is None
    return (live, False) if live else (_SLICES, False)


def _votes(desk: Desk) -> float:
    roles = desk.program.roles if desk.program is not None else ()
    leads = [role.vote.lead if role.vote is not None else 1 for role in roles]
    return max(leads, default=1) * 1.0


def _fitting(model: Model, tokens: int) -> int:
    return min(tokens, max(1, model.window - reserved_output(model)))


def _most(limits: Limits, spent: Usage, likely: Usage) -> Usage:
    """What the limits leave: a plan that grows has no other bound."""
    cost = limits.cost_usd if limits.cost_usd is not None else float("inf")
    return Usage(
        calls=limits.calls if limits.calls is not None else likely.calls,
        input_tokens=limits.tokens if limits.tokens is not None else likely.input_tokens,
        output_tokens=likely.output_tokens,
        cost_usd=max(0.0, cost - spent.cost_usd) if cost != float("inf") else likely.cost_usd,
    )


def _over(limits: Limits, spent: Usage, likely: Usage) -> OverLimit | None:
    wanted = (
        ("cost_usd", limits.cost_usd, HELD_SHARE, spent.cost_usd, likely.cost_usd),
        ("tokens", limits.tokens, HELD_SHARE, spent.tokens, likely.tokens),
        ("calls", limits.calls, 0.0, spent.calls, likely.calls),
    )
    found = [
        OverLimit(limit=name, share=round(max(0.0, min(1.0, (limit * (1 - held) - used) / needed)), 3))
        for name, limit, held, used, needed in wanted
        if limit is not None and needed and needed > limit * (1 - held) - used
    ]
    return min(found, key=lambda over: over.share, default=None)
