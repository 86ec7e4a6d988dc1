"""Slices that are worked in a repository: what lands, what a commit tells, and what is left when a run ends."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from swarm import (
    Checkout,
    Limits,
    Order,
    Program,
    Role,
    Ruling,
    Swarm,
    Task,
    Workspace,
    history,
    open_knowledge,
    replay,
)
from swarm.coordinator.work.state import order_id
from swarm.models.scripted import Scripted
from swarm.prompts.acting import ActPrompt
from tests.coordinator.work.test_doing import Died, report, turn
from tests.recipes.crew import content, git, make, subjects

READS, WRITES = ("read_file", "list_files"), ("read_file", "write_file", "run_command")


class Coding:
    """A run of orders on a small repository; each writes a file of its name."""

    def __init__(self, folder: Path, act: Any, *orders: str, **role: Any) -> None:
        self.repository, self.store = make(folder / "project"), folder / "swarm.db"
        self.plan = Program(
            orders=lambda: [Order(name=name, objective=f"write {name}") for name in orders],
            roles=(Role(**({"workspace": "write", "tools": WRITES} | role)),),
            answer=lambda results: ", ".join(sorted(results)),
            workspace=Workspace(repository=str(self.repository), check="sh check.sh", protected=("tests/**",)),
        )
        self.model = Scripted({"act": act})

    async def __call__(self, limits: Limits | None = None) -> Any:
        task = Task(questions=("Write it",), paths=(), mode="work", limits=limits or Limits())
        return await Swarm(self.model, store=self.store).run(task, run_id="run", plan=self.plan)

    def leaves_nothing(self) -> None:
        assert git(self.repository, "worktree", "list").count("\n") == 0
        assert not list(self.store.parent.glob("swarm.db.work/*/*"))


def writer(prompt: ActPrompt) -> dict[str, Any]:
    name = prompt.base.objective.removeprefix("write ")
    if not prompt.turns:
        return turn(("write_file", {"path": f"words/{name}", "text": f"{name} is right\n"}))
    if len(prompt.turns) == 1:
        return turn(("run_command", {"command": f"cat words/{name}"}))
    quotes = (f"{name} is right", "it was tested on the moon")
    findings = [{"claim": f"Said: {one}.", "quote": one, "relevance": 0.5} for one in quotes]
    return turn(report(f"words/{name}", summary=f"Write {name}", findings=findings))


async def test_what_lands_tells_its_run_its_slice_its_cost_and_what_it_rests_on(tmp_path: Path) -> None:
    coding = Coding(tmp_path, writer, "cat", "dog")
    answer = await coding()
    assert answer.complete
    assert sorted(subjects(coding.repository)) == ["Begin", "Write cat", "Write dog"]
    assert content(coding.repository, "words/dog") == "dog is right"
    told = git(coding.repository, "log", "--format=%b", "green")
    assert told.count("Swarm-Run: run") == 2
    assert "Swarm-Slice: cat (" in told
    assert told.count("3 calls") == 2
    assert 'Swarm-Evidence: "cat is right"' in told
    assert "on the moon" not in told, "what stands nowhere is no evidence"
    assert git(coding.repository, "status", "--porcelain") == "", "the user's own checkout is left alone"
    coding.leaves_nothing()
    assert (await replay("run", coding.store)).graph == answer.graph


async def test_a_run_that_breaks_off_goes_on_in_the_worktree_as_it_was(tmp_path: Path) -> None:
    def dies(prompt: ActPrompt) -> dict[str, Any]:
        if len(prompt.turns) == 2:
            raise Died
        return writer(prompt)

    coding = Coding(tmp_path, dies, "cat")
    with pytest.raises((Died, BaseExceptionGroup)):
        await coding()
    coding.model = Scripted({"act": writer})
    assert (await coding()).complete
    assert len(coding.model.calls) == 1, "the file was written before, and is still there"
    assert content(coding.repository, "words/cat") == "cat is right"
    coding.leaves_nothing()


async def test_unfinished_work_of_a_run_that_is_forgotten_goes_from_the_repository(tmp_path: Path) -> None:
    coding = Coding(tmp_path, writer, "cat")
    stopped = await coding(Limits(calls=4))  # of which two are kept for the answer
    assert stopped.limit == "calls"
    coding.leaves_nothing()
    assert "refs/swarm/run/" in git(coding.repository, "for-each-ref")
    await history.forget("run", coding.store)
    assert "refs/swarm" not in git(coding.repository, "for-each-ref")


async def test_one_who_only_reads_sees_what_has_landed_and_lands_nothing(tmp_path: Path) -> None:
    seen: list[str] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.base.objective != "write look":
            return writer(prompt)
        if not prompt.turns:
            assert "write_file" not in [one.name for one in prompt.tools]
            return turn(("read_file", {"path": "words/cat"}))
        seen.append(prompt.turns[0].results[0].text)
        return turn(report("it is there"))

    coding = Coding(tmp_path, act)
    role = coding.plan.roles[0]
    coding.plan = Program(
        orders=lambda: [
            Order(name="cat", objective="write cat"),
            Order(name="look", objective="write look", needs=("cat",), role="reader"),
        ],
        roles=(role, Role(name="reader", workspace="read", tools=(*READS, "write_file"))),
        answer=lambda results: results["look"],
        workspace=coding.plan.workspace,
    )
    assert (await coding()).text == "it is there"
    assert "cat is right" in seen[0]
    assert sorted(subjects(coding.repository)) == ["Begin", "Write cat"]


async def test_what_does_not_land_goes_back_with_the_facts_and_is_never_on_the_branch(tmp_path: Path) -> None:
    told: list[str] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.turns:
            return turn(report("done"))
        told.append(prompt.base.wrong)
        path, text = ("tests/test_first", "anything") if len(told) == 1 else ("words/a", "wrong" * (len(told) < 3))
        return turn(("run_command", {"command": f"echo '{text}' > {path}"}))

    coding = Coding(tmp_path, act, "a", tries=4)
    answer = await coding()
    assert answer.complete
    assert (await replay("run", coding.store)).graph == answer.graph
    assert "no slice may change these: tests/test_first" in told[1]
    assert "the check `sh check.sh` fails on this work as it would land: exit 1" in told[2]
    assert "a word is wrong" in told[2]
    assert content(coding.repository, "tests/test_first") == "first is right"
    assert len(subjects(coding.repository)) == 2


@pytest.mark.parametrize("may_fail", [True, False])
async def test_what_never_lands_is_replayed_over_the_times_that_the_run_went_on(
    tmp_path: Path, *, may_fail: bool
) -> None:
    worked: list[str] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        name = prompt.base.objective.removeprefix("write ")
        if prompt.turns:
            worked.append(name)
            if worked.count("bad") in (1, 3) and name == "bad" and len(worked) < 12:
                worked.append("died")
                raise Died
            return turn(report(name, summary=f"Write {name}"))
        text = "is wrong" if name == "bad" and worked.count("bad") < 8 else "is right"
        return turn(
            ("run_command", {"command": f"echo '{name} {text}' > words/{name}"}),
            ("subtask", {"objective": f"write part of {name}"}) if "part" not in name else ("list_files", {}),
        )

    tools = (*WRITES, "list_files", "subtask")
    coding = Coding(tmp_path, act, "good", "bad", tools=tools, tries=2, may_fail=may_fail)
    nothing = {"answerable": False, "short": None, "statements": []}
    coding.model = Scripted({"act": act, "answer": nothing})
    for _ in range(6):
        with suppress(Died, BaseExceptionGroup):
            answer = await coding()
            break
    assert answer.failures == () if may_fail else [one.name for one in answer.failures] == ["bad"]
    again = await replay("run", coding.store)
    assert (again.graph, again.text, again.failures) == (answer.graph, answer.text, answer.failures)
    if not may_fail:
        worked += ["bad"] * 8
        answer = await coding()
        assert answer.complete
        assert (await replay("run", coding.store)).graph == answer.graph
    subjects_ = sorted(subjects(coding.repository))
    assert subjects_ == ["Begin", *(["Write bad"] if not may_fail else []), "Write good"]
    coding.leaves_nothing()


@pytest.mark.parametrize("how", ["a slice is cancelled", "its seconds are over", "the run is interrupted"])
async def test_a_command_that_is_under_way_ends_with_its_slice(tmp_path: Path, how: str) -> None:
    marked = f"sleep 3600.{random.randrange(10**9)}"

    def act(prompt: ActPrompt) -> dict[str, Any]:
        if prompt.turns:
            return turn(report("it is over"))
        return turn(("run_command", {"command": f"echo begun > begun; {marked} & {marked}"}))

    coding = Coding(tmp_path, act, "cat")
    seconds = 3.0 if how == "its seconds are over" else None
    task = Task(
        questions=("Write it",), paths=(), mode="work", limits=Limits(each_slice=Limits(wall_seconds=seconds))
    )
    run = Swarm(coding.model, store=coding.store)
    going = asyncio.create_task(run.run(task, run_id="run", plan=coding.plan))
    while not going.done() and len(_running(marked)) < 2:  # noqa: ASYNC110 - another process tells nobody
        await asyncio.sleep(0.02)
    if how == "a slice is cancelled":
        run.cancel(order_id("cat"))
    elif how == "the run is interrupted":
        going.cancel()
    with suppress(asyncio.CancelledError):
        answer = await going
        assert [one.name for one in answer.failures] == ["cat"]
    assert not _running(marked)
    coding.leaves_nothing()


def _running(marked: str) -> list[int]:
    """The processes that are told to sleep just so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().replace(b"\0", b" ").strip() == marked.encode():
                found.append(int(path.parent.name))
    return found


class Meeting:
    """A trial that lets work land when another is being looked at as well, or says that it was alone."""

    def __init__(self, *, speculates: bool) -> None:
        self.speculates, self.at_once = speculates, 0
        self._here, self._both = 0, asyncio.Event()

    async def __call__(self, _checkout: Checkout, _order: Order) -> Ruling:
        self._here += 1
        self.at_once = max(self.at_once, self._here)
        if self._here > 1:
            self._both.set()
        try:
            if self.speculates:
                await asyncio.wait_for(self._both.wait(), 60)
            else:
                await asyncio.sleep(0.05)
        finally:
            self._here -= 1
        return Ruling(lands=True, result="looked at", claims=(("It was looked at.", "looked at"),))


@pytest.mark.parametrize("speculates", [True, False])
async def test_a_trial_that_only_looks_is_asked_about_several_at_a_time(tmp_path: Path, speculates: bool) -> None:
    trial = Meeting(speculates=speculates)
    coding = Coding(tmp_path, writer, "cat", "dog", trial=trial)
    answer = await coding()
    assert answer.complete
    assert sorted(subjects(coding.repository)) == ["Begin", "Write cat", "Write dog"]
    assert trial.at_once == (2 if speculates else 1)
    with open_knowledge("run", coding.store) as memory:
        assert "It was looked at." in {one.claim for one in memory.findings()}, "what a trial found out is known"
    assert (await replay("run", coding.store)).graph == answer.graph
