"""A folder under git that holds a mirror and nothing else: looked at, written and committed with care.

The folder may have come from elsewhere. Git is told where the repository is, runs no hook and no filter, and
reads no configuration but the repository's own. No link is followed, neither when a page is read nor when one is
written. Of what lies there only the pages of the mirror are ever read, written, committed or removed. What is
written is noted until it is committed: a process that dies in between leaves nothing that looks like an edit. This
module knows files and commits, not what a page says.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from filelock import AsyncFileLock, Timeout

from swarm.errors import RunError, UsageError
from swarm.workspace.git import Git, plain_environment, run_git
from swarm.workspace.repository import settings_in, without_programs

STATE = ".mirror.json"
"""What a mirror is of, and up to where: the one file that is no page."""
FOLDERS = ("blocks", "facts", "messages")
INDEX = "README.md"
_PAGE_BYTES = 8_000_000
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tree:
    path: Path
    admin: Path


class Checkout:
    """The folder. `base` is the commit that was mirrored last, None before the first; `state` is what was noted
    with it."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.folder, self._git = folder, git
        self._tree = _Tree(path=folder, admin=folder / ".git")
        self._pending = folder / ".git" / "swarm-mirror.pending"
        self.base: str | None = None
        self.state: dict[str, Any] = {}

    # Looking

    async def edited(self) -> list[str]:
        """Pages that are not as they were mirrored: changed, removed or new, by their paths."""
        if self.base is None:
            return []
        await self._git.run("update-index", "-q", "--refresh", at=self._tree)
        changed = await self._git.out("diff-index", "-z", "--name-only", "--no-renames", self.base, at=self._tree)
        others = await self._git.out("ls-files", "-z", "--others", at=self._tree)
        names = [os.fsdecode(name) for name in (changed + others).split(b"\0") if name]
        return [name for name in dict.fromkeys(names) if is_page(name)]

    async def mirrored(self, path: str) -> str | None:
        """A page as it was mirrored last; None where there was none."""
        if self.base is None:
            return None
        said = await self._git.run("cat-file", "blob", f"{self.base}:{path}", at=self._tree)
        return said.out.decode("utf-8", "replace") if said.code == 0 else None

    async def pages(self, under: str = "") -> list[str]:
        """The pages that were mirrored, by their paths; or those in one folder."""
        if self.base is None:
            return []
        only = (f"{under}/",) if under else ()
        listed = await self._git.out("ls-tree", "-r", "-z", "--name-only", self.base, *only, at=self._tree)
        return [name for name in map(os.fsdecode, listed.split(b"\0")) if is_page(name)]

    def page(self, path: str) -> str | None:
        """A page as it lies there; None where there is none.

        Raises:
            UsageError: it is no file, a link, too large, or no UTF-8.
        """
        try:
            opened = os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}; it is no file, or a link") from None
        with os.fdopen(opened, "rb") as file:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise UsageError(f"{path} is no file")
            data = file.read(_PAGE_BYTES + 1)
        if len(data) > _PAGE_BYTES:
            raise UsageError(f"{path} has more than {_PAGE_BYTES:,} bytes")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(f"{path} is not UTF-8") from None

    # Writing

    def write(self, path: str, text: str) -> bool:
        """Write a page where it says something else by now; whether it did."""
        data, target = text.encode("utf-8", "replace"), self.folder / path
        self._real(Path(path).parent)
        if not target.is_symlink() and target.is_file() and target.read_bytes() == data:
            return False
        self._note(path, data)
        self._put(path, data)
        return True

    def _put(self, path: str, data: bytes) -> None:
        target = self.folder / path
        self._real(Path(path).parent)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".mirror-", delete=False) as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
        try:
            Path(file.name).replace(target)
        except OSError as error:
            Path(file.name).unlink()
            raise UsageError(f"{target} cannot be written: {error.strerror}") from None

    def _note(self, path: str, data: bytes | None) -> None:
        """Note what is about to be written, None for a page that is removed, until it is committed."""
        hashed = "" if data is None else blake2b(data, digest_size=16).hexdigest()
        with self._pending.open("a", encoding="utf-8") as notes:
            notes.write(f"{hashed} {path}\n")

    async def recover(self) -> None:
        """Put back what a process wrote that died before it was committed, unless a person has edited it since."""
        try:
            notes = await asyncio.to_thread(self._pending.read_text, "utf-8")
        except FileNotFoundError:
            return
        for note in notes.splitlines():
            hashed, _, path = note.partition(" ")
            if not is_page(path) and path != STATE:
                continue
            try:
                page = await asyncio.to_thread(self.page, path)
            except UsageError:
                continue
            now = "" if page is None else blake2b(page.encode(), digest_size=16).hexdigest()
            if now == hashed:
                before = await self.mirrored(path)
                if before is not None:
                    await asyncio.to_thread(self._put, path, before.encode())
                else:
                    await asyncio.to_thread(self._drop, path)
        await asyncio.to_thread(self._pending.unlink, missing_ok=True)

    def remove(self, path: str) -> None:
        """Remove a page, and folders that are empty then."""
        self._note(path, None)
        self._drop(path)

    def _drop(self, path: str) -> None:
        self._real(Path(path).parent)
        (self.folder / path).unlink(missing_ok=True)
        for folder in list(Path(path).parents)[:-1]:
            try:
                (self.folder / folder).rmdir()
            except OSError:
                return

    def _real(self, folder: Path) -> None:
        """Make a folder of the mirror, each part of which is one and no link to somewhere else."""
        for part in [*reversed(folder.parents), folder][1:]:
            place = self.folder / part
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise UsageError(f"{place} is a link or no folder: move it away, the mirror has a folder there")
            place.mkdir(exist_ok=True)

    async def commit(
        self, message: str, paths: Iterable[str], state: Mapping[str, Any] | None = None
    ) -> str | None:
        """Commit these pages as they lie there, those that are gone as removed, and nothing else; None where that
        changes nothing. With `state`, the commit is what later edits are held against."""
        names = sorted(set(paths))
        if state is not None:
            self.write(STATE, json.dumps(state, indent=1, sort_keys=True) + "\n")
            names.append(STATE)
        head = await self._git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", at=self._tree)
        parent = head.line if head.code == 0 else None
        there = [
            name for name in names if (self.folder / name).is_file() and not (self.folder / name).is_symlink()
        ]
        listed = "".join(f"{name}\n" for name in there).encode()
        hashes: list[str] = []
        if there:
            said = await self._git.out(
                "hash-object", "-w", "--no-filters", "--stdin-paths", at=self._tree, stdin=listed
            )
            hashes = said.decode().split()
        rows = [f"100644 {hash_}\t{name}\n" for hash_, name in zip(hashes, there, strict=True)]
        zero = "0" * (len(hashes[0]) if hashes else 40)
        rows += [f"0 {zero}\t{name}\n" for name in names if name not in set(there)]
        made = await self._made(message, "".join(rows).encode(), parent, zero)
        await self._git.out("update-index", "--index-info", at=self._tree, stdin="".join(rows).encode())
        await self._git.run("update-index", "-q", "--refresh", at=self._tree)
        if state is not None:
            self._pending.unlink(missing_ok=True)
            self.base, self.state = made or self.base, dict(state)
        return made

    async def _made(self, message: str, rows: bytes, parent: str | None, zero: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="swarm-mirror-") as scratch:
            index = Path(scratch) / "index"
            read = ("read-tree", parent) if parent else ("read-tree", "--empty")
            await self._git.out(*read, at=self._tree, index=index)
            await self._git.out("update-index", "--index-info", at=self._tree, index=index, stdin=rows)
            tree = (await self._git.out("write-tree", at=self._tree, index=index)).decode().strip()
        if parent and tree == await self._git.line("rev-parse", f"{parent}^{{tree}}", at=self._tree):
            return None
        above = ["-p", parent] if parent else []
        made = await self._git.line("commit-tree", tree, *above, at=self._tree, stdin=message.encode())
        await self._git.out("update-ref", "-m", "mirror", "HEAD", made, parent or zero, at=self._tree)
        return made

    async def find_base(self) -> None:
        """Look up what was mirrored last: the last commit that changed what is noted."""
        said = await self._git.run("log", "-1", "--format=%H", "HEAD", "--", STATE, at=self._tree)
        if said.code or not said.line:
            return
        noted = await self._git.run("cat-file", "blob", f"{said.line}:{STATE}", at=self._tree)
        try:
            state = json.loads(noted.out)
        except ValueError:
            state = None
        if not isinstance(state, dict):
            raise UsageError(f"{self.folder / STATE} is no note of a mirror: mirror into another folder")
        self.base, self.state = said.line, state


def is_page(path: str) -> bool:
    """Whether a path of the folder is one of a page: Markdown in one of its folders, or the index."""
    parts = path.split("/")
    plain = path.isprintable() and '"' not in path and not any(part.startswith(".") or not part for part in parts)
    return path == INDEX or (plain and len(parts) > 1 and parts[0] in FOLDERS and path.endswith(".md"))


@asynccontextmanager
async def open_checkout(folder: Path) -> AsyncIterator[Checkout]:
    """The mirror in a folder, for the length of a block, with nobody else at it; made where there is none.

    Raises:
        UsageError: the folder holds other things, cannot be used, or another process is at it.
    """
    folder = Path(os.path.realpath(Path(folder).expanduser()))  # noqa: ASYNC240
    admin = folder / ".git"
    await asyncio.to_thread(_fit, folder, admin)
    lock = AsyncFileLock(admin / "swarm-mirror.lock", timeout=_PATIENCE_SECONDS)
    try:
        await lock.acquire()
    except Timeout:
        raise UsageError(f"another process is mirroring into {folder}: wait until it is done") from None
    try:
        found = Checkout(folder, await _git(folder, admin))
        await found.find_base()
        await found.recover()
        if found.base is None:
            await asyncio.to_thread(_empty, folder)
        yield found
    except RunError as error:
        raise UsageError(f"the mirror in {folder} cannot be kept: {error}") from None
    finally:
        await lock.release()


async def _git(folder: Path, admin: Path) -> Git:
    """Git on the repository of a folder, which is made where there is none, with nothing of it that runs."""
    if not (admin / "HEAD").exists():
        words = ["init", "--quiet", "--template=", "--initial-branch=main", "."]
        said = await run_git(words, plain_environment(), folder)
        if said.code:
            raise UsageError(f"no repository can be made in {folder}: {said.error}")
    git = Git(admin)
    settings = await settings_in(git)
    git.never(without_programs(settings))
    git.sign_as(settings.get("user.name") or "Swarm", settings.get("user.email") or "swarm@localhost")
    return git


def _fit(folder: Path, admin: Path) -> None:
    """Make the folder where there is none, with a place for its repository."""
    if admin.is_symlink() or (admin.exists() and not admin.is_dir()):
        raise UsageError(
            f"{folder} is a worktree or a part of another repository: mirror into a folder of its own"
        )
    if not admin.exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _empty(folder)
            admin.mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(f"no mirror can be made at {folder}: {error.strerror}") from None


def _empty(folder: Path) -> None:
    other = sorted(path.name for path in folder.iterdir() if path.name != ".git")
    if other:
        more = f" and {len(other) - 1:,} more" if len(other) > 1 else ""
        raise UsageError(f"{folder} holds other things ({other[0]}{more}): mirror into an empty folder")


__all__ = ["FOLDERS", "INDEX", "STATE", "Checkout", "is_page", "open_checkout"]
