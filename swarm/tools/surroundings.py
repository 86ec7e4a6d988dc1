"""What the tools that come with Swarm work on: handed in by who runs the sub-agent.

This module knows no tool, and nothing of a run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from swarm.program import Place


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What there is around one sub-agent. A tool for which it has None is not offered.

    Without `writes` nothing in its place may be changed, and what `protected` patterns name may never be.
    """

    place: Callable[[], Awaitable[Place]] | None = None
    writes: bool = False
    protected: tuple[str, ...] = ()
    diff: Callable[[], Awaitable[str]] | None = None
    search_graph: Callable[[str], Awaitable[str]] | None = None
    """From a question."""
    open_finding: Callable[[str], Awaitable[str]] | None = None
    """From an id or a label: with its quotes and what stands around them."""
    search_sources: Callable[[str], Awaitable[str]] | None = None
    open_source: Callable[[str, int], Awaitable[str]] | None = None
    """From a path, and the line to begin at."""
    ask_coordinator: Callable[[str], Awaitable[str]] | None = None
    read_result: Callable[[str, int, str], Awaitable[str]] | None = None
    """From a reference, the line to begin at, and words to search for instead."""
    subtask: Callable[[str], Awaitable[str]] | None = None
