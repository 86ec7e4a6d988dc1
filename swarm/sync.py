"""One question, asked and waited for, for scripts that are not asynchronous. All else is async alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swarm.run import Swarm
from swarm.task import Answer, Limits, Task


def run_sync(question: str, sources: str | Path | Sequence[str | Path], **settings: Any) -> Answer:
    """Ask one question of files, folders or globs, and wait for the answer.

    `settings` are those of `Swarm`, and `limits`.

    Raises:
        SwarmError: as `Swarm.run`.
    """
    limits = settings.pop("limits", Limits())
    many = [sources] if isinstance(sources, (str, Path)) else sources
    task = Task(questions=(question,), paths=tuple(str(source) for source in many), limits=limits)
    return asyncio.run(Swarm(**settings).run(task))
