"""What lies inside a folder and what only says so: names out of data, links, and files that change places.

A path that a person types may lead anywhere. A name that stands in data (a manifest, a table, a link inside a
folder) may not leave the folder it belongs to. This module knows paths, not what they hold.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarm.errors import SourceError


def inside(root: str | Path, name: str) -> Path:
    """The path that `name`, found in data, means below the folder `root`: resolved, free of `..` and of links.

    For recipes that read names of files out of files. A name is relative to `root`; one that is absolute must
    lead below it. What it names need not exist yet. `~`, variables and patterns mean nothing here.

    Raises:
        SourceError: it is empty, no path at all, or leads out of `root`, by `..` or by a link.
    """
    if not name:
        raise SourceError(f"an empty name stands where a file in {shown(root)} should be named")
    try:
        top = real(root)
        found = real(os.path.join(top, name))  # noqa: PTH118 - an absolute name is to replace the root
    except (OSError, ValueError) as error:
        raise SourceError(f"{name!r:.200} is no name of a file ({error}): correct it") from None
    if not within(top, found):
        raise SourceError(
            f"{name!r:.200} leads out of {shown(root)}, where names in data must stay: "
            "move the file there, or name it yourself"
        )
    return Path(found)


def real(path: str | Path) -> str:
    """The absolute path without `..` and links, as far as it exists."""
    return os.path.realpath(path)


def within(root: str, path: str) -> bool:
    """Whether the resolved `path` is the resolved folder `root` or lies below it."""
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def same_file(descriptor: int, root: str, path: str) -> bool:
    """Whether the open file is the one that lies at `path` now, and that is inside the resolved `root`.

    Asked after opening: whoever puts a link in the place of a file between the look and the opening is noticed.
    """
    found = real(path)
    if not within(root, found):
        return False
    try:
        there = os.stat(found, follow_symlinks=False)  # noqa: PTH116 - Path.stat is this, slower
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def shown(path: str | Path) -> str:
    """A path as text that can be written anywhere: bytes that are no UTF-8 are shown as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace(os.sep, "/")
