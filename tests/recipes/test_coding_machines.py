"""Coding over many machines from end to end, as a user has it: `swarm run codebase --remote`, workers that have
nothing but git, the store and the remote, and a coordinator that stands by. Machines are killed, frozen, drained.

The end is that of one process: each slice landed once, upon what landed before it, the tests pass and nobody
changed them, no finished call was sent again, and the run can be replayed. The coder is SIMULATED.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.playback import replay
from swarm.testing.codebase import CHECK, Codebase, make_codebase
from swarm.testing.coder import Coder
from swarm.testing.faults import Arrival, log_normal
from swarm.testing.postgres import LocalPostgres
from swarm.testing.provider import Provider
from swarm.testing.seen import Seen
from tests.kill.victim import warm
from tests.recipes import crew
from tests.recipes.machines import Landed, Machines, check_calls, check_landed, git
from tests.recipes.staff import Staff
from tests.recipes.test_coding import passing

LOOKS = 'addopts = ["--disable-plugin-autoload"]\n'  # those of this project take seconds to import


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm()


# A short one: words, and a check that is a shell script


class Words:
    """SIMULATED: two words are planned and written, the first of them wrong at first; a third by two sub-agents,
    one after the other. The second of these gets no answer the first time it asks."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, seen: Seen) -> dict[str, Any]:
        if "You plan the work on a code base" in seen.text:
            if not seen.turns:
                return _does(("list_files", {"path": "words"}))
            assert "words/first" in seen.turns[0][1][0], "planners see what has landed"
            known = "The plan so far" in seen.text
            orders = [crew.order(name, f"Write words/{name}") for name in ("second", "third", "long")]
            return _does(("report", {"orders": [] if known else orders, "drop": [], "reason": "as asked"}))
        if "you have a checkout of what has landed" in seen.text:
            verdict = {"verdict": "done", "reason": "it is there", "missing": []}
            return _does(("report", verdict) if seen.turns else ("run_command", {"command": "cat words/long"}))
        name = re.findall(r"Write words/(\w+)", seen.text)[-1]
        if name == "long":
            return self._long(seen)
        if not seen.turns:
            wrong = name == "second" and "a word is wrong" not in seen.text
            return _does(("write_file", {"path": f"words/{name}", "text": "wrong\n" if wrong else "right\n"}))
        return _does(_report("done", f"Wrote {name}."))

    def _long(self, seen: Seen) -> dict[str, Any]:
        if "Half of it is there." not in seen.text:
            begun = ("write_file", {"path": "words/long", "text": "half\n"})
            return _does(begun if not seen.turns else _report("continue", "", notes="Half of it is there."))
        steps = [
            ("edit_file", {"path": "words/long", "old": "half", "new": "half, and the other"}),
            _report("done", "Wrote long."),
        ]
        if len(seen.turns) == 1:
            assert "changed words/long" in seen.turns[0][1][0], "the worktree is what the first one left"
        return _does(steps[len(seen.turns)])

    def latency(self, arrival: Arrival) -> float:
        if b"Half of it is there." not in arrival.body or arrival.attempt:
            return 0.0
        self.asked += 1
        return 60.0 if self.asked == 2 else 0.0  # its second step: the first is recorded


def _does(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"says": "", "calls": [{"name": name, "arguments": given} for name, given in calls]}


def _report(status: str, result: str, notes: str = "") -> tuple[str, dict[str, Any]]:
    empty: dict[str, Any] = {"findings": [], "decisions": [], "look_up": [], "proposed": [], "artifacts": []}
    return "report", {"status": status, "result": result, "summary": result, "notes": notes, **empty}


def test_what_a_machine_began_another_finishes_though_the_coordinator_dies_too(
    postgres: LocalPostgres, tmp_path: Path
) -> None:
    crew.make(tmp_path / "project")
    remote = tmp_path / "remote.git"
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "project"), str(remote))
    base, words = git(remote, "rev-parse", "main"), Words()
    with (
        Provider(keep=False, hands=words, window=32_000, latency=words.latency) as provider,
        Machines(tmp_path / "machines", postgres.database(), provider) as machines,
    ):
        given = ("--remote", str(remote), "--check", crew.CHECK, "--goal", "More words", "--unconfined")
        machines.coordinator("first", "codebase", *given)
        for name in ("one", "two"):
            machines.worker(name, "codebase")
        machines.standby("second", machines.run())
        machines.wait(lambda: words.asked == 2, "the second sub-agent's second step")
        machines.wait(lambda: len(machines.records("report")) == 2, "the other words")
        machines.kill(machines.at(machines.records("handoff")[0][0].partition(":")[0]))
        machines.kill("first")
        answer = machines.answer("second")
        assert (answer["complete"], answer["failures"]) == (True, [])
        commits = check_landed(machines, remote, base)
        assert check_calls(machines, disturbed=True), "what was in flight is asked once more"
        again = asyncio.run(replay(answer["run_id"], machines.store))
        assert again.graph == answer["graph"]
        told = machines.told()
    assert sorted(one.subject for one in commits) == ["Wrote long.", "Wrote second.", "Wrote third."], told
    assert git(remote, "show", "green:words/long") == "half, and the other"


# A long one: a code base whose functions are to be written


class Crowd:
    """A run of the recipe on a code base, by three workers, with what befalls them: `dice` throw it."""

    def __init__(self, machines: Machines, codebase: Codebase, remote: Path, dice: random.Random) -> None:
        self.machines, self.codebase, self.remote, self._dice = machines, codebase, remote, dice
        self.base = git(remote, "rev-parse", "main")
        self._coordinators: list[str] = []
        self._run = ""

    def begin(self, *options: str, places: int = 6) -> None:
        given = (
            "--remote",
            f"file://{self.remote}",
            "--check",
            CHECK,
            "--allow-red",
            "--keep-tests",
            "--unconfined",
        )
        self.machines.coordinator("coordinator 0", "codebase", *given, *options)
        self._coordinators.append("coordinator 0")
        for number in range(3):
            self.machines.worker(f"worker {number}", "codebase", places)
        self._run = self.machines.run()
        self._stand_by()

    def _stand_by(self) -> None:
        name = f"coordinator {len(self._coordinators)}"
        self._coordinators.append(name)
        self.machines.standby(name, self._run)

    @property
    def over(self) -> bool:
        return any(self.machines.members[name].process.exitcode == 0 for name in self._coordinators)

    def _until(self, reached: Callable[[], object], what: str) -> None:
        self.machines.wait(lambda: self.over or reached(), what)

    def befall(self, kind: str) -> None:
        """After a few more requests, something befalls somebody."""
        tally, dice = self.machines.provider.tally, self._dice
        moment = tally.requests + dice.randrange(2, 12)
        self._until(lambda: tally.requests >= moment, "requests")
        workers = [name for name in self.machines.members if name.startswith("worker")]
        name = dice.choice(workers)
        if self.over:
            return
        match kind:
            case "kill a worker":
                self.machines.kill(name)
                self.machines.again(name, anew=dice.random() < 0.5)
            case "kill the coordinator":
                who = next(one for one in self._coordinators if self.machines.members[one].process.is_alive())
                self.machines.kill(who)
                self._stand_by()
            case "drain a worker" | "drain a worker that leaves at once":
                self.machines.drain(name)
                if kind != "drain a worker":
                    time.sleep(0.2)
                    self.machines.drain(name)
                self._until(lambda: self.machines.members[name].process.exitcode is not None, "drained")
                self.machines.again(name)
                self.machines.upsets[kind] += 1
            case "freeze in a landing":
                self._freeze_in_a_landing()

    def _freeze_in_a_landing(self) -> None:
        """One that has written down what it is about to push stands still until another has landed the slice."""
        known = len(self.machines.records("landing"))
        self._until(lambda: len(self.machines.records("landing")) > known, "a landing")
        if self.over:
            return
        slice_ = self.machines.records("landing")[-1][0].partition(":")[0]
        name = self.machines.at(slice_)
        self.machines.freeze(name)
        self.machines.upsets["frozen before it had landed"] += not self._landed(slice_)
        end = time.monotonic() + 4.0  # more than a lease
        while time.monotonic() < end or not (self._landed(slice_) or self.over):
            assert time.monotonic() < end + 120, self.machines.told()
            time.sleep(0.05)
        self.machines.thaw(name)

    def _landed(self, slice_: str) -> bool:
        return any(key.startswith(f"{slice_}:") for key, _ in self.machines.records("landed"))

    def finish(self) -> dict[str, Any]:
        alive = [name for name in self._coordinators if self.machines.members[name].process.exitcode in (None, 0)]
        return self.machines.answer(*alive, seconds=900)

    def check(self, answer: dict[str, Any], sample: int) -> list[Landed]:
        """What is promised: see above."""
        assert (answer["complete"], answer["failures"]) == (True, []), answer
        commits = check_landed(self.machines, self.remote, self.base)
        changed = git(self.remote, "diff", "--name-only", self.base, "green", "--", "tests", "pyproject.toml")
        assert not changed
        at = Codebase(folder=self.remote, base=self.base, missing=self.codebase.missing)
        checkout = self.remote.with_name("checkout")
        before = passing(at, checkout, self.base)
        for number in sorted(
            {*self._dice.sample(range(len(commits)), min(sample, len(commits))), len(commits) - 1}
        ):
            now = passing(at, checkout, commits[number].commit)
            assert now >= before, f"{commits[number]} breaks {before - now}"
            before = now
        assert before >= set(at.tests.values())
        again = asyncio.run(replay(answer["run_id"], self.machines.store))
        assert again.graph == answer["graph"]
        return commits


def crowd(folder: Path, postgres: LocalPostgres, modules: int, seed: int, *, hasty: bool) -> Iterator[Crowd]:
    codebase = make_codebase(folder / "kit", modules, 5, seed)
    with (codebase.folder / "pyproject.toml").open("a") as file:
        file.write(LOOKS)
    crew.git(codebase.folder, "commit", "-qam", "Tests without plugins")
    remote = folder / "remote.git"
    git(folder, "clone", "-q", "--bare", str(codebase.folder), str(remote))
    staff = Staff(Coder(seed), parts=True)
    with (
        Provider(keep=False, hands=staff, window=32_000, latency=log_normal(0.05)) as provider,
        Machines(folder / "machines", postgres.database(), provider, hasty=hasty) as machines,
    ):
        yield Crowd(machines, codebase, remote, random.Random(seed))


def told(made: Crowd, commits: list[Landed], began: float, again: int) -> str:
    machines = made.machines
    by = Counter(body["machine"] for _, body in machines.records("placed"))
    return (
        f"{time.monotonic() - began:.0f} s, {len(commits)} commits, {machines.calls()[0]} calls, "
        f"{machines.provider.tally.requests} requests of which {again} came again, slices begun by machine "
        f"{sorted(by.values())}, {dict(machines.upsets)}"
    )


@pytest.mark.soak
def test_sixty_functions_by_three_machines(postgres: LocalPostgres, tmp_path: Path) -> None:
    seed, began = int(os.environ.get("SEED", "7")), time.monotonic()
    for made in crowd(tmp_path, postgres, 12, seed, hasty=False):
        made.begin("--reviewers", "1")
        commits = made.check(made.finish(), sample=12)
        assert len(commits) >= 60
        print(f"\nseed {seed}: {told(made, commits, began, check_calls(made.machines))}", flush=True)


@pytest.mark.soak
def test_sixty_functions_though_everybody_is_killed_frozen_and_drained(
    postgres: LocalPostgres, tmp_path: Path
) -> None:
    seed, began = int(os.environ.get("SEED", "7")), time.monotonic()
    kinds = ["kill a worker", "freeze in a landing", "kill the coordinator", "drain a worker"]
    kinds += ["kill a worker", "freeze in a landing", "drain a worker that leaves at once"]
    for made in crowd(tmp_path, postgres, 12, seed, hasty=True):
        made.begin()
        for number in range(int(os.environ.get("UPSETS", "16"))):
            made.befall(kinds[number % len(kinds)])
        commits = made.check(made.finish(), sample=12)
        again = check_calls(made.machines, disturbed=True)
        print(f"\nseed {seed}: {told(made, commits, began, again)}", flush=True)
        assert made.machines.upsets["kill worker"] >= 2
        assert made.machines.upsets["kill run"]
        assert made.machines.upsets["frozen before it had landed"]


# Features


class Team:
    """SIMULATED: an initialiser that lists features and writes their tests, and workers that make them."""

    features = ("second", "third", "fourth")

    def __call__(self, seen: Seen) -> dict[str, Any]:
        if "Lay the ground" in seen.text:
            if not seen.turns:
                return _does(
                    *(("write_file", {"path": f"tests/{one}", "text": "right\n"}) for one in self.features)
                )
            return _does(_report("done", json.dumps([self._feature(one) for one in self.features])))
        name = re.findall(r"feature (\w+):", seen.text)[-1]
        if not seen.turns:
            return _does(
                ("run_command", {"command": "git log --oneline -20"}), ("read_file", {"path": "progress.md"})
            )
        if len(seen.turns) == 1:
            return _does(("write_file", {"path": f"words/{name}", "text": "right\n"}))
        return _does(_report("done", f"Made {name}."))

    def _feature(self, name: str) -> dict[str, Any]:
        usual = {"description": f"The word {name}", "steps": [f"Look at words/{name}"], "needs": []}
        return usual | {"name": name, "check": f"cmp tests/{name} words/{name}", "tests": [f"tests/{name}"]}


@pytest.mark.soak
def test_features_are_made_by_other_machines(postgres: LocalPostgres, tmp_path: Path) -> None:
    crew.make(tmp_path / "project")
    remote = tmp_path / "remote.git"
    git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "project"), str(remote))
    base = git(remote, "rev-parse", "main")
    with (
        Provider(keep=False, hands=Team(), window=32_000) as provider,
        Machines(tmp_path / "machines", postgres.database(), provider, hasty=False) as machines,
    ):
        given = ("--remote", str(remote), "--goal", "More words", "--at-once", "3", "--unconfined")
        machines.coordinator("coordinator", "feature_list", *given)
        for number in range(3):
            machines.worker(f"worker {number}", "feature_list", 1)
        answer = machines.answer("coordinator")
        assert answer["complete"], answer
        assert answer["answer"].startswith("3 of 3 features pass.")
        commits = check_landed(machines, remote, base)
        assert check_calls(machines) == 0
        assert len({body["machine"] for _, body in machines.records("placed")}) > 1
    assert Counter(one.subject for one in commits if one.subject.startswith("Made")) == Counter(
        f"Made {name}." for name in Team.features
    )
    assert all(one["passes"] for one in json.loads(git(remote, "show", "green:features.json")))
