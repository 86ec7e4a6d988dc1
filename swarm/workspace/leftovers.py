"""Worktrees of runs as they are found in a repository, and what becomes of those whose run is gone.

A worktree carries a label from the moment that git begins to make it: whose it is, in the reason for which git is
told to keep it. A run that is alive holds a file. So whatever a crash leaves is found by anyone who begins, and
what was unfinished is kept as a commit under `refs/swarm/RUN/SLICE`, whose parent is what the work began from.
While such a ref is there it is what the work is, and not what a worktree holds.

This module knows labels, refs and locks. It makes no worktree and moves no branch."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import RunError, UsageError
from swarm.observe.log import get_logger
from swarm.workspace.holds import Hold
from swarm.workspace.repository import Repository
from swarm.workspace.snapshots import changes, remove_folder, stage, write_tree

_log = get_logger("workspace")
_LABEL = re.compile(r"swarm run=(\S+) slice=(\S+) (reads|writes)\s*")
_HELD = ".run"  # how the name of the file ends that a run holds
_INSTANT_SECONDS = 1.0
_GONE = ".gone"  # and that of a folder which is about to be removed
_FOLDER = "swarm-folder"  # in the folder that git keeps for a worktree: which one it is
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """A worktree as it stands in the repository."""

    path: Path
    """Written by git after the label: a git that was killed in between leaves none, and this is then the folder
    that git keeps for it."""
    admin: Path
    run: str
    slice: str
    reads: bool

    @property
    def whole(self) -> bool:
        """Whether it stands where it was made, and git had filled it: it writes the index last."""
        if self.path == self.admin or os.path.realpath(self.path) != os.fspath(self.path):
            return False
        return self.path.is_dir() and (self.admin / "index").is_file()


def label(run: str, slice_: str, *, reads: bool) -> str:
    return f"swarm run={run} slice={slice_} {'reads' if reads else 'writes'}"


def checked_name(name: str) -> str:
    """A name of a run or a slice, fit for a ref and a folder.

    Raises:
        UsageError: it is not.
    """
    if not _fit(name):
        raise UsageError(f"{name!r} cannot name a worktree: letters, digits, '.', '_' and '-' can")
    return name


def _fit(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in name and not name.endswith((".", ".lock"))


def prefix(run: str) -> str:
    return f"refs/swarm/{run}/"


def hold_of(repository: Repository, run: str) -> Hold:
    """What a run holds as long as it is alive."""
    folder = repository.common / "swarm"
    folder.mkdir(mode=0o700, exist_ok=True)
    return Hold(folder / f"{run}{_HELD}")


def found(repository: Repository) -> list[Left]:
    """All worktrees that runs have in the repository."""
    lefts = []
    with suppress(FileNotFoundError):
        for admin in sorted((repository.common / "worktrees").iterdir()):
            try:
                of = _LABEL.fullmatch((admin / "locked").read_text("utf-8"))
                path = _place(admin)
            except (OSError, ValueError):  # a person's reason may be any bytes
                continue
            if of and _fit(of[1]) and _fit(of[2]):
                if not _ours(repository, path, admin, of[1], of[2]):
                    path = admin
                lefts.append(Left(path=path, admin=admin, run=of[1], slice=of[2], reads=of[3] == "reads"))
    return lefts


def _ours(repository: Repository, path: Path, admin: Path, run: str, slice_: str) -> bool:
    """Whether a folder is one that the run made for the slice: of its name, where the run has said that it makes
    worktrees, and made for what git keeps for it. Any other is not looked into and not touched, whatever stands in
    the repository: that may have come from elsewhere as a whole."""
    held = repository.common / "swarm" / f"{run}{_HELD}"
    if path.name != slice_ or path.parent not in _folders(held) or repository.common.is_relative_to(path):
        return False
    return _made_for(path, admin)


def _made_for(path: Path, admin: Path) -> bool:
    """Whether a folder is the worktree that `admin` is kept for: it says so itself, or is the very folder that was
    noted, whatever became of its `.git`, or there is nothing in it. Behind a link nothing is removed, and that is
    said when it is tried."""
    if os.path.realpath(path.parent) != os.fspath(path.parent) or path.is_symlink():
        return True  # a link in its place is removed alone
    with suppress(OSError):
        if f"{_identity(path)}\n" == (admin / _FOLDER).read_text("ascii"):
            return True
    link, names = os.fsencode(f"gitdir: {admin}\n"), _names(path)
    with suppress(OSError):
        state = (path / ".git").lstat()
        if stat.S_ISREG(state.st_mode) and state.st_size <= len(link):
            says = (path / ".git").read_bytes()
            return says == link or (link.startswith(says) and names == {".git"})  # a git was killed as it wrote it
    return not names


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208
    except FileNotFoundError:
        return set()
    except OSError:
        return {"?"}


def _identity(path: Path) -> str:
    state = path.lstat()
    return f"{state.st_dev}:{state.st_ino}"


def note_made(left: Left) -> None:
    """Write down which folder a worktree is, where no command can write."""
    (left.admin / _FOLDER).write_text(f"{_identity(left.path)}\n", "ascii")


def _place(admin: Path) -> Path:
    """Where a worktree is, as git has written it down; or its `admin` folder, where git was killed before it had:
    an empty path would be the current folder."""
    with suppress(OSError):
        at = Path(os.fsdecode((admin / "gitdir").read_bytes()).rstrip("\n"))
        if at.is_absolute() and at.name == ".git":
            return at.parent
    return admin


def note_folder(hold: Hold, folder: Path) -> None:
    """Write down, in what a run holds, where it makes worktrees: nothing is ever removed anywhere else."""
    assert hold.descriptor is not None
    if folder not in _folders(hold.path):
        whole = hold.path.read_bytes().rfind(b"\0") + 1
        with hold.path.open("r+b") as file:
            file.truncate(whole)  # what a crash cut off would pass for the beginning of this one
            file.seek(whole)
            file.write(os.fsencode(folder) + b"\0")
            file.flush()
            os.fsync(file.fileno())


def _folders(held: Path) -> set[Path]:
    with suppress(OSError):
        # what is not ended by its NUL was cut off by a crash
        return {Path(os.fsdecode(part)) for part in held.read_bytes().split(b"\0")[:-1] if part.startswith(b"/")}
    return set()


async def save(repository: Repository, left: Left) -> str | None:
    """Keep what is unfinished in a worktree under its ref, as far as git takes it; None where nothing is."""
    git = repository.git
    made = await changes(git, left)
    if not made.paths:
        return None
    if wrong := await stage(git, left, made):
        _log.warning("not all is kept", slice=left.slice, reason=wrong)
    base, tree = await git.line("rev-parse", "HEAD", at=left), await write_tree(git, left)
    commit = await repository.commit(tree, base, message=f"Unfinished work of slice {left.slice}\n")
    await repository.point(prefix(left.run) + left.slice, commit)
    return commit


async def remove(repository: Repository, left: Left) -> None:
    """Remove a worktree from the disk and from git's list. Done by hand: git looks at the worktree's own `.git`
    first, and leaves one alone whose `.git` was changed.

    Raises:
        RunError: it cannot be removed.
    """
    if left.path != left.admin and _ours(repository, left.path, left.admin, left.run, left.slice):
        (left.admin / "index").unlink(missing_ok=True)  # half of it is not whole: nobody takes it for work
        await asyncio.to_thread(remove_folder, left.path)
    if left.admin.parent == repository.common / "worktrees":
        await asyncio.to_thread(_throw_away, left.admin, repository.common / "swarm")


def _throw_away(admin: Path, swarm: Path) -> None:
    """Remove the folder that git keeps for a worktree. It goes from git's list at once: half of one has no
    label."""
    gone = swarm / f"{secrets.token_hex(8)}{_GONE}"
    with suppress(FileNotFoundError):
        admin.rename(gone)
    remove_folder(gone)


async def blanks(repository: Repository) -> None:
    """Remove from git's list what a git left that was killed as it began to make a worktree: a folder with nothing
    in it, or a label that nothing was written into. A git that is alive needs an instant for that."""
    if before := _blanks(repository.common / "worktrees"):
        await asyncio.sleep(_INSTANT_SECONDS)
        for admin in before & _blanks(repository.common / "worktrees"):
            with suppress(OSError):
                (admin / "locked").unlink(missing_ok=True)
                admin.rmdir()  # and nothing else, should there be more by now


def _blanks(worktrees: Path) -> set[Path]:
    found = set()
    with suppress(FileNotFoundError):
        for admin in worktrees.iterdir():
            with suppress(OSError):
                if all(entry.name == "locked" and not entry.stat().st_size for entry in admin.iterdir()):
                    found.add(admin)
    return found


async def sweep(repository: Repository, own: str) -> None:
    """Put away what runs other than one's `own` left that are gone, and remove forgotten locks of all. Whoever
    calls it is alone at the repository and holds the own run."""
    lefts, folder = found(repository), repository.common / "swarm"
    await blanks(repository)
    for gone in folder.glob(f"*{_GONE}"):
        await asyncio.to_thread(remove_folder, gone)
    names = {file.name.removesuffix(_HELD) for file in folder.glob(f"*{_HELD}")}
    runs = {left.run for left in lefts} | {name for name in names if _fit(name)}
    for run in sorted(runs - {own}):
        hold = hold_of(repository, run)
        if not hold.take():
            continue
        away = False
        try:
            unlock(repository, run, lefts)
            saved = await repository.refs(prefix(run))
            of_run = [left for left in lefts if left.run == run]
            away = all([await put_away(repository, left, keep=left.slice not in saved) for left in of_run])
        finally:
            hold.let_go(remove=away)


async def put_away(repository: Repository, left: Left, *, keep: bool) -> bool:
    """Remove a worktree; with `keep`, what is unfinished in it is kept. False where that failed: then it stays
    where it is, nothing is thrown away, and what its run holds must stay too, by which it is known again."""
    try:
        if keep and not left.reads and left.whole:
            await save(repository, left)
        await remove(repository, left)
    except (RunError, OSError) as error:
        _log.warning("worktree not put away", path=str(left.path), reason=str(error))
        return False
    return True


def unlock(repository: Repository, run: str, lefts: list[Left]) -> None:
    """Remove the locks of gits that were killed, on what only this run writes."""
    for left in lefts:
        if left.run == run:
            for lock in left.admin.glob("*.lock"):
                lock.unlink(missing_ok=True)
    refs = repository.common / prefix(run)
    if os.path.realpath(refs) == os.fspath(refs):  # else they are none of git's, a uv.lock for instance
        for lock in refs.glob("*.lock"):
            lock.unlink(missing_ok=True)


async def remove_all(repository: Repository, run: str) -> None:
    """Remove all that a run left in a repository: worktrees, unfinished work, refs. What has landed stays.

    Raises:
        UsageError: the run is at work.
    """
    async with repository.alone():
        hold = hold_of(repository, checked_name(run))
        if not hold.take():
            raise UsageError(f"the run {run} is at work in another process: stop it first")
        try:
            lefts = found(repository)
            unlock(repository, run, lefts)
            for left in lefts:
                if left.run == run:
                    await remove(repository, left)
            await repository.drop(*(prefix(run) + name for name in await repository.refs(prefix(run))))
        except BaseException:
            let_go(hold, over=False)
            raise
        let_go(hold, over=True)


def let_go(hold: Hold, *, over: bool) -> None:
    """Let go of a run, and where it is `over`, leave nothing of it: without the file that it holds, no worktree is
    known to be its own."""
    hold.let_go(remove=over)
    with suppress(OSError):
        os.rmdir(hold.path.parent)  # noqa: PTH106 - empty, or in use by others


__all__ = [
    "Left",
    "blanks",
    "checked_name",
    "found",
    "hold_of",
    "label",
    "let_go",
    "note_folder",
    "note_made",
    "prefix",
    "put_away",
    "remove",
    "remove_all",
    "save",
    "sweep",
    "unlock",
]
