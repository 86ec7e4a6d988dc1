"""What a sub-agent that does things works with: tools, and a workspace of its own.

Plain frozen data. How a tool is made from a function or found on a server is told in `swarm/tools/`, how a
workspace is made and commands are confined in `swarm/workspace/`. This module knows neither.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from swarm.errors import UsageError


class ToolFailed(Exception):
    """A tool could not do what it was asked. The message goes to the sub-agent, which may go another way; it is no
    error of the run. Short, with what to do instead."""


Call = Callable[[Mapping[str, Any]], Awaitable[str]]
"""What a tool does: from its arguments, which fit its schema, to what the sub-agent is told.

Raises:
    ToolFailed: it could not be done; anything else that is raised is told as one, too.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """Something that a sub-agent may do. `parameters` is the JSON schema of its arguments, an object.

    One that `changes` nothing may be run beside others of the same turn, and again. What others run changes
    something: they run one after the other, in the order of the calls.
    """

    name: str
    """Letters, digits, `_` and `-`, 64 at the most: what every provider takes."""
    description: str
    parameters: Mapping[str, Any]
    call: Call
    changes: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """What one command may use. A command that reaches one of them is ended, and the sub-agent is told so."""

    seconds: float = 120.0
    memory_bytes: int = 4 << 30
    """Of all its processes together. Each one's address space ends at four times as much, and not below 1 GiB."""
    processes: int = 256
    output_bytes: int = 64 << 20
    """Of what it prints: beyond that it is ended. What is shown of it is far less."""
    file_bytes: int = 1 << 30
    """The largest file that it may write."""
    scratch_bytes: int = 1 << 30
    """Of its own /tmp, which is gone when it ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What came of a command. `output` is what it printed, both streams as they came, with the middle left out
    where it is long; `ended` says which bound ended it, in words, and is empty where it ended by itself."""

    exit: int
    output: str
    output_bytes: int
    seconds: float
    ended: str = ""

    @property
    def ok(self) -> bool:
        return self.exit == 0 and not self.ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A git repository that sub-agents work on, each in a worktree of its own, and how their work lands.

    What a sub-agent leaves in its worktree becomes one commit on `branch`, which begins at `base`, once `check`
    passes on exactly that commit: a command that exits with 0, as a shell would take it but without one. An empty
    check passes. No slice may change what the `protected` patterns name (as in a .gitignore), so that nobody makes
    a check pass by changing it. Commands are confined by bubblewrap: `readable` paths, beside the system's own,
    are what they may read outside the worktree (a virtual environment, a data set), and with `network` they reach
    the network. Where bubblewrap is not there, nothing runs unless `unconfined` says that it may all the same.

    Raises:
        UsageError: a setting that makes no sense.
    """

    repository: str
    branch: str = "green"
    base: str = "HEAD"
    check: str = ""
    check_bounds: Bounds = field(default_factory=lambda: Bounds(seconds=600.0))
    bounds: Bounds = field(default_factory=Bounds)
    protected: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    network: bool = False
    unconfined: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that commands find, beside PATH, HOME, LANG and the like. Nothing of this process's own is."""

    def __post_init__(self) -> None:
        if not self.repository:
            raise UsageError("the workspace names no repository: give it the folder of one")
        if not self.branch or self.branch.startswith("-") or ".." in self.branch or self.branch == "HEAD":
            raise UsageError(f"{self.branch!r} cannot be the branch that work lands on: name one, such as green")
