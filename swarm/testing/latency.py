"""How long a simulated provider takes: a time that differs from call to call, and more for a longer reply.

The times are those of a log-normal distribution, as providers' are. They are a throw of dice for each request and
attempt, the same whenever the same is asked again from the beginning. This module waits for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarm.testing.faults import Latency, always, log_normal


@dataclass(frozen=True, kw_only=True, slots=True)
class Delays:
    """Half of the calls take longer than `median_seconds` before their reply begins; with a `sigma` of 0.5 one in
    a hundred takes over three times as long, with 0 all take the same. Each token of the reply takes
    `token_seconds` more."""

    median_seconds: float = 0.0
    sigma: float = 0.0
    token_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name in ("median_seconds", "sigma", "token_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")

    def latency(self, seed: int = 0) -> Latency:
        """Seconds until a reply begins."""
        if self.median_seconds == 0 or self.sigma == 0:
            return always(self.median_seconds)
        return log_normal(self.median_seconds, self.sigma, seed)
