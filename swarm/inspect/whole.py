"""Files and folders that take their place whole or not at all: written beside it, and renamed when all is well.

No folder is made for them to lie in, and nothing that holds something is written over, but for a file by a file.
This module does not know what is in them.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from swarm.errors import UsageError


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes its place when the block ends well, also that of an older one.

    Raises:
        UsageError: there is a folder of that name, no folder to put the file in, or no right to.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file with -o")
    _check_parent(path)
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no ordinary file: name another with -o, or - for standard output")
    beside = _beside(path)
    try:
        try:
            out = beside.open("xb")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}") from None
        with out:
            yield out
        try:
            beside.replace(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be put in its place: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes its place when the block ends well.

    Raises:
        UsageError: there is a file of that name or a folder that holds something, no folder to put this one in, or
            no right to.
    """
    _check_free(path)
    beside = _beside(path)
    try:
        try:
            beside.mkdir()
        except OSError as error:
            raise UsageError(f"{path} cannot be made: {error.strerror}") from None
        yield beside
        try:
            if path.is_dir():
                path.rmdir()  # one that is empty gives way: not every system renames onto it
            beside.rename(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be put in its place: {error.strerror}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_free(path: Path) -> None:
    if path.is_dir():
        if any(path.iterdir()):
            raise UsageError(f"{path} is not empty: name a folder that is not there yet with -o")
        if not path.name or path.name == "..":
            raise UsageError(f"{path} is no name for a new folder: give -o another")
    elif path.exists() or path.is_symlink():
        raise UsageError(f"{path} is a file: name a folder that is not there yet with -o")
    else:
        _check_parent(path)


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no folder: make it first, or name another place with -o")


def _beside(path: Path) -> Path:
    """Where something is written that is to be called `path`; of a long name the beginning, which is enough."""
    return path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
