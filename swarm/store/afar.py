"""A library for whoever looks into a run from another machine: what it does not hold is opened in the store.

Nothing is written, and no more is read than the parts that hold what is shown: a quote from a source of a gigabyte
costs what one from a page costs. What the library holds is read there. This module does not know who looks.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache

from swarm.source import Location, Source, Span
from swarm.store import intake
from swarm.store.blobs import Blobs
from swarm.store.database import Database
from swarm.store.intake import Draft
from swarm.store.library import Library
from swarm.store.published import Text, head_name

_TEXTS = 64  # sources kept open: one of a single part with it
_PARTS = 16  # parts kept open: 4 million characters
_AGAIN_SECONDS = 10.0  # after which a source that was not there is looked for again: its run may just have begun

Made = Callable[[str], tuple[str, str] | None]
"""The media and the text of a source that the run made itself, by its id."""


class Afar(Library):
    """Characters and places also of sources that are among the blobs, or were `made` by the run; what else a
    library tells it tells of those that it holds.

    Raises (`text` and `locate`):
        StoreError: the text is nowhere, is damaged, or the store cannot be reached.
    """

    def __init__(self, database: Database, blobs: Callable[[], Blobs], made: Made) -> None:
        super().__init__(database)
        self._blobs, self._made = blobs, made
        self._texts: OrderedDict[str, Text] = OrderedDict()
        self._missed: dict[str, float] = {}
        self._opening = threading.Lock()
        self._part = lru_cache(_PARTS)(_part)
        self._own = lru_cache(_PARTS)(made)

    def text(self, span: Span) -> str:
        if self._here(span.source):
            return super().text(span)
        if (made := self._own(span.source)) is not None:
            return made[1][span.start : span.end]
        if (text := self._open(span.source)) is None:
            return super().text(span)  # says that it is not here
        return "".join(self._pieces(text, span))

    def locate(self, span: Span, path: str) -> Location:
        if self._here(span.source):
            return super().locate(span, path)
        if (made := self._own(span.source)) is not None:
            return Location(path=path, line=1 + intake.line_ends(made[1][: span.start]))
        if (text := self._open(span.source)) is None:
            return super().locate(span, path)
        if text.head.places == intake.PLACES_NONE:
            return Location(path=path)
        place = self._place(text, span.start)
        if text.head.places == intake.PLACES_PAGE_MARKS:
            return Location(path=path, page=place)
        return Location(path=path, line=place)

    def source(self, id_: str) -> Source | None:
        if self._here(id_):
            return super().source(id_)
        if (made := self._own(id_)) is not None:
            media, whole = made
            size = len(whole.encode("utf-8", "surrogatepass"))
            return Source(id=id_, path="", media=media, chars=len(whole), bytes=size)
        if (text := self._open(id_)) is None:
            return None
        head = text.head
        return Source(id=id_, path="", media=head.media, chars=head.chars, bytes=head.bytes)

    def _here(self, id_: str) -> bool:
        if id_ not in self._shelves:
            self._find([id_])
        return id_ in self._shelves

    def _open(self, id_: str) -> Text | None:
        with self._opening:
            if (text := self._texts.get(id_)) is not None:
                self._texts.move_to_end(id_)
                return text
            if time.monotonic() < self._missed.get(id_, 0.0):
                return None
            name = head_name(id_)
            sealed = self._blobs().get([name]).get(name)
            if sealed is None:
                self._missed[id_] = time.monotonic() + _AGAIN_SECONDS
                return None
            text = self._texts[id_] = Text(id_, "", sealed, self._blobs())
            while len(self._texts) > _TEXTS:
                self._texts.popitem(last=False)
            return text

    def _pieces(self, text: Text, span: Span) -> Iterator[str]:
        number, at = _holding(text, span.start), span.start
        while at < span.end and number < len(text.head.parts):
            begin, whole = text.head.parts[number].start, self._part(text, number)[0]
            yield whole[at - begin : span.end - begin]
            at, number = begin + len(whole), number + 1

    def _place(self, text: Text, at: int) -> int:
        """The line or the page of the original at a character."""
        number = _holding(text, at)
        part = text.head.parts[number]
        whole, drafts = self._part(text, number)
        if text.head.places == intake.PLACES_LINES:
            return part.place + intake.line_ends(whole[: at - part.start])
        place, begin = part.place, part.start
        for draft in drafts:
            for offset, marked in draft.marks:
                if begin + offset > at:
                    return place
                place = marked
            begin += len(draft.text)
        return place


def _holding(text: Text, at: int) -> int:
    """The number of the part that holds a character."""
    return max(0, bisect_right(text.head.parts, at, key=lambda part: part.start) - 1)


def _part(text: Text, number: int) -> tuple[str, list[Draft]]:
    drafts = text.part(number)
    return "".join([draft.text for draft in drafts]), drafts
