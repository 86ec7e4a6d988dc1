"""The tools of a sub-agent, as its role names them, bound to what is around it.

Which tools there are is recorded for each time that the run is at work: they are a part of what a model is asked,
and a replay, which uses none, has to ask the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from swarm.coordinator.desk import Desk
from swarm.coordinator.work import knowledge
from swarm.coordinator.work.state import Branch, Work
from swarm.equipment import Tool, ToolFailed
from swarm.errors import UsageError
from swarm.program import Place, Role
from swarm.prompts.acting import REPORT
from swarm.store.journal import Entry
from swarm.tools.builtin import Surroundings, builtin
from swarm.worker.job import Kit

READ_RESULT = "read_result"


@dataclass(frozen=True, kw_only=True)
class Who:
    """Who works: under which name in the plan, in which branch. `result` opens what its tools gave, `place` its
    worktree, and `diff` tells what changed there."""

    name: str
    branch: Branch
    result: Callable[[str], str | None]
    place: Callable[[], Awaitable[Place]] | None = None
    diff: Callable[[], Awaitable[str]] | None = None


def kit_of(desk: Desk, work: Work, role: Role, who: Who) -> Kit | None:
    """What a sub-agent of a role works with; None where it has no tools."""
    if not role.tools:
        return None
    played = desk.recorded is not None
    tools = _recorded(desk, role) if played else _tools(role, _around(desk, work, role, who))
    return Kit(
        tools=tools,
        steps=role.steps,
        locate=lambda quote: knowledge.locate(desk, quote),
        stopping=lambda: desk.stopping.is_set() and not played,
    )


def _tools(role: Role, around: Surroundings) -> tuple[Tool, ...]:
    named = [one for one in role.tools if isinstance(one, str)]
    own = [one for one in role.tools if isinstance(one, Tool)]
    tools = (*builtin([*named, READ_RESULT], around), *own)
    names = [one.name for one in tools] + [REPORT]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"role {role.name!r} has two tools called {twice!r}: give one another name, or a prefix")
    return tools


def _around(desk: Desk, work: Work, role: Role, who: Who) -> Surroundings:
    workspace = work.program.workspace if work.program is not None else None
    workspace = workspace or (desk.program.workspace if desk.program is not None else None)

    async def read_result(ref: str, line: int, words: str) -> str:
        text = who.result(ref.strip())
        if text is None:
            raise ToolFailed(f"nothing is kept under {ref[:80]!r}: take a reference that you were shown")
        return knowledge.lines_of(text, line, words)

    return Surroundings(
        place=who.place,
        writes=role.workspace == "write",
        protected=workspace.protected if workspace is not None else (),
        diff=who.diff,
        search_graph=lambda question: knowledge.search_graph(desk, question),
        open_finding=lambda id_: knowledge.open_finding(desk, id_),
        search_sources=lambda words: knowledge.search_sources(desk, words),
        open_source=lambda path, line: knowledge.open_source(desk, path, line),
        ask_coordinator=lambda asked: knowledge.ask_coordinator(desk, work, who.branch, who.name, asked),
        read_result=read_result,
        subtask=_subtask,
    )


async def _subtask(_objective: str) -> str:
    raise ToolFailed("a subtask is worked by whoever runs the sub-agent")


def toolsets(desk: Desk, work: Work) -> list[Entry]:
    """The records of the tools of each role, as they are this time.

    Raises:
        UsageError: a role names a tool that there is not.
    """
    program = desk.program
    roles = [("role", one) for one in work.roles.values()]
    if program is not None:
        roles += [("planner", program.planner), ("judge", program.judge)]
    entries = []
    for part, role in roles:
        if not role.tools:
            continue
        has_place = role.workspace != "none"
        who = Who(
            name="",
            branch=work.root,
            result=lambda _: None,
            place=_no_place if has_place else None,
            diff=_no_diff if has_place else None,
        )
        told = [_told(one) for one in _tools(role, _around(desk, work, role, who))]
        entries.append(Entry(kind="tools", key=_key(desk, part, role), body={"tools": told}))
    return entries


async def _no_place() -> Place:
    raise ToolFailed("there is no worktree here")


async def _no_diff() -> str:
    raise ToolFailed("there is no worktree here")


def _told(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "changes": tool.changes,
    }


def _key(desk: Desk, part: str, role: Role) -> str:
    return f"{desk.session}:{part}:{role.name}"


def _recorded(desk: Desk, role: Role) -> tuple[Tool, ...]:
    part, program = "role", desk.program  # a role may have the name that a planner has
    if program is not None:
        part = "planner" if role is program.planner else "judge" if role is program.judge else part
    record = desk.journal.record(desk.run, "tools", _key(desk, part, role))
    known = record.body["tools"] if record is not None else []
    return tuple(Tool(**one, call=_not_used) for one in known)


async def _not_used(_arguments: Mapping[str, Any]) -> str:
    raise ToolFailed("nothing is run in a replay")
