"""Where a memory lives: the journal, the tables, the graph, and the lock that makes writers wait for one another.

A record is durable before anybody uses it; what it comes to in the tables is written with it. Several memories of
one process may be one and the same in the store: they share a lock. This module knows records by their names.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakValueDictionary

import apsw

from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Part as GraphPart
from swarm.memory import tables
from swarm.memory.log import Log
from swarm.memory.parts import Part
from swarm.store.journal import Entry, Journal
from swarm.store.shared import Opened

_LOCKS: WeakValueDictionary[tuple[int, str], _Lock] = WeakValueDictionary()
_FINDING = threading.Lock()


class _Lock:
    """A lock that can be held weakly."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


PREFIX = "memory "
"""Of what memories are called in the journal."""


def run_of(name: str) -> str:
    """What a memory is called in the journal."""
    return PREFIX + name


class Home:
    """The memory `name` in an open store."""

    def __init__(self, opened: Opened, name: str) -> None:
        self.name, self.run = name, run_of(name)
        self.opened = opened
        self.journal: Journal = opened.store.journal
        self.database = opened.store.database
        self.log = Log(self.database, self.run)
        self.graph = SharedGraph(self.database, self.run)
        self.index_seen = False  # of an index beside it: whether it was looked into what that holds
        self.index_alone_until = 0.0  # seconds, by the monotonic clock
        with _FINDING:
            key = (id(opened.store), self.run)
            self._lock = _LOCKS.get(key) or _LOCKS.setdefault(key, _Lock())

    @property
    def lock(self) -> threading.RLock:
        """Held while places and numbers are given out, until they are written. Only for threads that may block."""
        return self._lock.lock

    def settle(self) -> None:
        """Wait until nobody of this process is writing to the memory. Blocks."""
        with self.lock:
            pass

    def write(self, entries: Sequence[Entry], parts: Sequence[Part], graph: Sequence[GraphPart] = ()) -> None:
        """Record these, and write what they come to; durable once this returns. Blocks."""
        changes = self.graph.change(*graph) if graph else None
        count = len(entries)

        def also(connection: apsw.Connection) -> None:
            tables.project(connection, self.run, parts, count)
            if changes is not None:
                changes(connection)

        self.journal.append_sync(self.run, *entries, also=also)
