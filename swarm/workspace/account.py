"""What a workspace's branch is like: whether its check passes there, and what a run landed on it.

It looks and changes nothing, but that the branch is made where there is none.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.equipment import Ran, ToolFailed, Workspace
from swarm.errors import UsageError
from swarm.task import Answer
from swarm.workspace.opening import find
from swarm.workspace.sandbox import sandbox_of
from swarm.workspace.worktrees import Worktree, Worktrees

_TRAILERS = ("Swarm-Run", "Swarm-Slice", "Swarm-Cost")
_FIELDS = "%x1f".join(("%H", "%s", *(f"%(trailers:key={key},valueonly,separator=%x20)" for key in _TRAILERS)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit that a run landed. `slice` is the name of the order that it was made for, `cost` what that came to
    then, in words."""

    id: str
    subject: str
    slice: str
    cost: str = ""


@asynccontextmanager
async def at_tip(workspace: Workspace) -> AsyncIterator[Worktree]:
    """A worktree that shows the tip of the branch, and is gone afterwards.

    Raises:
        UsageError: the repository or the branch cannot be used, or commands cannot be confined.
    """
    sandbox = sandbox_of(workspace)
    with tempfile.TemporaryDirectory(prefix="swarm-") as folder:
        trees = Worktrees(workspace, Path(folder) / "tip", f"look-{secrets.token_hex(6)}", sandbox)
        await trees.begin()
        try:
            yield await trees.look("tip")
        finally:
            await trees.end(keep=False)


async def check_at_tip(workspace: Workspace) -> Ran:
    """What the workspace's check comes to at the tip of its branch, run as for work that is to land.

    Raises:
        UsageError: as `at_tip`, or it cannot be started.
    """
    async with at_tip(workspace) as tree:
        try:
            return await tree.run(workspace.check, workspace.check_bounds)
        except ToolFailed as error:
            raise UsageError(f"the check `{workspace.check}` cannot be run: {error}") from None


def place_of(paths: Sequence[str] | None, remote: str) -> dict[str, Any]:
    """Where a recipe is to work, as settings of a `Workspace`: in the one folder that is named, or at a remote.

    Raises:
        UsageError: it is neither, or both.
    """
    if remote and not paths:
        return {"remote": remote}
    if remote or len(paths or ()) != 1:
        named = [*(paths or ()), *(["a remote"] if remote else [])]
        told = f"these are {len(named)}: {' '.join(named)}" if named else "none is named"
        raise UsageError(f"one repository at a time, a folder or a --remote, and {told}")
    assert paths is not None
    return {"repository": paths[0]}


def said(ran: Ran) -> str:
    """How a command that failed ended, in a line."""
    last = next((line.strip() for line in reversed(ran.output.splitlines()) if line.strip()), "it says nothing")
    return f"{ran.ended or f'exit {ran.exit}'}: {last[:200]}"


async def landed(workspace: Workspace, run: str) -> tuple[Commit, ...]:
    """What a run landed on the branch, the first first.

    Raises:
        UsageError: the repository cannot be used.
        RunError: the branch is gone.
    """
    repository = await find(workspace)
    tip = await repository.tip()
    grep = ("--fixed-strings", f"--grep=Swarm-Run: {run}")
    out = await repository.git.out("log", "-z", "--reverse", *grep, f"--format={_FIELDS}", tip)
    rows = (os.fsdecode(row).split("\x1f") for row in out.split(b"\0") if row)
    return tuple(
        Commit(id=id_, subject=subject, slice=name.rpartition(" (")[0] or name, cost=cost)
        for id_, subject, of, name, cost in rows
        if of == run
    )


def in_lines(results: Mapping[str, str]) -> str:
    """What each slice came to, in the first line of its result: the answer as the journal keeps it."""
    return "\n".join(f"{name}: {result.strip().partition(chr(10))[0][:200]}" for name, result in results.items())


async def account_of(answer: Answer, workspace: Workspace) -> str:
    """What landed, what did not and why, and what it cost: for a person.

    Raises:
        UsageError: the repository cannot be used.
        RunError: the branch is gone.
    """
    commits = await landed(workspace, answer.run_id)
    changes = "change" if len(commits) == 1 else "changes"
    lines = [f"{len(commits)} {changes} landed on {workspace.branch}{':' if commits else '.'}"]
    lines += [
        f"- {one.id[:10]} {one.subject} [{'; '.join(filter(None, (one.slice, one.cost)))}]" for one in commits
    ]
    if answer.failures:
        lines += ["", "Not done:"]
        lines += [
            f"- {one.name or one.slice[:10]}: {' '.join(one.reason.split())[:400]}" for one in answer.failures
        ]
    if answer.stopped:
        lines += ["", f"It stopped: {' '.join(answer.stopped.split())[:400]}"]
    usage = answer.usage
    tokens = usage.input_tokens + usage.output_tokens
    return "\n".join([*lines, "", f"Cost: ${usage.cost_usd:.2f}, {usage.calls:,} calls, {tokens:,} tokens."])
