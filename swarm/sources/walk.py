"""Paths, folders and patterns to inputs, in a stable order, as `.gitignore` allows.

Named files are always read. In folders, what `.gitignore` leaves out is no input, nor is what is hidden, nor is
Python's cache; links to folders are not followed, nor links that lead out of the folder: only what a person names
may lie anywhere. This module looks at names and opens no file but `.gitignore`.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.errors import SourceError
from swarm.source import Skip
from swarm.sources.ignored import Ignore, ignored, patterns
from swarm.sources.inside import real, shown, within
from swarm.sources.original import OUTSIDE, Unreadable, open_regular

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

STANDARD_INPUT = "-"
_CACHE = "__pycache__"  # what Python compiles beside its sources: nobody asks about it
_LONGEST_RULES = 1 << 20  # bytes of a `.gitignore` that are looked at
_LINKED_FOLDER = "a link to a folder: name it to have it read"


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A file as it was found. `path` is what it is shown as, `file` where it lies; nothing for standard input.

    `root` is the resolved folder in which it was found and must still lie when it is opened; nothing for a file
    that was named.
    """

    path: str
    file: str = ""
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    root: str = ""


class Walk:
    """All inputs under some paths. `own` are files that are never inputs: the store's.

    `ignored` counts what `.gitignore` left out, a folder as one, once the walk is done.
    """

    def __init__(self, paths: Sequence[str], own: Collection[str] = ()) -> None:
        self._paths = paths
        self._own = {(info.st_dev, info.st_ino) for path in own if (info := _stat(path)) is not None}
        self._seen: dict[tuple[int, int], Input] = {}
        self.ignored = 0

    def check(self) -> None:
        """Look whether every path is there, before any of them is read.

        Raises:
            SourceError: a path that does not exist, or a pattern that matches nothing, as far as a look tells.
        """
        for path in self._paths:
            if path == STANDARD_INPUT:
                continue
            if not path:
                raise SourceError("an empty path: name a file, a folder, a pattern, or - for standard input")
            try:
                Path(path).stat()
            except PermissionError:
                continue
            except (OSError, ValueError) as error:
                if not glob.has_magic(path):
                    raise SourceError(_missing(path, error)) from None
                _based(path)
                if "**" not in path and not glob.glob(path):  # noqa: PTH207 - as the user wrote it
                    raise SourceError(_unmatched(path)) from None

    def __iter__(self) -> Iterator[Input | Skip]:
        """Inputs and skips in the order of the paths, within a folder by name.

        Raises:
            SourceError: a path that does not exist, or a pattern that matches nothing.
        """
        for path in dict.fromkeys(self._paths):
            if path == STANDARD_INPUT:
                yield Input(path=path)
                continue
            try:
                info = Path(path).stat()
            except PermissionError:
                yield Skip(source=shown(path), reason="permission denied")
            except (OSError, ValueError) as error:
                if not glob.has_magic(path):
                    raise SourceError(_missing(path, error)) from None
                yield from self._pattern(path)
            else:
                yield from self._named(path, info)

    def _named(self, path: str, info: os.stat_result) -> Iterator[Input | Skip]:
        if stat.S_ISDIR(info.st_mode):
            yield from self._folder(path, None)
        else:
            yield from self._file(shown(path), os.path.abspath(path), info)  # noqa: PTH100 - links stay as named

    def _pattern(self, path: str) -> Iterator[Input | Skip]:
        base, rest = _based(path)
        if "**" in path:
            if (info := _stat(base)) is None or not stat.S_ISDIR(info.st_mode):
                raise SourceError(f"{path} matches nothing: {base} is no folder")
            found = self._folder(base, patterns([f"/{rest}"]))
        else:
            matches = sorted(glob.glob(path))  # noqa: PTH207 - paths stay as the user wrote them
            root = real(base)
            found = (entry for match in matches for entry in self._matched(match, root))
        nothing = True
        for entry in found:
            nothing = False
            yield entry
        if nothing:
            raise SourceError(_unmatched(path))

    def _matched(self, path: str, root: str) -> Iterator[Input | Skip]:
        """What a pattern matched: as in a folder, a link is no way out of `root`."""
        if (info := _stat(path)) is None:
            return
        if not within(root, real(path)):
            yield Skip(source=shown(path), reason=OUTSIDE)
        elif not stat.S_ISDIR(info.st_mode):
            yield from self._file(shown(path), os.path.abspath(path), info, root)  # noqa: PTH100 - as named
        elif Path(path).is_symlink():  # which takes no notice of a slash at the end
            yield Skip(source=shown(path), reason=_LINKED_FOLDER)
        else:
            yield from self._folder(path, None, root)

    def _folder(self, root: str, wanted: GitIgnoreSpec | None, bound: str = "") -> Iterator[Input | Skip]:
        """The files below `root`; with `wanted`, only those whose path from there it matches. None of them lies
        outside of `bound`, a resolved folder, or else of `root`."""
        top = os.path.abspath(root)  # noqa: PTH100 - links stay as named
        inmost = bound or real(root)
        prefix = "" if root == "." else shown(root).rstrip("/") + "/"
        base = len(top.rstrip(os.sep)) + 1
        todo: list[tuple[str, tuple[Ignore, ...], list[os.DirEntry[str]]]] = []
        ignores = _above(top)
        try:
            todo.append((top, *_listed(top, ignores)))
        except OSError as error:
            yield Skip(source=shown(root), reason=(error.strerror or "cannot be read").lower())
        while todo:
            _, ignores, entries = todo[-1]
            if not entries:
                todo.pop()
                continue
            entry = entries.pop()
            relative = entry.path[base:].replace(os.sep, "/")
            if entry.name.startswith(".") or entry.name == _CACHE:
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if ignored(entry.path, is_folder, ignores):
                self.ignored += 1
            elif is_folder:
                try:
                    todo.append((entry.path, *_listed(entry.path, ignores)))
                except OSError as error:
                    reason = (error.strerror or "cannot be read").lower()
                    yield Skip(source=prefix + shown(relative), reason=reason)
            elif wanted is None or wanted.match_file(relative):
                yield from self._entry(prefix + shown(relative), entry, inmost)

    def _entry(self, path: str, entry: os.DirEntry[str], root: str) -> Iterator[Input | Skip]:
        try:
            info = entry.stat()
        except OSError:
            yield Skip(source=path, reason="a broken link" if entry.is_symlink() else "permission denied")
            return
        if stat.S_ISDIR(info.st_mode):
            yield Skip(source=path, reason=_LINKED_FOLDER)
        elif entry.is_symlink() and not within(root, real(entry.path)):
            yield Skip(source=path, reason=OUTSIDE)
        else:
            yield from self._file(path, entry.path, info, root)

    def _file(self, path: str, file: str, info: os.stat_result, root: str = "") -> Iterator[Input | Skip]:
        place = (info.st_dev, info.st_ino)
        if place in self._own:
            return
        if not stat.S_ISREG(info.st_mode):
            yield Skip(source=path, reason="not a regular file: pipe it into standard input, and name that `-`")
            return
        found = Input(
            path=path,
            file=file,
            size=info.st_size,
            mtime_ns=info.st_mtime_ns,
            inode=info.st_ino,
            root=root,
        )
        first = self._seen.setdefault(place, found)
        if first is found:
            yield found
        elif first.file != file:
            yield Skip(source=path, reason=f"duplicate of {first.path}", bytes=info.st_size)


def _listed(folder: str, ignores: tuple[Ignore, ...]) -> tuple[tuple[Ignore, ...], list[os.DirEntry[str]]]:
    """The ignore rules within a folder, and its entries, last first."""
    with os.scandir(folder) as scan:
        entries = sorted(scan, key=lambda entry: entry.name, reverse=True)
    if any(entry.name == ".gitignore" for entry in entries):
        ignores = (*ignores, *_rules(folder))
    return ignores, entries


def _rules(folder: str) -> Iterator[Ignore]:
    file = Path(folder) / ".gitignore"
    if file.is_symlink():
        return  # git does not follow it either
    try:
        with open_regular(str(file)) as stream:
            text = stream.read(_LONGEST_RULES).decode("utf-8", "replace")
    except (OSError, Unreadable):
        return
    yield Ignore(len(folder.rstrip(os.sep)) + 1, patterns(text.splitlines()))


def _above(folder: str) -> tuple[Ignore, ...]:
    """The rules of the folders above, up to the root of the repository, unless they leave this folder out."""
    above = list(Path(folder).parents)
    root = next((i for i, parent in enumerate([Path(folder), *above]) if (parent / ".git").exists()), 0)
    rules = tuple(rule for parent in reversed(above[:root]) for rule in _rules(str(parent)))
    return () if ignored(folder, True, rules) else rules


def _based(pattern: str) -> tuple[str, str]:
    """The folder in front of the first wildcard, which is named and may lie anywhere, and what follows it.

    Raises:
        SourceError: what follows would lead out of that folder again.
    """
    parts = pattern.replace(os.sep, "/").split("/")
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    if ".." in parts[fixed:]:
        raise SourceError(
            f"{pattern}: a `..` behind a wildcard leads anywhere: write it in front, or name the folder"
        )
    return "/".join(parts[:fixed]) or ("/" if pattern.startswith("/") else "."), "/".join(parts[fixed:])


def _unmatched(pattern: str) -> str:
    return f"{pattern} matches nothing: name a file, a folder or a pattern"


def _missing(path: str, error: Exception) -> str:
    if path.startswith(("http://", "https://")):
        return f"{path} is an address: download it and name the file"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        if os.path.lexists(path):
            return f"{path} is a link to something that does not exist"
        return f"{path} does not exist: name a file, a folder, a pattern, or - for standard input"
    return f"{shown(path)} cannot be read ({getattr(error, 'strerror', None) or error})"


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None
