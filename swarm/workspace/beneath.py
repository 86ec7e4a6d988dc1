"""A folder and what is in it, opened so that nobody is led out of it.

Whoever runs commands in the folder may put a link in the place of a file at any moment. So a path is walked one
name at a time, each opened without following links, relative to the folder before it: what was looked at is what
is used. Links are never followed, and what is no file or folder is never opened.
This module knows names and descriptors; it does not know which of them somebody may touch.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from swarm.equipment import ToolFailed

TEMPORARY = ".swarm-"
"""How the name of a file begins that is about to take the place of another. One is left where a process was
killed."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # a fifo would wait for a writer
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LINK = " is a link to "
_MOST = 100_000  # entries of one folder that are looked at


@contextmanager
def folder(root: str, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A folder below `root`, open, each step of the way without following a link; with `make`, made on the way.

    Raises:
        OSError: it is not there, or a part of the way is a link.
    """
    inner = os.open(root, _FOLDER)
    try:
        for part in parts:
            outer = inner
            try:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=outer)
                inner = _opened(part, outer)
            finally:
                if inner != outer:
                    os.close(outer)
        yield inner
    finally:
        os.close(inner)


def content(root: str, parts: Sequence[str], most: int, path: str) -> bytes:
    """The bytes of a file; `path` is what it is called in words.

    Raises:
        ToolFailed: it is no regular file, or has more than `most` bytes.
        OSError: it is not there, or cannot be read.
    """
    with folder(root, parts[:-1]) as inside:
        info = os.stat(parts[-1], dir_fd=inside, follow_symlinks=False)
        if not stat.S_ISREG(info.st_mode):  # opening a device may do things
            raise ToolFailed(f"{path} {kind(info.st_mode, target(parts[-1], inside))}")
        descriptor = os.open(parts[-1], _FILE, dir_fd=inside)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ToolFailed(f"{path} {kind(mode)}")
        return _all(descriptor, most, path)
    finally:
        os.close(descriptor)


def _opened(name: str, inside: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=inside)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and (to := target(name, inside)):
            raise OSError(errno.ELOOP, f"{name}{_LINK}{to}") from None
        raise


def entries(inside: int) -> list[tuple[str, bool]]:
    """The files and folders in a folder, by name: no links, nothing special, nothing of git's."""
    with os.scandir(inside) as scan:
        found = []
        for entry in scan:
            if entry.name.casefold() == ".git" or not _printable(entry.name):
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder or entry.is_file(follow_symlinks=False):
                found.append((entry.name, is_folder))
            if len(found) >= _MOST:
                break
    return sorted(found)


def _printable(name: str) -> bool:
    return name.isprintable()  # a name with a line feed could pass for another line of a list


def put(inside: int, name: str, data: bytes, mode: int, new: bool) -> None:
    """Write beside and rename: a link that stands at `name` by then is replaced and not followed."""
    beside = f"{TEMPORARY}{secrets.token_hex(8)}"
    descriptor = os.open(beside, _NEW, mode, dir_fd=inside)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if not new:
                os.fchmod(descriptor, mode)  # whatever the umask is
            file.write(data)
        os.rename(beside, name, src_dir_fd=inside, dst_dir_fd=inside)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside, dir_fd=inside)
        raise


def _all(descriptor: int, most: int, path: str) -> bytes:
    """A file that may grow while it is read."""
    pieces, size = [], 0
    while size <= most and (piece := os.read(descriptor, min(1 << 20, most + 1 - size))):
        pieces.append(piece)
        size += len(piece)
    if size > most:
        raise ToolFailed(f"{path} is larger than {most:,} bytes: look into it by run_command (head, sed, grep)")
    return b"".join(pieces)


def looked(name: str, inside: int) -> os.stat_result | None:
    """What lies there itself, or None."""
    try:
        return os.stat(name, dir_fd=inside, follow_symlinks=False)
    except FileNotFoundError:
        return None


def target(name: str, inside: int) -> str:
    """Where a link leads; nothing for what is none."""
    try:
        return os.fsencode(os.readlink(name, dir_fd=inside)).decode("utf-8", "replace")[:200]
    except OSError:
        return ""


def kind(mode: int, target: str = "") -> str:
    """What something is that is no file or folder to work with; `target` is where a link leads."""
    if stat.S_ISDIR(mode):
        return "is a folder"
    if stat.S_ISLNK(mode):
        return (
            f"is a link{f' to {target}' if target else ''}, and links are not followed: name what you mean itself"
        )
    return "is no regular file"


@contextmanager
def told(path: str) -> Iterator[None]:
    """What the system says, in words for who asked."""
    try:
        yield
    except OSError as error:
        raise ToolFailed(words(path, error)) from None


def words(path: str, error: OSError) -> str:
    """What went wrong, and what to do instead."""
    match error.errno:
        case errno.ENOENT:
            return f"{path} does not exist: list_files shows what does"
        case errno.ELOOP:
            said = error.strerror or ""
            said = said if _LINK in said else "a part of it is a link"
            return f"{path}: {said}, and links are not followed: name what you mean itself"
        case errno.ENOTDIR:
            return f"{path}: a part of it is no folder"
        case errno.ENOTEMPTY | errno.EEXIST:
            return f"{path} is a folder that is not empty: remove what is in it first"
        case _:
            return f"{path}: {(error.strerror or 'it cannot be done').lower()}"
