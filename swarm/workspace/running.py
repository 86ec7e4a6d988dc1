"""One process, held to its bounds, and ended with all that it started.

It starts as a small shell script that waits for a word from here before it becomes the command. So whoever
holds the processes (`Grip`) has them before the command does anything, and if this process dies before it gives
the word, the command never runs. What sandboxes there are, and what they let a command see, is not known here.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.workspace import census
from swarm.workspace.printed import Printed

LOOK_SECONDS = 0.1
"""Between two looks at the processes of a command; ten times as long as a look takes, where that is longer."""
SPARE_DISK_BYTES = 512 << 20
"""Left free on the disk of the working folder: who fills it up is ended before it is full for everybody."""
ADDRESSES_EACH = 4
"""Address space of one process, as a multiple of the memory bound. Runtimes reserve much that they never use; what
is used is looked at."""
_LEAST_ADDRESSES = 1 << 30
_START_SECONDS = 60.0
_GONE_SECONDS = 60.0
_TOLD_BYTES = 4096

_HERE = b"swarm: here\n"
_MISSING = b"swarm: missing\n"
_SCRIPT = """
command -v -- "$1" >/dev/null 2>&1 || { echo "swarm: missing" >&2; exit 127; }
{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null
ulimit -c 0 2>/dev/null
ulimit -n 4096 2>/dev/null
ulimit -f FILE 2>/dev/null
ulimit -v ADDRESSES 2>/dev/null
TASKS
echo "swarm: here" >&2
read -r _ || exit 125
exec 2>&1
exec "$@"
"""


class Grip(Protocol):
    """Holds the processes of one command."""

    def take(self, pid: int) -> None:
        """The process that was started is `pid`; it waits, and nothing of the command has run."""

    def members(self, most: int) -> list[int]:
        """The processes of the command; the search may end where there are more than `most`."""

    def kill(self) -> None:
        """End them all, at once. May be called again, and when nothing is left."""

    async def gone(self) -> None:
        """Wait until none is left, having killed them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """How the process is started: the words before the script, and what they are given."""

    before: Sequence[str] = ()
    environment: Mapping[str, str]
    cwd: Path
    pass_fds: Sequence[int] = ()
    tasks_are_own: bool = False
    """Whether the kernel counts the command's processes apart from the user's others."""


async def run(
    command: Sequence[str], launch: Launch, grip: Grip, *, folder: Path, bounds: Bounds, stdin: bytes
) -> Ran:
    """Run it. `folder` is where it works: the space on its disk is watched. Cancelled, it ends the command first.

    Raises:
        ToolFailed: it cannot be started.
    """
    if isinstance(command, str) or not command or not command[0]:
        raise ToolFailed("the command is empty: give a program and its arguments")
    words = [*launch.before, "/bin/sh", "-c", _script(bounds, launch.tasks_are_own), "sh", *command]
    watch = _Watch(bounds.output_bytes)
    # in a task of its own, which is told to stop and never cancelled: a sandbox that is killed while it is being
    # made may leave a process that nobody holds yet
    work = asyncio.ensure_future(_run(words, command[0], launch, grip, watch, folder, bounds, stdin))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        watch.over.set()
        while not work.done():
            with suppress(asyncio.CancelledError):  # it is on its way out already
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # nobody is there to hear it
        raise


async def _run(
    words: Sequence[str],
    program: str,
    launch: Launch,
    grip: Grip,
    watch: _Watch,
    folder: Path,
    bounds: Bounds,
    stdin: bytes,
) -> Ran:
    try:
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: watch,
            *words,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=launch.cwd,
            env=launch.environment,
            pass_fds=launch.pass_fds,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ToolFailed(f"the command cannot be started: {error}") from None
    held = False
    try:
        await _waits(watch, program)
        grip.take(transport.get_pid())
        held, began = True, monotonic()
        if not watch.over.is_set():
            _feed(transport, b"\n" + stdin)
        ended = await _until_over(watch, grip, bounds, folder)
        seconds = monotonic() - began
    finally:
        await _end(transport, watch, grip, held)
    code = _exit(transport)
    return Ran(
        exit=code,
        output=watch.printed.text(),
        output_bytes=watch.printed.bytes,
        seconds=seconds,
        ended=ended or _file_too_large(code, bounds),
    )


class _Watch(asyncio.SubprocessProtocol):
    """Keeps what is printed, hears what the script says before it becomes the command, and knows when it is over:
    the process ended, printed too much, or nobody waits for it any more."""

    def __init__(self, output_bytes: int) -> None:
        self.printed, self.told = Printed(), b""
        self.heard, self.over = asyncio.Event(), asyncio.Event()
        self.exited, self.closed = asyncio.Event(), asyncio.Event()
        self._output_bytes = output_bytes

    @property
    def printed_too_much(self) -> bool:
        return self.printed.bytes > self._output_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.told = (self.told + data)[:_TOLD_BYTES]
            if self.told.endswith(_HERE):
                self.heard.set()
            return
        self.printed.add(data)
        if self.printed_too_much:
            self.over.set()

    def process_exited(self) -> None:
        self.exited.set()
        self.over.set()
        self.heard.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        self.closed.set()


async def _waits(watch: _Watch, program: str) -> None:
    """Return when the script waits for the word."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            await watch.heard.wait()
            if not watch.told.endswith(_HERE):
                await watch.closed.wait()  # what it said last may still be on its way
    except TimeoutError:
        raise ToolFailed(f"the command could not be started within {_START_SECONDS:g} seconds") from None
    if watch.told.endswith(_HERE):
        return
    if watch.told.endswith(_MISSING):
        raise ToolFailed(
            f"there is no program {program!r} here that can be run: is its name right, is it on PATH?"
        )
    said = watch.told.decode("utf-8", "replace").strip() or "it ended before it began"
    raise ToolFailed(f"the command cannot be started: {said}")


async def _until_over(watch: _Watch, grip: Grip, bounds: Bounds, folder: Path) -> str:
    """Wait for the end of the process, or the first bound that it reaches, in words."""
    loop = asyncio.get_running_loop()
    until, pause = loop.time() + bounds.seconds, LOOK_SECONDS
    spare = SPARE_DISK_BYTES if _free_bytes(folder) > 2 * SPARE_DISK_BYTES else 0
    while not watch.over.is_set():
        left = until - loop.time()
        if left <= 0:
            return f"it took longer than {bounds.seconds:g} seconds"
        with suppress(TimeoutError):
            async with asyncio.timeout(min(pause, left)):
                await watch.over.wait()
                break
        looked = monotonic()
        if beyond := _beyond(grip.members(bounds.processes), bounds):
            return beyond
        if spare and _free_bytes(folder) < spare:
            return f"the disk is nearly full: less than {_size(spare)} are left"
        pause = max(LOOK_SECONDS, 10 * (monotonic() - looked))
    return f"it printed more than {_size(bounds.output_bytes)}" if watch.printed_too_much else ""


def _beyond(members: Sequence[int], bounds: Bounds) -> str:
    if len(members) > bounds.processes:
        return f"it had more than {bounds.processes} processes, or threads out of all proportion"
    if census.resident_bytes(members) > bounds.memory_bytes < census.shared_out_bytes(members):
        return f"it held more than {_size(bounds.memory_bytes)} of memory"
    return ""


async def _end(transport: asyncio.SubprocessTransport, watch: _Watch, grip: Grip, held: bool) -> None:
    """End what is left, and wait until it is gone and all that it printed is read."""
    grip.kill()
    if not held and not watch.exited.is_set():
        with suppress(ProcessLookupError):
            # not transport.kill: that fetches the exit of one that just ended, which asyncio then misses
            os.kill(transport.get_pid(), signal.SIGKILL)
    try:
        with suppress(TimeoutError):  # what the kernel does not let go of holds nobody else up
            async with asyncio.timeout(_GONE_SECONDS):
                await watch.exited.wait()
                await grip.gone()
                await watch.closed.wait()
    finally:
        transport.close()


def _feed(transport: asyncio.SubprocessTransport, given: bytes) -> None:
    pipe = transport.get_pipe_transport(0)
    assert isinstance(pipe, asyncio.WriteTransport)
    pipe.write(given)
    pipe.write_eof()


def _script(bounds: Bounds, tasks_are_own: bool) -> str:
    addresses = max(_LEAST_ADDRESSES, ADDRESSES_EACH * bounds.memory_bytes)
    tasks = census.THREADS_EACH * bounds.processes
    # dash says -p for what others say -u
    of_tasks = f"ulimit -u {tasks} 2>/dev/null || ulimit -p {tasks} 2>/dev/null" if tasks_are_own else ""
    return (
        _SCRIPT.replace("FILE", str(max(1, bounds.file_bytes >> 9)))
        .replace("ADDRESSES", str(addresses >> 10))
        .replace("TASKS", of_tasks)
    )


def _exit(transport: asyncio.SubprocessTransport) -> int:
    """As a shell counts: 128 and the signal that ended it."""
    code = transport.get_returncode()
    if code is None:
        return 128 + signal.SIGKILL
    return code if code >= 0 else 128 - code


def _file_too_large(exit_: int, bounds: Bounds) -> str:
    if exit_ == 128 + getattr(signal, "SIGXFSZ", 25):
        return f"it wrote a file larger than {_size(bounds.file_bytes)}"
    return ""


def _free_bytes(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):
        return 0
    return found.f_bavail * found.f_frsize


def _size(size: int) -> str:
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}"
    return f"{size} bytes"
