"""How the stand-in for a model's mind plans, works and judges where a goal is worked.

By rules, from the text of the request alone. A goal with material is planned as a slice for each source, or for a
few of them, and one that joins what they come to; one without as two that prepare and one that makes it. A slice
hands back what it was given, said shorter, with lines of its material. The goal is reached once nothing of the
plan is left to do.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from typing import Any

_TASK = re.compile(r"<task>\n(.*?)\n</task>", re.DOTALL)
_PIECE = re.compile(r"<piece>\n(.*?)\n</piece>", re.DOTALL)
_NOTES = re.compile(r"<notes>\n(.*?)\n</notes>", re.DOTALL)
_RESULT = re.compile(r"<result of=\"([^\"]*)\"[^>]*>\n(.*?)\n</result>", re.DOTALL)
_PATH = re.compile(r"<source path=\"([^\"]*)\"")
_LISTED = re.compile(r"^- <source path=\"([^\"]*)\"/>$", re.MULTILINE)
_STANDING = re.compile(r"^- (.*?) \((\w+)\)(?::|$)", re.MULTILINE)
_ROOM = re.compile(r"You may add up to ([\d,]+) slices")
_ROUNDS_LEFT = re.compile(r"Rounds of planning left: (\d+)")
_MORE = re.compile(r"^Another [\d,]+ tokens of its material come after this", re.MULTILINE)
_SCHEMA = re.compile(r"^The result is one JSON value of this schema:\n(.*)$", re.MULTILINE)
_CHECKS = re.compile(r"^What programs found[^\n]*\n(?:<[^\n]*>\n)?((?:- .*\n?)+)", re.MULTILINE)

_PARTS = 8  # slices that read the material of a goal, at the most
_NOTED = 1_500  # characters of notes
_SHOWN = 200  # characters of a result that is told again
_OVER = frozenset({"done", "dropped", "cancelled", "superseded", "refused"})


def question(text: str) -> str:
    """What the material of a piece is searched for: the piece itself, or the goal where that is a part of it."""
    piece = found[1] if (found := _PIECE.search(text)) is not None else ""
    goal = " ".join(found[1].split()) if (found := _TASK.search(text)) is not None else ""
    return goal if goal and goal in piece else piece


# Planning


def plan(text: str) -> dict[str, Any]:
    """The first plan of a goal; one that is there already is left as it is, but for what failed."""
    room = int(found[1].replace(",", "")) if (found := _ROOM.search(text)) is not None else 3
    standings = _STANDING.findall(_after(text, "The plan so far:"))
    if standings:
        return _mended(standings, room)
    goal = " ".join(found[1].split()) if (found := _TASK.search(text)) is not None else ""
    paths = [html.unescape(path) for path in _LISTED.findall(text)]
    parts = _of_sources(goal, paths, room) if paths else _of_nothing(goal, room)
    joined = _order(f"Make of it: {goal}", "join", needs=[part["name"] for part in parts])
    reason = "One for each part, and one to join them."
    return {"orders": [*parts, joined][:room], "drop": [], "reason": reason}


def _mended(standings: Sequence[tuple[str, str]], room: int) -> dict[str, Any]:
    """What failed is asked for again, once."""
    names = {name for name, _ in standings}
    failed = [name for name, state in standings if state == "failed" and not name.endswith(" again")]
    again = [_order(f"Do again what {name} failed in.", f"{name} again") for name in failed]
    orders = [order for order in again if order["name"] not in names][:room]
    return {"orders": orders, "drop": [], "reason": "The plan holds." if not orders else "Some of it failed."}


def _of_sources(goal: str, paths: Sequence[str], room: int) -> list[dict[str, Any]]:
    many = max(1, min(len(paths), _PARTS, room - 1))
    orders = []
    for number in range(many):
        sources = list(paths[number::many])
        what = sources[0] if len(sources) == 1 else f"{sources[0]} and {len(sources) - 1} more"
        orders.append(_order(f"Find what {what} says on: {goal}", f"part {number + 1}", sources=sources))
    return orders


def _of_nothing(goal: str, room: int) -> list[dict[str, Any]]:
    orders = [
        _order(f"Say what has to hold when this is done: {goal}", "conditions"),
        _order(f"Draft it: {goal}", "draft"),
    ]
    return orders[: max(0, room - 1)]


def _order(objective: str, name: str, needs: Sequence[str] = (), sources: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "name": name, "objective": objective, "done_when": "There is a result.", "boundaries": "",
        "needs": list(needs), "sources": list(sources), "kind": "work", "priority": 0,
    }  # fmt: skip


# Working


def work(text: str, findings: list[dict[str, Any]]) -> dict[str, Any]:
    """What comes of one piece, whose material says `findings`. One with more material than is shown goes on with
    a colleague, as long as there is one."""
    given = [f"{html.unescape(name)}: {body[:_SHOWN]}" for name, body in _RESULT.findall(text)]
    paths = list(dict.fromkeys(html.unescape(path) for path in _PATH.findall(text)))
    notes = found[1] if (found := _NOTES.search(text)) is not None else ""
    said = [*filter(None, [notes]), *given, *(finding["claim"] for finding in findings)]
    goes_on = _MORE.search(text) is not None and "You are the last who can work at it" not in text
    result = "\n".join([f"From {', '.join(paths) or 'nothing but the piece itself'}.", *said])
    if (schema := _SCHEMA.search(text)) is not None:
        result = json.dumps(_value(json.loads(schema[1]), result))
    return {
        "status": "continue" if goes_on else "done",
        "result": "" if goes_on else result,
        "summary": " ".join(" ".join(said)[:_SHOWN].split()) or "Nothing bears on it.",
        "findings": findings, "decisions": [], "notes": "\n".join(said)[-_NOTED:] if goes_on else "",
        "look_up": paths[-1:] if goes_on else [], "proposed": [], "artifacts": [],
    }  # fmt: skip


def _value(schema: Any, text: str) -> Any:
    """Some value of a JSON schema: `text` where it is a text, and as little as may be everywhere else."""
    if not isinstance(schema, dict):
        return text
    choices = [schema[name][0] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)]
    if choices:
        return _value(choices[0], text)
    if "const" in schema or schema.get("enum"):
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties: dict[str, Any] = schema.get("properties", {})
        wanted: list[str] = schema.get("required", list(properties))
        return {name: _value(properties.get(name, {}), text) for name in wanted}
    if kind == "array":
        return [_value(schema.get("items", {}), text)] * schema.get("minItems", 0)
    least = schema.get("minimum", 0)
    return {"integer": least, "number": least, "boolean": True, "null": None}.get(kind, text)


# Judging


def assess(text: str) -> dict[str, Any]:
    """Done once nothing of the plan is left; what failed, or what a check says is wrong, is planned anew as long
    as that may be."""
    left = int(found[1]) if (found := _ROUNDS_LEFT.search(text)) is not None else 0
    standings = _STANDING.findall(_after(text, "The plan:"))
    checks = found[1].splitlines() if (found := _CHECKS.search(text)) is not None else []
    missing = [line.removeprefix("- ") for line in checks]
    names = {name for name, _ in standings}
    missing += [name for name, state in standings if state == "failed" and f"{name} again" not in names]
    open_ = [name for name, state in standings if state not in _OVER and state != "failed"]
    if open_:
        return _verdict("go_on", f"{open_[0]} is still to be done.", [])
    if not missing:
        return _verdict("done", "All that was planned is done.", [])
    return _verdict("replan" if left else "stop", "Something of it is missing.", missing if left else [])


def _verdict(verdict: str, reason: str, missing: list[str]) -> dict[str, Any]:
    return {"verdict": verdict, "reason": reason, "missing": missing}


def _after(text: str, heading: str) -> str:
    """The lines under a heading, up to the first that is no item of its list."""
    lines = text.partition(f"\n{heading}\n")[2].splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("- ")), len(lines))
    return "\n".join(lines[:end])
