"""A run that is opened to be looked into, while a process is at it or not.

    with open_run("last") as opened:
        print(opened.run, len(opened.graph))

In a file everything is read where it stands. Of a run on a PostgreSQL server the graph is made again in a file of
this machine, and the text of sources that were not read here is opened on the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarm.coordinator.kept import library_of
from swarm.coordinator.restore import catch_up
from swarm.graph.graph import SharedGraph
from swarm.history import named
from swarm.source import Span
from swarm.store.journal import Journal
from swarm.store.library import Library
from swarm.store.machines import Machines
from swarm.store.opening import open_store


@dataclass(frozen=True, slots=True)
class Opened:
    """A run with all that is read to look into it. `where` is the store as the user named it; `machines` opens
    what tells which machines work for it, where the store is on a server."""

    run: str
    journal: Journal
    graph: SharedGraph
    library: Library
    where: str | Path | None
    machines: Callable[[], Machines] | None = None

    def refresh(self) -> None:
        """Bring the graph to where the journal is, where it is kept apart from it. It costs as much as the run is
        long."""
        if self.journal.apart:
            catch_up(self.journal, self.graph)

    def place(self, span: Span) -> str:
        """Where a span stands, for a person: `path:line`, or `path:p` and its page.

        Raises:
            StoreError: the text of its source is neither on this machine nor on the server.
        """
        row = self.graph.row(span.source)
        return str(self.library.locate(span, row.text if row is not None and row.text else span.source))


@contextmanager
def open_run(name: str, store: str | Path | None = None) -> Iterator[Opened]:
    """Open a run, which is named as for `swarm.history.find`, to look into it for a block.

    Raises:
        StoreError: there is no such store, or no such run in it.
        UsageError: several runs begin so.
    """
    with open_store(store, read_only=True) as opened:
        run = named(opened.journal, name, store)
        found = Opened(
            run,
            opened.journal,
            SharedGraph(opened.database, run),
            library_of(opened, run),
            store,
            machines=(lambda: opened.machines) if opened.url is not None else None,
        )
        found.refresh()
        yield found
