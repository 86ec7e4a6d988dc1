"""A study: which run is at it, what goes on, and the example in a repository of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from swarm.errors import UsageError
from swarm.experiments.ledger import Row
from swarm.experiments.measure import yardstick
from swarm.experiments.study import Study, all_but, bundled, copied

LOSS = yardstick(r"loss: (\S+)")


def study(folder: Path, **facts: object) -> Study:
    return Study(folder, {"edit": "train.py", "seconds": 2.0, **facts}, LOSS)


def test_a_run_that_is_not_over_goes_on_and_more_experiments_begin_another(tmp_path: Path) -> None:
    one = study(tmp_path / "out")
    first = one.next(5)
    assert first is not None
    assert (first.begin, first.last) == (0, 5)
    assert study(tmp_path / "out").next(5) == first
    for number in range(6):
        one.ledger.put(Row(number=number, status="discard" if number else "baseline"))
    one.over()
    assert study(tmp_path / "out").next(5) is None
    second = study(tmp_path / "out").next(8)
    assert second is not None
    assert second.run != first.run
    assert (second.begin, second.last) == (6, 9)
    assert study(tmp_path / "out").next(None).last is None


def test_another_study_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    study(tmp_path / "out").next(1)
    with pytest.raises(UsageError, match=r"seconds is 2\.0, and not 5\.0"):
        study(tmp_path / "out", seconds=5.0)
    (tmp_path / "out" / "study.json").write_text("{")
    with pytest.raises(UsageError, match=r"study\.json"):
        study(tmp_path / "out")


def test_the_example_is_copied_once_into_a_repository_of_its_own(tmp_path: Path) -> None:
    to = tmp_path / "autoresearch"
    copied(bundled(), to)
    log = ["git", "-C", str(to), "log", "--oneline"]
    before = subprocess.run(log, capture_output=True, check=True).stdout
    assert len(before.splitlines()) == 1
    (to / "train.py").write_text("mine")
    copied(bundled(), to)
    assert (to / "train.py").read_text() == "mine"
    assert {path.name for path in to.iterdir()} == {".git", "data.py", "evaluate.py", "text.txt", "train.py"}


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="no git repository"):
        copied(bundled(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("edit", ["train.py", "src/train.py", "a/b c/[x]*.py"])
def test_everything_but_the_one_file_is_protected(edit: str) -> None:
    spec = GitIgnoreSpec.from_lines(all_but(edit))
    assert not spec.match_file(edit)
    assert not spec.match_file(f"{edit}/")
    for other in ("evaluate.py", "src/evaluate.py", "src/deep/train.py", "deep/train.py", "a/b c/[x]y.py", "a/z"):
        assert spec.match_file(other), other
