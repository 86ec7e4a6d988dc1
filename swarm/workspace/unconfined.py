"""Commands that are not confined: for machines without bubblewrap, and only where the user says so.

They may do whatever the user may: read and write everywhere, use the network. Their variables are made anew all
the same, they have a home of their own that is gone afterwards, are held to their bounds, and are ended with what
they started. A process that leaves its session and clears its variables is not found any more.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from swarm.equipment import Bounds, Ran
from swarm.workspace import census, running, view

_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
_MARK = "SWARM_COMMAND"
_AGAIN_SECONDS = 0.02  # a process may start others while it is looked for
# waits for the end of this process, however it comes, and then does what it would have done
_WATCH = """
read -r _
kill -KILL "-$1"
while all=$(grep -lszxF -e "$2" /proc/[0-9]*/environ); [ "$all" ]; do
    for found in $all; do
        found=${found#/proc/}
        kill -KILL "${found%/environ}"
    done
done
rm -rf -- "$3"
"""


class Unconfined:
    """Runs commands with the rights of the user."""

    name = "unconfined"

    async def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        writable: Sequence[Path] = (),  # noqa: ARG002 - all is
        readable: Sequence[Path] = (),  # noqa: ARG002 - all is
        environment: Mapping[str, str] = _NO_ENVIRONMENT,
        bounds: Bounds,
        network: bool = False,  # noqa: ARG002 - it has the user's
        stdin: bytes = b"",
    ) -> Ran:
        """See `Sandbox.run`; paths and the network are as they are for the user."""
        mark = secrets.token_hex(16)
        home = tempfile.mkdtemp(prefix="swarm-command-")
        try:
            given = {**view.environment(home), "PATH": _path(), **environment}
            launch = running.Launch(environment={**given, _MARK: mark}, cwd=folder)
            with _Grip(f"{_MARK}={mark}", home) as grip:
                return await running.run(command, launch, grip, folder=folder, bounds=bounds, stdin=stdin)
        finally:
            shutil.rmtree(home, ignore_errors=True)


class _Grip:
    """Holds a session, and what carries the mark of the command; a small shell does so too, for when this process
    is killed."""

    def __init__(self, mark: str, home: str) -> None:
        self._mark, self._home, self._session = mark, home, 0
        self._watch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Grip:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch:
            self._watch.kill()  # before its standard input closes
            self._watch.wait()
            assert self._watch.stdin
            self._watch.stdin.close()

    def take(self, pid: int) -> None:
        self._session = pid
        self._watch = subprocess.Popen(  # noqa: S603 - the script above
            ["/bin/sh", "-c", _WATCH, "sh", str(pid), self._mark, self._home],
            env={"PATH": view.SYSTEM_PATH},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def members(self, most: int) -> list[int]:
        return census.of_session(self._session, most)

    def kill(self) -> None:
        if not self._session:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._session, signal.SIGKILL)

    async def gone(self) -> None:
        """Those that left the group are looked for, and ended too."""
        while self._session and (left := self._left()):
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _left(self) -> set[int]:
        return {pid for pid in census.of_session(self._session, 1) if pid} | set(census.marked(self._mark))


def _path() -> str:
    """Where the user's own shell finds programs, with this Python's before them."""
    own = str(Path(sys.executable).parent)
    return f"{own}:{os.environ.get('PATH') or view.SYSTEM_PATH}"
