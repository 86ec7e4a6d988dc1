"""Work lands on a remote from several machines: each sees what others landed, and each piece lands once."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from swarm.equipment import Workspace
from swarm.errors import RunError, StaleLease, UsageError
from swarm.orders import Order
from swarm.program import Checkout, Ruling
from swarm.workspace import clones, shared, turns
from swarm.workspace.forget import forget
from swarm.workspace.landing import Landing
from swarm.workspace.remote import Push
from swarm.workspace.worktrees import Worktrees
from tests.workspace.remotes import bare, joined, machine
from tests.workspace.repos import Straight, elsewhere, git, history, land, passes, write

__all__ = ["elsewhere"]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare(tmp_path / "remote.git")


async def test_what_one_machine_lands_another_sees(remote: Path, tmp_path: Path) -> None:
    one, two = await joined(remote, tmp_path / "one"), await joined(remote, tmp_path / "two")
    early = await two.open("early")
    first = await one.open("first")
    write(first.path, {"text": "landed\n", "beside": "x\n"})
    landed = await land(Landing(one), first)
    assert landed.commit == git(remote, "rev-parse", "green")
    assert ((await two.open("later")).path / "beside").read_text() == "x\n"
    assert ((await two.look("reader")).path / "text").read_text() == "landed\n"
    write(early.path, {"other": "y\n"})
    second = await land(Landing(two), early)
    assert history(remote) == [landed.commit, second.commit]
    assert git(remote, "show", "green:text", "green:other") == "landed\ny"
    await one.end(keep=False)
    await two.end(keep=False)
    assert git(remote, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/green", "refs/heads/main"]


async def test_a_branch_that_is_not_there_begins_at_its_base_whoever_comes_first(
    remote: Path, tmp_path: Path
) -> None:
    git(remote, "tag", "here", "main")
    found = []
    for number in range(3):
        with machine(tmp_path / f"m{number}"):
            found.append(await shared.find(str(remote), "green"))
    await asyncio.gather(*(one.ensure_branch("here") for one in found))
    assert {one.seen for one in found} == {git(remote, "rev-parse", "green")} == {git(remote, "rev-parse", "here")}
    with pytest.raises(UsageError, match="has no 'nowhere' for work to begin from"):
        await joined(remote, tmp_path / "m0", branch="other", base="nowhere")


async def test_runs_of_one_process_begin_side_by_side_and_another_process_borrows(
    remote: Path, tmp_path: Path
) -> None:
    with machine(tmp_path / "one"):
        folders = [
            Worktrees(Workspace(remote=str(remote)), tmp_path / f"w{n}", f"r{n}", Straight()) for n in range(3)
        ]
        await asyncio.gather(*(run.begin() for run in folders))
        clone, _ = clones.take(str(remote))
        second, hold = next(clones.free(clone.parent))
        await clones.make(second)
        assert [path.name for path in sorted(clone.parent.glob("*.git"))] == ["1.git", "2.git"]
        assert (second / "objects/info/alternates").read_text() == f"{clone}/objects\n"
        assert git(second, "cat-file", "-t", folders[0].repository.seen) == "commit"  # type: ignore[attr-defined]
        hold.let_go()
    for run in folders:
        await run.end(keep=False)


async def test_machines_that_land_at_once_land_each_piece_once_upon_what_others_landed(
    remote: Path, tmp_path: Path
) -> None:
    runs = [await joined(remote, tmp_path / f"m{n}", check="sh check.sh") for n in range(2)]

    async def work(number: int, landing: Landing) -> str:
        run = runs[number % 2]
        tree = await run.open(f"s{number}")
        write(tree.path, {f"parts/s{number}": "ok\n"})
        landed = await land(landing, tree, f"s{number}")
        assert landed.commit, landed.wrong
        return landed.commit

    landings = [Landing(run) for run in runs]
    commits = await asyncio.gather(*(work(number, landings[number % 2]) for number in range(4)))
    assert sorted(commits) == sorted(history(remote))
    assert all(passes(remote, commit, tmp_path) for commit in commits)
    assert git(remote, "rev-list", "--min-parents=2", "green") == ""
    for run in runs:
        await run.end(keep=False)
    assert "swarm" not in git(remote, "for-each-ref")


async def test_who_is_beaten_time_and_again_gets_the_turn(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine lands while the check of another is at work, each time, until that has the turn."""
    monkeypatch.setattr(shared, "_BEATEN", 1)
    one, two = await joined(remote, tmp_path / "one"), await joined(remote, tmp_path / "two")
    quick, wins, checks = Landing(one), 0, 0

    async def judged(_checkout: Checkout, _order: Order) -> Ruling:
        nonlocal wins, checks
        checks += 1
        await one.repository.fresh()
        if one.repository._turn.anothers:  # type: ignore[attr-defined]
            with pytest.raises(TimeoutError):  # it would wait for ever
                await asyncio.wait_for(one.repository.at_front(), 0.2)
            return Ruling(lands=True)
        tree = await one.open(f"quick{wins}")
        write(tree.path, {f"quick{wins}": "x\n"})
        assert (await land(quick, tree)).commit
        wins += 1
        return Ruling(lands=True)

    tree = await two.open("slow")
    write(tree.path, {"slow": "x\n"})
    landed = await land(Landing(two), tree, decide=judged)
    assert landed.commit == git(remote, "rev-parse", "green")
    assert (wins, checks) == (shared._BEATEN, shared._BEATEN + 1)
    assert turns.TURNS not in git(remote, "for-each-ref")
    await one.end(keep=False)
    await two.end(keep=False)


async def test_a_turn_of_the_dead_is_anybodys(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await joined(remote, tmp_path / "one")
    dead = git(remote, "rev-parse", "main")
    git(remote, "update-ref", f"{turns.TURNS}green", dead)
    await run.repository.fresh()
    assert run.repository._turn.anothers  # type: ignore[attr-defined]
    monkeypatch.setattr(turns, "STALE_SECONDS", 0.0)
    tree = await run.open("slice")
    write(tree.path, {"x": "y\n"})
    assert (await land(Landing(run), tree)).commit
    await run.end(keep=False)


# Who died, and who was taken for dead


async def test_a_commit_that_was_about_to_land_is_known_on_another_machine(remote: Path, tmp_path: Path) -> None:
    one, told = await joined(remote, tmp_path / "one"), list[str]()

    async def about_to(commit: str) -> None:
        told.append(commit)

    tree = await one.open("slice")
    write(tree.path, {"x": "y\n"})
    landed = await land(Landing(one), tree, about_to=about_to)
    assert told == [landed.commit]
    two = await joined(remote, tmp_path / "two")  # the first died before it had recorded that
    tree = await two.open("slice")
    write(tree.path, {"x": "again\n"})
    again = await land(Landing(two), tree, landed_before=told[-1])
    assert again.commit == landed.commit
    assert history(remote) == told


async def test_a_push_of_one_taken_for_dead_is_known_when_it_comes_in_between(
    remote: Path, tmp_path: Path
) -> None:
    """It was frozen between its look at the lease and its push. Whoever took over finds its commit."""
    one, two = await joined(remote, tmp_path / "one"), await joined(remote, tmp_path / "two")
    tree, other = await one.open("slice"), await two.open("slice")
    write(tree.path, {"x": "of one\n"})
    write(other.path, {"x": "of the other\n"})
    told, base = list[str](), other.base

    async def frozen(commit: str) -> None:
        told.append(commit)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await land(Landing(one), tree, about_to=frozen)

    async def woken(_commit: str) -> None:
        said = await one.repository.remote.push(Push(ref="refs/heads/green", commit=told[0], expected=base))
        assert said.code == 0, said.error

    landed = await land(Landing(two), other, landed_before=told[0], about_to=woken)
    assert landed.commit == told[0]
    assert history(remote) == told


async def test_who_has_no_lease_any_more_lands_nothing(remote: Path, tmp_path: Path) -> None:
    run, told = await joined(remote, tmp_path / "one"), list[str]()

    async def about_to(commit: str) -> None:
        told.append(commit)

    async def still_ours() -> bool:
        return not told  # lost with the record that was refused, at the latest

    tree = await run.open("slice")
    write(tree.path, {"x": "y\n"})
    with pytest.raises(StaleLease, match="another's by now"):
        await land(Landing(run), tree, about_to=about_to, still_ours=still_ours)
    assert history(remote) == []
    await run.end(keep=True)


async def test_an_answer_that_is_lost_is_asked_for_until_it_comes(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await joined(remote, tmp_path / "one")
    away, push, fetch, tries = (
        remote.with_name("away.git"),
        run.repository.remote.push,
        run.repository.remote._run,
        0,
    )

    async def lost(*pushes: Push) -> object:
        said = await push(*pushes)
        assert said.code == 0
        remote.rename(away)  # the server is gone, with the work on it
        return type(said)(code=128, out=b"", error="the remote end hung up unexpectedly")

    async def counted(*words: str, seconds: float) -> object:
        nonlocal tries
        tries += words[0] == "fetch"
        if tries >= 3 and away.exists():
            away.rename(remote)
        return await fetch(*words, seconds=seconds)

    tree = await run.open("slice")
    write(tree.path, {"x": "y\n"})
    landing, tries = Landing(run), -1  # the first look, before the push
    monkeypatch.setattr(run.repository.remote, "push", lost)
    monkeypatch.setattr(run.repository.remote, "_run", counted)
    landed = await land(landing, tree)
    monkeypatch.undo()
    assert history(remote) == [landed.commit]
    await run.end(keep=False)


async def test_a_branch_that_is_written_anew_is_told_in_one_line(remote: Path, tmp_path: Path) -> None:
    run = await joined(remote, tmp_path / "one")
    tree = await run.open("slice")
    write(tree.path, {"x": "y\n"})
    assert (await land(Landing(run), tree)).commit
    git(remote, "update-ref", "refs/heads/green", git(remote, "commit-tree", "main^{tree}", "-m", "anew"))
    with pytest.raises(
        RunError, match=r"'green' of .*remote.git was rewritten by somebody: [0-9a-f]{12} is no part"
    ):
        await run.open("next")
    git(remote, "update-ref", "-d", "refs/heads/green")
    with pytest.raises(RunError, match="'green' is gone from"):
        await run.open("next")
    await run.end(keep=False)
    git(remote, "update-ref", "refs/heads/green", "main")
    again = await joined(remote, tmp_path / "one")  # whoever begins goes on upon what is there
    assert not ((await again.open("next")).path / "x").exists()
    await again.end(keep=False)


# Unfinished work


async def test_what_is_kept_is_gone_on_with_on_another_machine(remote: Path, tmp_path: Path) -> None:
    one = await joined(remote, tmp_path / "one")
    tree = await one.open("slice")
    base = tree.base
    write(tree.path, {"half": "done\n"})
    (tree.path / "text").unlink()
    await one.keep("slice")
    kept = git(remote, "rev-parse", "refs/swarm/run/slice")
    await one.keep("slice")
    assert git(remote, "rev-parse", "refs/swarm/run/slice") == kept  # nothing new is not pushed again
    other = await one.open("other")
    write(other.path, {"z": "z\n"})
    assert (await land(Landing(one), other)).commit
    two = await joined(remote, tmp_path / "two")
    tree = await two.open("slice")
    assert (tree.path / "half").read_text() == "done\n"
    assert not (tree.path / "text").exists()
    assert tree.base == base
    write(tree.path, {"half": "more\n"})
    await two.keep("slice")
    write((await one.open("slice")).path, {"half": "of one who was taken for dead\n"})
    with pytest.raises(RunError, match="is worked elsewhere by now"):
        await one.keep("slice")
    await one.leave("slice")
    assert ((await one.open("slice")).path / "half").read_text() == "more\n"
    await one.leave("slice")
    landed = await land(Landing(two), tree)
    assert git(remote, "show", f"{landed.commit}:half") == "more"
    await two.close("slice")
    assert "refs/swarm/" not in git(remote, "for-each-ref")


async def test_work_that_does_not_land_is_kept_as_it_came_back(remote: Path, tmp_path: Path) -> None:
    one = await joined(remote, tmp_path / "one", check="sh check.sh")
    tree = await one.open("slice")
    write(tree.path, {"parts/x": "bad\n"})
    assert "parts/x is not ok" in str((await land(Landing(one), tree)).wrong)
    two = await joined(remote, tmp_path / "two", check="sh check.sh")
    tree = await two.open("slice")
    assert (tree.path / "parts/x").read_text() == "bad\n"
    write(tree.path, {"parts/x": "ok\n"})
    assert (await land(Landing(two), tree)).commit


async def test_what_is_kept_of_a_landing_that_was_broken_off_is_the_work(remote: Path, tmp_path: Path) -> None:
    one = await joined(remote, tmp_path / "one")
    tree = await one.open("slice")
    write(tree.path, {"x": "y\n"})
    base = tree.base

    async def broken_off(_commit: str) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await land(Landing(one), tree, about_to=broken_off)
    await one.keep("slice")
    await one.leave("slice")
    two = await joined(remote, tmp_path / "two")
    again = await two.open("slice")
    assert (again.base, (again.path / "x").read_text()) == (base, "y\n")
    assert (await land(Landing(two), again)).commit


async def test_a_run_that_stops_gives_its_work_to_whichever_machine_goes_on(remote: Path, tmp_path: Path) -> None:
    one = await joined(remote, tmp_path / "one")
    write((await one.open("slice")).path, {"half": "done\n"})
    await one.end(keep=True)
    two = await joined(remote, tmp_path / "two")
    assert ((await two.open("slice")).path / "half").read_text() == "done\n"
    await two.end(keep=False)
    assert "refs/swarm/" not in git(remote, "for-each-ref")


async def test_a_run_that_is_forgotten_leaves_nothing_on_the_remote_nor_in_the_clones(
    remote: Path, tmp_path: Path
) -> None:
    one = await joined(remote, tmp_path / "one")
    write((await one.open("slice")).path, {"half": "done\n"})
    await one.keep("slice")
    other = await joined(remote, tmp_path / "one", "other")
    write((await other.open("slice")).path, {"half": "done\n"})
    await other.end(keep=True)
    with machine(tmp_path / "one"):
        with pytest.raises(UsageError, match="at work in another process"):
            await forget(Workspace(remote=str(remote)), "run")
        await one.end(keep=True)
        await forget(Workspace(remote=str(remote)), "run")
    assert git(remote, "for-each-ref", "refs/swarm", "--format=%(refname)") == "refs/swarm/other/slice"
    clone = next((tmp_path / "one/.swarm/remotes").glob("*/1.git"))
    assert git(clone, "for-each-ref", "refs/swarm/run") == ""


async def test_a_clone_that_lost_its_remote_says_so_in_one_line(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_FIRST_PATIENCE_SECONDS", 0.0)
    shutil.rmtree(remote)
    with pytest.raises(UsageError, match=r"the remote .*remote.git cannot be reached: ") as told:
        await joined(remote, tmp_path / "one")
    assert "\n" not in str(told.value)
