"""Autoresearch from end to end: real git, real commands, a metric that is a formula. Models are scripted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Swarm, open_knowledge
from swarm.errors import UsageError
from swarm.experiments.ledger import Ledger, Row
from swarm.experiments.measure import yardstick
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.recipe import find, load

LOSS = yardstick(r"val_loss: (\S+)")
TRAIN = """\
RATE = 0.01  # range: 0.0001..10


SIZE = 16  # range: 1..512


BROKEN = False
"""
EVALUATE = """\
import math, os
from statistics import fmean
given = {}
exec(open("train.py").read(), given)
assert not given["BROKEN"], "it is broken"
noise = 0.001 * int(os.environ["EXPERIMENT_SEED"])
far = [abs(math.log2(given["RATE"] / 0.5)) + abs(math.log2(given["SIZE"] / 64)) + noise]
print("val_loss:", fmean(far))
"""


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgSign=false")
    done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "evaluate.py").write_text(EVALUATE)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "start")
    return folder


async def research(repository: Path, model: Any = "extractive", **options: Any) -> Answer:
    given = {"seconds": 5.0, "replicates": 1, "unconfined": True, **options}
    swarm = Swarm(model, store=repository.parent / "swarm.db")
    answer = await load(find("autoresearch")).run(swarm, [str(repository)], **given)
    assert answer is not None
    return answer


def ledger_of(repository: Path) -> list[Row]:
    return list(Ledger(repository.parent / "task-results" / "results.tsv", LOSS))


def left_behind(repository: Path) -> list[str]:
    return [ref for ref in git(repository, "for-each-ref", "--format=%(refname)").split() if "heads" not in ref]


def is_whole(repository: Path, experiments: int) -> None:
    """Everything that was tried is in the ledger once, and the branch holds just what was kept, in that order."""
    rows = ledger_of(repository)
    assert sorted(row.number for row in rows if row.status != "baseline") == list(range(1, experiments + 1))
    kept = [row.commit for row in rows if row.status == "keep"]
    assert git(repository, "rev-list", "--reverse", "main..autoresearch").split() == kept
    subjects = git(repository, "log", "--reverse", "--format=%s", "main..autoresearch").splitlines()
    assert subjects == [row.description for row in rows if row.status == "keep"]
    assert left_behind(repository) == []
    assert git(repository, "worktree", "list").count("\n") == 0


async def test_a_metric_gets_better_without_any_model_and_the_checkout_is_left_alone(repository: Path) -> None:
    (repository / "notes.txt").write_text("mine")
    answer = await research(repository, experiments=8, proposers=2)
    assert answer.complete
    assert answer.usage.calls == 0
    assert "val_loss went from" in answer.text
    is_whole(repository, 8)
    rows = ledger_of(repository)
    best = min(row.metric for row in rows if row.status == "keep")
    assert best < rows[0].metric - 1
    assert (repository / "train.py").read_text() == TRAIN
    assert git(repository, "status", "--porcelain") == "?? notes.txt"
    assert "<svg" in (repository.parent / "task-results" / "progress.svg").read_text()
    with open_knowledge(answer.run_id, repository.parent / "swarm.db") as memory:
        claims = [finding.claim for finding in memory.findings()]
    assert any("gave val_loss" in claim and "kept" in claim for claim in claims)
    assert any("gave val_loss" in claim and "discarded" in claim for claim in claims)
    for row in rows:  # the last of each chain too
        assert any(row.description in claim for claim in claims), row


async def test_the_same_again_does_nothing_and_a_higher_number_adds_to_what_is_there(repository: Path) -> None:
    await research(repository, experiments=2)
    before = ledger_of(repository)
    again = await research(repository, experiments=2)
    assert again.complete
    assert ledger_of(repository) == before
    await research(repository, experiments=4)
    rows = ledger_of(repository)
    assert rows[: len(before)] == before
    assert [row.status for row in rows].count("baseline") == 2
    assert sum(row.status != "baseline" for row in rows) == 4
    with pytest.raises(UsageError, match="replicates"):
        await research(repository, experiments=4, replicates=3)


async def test_what_a_person_took_back_is_no_measure_to_beat(repository: Path) -> None:
    await research(repository, experiments=4)
    assert any(row.status == "keep" for row in ledger_of(repository))
    git(repository, "branch", "-f", "autoresearch", "main")
    await research(repository, experiments=5)
    rows = ledger_of(repository)
    assert all("(taken back)" in row.description for row in rows[:5] if row.commit and row.status == "discard")
    assert not any(row.status == "keep" for row in rows[:5])


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        ("{0}/nothing", "is no folder"),
        ("{0}", "run `git init`"),
        ("{0}/empty", "has no commit yet"),
        ("{0}/task {0}", "one repository at a time"),
    ],
)
async def test_what_cannot_be_worked_on_is_said_in_one_line(repository: Path, paths: str, told: str) -> None:
    (repository.parent / "empty").mkdir()
    git(repository.parent / "empty", "init", "-q")
    swarm = Swarm(store=repository.parent / "swarm.db")
    with pytest.raises(UsageError, match=told) as error:
        await load(find("autoresearch")).run(swarm, paths.format(repository.parent).split())
    assert "\n" not in str(error.value)
    assert not list(repository.parent.glob("*-results"))


@pytest.mark.parametrize(
    ("options", "told"),
    [({"edit": "nothing.py"}, "no such file is committed"), ({"seconds": float("nan")}, "are above 0")],
)
async def test_options_that_cannot_be_are_told_and_nothing_is_made(
    repository: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        await research(repository, **options)
    assert not (repository.parent / "task-results").exists()
    assert git(repository, "branch", "--format=%(refname:short)") == "main"


async def test_a_bare_repository_can_be_worked_on(repository: Path) -> None:
    bare = repository.parent / "bare"
    git(repository, "clone", "-q", "--bare", ".", str(bare))
    assert (await research(bare, experiments=1)).complete


async def test_a_baseline_that_does_not_run_ends_it_and_says_why(repository: Path) -> None:
    (repository / "train.py").write_text(TRAIN.replace("False", "True"))
    git(repository, "commit", "-q", "-a", "-m", "broken")
    answer = await research(repository, experiments=2)
    assert not answer.complete
    assert "it is broken" in answer.failures[0].reason
    assert ledger_of(repository) == []


def turn(*named: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"calls": [{"id": f"c{n}", "name": name, "arguments": given} for n, (name, given) in enumerate(named)]}


def said(prompt: ActPrompt) -> str:
    return "\n".join(result.text for turn in prompt.turns for result in turn.results)


async def test_a_model_proposes_by_tools_and_touches_neither_the_metric_nor_the_rest(repository: Path) -> None:
    """SIMULATED: a scripted model that tries to forge the metric, then breaks the file, then does its work."""
    seen: list[str] = []

    def act(prompt: ActPrompt) -> dict[str, Any]:
        order = prompt.base
        seen.append(f"{order.objective}\n{order.wrong}\n{said(prompt)}")
        done = {"status": "done", "result": "done", "summary": "A higher rate learns faster"}
        if "experiment 2" in order.objective.lower():
            return turn((REPORT, done | {"summary": "Nothing comes to mind"}))
        if "is broken" in order.wrong:
            text = TRAIN.replace("0.01", "0.4")
            return turn(("write_file", {"path": "train.py", "text": text}), (REPORT, done))
        if not prompt.turns:
            forged = {"path": "evaluate.py", "text": "print('val_loss: 0')"}
            return turn(("experiments", {}), ("write_file", forged))
        edit = {"path": "train.py", "old": "BROKEN = False", "new": "BROKEN = True"}
        return turn(("edit_file", edit), (REPORT, done))

    answer = await research(repository, Scripted({"act": act}), experiments=2)
    assert answer.complete
    rows = {row.number: row for row in ledger_of(repository)}
    assert (rows[1].status, rows[2].status) == ("keep", "discard")
    assert rows[1].description == "RATE 0.01 → 0.4"
    assert git(repository, "show", "autoresearch:evaluate.py") == EVALUATE.strip()
    assert git(repository, "diff", "--name-only", "main", "autoresearch") == "train.py"
    everything = "\n".join(seen)
    assert "is protected" in everything
    assert "as it was" in everything  # the ledger, by its tool
    assert "it is broken" in everything


async def test_a_model_finds_in_the_graph_what_others_tried_and_a_chain_goes_on_after_one_that_fails(
    repository: Path,
) -> None:
    """SIMULATED: a scripted model whose every second experiment is given up."""
    found: dict[str, str] = {}

    def act(prompt: ActPrompt) -> dict[str, Any]:
        number = prompt.base.objective.partition(":")[0]
        done = {"status": "done", "result": "done", "summary": f"The rate of {number}"}
        if number in ("Experiment 1", "Experiment 3"):
            return turn((REPORT, done | {"status": "blocked", "notes": "No idea.", "summary": ""}))
        if not prompt.turns:
            return turn(("search_graph", {"question": "Which experiment gave which val_loss?"}))
        found[number] = said(prompt)
        text = TRAIN.replace("RATE = 0.01", f"RATE = 0.{number[-1]}").replace("SIZE = 16", "SIZE = 8 + 8")
        return turn(("write_file", {"path": "train.py", "text": text}), (REPORT, done))

    answer = await research(repository, Scripted({"act": act}), experiments=4)
    assert answer.complete
    rows = {row.number: row for row in ledger_of(repository)}
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert rows[1].metric is rows[3].metric is None
    assert "No idea." in rows[1].description
    assert (rows[2].status, rows[2].description) == ("keep", "The rate of Experiment 2")
    assert "gave val_loss" in found["Experiment 4"]
    assert "kept" in found["Experiment 4"]
    with open_knowledge(answer.run_id, repository.parent / "swarm.db") as memory:
        claims = [finding.claim for finding in memory.findings()]
    assert any(f"gave val_loss {rows[4].metric:.6g}" in claim for claim in claims)


FORGERS = {
    "the program that measures": """open("evaluate.py", "w").write("print('val_loss: 0')")""",
    "a module in its way": """open("statistics.py", "w").write("def fmean(x): return 0")""",
    "a package in its way": """
import os
os.makedirs("statistics", exist_ok=True)
open("statistics/__init__.py", "w").write("def fmean(x): return 0")""",
}


@pytest.mark.parametrize("forger", FORGERS)
async def test_a_file_that_forges_its_measure_while_it_runs_wins_nothing(repository: Path, forger: str) -> None:
    """SIMULATED: a scripted model proposes a file that, when it runs, changes what the next run is measured by."""
    text = f"{TRAIN.replace('0.01', '0.011')}\n{FORGERS[forger]}\n"  # a little better, and worse by nothing

    def act(_prompt: ActPrompt) -> dict[str, Any]:
        done = {"status": "done", "result": "done", "summary": "A higher rate"}
        return turn(("write_file", {"path": "train.py", "text": text}), (REPORT, done))

    answer = await research(repository, Scripted({"act": act}), experiments=1, replicates=2)
    assert all(row.metric is None or row.metric > 7 for row in ledger_of(repository))
    assert git(repository, "show", "autoresearch:evaluate.py") == EVALUATE.strip()
    assert "val_loss: 0" not in answer.text


VICTIM = """
import asyncio, sys
from pathlib import Path
from swarm import Swarm
from swarm.recipe import find, load

folder = Path(sys.argv[1])
asyncio.run(
    load(find("autoresearch")).run(
        Swarm(store=folder.parent / "swarm.db"),
        [str(folder)],
        seconds=5.0,
        replicates=1,
        unconfined=True,
        experiments=6,
        proposers=2,
    )
)
"""


@pytest.mark.parametrize("rows", [1, 3])
async def test_a_run_that_is_killed_goes_on_and_loses_nothing(repository: Path, rows: int) -> None:
    results = repository.parent / "task-results" / "results.tsv"
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(repository)], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        until = time.monotonic() + 120
        while victim.poll() is None and time.monotonic() < until:
            if results.exists() and len(results.read_text().splitlines()) > rows:
                break
            await asyncio.sleep(0.01)
    finally:
        if victim.poll() is None:
            os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
    before = {row.number: row for row in ledger_of(repository)}
    answer = await research(repository, experiments=6, proposers=2)
    assert answer.complete
    is_whole(repository, 6)
    after = {row.number: row for row in ledger_of(repository)}
    settled = [number for number, row in before.items() if row.status == "discard"]
    assert all(after[number].file == before[number].file for number in settled)
    assert json.loads((results.with_name("study.json")).read_text())["runs"][0]["over"] is True
