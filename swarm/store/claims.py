"""Slices that are worked on other machines: offered by whoever coordinates a run, claimed by one worker at a time,
and handed in.

A claim is a lease: it lasts for so many seconds, is made to last longer as long as its holder lives, and carries
an epoch that no other lease ever had. What is written under a lease (`Journal.under`, `hand_in`) is refused once
it is over, so a worker that was frozen and wakes up changes nothing. Here is only what is under way: what is
settled is in the journal, and withdrawn from here. An engine may deliver a slice twice, late or never; this
decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from swarm.errors import StaleLease


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A slice of a run, claimed. `ref` names it within the run, `body` is what it was offered with. `epoch` is
    higher than that of every lease before it, in the whole store."""

    run: str
    ref: str
    epoch: int
    body: bytes


def stale(lease: Lease) -> StaleLease:
    """What is raised where something is written under a lease that is over."""
    return StaleLease(
        f"the lease of slice {lease.ref} of {lease.run} is over: nothing more of it is written from here"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed(Lease):
    """A slice that was handed in, with what it came to."""

    outcome: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a slice stands that is under way. `holder` names who claimed it last, empty where nobody did; `left`
    are the seconds until that lease is over, negative where it is. `since` are the seconds since it was offered,
    claimed or handed in."""

    ref: str
    state: Literal["offered", "claimed", "handed"]
    epoch: int
    holder: str
    left: float
    since: float


class Watch(Protocol):
    """For one thread."""

    def wait(self, seconds: float) -> bool:
        """Until something is handed in for the run, or so long. Whether something may have been."""


class Claims(Protocol):
    """Of one store. What is awaited is durable; other calls block, and may come from any thread.

    Raises (any of its methods):
        StoreError: the store cannot be reached or written any more.
    """

    async def offer(self, run: str, offers: Mapping[str, bytes], *, hold: int | None = None) -> None:
        """Make slices ready to be claimed, by their refs. One that is under way stays as it is. `hold` is that of
        whoever coordinates the run (`Journal.hold`).

        Raises:
            StoreInUse: another has taken the run since.
        """

    async def claim(self, run: str, ref: str, holder: str, seconds: float) -> Lease | None:
        """Take a slice for so long. None where it is not offered, was handed in, or is claimed by a lease that
        lasts. Of a lease that is over it takes the place; calls that were lost with that are settled at the most
        that they can have come to."""

    def renew(self, leases: Sequence[Lease], seconds: float) -> set[int]:
        """Have leases last so long from now. The epochs of those that do: the others are another's by now, or
        withdrawn. One that is over and that nobody has taken is made to last again."""

    async def hand_in(self, lease: Lease, outcome: bytes) -> None:
        """What a slice came to. Nothing more is written under its lease.

        Raises:
            StaleLease: the lease is over.
        """

    async def let_go(self, lease: Lease) -> None:
        """Of a slice that is not worked to its end here: another may claim it at once. Of one that is not ours any
        more this says nothing."""

    def handed(self, run: str, epochs: Sequence[int] = ()) -> list[Handed]:
        """What was handed in for a run and is not withdrawn, in the order of the epochs; without `epochs`, which
        are those that are known already."""

    async def withdraw(self, run: str, refs: Sequence[str], *, hold: int | None = None) -> None:
        """They are settled, or not to be worked any more: nothing more is written under their leases. Calls that
        were lost with them are settled as by `claim`. `hold` as in `offer`.

        Raises:
            StoreInUse: another has taken the run since.
        """

    def standings(self, run: str) -> list[Standing]:
        """All that is under way in a run."""

    def runs(self) -> list[str]:
        """The runs in which anything is under way, the oldest first."""

    def watch(self, run: str) -> AbstractContextManager[Watch]:
        """To wait for what is handed in."""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""
