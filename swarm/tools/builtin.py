"""The tools that come with Swarm, by name.

This module knows which there are and what each needs; what they work on is handed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from swarm.equipment import Tool
from swarm.errors import UsageError
from swarm.tools import BUILTIN, command, files, knowledge
from swarm.tools.function import Shape, as_text, shape_of
from swarm.tools.surroundings import Surroundings

__all__ = ["BUILTIN", "Surroundings", "builtin"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """A tool that is not yet anybody's. `needs` is what must be around; `writes`: only where one may write."""

    function: Callable[..., Awaitable[str]]
    needs: str
    changes: bool = False
    writes: bool = False


_KINDS = {
    "list_files": _Kind(function=files.list_files, needs="place"),
    "read_file": _Kind(function=files.read_file, needs="place"),
    "search_files": _Kind(function=files.search_files, needs="place"),
    "edit_file": _Kind(function=files.edit_file, needs="place", changes=True, writes=True),
    "write_file": _Kind(function=files.write_file, needs="place", changes=True, writes=True),
    "remove_file": _Kind(function=files.remove_file, needs="place", changes=True, writes=True),
    "run_command": _Kind(function=command.run_command, needs="place", changes=True),
    "changes": _Kind(function=command.changes, needs="diff"),
    "search_graph": _Kind(function=knowledge.search_graph, needs="search_graph"),
    "open_finding": _Kind(function=knowledge.open_finding, needs="open_finding"),
    "search_sources": _Kind(function=knowledge.search_sources, needs="search_sources"),
    "open_source": _Kind(function=knowledge.open_source, needs="open_source"),
    "ask_coordinator": _Kind(function=knowledge.ask_coordinator, needs="ask_coordinator", changes=True),
    "read_result": _Kind(function=knowledge.read_result, needs="read_result"),
    "subtask": _Kind(function=knowledge.subtask, needs="subtask", changes=True),
}


def builtin(names: Iterable[str], around: Surroundings) -> tuple[Tool, ...]:
    """The tools of these names, each once, over what is around; those that need what is not there are left out.

    Raises:
        UsageError: a name that none has.
    """
    wanted = tuple(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in _KINDS]:
        raise UsageError(f"there is no tool {unknown[0]!r}: those that come with Swarm are {', '.join(BUILTIN)}")
    return tuple(_made(name, around) for name in wanted if _offered(_KINDS[name], around))


def _offered(kind: _Kind, around: Surroundings) -> bool:
    return getattr(around, kind.needs) is not None and (around.writes or not kind.writes)


def _made(name: str, around: Surroundings) -> Tool:
    kind, shape = _KINDS[name], _shape(name)

    async def call(arguments: Mapping[str, Any]) -> str:
        return as_text(await kind.function(around, **shape.taken(arguments)))

    return Tool(
        name=name, description=shape.description, parameters=shape.parameters, call=call, changes=kind.changes
    )


@cache
def _shape(name: str) -> Shape:
    return shape_of(_KINDS[name].function, without=1)
