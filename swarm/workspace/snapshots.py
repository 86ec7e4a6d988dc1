"""What stands in a worktree, as commits: taken from it, and put into it so that nothing else is left in it.

The files of a worktree are whatever its commands made of them. What is no file, no link and no folder, and any
`.git`, is never a part of a commit; a repository in a subfolder is told about. Nothing here follows a link.
This module knows one worktree at a time, neither branches nor what its work is for.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swarm.errors import RunError
from swarm.workspace.git import Git, Tree, standing

_MARKS = re.compile(rb"^(?:<{7}|>{7}) [0-9a-f]{40}(?:[0-9a-f]{24})?(?::.*)?\r?$", re.MULTILINE)
"""The marks of a conflict as a landing leaves them: with the names of commits, as hardly anything else has
them."""
_BASE = "swarm-base"  # in the folder that git keeps for a worktree
_ONE_BY_ONE = 1_000
_TOLD_CHARS = 1_000
_SEARCHED_BYTES = 64 << 20  # of a file, for marks: what is longer was not merged by lines


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """The paths that differ from what a worktree began from, without what is ignored: those that are `gone`, those
    that are `new`, and others. `nested` are the folders in it that are repositories of their own."""

    paths: tuple[str, ...]
    nested: tuple[str, ...]
    new: frozenset[str]
    gone: frozenset[str]


async def changes(git: Git, tree: Tree) -> Changes:
    """What changed in a worktree since what it began from: also what somebody who is not confined has staged or
    committed there meanwhile. A submodule of the repository is not looked into."""
    await asyncio.to_thread(mend, tree)
    if (base := base_of(tree)) is not None and _head(tree) != base:
        await git.out("update-ref", "--no-deref", "HEAD", base, at=tree)
        await git.out("reset", "--quiet", "--mixed", base, at=tree)
    states = await _states(git, tree)
    if any(state[:1] not in b" ?" or state[1:] == b"A" for state in states.values()):
        await git.out("reset", "--quiet", "--mixed", "HEAD", at=tree)
        states = await _states(git, tree)
    return Changes(
        paths=tuple(path for path in states if not path.endswith("/")),
        nested=tuple(path for path in states if path.endswith("/")),
        new=frozenset(path for path, state in states.items() if state == b"??"),
        gone=frozenset(path for path, state in states.items() if b"D" in state),
    )


async def _states(git: Git, tree: Tree) -> dict[str, bytes]:
    options = ("-z", "--porcelain=v1", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")
    out = await git.out("status", *options, at=tree)
    return {os.fsdecode(row[3:]): row[:2] for row in out.split(b"\0") if row}


def note_base(tree: Tree, base: str) -> None:
    """Write down what a worktree begins from: its HEAD is anybody's who is not confined."""
    beside = tree.admin / f"{_BASE}.new"
    beside.write_text(f"{base}\n", "ascii")
    beside.replace(tree.admin / _BASE)


def base_of(tree: Tree) -> str | None:
    """What was so written down."""
    with suppress(OSError, ValueError):
        return (tree.admin / _BASE).read_text("ascii").strip() or None
    return None


def _head(tree: Tree) -> str:
    """The commit that a worktree is at, or the branch that somebody has switched it to."""
    with suppress(OSError, ValueError):
        return (tree.admin / "HEAD").read_text("utf-8").strip()
    return ""


async def stage(git: Git, tree: Tree, made: Changes, *, index: Path | None = None) -> str:
    """Take changes into the index as they stand, as far as git takes them; what it does not take, in its words.

    Told the paths, git does not go looking for them: `git add` would ask a submodule about itself, and run what
    the submodule's configuration says. What is gone goes first: a link may stand in the place of its folder."""
    kept = [path for path in made.paths if path not in made.gone]
    for words, paths in (("--force-remove",), sorted(made.gone)), (("--add", "--remove", "--replace"), kept):
        if paths and (wrong := await _update(git, tree, words, paths, index)):
            if len(paths) <= _ONE_BY_ONE:  # the first one that git does not take has held up the others
                one_by_one = [await _update(git, tree, words, [path], index) for path in paths]
                return " ".join(filter(None, one_by_one))[:_TOLD_CHARS] or wrong
            return wrong
    return ""


async def _update(git: Git, tree: Tree, words: Iterable[str], paths: Iterable[str], index: Path | None) -> str:
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    said = await git.run("update-index", *words, "-z", "--stdin", at=tree, stdin=given, index=index)
    if said.code:
        return said.error
    return said.error if "Ignoring path" in said.error else ""  # a name that would be a .git elsewhere


async def write_tree(git: Git, tree: Tree, *, index: Path | None = None) -> str:
    return os.fsdecode(await git.out("write-tree", at=tree, index=index)).strip()


async def put(git: Git, tree: Tree, content: str, *, base: str) -> None:
    """Have a worktree hold exactly `content`, a commit or a tree, with no other file in it, ignored ones included;
    and count as a change what differs from `base`."""
    await asyncio.to_thread(mend, tree)
    await asyncio.to_thread(note_base, tree, base)
    if _head(tree).startswith("ref:"):  # a reset would move that branch
        await git.out("update-ref", "--no-deref", "HEAD", base, at=tree)
    if content == base:
        await _sure(git, tree, "reset", "--quiet", "--hard", base)
    else:
        await _sure(git, tree, "read-tree", "--reset", "-u", content)
    await _sure(git, tree, "clean", "--quiet", "-ffdx")
    await asyncio.to_thread(_sweep, tree.path)
    if content != base:
        await git.out("reset", "--quiet", "--mixed", base, at=tree)


async def _sure(git: Git, tree: Tree, *words: str) -> None:
    """Run git; where it cannot, since a folder was closed to writing, open all of them and run it again."""
    if (await git.run(*words, at=tree)).code:
        await asyncio.to_thread(_open_up, tree.path)
        await git.out(*words, at=tree)


def mend(tree: Tree) -> None:
    """Put the `.git` of a worktree back as git made it, whatever became of it. Only commands in the worktree, and
    people, go by it.

    Raises:
        RunError: the worktree is not where it was made.
    """
    standing(tree.path)
    if tree.admin.is_relative_to(tree.path):
        raise RunError(f"{tree.path} is no worktree: the repository itself is in it")
    at, content = tree.path / ".git", os.fsencode(f"gitdir: {tree.admin}\n")
    with suppress(OSError):
        if stat.S_ISREG(at.lstat().st_mode) and at.stat().st_size < 1 << 16 and at.read_bytes() == content:
            return
    if at.is_dir() and not at.is_symlink():
        remove_folder(at)
    else:
        at.unlink(missing_ok=True)
    at.write_bytes(content)


def _sweep(folder: Path) -> None:
    """Remove what git neither keeps nor cleans: any `.git` below the top, pipes, sockets, devices."""
    left = [os.fspath(folder)]
    while left:
        at = left.pop()
        with os.scandir(at) as entries:
            for entry in entries:
                planted = entry.name == ".git" and at != os.fspath(folder)
                if entry.is_dir(follow_symlinks=False):
                    if planted:
                        remove_folder(Path(entry.path))
                    else:
                        left.append(entry.path)
                elif planted or not (entry.is_symlink() or entry.is_file(follow_symlinks=False)):
                    Path(entry.path).unlink()


def remove_folder(folder: Path) -> None:
    """Remove a folder and all that is in it, whatever its modes are; of a link in its place, the link alone.

    Raises:
        RunError: it cannot be removed, or is none that can be meant: it holds the current folder, is not named in
            full, or a link leads to it.
    """
    real = Path(os.path.realpath(folder))
    if not folder.is_absolute() or len(real.parts) < 3 or Path.cwd().is_relative_to(real):
        raise RunError(f"{str(folder)!r} is not removed: it cannot be meant")
    if os.path.realpath(folder.parent) != os.fspath(folder.parent):
        raise RunError(f"{str(folder)!r} is not removed: a link leads elsewhere")
    with suppress(OSError):
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        else:
            shutil.rmtree(folder)
        return
    if not folder.is_symlink() and folder.exists():
        _open_up(folder)
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise RunError(f"the folder {folder} cannot be removed: {error}") from None


def _open_up(folder: Path) -> None:
    for at, folders, _ in os.walk(folder):  # from the top, and not along links
        for path in (at, *(os.path.join(at, name) for name in folders)):  # noqa: PTH118 - by the thousand
            if not os.path.islink(path):  # noqa: PTH114
                with suppress(OSError):
                    os.chmod(path, 0o700)  # noqa: PTH101


def marked(folder: Path, paths: Iterable[str]) -> list[str]:
    """Those of the paths in which marks of a conflict still stand."""
    found = []
    for path in paths:
        try:
            state = (folder / path).lstat()
        except OSError:
            continue  # removed
        if stat.S_ISREG(state.st_mode) and state.st_size <= _SEARCHED_BYTES:
            with suppress(OSError):  # one that cannot be read: git says so
                if _MARKS.search((folder / path).read_bytes()):
                    found.append(path)
    return found


async def restore(git: Git, tree: Tree, paths: Iterable[str], new: Iterable[str]) -> None:
    """Have paths again as they were where the worktree began; those that are `new` are removed."""
    gone = set(new)
    standing(tree.path)
    try:
        await asyncio.to_thread(_remove_files, tree.path, gone)
    except OSError:  # in a folder that was closed to writing
        await asyncio.to_thread(_open_up, tree.path)
        await asyncio.to_thread(_remove_files, tree.path, gone)
    if kept := [path for path in paths if path not in gone]:
        given = b"".join(os.fsencode(path) + b"\0" for path in kept)
        words = ("--source=HEAD", "--staged", "--worktree", "--pathspec-from-file=-", "--pathspec-file-nul")
        await git.out("restore", *words, at=tree, stdin=given)


def _remove_files(folder: Path, paths: Iterable[str]) -> None:
    for path in paths:
        (folder / path).unlink(missing_ok=True)


__all__ = [
    "Changes",
    "base_of",
    "changes",
    "marked",
    "mend",
    "note_base",
    "put",
    "remove_folder",
    "restore",
    "stage",
    "write_tree",
]
