"""How work lands: the branch passes at each of its commits, and what does not land comes back in words."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from swarm.errors import RunError, UsageError
from swarm.orders import Order
from swarm.program import Checkout, Ruling
from swarm.workspace import landing as landings
from swarm.workspace.landing import Landed, Landing
from swarm.workspace.messages import SUBJECT_CHARS, composed
from swarm.workspace.worktrees import Worktree, Worktrees
from tests.workspace.repos import begun, commit, elsewhere, git, history, land, left_over, make, passes, write

__all__ = ["elsewhere"]
MANY = 16
MARK = re.compile(r"^(<{7} |={7}$|>{7} ).*\n", re.MULTILINE)


async def work(run: Worktrees, landing: Landing, number: int, told: list[str]) -> Landed:
    """A slice as a sub-agent would work it: it begins wrong, is told, and puts it right."""
    name, tries = f"s{number:02}", 0
    tree = await run.open(name)
    write(tree.path, {f"parts/{name}": "bad\n" if number % 4 == 1 else "ok\n"})
    while True:
        tries += 1
        assert tries < 3 * MANY, told
        if number % 2:
            listed = MARK.sub("", (tree.path / "list").read_text()).split()
            write(tree.path, {"list": "".join(f"{line}\n" for line in sorted({*listed, name}))})
        if number % 5 == 0 and tries == 1:
            write(tree.path, {"check.sh": "exit 0\n", "protected/new": "new\n"})
        landed = await land(landing, tree, f"Part {name}")
        if landed.commit is not None:
            return landed
        assert landed.wrong, name
        told.append(landed.wrong)
        write(tree.path, {f"parts/{name}": "ok\n"})


@pytest.mark.parametrize("speculate", [True, pytest.param(False, marks=pytest.mark.soak)])
async def test_many_land_at_once_and_the_branch_passes_at_each_commit(speculate: bool, tmp_path: Path) -> None:
    repository, told = make(tmp_path / "repository"), list[str]()
    run = await begun(repository, tmp_path / "work", check="sh check.sh", protected=("check.sh", "/protected/"))
    landing = Landing(run, speculate=speculate)
    landed = await asyncio.gather(*(work(run, landing, number, told) for number in range(MANY)))
    await run.end(keep=False)
    commits = history(repository)
    assert sorted(commits) == sorted(str(each.commit) for each in landed)
    assert all(len(git(repository, "rev-list", "--parents", "-1", each).split()) == 2 for each in commits)
    assert all(passes(repository, each, tmp_path) for each in commits)
    assert git(repository, "show", "green:list").split() == [f"s{number:02}" for number in range(1, MANY, 2)]
    assert git(repository, "diff", "--name-only", "main", "green", "--", "check.sh", "protected") == ""
    subjects = git(repository, "log", "--format=%s %(trailers:key=Swarm-Slice,valueonly)", "main..green").split(
        "\n"
    )
    assert sorted(filter(None, subjects)) == [f"Part s{number:02} s{number:02}" for number in range(MANY)]
    for words in (
        "no slice may change these: check.sh",
        "parts/s01 is not ok",
        "others have changed the same places",
    ):
        assert any(words in each for each in told), (words, told)
    assert left_over(repository) == []


async def test_a_conflict_comes_back_with_its_marks_which_cannot_land(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    landing, one, two = Landing(run), await run.open("one"), await run.open("two")
    write(one.path, {"text": "of one\n"})
    write(two.path, {"text": "of two\n", "beside": "kept\n"})
    first = await land(landing, one)
    assert first.commit
    back = await land(landing, two)
    assert back.commit is None
    assert back.wrong
    assert "others have changed the same places meanwhile: text." in back.wrong
    text = (two.path / "text").read_text()
    assert re.fullmatch(r"<{7} (\w+)\nof one\n={7}\nof two\n>{7} (\w+)\n", text)
    assert all(
        f"{mark} {name[:12]} " in back.wrong for mark, name in re.findall(r"^(<{7}|>{7}) (\w+)", text, re.M)
    )
    assert (two.path / "beside").read_text() == "kept\n"
    assert two.base == first.commit
    again = await land(landing, two)
    assert again.wrong
    assert "marks of a conflict are left in text" in again.wrong
    assert (two.path / "text").read_text() == text
    write(two.path, {"text": "of both\n", "title": "=======\n<<<<<<< of a title\n"})
    landed = await land(landing, two)
    assert landed.commit, landed.wrong
    assert git(repository, "show", "green:text") == "of both"
    await run.end(keep=False)


async def test_a_red_check_comes_back_with_what_it_printed_and_the_work_upon_what_landed(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="sh check.sh")
    landing, one, two = Landing(run), await run.open("one"), await run.open("two")
    write(one.path, {"text": "landed\n"})
    assert (await land(landing, one)).commit
    write(two.path, {"parts/two": "bad\n"})
    back = await land(landing, two)
    assert back.commit is None
    assert back.wrong
    assert "the check `sh check.sh` fails on this work as it would land: exit 1" in back.wrong
    assert "parts/two is not ok" in back.wrong
    assert (two.path / "text").read_text() == "landed\n"
    assert "+bad" in await two.diff()
    assert "landed" not in await two.diff()
    assert history(repository) == [git(repository, "rev-parse", "green")]
    await run.end(keep=False)


async def test_protected_paths_are_refused_and_put_back(tmp_path: Path) -> None:
    files = {"tests/a": "a\n", "tests/deep/b": "b\n", "text": "one\n", "x.lock": "1\n"}
    repository = make(tmp_path / "repository", files)
    run = await begun(repository, tmp_path / "work", check="true", protected=("/tests/", "*.lock", "!free.lock"))
    landing, tree = Landing(run), await run.open("one")
    (tree.path / "tests" / "a").unlink()
    write(
        tree.path,
        {"tests/new": "n\n", "tests/deep/b": "c\n", "x.lock": "2\n", "free.lock": "f\n", "text": "two\n"},
    )
    (tree.path / "tests" / "deep" / "b").chmod(0o755)
    back = await land(landing, tree)
    assert back.wrong
    assert all(name in back.wrong for name in ("tests/a", "tests/new", "tests/deep/b", "x.lock"))
    assert "free.lock" not in back.wrong
    assert (tree.path / "text").read_text() == "two\n"
    assert not (tree.path / "tests" / "new").exists()
    assert (tree.path / "tests" / "a").read_text() == "a\n"
    assert (await land(landing, tree)).commit
    (tree.path / "tests").rename(tree.path / "moved")
    write(tree.path, {"tests": "a file in the place of the folder\n"})
    back = await land(landing, tree)
    assert back.wrong
    assert (tree.path / "tests" / "deep" / "b").read_text() == "b\n"
    assert git(repository, "diff", "--name-only", "main", "green").split() == ["free.lock", "text"]
    await run.end(keep=False)


async def test_patterns_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    run = await begun(make(tmp_path / "repository"), tmp_path / "work", protected=("!",))
    with pytest.raises(UsageError, match="protected patterns cannot be read"):
        Landing(run)
    await run.end(keep=False)


async def test_a_protected_path_that_a_merge_would_change_does_not_land(tmp_path: Path) -> None:
    text = "".join(f"line {n}\n" for n in range(20))
    repository = make(tmp_path / "repository", {"src/a": text, "readme": "x\n"})
    run = await begun(repository, tmp_path / "work", check="true", protected=("/tests/",))
    landing, one = Landing(run), await run.open("one")
    write(one.path, {"src/a": text + "more\n"})
    (repository / "tests").mkdir()
    git(repository, "mv", "src/a", "tests/a")
    moved = commit(repository, "a person moves it to where no slice may write")
    git(repository, "update-ref", "refs/heads/green", moved)
    back = await land(landing, one)
    assert back.commit is None
    assert back.wrong
    assert "no slice may change these: tests/a" in back.wrong
    assert git(repository, "rev-parse", "green") == moved
    await run.end(keep=False)


async def test_nothing_changed_lands_nothing(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository", {"text": "one\n", ".gitignore": "*.pyc\n"})
    run = await begun(repository, tmp_path / "work", check="false")
    landing, one, two = Landing(run), await run.open("one"), await run.open("two")
    write(one.path, {"a.pyc": "x", "text": "one\n"})
    assert await land(landing, one) == Landed(commit=None, wrong=None)
    assert git(repository, "rev-parse", "green") == git(repository, "rev-parse", "main")
    landing = Landing(run)
    for tree in (one, two):
        write(tree.path, {"text": "the same\n"})
    landed = await asyncio.gather(*(land(landing, tree, decide=yes) for tree in (one, two)))
    assert sorted(each.commit is None for each in landed) == [False, True]
    assert all(each.wrong is None for each in landed)
    await run.end(keep=False)


async def yes(_checkout: Checkout, _order: Order) -> Ruling:
    return Ruling(lands=True)


async def test_a_trial_sees_exactly_what_would_land_and_decides(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository", {"text": "one\n", ".gitignore": "*.pyc\n"})
    run = await begun(repository, tmp_path / "work", check="false")
    landing, tree = Landing(run), await run.open("one")
    write(tree.path, {"text": "two\n", "a.pyc": "stale", "new": "n\n"})
    seen = []

    async def trial(checkout: Checkout, order: Order) -> Ruling:
        ran = await checkout.run("git status --porcelain --ignored")
        seen.append((ran.output, await checkout.changed(), checkout.base, order.name))
        assert git(repository, "rev-parse", f"{checkout.commit}^") == checkout.base
        return Ruling(lands=len(seen) > 1, wrong="not yet" if len(seen) == 1 else None, result="better")

    back = await land(landing, tree, decide=trial)
    assert back == Landed(commit=None, wrong="not yet", result="better")
    landed = await land(landing, tree, decide=trial)
    assert landed.commit
    assert landed.result == "better"
    assert seen == [("", ("new", "text"), git(repository, "rev-parse", "main"), "one")] * 2
    write(tree.path, {"text": "three\n"})

    async def let_go(_checkout: Checkout, _order: Order) -> Ruling:
        return Ruling(lands=False, result="worse")

    assert await land(landing, tree, decide=let_go) == Landed(commit=None, wrong=None, result="worse")
    assert (tree.path / "text").read_text() == "two\n"
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_a_branch_that_others_move_is_followed_and_one_that_is_written_anew_too(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository", {"text": "one\n", "other": "one\n"})
    run = await begun(repository, tmp_path / "work", check="true")
    landing, one, two = Landing(run), await run.open("one"), await run.open("two")
    moved = []

    async def moving(checkout: Checkout, _order: Order) -> Ruling:
        if not moved:  # a person lands something while this is checked
            write(repository, {"other": "by a person\n"})
            moved.append(commit(repository, "by a person"))
            git(repository, "update-ref", "refs/heads/green", moved[0])
        return Ruling(lands=True)

    write(one.path, {"text": "of one\n"})
    landed = await land(landing, one, decide=moving)
    assert landed.commit, landed.wrong
    assert history(repository, since=moved[0]) == [landed.commit]
    assert git(repository, "show", "green:other") == "by a person"
    anew = git(repository, "commit-tree", "green^{tree}", stdin="written anew")  # no history
    git(repository, "update-ref", "refs/heads/green", anew)
    write(two.path, {"new": "of two\n"})
    landed = await land(landing, two)
    assert landed.commit, landed.wrong
    assert history(repository, since=anew) == [landed.commit]
    assert git(repository, "ls-tree", "--name-only", "green").split() == ["new", "other", "text"]
    assert git(repository, "show", "green:text") == "of one"
    three = await run.open("three")
    write(three.path, {"text": "of three\n"})
    write(repository, {"text": "of a person\n"})
    git(repository, "add", "text")
    tree = git(repository, "write-tree")
    git(repository, "update-ref", "refs/heads/green", git(repository, "commit-tree", tree, stdin="again"))
    back = await land(landing, three)
    assert back.wrong
    text = (three.path / "text").read_text()
    names = re.findall(r"^(<{7}|>{7}) (\w{12})", text, re.M)
    assert len(names) == 2
    assert all(f"{mark} {name} " in back.wrong for mark, name in names)
    await run.end(keep=False)


async def test_work_that_is_overtaken_time_and_again_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landings, "MOVES", 3)
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    tree = await run.open("one")
    write(tree.path, {"new": "of one\n"})

    async def moving(_checkout: Checkout, _order: Order) -> Ruling:
        made = git(repository, "commit-tree", "green^{tree}", "-p", "green", stdin="x")
        git(repository, "update-ref", "refs/heads/green", made)
        return Ruling(lands=True)

    back = await land(Landing(run), tree, decide=moving)
    assert back.wrong == "the branch was moved by others 3 times while this was checked: hand it in again"
    assert "of one" in await tree.diff()
    assert (await land(Landing(run), tree, decide=yes)).commit
    await run.end(keep=False)


async def test_a_branch_that_is_gone_is_told_and_the_work_is_kept(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    tree = await run.open("one")
    write(tree.path, {"text": "two\n"})
    git(repository, "update-ref", "-d", "refs/heads/green")
    with pytest.raises(RunError, match="the branch 'green' is gone"):
        await land(Landing(run), tree)
    git(repository, "branch", "green", "main")
    assert (await run.open("one")).path.joinpath("text").read_text() == "two\n"
    assert (await land(Landing(run), tree)).commit
    await run.end(keep=False)


async def test_what_has_landed_before_lands_once(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work", check="true")
    landing, tree, told = Landing(run), await run.open("one"), list[str]()
    write(tree.path, {"text": "two\n"})

    class Killed(Exception):
        pass

    async def before(commit: str) -> None:
        told.append(commit)
        assert git(repository, "rev-parse", "green") == git(repository, "rev-parse", "main")
        raise Killed

    with pytest.raises(Killed):
        await land(landing, tree, about_to=before)
    tree = await run.open("one")
    landed = await land(landing, tree, landed_before=told[0])
    assert landed.commit
    assert history(repository) == [landed.commit]
    assert await land(landing, tree, landed_before=landed.commit) == landed
    assert await land(landing, tree, landed_before="0" * 40) == Landed(commit=None, wrong=None)
    assert history(repository) == [landed.commit]
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_a_landing_that_is_cancelled_or_whose_trial_fails_leaves_the_work_as_it_was(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    landing, one, two = Landing(run), await run.open("one"), await run.open("two")
    write(one.path, {"new": "of one\n"})
    write(two.path, {"other": "of two\n"})
    checking, ends = asyncio.Event(), asyncio.Event()

    async def waits(_checkout: Checkout, _order: Order) -> Ruling:
        checking.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.set()
        raise AssertionError

    async def fails(_checkout: Checkout, _order: Order) -> Ruling:
        raise LookupError("out of order")

    first = asyncio.create_task(land(landing, one, decide=waits))
    await checking.wait()
    second = asyncio.create_task(land(landing, two, decide=yes))
    await asyncio.sleep(0)
    first.cancel()
    landed = await second  # what is behind it goes on
    assert landed.commit, landed.wrong
    assert ends.is_set()
    assert history(repository) == [landed.commit]
    assert "of one" in await (await run.open("one")).diff()
    with pytest.raises(LookupError):
        await land(landing, one, decide=fails)
    assert "of one" in await (await run.open("one")).diff()
    assert (await land(landing, one, decide=yes)).commit
    await run.end(keep=False)
    assert left_over(repository) == []


async def test_what_was_tried_upon_work_that_fails_is_tried_again_without_it(tmp_path: Path) -> None:
    repository = make(tmp_path / "repository")
    run = await begun(repository, tmp_path / "work")
    landing, names = Landing(run), ["one", "two", "three"]
    opened = [await run.open(name) for name in names]
    running, release, bases = [asyncio.Event() for _ in names], asyncio.Event(), list[tuple[str, str]]()

    async def hand_in(tree: Worktree, number: int) -> Landed:
        async def trial(checkout: Checkout, _order: Order) -> Ruling:
            bases.append((tree.slice, checkout.base))
            running[number].set()
            await release.wait()
            return Ruling(lands=False, wrong="red") if number == 0 else Ruling(lands=True)

        write(tree.path, {f"new-{tree.slice}": "x\n"})
        return await land(landing, tree, decide=trial)

    tasks = []
    for number, tree in enumerate(opened):
        tasks.append(asyncio.create_task(hand_in(tree, number)))
        await running[number].wait()  # each is checked upon the one before, while that is checked
    release.set()
    one, two, three = await asyncio.gather(*tasks)
    assert one.wrong == "red"
    assert sorted(history(repository)) == sorted([str(two.commit), str(three.commit)])
    assert "new-one" not in git(repository, "ls-tree", "--name-only", "green")
    main = git(repository, "rev-parse", "main")
    assert bases[0] == ("one", main)
    assert all(base != main for _, base in bases[1:3])
    assert len(bases) >= 5
    await run.end(keep=False)


def test_a_message_has_a_subject_and_only_its_own_trailers() -> None:
    told = composed(
        "Subject  line\r\n\r\nbody\x00\nSwarm-Cost: $0\n\n", {"Swarm-Cost": "$1\n2", "Swarm-Run": "r"}, "s"
    )
    assert told == "Subject line\n\nbody\nSwarm-Cost: $0\n\nSwarm-Cost: $1 2\nSwarm-Run: r\n"
    assert composed("", {}, "s") == "Work of slice s\n\nSwarm-Slice: s\n"
    subject, _, rest = composed("x" * 200, {}, "s").partition("\n")
    assert len(subject) == SUBJECT_CHARS
    assert "x" * 200 in rest
    with pytest.raises(ValueError, match="cannot be the name of a trailer"):
        composed("x", {"a b": "c"}, "s")
