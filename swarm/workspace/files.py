"""The files of a workspace, for those who may be led out of it: by `..`, by links, by folders that change places.

Which of them somebody may see and change is here; how they are opened so that nothing leads out is in
`beneath.py`. `.git` is never touched. This module knows one folder; it does not know who asks.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarm.equipment import ToolFailed
from swarm.errors import UsageError
from swarm.sources.ignored import Ignore, ignored, patterns
from swarm.workspace.beneath import content, entries, folder, kind, looked, put, target, told, words

LARGEST = 16 << 20
"""Bytes of a file that is read or written."""
_HEAD = 8_000  # bytes in which a null says that it is no text: git looks at as many
_RULES = 1 << 20  # bytes of a `.gitignore` that are looked at
_LISTED = 500
_WALKED = 100_000  # entries that one walk looks at
_SEARCHED = 256 << 20  # bytes that one search looks at, and how long it takes:
_SECONDS = 20.0
_CACHE = "__pycache__"

Parts = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The text of a file. `exact`: written again it is the same bytes."""

    text: str
    exact: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A line in which something was found."""

    path: str
    line: int
    text: str


class Files:
    """What lies below `root`. What the `protected` patterns name, as in a `.gitignore`, can be read, not changed.

    Everything raises `ToolFailed`, in words for who asked, where it cannot be done. It blocks: use a thread.

    Raises:
        UsageError: a pattern that is none.
    """

    def __init__(self, root: Path, *, protected: Sequence[str] = ()) -> None:
        from pathspec import GitIgnoreSpec

        self._root = os.path.realpath(root)
        self._tops = {self._root, str(root).rstrip("/")}
        try:
            self._protected = GitIgnoreSpec.from_lines(protected)
        except ValueError as error:
            raise UsageError(f"protected holds what is no pattern of a .gitignore: {error}") from None

    def read(self, path: str) -> Content:
        """A text file."""
        return _content(path, self._bytes(path))

    def write(self, path: str, text: str) -> bool:
        """Write a whole file at once, with the folders that it needs; whether it is new. An old one keeps its
        mode. Nobody ever sees half of it."""
        parts = self._changeable(path)
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise ToolFailed(f"{path}: the text holds half a character (a lone surrogate)") from None
        if len(data) > LARGEST:
            raise ToolFailed(f"{path}: {len(data):,} bytes are too many to write: {LARGEST:,} at the most")
        with told(path), folder(self._root, parts[:-1], make=True) as inside:
            old = looked(parts[-1], inside)
            if old is not None and not stat.S_ISREG(old.st_mode):
                raise ToolFailed(f"{path} {kind(old.st_mode)}: only a file can be written")
            put(inside, parts[-1], data, 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777, old is None)
        return old is None

    def remove(self, path: str) -> None:
        """Remove a file, a link (not what it leads to) or an empty folder."""
        parts = self._changeable(path)
        with told(path), folder(self._root, parts[:-1]) as inside:
            old = looked(parts[-1], inside)
            if old is None:
                raise FileNotFoundError(errno.ENOENT, path)
            if stat.S_ISDIR(old.st_mode):
                os.rmdir(parts[-1], dir_fd=inside)
            else:
                os.unlink(parts[-1], dir_fd=inside)

    def listed(self, path: str = ".", pattern: str = "") -> tuple[list[str], bool]:
        """Files and folders below a folder, folders with a slash at the end; and whether there are more. Where not
        all are given, those nearest to the top are."""
        wanted = patterns([pattern]) if pattern else None
        found: list[str] = []
        top = self._parts(path)
        if not stat.S_ISDIR(self._mode(top, path)):
            raise ToolFailed(f"{path} is a file: read it")
        for parts, is_folder in self._walk(top, path):
            name = "/".join(parts) + ("/" if is_folder else "")
            if wanted is not None and (is_folder or not wanted.match_file(name)):
                continue
            if len(found) == _LISTED:
                return sorted(found), True
            found.append(name)
        return sorted(found), False

    def search(
        self, text: str, path: str = ".", *, ignore_case: bool = False, most: int = 200
    ) -> tuple[list[Hit], bool]:
        """The lines that hold a text, in the text files below a folder or in one file; and whether there may be
        more."""
        # of a text that is taken as it stands: no pattern that could take for ever
        pattern = re.compile(re.escape(text), re.IGNORECASE if ignore_case else 0)
        until, left = time.monotonic() + _SECONDS, _SEARCHED
        found: list[Hit] = []
        for parts in self._texts(path):
            name = "/".join(parts)
            try:
                held = self.read(name).text
            except ToolFailed:  # binary, too large, gone meanwhile
                continue
            left -= len(held)
            found += _hits(name, held, pattern, most + 1 - len(found))
            if len(found) > most or left < 0 or time.monotonic() > until:
                return found[:most], True
        return found, False

    def texts(self, path: str = ".") -> list[str]:
        """The files below a folder, or the one that is named."""
        return ["/".join(parts) for parts in self._texts(path)]

    # -- paths

    def _parts(self, path: str) -> Parts:
        """The names that lead to a path."""
        if "\0" in path or path.encode("utf-8", "ignore").decode() != path:
            raise ToolFailed(f"{path!r:.200} is no path")
        inner = path
        if path.startswith("/"):
            top = next((top for top in self._tops if path == top or path.startswith(top + "/")), None)
            if top is None:
                raise ToolFailed(
                    f"{path:.200} lies outside of the workspace: give a path from its top, like src/a.py"
                )
            inner = path[len(top) :]
        parts = tuple(part for part in inner.split("/") if part not in ("", "."))
        if ".." in parts:
            raise ToolFailed(
                f"{path:.200} has a .. in it: give a path from the top of the workspace, like src/a.py"
            )
        if any(part.casefold() == ".git" for part in parts):
            raise ToolFailed(f"{path:.200} belongs to git: its files are not for tools")
        return parts

    def _changeable(self, path: str) -> Parts:
        parts = self._parts(path)
        if not parts:
            raise ToolFailed("that is the workspace itself: name a file in it")
        if self._protected.match_file("/".join(parts)):
            raise ToolFailed(f"{path} is protected: it may be read, and not changed; go another way")
        return parts

    def _bytes(self, path: str, most: int = LARGEST) -> bytes:
        parts = self._parts(path)
        if not parts:
            raise ToolFailed(f"{path} is a folder: list it")
        with told(path):
            return content(self._root, parts, most, path)

    def _mode(self, parts: Parts, path: str) -> int:
        """Of the file or folder that lies there."""
        if not parts:
            return stat.S_IFDIR
        with told(path), folder(self._root, parts[:-1]) as inside:
            mode = os.stat(parts[-1], dir_fd=inside, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                raise ToolFailed(f"{path} {kind(mode, target(parts[-1], inside))}")
        return mode

    # -- walking

    def _texts(self, path: str) -> Iterator[Parts]:
        """The files below a folder, or the one that is named."""
        parts = self._parts(path)
        if stat.S_ISREG(self._mode(parts, path)):
            return iter([parts])
        return (found for found, is_folder in self._walk(parts, path) if not is_folder)

    def _walk(self, top: Parts, path: str) -> Iterator[tuple[Parts, bool]]:
        """Files and folders below a folder, what is near first, without what `.gitignore` leaves out."""
        rules = self._rules((), ())
        for depth in range(len(top)):
            rules = self._rules(top[: depth + 1], rules)
        todo = deque([(top, rules)])
        left = _WALKED
        while todo and left > 0:
            parts, rules = todo.popleft()
            if parts != top:
                rules = self._rules(parts, rules)
            try:
                with folder(self._root, parts) as inside:
                    found = entries(inside)
            except OSError as error:
                if parts == top:
                    raise ToolFailed(words(path, error)) from None
                continue  # gone meanwhile, or a link by now
            for name, is_folder in found:
                left -= 1
                inner = (*parts, name)
                if name != _CACHE and not ignored("/".join(inner), is_folder, rules):
                    yield inner, is_folder
                    if is_folder:
                        todo.append((inner, rules))

    def _rules(self, parts: Parts, above: tuple[Ignore, ...]) -> tuple[Ignore, ...]:
        """The ignore rules that hold inside a folder."""
        try:
            text = self._bytes("/".join((*parts, ".gitignore")), _RULES).decode("utf-8", "replace")
        except ToolFailed:
            return above
        return (*above, Ignore(len("/".join((*parts, ""))), patterns(text.splitlines())))


def _content(path: str, data: bytes) -> Content:
    if b"\0" in data[:_HEAD]:
        raise ToolFailed(f"{path} is binary ({len(data):,} bytes): it is no text to read")
    try:
        return Content(text=data.decode(), exact=True)
    except UnicodeDecodeError:
        return Content(text=data.decode("utf-8", "replace"), exact=False)


def _hits(name: str, text: str, pattern: re.Pattern[str], most: int) -> list[Hit]:
    found: list[Hit] = []
    line, counted, at = 1, 0, 0
    while len(found) < most and (match := pattern.search(text, at)):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        begin = text.rfind("\n", 0, counted) + 1
        end = text.find("\n", counted)
        end = len(text) if end < 0 else end
        found.append(Hit(path=name, line=line, text=text[begin:end][:4_000]))
        at = end + 1
    return found
