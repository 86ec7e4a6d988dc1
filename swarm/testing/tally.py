"""How often each request came to a provider and how often its reply left whole: what a test of kills compares.

A request is named by its content. Safe to read, and to wait on, from any thread; memory is a hundred bytes for
each content.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any


class Tally:
    """`received` and `completed` count by content, `outcomes` by what became of a request: answered, error,
    refused (past a rate), broken (the reply did not leave whole, or nobody was there to take it)."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.completed: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.requests = 0
        self.replies = 0
        """Replies that left whole."""
        self.repeats = 0
        """Requests that came although a reply to the same content had left whole before."""
        self.in_flight = 0
        self.peak_in_flight = 0
        self.input_tokens = 0
        """Of requests that were answered, or would have been had the reply arrived; as billed."""
        self.output_tokens = 0
        self._changed = threading.Condition()
        self._watching: list[tuple[int, int, Callable[[], object]]] = []

    def arrive(self, key: str) -> int:
        """A request came. How often its content came before."""
        with self._changed:
            before = self.received[key]
            self.received[key] = before + 1
            self.requests += 1
            self.repeats += key in self.completed
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
            self._tell()
        return before

    def bill(self, input_tokens: int, output_tokens: int) -> None:
        """A reply is on its way that is billed so."""
        with self._changed:
            self.input_tokens += input_tokens
            self.output_tokens += output_tokens

    def leave(self, key: str, outcome: str) -> None:
        """What became of a request; `answered` is a reply that left whole."""
        with self._changed:
            self.in_flight -= 1
            self.outcomes[outcome] += 1
            if outcome == "answered":
                self.completed[key] += 1
                self.replies += 1
            self._tell()

    def when(self, do: Callable[[], object], *, requests: int = 0, replies: int = 0) -> None:
        """Call `do` once, on the server's thread, at the moment when so many requests have come and so many
        replies have left: to kill a client there, say."""
        with self._changed:
            self._watching.append((requests, replies, do))
            self._tell()

    def reached(self, requests: int, replies: int, quiet: bool = False) -> bool:
        """Whether so many requests have come, so many replies have left and, if `quiet`, nothing is in flight."""
        return self.requests >= requests and self.replies >= replies and not (quiet and self.in_flight)

    def wait_for(self, *, requests: int = 0, replies: int = 0, quiet: bool = False, seconds: float = 60.0) -> None:
        """Return when `reached`.

        Raises:
            TimeoutError: it was not in `seconds`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.reached(requests, replies, quiet), seconds):
                counts = f"{self.requests} requests, {self.replies} replies, {self.in_flight} in flight"
                raise TimeoutError(f"{counts} in {seconds:g} seconds")

    def summary(self) -> dict[str, Any]:
        """All counts, to be written as JSON; `contents` holds how often each came and how often it was
        answered."""
        with self._changed:
            return {
                "requests": self.requests,
                "replies": self.replies,
                "distinct": len(self.received),
                "repeats": self.repeats,
                "in_flight": self.in_flight,
                "peak_in_flight": self.peak_in_flight,
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "outcomes": dict(self.outcomes),
                "contents": {key: [count, self.completed[key]] for key, count in self.received.items()},
            }

    def _tell(self) -> None:
        self._changed.notify_all()
        if not self._watching:
            return
        due = [watch for watch in self._watching if self.reached(watch[0], watch[1])]
        for watch in due:
            self._watching.remove(watch)
            watch[2]()
