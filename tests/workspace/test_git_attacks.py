"""What a worktree or a crash leaves cannot be turned against the user: nothing but a run's own worktrees is ever
removed or cleaned, and no program that is planted is run."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from swarm.equipment import Workspace
from swarm.errors import RunError, UsageError
from swarm.workspace.bubblewrap import Bubblewrap, Unavailable
from swarm.workspace.forget import forget
from swarm.workspace.holds import Hold
from swarm.workspace.landing import Landing
from swarm.workspace.leftovers import checked_name, found, note_folder
from swarm.workspace.snapshots import mend, put, remove_folder
from swarm.workspace.worktrees import Worktrees
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
LABEL = "swarm run=dead slice=one writes"


def seen(folder: Path) -> dict[str, bytes]:
    """All that is in a folder."""
    return {os.fspath(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dead(repository: Path, gitdir: bytes | None, *folders: Path, label: str = LABEL) -> Path:
    """What a run that is gone left in a repository: a worktree `one` that git says is there, and where the run has
    said that it makes worktrees."""
    admin = repository / ".git" / "worktrees" / "one"
    write(admin, {"locked": label, "HEAD": git(repository, "rev-parse", "HEAD") + "\n", "commondir": "../..\n"})
    shutil.copyfile(repository / ".git" / "index", admin / "index")
    if gitdir is not None:
        (admin / "gitdir").write_bytes(gitdir)
    held = b"".join(os.fsencode(folder) + b"\0" for folder in folders)
    write(repository / ".git" / "swarm", {"dead.run": held})
    return admin


@pytest.mark.parametrize("says", ["", "gitdir: ", None])
async def test_what_a_git_left_that_was_killed_as_it_made_a_worktree_is_removed(
    tmp_path: Path, says: str | None
) -> None:
    repository, half = make(tmp_path / "repository"), tmp_path / "work" / "one"
    admin = dead(repository, os.fsencode(half / ".git\n"), tmp_path / "work")
    (admin / "index").unlink()
    write(half, {".git": f"gitdir: {admin}\n" if says is None else says})
    run = await begun(repository, tmp_path / "work", "dead")
    assert ((await run.open("one")).path / "text").is_file()
    await run.end(keep=False)
    assert not half.exists()
    assert left_over(repository) == []


async def all_doors(repository: Path, folder: Path) -> None:
    """All that removes or cleans what it finds."""
    other = await begun(repository, folder, "other")  # sweeps what `dead` left
    await other.end(keep=False)
    for keep in (True, False):
        run = await begun(repository, folder, "dead")
        await run.open("one")
        await run.close("one")
        await run.end(keep=keep)
    await forget(Workspace(repository=str(repository)), "dead")


@pytest.mark.parametrize(
    "gitdir", [b"", b"\n", b".git\n", b"./.git\n", b"one/.git\n", b"../here/.git\n", b"\0", None]
)
async def test_an_empty_gitdir_is_never_taken_for_the_current_folder(
    gitdir: bytes | None, elsewhere: Path, tmp_path: Path
) -> None:
    repository = make(tmp_path / "repository")
    write(elsewhere, {"mine": "kept", "one/mine": "kept", ".git/config": "kept"})
    before, mine = seen(elsewhere), seen(repository)
    dead(repository, gitdir, elsewhere, elsewhere.parent, Path(), Path(".."))
    await all_doors(repository, tmp_path / "work")
    assert seen(elsewhere) == before
    assert {name: content for name, content in seen(repository).items() if not name.startswith(".git/")} == {
        name: content for name, content in mine.items() if not name.startswith(".git/")
    }
    assert left_over(repository) == []


@pytest.mark.parametrize(
    "where",
    "{user}/.git {user}/one/.git {user}/one/../.git {repository}/.git {repository}/.git/.git "
    "{other}/one/.git".split(),
)
async def test_a_gitdir_that_leads_elsewhere_is_not_followed(where: str, elsewhere: Path, tmp_path: Path) -> None:
    repository, user = make(tmp_path / "repository"), tmp_path / "user"
    write(user, {"mine": "kept", "one/mine": "kept", "one/.git/HEAD": "kept"})
    other = await begun(repository, tmp_path / "others", "living")
    write((await other.open("one")).path, {"text": "of another run"})
    before = [seen(user), seen(other.folder)]
    gitdir = where.format(user=user, repository=repository, other=other.folder).encode()
    dead(repository, gitdir, tmp_path / "work")
    await all_doors(repository, tmp_path / "work")
    assert [seen(user), seen(other.folder)] == before
    assert git(repository, "status", "--porcelain") == ""
    await other.end(keep=False)
    assert left_over(repository) == []


@pytest.mark.parametrize("where", ["/.git", "/", "/one", "/one/.git", "/home/.git", "//.git"])
async def test_nothing_near_the_top_of_the_machine_is_taken_for_a_worktree(where: str, tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    admin = dead(repository, where.encode(), tmp_path / "work", tmp_path)
    assert [(left.path, left.whole) for left in found(run.repository)] == [(admin, False)]
    await run.end(keep=False)  # what is found is looked at here, and nothing is let loose on it


@pytest.mark.parametrize("folders", [[], ["{user}"], [""], ["{work}/one"], ["{work}x"]])
async def test_where_the_run_did_not_say_that_it_makes_worktrees_none_is_removed(
    folders: list[str], tmp_path: Path
) -> None:
    repository, user, work = make(tmp_path / "repository"), tmp_path / "user", tmp_path / "work"
    for folder in (user, work):
        write(folder, {"one/mine": "kept"})
    named = [Path(folder.format(user=user, work=work)) for folder in folders]
    dead(repository, os.fsencode(work / "one" / ".git\n"), *named)
    other = await begun(repository, tmp_path / "others", "other")
    await other.end(keep=False)
    assert seen(user) == seen(work) == {"one/mine": b"kept"}
    assert left_over(repository) == []


@pytest.mark.parametrize("label", ["swarm run=../../x slice=one writes", "swarm run=dead slice=.. writes", "\xff",
                                   "swarm run=dead slice=/ writes", "a person's own"])  # fmt: skip
async def test_a_worktree_with_a_label_that_no_run_writes_is_a_persons_own(label: str, tmp_path: Path) -> None:
    repository, work = make(tmp_path / "repository"), tmp_path / "work"
    write(work, {"one/mine": "kept", "mine": "kept"})
    admin = dead(repository, os.fsencode(work / "one" / ".git\n"), work)
    (admin / "locked").write_bytes(label.encode("latin-1"))
    before = seen(work), seen(admin)
    other = await begun(repository, tmp_path / "others", "other")
    await other.end(keep=False)
    assert (seen(work), seen(admin)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "repository", "work"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "-a", "a..b", "a.lock", "a b", "a\n", "\0", "é"])
def test_a_name_that_leads_elsewhere_names_no_worktree(name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a worktree"):
        checked_name(name)


@pytest.mark.parametrize("outer", [False, True], ids=["the folder", "the one above"])
@pytest.mark.parametrize("way", ["open", "land", "diff", "sweep", "end", "close"])
async def test_a_link_in_the_place_of_a_worktree_is_not_followed(way: str, outer: bool, tmp_path: Path) -> None:
    repository, user, work = make(tmp_path / "repository"), tmp_path / "user", tmp_path / "work" / "run"
    run = await begun(repository, work)
    tree = await run.open("one")
    write(tree.path, {"text": "changed\n"})
    write(user, {"mine": "kept", "one/mine": "kept", "text": "kept"})
    before = seen(user)
    shutil.rmtree(work if outer else tree.path)
    (work if outer else tree.path).symlink_to(user, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swarm.workspace.worktrees._ORPHANS_SECONDS", 0.1)
        match way:
            case "open":
                if outer:
                    with pytest.raises(RunError):
                        await run.open("one")
                else:
                    assert (await run.open("one")).path.joinpath("text").read_text() == "one\n"
            case "land":
                with pytest.raises(RunError, match="a link leads elsewhere"):
                    await land(Landing(run), tree)
            case "diff":
                with pytest.raises(RunError, match="a link leads elsewhere"):
                    await tree.diff()
            case "close":
                if outer:
                    with pytest.raises(RunError):
                        await run.close("one")
                else:
                    await run.close("one")
            case "sweep":
                abandon(run)
                other = await begun(repository, tmp_path / "others", "other")
                await other.end(keep=False)
    assert seen(user) == before
    await run.end(keep=True)
    assert seen(user) == before


def test_no_folder_is_removed_that_cannot_be_meant(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(elsewhere, {"mine": "kept"})
    removed = list[Path]()
    monkeypatch.setattr("swarm.workspace.snapshots.shutil.rmtree", removed.append)  # should it ever be called
    for folder in (
        Path(),
        Path(".."),
        Path("/"),
        Path("/tmp"),
        elsewhere,
        elsewhere.parent,
        Path("mine"),
    ):
        with pytest.raises(RunError, match="it cannot be meant"):
            remove_folder(folder)
    assert removed == []
    link = tmp_path / "link"
    write(tmp_path / "user", {"mine": "kept"})
    link.symlink_to(tmp_path / "user")
    remove_folder(link)
    assert not link.is_symlink()
    assert removed == []
    assert seen(tmp_path / "user") == {"mine": b"kept"}


async def test_the_repository_itself_is_never_taken_for_a_worktree(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    before = seen(repository)
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    for path in (repository, repository / ".git"):

        class Wrong:
            admin = tree.admin

        wrong = Wrong()
        wrong.path = path  # type: ignore[attr-defined]
        with pytest.raises(RunError, match="the repository itself is in it"):
            await put(run.repository.git, wrong, tree.base, base=tree.base)  # type: ignore[arg-type]
        with pytest.raises(RunError, match="the repository itself is in it"):
            mend(wrong)  # type: ignore[arg-type]
    await run.end(keep=False)
    assert {name: content for name, content in seen(repository).items() if name in before} == before


def test_where_a_run_makes_worktrees_is_read_past_what_a_crash_cut_off(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    dead(repository, os.fsencode(tmp_path / "work" / "one" / ".git\n"))
    held = repository / ".git" / "swarm" / "dead.run"
    held.write_bytes(b"/elsewhere\0" + os.fsencode(tmp_path)[:-2])
    hold = Hold(held)
    assert hold.take()
    note_folder(hold, tmp_path / "work")
    note_folder(hold, tmp_path / "work")
    hold.let_go()
    assert held.read_bytes() == b"/elsewhere\0" + os.fsencode(tmp_path / "work") + b"\0"


PLANT = """
rm -f .git; mkdir .git && cd .git && mkdir hooks objects refs info && echo 'ref: refs/heads/main' > HEAD
printf '[core]\\n\\tfsmonitor = touch {ran}/fsmonitor #\\n\\thooksPath = hooks\\n' > config
printf '[filter "x"]\\n\\tclean = touch {ran}/clean; cat\\n\\tsmudge = touch {ran}/smudge; cat\\n' >> config
printf '[diff "x"]\\n\\tcommand = touch {ran}/diff #\\n\\ttextconv = touch {ran}/textconv #\\n' >> config
for hook in post-checkout post-commit reference-transaction post-index-change pre-commit; do
    printf '#!/bin/sh\\ntouch {ran}/%s\\n' $hook > hooks/$hook; chmod +x hooks/$hook
done
"""


async def test_no_program_that_is_planted_in_a_worktree_is_run(tmp_path: Path) -> None:
    repository, ran = make(tmp_path / "repository"), tmp_path / "ran"
    ran.mkdir()
    run = await begun(repository, tmp_path / "work", check="true")
    landing, tree = Landing(run), await run.open("one")
    write(tree.path, {"plant.sh": PLANT.format(ran=ran), ".gitattributes": "* filter=x diff=x merge=x\n"})
    assert (await tree.run("sh plant.sh")).ok
    (tree.path / "text").write_text("changed\n")
    assert "+changed" in await tree.diff()
    landed = await land(landing, tree)
    assert landed.commit, landed.wrong
    assert git(repository, "show", "green:text") == "changed"
    await tree.run("sh plant.sh")
    await run.end(keep=True)
    assert list(ran.iterdir()) == []
    assert left_over(repository) == []


async def test_no_attributes_file_has_programs_of_the_repositorys_configuration_run(
    tmp_path: Path,
) -> None:
    repository, ran = make(tmp_path / "repository"), tmp_path / "ran"
    ran.mkdir()
    for key in ("filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.command", "diff.x.textconv",
                "diff.external", "core.fsmonitor", "merge.x.driver", "gpg.program"):  # fmt: skip
        git(repository, "config", key, f"touch {ran}/{key} #")
    for key in ("filter.x.required", "commit.gpgSign"):
        git(repository, "config", key, "true")
    git(repository, "config", "merge.default", "x")
    write(repository / ".git" / "hooks", {name: f"#!/bin/sh\ntouch {ran}/{name}\n" for name in (
        "post-checkout", "reference-transaction", "post-index-change", "pre-commit", "post-rewrite")})  # fmt: skip
    for hook in (repository / ".git" / "hooks").iterdir():
        hook.chmod(0o755)
    run = await begun(repository, tmp_path / "work", check="true")
    landing, one, two = Landing(run), await run.open("one"), await run.open("two")
    write(one.path, {".gitattributes": "* filter=x diff=x merge=x\n", "text": "two\n"})
    assert "+two" in await one.diff()
    assert (await land(landing, one)).commit
    write(two.path, {"text": "three\n"})
    landed = await land(landing, two)
    assert landed.wrong
    assert "others have changed the same places" in landed.wrong
    await run.end(keep=True)
    assert list(ran.iterdir()) == []


async def test_a_confined_command_cannot_change_what_git_keeps(tmp_path: Path) -> None:
    try:
        box = Bubblewrap()
    except Unavailable as problem:
        pytest.skip(str(problem))
    repository = make(tmp_path / "repository")
    git(repository, "config", "secret.token", "not-to-be-seen")
    run = Worktrees(Workspace(repository=str(repository)), tmp_path / "work", "run", box)
    await run.begin()
    tree = await run.open("one")
    common = repository / ".git"
    script = (
        f"touch {common}/hooks/x {common}/refs/x {common}/objects/x {tree.admin}/x {common}/swarm/x {common}/x; "
        "git commit --allow-empty -qm x; git update-ref refs/heads/green HEAD~; cat ../../repository/.git/config; "
        "git log --oneline && echo history; git status --short && echo status"
    )
    said = (await tree.run(f"sh -c '{script}'")).output
    assert "not-to-be-seen" not in said
    assert "history" in said
    assert "status" in said
    assert not [path for path in common.rglob("x") if path.is_file()]
    assert len(git(repository, "rev-list", "--all").split()) == 1
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_repositories_and_gitlinks_that_are_planted_do_not_land(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository", {"src/a": "a\n", "text": "one\n"})
    run = await begun(repository, tmp_path / "work", check="true")
    landing, tree = Landing(run), await run.open("one")
    make(tree.path / "inner")
    landed = await land(landing, tree)
    assert landed.wrong
    assert "git repositories inside of the worktree, which cannot land: inner/" in landed.wrong
    shutil.rmtree(tree.path / "inner" / ".git")
    git(tree.path / "src", "init", "--quiet")  # among files that git keeps: those land, it does not
    write(tree.path, {"src/a": "b\n", "src/new": "new\n"})
    landed = await land(landing, tree)
    assert landed.commit, landed.wrong
    names = git(repository, "ls-tree", "-r", "--name-only", "green").splitlines()
    assert "src/new" in names
    assert "inner/text" in names
    assert not [
        line for line in git(repository, "ls-tree", "-r", "green").splitlines() if line.startswith("160000")
    ]
    again = await run.open("two")
    make(again.path / "inner" / "deep")
    await again.put(again.base, base=again.base)
    assert not (again.path / "inner" / "deep").exists()
    await run.end(keep=False)


async def test_a_submodule_of_the_repository_is_left_alone(tmp_path: Path) -> None:
    repository, inner = make(tmp_path / "repository"), make(tmp_path / "inner")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "sub")
    commit(repository, "with a submodule")
    run = await begun(repository, tmp_path / "work", check="true")
    tree = await run.open("one")
    write(tree.path, {"text": "changed\n"})
    assert (await land(Landing(run), tree)).commit
    assert git(repository, "ls-tree", "green", "sub") == git(repository, "ls-tree", "main", "sub")
    await run.end(keep=False)


async def test_links_land_as_links_and_lead_nobody_out(tmp_path: Path) -> None:
    repository, user = make(tmp_path / "repository", {"parts/a": "a\n", "text": "one\n"}), tmp_path / "user"
    write(user, {"a": "kept", "mine": "kept"})
    run = await begun(repository, tmp_path / "work", check="true", protected=("secret*",))
    landing, tree = Landing(run), await run.open("one")
    shutil.rmtree(tree.path / "parts")
    (tree.path / "parts").symlink_to(user)
    (tree.path / "secrets").symlink_to(user)
    os.mkfifo(tree.path / "pipe")
    landed = await land(landing, tree)
    assert landed.wrong
    assert "'secrets'" in landed.wrong or "secrets" in landed.wrong
    landed = await land(landing, tree)
    assert landed.commit, landed.wrong
    assert git(repository, "ls-tree", "green", "parts").startswith("120000 blob")
    await tree.put(await run.repository.parent(landed.commit), base=tree.base)
    assert (tree.path / "parts" / "a").read_text() == "a\n"
    assert seen(user) == {"a": b"kept", "mine": b"kept"}
    await run.end(keep=False)
    assert seen(user) == {"a": b"kept", "mine": b"kept"}


async def test_what_somebody_unconfined_commits_or_switches_to_in_a_worktree_moves_no_branch_and_is_not_lost(
    tmp_path: Path,
) -> None:
    repository = make(tmp_path / "repository")
    git(repository, "branch", "precious")
    run = await begun(repository, tmp_path / "work", check="true", protected=("check.sh",))
    landing, main, precious = Landing(run), await run.open("one"), git(repository, "rev-parse", "precious")
    write(main.path, {"text": "committed\n", "new": "new\n"})
    commit(main.path, "by the slice itself")
    write(main.path, {"staged": "staged\n", "check.sh": "true\n"})
    git(main.path, "add", "--all")
    shown = await main.diff()
    assert all(word in shown for word in ("+committed", "+staged", "+new"))
    landed = await land(landing, main)
    assert landed.wrong
    assert "no slice may change these: check.sh" in landed.wrong
    landed = await land(landing, main)
    assert landed.commit, landed.wrong
    assert history(repository) == [landed.commit]
    assert [git(repository, "show", f"green:{name}") for name in ("text", "new", "staged")] == [
        "committed", "new", "staged"]  # fmt: skip
    two = await run.open("two")
    git(two.path, "checkout", "--quiet", "precious")
    write(two.path, {"text": "other\n", "more": "more\n"})
    git(two.path, "add", "more")
    await land(landing, two)
    await two.put(landed.commit, base=landed.commit)
    assert git(repository, "rev-parse", "precious") == precious
    three = await run.open("three")
    write(three.path, {"text": "unfinished\n"})
    commit(three.path, "by the slice itself")
    await run.end(keep=True)
    run = await begun(repository, tmp_path / "work", check="true")
    assert (await run.open("three")).path.joinpath("text").read_text() == "unfinished\n"
    await run.end(keep=False)
    assert git(repository, "rev-parse", "precious") == precious


async def test_the_users_own_checkout_is_neither_read_nor_written(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    write(repository, {"text": "dirty\n", "untracked": "mine\n", "staged": "mine\n"})
    git(repository, "add", "staged")
    before, state = (
        {n: c for n, c in seen(repository).items() if not n.startswith(".git/")},
        git(repository, "status", "--porcelain"),
    )
    run = await begun(repository, tmp_path / "work", check="true")
    tree = await run.open("one")
    assert (tree.path / "text").read_text() == "one\n"
    write(tree.path, {"text": "two\n"})
    assert (await land(Landing(run), tree)).commit
    await run.end(keep=False)
    assert {n: c for n, c in seen(repository).items() if not n.startswith(".git/")} == before
    assert git(repository, "status", "--porcelain") == state


async def test_two_runs_are_not_at_work_under_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm.workspace.worktrees._ORPHANS_SECONDS", 0.1)
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    await run.open("one")
    with pytest.raises(UsageError, match="is at work in another process"):
        await trees(repository, tmp_path / "work").begin()
    with pytest.raises(UsageError, match="stop it first"):
        await forget(Workspace(repository=str(repository)), "run")
    other = await begun(repository, tmp_path / "others", "other")
    await other.end(keep=False)
    assert [left.slice for left in found(run.repository)] == ["one"]
    await asyncio.gather(run.end(keep=False), run.end(keep=False))
    assert left_over(repository) == []
