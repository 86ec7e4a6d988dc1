"""What a rehearsed recipe may not do any more once it holds what a simulated model said: write, start a program,
or connect to anything.

It would put what is made up where something real is expected. Only what a recipe does itself is looked at, by
Python's own audit events: what Swarm does for it goes on. This module knows no run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from swarm.errors import SwarmError

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_CHANGES = {
    "os.remove": "delete", "os.rename": "rename", "os.mkdir": "make", "os.rmdir": "delete", "os.truncate": "cut",
    "os.link": "link", "os.symlink": "link", "os.chmod": "change", "sqlite3.connect": "open",
}  # fmt: skip
_PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"}
_PACKAGE = str(Path(__file__).parent.parent)

_watching: list[Watch] = []
_hooked: list[bool] = []  # an audit hook cannot be taken away: there is one, and it looks at what is watched


class Ended(SwarmError):
    """Ends a recipe in a rehearsal."""


class Watch:
    """What the recipe in `file` does. Until `on`, it may do anything. `refused` is the first thing that it was not
    let do."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.on = False
        self.refused: str | None = None

    def look(self, event: str, arguments: tuple[Any, ...]) -> None:
        what = _what(event, arguments) if self.on else None
        if what is None or not self._own(sys._getframe(2)):
            return
        self.refused = self.refused or what
        raise Ended(f"a rehearsal does not {what}")

    def _own(self, frame: FrameType | None) -> bool:
        """Whether the recipe itself is at work, and not Swarm for it."""
        while frame is not None:
            file = frame.f_code.co_filename
            if file == self.file:
                return True
            if file.startswith(_PACKAGE + os.sep):
                return False
            frame = frame.f_back
        return False


@contextmanager
def watched(file: str) -> Iterator[Watch]:
    """Watch the recipe in that file, for the length of the block."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_heard)
    watch = Watch(file)
    _watching.append(watch)
    try:
        yield watch
    finally:
        _watching.remove(watch)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching:
        for watch in tuple(_watching):
            watch.look(event, arguments)


def _what(event: str, arguments: tuple[Any, ...]) -> str | None:
    """What an event would do, as it is told; None for what may be done."""
    if event == "open":
        path, _, flags = arguments
        passes = isinstance(path, int) or path == os.devnull or "__pycache__" in str(path)
        return None if passes or not isinstance(flags, int) or not flags & _WRITES else f"write {path}"
    if event in _CHANGES:
        return f"{_CHANGES[event]} {arguments[0]}"
    if event in _PROGRAMS:
        return f"start {arguments[0]}"
    return f"connect to {arguments[1]}" if event == "socket.connect" else None
