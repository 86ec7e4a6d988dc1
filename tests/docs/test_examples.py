"""Every example in README, docs/, examples/ and docstrings runs: offline, with no key, in a copy of the project.

In Markdown, fences in `python` and `bash` run, in order, in one folder for each page. More forms:

- `console`: each line after `$ ` is a command, and what follows it is its output; `...` stands for anything.
- `python file=NAME` (or `text file=NAME`) is written to that file and not run: a later example does that.
- `<!-- skip: REASON -->` on the line before a fence keeps it from running, for the reason that it gives.

A command that installs Swarm first is run without that part: to get here, it was installed.
"""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROGRAMS = sorted(ROOT.glob("examples/*.py"))
TOLD = [path for path in sorted(ROOT.glob("swarm/**/*.py")) if ">>>" in path.read_text()]

Run = Callable[[list[str], str], str]

_SKIP = re.compile(r"<!--\s*skip:\s*(?P<reason>.*?)\s*-->\s*$", re.DOTALL)
_INSTALL = re.compile(r"python3? -m venv \.venv && \.venv/bin/pip install [^&]*&&\s*")
_SECONDS = 60


@dataclass(frozen=True)
class Example:
    """One fence. `language` may be empty; `file` is where it is to be written, or empty."""

    where: str
    language: str
    file: str
    text: str
    skip: str | None


def examples(page: Path) -> Iterator[Example]:
    """The fences of a page, in order, also those inside lists."""
    skip = None
    for token in MarkdownIt().parse(page.read_text("utf-8")):
        if token.type == "html_block" and (found := _SKIP.search(token.content)):
            skip = found["reason"]
        if token.type != "fence":
            continue
        assert token.map is not None
        language, _, rest = token.info.partition(" ")
        where = f"{page.relative_to(ROOT)}:{token.map[0] + 1}"
        yield Example(where, language, rest.removeprefix("file="), token.content, skip)
        skip = None


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a reader has after cloning the project."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("docs", "examples", "recipes", "swarm"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    for path in ROOT.glob("*.md"):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def run(copy: Path, commands: str) -> Run:
    return partial(_run, folder=copy, path=f"{commands}{os.pathsep}{os.environ['PATH']}")


def _run(command: list[str], where: str, *, folder: Path, path: str) -> str:
    """The standard output of a command, which must succeed."""
    changed = {
        "PATH": path,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "COLUMNS": "100",
        "PYTHONSAFEPATH": "1",  # the copy holds the same modules, and none of them compiled
    }
    program = shutil.which(command[0], path=path)
    assert program is not None
    done = subprocess.run(
        [program, *command[1:]],
        cwd=folder,
        env={**os.environ, **changed},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def bash(text: str) -> list[str]:
    return ["bash", "-euo", "pipefail", "-c", _INSTALL.sub("", text).replace(".venv/bin/", "")]


def console(example: Example, run: Run) -> None:
    """Run each command and hold its output against what the page shows."""
    checker = doctest.OutputChecker()
    for part in re.split(r"(?m)^\$ ", example.text)[1:]:
        lines = part.split("\n")
        ends = next(n for n, line in enumerate(lines) if not line.endswith("\\"))
        command, expected = "\n".join(lines[: ends + 1]), "\n".join(lines[ends + 1 :])
        got = run(bash(command), example.where)
        assert checker.check_output(expected, got, doctest.ELLIPSIS), (
            f"{example.where}: {command}\nshows:\n{expected}\nbut prints:\n{got}"
        )


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_examples_of_a_page_run(page: Path, copy: Path, run: Run) -> None:
    for example in examples(page):
        assert example.skip != "", f"{example.where}: say why it is skipped"
        if example.file:
            (copy / example.file).write_text(example.text, "utf-8")
        elif example.skip is not None:
            assert len(example.skip) > 8, f"{example.where}: {example.skip!r} is no reason"
        elif example.language == "python":
            run(["python", "-W", "error", "-c", example.text], example.where)
        elif example.language == "bash":
            if "/pytest" not in example.text:  # the tests do not run themselves
                run(bash(example.text), example.where)
        elif example.language == "console":
            console(example, run)


def test_every_fence_has_a_language_that_says_whether_it_runs() -> None:
    known = {"python", "bash", "console", "text", "json", "toml", "sql", "mermaid", "diff"}
    bare = [example.where for page in PAGES for example in examples(page) if example.language not in known]
    assert not bare, f"name the language of these fences (text, if it is none): {bare}"


@pytest.mark.parametrize("program", PROGRAMS, ids=[path.name for path in PROGRAMS])
def test_an_example_program_runs_and_prints_something(program: Path, run: Run) -> None:
    assert run(["python", "-W", "error", f"examples/{program.name}"], program.name).strip()


@pytest.mark.parametrize("path", TOLD, ids=[str(path.relative_to(ROOT)) for path in TOLD])
def test_the_examples_of_docstrings_hold(path: Path) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken
