"""Built-in tools that look into what the run knows, ask it, and hand it work.

What each is told comes from who runs the sub-agent (`Surroundings`); this module only words it. A docstring is
what a model reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, ParamSpec

from pydantic import Field

from swarm.equipment import ToolFailed
from swarm.tools.surroundings import Surroundings

P = ParamSpec("P")
Line = Annotated[int, Field(ge=1)]
Words = Annotated[str, Field(min_length=1, max_length=4_000)]


async def search_graph(around: Surroundings, question: Words) -> str:
    """Search what this run has found out so far: claims of all sub-agents, each with a label.

    Look here before you work something out again. Open a claim with open_finding to see what it rests on.

    Args:
        question: what you want to know, as a question or in the words that a claim would use
    """
    return await _asked(around.search_graph, question)


async def open_finding(around: Surroundings, finding: Words) -> str:
    """Open one claim of the shared graph: its quotations, where they stand, and what stands around them.

    Args:
        finding: the label or id of the claim, as it was shown to you
    """
    return await _asked(around.open_finding, finding)


async def search_sources(around: Surroundings, words: Words) -> str:
    """Search the sources that this run was given: the passages in which the words stand, with path and line.

    Args:
        words: words that stand in the passage; rare ones find more exactly
    """
    return await _asked(around.search_sources, words)


async def open_source(around: Surroundings, path: Words, line: Line = 1) -> str:
    """Read a source that this run was given, from a line on. These are the inputs, not the files of a workspace.

    Args:
        path: the path of the source, as it was shown to you
        line: the line to begin at
    """
    return await _asked(around.open_source, path, line)


async def ask_coordinator(around: Surroundings, question: Words) -> str:
    """Ask whoever coordinates the run, when your order leaves open what only they can decide.

    It takes time and may go unanswered: first look at what you have. Say what you will do without an answer.

    Args:
        question: one question, with what one has to know to answer it
    """
    return await _asked(around.ask_coordinator, question)


async def read_result(around: Surroundings, ref: Words, line: Line = 1, search: str = "") -> str:
    """Read on in a long result that was stored, of which you were shown the beginning and the end.

    Args:
        ref: the reference that was shown in its place
        line: the line to begin at
        search: show the lines that hold these words instead, with their numbers
    """
    return await _asked(around.read_result, ref, line, search)


async def subtask(around: Surroundings, objective: Words) -> str:
    """Hand a part of your work to a sub-agent with a fresh window; you get its conclusion, and none of its steps.

    Use it for what takes many steps and comes to a short answer. It knows nothing of what you have seen.

    Args:
        objective: what is to be done, all that one has to know for it, and what is to be handed back
    """
    return await _asked(around.subtask, objective)


async def _asked(ask: Callable[P, Awaitable[str]] | None, *args: P.args, **kwargs: P.kwargs) -> str:
    if ask is None:  # it was not offered
        raise ToolFailed("there is no such tool here")
    return await ask(*args, **kwargs)
