"""What a run may spend: the worst case is reserved before a call and settled after it.

So the sum never passes a limit, however many calls are in flight. A share of every limit is held back until the
reading is over, so that a run that stops at a limit can still write its answer. This module counts; it sends
nothing and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from swarm.errors import LimitReached
from swarm.models.base import Price
from swarm.task import Limits, Usage

HELD_SHARE = 0.25  # of tokens and dollars, for judging and answering
_HELD_CALLS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """The most that one call can come to."""

    tokens: int
    cost_usd: float


class Budget:
    """The account of one run. `spent` is what an earlier part of the same run has paid."""

    def __init__(self, limits: Limits, spent: Usage | None = None, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self.spent = spent or Usage()
        self.finishing = False
        """True once the reading is over: the held share may be spent too."""
        self._reserved_calls = 0
        self._reserved_tokens = 0
        self._reserved_usd = 0.0
        self._clock = clock
        self._began = clock()

    def reserve(self, price: Price, input_tokens: int, output_tokens: int) -> Reservation:
        """Set aside the worst case of one call.

        Raises:
            LimitReached: it would pass a limit; nothing was reserved.
        """
        most = Reservation(tokens=input_tokens + output_tokens, cost_usd=price.worst(input_tokens, output_tokens))
        self._check_wall()
        free_calls, free_tokens, free_usd = self._free()
        if free_calls is not None and free_calls < 1:
            raise LimitReached(f"the limit of {self.limits.calls} calls is reached", "calls")
        if free_tokens is not None and most.tokens > free_tokens:
            raise LimitReached(f"the limit of {self.limits.tokens:,} tokens is reached", "tokens")
        if free_usd is not None and most.cost_usd > free_usd:
            raise LimitReached(f"the limit of ${self.limits.cost_usd:.2f} is reached", "cost_usd")
        self._reserved_calls += 1
        self._reserved_tokens += most.tokens
        self._reserved_usd += most.cost_usd
        return most

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Replace a reservation by what the call came to; an empty usage for one that failed."""
        self._reserved_calls -= 1
        self._reserved_tokens -= reservation.tokens
        self._reserved_usd -= reservation.cost_usd
        self.spent += usage

    def affordable_input(self, price: Price, output_tokens: int) -> int | None:
        """Tokens of input that one more call with this reply could have; None where nothing limits it."""
        _, tokens, usd = self._free()
        bounds: list[float] = []
        if tokens is not None:
            bounds.append(tokens - output_tokens)
        if usd is not None and price.input_usd > 0:
            bounds.append((usd - price.worst(0, output_tokens)) / price.worst(1, 0))
        return max(0, int(min(bounds))) if bounds else None

    def _free(self) -> tuple[int | None, int | None, float | None]:
        """Calls, tokens and dollars that are neither spent, reserved nor held; None where there is no limit."""
        held = 0.0 if self.finishing else HELD_SHARE
        held_calls = 0 if self.finishing else _HELD_CALLS
        limits, spent = self.limits, self.spent
        calls = None if limits.calls is None else limits.calls - held_calls - spent.calls - self._reserved_calls
        tokens = None
        if limits.tokens is not None:
            tokens = int(limits.tokens * (1 - held)) - spent.tokens - self._reserved_tokens
        usd = None
        if limits.cost_usd is not None:
            usd = limits.cost_usd * (1 - held) - spent.cost_usd - self._reserved_usd
        return calls, tokens, usd

    def _check_wall(self) -> None:
        seconds = self.limits.wall_seconds
        if seconds is not None and self._clock() - self._began >= seconds:
            raise LimitReached(f"the limit of {seconds:g} seconds is reached", "wall_seconds")
