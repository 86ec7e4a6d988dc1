"""The simulated coder, with the real tools on real files: it comes to its end whatever mistakes it is given."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.testing.codebase import CATALOGUE, SHARED, Codebase, Exercise, exercises, make_codebase
from swarm.testing.coder import NONE, Coder, Mischief
from swarm.testing.edits import changed_lines, imported, listed, unmarked, written
from swarm.tools.builtin import builtin
from swarm.tools.surroundings import Surroundings

_TEST = re.compile(r"pytest .*tests/(\w+)\.py::(\w+)$")
TOOLS = ("read_file", "edit_file", "write_file", "run_command")


@dataclass(frozen=True)
class Open:
    """A folder as a place, with nothing around its commands. One test is run without pytest, which is quick."""

    path: Path

    async def run(self, command: str, bounds: Bounds | None = None) -> Ran:
        if (test := _TEST.search(command)) is not None:
            command = f"{sys.executable} -B -c 'from tests.{test[1]} import {test[2]} as test; test()'"
        process = await asyncio.create_subprocess_shell(
            command, cwd=self.path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await process.communicate())[0].decode()
        return Ran(exit=process.returncode or 0, output=output, output_bytes=len(output), seconds=0.0)


@dataclass(frozen=True)
class Sight:
    """What the coder is asked."""

    text: str
    turns: tuple[tuple[tuple[dict[str, Any], ...], tuple[str, ...]], ...] = ()
    force: bool = False


def asked(exercise: Exercise, *, wrong: str = "", notes: str = "") -> Sight:
    lines = [f"<piece>\n{exercise.order.objective}\n</piece>"]
    lines += [f"<notes>\n{notes}\n</notes>"] if notes else []
    lines += [f"A check found this wrong with the result before yours: {wrong}"] if wrong else []
    return Sight("\n".join(lines))


async def worked(coder: Coder, sight: Sight, folder: Path, steps: int = 10) -> tuple[dict[str, Any], Sight]:
    """What it reports, and what it saw last. Whoever goes round is told off, and has to hand in at the end."""
    around = Surroundings(place=lambda: _ready(Open(folder)), writes=True, protected=("/tests/",))
    tools = {one.name: one for one in builtin(TOOLS, around)}
    while True:
        said = coder(replace(sight, force=len(sight.turns) >= steps))
        calls: Sequence[dict[str, Any]] = said["calls"]
        if calls[0]["name"] == "report":
            return calls[0]["arguments"], sight
        results = []
        for call in calls:
            try:
                results.append(await tools[call["name"]].call(call["arguments"]))
            except ToolFailed as error:
                results.append(str(error))
        if len(sight.turns) > 2 and [turn[0] for turn in sight.turns[-3:]] == [tuple(calls)] * 3:
            results[-1] += "\n\n(This was done 3 times, to the same end. Go another way.)"
        sight = replace(sight, turns=(*sight.turns, (tuple(calls), tuple(results))))


async def _ready(place: Open) -> Open:
    return place


@pytest.fixture
def codebase(tmp_path: Path) -> Codebase:
    return make_codebase(tmp_path / "kit", 2, 3)


def of(codebase: Codebase, name: str) -> Exercise:
    return next(one for one in codebase.missing if one.name == name)


def names(sight: Sight) -> list[str]:
    return [call["name"] for calls, _ in sight.turns for call in calls]


async def test_without_mistakes_a_function_takes_a_look_an_edit_and_a_test(codebase: Codebase) -> None:
    report, sight = await worked(Coder(mischief=NONE), asked(of(codebase, "initials")), codebase.folder)
    assert report["status"] == "done"
    assert [calls[0]["name"] for calls, _ in sight.turns] == ["read_file", "edit_file", "run_command"]


async def test_a_helper_that_is_missing_is_written_with_the_function(codebase: Codebase) -> None:
    report, _ = await worked(Coder(mischief=NONE), asked(of(codebase, "slugify")), codebase.folder)
    assert report["status"] == "done"
    assert "raise" not in (codebase.folder / SHARED).read_text().partition("def tidy")[2].partition("def ")[0]


async def test_a_body_for_one_case_is_mended_when_the_test_fails(codebase: Codebase) -> None:
    coder = Coder(mischief=replace(NONE, hard_coded=1))
    report, sight = await worked(coder, asked(of(codebase, "caesar")), codebase.folder)
    assert report["status"] == "done"
    assert names(sight).count("run_command") == 2


@pytest.mark.parametrize("seed", [0, 1])
async def test_one_who_goes_round_is_stopped_and_the_next_one_does_it(codebase: Codebase, seed: int) -> None:
    coder, exercise = Coder(seed, mischief=replace(NONE, hard_coded=1, loops=1)), of(codebase, "longest")
    report, sight = await worked(coder, asked(exercise), codebase.folder)
    repeated = [calls for calls, _ in sight.turns]
    assert any(one == other for one, other in itertools.pairwise(repeated))
    if report["status"] == "continue":
        report, _ = await worked(coder, asked(exercise, notes=report["notes"]), codebase.folder)
    assert report["status"] == "done"


@pytest.mark.parametrize("seed", [0, 1, 4])
async def test_whoever_changes_tests_is_refused_or_told_and_then_writes_the_function(
    codebase: Codebase, seed: int
) -> None:
    coder, exercise = Coder(seed, mischief=replace(NONE, cheats=1)), of(codebase, "caesar")
    report, sight = await worked(coder, asked(exercise), codebase.folder)
    assert any("test" in json.dumps(call) for calls, _ in sight.turns for call in calls)
    assert report["status"] == "done"
    (codebase.folder / "conftest.py").unlink(missing_ok=True)
    await Open(codebase.folder).run("git checkout tests")
    report, _ = await worked(coder, asked(exercise, wrong="tests were changed"), codebase.folder)
    assert report["status"] == "done"
    assert (await Open(codebase.folder).run(exercise.command)).ok


async def test_a_helper_that_was_changed_under_its_neighbours_is_put_back_when_that_is_told(
    codebase: Codebase,
) -> None:
    coder, exercise = Coder(mischief=replace(NONE, neighbour=1)), of(codebase, "initials")
    report, _ = await worked(coder, asked(exercise), codebase.folder)
    assert report["status"] == "done"
    neighbour = "python -m pytest -q tests/test_shared.py::test_words"
    assert not (await Open(codebase.folder).run(neighbour)).ok
    report, _ = await worked(coder, asked(exercise, wrong="test_words failed"), codebase.folder)
    assert report["status"] == "done"
    assert (await Open(codebase.folder).run(neighbour)).ok


async def test_two_sides_of_a_conflict_are_joined(codebase: Codebase) -> None:
    exercise = next(one for one in codebase.missing if one.module == "text" and one.listed)
    path = codebase.folder / CATALOGUE
    begins = '    "text": [\n'
    marked = f'{begins}<<<<<<< abc\n        "other",\n=======\n        "{exercise.name}",\n>>>>>>> def (it)\n'
    path.write_text(path.read_text().replace(begins, marked))
    report, _ = await worked(Coder(mischief=NONE), asked(exercise, wrong="a conflict"), codebase.folder)
    assert report["status"] == "done"
    assert f'"text": [\n        "other",\n        "{exercise.name}",\n    ],' in path.read_text()


def test_one_who_has_to_hand_in_does() -> None:
    exercise = exercises()[-1]
    said = Coder()(replace(asked(exercise), force=True))
    assert [call["name"] for call in said["calls"]] == ["report"]
    assert said["calls"][0]["arguments"]["status"] == "continue"


def test_the_same_request_gets_the_same_answer_and_another_seed_other_mistakes() -> None:
    exercise = exercises()[-1]
    assert Coder(3)(asked(exercise)) == Coder(3)(asked(exercise))
    begun = [[Coder(seed).does("cheats", one.slice) for one in exercises()] for seed in range(2)]
    assert begun[0] != begun[1]
    assert 0 < sum(begun[0]) < len(begun[0]) / 2


def test_some_pieces_are_begun_with_every_mistake() -> None:
    for what in Mischief.__dataclass_fields__:
        assert any(Coder(seed).does(what, one.slice) for seed in range(3) for one in exercises())


# Edits


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_an_edit_of_what_differs_makes_one_text_of_the_other(one: list[str], other: list[str]) -> None:
    before, after = ("".join(f"{line}\n" for line in lines) for lines in (one, other))
    old, new = changed_lines(before, after)
    if before and before != after:
        assert old
        assert before.count(old) == 1
        assert before.replace(old, new) == after


def test_a_function_is_written_in_its_place_once() -> None:
    text = '"""Of it."""\n\n\ndef one():\n    raise\n\n\ndef two():\n    pass\n'
    new = written(text, "one", "def one():\n    return 1\n")
    assert new == '"""Of it."""\n\n\ndef one():\n    return 1\n\n\ndef two():\n    pass\n'
    assert written(new, "three", "def three(): ...\n").endswith("    pass\n\n\ndef three(): ...\n")
    doubled = new + "\n\ndef one():\n    return 2\n"
    assert written(doubled, "one", "def one():\n    return 1\n").count("def one") == 1


def test_imports_follow_one_another() -> None:
    text = imported('"""Of it."""\n\n\ndef one(): ...\n', "import re")
    assert text == '"""Of it."""\n\nimport re\n\n\ndef one(): ...\n'
    text = imported(text, "import math")
    assert text == '"""Of it."""\n\nimport re\nimport math\n\n\ndef one(): ...\n'
    assert imported(text, "import re") == text
    before = '"""Of it."""\n\nfrom kit.shared import tidy\n\n\ndef one(): ...\n'
    assert imported(before, "import re").startswith('"""Of it."""\n\nimport re\n\nfrom kit.shared')


def test_of_a_conflict_in_code_the_side_that_landed_stays_and_of_lists_both() -> None:
    code = "a\n<<<<<<< one\n    return 1\n||||||| base\n    raise\n=======\n    return 2\n>>>>>>> two\nb\n"
    assert unmarked(code) == "a\n    return 1\nb\n"
    names = '<<<<<<< one\n        "x",\n        "y",\n=======\n        "y",\n        "z",\n>>>>>>> two\n'
    assert unmarked(names) == '        "x",\n        "y",\n        "z",\n'
    assert listed('C = {\n    "m": [\n        "x",\n    ],\n}\n', "m", "y").count(",\n") == 3
