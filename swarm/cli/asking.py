"""Asking a person, on the terminal, and only there: the answer is no unless it is yes."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable

_POLL_SECONDS = 0.2


def on_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def yes(question: str, *, given_up: Callable[[], bool] = lambda: False) -> bool:
    """Whether the user says so. `given_up` ends the waiting, with no."""
    sys.stderr.write(f"swarm: {question} [y/N] ")
    sys.stderr.flush()
    while not _is_ready():
        if given_up():
            sys.stderr.write("\n")
            return False
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _is_ready() -> bool:
    """Whether a line has come within a moment; where that cannot be told, it is waited for."""
    try:
        return bool(select.select([sys.stdin], [], [], _POLL_SECONDS)[0])
    except (OSError, ValueError):  # no file that can be waited on
        return True
