"""What is asked for, from files: a specification, and a list of issues, as trackers export them and people write
them.

Pure but for reading the files. What becomes of an issue is not known here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarm.errors import UsageError

_TITLES = ("title", "name", "summary", "objective", "subject")
_BODIES = ("body", "description", "text", "details", "content")
_NUMBERS = ("number", "id", "key")
_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*$")
_ITEM = re.compile(r"(?:[-*+]|\d+[.)])\s+(?:\[([ xX])\]\s+)?(.+)$")
_FENCE = re.compile(r"\s*(```|~~~)")
_TITLE_CHARS = 200
_LISTED = 40  # titles that stand in a goal


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """One issue. `number` is what its list calls it, else its place in the list, from 1."""

    number: str
    title: str
    body: str = ""

    @property
    def text(self) -> str:
        return f"{self.number}: {self.title}\n\n{self.body}".strip()


def goal_of(goal: str, spec: Path | None = None, issues: Path | None = None) -> str:
    """What is to be done, in a few lines, since everyone is shown them; what is longer is looked up. Empty where
    nothing is asked for.

    Raises:
        UsageError: a file cannot be read, or asks for nothing.
    """
    parts = [goal.strip()] if goal.strip() else []
    if spec is not None:
        try:
            text = spec.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the specification {str(spec)!r} cannot be read: {error}") from None
        if not text.strip():
            raise UsageError(f"the specification {str(spec)!r} is empty: write down what is to be made")
        parts.append(f"Make what the specification {spec} asks for, all of it.")
    if issues is not None:
        listed = read_issues(issues)
        titles = [f"- {one.number}: {one.title}" for one in listed[:_LISTED]]
        rest = [f"- and {len(listed) - _LISTED} more"] if len(listed) > _LISTED else []
        parts.append("\n".join([f"Resolve the {len(listed)} issues of {issues}:", *titles, *rest]))
    return "\n\n".join(parts)


_Raw = tuple[str, str, str]


def read_issues(path: Path) -> tuple[Issue, ...]:
    """The issues of a file. Of Markdown, each heading of the level that has most of them begins one; without
    headings, each item of a list does. What is closed or ticked off is left out.

    Raises:
        UsageError: it cannot be read, or holds no open issue.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the issues {str(path)!r} cannot be read: {error}") from None
    try:
        made = _from_json(text, path)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the issues {str(path)!r} cannot be read as JSON: {error}") from None
    found = made if made is not None else list(_from_markdown(text))
    numbers = Counter(number for number, _, _ in found)
    issues = tuple(
        Issue(number=number if number and numbers[number] == 1 else str(place), title=title, body=body)
        for place, (number, title, body) in enumerate(found, 1)
    )
    if not issues:
        raise UsageError(f"the issues {str(path)!r} hold no open issue: a heading or a list item begins one")
    return issues


def _from_json(text: str, path: Path) -> list[_Raw] | None:
    """The issues of JSON, or of JSON lines; None where it is neither."""
    rows: Any
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    elif path.suffix.lower() == ".json":
        rows = json.loads(text) if text.strip() else []
    else:
        return None
    if isinstance(rows, dict):
        rows = next((value for value in rows.values() if isinstance(value, list)), [rows])
    if not isinstance(rows, list):
        raise ValueError("it is no list")
    return [_of_row(row, place) for place, row in enumerate(rows, 1) if not _is_closed(row)]


def _is_closed(row: Any) -> bool:
    return isinstance(row, dict) and str(row.get("state", row.get("status", ""))).casefold() in ("closed", "done")


def _of_row(row: Any, place: int) -> _Raw:
    if isinstance(row, str) and row.strip():
        title, _, body = row.strip().partition("\n")
        return "", title[:_TITLE_CHARS], body.strip()
    if not isinstance(row, dict):
        raise ValueError(f"item {place} is neither an object nor a text")
    title, body, number = (_first(row, names) for names in (_TITLES, _BODIES, _NUMBERS))
    if not (title or body):
        raise ValueError(f"item {place} has no title: give it one of {', '.join(_TITLES)}")
    first = " ".join((title or body.strip().partition("\n")[0]).split())
    return number, first[:_TITLE_CHARS], body.strip()


def _first(row: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(row[name]) for name in names if row.get(name)), "")


def _from_markdown(text: str) -> Iterator[_Raw]:
    lines = list(_marked(text))
    levels = Counter(len(found[1]) for line, fenced in lines if not fenced and (found := _HEADING.match(line)))
    if levels:
        most = max(levels.values())
        level = min(one for one, count in levels.items() if count == most)
        return _parts(lines, lambda line: _of_heading(line, level))
    return _parts(lines, _of_item)


def _marked(text: str) -> Iterator[tuple[str, bool]]:
    """The lines, each with whether it stands in a block of code."""
    fenced = False
    for line in text.splitlines():
        fence = _FENCE.match(line) is not None
        yield line, fenced or fence
        fenced ^= fence


def _of_heading(line: str, level: int) -> str | None:
    """The title where an issue begins; empty where something above all issues does."""
    found = _HEADING.match(line)
    if found is None or len(found[1]) > level:
        return None
    return found[2] if len(found[1]) == level else ""


def _of_item(line: str) -> str | None:
    found = _ITEM.match(line)
    if found is None:
        return None
    return "" if found[1] in ("x", "X") else found[2]


def _parts(lines: list[tuple[str, bool]], begins: Callable[[str], str | None]) -> Iterator[_Raw]:
    title, body = "", list[str]()
    for line, fenced in lines:
        begun = None if fenced else begins(line)
        if begun is None:
            body.append(line)
            continue
        if title:
            yield "", title[:_TITLE_CHARS], "\n".join(body).strip()
        title, body = begun, []
    if title:
        yield "", title[:_TITLE_CHARS], "\n".join(body).strip()
