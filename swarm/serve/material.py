"""The long texts of a request, in the library: each once for a client, whichever conversations it comes in.

A text is named by the client and by what it says, and its passages are found by the search as those of any source.
So a place in a source is a place in the part of the request that it came from. This module does not know what is
asked, nor of any model.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from swarm.serve.asked import apart, plain
from swarm.serve.request import Path, Request, Role
from swarm.source import Source
from swarm.sources import code, json_values, prose, records
from swarm.sources.media import CODE, JSON, JSONL, MARKDOWN, TEXT, Media, media_of
from swarm.sources.passages import drafts
from swarm.sources.units import Unit
from swarm.store.intake import PLACES_NONE, Intake
from swarm.store.library import Library

_CHUNK = 500_000  # characters that are looked at, encoded and cut at once
_HEAD = 20_000
_MARKS = re.compile(r"^(?:#{1,6} \S|```|[-*+] \S)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A stretch of a part of a request: what a source holds stands from `start` on in the text of the part.

    `path` leads to it in the body, `title` says for a person where it stands.
    """

    turn: int
    part: int
    start: int
    source: Source
    role: Role
    path: Path
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """What is to be kept, with the characters themselves."""

    turn: int
    part: int
    start: int
    end: int
    whole: str


def stretches(request: Request, more_than: int) -> Iterator[Stretch]:
    """What of a request is material: its texts of more than `more_than` characters, without what asks at the ends
    of those that the user wrote."""
    for turn, said in enumerate(request.turns):
        for number, part in enumerate(said.parts):
            if part.text is None or len(part.text) <= more_than or part.text.isspace():
                continue
            start, end = 0, len(part.text)
            if said.role == "user" and part.kind == "text":
                found = apart(part.text)
                start, end = found.start, found.end
            if end > start:
                yield Stretch(turn=turn, part=number, start=start, end=end, whole=part.text)


async def keep(library: Library, client: str, request: Request, wanted: Sequence[Stretch]) -> list[Text]:
    """Write what is not there yet into the library. One that is cancelled leaves nothing half written."""
    stop = threading.Event()
    writing = asyncio.ensure_future(asyncio.to_thread(_kept, library, client, wanted, stop.is_set))
    try:
        sources = await asyncio.shield(writing)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([writing])
        writing.exception()  # seen: it is what stopping led to
        raise
    return [_text(request, one, source) for one, source in zip(wanted, sources, strict=True)]


def _kept(library: Library, client: str, wanted: Sequence[Stretch], stopped: Callable[[], bool]) -> list[Source]:
    named = [(name_of(client, one), one) for one in wanted]
    known = {name: source for name, _ in named if (source := library.source(name)) is not None}
    missing = {name: one for name, one in named if name not in known}
    if missing:
        with library.intake(stopped) as intake:
            for name, one in missing.items():
                # while this waited, another request may have brought the same text
                known[name] = library.source(name) or _write(library, intake, name, one, stopped)
            library.database.write_sync(intake.take().write)
    return [known[name] for name, _ in named]


def _text(request: Request, one: Stretch, source: Source) -> Text:
    turn = request.turns[one.turn]
    title = _title(request, one.turn, one.part)
    return Text(
        turn=one.turn,
        part=one.part,
        start=one.start,
        source=replace(source, path=title),
        role=turn.role,
        path=turn.parts[one.part].path,
        title=title,
    )


def _title(request: Request, turn: int, part: int) -> str:
    """Where a part stands, for a person: counted from 1, as people do."""
    raw = request.turns[turn].parts[part].raw
    named = raw.get("title") or raw.get("filename") if isinstance(raw, dict) else None
    place = f"message {turn + 1}" + (f", part {part + 1}" if len(request.turns[turn].parts) > 1 else "")
    return f"{' '.join(str(named).split())[:80]} ({place})" if named else place


def _pieces(one: Stretch) -> Iterator[str]:
    for at in range(one.start, one.end, _CHUNK):
        yield plain(one.whole[at : min(at + _CHUNK, one.end)])


def name_of(client: str, one: Stretch) -> str:
    """The id of a stretch as a source of this client's."""
    made = blake2b(digest_size=16, person=b"served material", key=blake2b(client.encode()).digest())
    for piece in _pieces(one):
        made.update(piece.encode())
    return "s" + made.hexdigest()


def _write(library: Library, intake: Intake, name: str, one: Stretch, stopped: Callable[[], bool]) -> Source:
    media = _media(one)
    size = sum(len(piece.encode()) for piece in _pieces(one))
    intake.begin(source=name, media=media.name, places=PLACES_NONE, size=size)
    for draft in drafts(_units(media, one), media.seen):
        intake.add(draft)
        if intake.full:
            if stopped():
                intake.abandon()
                library.database.write_sync(intake.take().write)
                raise InterruptedError("stopped while a long text was written")
            library.database.write_sync(intake.take().write)
    return Source(id=name, path="", media=media.name, chars=intake.finish(), bytes=size)


def _media(one: Stretch) -> Media:
    """How a text is cut into passages. Its characters are never changed for it: offsets are those of the
    request."""
    head = one.whole[one.start : min(one.end, one.start + _HEAD)]
    found = media_of("", plain(head).encode())
    if found in (JSON, JSONL, CODE):
        return found
    return MARKDOWN if len(_MARKS.findall(head)) > 2 else TEXT


def _units(media: Media, one: Stretch) -> Iterator[Unit]:
    match media.name:
        case JSON.name:
            return json_values.document(_pieces(one))
        case JSONL.name:
            return records.jsonl(_pieces(one))
        case CODE.name:
            return code.code(_pieces(one))
        case MARKDOWN.name:
            return prose.markdown(_pieces(one))
        case _:
            return prose.text(_pieces(one))
