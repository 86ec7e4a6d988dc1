"""An input as it lies there: its bytes, looked through once for their hash and their encoding, then read.

What is small is kept in memory after the first look; what is large is read a second time, as far as it was seen
then, and the hash is compared. So a file that changes meanwhile is noticed, and one that only grows can be read.
This module knows bytes, not formats.
"""

from __future__ import annotations

import codecs
import io
import os
import stat
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import IO

from swarm.sources.decode import HEAD, Survey
from swarm.sources.inside import same_file

OUTSIDE = "a link that leads out of the folder: name its target to have it read"

_PIECE = 1 << 20
_KEPT = 8 << 20  # bytes of an input that is kept in memory
_CHUNK_CHARS = 256_000


class Unreadable(Exception):
    """An input that cannot be read; its text is the reason in words.

    `lasting`: it stays so as long as the file is unchanged. `changed`: it changed while it was read.
    """

    def __init__(self, reason: str, *, lasting: bool = False, changed: bool = False) -> None:
        super().__init__(reason)
        self.lasting, self.changed = lasting, changed


class Stopped(Exception):
    """Reading was asked to stop."""


class Original:
    """One input, open. `content` is the hash of its bytes, `encoding` its codec, None where it is not text."""

    def __init__(self, stream: IO[bytes], regular: bool, markup: bool, stopped: Callable[[], bool]) -> None:
        """`regular`: a file of the file system, which may change; `markup`: it may say its encoding itself."""
        self._stream, self._regular, self._stopped = stream, regular, stopped
        self._before = self._state()
        self.head = stream.read(HEAD)
        self.size = 0
        survey = Survey(self.head, markup)
        digest = blake2b(digest_size=20)
        kept: list[bytes] | None = []
        piece = self.head + stream.read(_PIECE)
        while piece:
            self._check()
            following = stream.read(_PIECE)
            digest.update(piece)
            survey.feed(piece, last=not following)
            self.size += len(piece)
            if kept is not None:
                kept.append(piece)
            if self.size > _KEPT:
                kept = None
            piece = following
        self._data = b"".join(kept) if kept is not None else None
        self._same = False  # the bytes were compared, all of them
        if self._data is not None:
            self.verify()
            self._same = True
        self.content = digest.digest()
        self.encoding = survey.encoding()

    def chunks(self) -> Iterator[str]:
        """The characters of a text, without a byte order mark.

        Raises:
            Unreadable: the bytes are not those of the first look any more.
        """
        assert self.encoding is not None
        decoder = codecs.getincrementaldecoder(self.encoding)("replace")
        for data in self._pieces():
            text = decoder.decode(data)
            if text:
                yield text
        if text := decoder.decode(b"", True):
            yield text

    def stream(self) -> IO[bytes]:
        """The bytes from the beginning, for a parser that wants a file."""
        if self._data is not None:
            return io.BytesIO(self._data)
        self._stream.seek(0)
        return self._stream

    def verify(self) -> None:
        """To be called once all is read.

        Raises:
            Unreadable: the file changed meanwhile.
        """
        if not self._same and self._before != self._state():
            raise Unreadable("it changed while it was read", changed=True)

    def _pieces(self) -> Iterator[bytes]:
        if self._data is not None:
            for at in range(0, len(self._data), _CHUNK_CHARS):
                self._check()
                yield self._data[at : at + _CHUNK_CHARS]
            return
        self._stream.seek(0)
        digest = blake2b(digest_size=20)
        left = self.size
        while data := self._stream.read(min(left, _CHUNK_CHARS)):
            self._check()
            digest.update(data)
            left -= len(data)
            yield data
        if digest.digest() != self.content:
            raise Unreadable("it changed while it was read", changed=True)
        self._same = True

    def _state(self) -> tuple[int, int] | None:
        """Size and time of the last change."""
        info = os.fstat(self._stream.fileno()) if self._regular else None
        return (info.st_size, info.st_mtime_ns) if info else None

    def _check(self) -> None:
        if self._stopped():
            raise Stopped


def open_regular(path: str, root: str = "") -> IO[bytes]:
    """Open a file for reading, and never wait for the other end of a pipe.

    With `root`, a resolved folder, what was opened has to lie in it.

    Raises:
        Unreadable: not a regular file, gone, not permitted, or outside of `root`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except PermissionError:
        raise Unreadable("permission denied") from None
    except OSError as error:
        raise Unreadable((error.strerror or "cannot be opened").lower()) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("not a regular file")
    if root and not same_file(descriptor, root, path):
        os.close(descriptor)
        raise Unreadable(OUTSIDE)
    return os.fdopen(descriptor, "rb")
