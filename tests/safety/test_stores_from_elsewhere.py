"""A store, or a repository, that is somebody else's: whoever goes on with it or forgets it is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm import Swarm, Task, history
from swarm.cli import recalled
from swarm.cli.options import Settings
from swarm.equipment import Workspace
from swarm.errors import UsageError
from swarm.invocation import KEY
from swarm.models.extractive import Extractive
from swarm.store.journal import Entry
from swarm.store.opening import open_store
from swarm.workspace.forget import forget
from swarm.workspace.leftovers import label
from swarm.workspace.sandbox import sandbox_of
from swarm.workspace.worktrees import Worktrees
from tests.recipes.crew import git, make

ELSEWHERE = "https://elsewhere.example/v1"


async def a_run(folder: Path, **settings: Any) -> Path:
    """A store with a run that has nothing left to do."""
    store = folder / "swarm.db"
    (folder / "text.txt").write_text("The one file.\n")
    swarm = Swarm(Extractive(), store=store, **settings)
    await swarm.run(Task(questions=("What?",), paths=(str(folder / "text.txt"),)), run_id="r1")
    return store


async def record(store: Path, kind: str, body: dict[str, Any]) -> None:
    """Write down what was never so."""
    with open_store(store) as opened:
        opened.journal.hold("r1")
        await opened.journal.append("r1", Entry(kind=kind, key="2" if kind == "session" else "", body=body))


async def test_a_run_does_not_go_on_at_an_address_of_its_store_that_nobody_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = str(await a_run(tmp_path, base_url=ELSEWHERE))
    with pytest.raises(UsageError, match=f"the run asks its model at {ELSEWHERE}: give --yes to allow it"):
        recalled.allow_address(Settings(store=store), "r1")
    recalled.allow_address(Settings(store=store, yes=True), "r1")
    recalled.allow_address(Settings(store=store, base_url=ELSEWHERE), "r1")
    monkeypatch.setenv("OPENAI_BASE_URL", ELSEWHERE)
    recalled.allow_address(Settings(store=store), "r1")


@pytest.mark.parametrize("address", [None, "http://127.0.0.1:8000/v1", "http://localhost:11434/v1"])
async def test_nobody_is_asked_where_the_model_is_at_its_provider_or_on_this_machine(
    tmp_path: Path, address: str | None
) -> None:
    recalled.allow_address(Settings(store=str(await a_run(tmp_path, base_url=address))), "r1")


@pytest.mark.parametrize("recipe", ["audit", "codebase", "/tmp/theirs.py"])
async def test_no_recipe_that_runs_or_writes_anything_is_called_again_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    store = await a_run(tmp_path)
    monkeypatch.chdir(tmp_path)
    told = {"recipe": recipe, "paths": ["."], "options": {"out": "/home/ada/package"}, "folder": str(tmp_path)}
    with open_store(store, read_only=True) as opened:
        session = opened.journal.latest("r1", "session")
    assert session is not None
    await record(store, "session", {**session.body, KEY: {**told, "id": "x", "place": 1}})
    with pytest.raises(UsageError, match=rf"the recipe {recipe} \. --out /home/ada/package: give --yes"):
        recalled.recalled(Settings(store=str(store)), "r1")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository as somebody packed it, who says in it that a project of the user's is a worktree of a run."""
    theirs = make(tmp_path / "theirs")
    ours = make(tmp_path / "home" / "project")
    (ours / "unsaved").write_text("a day's work\n")
    for slice_, at in (("project", ours / ".git"), ("plain", tmp_path / "home" / "plain" / ".git")):
        admin = theirs / ".git" / "worktrees" / slice_
        admin.mkdir(parents=True)
        (admin / "locked").write_text(label("r1", slice_, reads=True))
        (admin / "gitdir").write_bytes(os.fsencode(at) + b"\n")
        (admin / "commondir").write_text("../..\n")
        (admin / "HEAD").write_text(git(theirs, "rev-parse", "HEAD") + "\n")
        (admin / "index").write_bytes(b"")
        (admin / "swarm-folder").write_text("1:2\n")
    (tmp_path / "home" / "plain").mkdir()
    (tmp_path / "home" / "plain" / "letter").write_text("Dear Ada\n")
    (tmp_path / "home" / "plain" / "uv.lock").write_text("version = 1\n")
    (theirs / ".git" / "refs" / "swarm").mkdir()
    (theirs / ".git" / "refs" / "swarm" / "r1").symlink_to(tmp_path / "home" / "plain")
    (theirs / ".git" / "swarm").mkdir()
    (theirs / ".git" / "swarm" / "r1.run").write_bytes(os.fsencode(tmp_path / "home") + b"\0")
    return theirs


@pytest.fixture
def home(tmp_path: Path, repository: Path) -> Iterator[Path]:
    """The user's home, which is to be afterwards what it was before."""
    before = contents(tmp_path / "home")
    yield tmp_path / "home"
    assert contents(tmp_path / "home") == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("home")
async def test_forgetting_a_run_removes_no_folder_that_a_packed_repository_names(repository: Path) -> None:
    await forget(Workspace(repository=str(repository)), "r1")
    assert not (repository / ".git" / "worktrees" / "project").exists()


@pytest.mark.usefixtures("home")
async def test_beginning_to_work_on_a_packed_repository_removes_no_folder_that_it_names(
    tmp_path: Path, repository: Path
) -> None:
    workspace = Workspace(repository=str(repository), unconfined=True)
    trees = Worktrees(workspace, tmp_path / "work", "r2", sandbox_of(workspace))
    await trees.begin()
    await trees.end(keep=False)


async def test_forgetting_a_run_of_a_store_from_elsewhere_touches_nothing_of_other_runs(tmp_path: Path) -> None:
    store, ours = await a_run(tmp_path), make(tmp_path / "project")
    head = git(ours, "rev-parse", "HEAD")
    for ref in ("refs/swarm/r11/one", "refs/swarm/other/r1", "refs/tags/r1", "refs/heads/r1"):
        git(ours, "update-ref", ref, head)
    before, kept = git(ours, "for-each-ref"), contents(ours)
    await record(store, "program", {"repository": str(ours)})
    await history.forget("r1", store)
    assert git(ours, "for-each-ref") == before
    assert contents(ours) == kept
