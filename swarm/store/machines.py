"""Which machines work for a store: each worker tells every few seconds that it lives, and what it does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol

SILENT_SECONDS, LOST_SECONDS = 8.0, 20.0
"""After which a worker that has said nothing counts as silent, and as lost: it beats more often than every third
second, and no lease of its outlasts the second of these."""
GONE_SECONDS = 86_400.0
"""After which it is told of no more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Doing:
    """A slice that a worker is at, and for how many seconds it has been."""

    run: str
    ref: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A process that works slices. `id` names it, in the whole store and for good; `places` is how many slices it
    works at once. `note` says in a line why it does less than it could: a run whose recipe is not there, say."""

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

    @property
    def life(self) -> Literal["alive", "silent", "lost"]:
        """Whether it lives, as far as others can tell: who is lost holds no lease any more."""
        if self.ago < SILENT_SECONDS:
            return "alive"
        return "silent" if self.ago < LOST_SECONDS else "lost"


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


_FIELDS = frozenset(one.name for one in fields(Machine))


def to_json(machine: Machine) -> str:
    """As a store keeps it: plain ASCII, whatever a note quotes."""
    return json.dumps(asdict(machine), separators=(",", ":"))


def from_json(text: str | bytes, *, asked: bool, ago: float) -> Seen:
    """A machine as it was kept, by this version or another: what it says that is not known here is passed over.
    One that was `asked` to drain, and has not heard of it yet, counts as draining."""
    body: dict[str, Any] = {name: value for name, value in json.loads(text).items() if name in _FIELDS}
    body["doing"] = tuple(Doing(run=one["run"], ref=one["ref"], seconds=one["seconds"]) for one in body["doing"])
    body["draining"] = asked or body["draining"]
    return Seen(**body, ago=max(0.0, ago))
