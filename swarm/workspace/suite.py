"""A test suite as a ratchet: no test that passed on the branch may fail in what lands.

A code base whose tests do not all pass yet has no command that tells good work from bad: the whole suite fails
either way. Here it is run on what would land and on what that would land upon, and compared test by test. How
tests are run is a command that writes a report as JUnit does (`pytest --junitxml`). What is tested runs in the
process that writes the report, so code that sets out to forge one can: protect the files that tests are made of,
and look at what lands. This module knows no git but one command, and no worktree but by `Checkout`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from swarm.equipment import Bounds, Ran, ToolFailed
from swarm.orders import Order
from swarm.program import Checkout, Place, Ruling

PYTEST = (
    "python -m pytest -q -p no:cacheprovider --continue-on-collection-errors -o junit_family=xunit1 "
    "--junitxml={report}"
)
"""Runs all tests of a Python project. `{report}` is where the report is to be written."""
_MOST_BYTES = 32 << 20  # of a report
_TOLD, _WHY = 8, 600  # tests that are told at once, and characters of why each fails
_REMEMBERED = 64  # commits whose results are kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """What came of a run of all tests. `failed` says why, by the name of the test. Those that were skipped are in
    neither. `trouble` says why there are none at all."""

    passed: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """The tests of a project, run by a command. `bounds` are those of the workspace where they are None."""

    command: str = PYTEST
    bounds: Bounds | None = None

    async def run(self, place: Place) -> Results:
        """Run them on what stands in a place."""
        report = f".swarm-report-{secrets.token_hex(8)}.xml"
        return await self._results(place, self.command.format(report=report), report)

    async def run_at(self, place: Place, commit: str) -> Results:
        """Run them on a commit, in a copy inside of the place that is gone afterwards."""
        copy = f".swarm-at-{secrets.token_hex(8)}"
        report = f"{copy}.xml"
        unpack = f"mkdir {copy} && git archive {shlex.quote(commit)} | tar -x -C {copy} && cd {copy}"
        script = f"{unpack} && {self.command.format(report=f'../{report}')}"
        try:
            return await self._results(place, f"sh -c {shlex.quote(script)}", report)
        finally:
            with suppress(ToolFailed):
                await place.run(f"rm -rf {copy}")

    async def _results(self, place: Place, command: str, report: str) -> Results:
        path = place.path / report
        try:
            ran = await place.run(command, self.bounds)
            content = await asyncio.to_thread(_read, path)
            return results_in(content) if content else Results(trouble=_trouble(ran))
        except ToolFailed as error:
            return Results(trouble=str(error))
        except ValueError as error:
            return Results(trouble=f"the report of the tests cannot be read: {error}")
        finally:
            path.unlink(missing_ok=True)


class Ratchet:
    """A trial (`swarm.program.Trial`): work lands when every test that passed on the branch passes with it, and
    those that the order is about do. `wanted` names the latter, as pytest does."""

    speculates = True
    """It only looks, and what it keeps it keeps by commit: so what is upon work that is still being tried, or that
    never lands, may be tried side by side."""

    def __init__(self, suite: Suite, wanted: Callable[[Order], Iterable[str]] = lambda _: ()) -> None:
        self._suite, self._wanted = suite, wanted
        self._known: dict[str, Results] = {}
        self._running: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, checkout: Checkout, order: Order) -> Ruling:
        """Run the tests on what would land, and hold them to what passed before."""
        async with self._one(checkout.commit):
            after = await self._suite.run(checkout)
            if after.trouble:
                return Ruling(lands=False, wrong=f"the tests do not run: {after.trouble}")
            self._keep(checkout.commit, after)
        before = await self._before(checkout)
        broken = sorted(before.passed - after.passed)
        missing = [test for test in self._wanted(order) if test not in after.passed and test not in broken]
        told = [
            *_told("These tests passed before and do not pass with your work", broken, after),
            *_told("Your work is to make these tests pass, and they do not yet", missing, after),
        ]
        return Ruling(lands=not told, wrong="\n".join(told) or None)

    async def _before(self, checkout: Checkout) -> Results:
        """The results of what it would land upon: as they were when that was tried, which may be under way, else
        run now, once."""
        async with self._one(checkout.base):
            known = self._known.get(checkout.base)
            if known is None:
                known = await self._suite.run_at(checkout, checkout.base)
                if known.trouble:  # for once perhaps, and then everything would count as failed before
                    known = await self._suite.run_at(checkout, checkout.base)
                self._keep(checkout.base, known)
            return known

    def _one(self, commit: str) -> asyncio.Lock:
        """Held by whoever runs the tests of a commit: others wait for what comes of it."""
        return self._running.setdefault(commit, asyncio.Lock())

    def _keep(self, commit: str, results: Results) -> None:
        self._known[commit] = results
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]


def results_in(content: bytes) -> Results:
    """The results in a JUnit report, by the names that pytest gives tests.

    Raises:
        ValueError: it is none.
    """
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from None
    passed: set[str] = set()
    failed: dict[str, str] = {}
    for case in root.iter("testcase"):
        wrong = [child for child in case if child.tag in ("failure", "error")]
        name = _name(case.get("file") or "", case.get("classname") or "", case.get("name") or "")
        if wrong:
            said = "\n".join(f"{child.get('message') or ''}\n{child.text or ''}" for child in wrong)
            failed[name] = said.strip()
        elif not any(child.tag == "skipped" for child in case):
            passed.add(name)
    return Results(passed=frozenset(passed - failed.keys()), failed=failed)


def _name(file: str, classname: str, name: str) -> str:
    """`tests/test_x.py::TestIt::test_y`, from the parts that a report has."""
    if not file:
        return f"{classname}::{name}" if classname else name
    module = file.removesuffix(".py").replace("\\", "/").replace("/", ".")
    within = classname.removeprefix(module).strip(".").split(".") if classname.startswith(module) else []
    return "::".join([file.replace("\\", "/"), *filter(None, within), name])


def _told(heading: str, tests: Sequence[str], results: Results) -> list[str]:
    if not tests:
        return []
    lines = [f"{heading}:"]
    for test in tests[:_TOLD]:
        why = _short(results.failed.get(test, "it was not run"))
        lines += [f"- {test}", *(f"    {line}" for line in why.splitlines())]
    return [*lines, *([f"- and {len(tests) - _TOLD} more"] if len(tests) > _TOLD else [])]


def _short(why: str) -> str:
    """What is wrong, which is said first, and where, which is said last."""
    return why if len(why) <= _WHY else f"{why[: _WHY // 2]}\n[…]\n{why[-_WHY // 2 :]}"


def _trouble(ran: Ran) -> str:
    how = ran.ended or f"exit {ran.exit}, and no report was written"
    return f"{how}\n{ran.output[-2_000:]}".strip()


def _read(path: Path) -> bytes:
    """A report that a confined command wrote: a file of its own, and no link to another."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it is longer than {_MOST_BYTES:,} bytes")
    return content
