"""What `.gitignore` leaves out, as git reads it.

This module knows patterns and paths; it opens no file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class Ignore(NamedTuple):
    """The patterns of one `.gitignore`; `length` is that of its folder's path, with the separator."""

    length: int
    patterns: GitIgnoreSpec


def patterns(lines: Iterable[str]) -> GitIgnoreSpec:
    """As git reads them: a line that is no pattern counts for nothing."""
    from pathspec import GitIgnoreSpec

    good = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        good.append(line)
    return GitIgnoreSpec.from_lines(good)


def ignored(path: str, is_folder: bool, ignores: Sequence[Ignore]) -> bool:
    """What the innermost rule says that says anything."""
    for ignore in reversed(ignores):
        relative = path[ignore.length :].replace(os.sep, "/")
        verdict = ignore.patterns.check_file(relative + "/" if is_folder else relative).include
        if verdict is not None:
            return verdict
    return False
