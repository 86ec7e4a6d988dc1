"""The repository of a workspace: the one in a folder of this machine, or this process's clone of a remote."""

from __future__ import annotations

from swarm.equipment import Workspace
from swarm.workspace import shared
from swarm.workspace.repository import Repository, at


async def find(workspace: Workspace) -> Repository:
    """Where a workspace's work lands.

    Raises:
        UsageError: there is no such repository, it is not whole or cannot be reached, git is too old, or the
            branch's name is no good.
    """
    if workspace.remote:
        return await shared.find(workspace.remote, workspace.branch)
    return await at(workspace.repository, workspace.branch)


__all__ = ["find"]
