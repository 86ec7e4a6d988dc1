"""What calls come to, as it is counted against limits: calls, tokens, and money in whole units."""

from __future__ import annotations

from typing import NamedTuple

from swarm.task import Usage

UNITS = 10**12
"""In a dollar: the published price of a single token is a whole number of them."""


class Sum(NamedTuple):
    """So many of each."""

    calls: int
    tokens: int
    units: int

    def plus(self, other: Sum) -> Sum:
        return Sum(self.calls + other.calls, self.tokens + other.tokens, self.units + other.units)

    def less(self, other: Sum) -> Sum:
        return Sum(self.calls - other.calls, self.tokens - other.tokens, self.units - other.units)


NOTHING = Sum(0, 0, 0)


class Room(NamedTuple):
    """As many of each at the most; None where there is no limit."""

    calls: int | None
    tokens: int | None
    units: int | None

    def less(self, other: Sum) -> Room:
        return Room(*(None if left is None else left - gone for left, gone in zip(self, other, strict=True)))

    def passed_by(self, wanted: Sum) -> str | None:
        """The first limit that would be passed, as it is called in `Limits`."""
        for name, left, want in zip(("calls", "tokens", "cost_usd"), self, wanted, strict=True):
            if left is not None and want > left:
                return name
        return None


def sum_of(usage: Usage) -> Sum:
    return Sum(usage.calls, usage.input_tokens + usage.output_tokens, units(usage.cost_usd))


def units(cost_usd: float) -> int:
    return round(cost_usd * UNITS)
