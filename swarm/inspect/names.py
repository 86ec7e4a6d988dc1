"""What slices are called, the same wherever one is named: on a screen, on a page, in a table, on a way down.

An order has a name. A slice that reads has none, and its id would say nothing to a person: the text that it reads
does. Names are as sources and planners wrote them; whoever shows one cleans it. This module draws nothing.
"""

from __future__ import annotations

from swarm.inspect.plan import Plan, Seen


class Names:
    """The names of the slices of one plan, as it grows."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sources: dict[str, tuple[str, int]] = {}
        self._folder = ""
        self._known = 0

    def of(self, seen: Seen) -> str:
        """`orders.md 29–39% and 3 more`: the first text that it reads, and how much of which part."""
        slice_ = seen.slice
        if slice_.order is not None:
            return slice_.order.name or slice_.id[:12]
        if not slice_.spans:
            return slice_.item or slice_.id[:12]
        first, others = slice_.spans[0], len(slice_.spans) - 1
        path, chars = self.source(first.source)
        read = f"{path}{_part(first.start, first.end, chars)}{f' and {others:,} more' if others else ''}"
        return read if slice_.item.endswith(path) else ": ".join(filter(None, (slice_.item, read)))

    def called(self, id_: str) -> str | None:
        """The name of a slice by its id; None where the plan has none of that id."""
        seen = self._plan.slices.get(id_)
        return self.of(seen) if seen is not None else None

    def source(self, id_: str) -> tuple[str, int]:
        """The path of a source, without the folders that all share, and its characters; the beginning of its id
        and 0 where it is not known."""
        self._look()
        return self._sources.get(id_, (id_[:12], 0))

    @property
    def folder(self) -> str:
        """The folders that the paths of all sources begin with, up to a `/`; empty where that is not worth it."""
        self._look()
        return self._folder

    def _look(self) -> None:
        corpus = self._plan.corpus
        if corpus is not None and len(corpus.sources) != self._known:
            self._known = len(corpus.sources)
            self._folder = _folder_of([one.path for one in corpus.sources])
            base = len(self._folder)
            self._sources = {one.id: (one.path[base:], one.chars) for one in corpus.sources}


def _folder_of(paths: list[str]) -> str:
    """The folder that all of these paths share, with more than one part."""
    if len(paths) < 2:
        return ""
    first, last = min(paths), max(paths)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    folder = first.rfind("/", 0, same) + 1
    return first[:folder] if first.count("/", 0, folder) > 1 else ""


def _part(start: int, end: int, chars: int) -> str:
    """Which part of a source, in hundredths; nothing where it is all of it."""
    if chars <= end - start:
        return ""
    low, high = 100 * start // chars, 100 * end // chars
    return f" {low}–{high}%" if low != high else f" {low}%"
