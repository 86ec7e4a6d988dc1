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
        return Sum(self[0] + other[0], self[1] + other[1], self[2] + other[2])

    def less(self, other: Sum) -> Sum:
        return Sum(self[0] - other[0], self[1] - other[1], self[2] - other[2])


NOTHING = Sum(0, 0, 0)


class Room(NamedTuple):
    """As many of each at the most; None where there is no limit."""

    calls: int | None
    tokens: int | None
    units: int | None

    def less(self, other: Sum) -> Room:
        calls, tokens, units = self
        return Room(
            None if calls is None else calls - other[0],
            None if tokens is None else tokens - other[1],
            None if units is None else units - other[2],
        )

    def passed_by(self, wanted: Sum) -> str | None:
        """The first limit that would be passed, as it is called in `Limits`."""
        calls, tokens, units = self
        if calls is not None and wanted[0] > calls:
            return "calls"
        if tokens is not None and wanted[1] > tokens:
            return "tokens"
        return "cost_usd" if units is not None and wanted[2] > units else None


def sum_of(usage: Usage) -> Sum:
    return Sum(usage.calls, usage.input_tokens + usage.output_tokens, units(usage.cost_usd))


def units(cost_usd: float) -> int:
    return round(cost_usd * UNITS)
