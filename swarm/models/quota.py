"""What a provider's response headers say of its rates: how much a minute holds, what is left, when all is back.

Anthropic sends `anthropic-ratelimit-…` with times of day, OpenAI and most compatible servers `x-ratelimit-…` with
durations. Anything that cannot be read counts as not said. This module reads; what follows is the lanes' business
(`swarm.limits.lanes`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Counted = Literal["requests", "tokens", "input_tokens", "output_tokens"]
Part = Literal["limit", "remaining", "reset"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|d|h|m|s)")
_UNIT_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_PREFIX = ("anthropic-ratelimit-", "x-ratelimit-")
_COUNTED: tuple[tuple[str, Counted], ...] = (
    ("requests", "requests"),
    ("input-tokens", "input_tokens"),
    ("output-tokens", "output_tokens"),
    ("tokens", "tokens"),
)
_PARTS: tuple[Part, ...] = ("limit", "remaining", "reset")
_NAMES: dict[str, tuple[Counted, Part]] = {
    f"anthropic-ratelimit-{word}-{part}": (counted, part) for word, counted in _COUNTED for part in _PARTS
} | {f"x-ratelimit-{part}-{word}": (counted, part) for word, counted in _COUNTED for part in _PARTS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One of the provider's counts: what a minute holds, what is left of it, and in how many seconds all of it is
    there again. None where the provider does not say."""

    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """What one response told. `tokens` counts input and output together."""

    requests: Level | None = None
    tokens: Level | None = None
    input_tokens: Level | None = None
    output_tokens: Level | None = None


def quota_of(headers: Mapping[str, str], now: datetime | None = None) -> Quota | None:
    """What `headers` say; None where they say nothing of rates. `now` is what times of day are measured from."""
    told: dict[Counted, dict[Part, str]] = {}
    for name, value in headers.items():
        if (lower := name.lower()).startswith(_PREFIX) and (known := _NAMES.get(lower)) is not None:
            told.setdefault(known[0], {})[known[1]] = value
    if not told:
        return None
    return Quota(**{counted: _level(parts, now) for counted, parts in told.items()})


def _level(parts: Mapping[Part, str], now: datetime | None) -> Level:
    limit = _whole(parts.get("limit"))
    return Level(
        limit=limit or None,
        remaining=_whole(parts.get("remaining")),
        reset_seconds=seconds_until(parts.get("reset", ""), now),
    )


def _whole(text: str | None) -> int | None:
    try:
        return max(0, int(text)) if text is not None else None
    except ValueError:
        return None


def seconds_until(text: str, now: datetime | None = None) -> float | None:
    """Seconds of a reset as a provider writes it: `6m0s`, `20ms`, `2026-11-27T10:00:00Z`, or plain seconds."""
    found = _DURATION.findall(text)
    if found and "".join(number + unit for number, unit in found) == text:
        return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in found)
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
