"""A suite as a ratchet, on real commits: what passed has to pass, and what was asked for too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.orders import Order
from swarm.workspace.suite import PYTEST, Ratchet, Suite, results_in

RUNNER = """\
import sys
cases = [line.split() for line in open("results.txt")]
made = {"pass": "", "fail": '<failure message="wrong">it is wrong</failure>', "skip": "<skipped/>"}
with open(sys.argv[1], "w") as report:
    report.write("<testsuites><testsuite>")
    for name, outcome in cases:
        report.write(f'<testcase file="t.py" classname="t" name="{name}">{made[outcome]}</testcase>')
    report.write("</testsuite></testsuites>")
open("../ran.txt", "a").write("x")
"""
ORDER = Order(name="one", objective="Make one pass.")


@dataclass
class Checked:
    """A folder with a commit in it, and commands in it that nothing confines."""

    path: Path
    base: str
    commit: str = "what would land"

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        done = await asyncio.to_thread(
            subprocess.run, command, shell=True, cwd=self.path, capture_output=True, text=True, check=False
        )
        return Ran(exit=done.returncode, output=done.stdout + done.stderr, output_bytes=0, seconds=0.0)

    async def changed(self) -> Sequence[str]:
        return ()


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.invalid"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, results: str) -> str:
    (folder / "results.txt").write_text(results)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "It")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Checked:
    """Its base has two tests: a passes and b fails."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "run_tests.py").write_text(RUNNER.replace("../ran.txt", str(tmp_path / "ran.txt")))
    return Checked(folder, commit(folder, "a pass\nb fail\n"))


def runs(checkout: Checked) -> int:
    return len((checkout.path.parent / "ran.txt").read_text())


SUITE = Suite(command=f"{sys.executable} run_tests.py {{report}}")


async def test_work_that_breaks_nothing_and_does_what_was_asked_lands(checkout: Checked) -> None:
    (checkout.path / "results.txt").write_text("a pass\nb pass\n")
    ruling = await Ratchet(SUITE, lambda _: ["t.py::b"])(checkout, ORDER)
    assert (ruling.lands, ruling.wrong) == (True, None)


@pytest.mark.parametrize("now", ["a fail\nb pass\n", "a skip\nb pass\n", "b pass\n"])
async def test_a_test_that_passed_may_neither_fail_nor_be_skipped_nor_be_gone(checkout: Checked, now: str) -> None:
    (checkout.path / "results.txt").write_text(now)
    ruling = await Ratchet(SUITE)(checkout, ORDER)
    assert not ruling.lands
    assert ruling.wrong is not None
    assert ruling.wrong.splitlines()[:2] == [
        "These tests passed before and do not pass with your work:",
        "- t.py::a",
    ]


async def test_tests_that_failed_before_may_fail_but_for_those_that_were_asked_for(checkout: Checked) -> None:
    assert (await Ratchet(SUITE)(checkout, ORDER)).lands
    ruling = await Ratchet(SUITE, lambda _: ["t.py::b"])(checkout, ORDER)
    assert not ruling.lands
    assert ruling.wrong is not None
    assert "- t.py::b\n    wrong\n    it is wrong" in ruling.wrong


async def test_the_branch_is_run_once_and_what_landed_not_again(checkout: Checked) -> None:
    ratchet = Ratchet(SUITE)
    checkout.commit = "next"
    await ratchet(checkout, ORDER)
    assert runs(checkout) == 2
    await ratchet(checkout, ORDER)
    assert runs(checkout) == 3
    checkout.base, checkout.commit = "next", "the one after"
    await ratchet(checkout, ORDER)
    assert runs(checkout) == 4


async def test_nothing_is_left_in_the_worktree(checkout: Checked) -> None:
    await Ratchet(SUITE)(checkout, ORDER)
    assert git(checkout.path, "status", "--porcelain", "--ignored") == ""


async def test_tests_that_do_not_run_are_told_with_what_was_printed(checkout: Checked) -> None:
    (checkout.path / "run_tests.py").write_text("raise SystemExit('no such luck')")
    ruling = await Ratchet(SUITE)(checkout, ORDER)
    assert not ruling.lands
    assert ruling.wrong is not None
    assert ruling.wrong.startswith("the tests do not run: exit 1, and no report was written")
    assert ruling.wrong.endswith("no such luck")


async def test_a_command_that_cannot_be_started_is_told(checkout: Checked) -> None:
    class Broken(Checked):
        async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
            raise ToolFailed("there is no such program")

    ruling = await Ratchet(SUITE)(Broken(checkout.path, checkout.base), ORDER)
    assert ruling.wrong == "the tests do not run: there is no such program"


async def test_a_report_that_is_a_link_is_not_followed(checkout: Checked, tmp_path: Path) -> None:
    (tmp_path / "forged.xml").write_text('<testsuite><testcase file="t.py" classname="t" name="a"/></testsuite>')
    (checkout.path / "run_tests.py").write_text(
        f"import os, sys\nos.symlink({str(tmp_path / 'forged.xml')!r}, sys.argv[1])\n"
    )
    results = await SUITE.run(checkout)
    assert (results.passed, bool(results.trouble)) == (frozenset(), True)


def test_a_report_that_is_none_or_reads_other_files_is_refused() -> None:
    with pytest.raises(ValueError):
        results_in(b"<testsuite><testcase")
    entity = (
        b'<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/hostname">]><t><testcase file="t.py" classname="t" name="a">'
    )
    found = results_in(entity + b"<failure>&x;</failure></testcase></t>")
    assert found.failed == {"t.py::a": ""}


def test_a_test_that_fails_and_passes_in_one_report_fails() -> None:
    case = '<testcase file="t.py" classname="t" name="a"'
    found = results_in(f"<s>{case}/>{case}><error/></testcase></s>".encode())
    assert (found.passed, set(found.failed)) == (frozenset(), {"t.py::a"})


async def test_names_are_those_that_pytest_takes(checkout: Checked) -> None:
    (checkout.path / "tests").mkdir()
    (checkout.path / "tests" / "test_it.py").write_text(
        "import pytest\n\nclass TestIt:\n    def test_one(self): pass\n\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_two(n): assert n == 1\n\n"
        "@pytest.mark.skip\ndef test_three(): pass\n"
    )
    (checkout.path / "tests" / "test_broken.py").write_text("import nothing_of_that_name\n")
    results = await Suite(command=PYTEST.replace("python", sys.executable, 1)).run(checkout)
    assert results.passed == {"tests/test_it.py::TestIt::test_one", "tests/test_it.py::test_two[1]"}
    assert {"tests/test_it.py::test_two[2]"} < set(results.failed)
    assert len(results.failed) == 2


def gated(checkout: Checked, gate: asyncio.Event) -> Checked:
    """The same, where a command does not begin before the gate is open."""

    class Gated(Checked):
        async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
            await gate.wait()
            return await super().run(command, bounds)

    return Gated(checkout.path, checkout.base, "next")


async def test_work_upon_work_that_is_still_tried_waits_for_what_comes_of_that(checkout: Checked) -> None:
    ratchet, gate = Ratchet(SUITE), asyncio.Event()
    above = Checked(checkout.path, base="next", commit="the one after")
    first = asyncio.ensure_future(ratchet(gated(checkout, gate), ORDER))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(ratchet(above, ORDER))
    await asyncio.sleep(0)
    gate.set()
    assert [one.lands for one in await asyncio.gather(first, second)] == [True, True]
    assert runs(checkout) == 3, "each of the two, and what the branch had"


async def test_work_upon_work_that_is_tried_no_more_has_its_tests_run(checkout: Checked) -> None:
    ratchet, tried = Ratchet(SUITE), gated(checkout, asyncio.Event())
    tried.commit = commit(checkout.path, "a pass\nb pass\n")
    first = asyncio.ensure_future(ratchet(tried, ORDER))
    await asyncio.sleep(0)
    (checkout.path / "results.txt").write_text("a pass\nb fail\n")
    second = asyncio.ensure_future(ratchet(Checked(checkout.path, tried.commit, "the one after"), ORDER))
    await asyncio.sleep(0)
    first.cancel()
    ruling = await second
    assert first.cancelled()
    assert not ruling.lands
    assert "t.py::b" in (ruling.wrong or ""), "as the one below it has it, and not what the branch has"


async def test_a_branch_whose_tests_could_not_be_run_once_is_run_again(checkout: Checked) -> None:
    class Fails(Checked):
        left = 1

        async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
            if "git archive" in command and self.left:
                self.left = 0
                raise ToolFailed("there is no memory for it now")
            return await super().run(command, bounds)

    (checkout.path / "results.txt").write_text("a fail\nb pass\n")
    ruling = await Ratchet(SUITE)(Fails(checkout.path, checkout.base), ORDER)
    assert not ruling.lands
    assert "t.py::a" in (ruling.wrong or "")
