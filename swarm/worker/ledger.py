"""What is decided on the way of a job on grounds that its replies do not show: how much of its material a window
held, what a search found, and what the user's program said of a result. Whoever keeps it can have the job worked
again to the same end. Here it is not kept; the coordinator's is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from swarm.source import Passage


class Ledger(Protocol):
    """Names tell the decisions of one job apart."""

    async def room(self, name: str, tokens: Callable[[], int]) -> int:
        """The o200k tokens of material that are shown."""

    def beyond(self, name: str) -> bool:
        """Whether a smaller prompt than the one of that name is known to have been asked."""

    async def checked(self, name: str, check: Callable[[], Awaitable[str | None]]) -> str | None:
        """What a program says of a result."""

    def looked_up(self, leg: int, look: Callable[[], Sequence[Passage]]) -> Sequence[Passage]:
        """What is shown to the one who comes after a leg, because that asked for it."""


class Unkept:
    """Decides anew each time."""

    async def room(self, name: str, tokens: Callable[[], int]) -> int:  # noqa: ARG002
        return tokens()

    def beyond(self, name: str) -> bool:  # noqa: ARG002
        return False

    async def checked(self, name: str, check: Callable[[], Awaitable[str | None]]) -> str | None:  # noqa: ARG002
        return await check()

    def looked_up(self, leg: int, look: Callable[[], Sequence[Passage]]) -> Sequence[Passage]:  # noqa: ARG002
        return look()
