"""`swarm resume` of a run that a recipe made: the recipe is called again, where somebody allows it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.testing.provider import Provider
from swarm.testing.seen import Seen
from tests.cli.conftest import Run
from tests.recipes.crew import CHECK, content, git, make, order, subjects

RUN = "the run belongs to the recipe"


class Mind:
    """SIMULATED: plans two words, writes each, and is content. It can be held before the second is handed in."""

    def __init__(self) -> None:
        self.held = False
        self.reached, self.open = threading.Event(), threading.Event()
        self.wrote: list[str] = []

    def __call__(self, seen: Seen) -> dict[str, Any]:
        if "Your piece: plan." in seen.text:
            orders = [] if "The plan so far" in seen.text else [order(name, name) for name in ("second", "third")]
            return said("report", orders=orders, drop=[], reason="as asked")
        if "Your piece: judge" in seen.text:
            return said("report", verdict="done", reason="both are there", missing=[])
        name = seen.text.rpartition("<piece>\n")[2].partition("\n")[0]
        if not seen.turns:
            self.wrote.append(name)
            return said("write_file", path=f"words/{name}", text="right\n")
        if self.held and name == "third":
            self.reached.set()
            self.open.wait(30)
        return said("report", status="done", result=f"Wrote {name}.", summary=f"Wrote {name}.", notes="")


def said(name: str, **arguments: Any) -> dict[str, Any]:
    return {"says": "", "calls": [{"name": name, "arguments": arguments}]}


@pytest.fixture
def mind() -> Mind:
    return Mind()


@pytest.fixture
def provider(mind: Mind, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    with Provider(window=64_000, hands=mind) as provider:
        yield provider
        mind.open.set()


@pytest.fixture
def command(provider: Provider, tmp_path: Path) -> list[str]:
    """The recipe on a repository of two commits' worth of work."""
    make(tmp_path / "project")
    model = ["--model", "openai:any", "--base-url", provider.openai_url, "--window", "64000"]
    return ["run", "codebase", "project", "--goal", "Write", "--check", CHECK, "--unconfined", *model, "--yes"]


@pytest.fixture
def killed(command: list[str], mind: Mind, tmp_path: Path) -> Callable[[], None]:
    """Begin a run, and kill it with -9 while one slice is under way."""

    def begin() -> None:
        mind.held = True
        swarm = str(Path(sys.executable).parent / "swarm")
        process = subprocess.Popen(
            [swarm, *command, "--quiet"], cwd=tmp_path, env={**os.environ}, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        reached = mind.reached.wait(60)
        os.killpg(process.pid, signal.SIGKILL)
        _, told = process.communicate()
        assert reached, told
        mind.held = False
        mind.open.set()

    return begin


def test_a_run_of_a_recipe_that_was_killed_goes_on_with_its_plan(
    swarm: Run, killed: Callable[[], None], mind: Mind, tmp_path: Path
) -> None:
    killed()
    refused = swarm("resume", "last", "--quiet")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"swarm: {RUN} codebase project ")
    assert refused.stderr.endswith("give --yes to allow it\n")
    assert CHECK in refused.stderr, "whoever allows it sees what will be run"
    done = swarm("resume", "last", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(subjects(tmp_path / "project")) == ["Begin", "Wrote second.", "Wrote third."]
    assert content(tmp_path / "project", "words/third") == "right"
    assert sorted(mind.wrote) == ["second", "third"], "what was answered is not asked again"
    assert "2 changes landed on green:" in json.loads(done.stdout)["answer"]


def test_a_run_that_a_limit_ended_goes_on_and_from_its_own_folder_alone(
    swarm: Run, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = swarm(*command, "--max-calls", "2", "--quiet", "--json")
    assert first.returncode == 3
    (tmp_path / "elsewhere").mkdir()
    with monkeypatch.context() as moved:
        moved.chdir(tmp_path / "elsewhere")
        other = swarm("resume", "last", "--yes", "--store", str(tmp_path / ".swarm" / "swarm.db"))
    assert other.returncode == 2
    assert other.stderr == f"swarm: the recipe was called in {tmp_path}: go on from there\n"
    still = swarm("resume", "last", "--yes", "--quiet", "--json")
    assert still.returncode == 3, "a limit that is not named is what it was"
    done = swarm("resume", "last", "--yes", "--max-calls", "50", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "2 changes landed on green:" in done.stdout


def test_a_recipe_on_a_remote_is_gone_on_with_from_anywhere(
    swarm: Run, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(make(tmp_path / "project"), "clone", "-q", "--bare", ".", str(tmp_path / "remote.git"))
    store, given = str(tmp_path / "swarm.db"), ["--goal", "Write", "--check", CHECK, "--unconfined", "--yes"]
    model = ["--model", "openai:any", "--base-url", provider.openai_url, "--window", "64000", "--quiet"]
    remote = ["--remote", str(tmp_path / "remote.git"), "--store", store]
    assert swarm("run", "codebase", *remote, *given, *model, "--max-calls", "2").returncode == 3
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = swarm("resume", "last", "--yes", "--max-calls", "50", "--quiet", "--store", store)
    assert done.returncode == 0, done.stderr
    assert sorted(subjects(tmp_path / "remote.git")) == ["Begin", "Wrote second.", "Wrote third."]
