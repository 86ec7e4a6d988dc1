"""Worktrees of a run: one for each slice, in any kind of repository, found again, and put away."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from swarm.equipment import ToolFailed, Workspace
from swarm.errors import RunError, UsageError
from swarm.workspace import leftovers
from swarm.workspace import repository as repositories
from swarm.workspace.forget import forget
from swarm.workspace.git import Said
from swarm.workspace.landing import Landing
from swarm.workspace.worktrees import DIFF_BYTES
from tests.workspace.repos import (
    abandon,
    begun,
    commit,
    elsewhere,
    git,
    history,
    land,
    left_over,
    make,
    trees,
    write,
)

__all__ = ["elsewhere"]


def bare(folder: Path) -> Path:
    git(make(folder / "first"), "clone", "--quiet", "--bare", ".", "../bare")
    return folder / "bare"


def linked(folder: Path) -> Path:
    git(make(folder / "first"), "worktree", "add", "--quiet", "-b", "other", "../linked")
    return folder / "linked"


def shallow(folder: Path) -> Path:
    first = make(folder / "first")
    write(first, {"text": "one\nmore\n"})
    commit(first, "second")
    git(
        first, "-c", "protocol.file.allow=always", "clone", "--quiet", "--depth=1", f"file://{first}", "../shallow"
    )
    return folder / "shallow"


def shared(folder: Path) -> Path:
    git(make(folder / "first"), "clone", "--quiet", "--shared", ".", "../shared")
    return folder / "shared"


def sha256(folder: Path) -> Path:
    return make(folder / "sha256", None, "--object-format=sha256")


def below(folder: Path) -> Path:
    return make(folder / "first") / "parts"


def by_a_link(folder: Path) -> Path:
    first = make(folder / "first")
    (first / ".git").rename(folder / "kept")
    (first / ".git").symlink_to(folder / "kept")
    (folder / "link").symlink_to(first)
    return folder / "link"


def odd(folder: Path) -> Path:
    return make(
        folder / "an odd 'näme' \"with\" $(things) \\in --it", {"text": "one\n", "check.sh": "", "parts/x": ""}
    )


@pytest.mark.parametrize("kind", [bare, linked, shallow, shared, sha256, below, by_a_link, odd])
async def test_work_lands_in_any_kind_of_repository(kind: Any, tmp_path: Path) -> None:
    repository = kind(tmp_path)
    before, others = git(repository, "rev-parse", "HEAD"), left_over(repository)
    run = await begun(repository, tmp_path / "wo rk", check="sh check.sh")
    one, two = await asyncio.gather(run.open("one"), run.open("two"))
    assert one.base == before
    assert one.path == tmp_path / "wo rk" / "one"
    write(one.path, {"text": "changed\n"})
    write(two.path, {"new/file": "new\n"})
    landing = Landing(run)
    landed = await asyncio.gather(land(landing, one), land(landing, two))
    assert all(each.commit for each in landed), landed
    assert len(history(repository, since=before)) == 2
    assert git(repository, "show", "green:text") == "changed"
    assert git(repository, "rev-parse", "HEAD") == before
    await run.end(keep=False)
    assert left_over(repository) == others
    assert not (tmp_path / "wo rk").exists()


async def test_a_repository_that_cannot_be_worked_on_is_told_in_one_line(tmp_path: Path) -> None:
    empty, nowhere, file = tmp_path / "empty", tmp_path / "nowhere", tmp_path / "file"
    nowhere.mkdir()
    file.touch()
    empty.mkdir()
    git(empty, "init", "--quiet", "--initial-branch=main")
    repository = make(tmp_path / "repository")
    git(repository, "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(repository, "branch", "taken/below")
    lines = line_break, partial = tmp_path / "line\nbreak", tmp_path / "partial"
    for folder in lines:
        shutil.copytree(repository, folder)
    git(partial, "config", "core.repositoryFormatVersion", "1")
    git(partial, "config", "extensions.partialClone", "origin")
    for folder, settings, said in (
        (tmp_path / "none", {}, "is no folder"),
        (file, {}, "is no folder"),
        (nowhere, {}, "is in no git repository: run `git init` there"),
        (empty, {}, "has no commit yet: make one"),
        (repository, {"base": "nothing"}, "has no commit 'nothing'"),
        (repository, {"base": "--all"}, "has no commit '--all'"),
        (repository, {"branch": "main"}, "is checked out in"),
        (repository, {"branch": "alias"}, "is another name for a branch"),
        (repository, {"branch": "taken"}, "cannot be made"),
        (repository, {"branch": "a b"}, "git takes no such name"),
        (repository, {"branch": "@{-1}"}, "git takes no such name"),
        (line_break, {}, "has a line break in its path"),
        (partial, {}, "is a partial clone"),
    ):
        with pytest.raises(UsageError, match=r".") as told:
            await begun(folder, tmp_path / "work", **settings)
        assert said in str(told.value), told.value
        assert "\n" not in str(told.value)
    assert not (tmp_path / "work").exists()
    for folder in (repository, empty, partial):
        assert left_over(folder) == []


async def test_a_git_that_is_too_old_or_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, old = make(tmp_path / "repository"), tmp_path / "old"
    write(old, {"git": "#!/bin/sh\necho git version 2.37.9\n"})
    (old / "git").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{old}:{os.environ['PATH']}")
        with pytest.raises(UsageError, match=r"git version 2.37.9 is too old for workspaces: install git 2.38"):
            await begun(repository, tmp_path / "work")
        patch.setenv("PATH", str(tmp_path / "none"))
        with pytest.raises(UsageError, match="there is no git on PATH"):
            await begun(repository, tmp_path / "work")


async def test_a_worktree_that_is_opened_again_holds_what_was_written_in_it(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository", {"text": "one\n", ".gitignore": "ignored\n"})
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    write(tree.path, {"text": "written\n", "ignored": "there\n"})
    assert await run.open("one") is tree
    abandon(run)  # killed: all is where it was
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    assert (tree.path / "text").read_text() == "written\n"
    assert (tree.path / "ignored").exists()
    (tree.path / "parts").mkdir()
    write(tree.path, {"parts/new": "new\n"})
    (tree.path / "text").chmod(0o755)
    await run.end(keep=True)
    assert not (tmp_path / "work").exists()
    assert [line.split()[-1] for line in left_over(repository)] == ["refs/swarm/run/one"]
    run = await begun(repository, tmp_path / "elsewhere")  # stopped: what is not ignored is kept
    tree = await run.open("one")
    assert (tree.path / "text").read_text() == "written\n"
    assert os.access(tree.path / "text", os.X_OK)
    assert (tree.path / "parts" / "new").read_text() == "new\n"
    assert not (tree.path / "ignored").exists()
    assert tree.base == git(repository, "rev-parse", "main")
    assert "+written" in await tree.diff()
    await run.close("one")
    assert await (await run.open("one")).diff() == ""
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_what_a_dead_run_left_is_put_away_by_another_and_comes_back_when_it_goes_on(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", "dead")
    one, two = await run.open("one"), await run.open("untouched")
    looked = await run.look("reader")
    write(one.path, {"text": "unfinished\n"})
    write(looked.path, {"text": "scratch\n"})
    (one.admin / "index.lock").touch()
    (two.path / ".git").unlink()
    abandon(run)
    other = await begun(repository, tmp_path / "others", "other")
    assert [left.run for left in leftovers.found(other.repository)] == []
    assert not one.path.exists()
    await other.end(keep=False)
    assert [line.split()[-1] for line in left_over(repository)] == ["refs/swarm/dead/one"]
    run = await begun(repository, tmp_path / "work", "dead")
    assert (await run.open("one")).path.joinpath("text").read_text() == "unfinished\n"
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_a_run_that_cannot_begin_again_still_has_its_unfinished_work(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    write((await run.open("one")).path, {"text": "unfinished\n"})
    abandon(run)
    git(repository, "checkout", "--quiet", "green")
    with pytest.raises(UsageError, match="is checked out"):
        await begun(repository, tmp_path / "work")
    git(repository, "checkout", "--quiet", "main")
    run = await begun(repository, tmp_path / "work")
    assert (await run.open("one")).path.joinpath("text").read_text() == "unfinished\n"
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_a_worktree_that_cannot_be_kept_stays_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", "dead")
    tree = await run.open("one")
    write(tree.path, {"text": "unfinished\n"})

    async def fails(*_: object) -> None:
        raise RunError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "save", fails)
        await run.end(keep=True)
        other = await begun(repository, tmp_path / "others", "other")
        await other.end(keep=True)
    assert (tree.path / "text").read_text() == "unfinished\n"
    other = await begun(repository, tmp_path / "others", "other")
    await other.end(keep=True)
    assert not tree.path.exists()
    assert git(repository, "show", "refs/swarm/dead/one:text") == "unfinished"
    await forget(Workspace(repository=str(repository)), "dead")
    assert left_over(repository) == []


async def test_an_end_that_is_cancelled_lets_go_of_the_run(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    write((await run.open("one")).path, {"text": "unfinished\n"})
    ending = asyncio.create_task(run.end(keep=True))
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    run = await begun(repository, tmp_path / "work")
    assert (await run.open("one")).path.joinpath("text").read_text() == "unfinished\n"
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_a_run_that_is_about_to_end_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm.workspace.worktrees._ORPHANS_SECONDS", 600.0)
    repository = make(tmp_path / "repository")
    run, again = await begun(repository, tmp_path / "work"), trees(repository, tmp_path / "work")
    write((await run.open("one")).path, {"text": "unfinished\n"})
    waits = asyncio.create_task(again.begin())
    while not again.__dict__.get("repository"):  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(0)
    await run.end(keep=True)
    await waits
    assert (await again.open("one")).path.joinpath("text").read_text() == "unfinished\n"
    await again.end(keep=False)
    assert left_over(repository) == []


async def test_forgetting_a_run_leaves_what_has_landed_and_nothing_else(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    one, two = await run.open("one"), await run.open("two")
    write(one.path, {"text": "landed\n"})
    write(two.path, {"text": "unfinished\n"})
    assert (await land(Landing(run), one)).commit
    await run.close("one")
    await run.end(keep=True)
    run = await begun(repository, tmp_path / "work")
    await run.open("three")
    abandon(run)
    await forget(Workspace(repository=str(repository)), "run")
    assert left_over(repository) == []
    assert git(repository, "show", "green:text") == "landed"
    await forget(Workspace(repository=str(repository)), "run")  # again: nothing is left to be forgotten


async def test_readers_see_what_has_landed(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    reader, writer = await run.look("reader"), await run.open("writer")
    write(reader.path, {"scratch": "scratch\n"})
    write(writer.path, {"text": "landed\n"})
    assert await run.look("reader") is reader
    assert (reader.path / "text").read_text() == "one\n"
    assert (await land(Landing(run), writer)).commit
    assert (await run.look("reader")).base == git(repository, "rev-parse", "green")
    assert (reader.path / "text").read_text() == "landed\n"
    assert not (reader.path / "scratch").exists()
    write(reader.path, {"text": "half of something\n"})
    abandon(run)
    run = await begun(repository, tmp_path / "work", check="true")
    assert (await run.look("reader")).path.joinpath("text").read_text() == "landed\n"
    await run.end(keep=True)
    assert left_over(repository) == []


async def test_a_worktree_that_somebody_took_away_is_made_anew(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    shutil.rmtree(tree.path)
    with pytest.raises(ToolFailed, match="is gone"):
        await tree.run("true")
    with pytest.raises(RunError, match="is gone"):
        await land(Landing(run), tree)
    tree = await run.open("one")
    assert (tree.path / "text").read_text() == "one\n"
    git(repository, "worktree", "prune")
    shutil.rmtree(tree.admin)
    assert (await run.open("one")).path.joinpath("text").read_text() == "one\n"
    await run.end(keep=True)
    assert left_over(repository) == []


async def test_what_git_left_that_was_killed_as_it_began_a_worktree_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_INSTANT_SECONDS", 0.01)
    repository = make(tmp_path / "repository")
    git(repository, "worktree", "add", "--quiet", "--detach", "../mine")
    git(repository, "worktree", "lock", "../mine")
    admins = repository / ".git" / "worktrees"
    write(admins, {"one/locked": "", "three/locked": "", "three/HEAD": "x"})
    (admins / "two").mkdir()
    run = await begun(repository, tmp_path / "work")
    assert sorted(path.name for path in admins.iterdir()) == ["mine", "three"]
    await run.end(keep=False)


async def test_a_worktree_that_was_half_removed_is_not_taken_for_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")

    def killed(folder: Path) -> None:
        (folder / "text").unlink()
        raise RunError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "remove_folder", killed)
        with pytest.raises(RunError, match="killed"):
            await run.close("one")
    assert tree.path.exists()
    abandon(run)
    run = await begun(repository, tmp_path / "work")
    assert (await run.open("one")).path.joinpath("text").read_text() == "one\n"
    await run.end(keep=True)
    assert left_over(repository) == []


async def test_a_worktree_that_git_was_killed_over_is_made_anew(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    (tree.admin / "index").unlink()
    (tree.path / "text").unlink()
    abandon(run)
    run = await begun(repository, tmp_path / "work")
    assert (await run.open("one")).path.joinpath("text").read_text() == "one\n"
    await run.end(keep=True)
    assert left_over(repository) == []


async def test_locks_that_a_killed_git_left_are_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "_FORGOTTEN_LOCK_SECONDS", 0.05)
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    run.repository.git.never({"core.filesRefLockTimeout": "50"})
    landing, tree = Landing(run), await run.open("one")
    write(tree.path, {"text": "two\n"})
    (repository / ".git" / "refs" / "heads" / "green.lock").touch()
    landed = await land(landing, tree)
    assert landed.commit, landed.wrong
    write(tree.path, {"text": "three\n"})
    (repository / ".git" / "refs" / "heads" / "green.lock").touch()
    await run.end(keep=True)
    run = await begun(repository, tmp_path / "work")
    assert (await run.open("one")).path.joinpath("text").read_text() == "three\n"
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_a_git_that_is_killed_when_it_has_moved_the_branch_has_moved_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    tree, run_git = await run.open("one"), run.repository.git.run
    write(tree.path, {"text": "two\n"})

    async def killed(*words: str, **more: Any) -> Said:
        said = await run_git(*words, **more)
        return Said(code=-9, out=b"", error="") if b"update refs/heads" in more.get("stdin", b"") else said

    monkeypatch.setattr(run.repository.git, "run", killed)
    landed = await land(Landing(run), tree)
    assert landed.commit == git(repository, "rev-parse", "green")
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_odd_names_and_modes_and_links_are_kept_as_they_are(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    tree = await run.open("one")
    names = ["with space", "täb\t", "line\nbreak", "-dash", '"quoted"', ":(top)x", "*", "[a]", "a\\b", "#", "日本"]
    write(tree.path, {f"odd/{name}": name for name in names})
    (tree.path / os.fsdecode(b"odd/\xff\xfe")).write_bytes(b"\xff")
    (tree.path / "odd" / "dangling").symlink_to("nowhere/at/all")
    os.mkfifo(tree.path / "pipe")
    assert "line" in await tree.diff()
    await run.end(keep=True)
    run = await begun(repository, tmp_path / "work", check="true")
    tree = await run.open("one")
    landed = await land(Landing(run), tree)
    assert landed.commit, landed.wrong
    listed = git(repository, "-c", "core.quotePath=true", "ls-tree", "-r", "--name-only", "green", "odd")
    assert len(listed.splitlines()) == len(names) + 2
    await run.end(keep=False)


async def test_a_diff_shows_new_files_and_is_cut(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    assert await tree.diff() == ""
    write(tree.path, {"new": "new\n", "binary": bytes(range(256)), "text": "two\n"})
    (tree.path / "list").unlink()
    shown = await tree.diff()
    assert all(word in shown for word in ("+new", "-one", "+two", "Binary files", "deleted file mode"))
    assert "not git" not in shown
    write(tree.path, {"huge": "x" * 80 + "\n" + "0123456789\n" * (DIFF_BYTES // 10)})
    shown = await tree.diff()
    assert len(shown) < DIFF_BYTES + 200
    assert "cut here" in shown
    await run.end(keep=False)


async def test_many_open_worktrees_at_once(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    one, two = await begun(repository, tmp_path / "a", "one"), await begun(repository, tmp_path / "b", "two")
    opened = await asyncio.gather(*(run.open(f"s{n}") for run in (one, two) for n in range(12)))
    assert len({tree.admin for tree in opened}) == 24
    assert all((tree.path / "text").read_text() == "one\n" for tree in opened)
    await asyncio.gather(one.end(keep=False), two.end(keep=False))
    assert left_over(repository) == []


async def test_a_folder_that_is_in_the_way_is_left_as_it_is(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    write(tmp_path / "work", {"one/mine": "kept"})
    run = trees(repository, tmp_path / "work")
    await run.begin()
    with pytest.raises(RunError, match="no worktree can be made at"):
        await run.open("one")
    await run.end(keep=False)
    assert (tmp_path / "work" / "one" / "mine").read_text() == "kept"
    assert left_over(repository) == []
