"""A command in, what came of it out: the protocol that every sandbox speaks, and which one a workspace has.

What a command is for is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from swarm.equipment import Bounds, Ran, Workspace
from swarm.errors import UsageError
from swarm.workspace.bubblewrap import Bubblewrap, Unavailable
from swarm.workspace.unconfined import Unconfined

NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


class Sandbox(Protocol):
    """Runs commands. What they may see and touch differs; that they are held to their bounds, get none of this
    process's variables, and leave no process behind does not."""

    name: str

    async def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        writable: Sequence[Path] = (),
        readable: Sequence[Path] = (),
        environment: Mapping[str, str] = NO_ENVIRONMENT,
        bounds: Bounds,
        network: bool = False,
        stdin: bytes = b"",
    ) -> Ran:
        """Run a program with its arguments; there is no shell but one that is named. It works in `folder`, which
        is one of the folders below or lies in one.

        It sees `writable` and `readable` paths under their own names, those inside of others too. A path that does
        not exist is left out. `environment` comes beside PATH, HOME, LANG and the like. When the waiting task is
        cancelled, the command is ended first.

        Raises:
            ToolFailed: it cannot be started.
        """


def sandbox_of(workspace: Workspace) -> Sandbox:
    """Bubblewrap where it works, else what `unconfined` allows. It is tried once, which takes milliseconds.

    Raises:
        UsageError: it does not work, and nothing else is allowed.
    """
    try:
        return Bubblewrap()
    except Unavailable as problem:
        if workspace.unconfined:
            return Unconfined()
        raise UsageError(
            f"commands cannot be confined: {problem}; or let them do whatever you may: --unconfined, "
            "Workspace(unconfined=True)"
        ) from None
