"""On which machines the slices of a run were worked, as its records tell it: what each did, and what was moved on.

A machine says that it begins a slice before it does anything for it. One that begins what another had begun, and
not settled, took it over: the other was lost, or let go of it. This module folds what the plan hands it; it knows
no records, and not who is alive.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Stay(NamedTuple):
    """A machine that a slice was worked on before, and until when, in seconds since the epoch. `lost`: it had not
    been settled there."""

    machine: str
    until: float
    lost: bool


@dataclass(slots=True)
class Worked:
    """What one machine did for a run. `slices` counts those that it has, or that came to their end on it, by their
    states; `lost` those that went on elsewhere. `first` and `last` are seconds since the epoch, of when it began
    its first slice, and of the last that is known of it."""

    id: str
    host: str
    first: float
    last: float
    slices: Counter[str] = field(default_factory=Counter)
    lost: int = 0


class Machines:
    """Those of one run, by their ids, in the order in which each began its first slice."""

    def __init__(self) -> None:
        self.known: dict[str, Worked] = {}
        self._hosts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self.known)

    def begin(self, id_: str, host: str, at: float) -> str:
        """A machine begins a slice; its id, of which one text is kept."""
        found = self.known.get(id_)
        if found is None:
            found = self.known[id_] = Worked(id_, host, at, at)
            self._hosts[host] += 1
        self._at(found, at)
        return found.id

    def change(self, id_: str, before: str, after: str, at: float | None = None) -> None:
        """A slice that it has comes from one state to another; of none, it comes, and to none, it goes."""
        if (found := self.known.get(id_)) is None:
            return
        found.slices.subtract([before] if before else ())
        found.slices.update([after] if after else ())
        if at is not None:
            self._at(found, at)

    def lose(self, id_: str) -> None:
        """A slice of its went on elsewhere."""
        self.known[id_].lost += 1

    @staticmethod
    def _at(one: Worked, at: float) -> None:
        one.last = max(one.last, at)

    def name(self, id_: str) -> str:
        """What a machine is called where there is little room: its host, and more where several are on that."""
        host = self.known[id_].host
        return host if host and self._hosts[host] == 1 else id_
