"""A folder as it was before a command ran in it: what the command left behind is cleared away, what it changed
is told.

What is measured runs in a folder that it can write to. One that changed the program that measures, the held-out
data, or put a module where that program looks for others, would be measured by itself from then on. So each run
begins from the same files, and one that changed any of them counts for nothing. This module knows files, no
commands.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_NAMED = 5
Stamp = tuple[int, ...]


class Pristine:
    """The files below a folder, as they are now."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = dict(_stamps(folder))

    def again(self) -> str | None:
        """Clear away what is new. What is wrong with the rest, in words; None where all of it is as it was."""
        found = dict(_stamps(self._folder))
        new = sorted(found.keys() - self._known.keys())  # a folder comes before what is in it
        try:
            for name in new:
                _remove(self._folder / name)
        except OSError as error:
            return f"it left {name} behind, which cannot be removed: {error.strerror}"
        changed = sorted(name for name, stamp in self._known.items() if found.get(name) != stamp)
        if not changed:
            return None
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        named = ", ".join(changed[:_NAMED])
        return f"it changed {named}{more} while it ran, so that what it measured counts for nothing"


def _stamps(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """What is below a folder, with what tells whether it was changed: the time of its last change is the one
    that its writer cannot set. Links are not followed; of a folder it only counts that it is one."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with os.scandir(folder / above) as entries:
            for entry in entries:
                name, told = f"{above}{entry.name}", entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(told.st_mode):
                    waiting.append(f"{name}/")
                    yield name, (told.st_mode,)
                else:
                    yield name, (told.st_mode, told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_ino)


def _remove(path: Path) -> None:
    """Remove what is there, if it still is: a link itself, never what it leads to."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)
