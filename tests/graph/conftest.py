"""A store in which each test, and each example of a property, has graphs of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count

import pytest

from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Part
from swarm.store.database import Database

Build = Callable[..., SharedGraph]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database.open(tmp_path_factory.mktemp("graphs") / "store.db")
    yield database
    database.close()


@pytest.fixture(scope="module")
def build(database: Database) -> Build:
    """A new graph of these parts, each merged in a transaction of its own (`together`: in one)."""
    numbers = count()

    def made(parts: Iterable[Part] = (), *, together: bool = False) -> SharedGraph:
        graph = SharedGraph(database, f"run-{next(numbers)}")
        many = list(parts)
        for group in [many] if together else [[part] for part in many]:
            database.write_sync(graph.change(*group))
        return graph

    return made
