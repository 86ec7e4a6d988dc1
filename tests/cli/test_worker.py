"""`swarm worker`, called wrong: one line says what, before anything is opened."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOWHERE = "postgresql://127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--store", "runs.db"], "workers share a store on a server: --store postgresql://"),
        ([], "missing option '--store'"),
        (["--store", NOWHERE, "--recipe", "mine.py"], "no recipe at mine.py: check the path"),
        (["--store", NOWHERE, "--recipe", "codebas"], "did you mean codebase?"),
        (["--store", NOWHERE, "--concurrency", "0"], "greater than or equal to 1"),
        (["--store", NOWHERE], f"{NOWHERE} cannot be used (connection failed"),
        (["--store", "postgresql://me:p@ss@db/x"], "in its password, write %40 for @"),
    ],
)
def test_a_mistake_is_told_in_a_line(options: list[str], says: str, swarm: Run) -> None:
    done = swarm("worker", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "p@ss" not in done.stderr
