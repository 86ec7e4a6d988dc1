"""Memories from outside: which there are in a store, and one that is only looked at.

What is looked at may be at work in another process meanwhile, as a server's is; nothing is made or changed. This
module opens the store for the length of a block and decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from swarm.errors import UsageError
from swarm.memory.home import PREFIX, Home, run_of
from swarm.memory.memory import Memory, open_memory
from swarm.memory.rebuild import behind
from swarm.memory.settings import Settings
from swarm.models.registry import connect
from swarm.store.opening import DEFAULT_STORE, Store, is_url, open_store, shown
from swarm.store.shared import Opened

_NAMED = 8


def memories(store: Path | str | None = None) -> list[str]:
    """The names of the memories of a store that hold something, the oldest first; with a database on a server,
    of those that this machine has used. None where there is no store yet. Blocks.

    Raises:
        StoreError: the store cannot be read.
    """
    if not _is_there(store):
        return []
    with open_store(store, read_only=True) as opened:
        return _names(opened)


def checked(name: str, store: Path | str | None = None) -> None:
    """See that a memory is there. Blocks.

    Raises:
        UsageError: there is none of that name.
        StoreError: the store cannot be read.
    """
    if not _is_there(store):
        raise _none(name, [], store)
    with open_store(store, read_only=True) as opened:
        if opened.journal.record(run_of(name), "memory", "") is None:
            raise _none(name, _names(opened), store)


@asynccontextmanager
async def look(name: str, *, store: Path | str | None = None) -> AsyncIterator[Memory]:
    """The memory called `name` as it stands, to be read only, also while another process is at work in it.

    Raises:
        UsageError: there is none of that name.
        StoreError: the store cannot be read.
    """
    await asyncio.to_thread(checked, name, store)
    with open_store(store, read_only=True) as opened:
        home = Home(Opened(name=shown(store), store=opened), name)
        at_work = not is_url(home.opened.name) and opened.database.locked()  # whoever it is has caught up
        if at_work or not await asyncio.to_thread(behind, home):
            model = connect("extractive")
            yield Memory(home, Settings(model=model, reader=model))
            return
    async with open_memory(name, store=store) as memory:  # its tables are made again, which nobody else can do now
        yield memory


def _is_there(store: Path | str | None) -> bool:
    where = store or DEFAULT_STORE
    return is_url(where) or Path(where).exists()


def _names(store: Store) -> list[str]:
    return [run.removeprefix(PREFIX) for (run,) in store.database.read("SELECT run FROM memories ORDER BY num")]


def _none(name: str, names: list[str], store: Path | str | None) -> UsageError:
    there = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")
    holds = f"it holds {there}" if names else "it holds none"
    return UsageError(
        f"there is no memory {name!r} in {shown(store)} ({holds}): `swarm memory {name} remember FILE` makes one"
    )


__all__ = ["checked", "look", "memories"]
