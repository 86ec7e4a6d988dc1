"""The text of a source among the blobs of a store: what it is called there, opened, and deleted.

Opened a part at a time, so that to show a quote costs no more of a large source than of a small one. This module
does not know who put it there (`texts`).
"""

from __future__ import annotations

from collections.abc import Collection

from swarm.errors import SourceError, StoreError
from swarm.store import packed
from swarm.store.blobs import Blobs
from swarm.store.intake import Draft

_GROUP = 500  # sources at a time
_PARTS_AHEAD = 64  # looked for at a time, where nobody tells how many there are


class Absent(SourceError):
    """The store has no text of a source. `source` is its id."""

    def __init__(self, source: str, path: str) -> None:
        super().__init__(f"the text of {path or source} is neither here nor in the store")
        self.source, self.path = source, path

    def __reduce__(self) -> tuple[type[Absent], tuple[str, str]]:
        return type(self), (self.source, self.path)


class Damaged(StoreError):
    """The text of a source among the blobs is not as it was published. `source` is its id."""

    def __init__(self, source: str, path: str, why: str) -> None:
        super().__init__(
            f"the text of {path or source} in the store is damaged ({why}): begin the run anew where the file is"
        )
        self.source, self.path, self.why = source, path, why

    def __reduce__(self) -> tuple[type[Damaged], tuple[str, str, str]]:
        return type(self), (self.source, self.path, self.why)


def head_name(source: str) -> str:
    return f"text/1/{source}"  # 1: as it is packed


def part_name(source: str, number: int) -> str:
    return f"text/1/{source}/{number}"


class Text:
    """A published source, opened a part at a time. Its parts are read from the blobs when they are asked for."""

    def __init__(self, source: str, path: str, sealed: bytes, blobs: Blobs) -> None:
        self._source, self._path, self._blobs = source, path, blobs
        try:
            self.head, self._inside = packed.unpack_head(packed.unseal(sealed))
        except (ValueError, RecursionError) as error:
            raise self._damaged(error) from None

    def part(self, number: int) -> list[Draft]:
        """The passages of one part.

        Raises:
            Damaged: they are not as they were published.
        """
        parts = self.head.parts
        end = parts[number + 1].start if number + 1 < len(parts) else self.head.chars
        try:
            part = self._inside or packed.expand(self._squeezed(number))
            if packed.hash_of(part) != parts[number].hash:
                raise ValueError("the hash of a part is another")
            drafts = packed.unpack(part)
            if sum(len(draft.text) for draft in drafts) != end - parts[number].start:
                raise ValueError("a part has another length")
            if end < self.head.chars and max(packed.marks_of(drafts), default=-1) >= end - parts[number].start:
                raise ValueError("a mark is beyond its part")
        except (ValueError, RecursionError) as error:
            raise self._damaged(error) from None
        return drafts

    def _squeezed(self, number: int) -> bytes:
        name = part_name(self._source, number)
        try:
            return self._blobs.get([name])[name]
        except KeyError:
            raise ValueError("a part is not there") from None

    def _damaged(self, error: Exception) -> Damaged:
        return Damaged(self._source, self._path, " ".join(str(error).split())[:100])


def drop(blobs: Blobs, sources: Collection[str]) -> None:
    """Delete the text of sources, which are named by their ids, also what was broken off when it was sent. Blocks.

    Raises:
        StoreError: the blobs cannot be written.
    """
    ids = list(dict.fromkeys(sources))
    for at in range(0, len(ids), _GROUP):
        group = ids[at : at + _GROUP]
        firsts = {part_name(id_, 0): id_ for id_ in group}
        blobs.drop([head_name(id_) for id_ in group])  # first: what has no head is not there
        for id_ in [firsts[name] for name in firsts.keys() - blobs.missing(list(firsts))]:
            _drop_parts(blobs, id_)


def _drop_parts(blobs: Blobs, source: str) -> None:
    """From the first one on: as they were sent."""
    at = 0
    while True:
        names = [part_name(source, number) for number in range(at, at + _PARTS_AHEAD)]
        lacking = blobs.missing(names)
        blobs.drop([name for name in names if name not in lacking])
        if len(lacking) == len(names):
            return
        at += len(names)
