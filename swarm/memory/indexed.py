"""An index of somebody else's beside the memory's own: what it finds is fused with the ranking by words.

What is remembered is put into it after it is durable here; how far it has come is kept in the tables, and one that
holds nothing of it, because it was emptied or is another one, is given all again. An index that fails, or does not
answer in time, holds nothing up: a view is made without it, and it is caught up with later; one that hangs is left
alone for a while. This module knows stretches and hits, and not which index it is.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import apsw

from swarm.errors import UsageError
from swarm.memory.home import Home
from swarm.memory.log import Line, Stretch
from swarm.observe.log import get_logger, told

if TYPE_CHECKING:
    from swarm.index.base import Index

log = get_logger("memory")

HITS = 100
"""Stretches that an index is asked for."""
_PORTION = 200
_SEARCH_SECONDS, _ADD_SECONDS = 10.0, 60.0
"""For which one search, and one portion that is added, is waited."""
_ALONE_SECONDS = 60.0
"""For which one that did not answer is left alone."""
_DIGITS = 18


async def keep_up(home: Home, index: Index | None) -> None:
    """Put into an index the stretches that it lacks.

    Raises:
        UsageError: it is used wrongly: a missing extra, a wrong key, vectors of another embedding.
    """
    if index is None or _alone(home):
        return
    from swarm.index.base import Entry

    try:
        at = await _come(home, index)
        while at < (last := await asyncio.to_thread(home.log.counted, "stretches")):
            until = min(last, at + _PORTION)
            some = await asyncio.to_thread(home.log.stretches, range(at + 1, until + 1))
            entries = [Entry(id=str(one.num), text=one.text, context=_context(one)) for one in some]
            if entries:
                async with asyncio.timeout(_ADD_SECONDS):
                    await index.add(home.run, entries)
            await home.database.write(partial(_mark, run=home.run, until=until))
            at = until
    except UsageError:
        raise
    except Exception as error:
        _leave(home, "the index is behind, and is caught up with later", error)


async def _come(home: Home, index: Index) -> int:
    """How far an index has come: not at all, where it finds nothing for what it should hold."""
    at = await asyncio.to_thread(home.log.counted, "indexed")
    if at and not home.index_seen:
        some = await asyncio.to_thread(home.log.stretches, range(max(1, at - _PORTION), at + 1))
        if some:
            longest = max(some, key=lambda one: len(one.text))
            async with asyncio.timeout(_SEARCH_SECONDS):
                at = at if await index.search(home.run, longest.text, 1) else 0
    home.index_seen = True
    return at


def _mark(connection: apsw.Connection, run: str, until: int) -> None:
    connection.execute("UPDATE memories SET indexed = ? WHERE run = ?", (until, run))


def _context(stretch: Stretch) -> str:
    line = stretch.line
    return f"{line.who}, {line.at}" if line.at else line.who


async def hits(home: Home, index: Index | None, query: str, limit: int = HITS) -> list[int]:
    """The numbers of the stretches that an index finds, best first; none where it fails.

    Raises:
        UsageError: as `keep_up`.
    """
    if index is None or _alone(home) or not query.strip():
        return []
    try:
        async with asyncio.timeout(_SEARCH_SECONDS):
            found = await index.search(home.run, query, limit)
    except UsageError:
        raise
    except Exception as error:
        _leave(home, "a view is made without the index", error)
        return []
    last = await asyncio.to_thread(home.log.counted, "stretches")
    nums = [int(hit.id) for hit in found if hit.id.isdecimal() and len(hit.id) <= _DIGITS]
    return [num for num in nums if 0 < num <= last]  # beyond are other memories


def _alone(home: Home) -> bool:
    return time.monotonic() < home.index_alone_until


def _leave(home: Home, event: str, error: Exception) -> None:
    slow = isinstance(error, TimeoutError)
    if slow:
        home.index_alone_until = time.monotonic() + _ALONE_SECONDS
    log.warning(event, memory=home.run, reason="it does not answer in time" if slow else told(error))


async def take_out(home: Home, index: Index | None, line: Line) -> None:
    """Take a message out of an index.

    Raises:
        UsageError, IndexFailed: as the index does; what is to be forgotten is still in it.
    """
    if index is not None:
        await index.remove(home.run, [str(num) for num in range(line.first, line.last + 1)])
