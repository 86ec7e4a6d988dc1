"""The open contradictions of a run, looked for now and then: they are derived from its graph when they are asked
for, and the graph of a run on a PostgreSQL server has to be brought up to date first, which takes as long as the
run is long.

So the next look comes no sooner than many times what the last one took. This module knows no screen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

from swarm.cli.watching.frame import Disputes
from swarm.cli.watching.words import shown
from swarm.graph.disputes import disputed
from swarm.inspect.opened import Opened

_MOST = 12  # pairs that are shown
_LEAST_SECONDS, _APART_SECONDS = 5.0, 60.0
_SHARE = 50  # times what a look took: two hundredths of one core at the most


class Argued:
    """Looks for the contradictions of one run, on whichever thread it is called, one at a time."""

    def __init__(self, opened: Opened, clock: Callable[[], float] = time.time) -> None:
        self._opened, self._clock = opened, clock
        self._next = 0.0
        self._version = -1

    def due(self, version: int) -> bool:
        """Whether to look again, now that the run is at that version of its picture."""
        return version != self._version and time.monotonic() >= self._next

    def look(self, version: int) -> Disputes:
        """What they are now.

        Raises:
            StoreError: the store cannot be read any more.
        """
        begun, apart = time.monotonic(), self._opened.journal.apart
        if apart and self._version >= 0:  # it was when the run was opened
            self._opened.refresh()
        found = list(islice(disputed(self._opened.graph, _MOST + 1), _MOST + 1))
        took = time.monotonic() - begun
        self._version = version
        self._next = time.monotonic() + max(_APART_SECONDS if apart else _LEAST_SECONDS, _SHARE * took)
        pairs = tuple((shown(one.one.text), shown(one.other.text)) for one in found[:_MOST])
        return Disputes(pairs=pairs, more=len(found) > _MOST, at=self._clock())
