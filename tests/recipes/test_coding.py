"""Coding from end to end: real git, real pytest, real commands, and a SIMULATED coder who makes every mistake.

Many write the missing functions of a code base at once, and the run is killed with -9 at random moments. The end:
all green, no test changed, no commit lost, a history that can be read, its cost accounted.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from swarm.playback import replay
from swarm.testing.codebase import Codebase, make_codebase
from swarm.testing.coder import Coder
from swarm.testing.faults import log_normal
from swarm.testing.provider import Provider
from swarm.workspace import census
from swarm.workspace.suite import results_in
from tests.kill import watch
from tests.kill.test_work import Replies
from tests.kill.victim import RUN, warm
from tests.kill.watch import Trial
from tests.recipes.coding_victim import BRANCH, Coding

_GONE_SECONDS = 30.0  # for what a killed process leaves to notice
_COST = re.compile(r"\$([\d.]+), ([\d,]+) calls, ([\d,]+) tokens")
_PIECE = re.compile(r"write (\w+ in kit/\w+)\.py")
_MODEL = "openai:gpt-5-mini"  # a model whose price is known; nobody is asked for it
TOLD = {
    "a test was not passed": "These tests passed before",
    "an order was not done": "and they do not yet",
    "a conflict": "others have changed the same places meanwhile",
    "tests were changed": "no slice may change these",
    "tests were to be edited": "is protected: it may be read",
    "told off": "(This was done",
    "stopped": "Hand in now",
    "handed on": "Notes of the colleague before you",
    "interrupted": "(The run was interrupted about here",
}
"""What the coder is told of its mistakes, by words that only that has."""


@pytest.fixture(scope="module", autouse=True)
def _patient() -> Iterator[None]:
    """A coding run takes minutes where the machine is slow."""
    patch = pytest.MonkeyPatch()
    patch.setattr(watch, "PATIENT", 1_500.0)
    warm()
    yield
    patch.undo()


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit that landed."""

    commit: str
    parents: tuple[str, ...]
    subject: str
    trailers: dict[str, str]

    @property
    def slice(self) -> str:
        return self.trailers["Swarm-Slice"].partition(" ")[0]

    @property
    def cost(self) -> tuple[float, int, int]:
        """Dollars, calls and tokens."""
        found = _COST.fullmatch(self.trailers["Swarm-Cost"])
        assert found is not None, self.trailers
        return float(found[1]), int(found[2].replace(",", "")), int(found[3].replace(",", ""))


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def landed(codebase: Codebase) -> list[Commit]:
    """What is on the branch, the first first."""
    form = "%H%x00%P%x00%s%x00%(trailers:only,unfold)%x01"
    told = git(codebase.folder, "log", "--reverse", f"--format={form}", f"{codebase.base}..{BRANCH}")
    commits = []
    for one in filter(None, (part.strip() for part in told.split("\x01"))):
        commit, parents, subject, trailers = one.split("\0")
        pairs = dict(line.split(": ", 1) for line in trailers.splitlines() if line)
        commits.append(Commit(commit=commit, parents=tuple(parents.split()), subject=subject, trailers=pairs))
    return commits


def passing(codebase: Codebase, checkout: Path, commit: str) -> frozenset[str]:
    """The tests that pass at a commit."""
    if not checkout.exists():
        git(codebase.folder, "clone", "--quiet", "--no-checkout", str(codebase.folder), str(checkout))
    git(checkout, "checkout", "--quiet", "--detach", commit)
    report = checkout.with_suffix(".xml")
    words = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run([*words, f"--junitxml={report}"], cwd=checkout, env=environment, capture_output=True)
    return results_in(report.read_bytes()).passed


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is written, by how many at once, and how often the run is killed."""

    modules: int
    functions: int
    at_once: int
    kills: int


class Run:
    """One run on one code base, which dies and goes on."""

    def __init__(self, folder: Path, provider: Provider, size: Size, seed: int) -> None:
        self.codebase = make_codebase(folder / "kit", size.modules, size.functions, seed)
        self.size, self.folder, self.store = size, folder, folder / "swarm.db"
        (folder / "at").mkdir()
        job = Coding(
            folder=folder / "at",
            store=str(self.store),
            corpus=folder,
            base_url="",
            question="Write what is missing.",
            model=_MODEL,
            window=32_000,
            concurrency=size.at_once,
            repository=self.codebase.folder,
            modules=size.modules,
            functions=size.functions,
            seed=seed,
        )
        self.trial = Trial(job, provider)

    def work(self, dice: random.Random) -> dict[str, object]:
        """Kill it so many times, at moments that come for sure: a function takes three requests at the least."""
        most = 3 * len(self.codebase.missing)
        moments = sorted(dice.randrange(1, most) for _ in range(self.size.kills))
        process = self.trial.start()
        for moment in moments:
            while len(self.trial.requests.came) < moment and process.exitcode is None:
                process.join(dice.uniform(0.001, 0.05))
            process.join(dice.uniform(0.0, 0.5))  # commands and landings take far longer than requests
            assert process.pid is not None
            left = census.below(process.pid, 10_000)
            assert self.trial.kill(process), "it was done before it could be killed"
            assert not _still_there(left), "commands outlive the run"
            process = self.trial.start()
        return self.trial.finish(process)

    def told(self) -> Counter[str]:
        """How often the coder was told of which mistake."""
        told: set[tuple[str, str, str]] = set()
        for body in self.trial.requests.bodies.values():
            text = body.decode()
            piece = _PIECE.search(text)
            for name, words in TOLD.items():
                at = text.find(words)
                if at >= 0 and piece is not None:
                    told.add((name, piece[1], text[at : at + 400]))
        return Counter(name for name, _, _ in told)

    def check(self, answer: dict[str, object], sample: int, dice: random.Random) -> list[Commit]:
        """Hold what came of it to what was promised."""
        assert (answer["stopped"], answer["failures"]) == (None, []), answer["failures"]
        commits = landed(self.codebase)
        self._check_history(commits)
        self._check_cost(commits, answer["usage"])
        self._check_tests(commits, sample, dice)
        self._check_nothing_is_left()
        self._check_requests()
        again = asyncio.run(replay(RUN, self.store))
        assert (again.graph, again.text) == (answer["graph"], answer["text"])
        return commits

    def _check_history(self, commits: list[Commit]) -> None:
        """One commit for each slice, one after the other, and every one that was to land has."""
        base = self.codebase.base
        assert [one.parents for one in commits] == [(base,), *((one.commit,) for one in commits[:-1])]
        assert Counter(one.slice for one in commits) == Counter(one.slice for one in self.codebase.missing)
        for one in commits:
            assert one.trailers["Swarm-Run"] == RUN
            assert one.subject.startswith(one.slice)
        with closing(apsw.Connection(str(self.store), flags=apsw.SQLITE_OPEN_READONLY)) as journal:
            rows = journal.execute("SELECT json_extract(body, '$.commit') FROM records WHERE kind = 'landed'")
            recorded = [commit for (commit,) in rows if commit is not None]
        assert Counter(recorded) == Counter(one.commit for one in commits)

    def _check_cost(self, commits: list[Commit], usage: object) -> None:
        """What the commits say that they cost is what the run paid, but for calls that died with a process."""
        assert isinstance(usage, dict)
        dollars, calls, tokens = (sum(column) for column in zip(*(one.cost for one in commits), strict=True))
        assert 0 < dollars <= usage["cost_usd"] + 0.0001 * len(commits)  # each is rounded
        assert 0 < calls <= usage["calls"]
        assert 0 < tokens <= usage["input_tokens"] + usage["output_tokens"]
        assert calls >= usage["calls"] - sum(death.journal.flying for death in self.trial.deaths)

    def _check_tests(self, commits: list[Commit], sample: int, dice: random.Random) -> None:
        """All green at the end, no test changed on the way, and what passed once passes ever after."""
        base, folder, checkout = self.codebase.base, self.codebase.folder, self.folder / "checkout"
        assert git(folder, "log", "--format=%H", f"{base}..{BRANCH}", "--", "tests", "pyproject.toml") == ""
        assert git(folder, "diff", "--stat", base, BRANCH, "--", "tests") == ""
        places = sorted({0, len(commits) - 1, *dice.sample(range(len(commits)), min(sample, len(commits)))})
        before: frozenset[str] = passing(self.codebase, checkout, base)
        for place in places:
            now = passing(self.codebase, checkout, commits[place].commit)
            wanted = {self.codebase.tests[one.slice] for one in commits[: place + 1]}
            assert now >= before | wanted, commits[place]
            before = now
        assert before >= set(self.codebase.tests.values())

    def _check_nothing_is_left(self) -> None:
        folder = self.codebase.folder
        assert git(folder, "worktree", "list", "--porcelain").count("worktree ") == 1
        refs = git(folder, "for-each-ref", "--format=%(refname)").splitlines()
        assert refs == [f"refs/heads/{BRANCH}", "refs/heads/main"]
        assert git(folder, "status", "--porcelain", "--branch") == "## main"
        assert git(folder, "rev-parse", "HEAD") == self.codebase.base
        assert not list(self.store.with_name(f"{self.store.name}.work").glob("*/*"))

    def _check_requests(self) -> None:
        """A finished call is never sent again: what comes again was under way when the process died."""
        replies, came = Replies.of(str(self.store)), len(self.trial.requests.came)
        assert replies.replies == replies.calls
        assert came <= replies.replies + sum(death.journal.flying for death in self.trial.deaths)


def _still_there(pids: list[int]) -> list[int]:
    """Those that are not gone after a while."""
    deadline = time.monotonic() + _GONE_SECONDS
    while (left := [pid for pid in pids if _lives(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def coded(folder: Path, size: Size, seed: int, sample: int) -> tuple[Run, list[Commit], dict[str, object]]:
    with Provider(keep=False, hands=Coder(seed), window=32_000, latency=log_normal(0.05)) as provider:
        run = Run(folder, provider, size, seed)
        dice = random.Random(seed)
        answer = run.work(dice)
        return run, run.check(answer, sample, dice), answer


def test_functions_are_written_side_by_side_and_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # shown when it fails
    run, commits, _ = coded(tmp_path, Size(modules=3, functions=3, at_once=6, kills=1), seed, sample=2)
    assert len(commits) == 9
    assert len(run.trial.deaths) == 1


@pytest.mark.soak
def test_sixty_functions_by_sixteen_at_once_killed_five_times(tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", "7"))
    began = time.monotonic()
    run, commits, answer = coded(tmp_path, Size(modules=12, functions=5, at_once=16, kills=5), seed, sample=12)
    told = run.told()
    print(
        f"\nseed {seed}: {time.monotonic() - began:.0f} s, {len(run.trial.deaths)} kills, {len(commits)} commits"
    )
    print(f"usage {answer['usage']}, requests {len(run.trial.requests.came)}")
    print(f"told of: {dict(told)}", flush=True)
    assert len(run.trial.deaths) == 5
    assert {"a test was not passed", "an order was not done", "a conflict"} <= told.keys()
    assert {"told off", "stopped", "handed on"} <= told.keys()
    assert told["tests were changed"] + told["tests were to be edited"]
