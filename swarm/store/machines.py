"""Which machines work for a store: each worker tells every few seconds that it lives, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Doing:
    """A slice that a worker is at, and for how many seconds it has been."""

    run: str
    ref: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A process that works slices. `id` names it, in the whole store and for good; `places` is how many slices it
    works at once. `note` says in a line why it does less than it could, such as a run whose recipe is not there."""

    id: str
    host: str
    pid: int
    version: str
    places: int
    started: float
    """Seconds since the epoch, by its own clock."""
    draining: bool = False
    doing: tuple[Doing, ...] = ()
    done: int = 0
    """Slices that it has handed in since it started."""
    memory: int = 0
    """Bytes that it holds in memory."""
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen(Machine):
    """A machine as others see it: `ago` are the seconds since it last said anything, by the store's clock."""

    ago: float = field(default=0.0)


class Machines(Protocol):
    """Of one store. All block, and may be called from any thread.

    Raises (any of its methods):
        StoreError: the store cannot be reached or written any more.
    """

    def beat(self, machine: Machine) -> bool:
        """It lives. Whether somebody asked it to drain: to begin nothing more, finish what it is at, and leave."""

    def leave(self, id_: str) -> None:
        """It ends."""

    def seen(self) -> list[Seen]:
        """All that have said something and did not leave, the oldest first. Those silent for a day are gone."""

    def drain(self, names: Sequence[str]) -> list[str]:
        """Ask workers to drain, by their ids or hosts; all where none is named. The ids of those asked."""

    def close(self) -> None:
        """Let go of everything. Safe to call twice."""
