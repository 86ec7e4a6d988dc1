"""What is decided on the way of a job on grounds that its replies do not show: how much of its material a window
held, what a search found, and what the user's program said of a result. Whoever keeps it can have the job worked
again to the same end. Here it is not kept; the coordinator's is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from swarm.prompts.replies import WorkReply
from swarm.source import Passage


@dataclass(frozen=True, kw_only=True, slots=True)
class Landing:
    """What became of work that was to land. Without a `commit`, `wrong` is why it does not and is tried again, and
    None where there was nothing to land or it was let go. `result` takes the place of the result, where given;
    `claims` are what a trial found out, each with words of the result."""

    commit: str | None = None
    wrong: str | None = None
    result: str | None = None
    claims: Sequence[tuple[str, str]] = ()


class Ledger(Protocol):
    """Names tell the decisions of one job apart."""

    async def room(self, name: str, tokens: Callable[[], int]) -> int:
        """The o200k tokens of material that are shown."""

    def beyond(self, name: str) -> bool:
        """Whether a smaller prompt than the one of that name is known to have been asked."""

    async def checked(self, name: str, check: Callable[[], Awaitable[str | None]]) -> str | None:
        """What a program says of a result."""

    async def looked_up(self, leg: int, look: Callable[[], Awaitable[Sequence[Passage]]]) -> Sequence[Passage]:
        """What is shown to the one who comes after a leg, because that asked for it."""

    async def called(
        self, ref: str, tool: str, make: Callable[[bool], Awaitable[tuple[str, bool]]], of: str = ""
    ) -> tuple[str, bool]:
        """What a tool gave, and whether it failed: as it is known under this name, else made now and kept before
        it is gone by. `make` is told whether it may have been made before, by a process that died. `of` names the
        call and all that came before it: what is known of another one is not taken for this one."""

    def begun(self, name: str) -> bool:
        """Whether a tool was used in the window of that name before."""

    async def ran(self, name: str, code: Callable[[], Awaitable[WorkReply]]) -> WorkReply:
        """What the user's code came to, in the place of a model."""

    async def landed(
        self, name: str, land: Callable[[str | None, Callable[[str], Awaitable[None]]], Awaitable[Landing]]
    ) -> Landing:
        """What became of work that was to land. `land` is given the commit that was about to land when a process
        died, if one was, and what to tell of the one that is."""


class Unkept:
    """Decides anew each time."""

    async def room(self, name: str, tokens: Callable[[], int]) -> int:  # noqa: ARG002
        return tokens()

    def beyond(self, name: str) -> bool:  # noqa: ARG002
        return False

    async def checked(self, name: str, check: Callable[[], Awaitable[str | None]]) -> str | None:  # noqa: ARG002
        return await check()

    async def looked_up(
        self,
        leg: int,  # noqa: ARG002
        look: Callable[[], Awaitable[Sequence[Passage]]],
    ) -> Sequence[Passage]:
        return await look()

    async def called(
        self,
        ref: str,  # noqa: ARG002
        tool: str,  # noqa: ARG002
        make: Callable[[bool], Awaitable[tuple[str, bool]]],
        of: str = "",  # noqa: ARG002
    ) -> tuple[str, bool]:
        return await make(False)

    def begun(self, name: str) -> bool:  # noqa: ARG002
        return False

    async def ran(self, name: str, code: Callable[[], Awaitable[WorkReply]]) -> WorkReply:  # noqa: ARG002
        return await code()

    async def landed(
        self,
        name: str,  # noqa: ARG002
        land: Callable[[str | None, Callable[[str], Awaitable[None]]], Awaitable[Landing]],
    ) -> Landing:
        return await land(None, _untold)


async def _untold(_commit: str) -> None:
    """Nobody keeps it."""
