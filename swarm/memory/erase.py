"""Forgetting: what is forgotten is gone from the tables, the index, the graph and the journal, and not only
unseen.

With a message go its text and its record, the facts that rest on it, the episodes that cover it, the runs in
which a model read it (with their replies), and its words in the search's index. What is left: its id and its
digest, which are hashes of what it said (whoever guesses a short text can tell that it was said), its place,
role and time, and how many stretches it had, so that the same list handed over again does not bring it back.
What is not touched: other messages that repeat it, blocks (write them anew), other memories, the events that
were handed to a caller, and copies outside the store (backups, a mirror's git history, what a provider keeps;
on PostgreSQL, dead rows until the server vacuums).

In one file, freed space is overwritten with zeros and the write-ahead log is emptied once nobody reads in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw

from swarm.coordinator.records import corpus_of
from swarm.errors import UsageError
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import Part as GraphPart
from swarm.graph.nodes import Removal
from swarm.memory import episodes, facts
from swarm.memory.facts import Fact
from swarm.memory.grown import grown
from swarm.memory.home import Home
from swarm.memory.indexed import take_out
from swarm.memory.log import SHIFT, Line
from swarm.memory.parts import Drawn, Erased, Forgotten, Noted, Part, Retired
from swarm.memory.records import BEGUN, forgotten_entry, part_key, retired_entry
from swarm.memory.tables import ERASURE, clear, project, source_of
from swarm.memory.transcript import drop
from swarm.store.database import Database
from swarm.store.journal import Entry

if TYPE_CHECKING:
    from swarm.index.base import Index

_INDEXES = ("memory_index", "fact_index", "episode_index", "node_index")
_MERGED_PAGES = 200  # of an index in one transaction
_PAGE = 500
_SURE = 8  # characters of an id that nobody hits on by chance


@dataclass(kw_only=True, slots=True)
class _Going:
    """What goes together: records of the memory by kind and key, those that come in their stead, and rows."""

    records: list[tuple[str, str]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    graph: list[GraphPart] = field(default_factory=list)
    uncounted: int = 0
    """Of the records, those that the tables do not count."""


async def forget(home: Home, id_: str, index: Index | None = None) -> None:
    """See `Memory.forget`."""
    line = await asyncio.to_thread(home.log.line, id_)
    if line is not None:
        _see_that_it_is_meant(id_)
        await take_out(home, index, line)
        for run in await asyncio.to_thread(_runs, home, line):
            await home.journal.forget(run)
            await SharedGraph(home.database, run).clear()
        await asyncio.to_thread(_forget_message, home, line)
    else:
        for run in await asyncio.to_thread(_forget_other, home, id_):
            await home.journal.forget(run)
    await asyncio.to_thread(purge, home.database)


async def forget_all(home: Home, index: Index | None = None) -> None:
    """Forget a whole memory: its records, its tables, its graph, and the runs in which it was read."""
    if index is not None:
        await index.clear(home.run)
    for run in await asyncio.to_thread(_all_runs, home):
        await home.journal.forget(run)
        await SharedGraph(home.database, run).clear()
    await home.journal.forget(home.run)
    await home.graph.clear()
    await home.database.write(partial(_cleared, run=home.run))
    home.log.lost()
    await asyncio.to_thread(purge, home.database)


def _cleared(connection: apsw.Connection, run: str) -> None:
    connection.execute("PRAGMA secure_delete = ON")
    clear(connection, run)
    connection.execute("PRAGMA secure_delete = FAST")


def _all_runs(home: Home) -> list[str]:
    sql = "SELECT DISTINCT run FROM readings WHERE memory = ?"
    readings = [run for (run,) in home.database.read(sql, (home.log.num,))]
    runs = _read_runs(home, [*readings, *home.journal.keys(home.run, BEGUN)])
    return [*runs, *(dream_of(key) for key in home.journal.keys(home.run, "episode"))]


def _runs(home: Home, line: Line) -> list[str]:
    """The runs in which a message was read or told again."""
    sql = "SELECT DISTINCT run FROM readings WHERE memory = ? AND first <= ? AND last >= ?"
    readings = [run for (run,) in home.database.read(sql, (home.log.num, line.place, line.place))]
    begun = home.journal.records(home.run, BEGUN)
    readings += [one.key for one in begun if one.body["first"] <= line.place <= one.body["last"]]
    runs = _read_runs(home, readings)
    return [*runs, *(dream_of(one.id) for one in episodes.covering(home.log, line.place))]


def _read_runs(home: Home, readings: Iterable[str]) -> list[str]:
    """The runs of readings, whose transcripts are dropped."""
    runs = list(dict.fromkeys(run.partition(":")[0] for run in readings if run.startswith("reading-")))
    for run in runs:
        corpus, begun = corpus_of(home.journal, run), home.journal.record(home.run, BEGUN, run)
        sources = {source.id for source in corpus.sources} if corpus is not None else set()
        for source in sources.union(begun.body["sources"] if begun is not None else ()):
            home.database.write_sync(partial(drop, source=source))
    return runs


def dream_of(episode: str) -> str:
    """The run that wrote an episode."""
    return f"dream-{episode}"


def _forget_message(home: Home, line: Line) -> None:
    with home.lock:
        record = home.journal.record(home.run, "message", line.id)
        going = _Going()
        if record is not None:
            going.records.append(("message", line.id))
            parts = range(record.body.get("parts", 0))
            going.records += [("text", part_key(line.id, number)) for number in parts]
            going.uncounted = len(parts)
        digest = home.log.digests(line.place, 1)[0]
        gone = Forgotten(
            place=line.place, id=line.id, digest=digest, role=line.role, moment=line.moment,
            stretches=line.last - line.first + 1,
        )  # fmt: skip
        going.entries.append(forgotten_entry(gone))
        going.parts.append(gone)
        going.graph.append(Removal(source=source_of(home.run, line.id)))
        for fact in facts.of_message(home.log, line.place):
            if fact.span is not None:
                _drop_records(home, going, fact)
        _rewrite_found(home, going, lambda body: body["place"] != line.place or not body.get("end"))
        for episode in episodes.covering(home.log, line.place):
            going.records.append(("episode", episode.id))
            going.parts.append(Erased(id=episode.id))
        _erase(home, going)


def _forget_other(home: Home, id_: str) -> list[str]:
    """Forget a fact or an episode; the runs that wrote it."""
    with home.lock:
        fact = facts.one(home.log, id_)
        if fact is not None:
            _see_that_it_is_meant(id_)
            _forget_fact(home, fact)
            return []
        episode = episodes.one(home.log, id_)
        if episode is None:
            raise UsageError(
                f"the memory {home.name} holds no message, fact or episode {id_!r:.50}: look for its id first"
            )
        _erase(home, _Going(records=[("episode", episode.id)], parts=[Erased(id=episode.id)]))
        return [dream_of(episode.id)]


def _see_that_it_is_meant(id_: str) -> None:
    """An id may be told by its beginning; a letter or two hit on something by chance."""
    if len(id_) < _SURE:
        raise UsageError(f"{id_!r} may begin many ids: give {_SURE} characters or more, since it is gone for good")


def _forget_fact(home: Home, fact: Fact) -> None:
    going = _Going()
    _drop_records(home, going, fact)
    _rewrite_found(home, going, lambda body: body["id"] != fact.id)
    if fact.origin == "words":  # its words are still in the message: it must not be drawn from them again
        ended = Retired(id=fact.id, reason="", state="erased")
        going.entries.append(retired_entry(ended))
    going.parts.append(Erased(id=fact.id))
    _erase(home, going)
    regrow(home)


def _drop_records(home: Home, going: _Going, fact: Fact) -> None:
    for kind in ("fact", "retired"):
        if home.journal.record(home.run, kind, fact.id) is not None:
            going.records.append((kind, fact.id))


def _rewrite_found(home: Home, going: _Going, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Write what readers found anew, without what goes."""
    for record in home.journal.records(home.run, "found"):
        kept = [body for body in record.body["facts"] if keep(body)]
        if len(kept) < len(record.body["facts"]):
            going.records.append(("found", record.key))
            going.entries.append(Entry(kind="found", key=record.key, body={"facts": kept}))


def _erase(home: Home, going: _Going) -> None:
    change = home.graph.change(*going.graph) if going.graph else None
    count = len(going.entries) - len(going.records) + going.uncounted + ERASURE

    def also(connection: apsw.Connection) -> None:
        connection.execute("PRAGMA secure_delete = ON")
        project(connection, home.run, going.parts, count)
        if change is not None:
            change(connection)

    home.journal.erase(home.run, going.records, *going.entries, erased_entry(home), also=also)


def erased_entry(home: Home) -> Entry:
    """That records were erased, so that tables in another place are known to be behind."""
    return Entry(kind="erased", key=str(home.journal.count(home.run, "erased") + 1), body={})


# The graph and the indexes


def regrow(home: Home) -> None:
    """Make the graph of a memory anew from its facts."""
    home.graph.clear_sync()
    for some in _noted(home):
        if parts := grown(home, some):
            home.database.write_sync(home.graph.change(*parts))


def _noted(home: Home) -> Iterator[list[Noted]]:
    low, top = home.log.base, home.log.base + (1 << SHIFT) - 1
    sql = "SELECT num FROM facts WHERE num > ? AND num <= ? ORDER BY num LIMIT ?"
    while rows := home.database.read(sql, (low, top, _PAGE)):
        found = facts.of_nums(home.log, (num for (num,) in rows))
        lines = {fact.id: home.log.line(fact.span.source) for fact in found if fact.span is not None}
        yield [_as_noted(fact, line) for fact in found if (line := lines.get(fact.id)) is not None]
        low = rows[-1][0]


def _as_noted(fact: Fact, line: Line) -> Noted:
    assert fact.span is not None
    drawn = Drawn(
        text=fact.text, subject=fact.subject or "", attribute=fact.attribute or "", value=fact.value or "",
        at=fact.at or "", start=fact.span.start, end=fact.span.end,
    )  # fmt: skip
    return Noted(id=fact.id, place=line.place, drawn=drawn)


def purge(database: Database) -> None:
    """Take the words of rows that were deleted out of the indexes, which else keep them until segments are merged;
    and empty the write-ahead log. Takes a time that grows with the indexes, in short transactions."""
    for index in _INDEXES:
        pages = -_MERGED_PAGES
        while database.write_sync(partial(_merge, index=index, pages=pages)):
            pages = _MERGED_PAGES
    connection = apsw.Connection(str(database.path))
    try:
        connection.set_busy_timeout(1_000)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except apsw.BusyError:
        pass  # somebody reads: what is in the log goes with the next checkpoint
    finally:
        connection.close()


def _merge(connection: apsw.Connection, index: str, pages: int) -> bool:
    """Whether there is more to merge."""
    connection.execute("PRAGMA secure_delete = ON")
    before = connection.total_changes()
    connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('merge', ?)", (pages,))  # noqa: S608
    connection.execute("PRAGMA secure_delete = FAST")
    return connection.total_changes() - before >= 2


__all__ = ["dream_of", "forget", "purge", "regrow"]
