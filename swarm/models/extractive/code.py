"""What source code offers to quote: its comments and docstrings as prose, and each line of code alone.

The marks of a comment are blanked, one blank for each character, so that offsets stay what they are and wrapped
comments read as sentences. It knows how comments look, and no language's grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from swarm.models.extractive.records import Unit
from swarm.models.extractive.sentences import split

_COMMENT = re.compile(
    r"""[ \t]*(?:
        \#+(?!(?:include|define|undef|if|ifdef|ifndef|elif|endif|else|pragma|import|error)\b)
      | //[/!]* | /\*+!? | \*+/ | \*(?=\s) | --+(?=\s) | ;+(?=\s) | %+(?=\s) | <!--
    )""",
    re.VERBOSE,
)
_CLOSES = re.compile(r"\*+/[ \t]*$|-->[ \t]*$")
_FENCE = re.compile(r"[rRbBuUfF]{0,2}(\"\"\"|''')")
_CODE = re.compile(r"[=(){}\[\];]|^\s*(?:import|from|return|def|class|else|try|pass|raise|end|if|for|while)\b")


def code_units(text: str) -> list[Unit]:
    """The quotable units of source code, in order."""
    found: list[Unit] = []
    for start, masked, is_prose in _blocks(text):
        for begin, end in split(masked, lines=not is_prose):
            readable = " ".join(masked[begin:end].split())
            if readable:
                found.append(Unit(start=start + begin, end=start + end, text=readable))
    return found


def _blocks(text: str) -> Iterator[tuple[int, str, bool]]:
    """Runs of lines that are all prose or all code: their place, their text with marks blanked, and which."""
    start = at = 0
    lines: list[str] = []
    was_prose = False
    inside = _begins_inside(text)
    for line in text.splitlines(keepends=True):
        masked, is_prose, inside = _classified(line, inside)
        if lines and is_prose != was_prose:
            yield start, "".join(lines), was_prose
            lines, start = [], at
        lines.append(masked)
        was_prose = is_prose
        at += len(line)
    if lines:
        yield start, "".join(lines), was_prose


def _classified(line: str, inside: bool) -> tuple[str, bool, bool]:
    """A line with its marks blanked, whether it is prose, and whether a docstring goes on after it."""
    fences = _FENCE.findall(line)
    if inside or fences:
        after = inside ^ (len(fences) % 2 == 1)
        # a string that is assigned or passed on is code, though it may be long
        prose = inside or not line[: line.index(fences[0])].strip(" \trRbBuUfF")
        return _FENCE.sub(lambda match: " " * len(match.group()), line) if prose else line, prose, after
    if match := _COMMENT.match(line):
        body = " " * match.end() + line[match.end() :]
        return _CLOSES.sub(lambda closing: " " * len(closing.group()), body), True, False
    return line, False, False


def _begins_inside(text: str) -> bool:
    """Whether a text begins in the middle of a docstring: its fences do not pair up, and it begins like prose."""
    if len(_FENCE.findall(text)) % 2 == 0:
        return False
    first = text.lstrip().split("\n", 1)[0]
    before = text[: _FENCE.search(text).start()]  # type: ignore[union-attr]
    return bool(before.strip()) and not _CODE.search(first)
