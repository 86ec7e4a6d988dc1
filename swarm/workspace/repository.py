"""The repository of a workspace: found and checked once, and its branch, which moves by compare and swap.

`at` looks at what the user named and says in one line what does not fit. Nothing here touches a checkout: the
user's own is never read nor written. This module knows refs and commits, neither worktrees nor runs' work.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import RunError, StaleLease, UsageError
from swarm.observe.log import get_logger
from swarm.workspace.git import Git, check_version, plain_environment, run_git
from swarm.workspace.holds import alone
from swarm.workspace.remote import Remote

_log = get_logger("workspace")
_FORGOTTEN_LOCK_SECONDS = 2.0  # a git that is alive holds a lock on a ref for milliseconds
_FORBIDDEN_FILTERS = {"clean": "", "smudge": "", "process": "", "required": "false"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """Work as it would be upon another commit: the `commit`, or the `tree` with the marks of a conflict in it and
    the files that conflict, and between which commits, as the marks name them."""

    tree: str
    commit: str | None
    conflicts: tuple[str, ...] = ()
    ours: str = ""
    theirs: str = ""


async def always() -> bool:
    """Of work that nobody else can have taken over."""
    return True


class Repository:
    """A repository and the branch that work lands on. `head` is the folder that git keeps for the checkout that
    the user named, which may be a linked worktree. `remote` is where the branch is, if not here (`shared`)."""

    remote: Remote | None = None

    def __init__(self, git: Git, head: Path, branch: str, zero: str) -> None:
        self.git, self.head, self.branch, self.zero = git, head, branch, zero
        self.common = git.common
        self._among = asyncio.Lock()

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Be the only one to add worktrees and to look after what others left, on this machine."""
        return alone(self.common, self._among, self.git.held)

    async def tip(self) -> str:
        """The commit that the branch is at.

        Raises:
            RunError: the branch is gone.
        """
        said = await self.git.run("rev-parse", "--verify", "--quiet", f"{self.ref}^{{commit}}")
        if said.code < 0:
            raise RunError(f"git cannot tell where the branch {self.branch!r} is: {said.error}")
        if said.code:
            raise RunError(f"the branch {self.branch!r} is gone from {self.common}")
        return said.line

    async def tree(self, commit: str) -> str:
        return await self.git.line("rev-parse", "--verify", f"{commit}^{{tree}}")

    async def parent(self, commit: str) -> str:
        return await self.git.line("rev-parse", "--verify", f"{commit}^")

    async def has(self, commit: str, *, in_: str | None = None) -> bool:
        """Whether a commit is part of the history of another, or of the branch; one that is unknown is not.

        Raises:
            RunError: git did not say.
        """
        said = await self.git.run("merge-base", "--is-ancestor", commit, in_ or self.ref)
        if said.code not in (0, 1, 128):
            raise RunError(f"git cannot say whether {commit} is in {in_ or self.branch}: {said.error}")
        return said.code == 0

    async def fresh(self, within_seconds: float = 0.0) -> None:
        """See what others have landed on other machines, if that was not seen a moment ago.

        Raises:
            RunError: where the branch is cannot be reached, or it was rewritten there.
        """

    async def at_front(self) -> None:
        """As `fresh`, for work that lands next; where it is the turn of others, wait for that."""

    async def beaten(self, times: int) -> None:
        """The branch was moved by others while work was tried, so many times: wait a little, or take the turn."""

    async def settled(self) -> None:
        """The work that was beaten is tried no more."""

    async def move(
        self, commit: str, *, upon: str, dropping: str, still_ours: Callable[[], Awaitable[bool]] = always
    ) -> bool:
        """Move the branch from one commit to another, and drop a ref; False where it was at none of the two.
        `still_ours` is asked right before.

        Raises:
            RunError: git cannot, though the branch is where it was thought to be.
            StaleLease: the work is another's by now.
        """
        if not await still_ours():
            raise StaleLease("the slice is another's by now: its work does not land from here")
        orders = f"update {self.ref} {commit} {upon}\ndelete {dropping}\n".encode()
        said = await self.git.run("update-ref", "--stdin", stdin=orders)
        if said.code and await self.tip() == upon:  # killed on the way, or held up by the lock of one that was
            await self.forgotten()
            said = await self.git.run("update-ref", "--stdin", stdin=orders)
        if said.code == 0:
            return True
        if await self.has(commit):  # killed when it had moved it
            await self.drop(dropping)
            return True
        if await self.tip() == upon:
            raise RunError(f"the branch {self.branch!r} cannot be moved: {said.error}")
        return False

    async def forgotten(self) -> None:
        """Remove the locks of gits that were killed on what all write: those that nobody lets go of."""
        for lock in (self.common / f"{self.ref}.lock", self.common / "packed-refs.lock"):
            if (before := _stamp(lock)) is not None:
                await asyncio.sleep(_FORGOTTEN_LOCK_SECONDS)
                if _stamp(lock) == before:
                    _log.warning("removed a lock that a killed git left", path=str(lock))
                    lock.unlink(missing_ok=True)

    async def point(self, ref: str, commit: str) -> None:
        await self.git.out("update-ref", ref, commit)

    async def drop(self, *refs: str) -> None:
        if refs:
            await self.git.out("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in refs).encode())

    async def refs(self, prefix: str) -> dict[str, str]:
        """The refs below a prefix, by the rest of their names."""
        said = await self.git.out("for-each-ref", "--format=%(objectname) %(refname)", prefix)
        rows = (line.split(" ", 1) for line in os.fsdecode(said).splitlines())
        return {name.removeprefix(prefix): commit for commit, name in rows}

    async def commit(self, tree: str, *parents: str, message: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        return await self.git.line("commit-tree", tree, *words, stdin=message.encode("utf-8", "replace"))

    async def changed(self, base: str, commit: str) -> tuple[str, ...]:
        """The paths in which two commits differ."""
        out = await self.git.out("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, commit)
        return tuple(os.fsdecode(path) for path in out.split(b"\0") if path)

    async def merged(self, work: str, *, base: str, tree: str, upon: str, message: str) -> Merged:
        """What `work`, with its `tree`, changed against its parent `base`, upon another commit, as a cherry-pick
        would have it."""
        if base == upon:
            return Merged(tree=tree, commit=work)
        ours, theirs = upon, work
        if not await self.has(base, in_=upon):
            # the branch was written anew: what git would find as the base of both is not what the work began from
            root = await self.commit(await self.tree(base), message="base")
            ours = await self.commit(await self.tree(upon), root, message="ours")
            theirs = await self.commit(tree, root, message="theirs")
        said = await self.git.run("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
        if said.code not in (0, 1):
            raise RunError(f"git cannot merge {work} upon {upon}: {said.error}")
        merged, *names = (os.fsdecode(part) for part in said.out.split(b"\0"))
        if said.code == 1:
            conflicts = tuple(dict.fromkeys(filter(None, names)))
            return Merged(tree=merged, commit=None, conflicts=conflicts, ours=ours, theirs=theirs)
        return Merged(tree=merged, commit=await self.commit(merged, upon, message=message))

    async def ensure_branch(self, base: str) -> None:
        """Make the branch where there is none, and see that nobody has it checked out.

        Raises:
            UsageError: it cannot be made, its base is no commit, it is checked out, or another name for a branch.
        """
        if (await self.git.run("symbolic-ref", "--quiet", self.ref)).code == 0:
            raise UsageError(f"{self.branch!r} is another name for a branch, which may be in use: name one itself")
        listing = [f"--git-dir={self.common}", "worktree", "list", "--porcelain", "-z"]
        said = await run_git(listing, plain_environment(), self.common)  # as `Git` calls it, it would seem bare
        folder = ""
        for word in os.fsdecode(said.out).split("\0"):
            folder = word.removeprefix("worktree ") if word.startswith("worktree ") else folder
            if word == f"branch {self.ref}":
                raise UsageError(
                    f"the branch {self.branch!r} is checked out in {folder}, whose files would not follow it: "
                    "name another branch for the workspace, or switch there to another one"
                )
        if (await self.git.run("rev-parse", "--verify", "--quiet", f"{self.ref}^{{commit}}")).code == 0:
            return
        made = await self.git.run("update-ref", self.ref, await self.named(base), self.zero)
        if made.code:
            raise UsageError(f"the branch {self.branch!r} cannot be made in {self.common}: {made.error}")

    async def begins(self, base: str) -> str:
        """The commit that work goes on from: the branch's, or what `base` names where there is no branch yet.

        Raises:
            UsageError: that is no commit.
        """
        said = await self.git.run("rev-parse", "--verify", "--quiet", f"{self.ref}^{{commit}}")
        return said.line if said.code == 0 else await self.named(base)

    async def named(self, base: str) -> str:
        """The commit of a name, as the folder of the workspace has it: HEAD is that of its own checkout.

        Raises:
            UsageError: it is none.
        """
        from_ = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}"]
        said = await run_git([f"--git-dir={self.head}", *from_], plain_environment(), self.common)
        if said.code == 0:
            return said.line
        if base == "HEAD":
            raise UsageError(f"the repository {self.common} has no commit yet: make one, work begins from it")
        raise UsageError(f"the repository {self.common} has no commit {base!r} for work to begin from")


async def at(named: str, branch: str) -> Repository:
    """The repository of a folder, and its branch, which need not be there.

    Raises:
        UsageError: there is none, it is not whole, git is too old, or the branch's name is no good.
    """
    await check_version()
    folder = Path(os.path.expanduser(named))  # noqa: ASYNC240, PTH111
    if not os.path.isdir(folder):  # noqa: ASYNC240, PTH112
        raise UsageError(f"the workspace's repository {str(folder)!r} is no folder")
    asked = ("--path-format=absolute", "--git-common-dir", "--absolute-git-dir", "--show-object-format")
    # the user's own configuration may say that a repository of somebody else's is to be trusted
    theirs = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME") if name in os.environ}
    plain = {k: v for k, v in plain_environment().items() if k not in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL")}
    said = await run_git(["rev-parse", *asked], plain | theirs, folder)
    if said.code:
        if "not a git repository" in said.error:
            raise UsageError(f"{str(folder)!r} is in no git repository: run `git init` there and commit first")
        raise UsageError(f"the repository {str(folder)!r} cannot be used: {said.error}")
    if len(said.line.splitlines()) != len(asked) - 1:
        raise UsageError(f"the repository {str(folder)!r} has a line break in its path, which git cannot tell")
    common, head, form = said.line.splitlines()
    git = Git(Path(os.path.realpath(common)))  # noqa: ASYNC240 - as git writes it into worktrees
    checked = await git.run("check-ref-format", f"refs/heads/{branch}")
    if checked.code:
        raise UsageError(f"{branch!r} cannot be the branch that work lands on: git takes no such name")
    settings = await settings_in(git)
    if any(key == "extensions.partialclone" for key in settings):
        raise UsageError(
            f"{str(folder)!r} is a partial clone: fetch the rest with `git fetch --refetch --no-filter`"
        )
    git.never(without_programs(settings))
    git.sign_as(settings.get("user.name") or "Swarm", settings.get("user.email") or "swarm@localhost")
    return Repository(git, Path(head), branch, "0" * (64 if form == "sha256" else 40))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.lstat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_mtime_ns


async def settings_in(git: Git) -> dict[str, str]:
    """The repository's own configuration."""
    said = await git.out("config", "--null", "--list")
    rows = (row.partition("\n") for row in os.fsdecode(said).split("\0") if row)
    return {key: value for key, _, value in rows}


def without_programs(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings that take the programs out of the filters that are set."""
    names = {key[: key.rindex(".")] for key in settings if key.startswith("filter.")}
    return {f"{name}.{part}": value for name in names for part, value in _FORBIDDEN_FILTERS.items()}


__all__ = ["Merged", "Repository", "always", "at", "settings_in", "without_programs"]
