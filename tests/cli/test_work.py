"""`swarm work`: towards a goal, against a simulated provider; its mistakes are one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm.testing.provider import Provider
from tests.cli.conftest import Run


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    with Provider(window=64_000) as provider:
        yield provider


def model(provider: Provider) -> list[str]:
    return ["--model", "openai:any", "--base-url", provider.openai_url, "--window", "64000"]


def test_it_plans_works_judges_and_cites(swarm: Run, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "mill.md").write_text("The mill burnt down in 1871.\n")
    done = swarm("work", "When did the mill burn?", "mill.md", *model(provider), "--yes", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer["status"] == "answered"
    assert answer["citations"]
    shown = json.loads(swarm("show", "last", "--json").stdout)
    assert shown["plan"]["slices"] == shown["plan"]["done"] > 0
    assert shown["plan"]["judged"][0] == "done"


def test_a_check_that_fails_is_told_to_the_planner_and_ends_partial(
    swarm: Run, provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "mill.md").write_text("The mill burnt down in 1871.\n")
    done = swarm("work", "Mend the mill", "mill.md", "--check", "false", *model(provider), "--yes", "--quiet")
    assert done.returncode == 3
    assert "exit 1" in swarm("show", "last").stdout
    refused = swarm("resume", "last")
    assert refused.returncode == 2
    assert refused.stderr == ("swarm: the run checks itself with the command 'false': give --yes to allow it\n")


def test_a_model_that_cannot_work_is_told_in_one_line(swarm: Run) -> None:
    done = swarm("work", "Make it", "--quiet")
    assert done.returncode == 2
    assert done.stderr == (
        "swarm: the model extractive reads and quotes, and cannot work towards a goal: "
        "name a language model with --model\n"
    )
    assert "interrupted" not in swarm("runs").stdout


def test_a_check_that_is_no_command_is_told_in_one_line(swarm: Run, provider: Provider) -> None:
    done = swarm("work", "Make it", "--check", "echo 'half", *model(provider), "--yes", "--quiet")
    assert done.returncode == 2
    assert done.stderr == 'swarm: the check "echo \'half" is no command: No closing quotation\n'
