"""What a run would come to, as lines for a person and as the JSON object that `swarm estimate --json` prints."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from swarm.cli.plain import dollars, number, one_line, plural, seconds
from swarm.task import Estimate, Limits, Usage

_WORDS = {
    "cost_usd": "dollars", "tokens": "tokens", "calls": "calls", "wall_seconds": "seconds", "slices": "slices",
}  # fmt: skip


def told(estimate: Estimate) -> list[str]:
    """An estimate as a person reads it, the figures in the first line."""
    likely = estimate.likely
    lines = [
        " · ".join(
            [
                f"estimate: {plural(estimate.slices, 'slice')}",
                plural(likely.calls, "call"),
                f"{number(likely.input_tokens)} tokens in, {number(likely.output_tokens)} out",
                dollars(likely.cost_usd),
                f"about {seconds(max(1.0, estimate.minutes * 60))}",
            ]
        )
    ]
    if likely.cost_usd or estimate.most.cost_usd:
        lines.append(f"at the very most {dollars(estimate.most_usd)}{_bounded(estimate)}")
    if estimate.over_limit is not None:
        over = estimate.over_limit
        lines.append(
            f"the limit of {_amount(estimate.limits, over.limit)} will likely stop it, with {over.share:.0%} read"
        )
    lines += [f"price of {one_line(price)}" for price in estimate.prices]
    lines.append("assuming that " + "; ".join(estimate.assumptions))
    return lines


def _bounded(estimate: Estimate) -> str:
    limits, spent = estimate.limits, estimate.spent.cost_usd
    if limits.cost_usd is None or math.isinf(limits.cost_usd) or limits.cost_usd - spent > estimate.most.cost_usd:
        return ""
    what = "the default limit" if limits.cost_is_default else "the limit"
    before = f" less {dollars(spent)} that were spent" if spent else ""
    change = "; --max-cost-usd sets another" if limits.cost_is_default else ""
    return f", by {what} of {dollars(limits.cost_usd)}{before}{change}"


def _amount(limits: Limits, name: str) -> str:
    value = getattr(limits, name)
    return dollars(value) if name == "cost_usd" else f"{value:,g} {_WORDS[name]}"


def document(estimate: Estimate) -> dict[str, Any]:
    """An estimate as JSON-able data; see `docs/limits.md`."""
    over = estimate.over_limit
    return {
        "slices": estimate.slices,
        "likely": _amounts(estimate.likely),
        "most": _amounts(estimate.most) | {"under_the_limit_usd": round(estimate.most_usd, 6)},
        "minutes": round(estimate.minutes, 2),
        "limits": limits_document(estimate.limits),
        "over_limit": asdict(over) if over is not None else None,
        "prices": list(estimate.prices),
        "assumptions": list(estimate.assumptions),
    }


def _amounts(usage: Usage) -> dict[str, Any]:
    names = ("calls", "input_tokens", "output_tokens")
    return {name: getattr(usage, name) for name in names} | {"cost_usd": round(usage.cost_usd, 6)}


def limits_document(limits: Limits) -> dict[str, Any]:
    """Limits as JSON-able data: null where there is none."""
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in asdict(limits).items()
    }
