"""The constants of a Python file that may be turned: where each stands in the text, what it holds, how far it
goes.

A knob is a number, a truth value, or a text with a list to choose from, that a module assigns to one name. A
comment beside it may say more: `# range: 0.001..1` or `# one of: sgd, adam`. Names that begin with `_` or hold
`seed` are left alone: who turns a seed measures luck. A knob is turned in the text itself, so that everything
else stays as it is.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "int", "choice"]

_RANGE = re.compile(r"#.*?\brange:\s*(-?[\d._]+(?:[eE][+-]?\d+)?)\s*\.\.\s*(-?[\d._]+(?:[eE][+-]?\d+)?)")
_ONE_OF = re.compile(r"#.*?\bone of:\s*(.+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Knob:
    """One constant. `source` is how it is written, from `start` to `end` in characters of the text."""

    name: str
    kind: Kind
    source: str
    start: int
    end: int
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    """Of a choice: all that it may be, as it would be written."""

    @property
    def value(self) -> float:
        return float(self.source.replace("_", ""))

    def within(self, value: float) -> float:
        value = value if self.low is None else max(self.low, value)
        return value if self.high is None else min(self.high, value)


def knobs(text: str) -> tuple[Knob, ...]:
    """The knobs of a Python file, in the order of the text. None where it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ()
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: dict[str, Knob] = {}
    for name, node in _assigned(tree):
        if node.lineno != node.end_lineno or node.end_col_offset is None:
            continue
        coded = lines[node.lineno - 1].encode()  # its columns are counted in bytes
        start = starts[node.lineno - 1] + len(coded[: node.col_offset].decode())
        end = starts[node.lineno - 1] + len(coded[: node.end_col_offset].decode())
        knob = _knob(name, node, text[start:end], start, end, coded[node.end_col_offset :].decode())
        if knob is not None:
            found[name] = knob  # the last assignment is the one that holds
    return tuple(found.values())


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and not target.id.startswith("_") and "seed" not in target.id.lower():
            yield target.id, value


def _knob(name: str, node: ast.expr, source: str, start: int, end: int, beside: str) -> Knob | None:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    if not isinstance(inner, ast.Constant):
        return None
    value, signed = inner.value, inner is not node
    listed = _ONE_OF.search(beside)
    if listed is not None:
        words = [word.strip() for word in listed[1].split(",") if word.strip()]
        quote = source[0] if isinstance(value, str) else ""
        choices = tuple(word if not quote or word[0] in "'\"" else f"{quote}{word}{quote}" for word in words)
    elif isinstance(value, bool) and not signed:
        choices = ("False", "True")
    elif isinstance(value, (int, float)) and re.fullmatch(r"-?[\d_]*\.?[\d_]*([eE][+-]?\d+)?", source):
        bounds = _RANGE.search(beside)
        low, high = (float(bounds[1]), float(bounds[2])) if bounds is not None else (None, None)
        kind: Kind = "int" if isinstance(value, int) else "float"
        return Knob(name=name, kind=kind, source=source, start=start, end=end, low=low, high=high)
    else:
        return None
    return Knob(name=name, kind="choice", source=source, start=start, end=end, choices=choices)


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One knob that was turned, as it was and is written."""

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.name} {self.old} → {self.new}"


_MOVE = re.compile(r"(\w+) (\S+) → ([^\s,]+)")


def told(moves: Sequence[Move]) -> str:
    """Moves as the description of an experiment."""
    return ", ".join(map(str, moves))


def moves_in(description: str) -> tuple[Move, ...]:
    """The moves that a description tells, and nothing where it tells something else."""
    found = tuple(Move(name=name, old=old, new=new) for name, old, new in _MOVE.findall(description))
    return found if told(found) == description else ()


def turned(text: str, values: Mapping[str, str]) -> str:
    """The text with knobs at other values, as they are to be written."""
    for knob in sorted(knobs(text), key=lambda one: -one.start):
        if knob.name in values:
            text = f"{text[: knob.start]}{values[knob.name]}{text[knob.end :]}"
    return text


def blank(text: str) -> str:
    """The text with every knob at the same short value: what is left is what there is to understand."""
    return turned(text, {knob.name: "0" for knob in knobs(text)})


def moves_between(before: str, after: str) -> tuple[Move, ...]:
    """The moves that lead from one text to another; nothing where more than knobs differs."""
    was = {knob.name: knob.source for knob in knobs(before)}
    now = {knob.name: knob.source for knob in knobs(after)}
    moves = tuple(
        Move(name=name, old=was[name], new=now[name]) for name in was if now.get(name, was[name]) != was[name]
    )
    return moves if moves and turned(before, now) == after else ()


def digest_of(text: str) -> str:
    """A name for a file as it was tried."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
