"""What a file embeds: lists of rows as JSON, compressed a block at a time, and counted against the room there is.

A block is text of a script element that is no script: base64, in which nothing can end the element. What the rows
mean is not known here; the script of the page knows (`page/file.js`).
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

_BLOCK_CHARS = 300_000  # of JSON: a browser unpacks and parses it in some milliseconds
_HALF = re.compile("[\ud800-\udfff]")


class Blocks:
    """`left` are the bytes that there is room for. Rows of one list come in their order; blocks of several lists
    may be written by turns."""

    def __init__(self, room: int) -> None:
        self.left = room
        self.lists: dict[str, list[list[int]]] = {}
        """Of each list its blocks: number, rows."""
        self._texts: list[str] = []
        self._waiting: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}

    def add(self, name: str, row: Any) -> None:
        """One more row of a list."""
        text = to_text(row)
        self._waiting.setdefault(name, []).append(text)
        self._sizes[name] = self._sizes.get(name, 0) + len(text)
        if self._sizes[name] >= _BLOCK_CHARS:
            self.end(name)

    def place(self, name: str) -> tuple[int, int]:
        """Where the next row of a list comes to be: its block, and its place in it."""
        return len(self.lists.get(name, ())), len(self._waiting.get(name, ()))

    def end(self, name: str) -> None:
        """Write what waits of a list."""
        waiting = self._waiting.pop(name, [])
        self._sizes.pop(name, None)
        blocks = self.lists.setdefault(name, [])
        if waiting:
            packed = zlib.compress(f"[{','.join(waiting)}]".encode(), 6)
            text = b64encode(packed).decode("ascii")
            blocks.append([len(self._texts), len(waiting)])
            self._texts.append(text)
            self.left -= len(text)

    def put(self, name: str, rows: list[Any]) -> None:
        """A whole list."""
        for row in rows:
            self.add(name, row)
        self.end(name)

    def texts(self) -> Iterator[str]:
        """The blocks, by their numbers."""
        return iter(self._texts)


def to_text(value: Any) -> str:
    """As JSON that every file of text can hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _HALF.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
