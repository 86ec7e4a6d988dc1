"""The rates that a provider enforces at its side: requests and tokens in an exact sliding window, with the headers
in which Anthropic and OpenAI tell them.

What was allowed is kept with its time, so that the share of the allowance that a client used can be computed. It
is stricter than the real ones, whose buckets forgive a little: nobody who is never refused here is past a limit.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Literal

Counted = Literal["requests", "input_tokens", "output_tokens", "tokens"]
COUNTED: tuple[Counted, ...] = ("requests", "input_tokens", "output_tokens", "tokens")


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What may be used in any `period_seconds`; None is no limit. `tokens` counts input and output together, as
    OpenAI does. The tokens of a reply count from the arrival of its request. A request that is refused counts as
    none."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: int | None = None
    period_seconds: float = 60.0

    def limits(self) -> Iterator[tuple[Counted, int]]:
        """The limits that there are."""
        for name in COUNTED:
            if (limit := getattr(self, name)) is not None:
                yield name, limit


class SlidingWindow:
    """At most `limit` in any period. Times are in seconds of one clock and never fall."""

    def __init__(self, limit: int, period_seconds: float) -> None:
        self.limit, self.period = limit, period_seconds
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def left(self, now: float) -> int:
        """How much may be used now."""
        while self._taken and self._taken[0][0] <= now - self.period:
            self._sum -= self._taken.popleft()[1]
        return self.limit - self._sum

    def wait(self, now: float, amount: int) -> float:
        """Seconds until `amount` fits: 0 for now, infinite for never."""
        if amount > self.limit:
            return float("inf")
        missing = amount - self.left(now)
        for at, taken in self._taken:
            if missing <= 0:
                break
            missing -= taken
            if missing <= 0:
                return at + self.period - now
        return 0.0

    def full_in(self, now: float) -> float:
        """Seconds until nothing is used any more."""
        return self._taken[-1][0] + self.period - now if self.left(now) < self.limit else 0.0

    def take(self, now: float, amount: int) -> None:
        self._taken.append((now, amount))
        self._sum += amount


class Ledger:
    """What was asked for and whether it was allowed, by time: 25 bytes a request."""

    def __init__(self) -> None:
        self.at: array[float] = array("d")
        """Seconds of the monotonic clock, which all processes of a machine share."""
        self.allowed: array[int] = array("b")
        self.input_tokens: array[int] = array("q")
        self.output_tokens: array[int] = array("q")

    def add(self, at: float, allowed: bool, input_tokens: int, output_tokens: int) -> None:
        self.at.append(at)
        self.allowed.append(allowed)
        self.input_tokens.append(input_tokens)
        self.output_tokens.append(output_tokens)

    def used(self, name: Counted, since: float, until: float) -> int:
        """How much was allowed after `since` and up to `until`."""
        return sum(
            self._amount(name, i) for i, at in enumerate(self.at) if self.allowed[i] and since < at <= until
        )

    def refused(self, since: float = float("-inf"), until: float = float("inf")) -> int:
        """How many requests were refused in that time."""
        return sum(not self.allowed[i] for i, at in enumerate(self.at) if since < at <= until)

    def _amount(self, name: Counted, index: int) -> int:
        if name == "requests":
            return 1
        tokens = {"input_tokens": self.input_tokens[index], "output_tokens": self.output_tokens[index]}
        return tokens[name] if name in tokens else sum(tokens.values())

    def columns(self) -> dict[str, list[Any]]:
        """All of it, to be written as JSON."""
        return {name: getattr(self, name).tolist() for name in ("at", "allowed", "input_tokens", "output_tokens")}


class Enforcer:
    """Admits requests under an allowance."""

    def __init__(self, allowance: Allowance, clock: Callable[[], float]) -> None:
        self.allowance = allowance
        self.ledger = Ledger()
        self._clock = clock
        self._windows = {name: SlidingWindow(n, allowance.period_seconds) for name, n in allowance.limits()}

    def admit(self, input_tokens: int, output_tokens: int) -> tuple[float, Counted | None]:
        """Count the request in, and say 0; or the seconds after which it may come again, and what it is that does
        not allow it."""
        now = self._clock()
        amounts: dict[Counted, int] = {
            "requests": 1,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "tokens": input_tokens + output_tokens,
        }
        waits = {name: window.wait(now, amounts[name]) for name, window in self._windows.items()}
        tightest = max(waits, key=waits.__getitem__, default=None)
        wait = waits[tightest] if tightest is not None else 0.0
        self.ledger.add(now, wait <= 0, input_tokens, output_tokens)
        if wait > 0:
            return wait, tightest
        for name, window in self._windows.items():
            window.take(now, amounts[name])
        return 0.0, None

    def share(self, name: Counted, since: float, until: float) -> float:
        """Of what was allowed between two moments of the monotonic clock, how much was used: 1.0 is all of it.

        Raises:
            KeyError: there is no limit of that name.
        """
        allowed = self._windows[name].limit * (until - since) / self.allowance.period_seconds
        return self.ledger.used(name, since, until) / allowed

    def anthropic_headers(self) -> dict[str, str]:
        """As api.anthropic.com sends them, but for the rounding to thousands: times of day, to the second."""
        now, headers = self._clock(), {}
        for name, window in self._windows.items():
            reset = datetime.now(UTC) + timedelta(seconds=ceil(window.full_in(now)))
            prefix = f"anthropic-ratelimit-{name.replace('_', '-')}"
            headers[f"{prefix}-limit"] = str(window.limit)
            headers[f"{prefix}-remaining"] = str(window.left(now))
            headers[f"{prefix}-reset"] = f"{reset:%Y-%m-%dT%H:%M:%SZ}"
        return headers

    def openai_headers(self) -> dict[str, str]:
        """As api.openai.com sends them: durations, of requests and of tokens without telling input from output."""
        now, headers = self._clock(), {}
        for name in ("requests", "tokens"):
            if (window := self._windows.get(name)) is not None:
                headers[f"x-ratelimit-limit-{name}"] = str(window.limit)
                headers[f"x-ratelimit-remaining-{name}"] = str(window.left(now))
                headers[f"x-ratelimit-reset-{name}"] = _duration(window.full_in(now))
        return headers


def retry_after(seconds: float) -> dict[str, str]:
    """In whole seconds, as the standard has it, and in milliseconds, as OpenAI adds."""
    return {"retry-after": str(ceil(seconds)), "retry-after-ms": str(ceil(seconds * 1_000))}


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{ceil(seconds * 1_000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
