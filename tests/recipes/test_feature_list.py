"""The recipe that goes by a list of features: with a scripted model, real git and real commands."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from swarm import Order
from swarm.equipment import Bounds, Ran, Workspace
from swarm.features import Book
from swarm.prompts.acting import ActPrompt
from swarm.prompts.typed import WorkPrompt
from tests.recipes.crew import Calls, Crew, content, done, git, subjects, write

FEATURES = "features.json"


def feature(name: str, **more: Any) -> dict[str, Any]:
    """One that works when the file of its name says so; its test tells what it has to say."""
    check = f"cmp tests/{name} words/{name}"
    usual = {"name": name, "description": f"The word {name}", "steps": [f"Look at words/{name}", "It is right"]}
    return usual | {"check": check, "tests": [f"tests/{name}"], "needs": []} | more


def listed(crew: Crew) -> dict[str, bool]:
    return {one["name"]: one["passes"] for one in json.loads(content(crew.repository, FEATURES))}


class Team:
    """An initialiser who lists features and writes their tests, and workers that make them; `errs` makes the first
    worker at a feature do something else as well."""

    def __init__(self, crew: Crew, *features: dict[str, Any]) -> None:
        self.crew, self.features = crew, list(features)
        self.errs: dict[str, Calls] = {}
        self.begun: list[str] = []
        crew.works = self.works

    def works(self, prompt: ActPrompt) -> Calls:
        base = prompt.base
        assert isinstance(base, WorkPrompt)
        if base.objective.startswith("Lay the ground"):
            if not prompt.turns:
                return [write(f"tests/{one['name']}", "right\n") for one in self.features]
            return done(json.dumps(self.features), summary="Tests of all features")
        name = base.objective.partition("feature ")[2].partition(":")[0]
        if not prompt.turns:
            self.begun.append(name)
            return [("run_command", {"command": "git log --oneline -20"}), ("read_file", {"path": "progress.md"})]
        if len(prompt.turns) == 1:
            assert "Begin" in prompt.turns[0].results[0].text
            errs = self.errs.get(name, []) if not base.wrong else []
            return [write(f"words/{name}", "right\n"), *errs]
        return done(f"Made {name}.\nMind the gap.")


@pytest.fixture
def crew(tmp_path: Path) -> Crew:
    return Crew(tmp_path)


async def test_one_feature_after_the_other_is_made_and_only_its_check_turns_it_to_passing(crew: Crew) -> None:
    team = Team(crew, feature("second"), feature("third", needs=["second"]))
    answer = await crew.run("feature_list", goal="Write all words")
    assert answer.complete
    assert listed(crew) == {"second": True, "third": True}
    assert team.begun == ["second", "third"]
    assert subjects(crew.repository) == [
        "Begin",
        "Tests of all features",
        "The list of features: 0 of 2 pass.",
        "Made second.",
        "The feature second passes: 1 of 2 pass.",
        "Made third.",
        "The feature third passes: 2 of 2 pass.",
    ]
    progress = content(crew.repository, "progress.md")
    assert "## second: passes\n\nMade second.\nMind the gap.\n\n1 of 2 pass." in progress
    assert answer.text.startswith("2 of 2 features pass.\n- second: passes\n")
    assert "6 changes landed on green" in answer.text
    told = crew.asks(WorkPrompt)[-1].base
    assert isinstance(told, WorkPrompt)
    assert "`cmp tests/third words/third` passes" in told.done_when
    assert told.outcomes[0].text == "1 of 2 pass."


@dataclass
class Tree:
    """A folder in the place of what would land; commands run there as they are."""

    path: Path
    touched: tuple[str, ...] = ()
    commit: str = "c1"
    base: str = "c0"

    async def changed(self) -> Sequence[str]:
        return self.touched

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        words, folder = shlex.split(command), self.path
        done = await asyncio.to_thread(subprocess.run, words, cwd=folder, capture_output=True, text=True)
        return Ran(exit=done.returncode, output=done.stdout, output_bytes=len(done.stdout), seconds=0.0)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"words/third": "right"}, None),
        ({"words/third": "right", FEATURES: None}, "only the harness writes in features.json"),
        (
            {"words/third": "easier", "tests/third": "easier"},
            "the tests of features are not to be changed: put tests/",
        ),
        ({"words/third": "right", "words/second": "wrong"}, "the feature second passed before: its check"),
        ({"words/third": "wrong"}, "its check `cmp tests/third words/third` does not pass: exit 1"),
    ],
)
async def test_what_lands_passes_its_check_and_those_of_all_before(
    tmp_path: Path, files: Any, says: str | None
) -> None:
    features = [feature("second") | {"passes": True}, feature("third") | {"passes": False}]
    before = {"words/second": "right", "tests/second": "right", "tests/third": "right"}
    for path, text in (before | {FEATURES: json.dumps(features)} | {k: v for k, v in files.items() if v}).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    book = Book(Workspace(repository=str(tmp_path)), 1)
    ruling = await book.trial(Tree(tmp_path, tuple(files)), Order(name="feature third", objective="Make it"))
    assert ruling.lands == (says is None)
    assert says is None or says in ruling.wrong


async def test_who_turns_a_feature_to_passing_itself_is_told_and_does_not_land(crew: Crew) -> None:
    team = Team(crew, feature("second"))
    team.errs["second"] = [write(FEATURES, "[]")]
    works = crew.works

    def mending(prompt: ActPrompt) -> Calls:
        base = prompt.base
        assert isinstance(base, WorkPrompt)
        calls = works(prompt)
        if base.wrong and len(prompt.turns) == 1:
            calls += [("run_command", {"command": f"sh -c 'git show HEAD:{FEATURES} > {FEATURES}'"})]
        return calls

    crew.works = mending
    answer = await crew.run("feature_list", goal="Write all words")
    assert answer.complete
    assert listed(crew) == {"second": True}
    told = [prompt.base.wrong for prompt in crew.asks(WorkPrompt)]  # type: ignore[attr-defined]
    assert any("only the harness writes in" in one for one in told)


async def test_a_feature_that_nobody_can_make_keeps_no_other_waiting(crew: Crew) -> None:
    Team(crew, feature("second", check="false"), feature("third"))
    answer = await crew.run("feature_list", goal="Write all words")
    assert not answer.complete
    assert listed(crew) == {"second": False, "third": True}
    assert "- second: does not pass" in answer.text
    assert "1 features do not pass: second" in answer.text
    assert "It was not made by 5 workers." in content(crew.repository, "progress.md")
    assert git(crew.repository, "ls-tree", "--name-only", "green", "words/").split() == [
        "words/first",
        "words/third",
    ]


async def test_several_are_made_side_by_side_and_all_are_noted(crew: Crew) -> None:
    names = ["second", "third", "fourth", "fifth"]
    Team(crew, *map(feature, names))
    answer = await crew.run("feature_list", goal="Write all words", at_once=4)
    assert answer.complete
    assert listed(crew) == dict.fromkeys(names, True)
    progress = content(crew.repository, "progress.md")
    assert all(f"## {name}: passes" in progress for name in names)
    assert "<<<<" not in progress


async def test_a_list_that_is_there_is_gone_on_with(crew: Crew) -> None:
    features = [
        feature("first", check="test -f words/first") | {"passes": True},
        feature("second") | {"passes": False},
    ]
    for path, text in (
        (FEATURES, json.dumps(features)),
        ("progress.md", "# Progress\n"),
        ("tests/second", "right\n"),
    ):
        (crew.repository / path).write_text(text)
    git(crew.repository, "add", "-A")
    git(crew.repository, "commit", "-qm", "A list")
    team = Team(crew)
    answer = await crew.run("feature_list", goal="Write all words")
    assert answer.complete
    assert team.begun == ["second"]
    assert listed(crew) == {"first": True, "second": True}


async def test_a_list_that_is_none_is_turned_down_with_the_reason(crew: Crew) -> None:
    team = Team(crew, feature("second", needs=["third"]), feature("third"))
    works = crew.works

    def again(prompt: ActPrompt) -> Calls:
        if prompt.base.wrong:  # type: ignore[attr-defined]
            team.features = [feature("second"), feature("third")]
        return works(prompt)

    crew.works = again
    assert (await crew.run("feature_list", goal="Write all words")).complete
    told = [prompt.base.wrong for prompt in crew.asks(WorkPrompt)]  # type: ignore[attr-defined]
    assert "the feature 'second' needs 'third', which is none of those before it" in told


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "nothing is asked for"),
        ({"goal": "x", "at_once": 0}, "at least one feature at once (0)"),
        ({"goal": "x", "check": "false"}, "does not pass on green before any work (exit 1"),
        ({"goal": "x", "branch": "main"}, "is checked out in"),
    ],
)
async def test_what_cannot_be_made_is_told_in_one_line(crew: Crew, options: dict[str, Any], says: str) -> None:
    assert says in await crew.refuses("feature_list", **({"unconfined": True} | options))


async def test_a_file_of_that_name_that_is_no_list_is_told(crew: Crew) -> None:
    (crew.repository / FEATURES).write_text('{"name": "mine"}')
    git(crew.repository, "add", "-A")
    git(crew.repository, "commit", "-qm", "Mine")
    assert "is no list of features" in await crew.refuses("feature_list", goal="x", unconfined=True)
