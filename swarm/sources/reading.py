"""Reading inputs into an intake, a step at a time, on whatever thread asks for the next step.

An input that the store remembers unchanged is taken from there and not opened; one with bytes that were read
already is a duplicate; one that cannot be read is a skip with its reason. This module knows inputs and the
intake; not events, nor the event loop.
"""

from __future__ import annotations

import io
import os
import select
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from time import monotonic, time_ns
from typing import IO

from swarm.source import Skip, Source
from swarm.sources.media import READER, Media, is_markup, media_of, unsupported
from swarm.sources.original import Original, Stopped, Unreadable, open_regular
from swarm.sources.passages import drafts
from swarm.sources.units import Unit
from swarm.sources.walk import STANDARD_INPUT, Input
from swarm.store.intake import Batch, Intake, Known, Stamp, id_of
from swarm.store.library import Library

_STEP_SECONDS = 0.1  # between two signs of progress, about
_LOOK_UP = 500  # inputs whose stamps are looked up at a time
_SPOOLED = 8 << 20  # bytes of standard input that are kept in memory
_POLL_SECONDS = 0.2
_RACY_NS = 2_000_000_000  # a file changed less than this before it was read might change again unseen


@dataclass(slots=True)
class Step:
    """Rows to be written, and the inputs that are done once they are: sources (fresh or not) and skips."""

    batch: Batch
    done: list[tuple[Source, bool] | Skip] = field(default_factory=list)


def read(
    inputs: Iterable[Input | Skip], library: Library, intake: Intake, stopped: Callable[[], bool]
) -> Iterator[Step]:
    """Read all inputs, in order. Ends early, in the middle of things, once `stopped`."""
    return _Reader(library, intake, stopped).steps(inputs)


def source_id(content: bytes, media: str) -> str:
    """The id of what this version of the readers makes of bytes with the hash `content`."""
    return id_of(content, media, READER)


class _Reader:
    def __init__(self, library: Library, intake: Intake, stopped: Callable[[], bool]) -> None:
        self._library, self._intake, self._stopped = library, intake, stopped
        self._first: dict[bytes, Source] = {}  # the first source with these bytes
        self._done: list[tuple[Source, bool] | Skip] = []

    def steps(self, inputs: Iterable[Input | Skip]) -> Iterator[Step]:
        told = monotonic()
        try:
            for found, known in self._looked_up(inputs):
                for _ in self._read(found, known):
                    yield Step(self._intake.take())
                if self._intake.full or monotonic() - told > _STEP_SECONDS:
                    yield self._step()
                    told = monotonic()
            yield self._step()
        except Stopped:
            return

    def _step(self) -> Step:
        done, self._done = self._done, []
        return Step(self._intake.take(), done)

    def _looked_up(self, inputs: Iterable[Input | Skip]) -> Iterator[tuple[Input | Skip, Known | None]]:
        """The inputs with what the store remembers of them."""
        held: list[Input | Skip] = []

        def flush() -> Iterator[tuple[Input | Skip, Known | None]]:
            known = self._library.known([_stamp(entry).path for entry in held if isinstance(entry, Input)])
            for entry in held:
                yield entry, known.get(_stamp(entry).path) if isinstance(entry, Input) else None
            held.clear()

        for entry in inputs:
            if self._stopped():
                raise Stopped
            held.append(entry)
            if len(held) >= _LOOK_UP:
                yield from flush()
        yield from flush()

    def _read(self, found: Input | Skip, known: Known | None) -> Iterator[None]:
        """Read one input, or take it from the store; yields where the intake is full."""
        if self._stopped():
            raise Stopped
        if isinstance(found, Skip):
            self._done.append(found)
        elif not (known and known.stamp == _stamp(found) and self._take_known(found, known)):
            try:
                yield from self._opened(found)
            except Unreadable as error:
                if not error.changed:
                    self._skip(found, error)
                    return
                # once more: whoever was writing it may be done
                try:
                    yield from self._opened(found)
                except Unreadable as again:
                    self._skip(found, again)

    def _take_known(self, found: Input, known: Known) -> bool:
        """Take an unchanged input as the store remembers it; false where it does not hold the text."""
        if known.skip is not None:
            self._done.append(Skip(source=found.path, reason=known.skip, bytes=found.size))
            return True
        source = known.source
        if source is None and known.content not in self._first:
            return False
        source = source or self._first[known.content]
        self._take(replace(source, path=found.path, bytes=found.size), known.content, fresh=False)
        return True

    def _opened(self, found: Input) -> Iterator[None]:
        opened_ns = time_ns()
        standard = found.path == STANDARD_INPUT
        try:
            with _standard_input(self._stopped) if standard else open_regular(found.file, found.root) as stream:
                yield from self._original(
                    found, Original(stream, not standard, is_markup(found.path), self._stopped)
                )
        except Unreadable as error:
            self._intake.abandon()
            if error.lasting:
                self._remember(found, opened_ns, b"", None, str(error))
            raise
        except OSError as error:
            self._intake.abandon()
            raise Unreadable((error.strerror or "cannot be read").lower()) from None

    def _original(self, found: Input, original: Original) -> Iterator[None]:
        opened_ns = time_ns()
        if not original.size:
            raise Unreadable("empty", lasting=True)
        if reason := unsupported(found.path, original.head):
            raise Unreadable(reason, lasting=True)
        media = media_of(found.path, original.head)
        if original.encoding is None and not media.parsed:
            raise Unreadable("binary", lasting=True)
        id_ = source_id(original.content, media.name)
        held = self._first.get(original.content) or self._library.source(id_)
        source = held or (yield from self._written(id_, original, media))
        if held:
            original.verify()
        self._remember(found, opened_ns, original.content, id_, None)
        self._take(replace(source, path=found.path, bytes=original.size), original.content, fresh=held is None)

    def _written(self, id_: str, original: Original, media: Media) -> Generator[None, None, Source]:
        intake = self._intake
        intake.begin(source=id_, media=media.name, places=media.places, size=original.size)
        blank = True
        units = media.read(original)
        for draft in drafts(units if not media.parsed else _guarded(units, media), media.seen):
            if self._stopped():
                raise Stopped
            blank = blank and draft.text.isspace()
            intake.add(draft)
            if intake.full:
                yield
        if blank:
            raise Unreadable("empty: nothing but white space", lasting=True)
        original.verify()
        return Source(id=id_, path="", media=media.name, chars=intake.finish(), bytes=original.size)

    def _take(self, source: Source, content: bytes, fresh: bool) -> None:
        first = self._first.setdefault(content, source)
        if first is source:
            self._done.append((source, fresh))
        else:
            reason = f"duplicate of {first.path}"
            self._done.append(Skip(source=source.path, reason=reason, chars=first.chars, bytes=source.bytes))

    def _skip(self, found: Input, error: Unreadable) -> None:
        self._done.append(Skip(source=found.path, reason=str(error), bytes=found.size))

    def _remember(
        self, found: Input, opened_ns: int, content: bytes, source: str | None, skip: str | None
    ) -> None:
        if found.file and opened_ns - found.mtime_ns > _RACY_NS:
            self._intake.remember(_stamp(found), content, source, skip)


def _stamp(found: Input) -> Stamp:
    # a name that is no UTF-8 is remembered by its bytes as escapes: what the store takes is text
    path = found.file if found.file.isascii() else os.fsencode(found.file).decode("utf-8", "backslashreplace")
    return Stamp(path=path, size=found.size, mtime_ns=found.mtime_ns, inode=found.inode, reader=READER)


def _guarded(units: Iterator[Unit], media: Media) -> Iterator[Unit]:
    """What another's parser trips over is a file that cannot be read, whatever it raises."""
    try:
        yield from units
    except (Unreadable, Stopped):
        raise
    except Exception as error:
        raise Unreadable(f"a {media.name.upper()} that cannot be parsed ({error!r:.80})", lasting=True) from None


def _standard_input(stopped: Callable[[], bool]) -> IO[bytes]:
    """All of standard input, beyond a size on disk. Waiting for it can be stopped."""
    spooled = tempfile.SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115 - the caller closes it
    try:
        for data in _arriving(stopped):
            spooled.write(data)
    except BaseException:
        spooled.close()
        raise
    spooled.seek(0)
    return spooled


def _arriving(stopped: Callable[[], bool]) -> Iterator[bytes]:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise Unreadable("there is no standard input")
    try:
        descriptor = stream.fileno() if sys.platform != "win32" else None
    except (io.UnsupportedOperation, ValueError):
        descriptor = None  # not of the operating system, so that nothing has to be waited for
    while True:
        if descriptor is not None:
            while not select.select([descriptor], [], [], _POLL_SECONDS)[0]:
                if stopped():
                    raise Stopped
        data = stream.read1(1 << 20)
        if not data:
            return
        yield data
