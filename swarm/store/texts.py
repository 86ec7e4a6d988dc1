"""The text of sources among the blobs of a store, for machines that have none of the files.

What is published is all that the library keeps of a source, so that another library gets the same rows of it:
the same passages, places and search results, without the file and without its reader. A source goes by its id.
Its head is written last: a source that was broken off is not there, and goes on where it was. This module does
not know who reads what for which run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from swarm.source import Source
from swarm.store import packed
from swarm.store.blobs import Blobs
from swarm.store.intake import Intake, id_of
from swarm.store.library import Library
from swarm.store.packed import Begins, Head
from swarm.store.parts import PART_CHARS, Cut
from swarm.store.published import Absent, Damaged, Text, head_name, part_name

T = TypeVar("T")
_Stopped = Callable[[], bool]

_GROUP = 500  # sources asked for at a time
_GROUP_CHARS = 8_000_000
_OUT_BYTES = 8 << 20  # sent at a time, before they are squeezed
_READERS = 100  # versions of the readers that may have made a source
_CONTENT_BYTES = 20  # of the hash of a file


# Publishing


async def publish(library: Library, blobs: Blobs, sources: Iterable[Source]) -> int:
    """Keep the text of sources that the library holds among the blobs: how many bytes were sent, none of what is
    there already. Cancelling ends it between two parts.

    Raises:
        StoreError: the library does not hold one of them, or the blobs cannot be written.
    """
    return await _on_thread(partial(_publish, library, blobs, sources))


def _publish(library: Library, blobs: Blobs, sources: Iterable[Source], stopped: _Stopped) -> int:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="swarm-squeeze") as beside:
        return _Sending(library, blobs, beside, stopped).all(sources)


class _Sending:
    """Sends sources to blobs, some megabytes at a time. What was packed is squeezed on the thread beside, which is
    half of the work."""

    def __init__(self, library: Library, blobs: Blobs, beside: Executor, stopped: _Stopped) -> None:
        self._library, self._blobs, self._beside, self._stopped = library, blobs, beside, stopped
        self._out: dict[str, Future[bytes]] = {}
        self._size = 0
        self._sent = 0

    def all(self, sources: Iterable[Source]) -> int:
        for group in _groups({source.id: source for source in sources}.values()):
            lacking = self._blobs.missing([head_name(source.id) for source in group])
            for source in group:
                if head_name(source.id) in lacking:
                    self._send(source.id)
        self._flush()
        return self._sent

    def _send(self, source: str) -> None:
        """The parts of a source, then its head; what is of one part goes inside the head."""
        cut = Cut(self._library, source)
        content, size = blake2b(digest_size=_CONTENT_BYTES), 0
        begins: list[Begins] = []
        inside, there = b"", self._there(source, cut)
        for start, place, drafts in cut.parts():
            self._check()
            part = packed.pack(drafts)
            text = "".join([draft.text for draft in drafts]).encode()
            content.update(text)
            size += len(text)
            name = part_name(source, len(begins))
            begins.append(Begins(start, place, packed.hash_of(part)))
            if len(cut) == 1:
                inside = part
            elif name not in there:
                self._put(name, packed.squeeze, part)
        if len(cut) > 1:
            self._flush()
        reader = _reader_of(source, cut.media, content.digest()) if size == cut.bytes else 0
        head = Head(cut.media, cut.places, cut.chars, cut.bytes, reader, begins)
        self._put(head_name(source), packed.seal, packed.pack_head(head, inside))

    def _there(self, source: str, cut: Cut) -> set[str]:
        """What was sent before somebody broke off."""
        names = [part_name(source, number) for number in range(len(cut))] if len(cut) > 1 else []
        return set(names) - self._blobs.missing(names) if names else set()

    def _put(self, name: str, squeeze: Callable[[bytes], bytes], part: bytes) -> None:
        self._out[name] = self._beside.submit(squeeze, part)
        self._size += len(part)
        if self._size >= _OUT_BYTES or len(self._out) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._out:
            self._check()
            out = {name: squeezed.result() for name, squeezed in self._out.items()}
            self._blobs.put(out)
            self._sent += sum(map(len, out.values()))
            self._out, self._size = {}, 0

    def _check(self) -> None:
        if self._stopped():
            raise InterruptedError("stopped while texts were sent to the store")


def _reader_of(source: str, media: str, content: bytes) -> int:
    """The version of the readers that made the source `source` of bytes with this hash; 0: it is of others."""
    return next((one for one in range(1, _READERS) if id_of(content, media, one) == source), 0)


# Fetching

_UNDER_WAY: dict[tuple[Path, str], Future[Exception | None]] = {}
"""What is being fetched in this process, by the library's file and the source: what it came to."""
_LOCK = threading.Lock()


async def fetch(library: Library, blobs: Blobs, sources: Collection[Source]) -> None:
    """Bring the sources that the library lacks into it, from the blobs. Many may ask for the same ones at once.
    Cancelling leaves nothing half written.

    Raises:
        SourceError: the store has no text of one of them (Absent).
        StoreError: it is not as it was published (Damaged).
        StoreError: the blobs cannot be reached, or the library cannot be written.
    """
    while lacking := {source.id: source for source in library.lacking(sources)}:
        own, others = _claim(library, lacking)
        came: Exception | None = None
        try:
            if own:
                await _on_thread(partial(_bring, library, blobs, [lacking[id_] for id_ in own]))
        except Exception as error:
            came = error
            raise
        finally:
            _release(library, own, came)
        for other in others:
            failed = await asyncio.shield(asyncio.wrap_future(other))
            if failed is not None:
                raise failed.with_traceback(None)


def _claim(library: Library, wanted: Iterable[str]) -> tuple[list[str], list[Future[Exception | None]]]:
    """Those that nobody fetches yet, which are the caller's now, and what to wait for of the rest."""
    own, others = [], []
    with _LOCK:
        for id_ in wanted:
            under_way = _UNDER_WAY.get((library.database.path, id_))
            if under_way is None:
                _UNDER_WAY[library.database.path, id_] = Future()
                own.append(id_)
            else:
                others.append(under_way)
    return own, others


def _release(library: Library, own: Iterable[str], came: Exception | None) -> None:
    """Tell who waits. What is wrong with one source is no news of another: whoever waits for that looks again."""
    about = came.source if isinstance(came, Absent | Damaged) else None
    with _LOCK:
        done = [(id_, _UNDER_WAY.pop((library.database.path, id_))) for id_ in own]
    for id_, one in done:
        one.set_result(came if about in (None, id_) else None)


def _bring(library: Library, blobs: Blobs, sources: Sequence[Source], stopped: _Stopped) -> None:
    with library.intake(stopped) as intake:
        try:
            for group in _groups(sources):
                lacking = [source for source in group if library.source(source.id) is None]
                heads = blobs.get([head_name(source.id) for source in lacking])
                for source in lacking:
                    _write(library, blobs, intake, source, heads.get(head_name(source.id)), stopped)
        except BaseException:
            intake.abandon()
            raise
        finally:
            library.database.write_sync(intake.take().write)


def _write(
    library: Library, blobs: Blobs, intake: Intake, source: Source, sealed: bytes | None, stopped: _Stopped
) -> None:
    """Write a source into the library, a part at a time."""
    if sealed is None:
        raise Absent(source.id, source.path)
    text = Text(source.id, source.path, sealed, blobs)
    head = text.head
    if (head.media, head.chars) != (source.media, source.chars):
        raise Damaged(source.id, source.path, "it is of another source")
    content = blake2b(digest_size=_CONTENT_BYTES)
    intake.begin(source=source.id, media=head.media, places=head.places, size=head.bytes)
    for number in range(len(head.parts)):
        if stopped():
            raise InterruptedError("stopped while texts were fetched")
        for draft in text.part(number):
            intake.add(draft)
            content.update(draft.text.encode())
        if intake.full:
            library.database.write_sync(intake.take().write)
    if head.reader and id_of(content.digest(), head.media, head.reader) != source.id:
        raise Damaged(source.id, source.path, "its hash is another")
    intake.finish()
    if intake.full:
        library.database.write_sync(intake.take().write)


# Inside


def _groups(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """A few sources at a time, so that what is read of them together fits in memory."""
    group: list[Source] = []
    chars = 0
    for source in sources:
        group.append(source)
        chars += min(source.chars, PART_CHARS)
        if len(group) >= _GROUP or chars >= _GROUP_CHARS:
            yield group
            group, chars = [], 0
    if group:
        yield group


async def _on_thread(work: Callable[[_Stopped], T]) -> T:
    """Do something on a thread of its own. When it is cancelled, it comes to its end first."""
    stop = threading.Event()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="swarm-texts")
    doing = asyncio.get_running_loop().run_in_executor(thread, work, stop.is_set)
    try:
        return await asyncio.shield(doing)
    finally:
        stop.set()
        await asyncio.wait([doing])
        doing.exception()  # seen: it was raised above, or is what stopping led to
        thread.shutdown(wait=False)
