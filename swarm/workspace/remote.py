"""A repository that many machines reach, as git's transports have it: which refs it has, fetched and pushed.

Whoever keeps it is as little trusted as a worktree is: git goes by the one transport that the address names, fills
no submodules and runs no hook; of a repository on this machine's disks, which git would serve itself, neither its
hooks nor the programs that its configuration names are run. Credentials are git's own: the ssh agent, credential
helpers and GIT_ASKPASS, as this user's configuration has them. No user or password is in the address
(`swarm.equipment.fit_remote`), and what git says is passed on without any.

This module knows refs by name; what they are for is told above it."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from swarm.equipment import fit_remote
from swarm.errors import RunError
from swarm.observe.log import get_logger, redact_text
from swarm.workspace.git import Git, Said, plain_environment

PATIENCE_SECONDS = 60.0
"""For a remote that is gone, or refuses for the moment."""
_PUSH_SECONDS, _FETCH_SECONDS = 300.0, 3_600.0  # for one that has stopped talking
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 20.0
_SETTINGS = {
    "fetch.prune": "false",
    "fetch.pruneTags": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.recurseSubmodules": "no",
    "push.useForceIfIncludes": "false",
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "60",
}
_SERVED = {  # of the git that serves a repository on this machine
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.alternateRefsCommand": "true",
    "receive.autogc": "false",
    "gc.auto": "0",
}
_THEIRS = {
    "GIT_ASKPASS", "GIT_CONFIG_GLOBAL", "GIT_PROXY_COMMAND", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT",
}  # fmt: skip
_HELD_BACK = {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"}  # what keeps a git from the user's configuration
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
_HALF_MADE = "bad object worktrees/"  # of a worktree that another git makes at this very moment
_TLS = "GIT_SSL_"
_USER = re.compile(r"(\w://)[^/\s'\"]*@")
_log = get_logger("workspace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Push:
    """What a ref is to be: a `commit`, or gone where that is empty; provided that it is `expected`, which is empty
    for a ref that is not to be there yet."""

    ref: str
    commit: str
    expected: str


class Remote:
    def __init__(self, url: str, git: Git) -> None:
        self.url, self._git = url, git
        self._by = fit_remote(url)
        git.never(_SETTINGS)

    async def refs(self, *patterns: str, patience: float = PATIENCE_SECONDS) -> dict[str, str]:
        """The refs of these names, which may end in `*`, with what they are at.

        Raises:
            RunError: it cannot be reached for as long as `patience`, in seconds.
        """
        waits = Waits(patience)
        while True:
            said = await self._run(
                "ls-remote", *self._served("upload-pack"), self.url, *patterns, seconds=_PUSH_SECONDS
            )
            if said.code == 0:
                rows = (line.split("\t", 1) for line in os.fsdecode(said.out).splitlines())
                return {name: commit for commit, name in rows}
            if not await waits.more():
                raise RunError(f"the remote {self.url} cannot be reached: {said.error}")
            _log.warning("remote not reached, tried again", remote=self.url, reason=said.error)

    async def fetch(self, *specs: str, prune: bool = False, patience: float = PATIENCE_SECONDS) -> bool:
        """Have refs of it here: `+THEIRS:OURS`, or the name of a commit in the place of theirs; with `prune`, none
        of ours that are not theirs. False where it has none of such a name.

        Raises:
            RunError: it cannot be reached for as long as `patience`, in seconds.
        """
        waits = Waits(patience)
        words = [*_FETCH, *(["--prune"] if prune else []), *self._served("upload-pack"), self.url, *specs]
        while True:
            said = await self._run("fetch", *words, seconds=_FETCH_SECONDS)
            if said.code == 0:
                return True
            if "couldn't find remote ref" in said.error or "not our ref" in said.error:
                return False
            if not await waits.more():
                raise RunError(f"the remote {self.url} cannot be reached: {said.error}")
            if _HALF_MADE not in said.error:
                _log.warning("remote not reached, tried again", remote=self.url, reason=said.error)

    async def push(self, *pushes: Push) -> Said:
        """Set refs by compare and swap: all of them, or where it fails, as far as is known, none. Where it is said
        to have failed, it may have happened all the same."""
        leases = [f"--force-with-lease={one.ref}:{one.expected}" for one in pushes]
        specs = [f"{one.commit}:{one.ref}" for one in pushes]
        words = ["--quiet", "--no-verify", "--no-signed", *(["--atomic"] if len(pushes) > 1 else []), *leases]
        return await self._run(
            "push", *words, *self._served("receive-pack"), self.url, *specs, seconds=_PUSH_SECONDS
        )

    def _served(self, service: str) -> list[str]:
        if self._by != "file":
            return []
        settings = " ".join(f"-c {shlex.quote(f'{key}={value}')}" for key, value in _SERVED.items())
        return [f"--{service}=git {settings} {service}"]

    async def _run(self, *words: str, seconds: float) -> Said:
        try:
            async with asyncio.timeout(seconds):
                said = await self._git.run(*words, outward=self._environment())
        except TimeoutError:
            return Said(code=-1, out=b"", error=f"it said nothing for {seconds:g} seconds")
        return Said(code=said.code, out=said.out, error=redact_text(_USER.sub(r"\1", said.error)))

    def _environment(self) -> Mapping[str, str]:
        """This process's own, where helpers and agents find what they need, without what would lead git itself
        elsewhere."""
        theirs = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name in _THEIRS or name.startswith(_TLS)
        }
        plain = {name: value for name, value in plain_environment().items() if name not in _HELD_BACK}
        return theirs | plain | {"GIT_ALLOW_PROTOCOL": self._by}


class Waits:
    """Waits between tries, random and each about twice as long, until so many seconds are over."""

    def __init__(self, seconds: float) -> None:
        self._ends = asyncio.get_running_loop().time() + seconds
        self._next = _FIRST_WAIT

    async def more(self) -> bool:
        """Wait; False where the time is over."""
        left = self._ends - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        await asyncio.sleep(min(left, random.uniform(self._next / 2, self._next)))  # noqa: S311 - no secret
        self._next = min(2 * self._next, _LONGEST_WAIT)
        return True


__all__ = ["PATIENCE_SECONDS", "Push", "Remote", "Waits"]
