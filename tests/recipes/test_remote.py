"""Recipes that code, on a remote: work lands there, and a worker on another machine learns the plan without doing
anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Program, Swarm, Task
from swarm.errors import SwarmError
from swarm.history import forget
from swarm.prompts.acting import ActPrompt
from swarm.recipe import find, load
from swarm.store.opening import open_store
from tests.recipes.crew import CHECK, Calls, Crew, content, done, git, order, outline, subjects, write


class Joining(Swarm):
    """As a worker on another machine calls a recipe."""

    joining = True
    plan: Program | None = None

    async def _run(self, task: Task, run_id: str, emit: Any, plan: Program | None, corpus: Any = None) -> Answer:
        self.plan = plan
        raise SwarmError("captured")


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    made = Crew(tmp_path)
    git(tmp_path, "clone", "-q", "--bare", str(made.repository), str(tmp_path / "remote.git"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return made


async def run(crew: Crew, recipe: str, **options: Any) -> Answer:
    swarm = Swarm(crew.model(), store=crew.folder / "swarm.db", concurrency=2)
    answer = await load(find(recipe)).run(swarm, [], remote=str(crew.folder / "remote.git"), **options)
    assert answer is not None
    return answer


async def test_a_code_base_is_worked_on_at_a_remote_and_forgotten_there(crew: Crew) -> None:
    remote = crew.folder / "remote.git"

    def plans(prompt: ActPrompt) -> Calls:
        return outline(*(() if prompt.base.standings else (order("second", "Write words/second"),)))  # type: ignore[attr-defined]

    def works(prompt: ActPrompt) -> Calls:
        if not prompt.turns:
            return [write("words/second", "right\n")]
        if len(prompt.turns) == 1:
            kept = git(remote, "for-each-ref", "--format=%(refname)", "refs/swarm")
            assert re.fullmatch(r"refs/swarm/[^/]+/[^/]+", kept)  # before it was recorded that it was written
            assert git(remote, "show", f"{kept}:words/second") == "right"
        return done("Wrote words/second")

    crew.plans, crew.works = plans, works
    answer = await run(crew, "codebase", check=CHECK, goal="More words", unconfined=True)
    assert answer.complete, answer.stopped
    assert "1 change landed on green" in answer.text
    assert content(remote, "words/second") == "right"
    assert subjects(remote) == ["Begin", "Wrote words/second"]
    assert git(remote, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/green", "refs/heads/main"]
    with open_store(crew.folder / "swarm.db", read_only=True) as store:
        record = store.journal.latest(answer.run_id, "program")
        assert record is not None
        assert record.body["remote"] == str(remote)
    git(remote, "update-ref", f"refs/swarm/{answer.run_id}/left", "main")
    await forget(answer.run_id, crew.folder / "swarm.db")
    assert "refs/swarm" not in git(remote, "for-each-ref")


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("codebase", {"check": "touch {folder}/ran", "spec": "/not/on/this/machine", "keep_tests": True}),
        ("codebase", {"check": "touch {folder}/ran", "allow_red": False, "goal": "x"}),
        ("feature_list", {"check": "touch {folder}/ran", "spec": "/not/on/this/machine"}),
    ],
)
async def test_who_joins_learns_the_plan_and_changes_nothing(
    crew: Crew, recipe: str, options: dict[str, Any]
) -> None:
    remote, joining = crew.folder / "remote.git", Joining(crew.model())
    before = git(remote, "for-each-ref")
    options = options | {"check": options["check"].format(folder=crew.folder)}
    options |= {"spec": Path(options["spec"])} if "spec" in options else {}
    for _ in range(2):
        with pytest.raises(SwarmError, match="captured"):
            await load(find(recipe)).run(joining, [], remote=str(remote), unconfined=True, **options)
    assert joining.plan is not None
    assert joining.plan.workspace is not None
    assert joining.plan.workspace.remote == str(remote)
    if options.get("keep_tests"):
        assert "/tests/test_first" in joining.plan.workspace.protected
    assert git(remote, "for-each-ref") == before
    assert not (crew.folder / "ran").exists()


async def test_experiments_are_not_for_many_machines(crew: Crew) -> None:
    with pytest.raises(SwarmError, match="run it without --engine"):
        await load(find("autoresearch")).run(Joining(crew.model()), [])
    assert list(Path().iterdir()) == []
