"""Built-in tools that run a command in a worktree, and that tell what was changed in it.

How a command is confined is the place's business. A docstring is what a model reads.
"""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import Field

from swarm.equipment import Ran, ToolFailed
from swarm.tools.surroundings import Surroundings

_LONGEST = 60_000  # characters of a command line: what one argument of a program takes is twice that, in bytes


async def run_command(
    around: Surroundings, command: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
) -> str:
    """Run a command line with `sh` in the folder of your workspace, and see how it ended and what it printed.

    For tests, builds, git log and the like. It is confined: only the workspace can be written, there is no network
    unless that was allowed, and time, memory, processes and output are limited. Nothing stays: each command begins
    in the same folder, with the same environment, and what it leaves running is ended. It cannot ask anybody
    anything: give options that answer (-y, --no-pager). To change files prefer edit_file and write_file.

    Args:
        command: as you would type it; pipes, && and redirections work
    """
    if around.place is None:
        raise ToolFailed("there is no workspace here")
    place = await around.place()
    return shown(await place.run(f"sh -c {shlex.quote(command)}"))


async def changes(around: Surroundings) -> str:
    """Show all that was changed in your workspace so far, new files too, as a diff against where it began."""
    if around.diff is None:
        raise ToolFailed("there is no workspace here")
    return await around.diff() or "nothing has been changed"


def shown(ran: Ran) -> str:
    """What came of a command, in words."""
    how = f"ended: {ran.ended}" if ran.ended else f"exit {ran.exit}"
    return f"{how}\n{ran.output.rstrip() or '(it printed nothing)'}"
