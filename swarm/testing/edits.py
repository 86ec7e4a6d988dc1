"""Changes of the texts of a code base, as a simulated coder makes them: pure functions from a text to a text.

It knows Python files of one shape only: a docstring, imports, functions with two empty lines between them.
"""

from __future__ import annotations

import re

_CONFLICT = re.compile(
    r"^<<<<<<< [^\n]*\n(.*?)(?:^\|\|\|\|\|\|\| [^\n]*\n.*?)?^=======\n(.*?)^>>>>>>> [^\n]*\n?",
    re.DOTALL | re.MULTILINE,
)
_LISTING = re.compile(r'\s*(?:import [\w.]+|from [\w.]+ import [\w, ]+|"\w+",|)\s*')


def written(text: str, name: str, source: str) -> str:
    """The module with that function as `source` has it, in its place or at the end."""
    function = re.compile(rf"^def {name}\(.*?(?=^(?:def |class |@|[A-Z_]+ =)|\Z)", re.DOTALL | re.MULTILINE)
    found = list(function.finditer(text))
    if not found:
        return f"{text.rstrip()}\n\n\n{source}"
    first = found[0]
    rest = function.sub("", text[first.end() :])  # written twice, where two sides of a conflict were kept
    return text[: first.start()] + source + (f"\n\n{rest}" if rest.strip() else "")


def imported(text: str, line: str) -> str:
    """The module with that import, after the imports that are there."""
    if not line or line in text.splitlines():
        return text
    lines = text.splitlines()
    at = 2
    while at < len(lines) and lines[at].startswith("import "):
        at += 1
    lines[1:1] = [] if len(lines) > 1 and not lines[1] else [""]
    follows = [""] if at == 2 or lines[at : at + 1] != [""] else []
    return "\n".join([*lines[:at], line, *follows, *lines[at:]]) + "\n"


def listed(text: str, module: str, name: str) -> str:
    """The catalogue with that name at the end of its module's list."""
    head, begins, rest = text.partition(f'    "{module}": [\n')
    entries, ends, tail = rest.partition("    ],\n")
    entry = f'        "{name}",\n'
    return text if entry in entries or not begins else f"{head}{begins}{entries}{entry}{ends}{tail}"


def unmarked(text: str) -> str:
    """A text without the marks of a conflict: of lists and imports both sides, each line once, of all else the
    side that has landed, which git puts first."""
    return _CONFLICT.sub(_settled, text)


def _settled(conflict: re.Match[str]) -> str:
    landed, mine = conflict[1].splitlines(keepends=True), conflict[2].splitlines(keepends=True)
    if not all(_LISTING.fullmatch(line) for line in [*landed, *mine]):
        return conflict[1]
    return "".join([*landed, *(line for line in mine if line not in landed)])


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """What stands where they differ, in both, with as many lines around it as make it stand in `before` once."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    first = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    same = next(
        (at for at, (a, b) in enumerate(zip(old[:first:-1], new[:first:-1], strict=False)) if a != b),
        min(len(old), len(new)) - first - 1,
    )
    same = max(0, same)
    while True:
        block = "".join(old[first : len(old) - same])
        if (block and before.find(block) == before.rfind(block)) or (first == 0 and same == 0):
            return block, "".join(new[first : len(new) - same])
        first, same = max(0, first - 1), max(0, same - 1)
