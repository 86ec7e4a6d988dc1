"""A coding run in a process of its own, to be killed (`tests.kill.victim`): an order for each missing function of
a code base, worked in worktrees, landed by a ratchet. It checks nothing: the test does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from swarm.equipment import Bounds, Workspace
from swarm.program import Program, Role
from swarm.task import Limits, Task
from swarm.testing.codebase import PROTECTED, chosen
from swarm.workspace.suite import Ratchet, Suite
from tests.kill.victim import Job

BRANCH = "green"
TOOLS = ("list_files", "read_file", "search_files", "edit_file", "write_file", "run_command", "changes")


@dataclass(frozen=True, kw_only=True)
class Coding(Job):
    """The code base `repository`, which `make_codebase` made of this many modules and functions with that seed."""

    repository: Path
    modules: int
    functions: int
    seed: int

    @property
    def task(self) -> Task:
        return Task(questions=(self.question,), paths=(), mode="work", limits=Limits())

    @cached_property
    def plan(self) -> Program:
        missing = chosen(self.modules, self.functions, self.seed)
        tests = {one.slice: one.test for one in missing}
        role = Role(
            instructions="Change what your function needs, and nothing else.",
            tools=TOOLS,
            workspace="write",
            tries=10,
            legs=4,
            steps=30,
            view_tokens=0,
            trial=Ratchet(Suite(), lambda order: [tests[order.name]]),
        )
        return Program(
            orders=lambda: [one.order for one in missing],
            roles=(role,),
            workspace=Workspace(
                repository=str(self.repository),
                branch=BRANCH,
                base="main",
                protected=PROTECTED,
                bounds=Bounds(seconds=60.0),
                environment={
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"
                },  # those of this project take seconds to import
            ),
            answer=lambda results: "\n".join(results[one.slice] for one in missing),
        )
