"""An answer made by hand, and the command line: in a process of its own, and in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from swarm.cli.main import main
from swarm.source import Skip
from swarm.task import Answer, Citation, Coverage, Statement, Usage

Run = Callable[..., "subprocess.CompletedProcess[str]"]

_ANSWER = Answer(
    run_id="20260101-120000-abcdef",
    status="answered",
    text="Churn rose to 7.1% [1]. The annual plan had ended [2][1].",
    short="7.1%",
    statements=(
        Statement(text="Churn rose to 7.1%.", citations=(0,)),
        Statement(text="The annual plan had ended.", citations=(1, 0)),
    ),
    citations=(
        Citation(
            source="reports/q3.md", source_id="s1", start=10, end=38, quote="Churn in Q3 rose to\n7.1%", line=14
        ),
        Citation(source="plan.pdf", source_id="s2", start=0, end=33, quote="We withdrew it in July.", page=3),
    ),
    cells=(),
    contradictions=(),
    findings=4,
    rejected_quotes=1,
    coverage=Coverage(
        sources=2,
        chars_total=12_050,
        chars_read=12_000,
        chars_skipped=50,
        skipped=(Skip(source="copy.md", reason="the same as reports/q3.md", chars=50, bytes=51),),
    ),
    window_limit=8_000,
    window_peak=7_102,
    usage=Usage(calls=3, input_tokens=9_000, output_tokens=500, cached_tokens=100, cost_usd=0.0123),
    slices=2,
    rounds=1,
    failures=(),
    stopped=None,
    graph="g1",
    elapsed_seconds=1.25,
)


@pytest.fixture
def answer() -> Callable[..., Answer]:
    """An answer, with what a test wants different in it."""

    def make(**changes: Any) -> Answer:
        return replace(_ANSWER, **changes)

    return make


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """Run the installed `swarm`, in a process of its own, in the test's own folder."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "swarm"), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=60,
        )

    return run


@pytest.fixture
def swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same command line in this process, which has imported everything already."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["swarm", *arguments])
        code = main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run
