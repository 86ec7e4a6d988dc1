"""What an engine is: it delivers references of slices to whoever serves them, at least once each, and returns
nothing.

It may deliver one twice, late, or in another order; what is done is in the journal, and who may work a slice is
decided by claims (`swarm.store.claims`). What it loses is submitted again by whoever offered it. One suite
(`swarm.testing.conformance`) holds every engine to this. An engine knows no slices, models or journals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

Handler = Callable[[str], Awaitable[None]]
"""Works what a reference names. Once it returns the reference is acknowledged. Where it raises or is cancelled the
reference is delivered again: after a while; or, where `serve` raises what the handler raised, by the next one."""


class Engine(Protocol):
    """A reference is a line of text, of 500 characters at the most.

    Raises (any of its methods):
        StoreError: the engine's server cannot be reached or used any more.
    """

    async def submit(self, refs: Sequence[str]) -> None:
        """Have references delivered. One that waits for its delivery, or is being served, is not added again."""

    async def cancel(self, refs: Sequence[str]) -> None:
        """Do not deliver what has not been delivered yet. What is being served goes on."""

    def free_slots(self) -> int:
        """How many more this process would serve at once; none while it is paused or drains."""

    async def serve(self, handler: Handler) -> None:
        """Deliver to `handler`, at most so many at a time as there are places. Returns once `drain` was called and
        what is served has ended; an engine in one process also where nothing is left to deliver. Cancelled, it
        cancels what is served, and that is delivered again."""

    def drain(self) -> None:
        """Begin nothing more. Safe to call from a signal handler of the event loop, and more than once."""

    async def close(self) -> None:
        """Let go of everything. Safe to call twice."""
