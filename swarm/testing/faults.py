"""What may go wrong between a client and a provider, each as plain data, and which request it happens to.

A plan looks at a request and says what goes wrong with it, if anything. It is a function of the request's content,
of how often it came before, and of a seed: the same in every process, and another for the next try of the same
request. This module knows no HTTP and no format.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import log
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What goes wrong with one request. Only what is set happens.

    `status` (with `code`, `message`, `headers`) answers with an error, `body` is sent raw. `text` is said instead
    of the mimic's reply, `share` is how much of the reply is said before it ends as if it were whole, `endless` is
    a reply that goes on until it is as long as was asked for at the most; `stop` is why the reply ended. `wait` is
    in seconds, before the first byte. After `after` events of a stream, or in the middle of a reply that is not
    streamed (before it, where `after` is 0): `cut` closes the connection, `reset` breaks it off with a reset,
    `stall` falls silent, `end` closes properly but too early, and `event` sends an error event of that type.
    """

    status: int = 0
    code: str = ""
    message: str = "something went wrong"
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    share: float = 1.0
    endless: bool = False
    stop: Literal["", "length", "refusal", "filtered", "full"] = ""
    wait: float = 0.0
    cut: bool = False
    reset: bool = False
    stall: bool = False
    end: bool = False
    event: str = ""
    after: int = 2
    body: str | None = None
    content_type: str = "text/html"

    @property
    def breaks(self) -> bool:
        """Whether the reply begins and never comes to its end."""
        return self.cut or self.reset or self.stall or self.end or bool(self.event)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One request as it came: `key` names its content, `attempt` is how often that came before, and `number` how
    many requests came before it at all."""

    key: str
    attempt: int
    number: int
    body: bytes


Plan = Callable[[Arrival], Fault | None]
Latency = Callable[[Arrival], float]
"""Seconds from the arrival of a request to the first byte of its reply."""


def kinds(seconds: float = 1.0) -> dict[str, Fault]:
    """Everything that goes wrong with providers, by its name. `seconds` is how long a client is told to wait where
    it is told, and how late a slow first byte is."""
    return {
        "429": Fault(status=429, message="slow down"),
        "429 with retry-after": Fault(status=429, message="slow down", headers={"retry-after": f"{seconds:g}"}),
        "500": Fault(status=500, message="internal error"),
        "503": Fault(status=503, message="try again later"),
        "529": Fault(status=529, message="overloaded"),
        "connection reset": Fault(reset=True, after=0),
        "slow first byte": Fault(wait=seconds),
        "stalled stream": Fault(stall=True),
        "cut stream": Fault(cut=True),
        "reset stream": Fault(reset=True),
        "early end": Fault(end=True),
        "wrong content type": Fault(body="<html>Log in to the hotel's network</html>"),
        "truncated JSON": Fault(share=0.5),
        "schema violation": Fault(
            text='{"findings": 7, "queries": 7, "pairs": 7, "statements": 7, "verdict": 7, "answerable": 7}'
        ),
        "empty reply": Fault(text=""),
        "refusal": Fault(text="I cannot help with that.", stop="refusal"),
        "over-long reply": Fault(endless=True),
    }


def faults_at(share: float, faults: Iterable[Fault], seed: int = 0) -> Plan:
    """Each request fails with a chance of `share` (0 to 1), each of `faults` as often as the others. The same
    request fails in the same way at the same attempt, and a later attempt is another throw of the dice."""
    many = tuple(faults)

    def plan(arrival: Arrival) -> Fault | None:
        first, second = _dice("fault", seed, arrival)
        return many[int(second * len(many))] if first < share else None

    return plan


def faults_by(shares: Sequence[tuple[Fault, float]], seed: int = 0) -> Plan:
    """Each fault has a share of the requests of its own, 0 to 1, at most 1 together. As `faults_at` otherwise."""

    def plan(arrival: Arrival) -> Fault | None:
        left, _ = _dice("fault", seed, arrival)
        for fault, share in shares:
            left -= share
            if left < 0:
                return fault
        return None

    return plan


def fault_where(words: str, fault: Fault, attempts: int | None = None) -> Plan:
    """Requests that hold `words` (as JSON writes them) fail, the first `attempts` times or, given None, always."""
    needle = words.encode()

    def plan(arrival: Arrival) -> Fault | None:
        return fault if needle in arrival.body and (attempts is None or arrival.attempt < attempts) else None

    return plan


def one_of(plans: Sequence[Plan]) -> Plan:
    """What the first of the plans says that says anything."""
    return lambda arrival: next((fault for plan in plans if (fault := plan(arrival)) is not None), None)


def always(seconds: float) -> Latency:
    """Every request takes this long."""
    return lambda _: seconds


def log_normal(median: float, sigma: float = 0.5, seed: int = 0) -> Latency:
    """Seconds by a log-normal distribution, as providers' are: half of the requests take longer than `median`;
    with `sigma` 0.5 one in a hundred takes over three times as long."""

    def latency(arrival: Arrival) -> float:
        first, second = _dice("latency", seed, arrival)
        return random.Random(first + second).lognormvariate(log(median), sigma)  # noqa: S311  # guards nothing

    return latency


def _dice(purpose: str, seed: int, arrival: Arrival) -> tuple[float, float]:
    """Two numbers from 0 to 1 that only this attempt of this request has."""
    words = f"{purpose}:{seed}:{arrival.key}:{arrival.attempt}".encode()
    number = int.from_bytes(blake2b(words, digest_size=8).digest(), "big")
    return (number >> 32) / 2**32, (number & 0xFFFFFFFF) / 2**32
