"""The text of sources in a file: whole, as far as there is room, else in stretches around what is quoted.

Sources get numbers in the order in which they are first named. This module does not know what is quoted, nor why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from swarm.errors import StoreError
from swarm.graph.graph import as_node
from swarm.graph.rows import COLUMNS, Row
from swarm.inspect.look import Look
from swarm.inspect.report.blocks import Blocks
from swarm.source import Span

_PIECE = 20_000  # characters
_AROUND = 700  # characters of a quote, on either side
_BYTES_A_CHAR = 0.45  # compressed, about: to pass over what cannot fit without a try


@dataclass(slots=True)
class Kept:
    """A source of the file. `pieces` are stretches of its text: start, end, line of the start (0: not known), and
    the block and the place in it that hold them."""

    number: int
    id: str
    path: str
    media: str
    chars: int
    whole: bool = False
    pieces: list[tuple[int, int, int, int, int]] = field(default_factory=list)


class Texts:
    """The sources of a file, by number and by their numbers in the graph."""

    def __init__(self, look: Look, blocks: Blocks) -> None:
        self._look, self._blocks = look, blocks
        self.sources: list[Kept] = []
        self._of_graph: dict[int, Kept] = {}
        self._of_id: dict[str, Kept] = {}
        self._missing: set[str] = set()
        corpus = look.follower.plan.corpus
        for one in corpus.sources if corpus is not None else ():
            self._take(one.id, one.path, one.media, one.chars)

    def _take(self, id_: str, path: str, media: str, chars: int) -> Kept:
        kept = self._of_id.get(id_)
        if kept is None:
            kept = Kept(len(self.sources), id_, path, media, chars)
            self.sources.append(kept)
            self._of_id[id_] = kept
        return kept

    def know(self, nums: Iterable[int]) -> None:
        """Sources by their numbers in the graph."""
        unknown = [num for num in dict.fromkeys(nums) if num not in self._of_graph]
        sql = f"SELECT {COLUMNS} FROM nodes WHERE num IN (SELECT value FROM json_each(?))"  # noqa: S608
        for row in self._look.graph.database.read(sql, (json.dumps(unknown),)):
            node = as_node(Row(*row))
            media, chars = node.more.get("media", "text"), node.more.get("chars", 0)
            self._of_graph[row[0]] = self._take(node.id, node.text or node.id, media, chars)

    def of(self, num: int) -> Kept:
        """A source that is known by its number in the graph."""
        return self._of_graph[num]

    def by_id(self, id_: str) -> Kept | None:
        return self._of_id.get(id_)

    def keep_whole(self, kept: Kept, least: int) -> bool:
        """Embed the whole text of a source, if then `least` bytes of room are left."""
        if kept.whole:
            return True
        if kept.chars * _BYTES_A_CHAR > self._blocks.left - least:
            return False
        kept.pieces.clear()
        for start in range(0, kept.chars, _PIECE):
            if not self._put(kept, start, min(kept.chars, start + _PIECE)):
                return False
        kept.whole = True
        return True

    def keep_stretches(self, kept: Kept, quoted: Iterable[tuple[int, int]], least: int) -> bool:
        """Embed stretches around what is quoted of a source, if there is room for them."""
        spans: list[tuple[int, int]] = []
        for start, end in sorted(quoted):
            low, high = self._lines(kept, start, end)
            if spans and low <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(high, spans[-1][1]))
            else:
                spans.append((low, high))
        if sum(end - start for start, end in spans) * _BYTES_A_CHAR > self._blocks.left - least:
            return False
        for low, high in spans:
            for start in range(low, high, _PIECE):
                if not self._put(kept, start, min(high, start + _PIECE)):
                    return False
        return True

    def _lines(self, kept: Kept, start: int, end: int) -> tuple[int, int]:
        """A stretch around what is quoted, from the beginning of a line to the end of one, if near."""
        low, high = max(0, start - _AROUND), min(kept.chars, end + _AROUND)
        before = self.quote(Span(kept.id, low, start), _AROUND) or ""
        after = self.quote(Span(kept.id, end, high), _AROUND) or ""
        first, last = before.find("\n") + 1 if low else 0, after.rfind("\n") + 1
        return low + first, end + last if last and high < kept.chars else high

    def _put(self, kept: Kept, start: int, end: int) -> bool:
        span = Span(kept.id, start, end)
        try:
            text = self._look.library.text(span)
            line = self._look.library.locate(span, kept.path).line or 0
        except StoreError:
            self._missing.add(kept.id)
            return False
        block, place = self._blocks.place("texts")
        self._blocks.add("texts", text)
        kept.pieces.append((start, end, line, block, place))
        return True

    def place(self, span: Span, kept: Kept) -> int:
        """Where a span begins: its line, or the page as a negative number; 0 where neither is known."""
        if kept.id in self._missing:
            return 0
        try:
            where = self._look.library.locate(span, kept.path)
        except StoreError:
            self._missing.add(kept.id)
            return 0
        return -where.page if where.page is not None else where.line or 0

    def quote(self, span: Span, most: int) -> str | None:
        """The words of a span, the first `most` characters of them; None where they are not on this machine."""
        if span.source in self._missing:
            return None
        try:
            return self._look.library.text(span._replace(end=min(span.end, span.start + most)))
        except StoreError:
            self._missing.add(span.source)
            return None

    @property
    def missing(self) -> int:
        """Sources whose text is not on this machine."""
        return len(self._missing)
