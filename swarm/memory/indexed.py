"""An index of somebody else's beside the memory's own: what it finds is fused with the ranking by words.

What is remembered is put into it after it is durable here; how far it has come is kept in the tables, and an
index that cannot be reached holds nothing up: it is caught up with later, and a view is made without it. This
module knows stretches and hits, and not which index it is.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import apsw

from swarm.errors import IndexFailed
from swarm.memory.home import Home
from swarm.memory.log import Line, Stretch
from swarm.observe.log import get_logger

if TYPE_CHECKING:
    from swarm.index.base import Index

log = get_logger("memory")

HITS = 100
"""Stretches that an index is asked for."""
_PORTION = 200


async def keep_up(home: Home, index: Index | None) -> None:
    """Put into an index the stretches that it lacks."""
    if index is None:
        return
    from swarm.index.base import Entry

    try:
        at = await asyncio.to_thread(home.log.counted, "indexed")
        while at < (last := await asyncio.to_thread(home.log.counted, "stretches")):
            until = min(last, at + _PORTION)
            some = await asyncio.to_thread(home.log.stretches, range(at + 1, until + 1))
            entries = [Entry(id=str(one.num), text=one.text, context=_context(one)) for one in some]
            if entries:
                await index.add(home.run, entries)
            await home.database.write(partial(_mark, run=home.run, until=until))
            at = until
    except IndexFailed as error:
        log.warning("the index is behind, and is caught up with later", memory=home.run, reason=str(error))


def _mark(connection: apsw.Connection, run: str, until: int) -> None:
    connection.execute("UPDATE memories SET indexed = ? WHERE run = ?", (until, run))


def _context(stretch: Stretch) -> str:
    line = stretch.line
    return f"{line.who}, {line.at}" if line.at else line.who


async def hits(home: Home, index: Index | None, query: str, limit: int = HITS) -> list[int]:
    """The numbers of the stretches that an index finds, best first; none where it cannot be reached."""
    if index is None or not query.strip():
        return []
    try:
        found = await index.search(home.run, query, limit)
    except IndexFailed as error:
        log.warning("a view is made without the index", memory=home.run, reason=str(error))
        return []
    return [int(hit.id) for hit in found if hit.id.isdigit()]


async def take_out(home: Home, index: Index | None, line: Line) -> None:
    """Take a message out of an index."""
    if index is not None:
        await index.remove(home.run, [str(num) for num in range(line.first, line.last + 1)])
