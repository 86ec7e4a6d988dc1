"""What becomes of all that a run left in a repository when the run is forgotten."""

from __future__ import annotations

from swarm.equipment import Workspace
from swarm.errors import RunError, UsageError
from swarm.workspace import clones, leftovers
from swarm.workspace.carried import forget_kept
from swarm.workspace.opening import find
from swarm.workspace.repository import at


async def forget(workspace: Workspace, run: str) -> None:
    """Remove all that a run left in a repository: worktrees, unfinished work, refs; of a remote also in the clones
    that this machine has and nobody uses. What has landed stays.

    Raises:
        UsageError: the run is at work, or there is no such repository, or it cannot be reached.
    """
    repository = await find(workspace)
    await leftovers.remove_all(repository, run)
    if not workspace.remote:
        return
    for clone, hold in clones.idle(workspace.remote):
        try:
            await leftovers.remove_all(await at(str(clone), workspace.branch), run)
        finally:
            hold.let_go()
    try:
        await forget_kept(repository, run)
    except RunError as error:
        raise UsageError(str(error)) from None


__all__ = ["forget"]
