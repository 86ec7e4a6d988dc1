"""Reading with a model what no model has read yet, before it leaves the agent's window.

Unread messages are cut into chunks that fit one reader each, and read by a run of their own, whose findings become
facts that rest on the messages. A chunk that was read once, by any memory on the store and by the same reader, is
taken from there: a branch of a conversation pays for its own part alone. A limit ends a flush and loses nothing:
what was found by then is kept, and the next one goes on. This module wires a run; what a reader does is told in
`swarm/worker/`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from swarm.errors import StoreInUse
from swarm.graph.graph import SharedGraph
from swarm.graph.rows import EDGES
from swarm.limits.budget import effective
from swarm.memory.facts import fact_id, known_of
from swarm.memory.grown import grown
from swarm.memory.home import Home
from swarm.memory.log import SHIFT, Line
from swarm.memory.parts import Drawn, Noted, Reading
from swarm.memory.records import begun_entry, found_entry, reading_entry
from swarm.memory.slots import canonical
from swarm.memory.transcript import Chunk, Transcript, chunk_of, transcript
from swarm.models.base import Model
from swarm.source import Corpus
from swarm.task import Finding, Limits, Task, Usage

if TYPE_CHECKING:
    from swarm.events import Event
    from swarm.memory.settings import Settings

_CHUNKS = 64
"""Chunks of one run: so many findings are held at once."""
_PROMPT_TOKENS, _REPLY_SHARE, _SPARE = 2_500, 0.75, 0.85
_LARGEST, _SMALLEST = 32_000, 300
"""O200k tokens of a chunk: of more, readers miss more."""
_PORTION = 500  # facts of one record
_WAIT_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class Flushed:
    """What a flush came to. `read_tokens` are o200k tokens of messages that were read now, and `known_tokens` of
    those that another memory had read; `findings` counts new facts. `complete` is False where a limit was reached:
    `stopped` says which, and `unread_tokens` what is left. `failures` counts slices that could not be read."""

    read_tokens: int = 0
    known_tokens: int = 0
    findings: int = 0
    usage: Usage = field(default_factory=Usage)
    complete: bool = True
    stopped: str | None = None
    unread_tokens: int = 0
    failures: int = 0

    def __add__(self, other: Flushed) -> Flushed:
        return Flushed(
            read_tokens=self.read_tokens + other.read_tokens,
            known_tokens=self.known_tokens + other.known_tokens,
            findings=self.findings + other.findings,
            usage=self.usage + other.usage,
            complete=other.complete,
            stopped=other.stopped,
            unread_tokens=other.unread_tokens,
            failures=self.failures + other.failures,
        )


async def flush(
    home: Home,
    settings: Settings,
    about: str,
    limits: Limits | None = None,
    emit: Callable[[Event], None] | None = None,
) -> Flushed:
    """See `Memory.flush`."""
    total = Flushed()
    if not settings.reads:
        return total
    most = effective(limits or settings.limits, (settings.model, settings.reader))
    began = time.monotonic()
    emit = emit or settings.on_event or (lambda _: None)
    last = len(home.log)  # what comes meanwhile is for the next flush
    while total.complete:
        known, unread = await asyncio.to_thread(_next, home, settings.reader, last)
        if known.known_tokens:
            total += known
        if not unread:
            break
        left = _left(most, total.usage, time.monotonic() - began)
        total += await _read(home, settings, about, unread, left, emit)
    return replace(total, unread_tokens=home.log.counted("tokens") - home.log.counted("read"))


def _left(most: Limits, used: Usage, seconds: float) -> Limits:
    """The limits of what a flush still has to do."""
    left = None if most.wall_seconds is None else max(0.001, most.wall_seconds - seconds)
    return replace(most.left(used), wall_seconds=left)


# What is to be read


def chunk_tokens(reader: Model) -> int:
    """O200k tokens of messages that one reader gets at the most."""
    fit = (reader.window * _REPLY_SHARE - _PROMPT_TOKENS) / reader.ratio() * _SPARE
    return max(_SMALLEST, min(_LARGEST, int(fit)))


def _next(home: Home, reader: Model, last: int) -> tuple[Flushed, list[Chunk]]:
    """Take what is known of the next unread messages; the chunks that follow and nobody has read."""
    most = chunk_tokens(reader)
    taken = Flushed()
    unread: list[Chunk] = []
    at = home.log.counted("frontier") + 1
    while at <= last and len(unread) < _CHUNKS:
        if (chunk := _known_chunk(home, reader, at, last)) is not None:
            if unread:
                break
            taken += _take(home, reader, *chunk)
            at = home.log.counted("frontier") + 1
            continue
        lines = _lines(home, at, last, most)
        if not lines:  # all that is left was forgotten
            _mark(home, at, last)
            break
        if lines[0].place > at and not unread:
            _mark(home, at, lines[0].place - 1)
        unread.append(chunk_of(lines))
        at = lines[-1].place + 1
    return taken, unread


def _mark(home: Home, first: int, last: int) -> None:
    """Pass over places whose messages were forgotten."""
    reading = Reading(key="", first=first, last=last, chain="", run=f"none {first}-{last}")
    home.write([reading_entry(reading)], [reading])


def _lines(home: Home, at: int, last: int, most: int) -> list[Line]:
    """The next messages that one reader gets: at least one, however long."""
    lines: list[Line] = []
    tokens = 0
    for line in home.log.between(at, last):
        cost = line.tokens + 12  # who speaks, and when
        if lines and (tokens + cost > most or line.place != lines[-1].place + 1):
            break
        lines.append(line)
        tokens += cost
    return lines


def reading_key(reader: Model, message: str) -> str:
    """What readings of one reader are found by, that begin with the same message."""
    parts = f"{reader.name}\0{reader.revision}\0{message}"
    return blake2b(parts.encode(), digest_size=16, person=b"reading").hexdigest()


def _known_chunk(home: Home, reader: Model, at: int, last: int) -> tuple[Chunk, str, int, int] | None:
    """A chunk that begins at a place and was read by another memory, with that memory's run, its number and the
    place where it begins there."""
    lines = home.log.lines([at])
    if not lines:
        return None
    sql = (
        "SELECT DISTINCT memories.run, memory, first, last, chain FROM readings JOIN memories ON memory = num "
        "WHERE key = ? AND memory <> ? ORDER BY last - first DESC LIMIT 16"
    )
    for run, memory, first, end, chain in home.database.read(
        sql, (reading_key(reader, lines[0].id), home.log.num)
    ):
        size = end - first
        if at + size > last:
            continue
        mine = list(home.log.between(at, at + size))
        if len(mine) == size + 1 and chunk_of(mine).chain == chain:
            return chunk_of(mine), run, memory, first
    return None


def _take(home: Home, reader: Model, chunk: Chunk, run: str, memory: int, first: int) -> Flushed:
    """Take what another memory has of a chunk, which was read for it."""
    noted = [
        Noted(id=_id_of(drawn, chunk.lines[place - first]), place=chunk.lines[place - first].place, drawn=drawn)
        for place, drawn in known_of(home.database, memory, first, first + len(chunk.lines) - 1)
    ]
    new = _keep(home, f"{chunk.chain} of {run}", noted, [_reading(reader, chunk, f"{chunk.chain} of {run}")])
    return Flushed(known_tokens=chunk.tokens, findings=new)


def _reading(reader: Model, chunk: Chunk, run: str) -> Reading:
    key = reading_key(reader, chunk.lines[0].id)
    return Reading(key=key, first=chunk.first, last=chunk.last, chain=chunk.chain, run=run)


# Reading


async def _read(
    home: Home,
    settings: Settings,
    about: str,
    chunks: Sequence[Chunk],
    limits: Limits,
    emit: Callable[[Event], None],
) -> Flushed:
    """Have chunks read by a run of their own, and keep what it found."""
    from swarm.run import Swarm

    made = await asyncio.to_thread(lambda: [transcript(home.log, chunk) for chunk in chunks])
    corpus = Corpus(sources=tuple({one.source.id: one.source for one in made}.values()))
    sources = [source.id for source in corpus.sources]
    run = run_id(settings, about, sources)
    swarm = Swarm(
        settings.model, reader=settings.reader, store=home.opened.name, concurrency=settings.concurrency,
        embed=settings.embed,
    )  # fmt: skip
    await home.journal.append(home.run, begun_entry(run, chunks[0].first, chunks[-1].last, sources))
    before = await asyncio.to_thread(home.journal.spent, run)
    task = Task(
        questions=(about.strip(),) if about.strip() else (), paths=(), output="graph", slicing="source",
        limits=limits.beyond(before),
    )  # fmt: skip
    try:
        answer = await swarm.read(task, corpus, run_id=run, emit=emit)
    except StoreInUse:  # another memory of this process has the same read: wait for it
        await asyncio.sleep(_WAIT_SECONDS)
        return Flushed()
    found = await asyncio.to_thread(_found, home, run, made)
    done = answer.stopped is None
    readings = [_reading(settings.reader, chunk, f"{run}:{chunk.chain}") for chunk in chunks] if done else []
    new = await asyncio.to_thread(_keep, home, run, found, readings)
    return Flushed(
        read_tokens=sum(chunk.tokens for chunk in chunks) if done else 0,
        findings=new,
        usage=answer.usage - before,
        complete=done,
        stopped=answer.limit or answer.stopped,
        failures=len(answer.failures),
    )


def run_id(settings: Settings, about: str, sources: Sequence[str]) -> str:
    """A run is named by what it reads, what for, and who reads it."""
    parts = "\0".join(
        [settings.model.name, settings.reader.name, settings.reader.revision, about.strip(), *sources]
    )
    return "reading-" + blake2b(parts.encode("utf-8", "replace"), digest_size=12).hexdigest()


# What was found


def _found(home: Home, run: str, made: Sequence[Transcript]) -> list[Noted]:
    """The findings of a run as facts that rest on messages."""
    by_source = {one.source.id: one for one in made}
    noted: dict[str, Noted] = {}
    for finding in _findings(SharedGraph(home.database, run)):
        for span in finding.evidence:
            transcript_of = by_source.get(span.source)
            held = transcript_of.message_span(span) if transcript_of is not None else None
            if held is not None:
                one = _noted(finding, *held)
                noted[one.id] = one
                break
    return list(noted.values())


def _findings(graph: SharedGraph) -> Iterator[Finding]:
    """The findings of a graph, those that say the same once, page by page."""
    low, high = graph.range
    sql = (
        "SELECT num FROM nodes WHERE kind = 'finding' AND state = 'live' AND num BETWEEN ? AND ? "
        "AND NOT EXISTS (SELECT 1 FROM edges WHERE source = nodes.num AND kind = ?) ORDER BY num LIMIT ?"
    )
    while rows := graph.database.read(sql, (low, high, EDGES["supports"], _PORTION)) if graph.num else []:
        yield from graph.findings(graph.rows(num for (num,) in rows))
        low = rows[-1][0] + 1


def _noted(finding: Finding, line: Line, start: int, end: int) -> Noted:
    value = " ".join(part for part in (finding.value, finding.unit) if part)
    whole = bool(finding.subject and finding.attribute and value)
    drawn = Drawn(
        text=finding.claim,
        subject=finding.subject or "",
        attribute=canonical(finding.attribute) if whole and finding.attribute else "",
        value=value if whole else "",
        at=finding.time or "",
        start=start,
        end=end,
        origin="reader",
        single=whole,
    )
    return Noted(id=_id_of(drawn, line), place=line.place, drawn=drawn)


def _id_of(drawn: Drawn, line: Line) -> str:
    where = f"{line.id}:{drawn.start}:{drawn.end}"
    return fact_id(drawn.text, drawn.subject, drawn.attribute, drawn.value, drawn.at or line.at or "", where)


def _keep(home: Home, run: str, found: Sequence[Noted], readings: Sequence[Reading]) -> int:
    """Record what was found and is new, and what was read; the number of new facts. Blocks."""
    with home.lock:
        known = _known(home, [one.id for one in found])
        new = [one for one in found if one.id not in known]
        before = _portions(home, run)
        for number, start in enumerate(range(0, len(new), _PORTION), start=before):
            some = new[start : start + _PORTION]
            home.write([found_entry(run, number, some)], some, grown(home, some))
        if readings:
            home.write([reading_entry(one) for one in readings], readings)
    return len(new)


def _known(home: Home, ids: Sequence[str]) -> set[str]:
    import json

    sql = "SELECT id FROM facts WHERE id IN (SELECT value FROM json_each(?)) AND num BETWEEN ? AND ?"
    bounds = (home.log.base, home.log.base + (1 << SHIFT) - 1)
    return {id_ for (id_,) in home.database.read(sql, (json.dumps(list(ids)), *bounds))}


def _portions(home: Home, run: str) -> int:
    """How many portions of what a run found were recorded."""
    number = 0
    while home.journal.record(home.run, "found", f"{run}:{number:06}") is not None:
        number += 1
    return number
