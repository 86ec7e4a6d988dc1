"""A code base whose functions are still to be written, as a git repository, for tests and rehearsals of coding.

Its package `kit` has modules of functions that raise NotImplementedError, each with a docstring that says what it
does and a test that fails. Three things stand in the way of those who write them side by side: a module of helpers
that several need and nobody has written yet, helpers that are there and that other tests rest on, and a catalogue
in which every second function has to be listed, each at the end of the same few lines. What the functions come to
is in `exercises.toml`, which only the simulated coder reads (`coder`). This module knows no coder and no run.
"""

from __future__ import annotations

import subprocess
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from swarm.orders import Order

PACKAGE = "kit"
SHARED = f"{PACKAGE}/shared.py"
CATALOGUE = f"{PACKAGE}/catalogue.py"
MISSING = "raise NotImplementedError"
CHECK = "python -m pytest -q -p no:cacheprovider"
PROTECTED = ("/tests/", "/pyproject.toml", "conftest.py", "pytest.ini", "tox.ini", "setup.cfg")
"""What nobody who writes functions may change: the tests, and whatever tells pytest how to run them."""

_IDENTITY = ("-c", "user.name=Kit", "-c", "user.email=kit@example.invalid", "-c", "commit.gpgsign=false")
_README = """\
# Kit

Small functions, most of them still to be written: each says in its docstring what it does and raises
NotImplementedError. What several need stands in `kit/shared.py`, once. Functions whose test asks for it are
listed in `kit/catalogue.py`, at the end of their module's list. Nobody changes the tests.

    python -m pytest -q
"""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One function of the code base: what it is to do, how that is tested, and a body that does it. `other` is
    another body that does, `there` says that the code base has it already, `cases` are pairs of what is called and
    what comes of it, `uses` names helpers of the shared module."""

    module: str
    name: str
    signature: str
    returns: str
    says: str
    body: str
    other: str = ""
    imports: str = ""
    cases: tuple[tuple[str, str], ...] = ()
    there: bool = False
    uses: tuple[str, ...] = ()
    listed: bool = False

    @property
    def slice(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def path(self) -> str:
        return f"{PACKAGE}/{self.module}.py"

    @property
    def test(self) -> str:
        """Its test, as pytest calls it."""
        return f"tests/test_{self.module}.py::test_{self.name}"

    @property
    def command(self) -> str:
        """What runs its test."""
        return f"{CHECK} {self.test}"

    def source(self, body: str = "") -> str:
        """Its text in the module; without a body nobody has written it yet."""
        head = f'def {self.name}({self.signature}) -> {self.returns}:\n    """{self.says}"""\n'
        return head + textwrap.indent(body.strip() or MISSING, "    ") + "\n"

    def test_source(self) -> str:
        lines = [f"assert {self.name}{called} == {result}" for called, result in self.cases]
        if self.listed:
            lines.append(f'assert "{self.name}" in CATALOGUE["{self.module}"]')
        return f"def test_{self.name}() -> None:\n" + textwrap.indent("\n".join(lines), "    ") + "\n"

    @property
    def order(self) -> Order:
        """The function as a piece of work."""
        return Order(
            name=self.slice,
            objective=f"Make {self.test} pass: write {self.name} in {self.path}, as its docstring says.",
            done_when=f"`{self.command}` passes, and so does every test that passed before.",
            boundaries="The other functions of the module, and all tests.",
        )


@cache
def exercises() -> tuple[Exercise, ...]:
    """All there are, the shared helpers first."""
    found = tomllib.loads(files("swarm.testing").joinpath("exercises.toml").read_text("utf-8"))
    helpers = tuple(found["shared"])
    return tuple(
        _exercise(module, name, told, helpers) for module, kept in found.items() for name, told in kept.items()
    )


def _exercise(module: str, name: str, told: dict[str, Any], helpers: Sequence[str]) -> Exercise:
    cases = []
    for line in told.pop("cases", "").splitlines():
        called, equals, result = line.rpartition(" == ")
        cases += [(called, result)] if equals else []
    words = set(told["body"].replace("(", " ").split())
    uses = tuple(helper for helper in helpers if helper in words and (module, helper) != ("shared", name))
    return Exercise(module=module, name=name, cases=tuple(cases), uses=uses, **told)


@dataclass(frozen=True, kw_only=True)
class Codebase:
    """A code base that was made: where it is, the commit that it begins at, and what is still to be written."""

    folder: Path
    base: str
    missing: tuple[Exercise, ...]

    def orders(self) -> Iterator[Order]:
        """One for each function that is missing, always in the same order."""
        for exercise in self.missing:
            yield exercise.order

    @cached_property
    def tests(self) -> dict[str, str]:
        """By the name of each order the test that it is to make pass."""
        return {exercise.slice: exercise.test for exercise in self.missing}


def chosen(modules: int = 12, functions: int = 5, seed: int = 0) -> tuple[Exercise, ...]:
    """The functions of a code base of that size: so many `modules` with so many `functions` each, mixed by
    `seed`. Every second one is to be listed in the catalogue."""
    dice = Random(seed)  # noqa: S311
    by_module: dict[str, list[Exercise]] = {}
    for one in exercises():
        if one.module != "shared":
            by_module.setdefault(one.module, []).append(one)
    picked: list[Exercise] = []
    for kept in list(by_module.values())[:modules]:
        mixed = dice.sample(kept[:functions], len(kept[:functions]))
        picked += [_listed(one) if at % 2 == 0 else one for at, one in enumerate(mixed)]
    return tuple(picked)


def _listed(one: Exercise) -> Exercise:
    return Exercise(**{**vars(one), "listed": True})


def make_codebase(folder: Path, modules: int = 12, functions: int = 5, seed: int = 0) -> Codebase:
    """Write it into `folder`, which is made, as a repository with one commit on the branch main.

    Raises:
        OSError: git is not there, or the folder cannot be written.
    """
    missing = chosen(modules, functions, seed)
    for path, text in _texts(missing):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "A kit whose functions are still to be written")
    return Codebase(folder=folder, base=_git(folder, "rev-parse", "HEAD"), missing=missing)


def _texts(missing: Sequence[Exercise]) -> Iterator[tuple[str, str]]:
    """The files, each with its text."""
    yield "README.md", _README
    yield ".gitignore", "__pycache__/\n.pytest_cache/\n"
    yield "pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\n'
    yield f"{PACKAGE}/__init__.py", '"""Small functions."""\n'
    helpers = [one for one in exercises() if one.module == "shared"]
    yield SHARED, _module("What several modules need.", helpers)
    yield "tests/test_shared.py", _test_module("shared", [one for one in helpers if one.there])
    modules = dict.fromkeys(one.module for one in missing)
    lists = "".join(f'    "{module}": [\n    ],\n' for module in modules)
    yield CATALOGUE, f'"""What the kit has, by module."""\n\nCATALOGUE: dict[str, list[str]] = {{\n{lists}}}\n'
    for module in modules:
        own = [one for one in missing if one.module == module]
        yield f"{PACKAGE}/{module}.py", _module(f"Of {module}.", own)
        yield f"tests/test_{module}.py", _test_module(module, own)


def _module(says: str, own: Sequence[Exercise]) -> str:
    used = sorted({helper for one in own for helper in one.uses} - {one.name for one in own})
    lines = sorted({one.imports for one in own if one.there and one.imports})
    lines += [f"from {PACKAGE}.shared import {', '.join(used)}"] if used else []
    parts = ["\n".join([f'"""{says}"""', "", *lines]).rstrip() + "\n"]
    return "\n\n".join([*parts, *(one.source(one.body if one.there else "") for one in own)])


def _test_module(module: str, own: Sequence[Exercise]) -> str:
    lines = [f"from {PACKAGE}.{module} import {', '.join(sorted(one.name for one in own))}"]
    if any(one.listed for one in own):
        lines.insert(0, f"from {PACKAGE}.catalogue import CATALOGUE")
    return "\n\n".join(["\n".join(lines) + "\n", *(one.test_source() for one in own)])


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", *_IDENTITY, *words],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
