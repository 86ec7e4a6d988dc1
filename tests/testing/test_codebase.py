"""The code base that a simulated coder writes: what is in it holds, and nobody gets by with less."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm.testing.codebase import CATALOGUE, PACKAGE, Exercise, chosen, exercises, make_codebase

ALL = exercises()


def meets(exercise: Exercise, body: str) -> list[bool]:
    """Which of its cases a body meets."""
    names: dict[str, Any] = {}
    for helper in ALL:
        if helper.module == "shared":
            exec(f"{helper.imports}\n{helper.source(helper.body)}", names)
    exec(f"{exercise.imports}\n{exercise.source(body)}", names)
    return [eval(f"{exercise.name}{called} == {result}", names) is True for called, result in exercise.cases]


@pytest.mark.parametrize("exercise", ALL, ids=lambda one: one.slice)
def test_a_body_meets_all_its_cases_and_none_can_be_met_by_what_the_first_comes_to(exercise: Exercise) -> None:
    assert all(meets(exercise, exercise.body))
    if exercise.cases:
        assert not all(meets(exercise, f"return {exercise.cases[0][1]}"))


def test_there_are_sixty_functions_in_twelve_modules() -> None:
    missing = chosen()
    assert (len(missing), len({one.module for one in missing})) == (60, 12)
    assert {one.slice for one in missing} == {one.slice for one in ALL if one.module != "shared"}


def test_helpers_that_nobody_has_written_are_needed_in_several_modules() -> None:
    for helper in (one for one in ALL if one.module == "shared" and not one.there):
        assert len({one.module for one in ALL if helper.name in one.uses and one.module != "shared"}) > 1


def test_the_same_seed_makes_the_same_code_base(tmp_path: Path) -> None:
    one, same, other = (make_codebase(tmp_path / str(n), 2, 3, seed) for n, seed in enumerate((1, 1, 2)))
    assert one.missing == same.missing
    assert [order.name for order in one.orders()] != [order.name for order in other.orders()]
    for path in ("kit/text.py", "tests/test_text.py", CATALOGUE):
        assert (one.folder / path).read_text() == (same.folder / path).read_text()


def test_all_that_is_missing_fails_and_all_that_is_there_passes(tmp_path: Path) -> None:
    codebase = make_codebase(tmp_path / "kit", 2, 3)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-rpf"]
    done = subprocess.run(words, cwd=codebase.folder, capture_output=True, text=True)
    passed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("PASSED")}
    failed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    assert passed == {"tests/test_shared.py::test_words", "tests/test_shared.py::test_clamp"}
    assert failed == {one.test for one in codebase.missing} == set(codebase.tests.values())


def test_the_code_base_does_not_hold_what_its_functions_come_to(tmp_path: Path) -> None:
    codebase = make_codebase(tmp_path / "kit")
    text = "".join(path.read_text() for path in (codebase.folder / PACKAGE).glob("*.py"))
    assert not [one.slice for one in codebase.missing if one.body.strip().splitlines()[-1] in text]
