"""How many calls may be in flight: one more for every round trip that went well, half as many when the provider is
overloaded.

As TCP does it: the number doubles each round trip until the first overload (slow start) and grows by one from then
on. However many calls of one round trip fail, it is halved once: those that were sent before the last halving tell
nothing new. This module counts; it waits for nothing.
"""

from __future__ import annotations

_FIRST = 16.0
_SHRINK = 0.5


class Places:
    """Places for calls in flight. `ceiling` is the most there may ever be; times are in seconds of one clock."""

    def __init__(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.taken = 0
        self._limit = _FIRST
        self._slow_until = float("inf")  # slow start ends at this many places
        self._shrunk = float("-inf")
        self._peak = 0

    @property
    def limit(self) -> int:
        """Places that there are now, at least one."""
        return max(1, min(self.ceiling, int(self._limit)))

    @property
    def free(self) -> bool:
        return self.taken < self.limit

    def take(self) -> None:
        self.taken += 1
        self._peak = max(self._peak, self.taken)

    def give_back(self) -> None:
        self.taken -= 1

    def grow(self) -> None:
        """A call was answered. Places that were never taken prove nothing about more of them."""
        if self._limit >= min(self.ceiling, 2 * self._peak):
            return
        self._limit += 1.0 if self._limit < self._slow_until else 1.0 / self._limit

    def shrink(self, sent: float, now: float) -> bool:
        """The provider was overloaded by a call that was sent at `sent`. Whether that was news."""
        if sent <= self._shrunk:
            return False
        self._limit = max(1.0, self.limit * _SHRINK)
        self._slow_until, self._shrunk, self._peak = self._limit, now, 0
        return True
