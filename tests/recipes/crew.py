"""A crew for recipes that code: a small repository made with real git, and a scripted model whose planners,
workers and judges act by one function each.

What is worked on are texts, and the check is a shell script: it fails where a word is "wrong".
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from swarm import Answer, Swarm
from swarm.errors import SwarmError
from swarm.models.scripted import Scripted
from swarm.prompts.acting import REPORT, ActPrompt
from swarm.prompts.typed import AssessPrompt, OutlinePrompt, WorkPrompt
from swarm.recipe import find, load

CHECK = "sh check.sh"
CHECK_SH = """\
if grep -rn wrong words; then echo "a word is wrong"; exit 1; fi
"""
FILES = {"check.sh": CHECK_SH, "words/first": "right\n", "tests/test_first": "first is right\n"}

_CLEAN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}

Calls = list[tuple[str, dict[str, Any]]]
Does = Callable[[ActPrompt], Calls]


def git(folder: Path, *words: str) -> str:
    """Git as a person uses it."""
    done = subprocess.run(["git", *words], cwd=folder, env=_CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.rstrip("\n")


def make(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


def content(repository: Path, path: str, branch: str = "green") -> str:
    return git(repository, "show", f"{branch}:{path}")


def subjects(repository: Path, branch: str = "green") -> list[str]:
    """Of all commits of the branch, the first first."""
    return git(repository, "log", "--reverse", "--format=%s", branch).splitlines()


def order(name: str, objective: str, **more: Any) -> dict[str, Any]:
    """A slice as a planner asks for it."""
    usual = {"done_when": "", "boundaries": "", "needs": [], "sources": [], "kind": "work", "priority": 0}
    return {"name": name, "objective": objective, **usual, **more}


def outline(*orders: dict[str, Any]) -> Calls:
    return [(REPORT, {"orders": list(orders), "drop": [], "reason": "as it is"})]


def done(result: str, **more: Any) -> Calls:
    usual = {"status": "done", "result": result, "summary": result.partition("\n")[0], "notes": ""}
    return [(REPORT, usual | more)]


def write(path: str, text: str) -> tuple[str, dict[str, Any]]:
    return "write_file", {"path": path, "text": text}


class Crew:
    """`plans`, `works` and `judges` say which tools are called next. `asked` are the prompts, in their order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = make(folder / "project")
        self.plans: Does = lambda prompt: outline()
        self.works: Does = lambda prompt: done("nothing")
        self.judges: Does = lambda prompt: [(REPORT, {"verdict": "done", "reason": "it is", "missing": []})]
        self.asked: list[ActPrompt] = []

    def act(self, prompt: ActPrompt) -> dict[str, Any]:
        self.asked.append(prompt)
        kinds: dict[type, Does] = {OutlinePrompt: self.plans, WorkPrompt: self.works, AssessPrompt: self.judges}
        calls = kinds[type(prompt.base)](prompt)
        return {
            "says": "",
            "calls": [
                {"id": f"c{n}", "name": name, "arguments": json.dumps(given)}
                for n, (name, given) in enumerate(calls)
            ],
        }

    def model(self) -> Scripted:
        return Scripted({"act": self.act, "answer": {"answerable": False, "short": None, "statements": []}})

    async def run(self, recipe: str, **options: Any) -> Answer:
        """The recipe on the repository, on a store in the folder."""
        swarm = Swarm(self.model(), store=self.folder / "swarm.db", concurrency=4)
        given = {"check": CHECK, "unconfined": True} | options
        answer = await load(find(recipe)).run(swarm, [str(self.repository)], **given)
        assert answer is not None
        return answer

    async def refuses(self, recipe: str, paths: list[str] | None = None, **options: Any) -> str:
        """The one line with which the recipe refuses; nobody was asked anything."""
        swarm = Swarm(self.model(), store=self.folder / "swarm.db")
        with pytest.raises(SwarmError) as refused:
            await load(find(recipe)).run(swarm, [str(self.repository)] if paths is None else paths, **options)
        assert not self.asked
        assert "\n" not in str(refused.value)
        return str(refused.value)

    def asks(self, kind: type) -> list[ActPrompt]:
        """What was asked first of each of a kind."""
        return [prompt for prompt in self.asked if isinstance(prompt.base, kind) and not prompt.turns]
