"""Which run answers where a swarm is mounted in a graph: one that is named in the input, or else by the thread.

A thread leads to the same run in every process, also where no checkpoint of this graph was written yet. A run
answers one question; another one asked in its place is a fork of it, named by what it asks, so that to ask the
same again leads to the same run. This module knows neither langgraph nor what a run does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from swarm.graph.identity import digest
from swarm.task import Limits, Task

_FORK = "~"  # between the id of a run and what tells its forks apart
_HEX = (6, 16, 32)  # digits of that; more of them where a shorter one is taken
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 40  # characters of a name that is not kept as it is


@dataclass(frozen=True, slots=True)
class Place:
    """Where a graph is invoked: the thread, None without one, and LangGraph's namespace of the node that asks,
    such as `outer:3f9a…|swarm:1c2d…|begin:77ab…`."""

    thread: str | None = None
    namespace: str = ""


def named(place: Place) -> str | None:
    """The run of a thread: its id and the nodes around this graph, without what differs from step to step. What
    is not made of plain characters is told apart by a hash."""
    if not place.thread:
        return None
    around = [step.partition(":")[0] for step in place.namespace.split("|")[:-1]]
    parts = [place.thread, *around]
    if all(_PLAIN.fullmatch(part) for part in parts):
        return ".".join(parts)
    readable = ".".join(_OTHER.sub("-", part) for part in parts)[:_LONGEST].strip("-.") or "thread"
    return f"{readable}-{digest('thread', *parts)[1:13]}"


def chosen(run: str, task: Task, fork: str, asked_of: Callable[[str], Task | None]) -> str:
    """The run that answers a task, where `run` is named: that one, the one that it is a fork of, or another fork.
    `asked_of` says what a run was asked, None where there is none yet."""
    root = run.partition(_FORK)[0]
    told = digest("fork", repr(replace(task, limits=Limits())), fork)[1:]
    forks = [f"{root}{_FORK}{told[:digits]}" for digits in _HEX]
    candidates: list[str] = forks if fork else list(dict.fromkeys([run, root, *forks]))
    asked = {known: asked_of(known) for known in candidates}
    same = [known for known in candidates if _is_same(asked[known], task)]
    free = [known for known in candidates if asked[known] is None]
    return [*same, *free, candidates[-1]][0]


def _is_same(asked: Task | None, task: Task) -> bool:
    """Limits may be others each time."""
    return asked is not None and replace(asked, limits=task.limits) == task
