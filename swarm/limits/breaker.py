"""Keeps calls from a provider that is down: after several failures in a row one call at a time tries again.

Those that wait do not fail. The times between tries double, give or take a quarter, so that many processes do not
knock at once. Libraries for this (purgatory, pybreaker) raise while they are open, and for a fixed time; here
calls wait for one trial, and the times grow. It knows the time it is told, and no provider.
"""

from __future__ import annotations

import random

FAILURES = 5
"""In a row, until the breaker opens."""
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class Breaker:
    """Closed, open until `opens`, or trying. Times are in seconds of one clock."""

    def __init__(self) -> None:
        self.down_since: float | None = None
        """When the breaker opened and has not closed since; None while it is closed."""
        self.opens = 0.0
        """When the next trial may leave."""
        self.trying = False
        self._failures = 0
        self._trials = 0

    def shut(self, now: float) -> bool:
        """Whether no call may leave now."""
        return self.down_since is not None and (self.trying or now < self.opens)

    def leave(self) -> bool:
        """A call leaves; whether it is the trial."""
        if self.down_since is None:
            return False
        self.trying = True
        return True

    def answered(self) -> None:
        """Any answer closes it, and a refusal to slow down is one."""
        self.down_since, self.trying = None, False
        self._failures = self._trials = 0

    def failed(self, now: float, *, trial: bool) -> bool:
        """A call failed. Whether this opened the breaker."""
        self._failures += 1
        if trial:
            self.trying = False
            self._open(now)
        elif self.down_since is None and self._failures >= FAILURES:
            self._open(now)
            return True
        return False

    def trip(self, now: float) -> None:
        """Open at once."""
        if self.down_since is None:
            self._open(now)

    def abandoned(self) -> None:
        """The trial was cancelled: another may leave in its place."""
        self.trying = False

    def _open(self, now: float) -> None:
        seconds = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2**self._trials)
        self._trials += 1
        self.down_since = now if self.down_since is None else self.down_since
        self.opens = now + seconds * random.uniform(0.75, 1.25)  # noqa: S311  # spreads calls, guards nothing
