"""The command that goes on with a run, as a partial answer names it: with what the journal does not know, and with
a higher limit where a limit was reached.

No password is in it, whatever the user gave: it is put out of sight, and is to be typed again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from swarm.cli.options import Settings

if TYPE_CHECKING:
    from swarm.task import Answer

Again = Callable[[str, "Answer | None"], str]
"""Of a run's id and what it came to, as far as that is known: the command that goes on with it."""

_OPTIONS = {
    "cost_usd": "--max-cost-usd", "tokens": "--max-tokens", "calls": "--max-calls", "slices": "--max-slices",
}  # fmt: skip


def resume_with(settings: Settings) -> Again:
    """`swarm resume …`, for a run that was worked with these settings."""

    def again(run: str, answer: Answer | None) -> str:
        limit = answer.limit if answer is not None else None
        raised = _raised(settings, run, limit) if limit is not None and limit in _OPTIONS else []
        return _joined(["swarm", "resume", run, *_kept(settings), *raised])

    return again


def _joined(words: list[str]) -> str:
    from swarm.store.opening import shown

    return shlex.join(shown(word) for word in words)


def _kept(settings: Settings) -> list[str]:
    """What the journal does not tell."""
    from swarm.observe.log import redact_text

    words = ["--store", settings.store] if settings.store else []
    words += ["--engine", settings.engine] if settings.engine != "local" else []
    words += ["--prices", str(settings.prices)] if settings.prices else []
    if settings.base_url and redact_text(settings.base_url) != settings.base_url:
        words += ["--base-url", settings.base_url]
    return words


def _raised(settings: Settings, run: str, limit: str) -> list[str]:
    """Twice what the limit was."""
    from swarm.errors import SwarmError
    from swarm.history import show

    try:
        sessions = show(run, settings.store).sessions
    except SwarmError:
        return []
    value = getattr(sessions[-1].limits, limit) if sessions else None
    if value is None:
        return []
    twice = 2 * value or 1
    return [_OPTIONS[limit], f"{twice:.10g}" if limit == "cost_usd" else str(twice)]
