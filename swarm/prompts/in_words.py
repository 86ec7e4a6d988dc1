"""A step of a sub-agent that has tools, told in words: for models that cannot be given tools in another way.

The tools stand in the system text, each turn is a part of the user's message, and the reply is the JSON of an
`ActReply`. This module knows no model.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from string import Template

from swarm.prompts.acting import ToolSpec, Turn
from swarm.prompts.render import Rendered, fenced

_MARK = re.compile(r"<(?=/\s*(?:tool|call)\b|(?:tool|call)\s+name=)", re.I)


def in_words(rendered: Rendered) -> Rendered:
    """The same request without tools and turns. One that has no tools stays as it is."""
    if not rendered.tools:
        return rendered
    parts = [*rendered.parts, *(turn_in_words(turn) for turn in rendered.turns), rendered.last]
    return Rendered(
        system=f"{rendered.system}\n\n{tools_in_words(rendered.tools)}",
        parts=tuple(part for part in parts if part),
    )


def tools_in_words(tools: Iterable[ToolSpec]) -> str:
    told = "\n\n".join(
        f"<tool name={_quoted(tool.name)}>\n{_marked(tool.description)}\nParameters: "
        f"{_marked(json.dumps(tool.parameters, ensure_ascii=False, separators=(',', ':')))}\n</tool>"
        for tool in tools
    )
    return Template(_words()).substitute(tools=told)


def turn_in_words(turn: Turn) -> str:
    """What was said and done, and between marks that nothing in it can close what came of it."""
    lines = ["You said and did:"]
    if turn.says.strip():
        lines.append(_marked(turn.says))
    lines += [f"<call name={_quoted(call.name)}>{_marked(call.arguments)}</call>" for call in turn.calls]
    if not turn.calls:
        return "\n".join([*lines, "", "You were told:", *(_marked(result.text) for result in turn.results)])
    lines += ["", "What came of it:"]
    for call, result in zip(turn.calls, turn.results, strict=True):
        failed = " failed=yes" if result.failed else ""
        lines.append(f"<result of={_quoted(call.name)}{failed}>\n{_marked(result.text)}\n</result>")
    return "\n".join(lines)


def _marked(text: str) -> str:
    """`text` between marks: it can close none, those of tools and calls included, which stand only here."""
    return _MARK.sub("&lt;", fenced(text))


def _quoted(text: str) -> str:
    return f'"{html.escape(text)}"'


@cache
def _words() -> str:
    return files("swarm.prompts").joinpath("tools.md").read_text(encoding="utf-8").strip()
