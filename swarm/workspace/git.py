"""Git as a hardened subprocess, for folders in which others have had a free hand.

Whatever runs in a worktree may leave anything in it: a `.git` of its own with hooks, filters and an fsmonitor, a
repository in a subfolder, attributes that ask for a program. So git is never left to discover a repository. It is
told the folder that git keeps for the worktree inside the user's own repository, which no command can write to;
hooks, the fsmonitor, signing and transports are switched off; neither the machine's configuration nor that of the
user's account is read; and the programs that the repository's own configuration names as filters are not run,
since an attributes file would choose what they are run on. A repository that keeps its files by filters (LFS,
git-crypt) is therefore worked on as it is stored.

This module knows processes and settings. What a worktree, a branch or a commit is for is told above it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from swarm.errors import RunError, UsageError

LEAST = (2, 38)
"""The first git whose `merge-tree` merges in the object database, with no worktree."""
AT_ONCE = 8
"""Processes of git at a time: each is short and keeps a core busy."""
_SAID_BYTES = 4096
_PATIENCE_SECONDS = 5.0  # for a git that is asked to end: it takes its lock files along
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.attributesFile": "/dev/null",
    "attr.tree": "",  # of no commit, which newer gits would take HEAD for
    "core.excludesFile": "/dev/null",
    "core.sparseCheckout": "false",
    "core.trustctime": "true",  # the one stamp of a file that its writer cannot set
    "core.checkStat": "default",
    "core.symlinks": "true",
    "core.protectNTFS": "true",  # no name that is a .git on another system
    "core.protectHFS": "true",
    "core.filesRefLockTimeout": "10000",
    "core.packedRefsTimeout": "10000",
    "core.askPass": "",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "diff.ignoreSubmodules": "all",
    "diff.external": "",
    "status.submoduleSummary": "false",
    "status.relativePaths": "false",
    "merge.conflictStyle": "merge",
    "merge.default": "text",  # no program
    "merge.directoryRenames": "false",  # no file of a slice is carried to where the slice did not put it
    "merge.renormalize": "false",
    "i18n.commitEncoding": "UTF-8",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
}


class Tree(Protocol):
    """A worktree as git is told of it."""

    @property
    def path(self) -> Path: ...
    @property
    def admin(self) -> Path:
        """The folder that git keeps for it inside the repository."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What git said. `code` is its exit; `error` its last words, in one line, and never empty where it failed."""

    code: int
    out: bytes
    error: str

    @property
    def line(self) -> str:
        return os.fsdecode(self.out).strip()


class Git:
    """Git on one repository, by the folder that its worktrees share.

    `held` are descriptors of lock files that git is given along: a lock is then held until the last git that was
    begun under it is gone, even where this process was killed.
    """

    def __init__(self, common: Path) -> None:
        self.common = common
        self.held: set[int] = set()
        self._settings = dict(_SETTINGS)
        self._who = {"name": "Swarm", "email": "swarm@localhost"}
        self._places, self._outward = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(AT_ONCE)

    def never(self, settings: Mapping[str, str]) -> None:
        """Override settings of the repository in all that is run from now on."""
        self._settings |= settings

    def sign_as(self, name: str, email: str) -> None:
        """Whose name commits carry."""
        self._who = {"name": name, "email": email}

    async def run(
        self,
        *words: str,
        at: Tree | None = None,
        stdin: bytes = b"",
        index: Path | None = None,
        most_bytes: int | None = None,
        outward: Mapping[str, str] | None = None,
    ) -> Said:
        """Run git: on the repository alone, or `at` a worktree of it, with another `index` where one is given. Of
        what it prints, `most_bytes` are kept. A git that is cancelled is asked to end, and waited for. One that
        goes to another repository has `outward` for its environment, in the place of a plain one.

        Raises:
            RunError: the worktree is not where it was made, or git cannot be run there.
        """
        if at:
            standing(at.path)
        where = [f"--git-dir={at.admin}", f"--work-tree={at.path}"] if at else [f"--git-dir={self.common}"]
        environment = self._environment(outward, alone=at is None)
        environment |= {"GIT_INDEX_FILE": str(index)} if index else {}
        cwd = at.path if at else self.common
        async with self._places if outward is None else self._outward:
            said = await run_git([*where, *words], environment, cwd, stdin, self.held, most_bytes)
        if at and said.code < 0:  # it was killed, and its locks on the worktree are nobody's
            for lock in at.admin.glob("*.lock"):
                lock.unlink(missing_ok=True)
        return said

    async def out(
        self, *words: str, at: Tree | None = None, stdin: bytes = b"", index: Path | None = None
    ) -> bytes:
        """What it prints.

        Raises:
            RunError: it failed.
        """
        said = await self.run(*words, at=at, stdin=stdin, index=index)
        if said.code:
            raise RunError(f"git {words[0]} failed in {self.common}: {said.error}")
        return said.out

    async def line(self, *words: str, at: Tree | None = None, stdin: bytes = b"") -> str:
        """As `out`, for one line."""
        return os.fsdecode(await self.out(*words, at=at, stdin=stdin)).strip()

    def _environment(self, outward: Mapping[str, str] | None, *, alone: bool) -> dict[str, str]:
        # without a worktree the repository counts as bare: no attributes are looked for in the current folder
        settings = self._settings | ({"core.bare": "true"} if alone else {})
        given = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            given[f"GIT_CONFIG_KEY_{number}"], given[f"GIT_CONFIG_VALUE_{number}"] = key, value
        for role in ("AUTHOR", "COMMITTER"):
            given |= {f"GIT_{role}_NAME": self._who["name"], f"GIT_{role}_EMAIL": self._who["email"]}
        return {**(plain_environment() if outward is None else outward), **given}


def standing(folder: Path) -> None:
    """See that a worktree is a folder of its own. Git follows a link that took its place, and would reset and
    clean whatever that leads to.

    Raises:
        RunError: it is gone, or it or a folder above it is a link by now.
    """
    if not os.path.isabs(folder) or os.path.realpath(folder) != os.fspath(folder):  # noqa: PTH117
        raise RunError(f"{str(folder)!r} is not the worktree that was made there: a link leads elsewhere")
    if not os.path.isdir(folder):  # noqa: PTH112
        raise RunError(f"the worktree {folder} is gone")


def plain_environment() -> dict[str, str]:
    """What every git is given, and all that it is given of this process's own."""
    places = [place for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place.startswith("/")]
    return {
        "PATH": os.pathsep.join(places),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
    }


async def run_git(
    words: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    stdin: bytes = b"",
    held: Iterable[int] = (),
    most_bytes: int | None = None,
) -> Said:
    """Run git with nothing but these settings.

    Raises:
        UsageError: there is no git.
        RunError: it cannot be run there.
    """
    loop, heard = asyncio.get_running_loop(), _Heard(most_bytes)
    try:
        transport, _ = await loop.subprocess_exec(
            lambda: heard,
            "git",
            *words,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            cwd=folder,
            env=dict(environment),
            pass_fds=tuple(held),
            start_new_session=True,  # Ctrl-C is for this process, which ends its gits in order
        )
    except FileNotFoundError:
        if not os.path.isdir(folder):  # noqa: ASYNC240, PTH112 - a look at one name
            raise RunError(f"the folder {folder} is gone") from None
        raise UsageError("there is no git on PATH: install git, 2.38 or later") from None
    except OSError as error:
        raise RunError(f"git cannot be run in {folder}: {error}") from None
    try:
        if stdin:
            pipe = transport.get_pipe_transport(0)
            assert isinstance(pipe, asyncio.WriteTransport)
            pipe.write(stdin)
            pipe.write_eof()
        await heard.over.wait()
    finally:
        await _end(transport, heard)
    code = transport.get_returncode()
    code = -1 if code is None else code
    return Said(code=code, out=bytes(heard.out), error=_last_words(heard.err) or (f"exit {code}" if code else ""))


class _Heard(asyncio.SubprocessProtocol):
    """Keeps what git prints, and knows when it is over: it has ended, or has printed enough."""

    def __init__(self, most_bytes: int | None) -> None:
        self.out, self.err = bytearray(), bytearray()
        self.over, self.gone = asyncio.Event(), asyncio.Event()
        self._most_bytes = most_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.err = (self.err + data)[-_SAID_BYTES:]
        elif self._most_bytes is None:
            self.out += data
        else:
            self.out += data[: self._most_bytes - len(self.out)]
            if len(self.out) >= self._most_bytes:
                self.over.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        self.over.set()
        self.gone.set()


async def _end(transport: asyncio.SubprocessTransport, heard: _Heard) -> None:
    """See a git out. Asked to end it takes its lock files along, which a kill would leave behind."""
    try:
        if not heard.gone.is_set():
            with suppress(ProcessLookupError):
                transport.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await heard.gone.wait()
    finally:
        transport.close()  # kills one that is still there


def _last_words(err: bytearray) -> str:
    lines = [
        line for line in err.decode("utf-8", "replace").splitlines() if not line.startswith(("hint:", "warning:"))
    ]
    return " ".join(lines)[:500]


async def check_version() -> None:
    """Raises:
    UsageError: git is older than what merging without a worktree needs.
    """
    said = await run_git(["--version"], plain_environment(), Path("/"))
    number = re.search(r"(\d+)\.(\d+)", said.line)
    if number is None or (int(number[1]), int(number[2])) < LEAST:
        raise UsageError(f"{said.line or 'git'} is too old for workspaces: install git 2.38 or later")


__all__ = ["AT_ONCE", "LEAST", "Git", "Said", "Tree", "check_version", "plain_environment", "run_git", "standing"]
