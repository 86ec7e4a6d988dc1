"""The tables of a memory, made anew from the journal where the store has lost them or is behind: the journal is on
a server and this file is another one, or a process died between the two, or the tables are from an older
version.

What is read is read in portions, however long the conversation is. This module calls no model.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from swarm.memory import records
from swarm.memory.erase import regrow
from swarm.memory.grown import grown
from swarm.memory.home import Home
from swarm.memory.parts import Forgotten, Kept, Part, Told
from swarm.memory.remember import kept_again
from swarm.memory.tables import ERASURE, clear, project
from swarm.observe.log import get_logger
from swarm.store.journal import Entry, Record

log = get_logger("memory")

_KINDS = ("message", "fact", "found", "reading", "retired", "block", "episode", "told", "forgotten")
"""Those that the tables count: as many as the journal holds."""
_PORTION_CHARS, _PORTION = 1_000_000, 500


def begin(home: Home) -> None:
    """Take a memory for this process, make it where it is not there yet, and bring its tables up to the journal.

    Raises:
        StoreError: another process holds it.
    """
    home.journal.hold(home.run)
    if home.journal.record(home.run, "memory", "") is None:
        home.journal.append_sync(home.run, Entry(kind="memory", key="", body={"name": home.name}))
    catch_up(home)


def behind(home: Home) -> bool:
    """Whether the tables hold less than the journal says. Blocks."""
    return home.log.counted("records") != _recorded(home)


def catch_up(home: Home) -> bool:
    """Make the tables anew where they hold less than the journal says. Tells whether they did. Blocks."""
    with home.lock:
        if not behind(home):
            return False
        log.info("a memory's tables are made anew from the journal", memory=home.run, records=_recorded(home))
        rebuild(home)
        return True


def _recorded(home: Home) -> int:
    return sum(home.journal.count(home.run, kind) for kind in _KINDS) + _erasures(home)


def rebuild(home: Home) -> None:
    """Make the tables and the graph of a memory anew."""
    home.database.write_sync(lambda connection: clear(connection, home.run))
    home.log.lost()
    home.graph.clear_sync()
    _messages(home)
    portion: list[Part] = []
    for part in _others(home):
        portion.append(part)
        if len(portion) == _PORTION:
            _write(home, portion, 0)
            portion = []
    _write(home, portion, sum(home.journal.count(home.run, kind) for kind in _KINDS[1:-1]) + _erasures(home))
    if any(records.retired_in(one).state == "erased" for one in home.journal.records(home.run, "retired")):
        regrow(home)


def _erasures(home: Home) -> int:
    return ERASURE * home.journal.count(home.run, "erased")


def _write(home: Home, parts: list[Part], count: int) -> None:
    parts_of_graph = grown(home, parts)
    change = home.graph.change(*parts_of_graph)

    def write(connection: apsw.Connection) -> None:
        project(connection, home.run, parts, count)
        if parts_of_graph:
            change(connection)

    home.database.write_sync(write)


def _messages(home: Home) -> None:
    """Messages by their places, those that were forgotten among them."""
    gone = sorted((records.forgotten_in(one) for one in home.journal.records(home.run, "forgotten")), key=_place)
    portion: list[Part] = []
    chars = 0
    for record in home.journal.records(home.run, "message"):  # in the order of their places
        while gone and gone[0].place < record.body["place"]:
            portion.append(gone.pop(0))
        message = records.message_in(record, _text(home, record))
        portion.append(kept_again(message, draws=record.body.get("draws", False)))
        chars += len(message.text)
        if chars >= _PORTION_CHARS or len(portion) >= _PORTION:
            _write(home, portion, len(portion))
            portion, chars = [], 0
    portion += gone
    _write(home, portion, len(portion))


def _place(part: Forgotten | Kept) -> int:
    return part.place


def _text(home: Home, record: Record) -> str:
    parts = record.body.get("parts")
    if parts is None:
        return str(record.body["text"])
    pieces = []
    for number in range(parts):
        part = home.journal.record(home.run, "text", records.part_key(record.key, number))
        pieces.append(part.body["text"] if part is not None else "")
    return "".join(pieces)


def _others(home: Home) -> Iterator[Part]:
    journal, run = home.journal, home.run
    for record in journal.records(run, "fact"):
        yield records.fact_in(record.body)
    for record in journal.records(run, "found"):
        yield from (records.fact_in(body) for body in record.body["facts"])
    for record in journal.records(run, "reading"):
        yield records.reading_in(record)
    for record in journal.records(run, "retired"):
        yield records.retired_in(record)
    for record in journal.records(run, "block"):
        yield records.block_in(record)
    for record in journal.records(run, "episode"):
        yield records.episode_in(record)
    for record in journal.records(run, "told"):
        yield Told(place=int(record.key))
