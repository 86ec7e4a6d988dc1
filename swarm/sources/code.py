"""Source code of any language as units: functions, methods and types, with the comments that lead into them.

One light reading for all languages, by the words that open definitions and by indentation: a definition ends
where something begins that is not indented deeper than it. It parses nothing, so that broken code is read as
well as code that compiles. This module knows text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from swarm.sources.units import LINES, LONGEST_UNIT, RECORDS, SECTION, Unit, lines

_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([^)]*\))?|unsafe"
    r"|extern|inline|virtual|override|sealed|partial|open|data|const|constexpr|suspend|declare|local|readonly)\s+)*"
)
_STATEMENTS = (
    r"(?:if|for|while|switch|catch|return|else|elif|do|new|throw|delete|case|goto|using|with|await|yield|not|raise"
    r"|assert|import|from|print|except|del|puts|echo|require|include|typedef|defer|go|select|match|in|is|and|or)"
)
_DEFINITION = re.compile(
    rf"""(?P<indent>[ \t]*){_MODIFIERS}(?:
        (?P<type>class|struct|interface|trait|enum|impl|module|namespace|object|record|protocol|extension|union
            |contract|defmodule)\b\s*(?:<[^>]*>\s*)?(?P<type_name>[A-Za-z_][\w.:]*)
      | type\s+(?P<go_name>\w+)\s+(?:struct|interface)\b
      | (?:def|defp|defn|fn|func|function|fun|sub|proc|procedure|macro_rules!|method)\b\s*\*?\s*
            (?:\([^)]*\)\s*)?(?P<name>[A-Za-z_$][\w.$:?!]*)
      | (?:const|let|var)?\s*(?P<arrow>[A-Za-z_$][\w.$]*)\s*[:=]\s*
            (?:async\s*)?(?:function\b|(?:\([^()]*\)|\w+)\s*=>)
      | (?i:create)\s+(?:(?i:or\s+replace|unique|temporary|materialized)\s+)*
            (?i:table|view|function|procedure|index|trigger|type)\s+(?i:if\s+not\s+exists\s+)?(?P<sql>[\w."]+)
      | (?!{_STATEMENTS}\b)(?:[A-Za-z_<][\w:<>\[\],.?~]*[ \t*&]+)+?(?P<c_name>[A-Za-z_~][\w:~]*)
            \s*\([^;={{}}]*(?:\)[\w\s:,<>.]*\{{?|,)?\s*$
    )""",
    re.VERBOSE,
)
_LEAD = re.compile(r"[ \t]*(?:@|#(?!include|define|if|endif|pragma)|//|/\*|\*|--|;;|%%?|'''|template\s*<|\[[A-Z])")
_CLOSES = re.compile(
    r"[ \t]*(?:[)\]}]|end\b|\{|(?:public|private|protected)\s*:|#(?:if|else|endif)\b|then\b|begin\b)", re.I
)
_DEEPEST = 8  # columns: what is defined deeper is part of what it is defined in
_LONGEST_DEFINITION = 400  # characters of a line that may open a definition


class _Code:
    def __init__(self) -> None:
        self.ready: list[Unit] = []
        self.held: list[str] = []
        self.size = 0
        self.lead: int | None = None  # where among the held lines a run of comments and decorators begins
        self.decorated = False
        self.cut = LINES
        self.title = ""
        self.stack: list[tuple[int, str, bool]] = []  # where one is: indentation, name, whether it is a type
        self.blank = False

    def context(self) -> str:
        names = self.stack[:-1] if self.title else self.stack
        return " > ".join(name for _, name, _ in names)

    def may_define(self, indent: int) -> bool:
        """Whether a definition here is a unit: at the margin or within a type, but not within a function."""
        return next((is_type for at, _, is_type in reversed(self.stack) if at < indent), True)

    def end(self, keep: int | None = None) -> None:
        """What is held is a unit, but for the lines from `keep` on."""
        ready, kept = (self.held, []) if keep is None else (self.held[:keep], self.held[keep:])
        if ready:
            self.ready.append(Unit("".join(ready), self.cut, self.context(), "lines", self.title))
        self.held, self.size = kept, sum(map(len, kept))
        self.cut, self.title, self.lead, self.decorated = LINES, "", None, False

    def hold(self, line: str) -> None:
        self.held.append(line)
        self.size += len(line)
        if self.size >= LONGEST_UNIT:
            cut_again = self.title
            self.end()
            self.title = cut_again


def code(chunks: Iterable[str]) -> Iterator[Unit]:
    """Units of source code."""
    reading = _Code()
    begins = True
    for line in lines(chunks):
        if not begins or len(line) > LONGEST_UNIT:
            reading.hold(line)
        elif line.isspace():
            reading.hold(line)
            reading.blank, reading.lead, reading.decorated = True, None, False
        else:
            _line(reading, line)
            reading.blank = False
        begins = line.endswith(("\n", "\r"))
        if reading.ready:
            yield from reading.ready
            reading.ready.clear()
    reading.end()
    yield from reading.ready


def _line(reading: _Code, line: str) -> None:
    indent = len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))
    match = _DEFINITION.match(line) if indent <= _DEEPEST and len(line) <= _LONGEST_DEFINITION else None
    # without a keyword of its own, what is not at the margin is a definition only where a body opens
    if match and (not match["c_name"] or not indent or line.rstrip().endswith("{")) and reading.may_define(indent):
        _definition(reading, line, indent, match)
        return
    if _LEAD.match(line):
        if reading.lead is None:
            reading.lead = len(reading.held)
        reading.decorated = reading.decorated or line.lstrip().startswith("@")
    elif not reading.decorated:
        inside = bool(reading.stack) and indent > reading.stack[-1][0]
        if not inside and not _CLOSES.match(line) and (reading.stack or reading.blank):
            reading.end(keep=reading.lead)
            while reading.stack and reading.stack[-1][0] >= indent:
                reading.stack.pop()
        reading.lead = None
    reading.hold(line)


def _definition(reading: _Code, line: str, indent: int, match: re.Match[str]) -> None:
    is_type = match["type_name"] or match["go_name"]
    reading.end(keep=reading.lead)
    while reading.stack and reading.stack[-1][0] >= indent:
        reading.stack.pop()
    reading.cut = SECTION if is_type and not indent else RECORDS
    reading.title = (
        (is_type or "").rstrip(":.") or match["name"] or match["arrow"] or match["sql"] or match["c_name"]
    )
    reading.stack.append((indent, reading.title, bool(is_type)))
    reading.hold(line)
