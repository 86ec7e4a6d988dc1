"""Checks that are programs: a command of the user's, or a number that a function gives.

Both fit where a check is asked for, `Role.check` for the result of one order and `Program.check` for the whole:

    role = Role(name="code", check=command(["python", "-m", "pytest", "-q"], cwd="project"))
    program = Program(orders=orders, check=metric(accuracy, at_least=0.95))

A check is asked before any opinion, and what it says holds. A command is the user's, fixed when the task is
written: nothing that a model says becomes a part of it. What a model made reaches it on standard input, as data.
This module knows processes and numbers, neither models nor runs.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import os
import re
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from swarm.errors import UsageError
from swarm.observe.log import redact_text, without_secrets
from swarm.orders import Order

TOLD_CHARS = 2_000
"""Of what a command prints, its last characters are told."""
AT_ONCE = 4
"""Runs of one command at a time: a thousand slices may finish together, and a test suite takes a core."""
_KEPT_BYTES = 4 * TOLD_CHARS + 4_096  # four a character, and some more, lest a secret is cut and not known again
_LINGERING_SECONDS = 2.0  # for output that is on its way when the process has ended
_UNFIT = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")  # colours, control characters


class Command:
    """A command as a check; see `command`, which makes it."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, timeout_seconds: float, at_once: int) -> None:
        self.argv, self.cwd, self.timeout_seconds = tuple(argv), cwd, timeout_seconds
        self._at_once = at_once
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"command({list(self.argv)!r}, cwd={str(self.cwd)!r})"

    async def __call__(self, result: object = None, order: Order | None = None) -> str | None:
        """Run it. With an `order`, `result` is what came of it and goes to standard input, as it is or as JSON,
        and the variable SWARM_ORDER holds the order's name. Without one, only a text goes there."""
        loop = asyncio.get_running_loop()
        places = self._places.setdefault(loop, asyncio.Semaphore(self._at_once))
        given = _as_bytes(result) if order is not None or isinstance(result, str) else b""
        more = {} if order is None else {"SWARM_ORDER": order.name.replace("\0", "")}
        async with places:
            return await self._run(given, {**without_secrets(os.environ), **more})

    async def _run(self, given: bytes, environment: Mapping[str, str]) -> str | None:
        loop = asyncio.get_running_loop()
        starting = asyncio.ensure_future(
            loop.subprocess_exec(
                _Watch,
                *self.argv,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self.cwd,
                env=environment,
                start_new_session=True,
            )
        )
        try:
            # cancelled in the middle of it, asyncio would kill the process alone, and wait for all that it started
            transport, watch = await asyncio.shield(starting)
        except asyncio.CancelledError:
            with suppress(OSError, ValueError):
                await _end(*await starting)
            raise
        except (OSError, ValueError) as error:
            raise UsageError(f"{self!r} cannot be run: {error}") from None
        try:
            async with asyncio.timeout(self.timeout_seconds):
                _feed(transport, given)
                await watch.ended.wait()
            late = False
        except TimeoutError:
            late = True
        finally:
            await _end(transport, watch)
        code = transport.get_returncode()
        if late:
            return _told(f"took longer than {self.timeout_seconds:g} seconds", watch.text())
        if code == 0:
            return None
        assert code is not None
        return _told(f"exit {code}" if code > 0 else f"ended by {_signal(-code)}", watch.text())


def command(
    argv: Sequence[str], *, cwd: str | Path, timeout_seconds: float = 600, at_once: int = AT_ONCE
) -> Command:
    """A check that runs a command in the folder `cwd`: right where it ends with 0; else what it printed last.

    It gets the environment without secrets, and no shell. When it takes longer than `timeout_seconds`, or the run
    is cancelled, it is killed with all that it started. `at_once` bounds how many of it run at a time.

    Raises:
        UsageError: `argv` is no list of words, or there is no such folder.
    """
    if isinstance(argv, str) or not argv or not all(isinstance(word, str) for word in argv):
        raise UsageError(f'the command {argv!r} is no list of words: write ["pytest", "-q"]')
    if not Path(cwd).is_dir():
        raise UsageError(f"the command's folder {str(cwd)!r} is none")
    if not timeout_seconds > 0 or at_once < 1:
        raise UsageError(f"a command needs time and a place: {timeout_seconds=}, {at_once=}")
    return Command(argv, cwd=Path(cwd).resolve(), timeout_seconds=timeout_seconds, at_once=at_once)


class Metric:
    """A number as a check; see `metric`, which makes it. `score` is the last one, such that higher is better, or
    None before the first."""

    def __init__(
        self, function: Callable[[Any], float | Awaitable[float]], at_least: float | None, at_most: float | None
    ) -> None:
        self._function, self._at_least, self._at_most = function, at_least, at_most
        self.score: float | None = None

    async def __call__(self, result: Any = None, order: Order | None = None) -> str | None:  # noqa: ARG002 - a check is given it
        found = self._function(result)
        given = await found if inspect.isawaitable(found) else found
        name = getattr(self._function, "__name__", "the metric").replace("<lambda>", "the metric")
        try:
            number = float(given)
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number):
            return f"{name} gave {given!r}, which is no number"
        self.score = -number if self._at_least is None else number
        if self._at_least is not None and number < self._at_least:
            return f"{name} is {number:g}: {self._at_least:g} at the least"
        if self._at_most is not None and number > self._at_most:
            return f"{name} is {number:g}: {self._at_most:g} at the most"
        return None


def metric(
    function: Callable[[Any], float | Awaitable[float]],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Metric:
    """A check that computes a number and holds it against a bound, or two. `function` gets what the check gets:
    the results of a program by name, or one result. The check's `score` shows whether rounds of planning lead
    anywhere: upward, or downward where there is only `at_most`.

    Raises:
        UsageError: no bound is given.
    """
    if at_least is None and at_most is None:
        raise UsageError("a metric needs a bound: at_least=…, or at_most=…")
    return Metric(function, at_least, at_most)


class _Watch(asyncio.SubprocessProtocol):
    """Keeps the end of what a process prints, and knows when it ended: then, and not when nobody holds its output
    open any more, for it may leave processes behind."""

    def __init__(self) -> None:
        self.ended, self.closed = asyncio.Event(), asyncio.Event()
        self._tail = bytearray()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - the base class names it
        self._tail += data
        del self._tail[:-_KEPT_BYTES]

    def process_exited(self) -> None:
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        self.closed.set()

    def text(self) -> str:
        plain = _UNFIT.sub("", self._tail.decode("utf-8", "replace").replace("\r\n", "\n"))
        return redact_text(plain.strip())[-TOLD_CHARS:].strip()


def _feed(transport: asyncio.SubprocessTransport, given: bytes) -> None:
    """Hand over the standard input and close it. Who does not read it is let be."""
    stdin = transport.get_pipe_transport(0)
    assert isinstance(stdin, asyncio.WriteTransport)
    if given:
        stdin.write(given)
    stdin.close() if not given else stdin.write_eof()


async def _end(transport: asyncio.SubprocessTransport, watch: _Watch) -> None:
    """Kill what is left of a process and of all that it started, and wait until it is gone."""
    _kill(transport)
    try:
        await watch.ended.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGERING_SECONDS):
                await watch.closed.wait()
    finally:
        transport.close()


def _kill(transport: asyncio.SubprocessTransport) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(transport.get_pid(), signal.SIGKILL)  # its own group, since it began a session
        else:
            transport.kill()


def _as_bytes(result: object) -> bytes:
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
    return text.encode("utf-8", "replace")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _told(what: str, printed: str) -> str:
    return f"{what}: {printed}" if printed else what


__all__ = ["AT_ONCE", "TOLD_CHARS", "Command", "Metric", "command", "metric"]
