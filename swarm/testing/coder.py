"""A stand-in for a model that codes, SIMULATED: it knows what the functions of `codebase` come to, and errs.

It is asked like a model and keeps nothing between two requests: what it does next follows from what it sees, its
piece, its turns and what was found wrong before. Which mistakes it makes is thrown with dice that its seed and
the piece decide: a body that is good for one case only, a report without a test, a helper changed under its
neighbours, tests that are edited until they pass, the same call again and again, a piece handed on halfway. Told
what is wrong, it mends it. It sees files only by its tools, and this module knows no run and no provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from swarm.testing.codebase import CATALOGUE, SHARED, Exercise, exercises
from swarm.testing.edits import changed_lines, imported, listed, unmarked, written

Turns = tuple[tuple[tuple[dict[str, Any], ...], tuple[str, ...]], ...]

_PIECE = re.compile(r"<piece>\n.*?write (\w+) in kit/(\w+)\.py.*?\n</piece>", re.DOTALL)
_NOTES = re.compile(r"<notes>\n(.*?)\n</notes>", re.DOTALL)
_WRONG = re.compile(r"^A check found this wrong with the result before yours: (.*)", re.DOTALL | re.MULTILINE)
_ASKS_TO_LIST = re.compile(r'assert "(\w+)" in CATALOGUE')
_GREEN = re.compile(r"^exit 0$", re.MULTILINE)
_LINE = re.compile(r"^\d+\t(.*\n?)", re.MULTILINE)
_TOLD_OFF = "(This was done"
_CONFTEST = """\
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome = "passed"
    return report
"""
_ROUNDS = 6  # times that it looks at its files before it gives up
_MOST_LOOPS = 40


class Sight(Protocol):
    """What it is asked, as `swarm.testing.seen.Seen`: all text, its turns as calls and results, and whether it has
    to hand in now."""

    @property
    def text(self) -> str: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def force(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Mischief:
    """Which share of the pieces, from 0 to 1, is begun with each of its mistakes."""

    hard_coded: float = 0.4
    """A body that gives what the first case asks for, whatever it is given."""
    broken: float = 0.1
    """One that is no Python, so that nothing of its module can be imported."""
    blind: float = 0.2
    """It says that it is done without having run a test."""
    neighbour: float = 0.2
    """It changes a helper that its own test does not mind and those of others do."""
    cheats: float = 0.2
    """It makes its test pass by changing the test, or how tests are run."""
    loops: float = 0.15
    """It makes the same call again until it is stopped."""
    hands_on: float = 0.1
    """It hands its piece on when half of it is done."""


NONE = Mischief(hard_coded=0, broken=0, blind=0, neighbour=0, cheats=0, loops=0, hands_on=0)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One request, read: the piece, and what it sees of its own doings."""

    exercise: Exercise
    wrong: str
    notes: str
    turns: Turns
    files: Mapping[str, str] = field(default_factory=dict)
    """What files held when it looked last, as far as its window still shows it."""
    rounds: int = 0
    """How often it looked."""

    @property
    def fresh(self) -> bool:
        """Whether nobody has tried before."""
        return not self.wrong and not self.notes

    @property
    def test_path(self) -> str:
        return self.exercise.test.partition("::")[0]


class Coder:
    """A mind with tools, as `Provider(hands=…)` takes one. The same request always gets the same answer."""

    def __init__(self, seed: int = 0, mischief: Mischief | None = None) -> None:
        self._seed = seed
        self._mischief = mischief if mischief is not None else Mischief()
        self._known = {one.slice: one for one in exercises()}

    def __call__(self, seen: Sight) -> dict[str, Any]:
        job = self._read(seen)
        if job is None:
            return _report("blocked", notes="This is no piece of the code base that I know.")
        if seen.force:
            return _report("continue", notes=f"Stopped at {job.exercise.slice}; look at it and go another way.")
        return self._next(job)

    def does(self, what: str, slice_: str) -> bool:
        """Whether it begins that piece with that mistake."""
        share: float = getattr(self._mischief, what)
        return self._dice(what, slice_).random() < share

    def _dice(self, *of: str) -> Random:
        return Random("\0".join((str(self._seed), *of)))  # noqa: S311

    def _read(self, seen: Sight) -> _Job | None:
        found = _PIECE.search(seen.text)
        if found is None or (exercise := self._known.get(f"{found[2]}.{found[1]}")) is None:
            return None
        wrong, notes = _WRONG.search(seen.text), _NOTES.search(seen.text)
        looks = [turn for turn in seen.turns if _kind(turn[0]) == "look"]
        files = {
            call["arguments"]["path"]: text
            for call, result in zip(*looks[-1], strict=False)
            if call["name"] == "read_file" and (text := _content(result))
        } if looks else {}  # fmt: skip
        return _Job(
            exercise=exercise,
            wrong=wrong[1] if wrong is not None else "",
            notes=notes[1] if notes is not None else "",
            turns=seen.turns,
            files=files,
            rounds=len(looks),
        )

    def _next(self, job: _Job) -> dict[str, Any]:
        kind = _kind(job.turns[-1][0]) if job.turns else ""
        match kind:
            case "look" if self._goes_round(job, "look"):
                return _again(job)
            case "look":
                return self._act(job)
            case "edit" if self._begins_with(job, "blind"):
                return _done(job)
            case "edit" if self._begins_with(job, "hands_on"):
                return _report(
                    "continue", notes=f"{job.exercise.path} is begun. Run its test, then mend the rest."
                )
            case "edit" | "tamper":
                return _says("Now the test.", _call("run_command", command=job.exercise.command))
            case "test" if _GREEN.search(job.turns[-1][1][-1]):
                return _done(job)
            case "test" if self._goes_round(job, "test"):
                return _again(job)
            case "test" if self._begins_with(job, "cheats") and not _has(job, "tamper"):
                return self._tamper(job)
        if job.rounds >= _ROUNDS:
            return _report("blocked", notes=f"{job.exercise.test} does not pass, whatever I write.")
        paths = [job.exercise.path, SHARED, CATALOGUE, job.test_path]
        return _says("I look at what is there.", *(_call("read_file", path=path) for path in paths))

    def _begins_with(self, job: _Job, what: str) -> bool:
        """Whether this is the beginning of the piece, and that mistake belongs to it."""
        return job.fresh and job.rounds <= 1 and self.does(what, job.exercise.slice)

    def _goes_round(self, job: _Job, kind: str) -> bool:
        """Whether it does the last thing again: some stop when they are told off, some when they have to."""
        name = job.exercise.slice
        dice = self._dice("how it loops", name)
        if not job.fresh or not self.does("loops", name) or dice.choice(("look", "test")) != kind:
            return False
        stops_when_told = dice.random() < 0.5
        told = any(_TOLD_OFF in result for result in job.turns[-1][1])
        return not (told and stops_when_told) and len(job.turns) < _MOST_LOOPS

    # Acting

    def _act(self, job: _Job) -> dict[str, Any]:
        """Whatever has to be changed, as edits; the first time with the mistakes that were thrown."""
        wanted = dict(self._wanted(job))
        edits = [
            _edit(path, job.files[path], text) for path, text in wanted.items() if text != job.files.get(path)
        ]
        if not edits:
            return _says("All is written; now the test.", _call("run_command", command=job.exercise.command))
        return _says("I write it.", *edits)

    def _wanted(self, job: _Job) -> Iterable[tuple[str, str]]:
        """Its files as it wants them to be, as far as it sees them."""
        exercise, files = job.exercise, job.files
        if exercise.path in files:
            text = imported(unmarked(files[exercise.path]), exercise.imports)
            yield exercise.path, written(text, exercise.name, exercise.source(self._body(job)))
        if SHARED in files:
            yield SHARED, self._shared(job, unmarked(files[SHARED]))
        asked = _ASKS_TO_LIST.findall(files.get(job.test_path, ""))
        if CATALOGUE in files:
            text = unmarked(files[CATALOGUE])
            yield CATALOGUE, listed(text, exercise.module, exercise.name) if exercise.name in asked else text

    def _body(self, job: _Job) -> str:
        exercise = job.exercise
        if self._begins_with(job, "broken"):
            return "return ("
        if self._begins_with(job, "hard_coded") or self._begins_with(job, "cheats"):
            return f"return {exercise.cases[0][1]}"
        return exercise.body

    def _shared(self, job: _Job, text: str) -> str:
        """The helpers, with those that are missing and needed; and with all others as they were."""
        for helper in (one for one in self._known.values() if one.module == "shared"):
            if helper.there:
                body = helper.body
                if helper.name == "words" and self._begins_with(job, "neighbour"):
                    body = body.replace(", text)", ", text.lower())")
                text = written(text, helper.name, helper.source(body))
            elif helper.name in job.exercise.uses and helper.source() in text:
                bodies = (helper.body, helper.other)
                text = written(
                    text, helper.name, helper.source(self._dice("helper", job.exercise.slice).choice(bodies))
                )
        return text

    def _tamper(self, job: _Job) -> dict[str, Any]:
        """Make the test pass without the function."""
        ways = ("edit", "sed", "conftest")
        way = self._dice("how it cheats", job.exercise.slice).choice(ways)
        says = "The test is too strict; I mend that."
        text = job.files.get(job.test_path, "")
        if way == "edit" and text:
            eased = text.replace(f"assert {job.exercise.name}(", f"assert True or {job.exercise.name}(")
            return _says(says, _edit(job.test_path, text, eased))
        if way == "conftest":
            return _says(says, _call("write_file", path="conftest.py", text=_CONFTEST))
        return _says(says, _call("run_command", command=f"sed -i s/assert/0,/ {job.test_path}"))


# What it says


def _says(says: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"says": says, "calls": list(calls)}


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def _edit(path: str, before: str, after: str) -> dict[str, Any]:
    """An edit of as few lines as stand in the file once; the whole of a file where two sides are marked in it."""
    if "\n<<<<<<< " in f"\n{before}":
        return _call("write_file", path=path, text=after)
    old, new = changed_lines(before, after)
    return _call("edit_file", path=path, old=old, new=new)


def _again(job: _Job) -> dict[str, Any]:
    return _says("Once more.", *job.turns[-1][0])


def _done(job: _Job) -> dict[str, Any]:
    name = job.exercise.slice
    return _report("done", result=f"{name} is written.", summary=f"{name} is written, {job.exercise.test} passes.")


def _report(status: str, *, result: str = "", summary: str = "", notes: str = "") -> dict[str, Any]:
    empty: dict[str, Any] = {"findings": [], "decisions": [], "look_up": [], "proposed": [], "artifacts": []}
    arguments = {"status": status, "result": result, "summary": summary, "notes": notes, **empty}
    return _says("", _call("report", **arguments))


# What it sees


def _kind(calls: Iterable[Mapping[str, Any]]) -> str:
    """What a turn of its own was: a look, an edit, a test, or tampering with tests."""
    for call in calls:
        arguments = call["arguments"]
        path, command = arguments.get("path", ""), arguments.get("command", "")
        match call["name"]:
            case "read_file":
                return "look"
            case "run_command":
                return "test" if "pytest" in command else "tamper"
            case "edit_file" | "write_file":
                return "edit" if path.startswith("kit/") else "tamper"
    return ""


def _has(job: _Job, kind: str) -> bool:
    return any(_kind(calls) == kind for calls, _ in job.turns)


def _content(result: str) -> str:
    """The text of a file that `read_file` shows, with the number of each line before it."""
    lines = _LINE.findall(result)
    return "".join(lines).rstrip("\n") + "\n" if lines else ""
