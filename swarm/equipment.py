"""What a sub-agent that does things works with: tools, and a workspace of its own.

Plain frozen data. How a tool is made from a function or found on a server is told in `swarm/tools/`, how a
workspace is made and commands are confined in `swarm/workspace/`. This module knows neither.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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

    It is the folder of a `repository` on this machine, or a `remote` that all machines of a run reach (an https or
    ssh address, or the full path of a bare repository), of which each process has a clone.

    What a sub-agent leaves in its worktree becomes one commit on `branch`, which begins at `base`, once `check`
    passes on exactly that commit: a command that exits with 0, as a shell would take it but without one. An empty
    check passes. No slice may change what the `protected` patterns name (as in a .gitignore), so that nobody makes
    a check pass by changing it. Commands are confined by bubblewrap: `readable` paths, beside the system's own,
    are what they may read outside the worktree (a virtual environment, a data set), and with `network` they reach
    the network. Where bubblewrap is not there, nothing runs unless `unconfined` says that it may all the same.

    Raises:
        UsageError: a setting that makes no sense, or an address with a password in it.
    """

    repository: str = ""
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
    remote: str = ""

    def __post_init__(self) -> None:
        if self.remote:
            fit_remote(self.remote)
        if self.repository and self.remote:
            raise UsageError("the workspace names a repository and a remote: give it one of the two")
        if not self.repository and not self.remote:
            raise UsageError("the workspace names no repository: give it the folder of one, or a remote")
        if not self.branch or self.branch.startswith("-") or ".." in self.branch or self.branch == "HEAD":
            raise UsageError(f"{self.branch!r} cannot be the branch that work lands on: name one, such as green")


_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(?::[0-9]+)?")
_SHORT = re.compile(r"(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*:[^:/-][^:]*")  # user@host:path, by ssh


def fit_remote(remote: str) -> Literal["https", "ssh", "file"]:
    """How a remote is reached. What is wrong with one is said without it: there may be a secret in it.

    Raises:
        UsageError: it is no address that git is let go to, or it has a password in it.
    """
    if not remote.isprintable() or remote.startswith("-"):
        raise UsageError("the workspace's remote is no address of a repository")
    if remote.startswith("/"):
        return "file"
    scheme, found, rest = remote.partition("://")
    if not found:
        if _SHORT.fullmatch(remote) and remote.partition(":")[0] not in ("file", "http", "https", "ssh", "git"):
            return "ssh"
        raise UsageError(_UNFIT)
    host, slash, path = rest.partition("/")
    if "@" in host and (":" in host.rpartition("@")[0] or scheme == "https"):
        raise UsageError(_TOLD_ALONG)
    if "@" in path.partition("/")[0] and scheme != "file":  # of a password with a slash in it
        raise UsageError(_TOLD_ALONG)
    if scheme == "file" and slash and not host:
        return "file"
    if scheme in ("https", "ssh") and path and _HOST.fullmatch(host) and "?" not in path and "#" not in path:
        return "https" if scheme == "https" else "ssh"
    raise UsageError(_UNFIT)


_UNFIT = (
    "the workspace's remote cannot be used: name an https or ssh address without a query, or the full path of a "
    "bare repository"
)
_TOLD_ALONG = (
    "the workspace's remote has a user or a password in it, which would be kept and shown: leave it out, git asks "
    "its credential helper, its ssh agent or GIT_ASKPASS"
)
