"""Who works on the code base of `swarm.testing.codebase` where the recipe `codebase` does, SIMULATED: planners
that look at what has landed, the coder that errs, reviewers, and a judge that runs the tests.

All of them go by what they are shown, and keep nothing.
"""

from __future__ import annotations

import re
from typing import Any

from swarm.testing.codebase import CHECK
from swarm.testing.coder import Coder, Sight

_MODULE = re.compile(r"kit/(\w+)\.py")
_MISSING = re.compile(
    r"^(?:\d+\t)?def (\w+)\((?:(?!^(?:\d+\t)?def ).)*?raise NotImplementedError", re.DOTALL | re.MULTILINE
)
_FAILED = re.compile(r"FAILED tests/test_(\w+)\.py::test_(\w+)")
_STANDING = re.compile(r"^- (.*?) \((\w+)\)(?::|$)", re.MULTILINE)
_ROOM = re.compile(r"You may add up to ([\d,]+) slices")
_PART = re.compile(r"Write all that is missing in (kit/[\w/., ]+)")
_COMMIT = re.compile(r"git show (\w+)")
_APART = 3  # modules of a part that has a planner of its own


class Staff:
    """As `Provider(hands=…)` takes one. `parts`: the root's planner hands parts to planners of their own."""

    def __init__(self, coder: Coder, *, parts: bool = False) -> None:
        self._coder, self._parts = coder, parts

    def __call__(self, seen: Sight) -> dict[str, Any]:
        text = seen.text
        if "You plan the work on a code base" in text:
            return self._plans(seen)
        if "you have a checkout of what has landed" in text:
            return _judges(seen)
        if "You review what a colleague left" in text:
            return _reviews(seen)
        return self._coder(seen)

    def _plans(self, seen: Sight) -> dict[str, Any]:
        if not seen.turns:
            return _does(("list_files", {"path": "kit"}), ("search_graph", {"question": "what is known"}))
        if len(seen.turns) == 1 and not seen.force:
            paths = [path for path in _files(seen.turns[0][1][0]) if self._is_ours(seen.text, path)]
            if self._parts and not _PART.search(seen.text):
                return _report(orders=_parts(paths), drop=[], reason="Each part has a planner.")
            return _does(*(("read_file", {"path": path}) for path in paths))
        room = int(found[1].replace(",", "")) if (found := _ROOM.search(seen.text)) is not None else 1
        return _report(orders=list(_orders(seen))[:room], drop=[], reason="What is missing, by function.")

    def _is_ours(self, text: str, path: str) -> bool:
        part = _PART.search(text)
        return part is None or path in part[1]


def _files(listing: str) -> list[str]:
    found = dict.fromkeys(_MODULE.findall(listing)) or dict.fromkeys(
        re.findall(r"^(\w+)\.py", listing, re.MULTILINE)
    )
    return [f"kit/{name}.py" for name in found if name not in ("__init__", "shared", "catalogue")]


def _parts(paths: list[str]) -> list[dict[str, Any]]:
    several = [paths[first : first + _APART] for first in range(0, len(paths), _APART)]
    return [
        _order(f"part {number}", f"Write all that is missing in {', '.join(some)}", kind="plan")
        for number, some in enumerate(several, start=1)
    ]


def _orders(seen: Sight) -> list[dict[str, Any]]:
    """One for each function that is not written, or that a judge says does not pass, where none is open."""
    standings = dict(_STANDING.findall(seen.text))
    told = _FAILED.findall(seen.text)
    missing = list(told)
    for call, result in zip(*seen.turns[-1], strict=True) if seen.turns else ():
        if call["name"] == "read_file" and (module := _MODULE.search(call["arguments"]["path"])) is not None:
            missing += [(module[1], name) for name in _MISSING.findall(result)]
    orders = []
    for module, name in dict.fromkeys(missing):
        known = [one for one in standings if _is_of(one, f"{module}.{name}")]
        if any(standings[one] not in ("done", "failed", "dropped") for one in known):
            continue
        if known and (module, name) not in told:
            continue
        again = f" again {len(known)}" if known else ""
        why = "Its test fails, whatever is said of it" if known else "Make its test pass"
        orders.append(_order(f"{module}.{name}{again}", f"{why}{again}: write {name} in kit/{module}.py."))
    return orders


def _is_of(standing: str, name: str) -> bool:
    last = standing.rpartition("/")[2]
    return last == name or last.startswith(f"{name} again")


def _judges(seen: Sight) -> dict[str, Any]:
    if not seen.turns:
        return _does(("run_command", {"command": CHECK}))
    part = _PART.search(seen.text)
    said = seen.turns[-1][1][-1]
    failed = [
        f"FAILED tests/test_{module}.py::test_{name}"
        for module, name in dict.fromkeys(_FAILED.findall(said))
        if part is None or f"kit/{module}.py" in part[1]
    ]
    if not failed:
        return _report(verdict="done", reason="The tests pass.", missing=[])
    return _report(verdict="replan", reason="Tests fail.", missing=failed)


def _reviews(seen: Sight) -> dict[str, Any]:
    found = _COMMIT.search(seen.text)
    if not seen.turns and found is not None:
        return _does(("run_command", {"command": f"git show --stat {found[1]}"}))
    said = seen.turns[-1][1][-1] if seen.turns else "no commit"
    return _report(
        status="done", result=f"It changes {said.strip().splitlines()[-1]}", summary="Looked at it.", notes="",
        findings=[], decisions=[], look_up=[], proposed=[], artifacts=[],
    )  # fmt: skip


def _order(name: str, objective: str, kind: str = "work") -> dict[str, Any]:
    return {
        "name": name, "objective": objective, "done_when": "Its test passes.", "boundaries": "", "needs": [],
        "sources": [], "kind": kind, "priority": 0,
    }  # fmt: skip


def _does(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"says": "", "calls": [{"name": name, "arguments": given} for name, given in calls]}


def _report(**arguments: Any) -> dict[str, Any]:
    return _does(("report", arguments))
