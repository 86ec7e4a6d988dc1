"""A run that is named goes on when it is begun again: a job that is started anew pays for nothing twice."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_the_same_name_and_question_is_the_same_run(swarm: Run, tmp_path: Path) -> None:
    (tmp_path / "mill.md").write_text("The mill burnt down in 1871.\n")
    ask = ("ask", "When did the mill burn?", "mill.md", "--run-id", "mine", "--json", "--quiet")
    first, again = (json.loads(swarm(*ask).stdout) for _ in range(2))
    assert first["run_id"] == "mine"
    assert again["usage"] == first["usage"]
    assert len(json.loads(swarm("runs", "--json").stdout)["runs"]) == 1
    other = swarm("ask", "Who built it?", "mill.md", "--run-id", "mine", "--quiet")
    assert other.returncode == 2
    assert other.stderr == (
        "swarm: the run mine is there and was asked something else: give this one another id\n"
    )
