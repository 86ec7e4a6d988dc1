"""From a typed prompt to the text that a language model gets: stable parts first, the slice last.

The words stand in the `.md` files beside this module, one for each kind of prompt. `system.md` opens those of
reading and `system_work.md` those of work; in the others the parts are divided by lines of three dashes: the first
belongs to the system text, the last is the most volatile. In a part, `$name` is filled in, a line that begins with
`?name ` stays only where that value is given, and one with `!name ` only where it is not. This module knows no
model and counts no tokens.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import Any, NamedTuple

from swarm.prompts.acting import ActPrompt, ToolSpec, Turn
from swarm.prompts.typed import (
    AnswerPrompt,
    AssessPrompt,
    ComparePrompt,
    ConsolidatePrompt,
    JudgePrompt,
    Outcome,
    OutlinePrompt,
    PlanPrompt,
    Prompt,
    ReadPrompt,
    Shown,
    Standing,
    ViewPrompt,
    WorkPrompt,
)
from swarm.source import Passage

_REPLY_CHARS = 6_000
_KEPT = 128
_rendered: dict[int, tuple[Prompt[Any], Rendered]] = {}
"""The last ones: a prompt is counted before it is sent, and sent again for a vote; frozen, it keeps its text."""
_PART = re.compile(r"^---$", re.MULTILINE)
_CONDITION = re.compile(r"([?!])(\w+) (.*)")
_MARK = re.compile(
    r"<(?=/\s*(?:source|finding|task|reply|result|piece|notes)\b"
    r"|(?:source\s+path=|finding\s+label=|result\s+of=|task>|reply>|piece>|notes>))",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """The text of one request. `parts` make up the user's message; all but the last are the same for every
    slice of a task, which is what providers' prompt caches live on. Of a step of a sub-agent that has tools,
    `turns` follow the parts, `tools` may be called, `last` stands at the very end, where it is not empty, and with
    `force` the reply has to be a call of `report`."""

    system: str
    parts: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    last: str = ""
    force: bool = False


def render(prompt: Prompt[Any]) -> Rendered:
    """The text of a prompt. The same prompt gives the same text, always."""
    known = _rendered.get(id(prompt))
    if known is not None and known[0] is prompt:
        return known[1]
    rendered = _render(prompt)
    _rendered[id(prompt)] = prompt, rendered
    if len(_rendered) > _KEPT:
        del _rendered[next(iter(_rendered))]
    return rendered


def _render(prompt: Prompt[Any]) -> Rendered:
    if isinstance(prompt, ActPrompt):
        return _render_step(prompt)
    values = _values(prompt)
    system, *parts = (_fill(part, values) for part in _parts(prompt.kind))
    parts.append(_mending(prompt))
    return Rendered(
        system=f"{_text(_system(prompt.kind))}\n\n{system}", parts=tuple(part for part in parts if part)
    )


def _mending(prompt: Prompt[Any]) -> str:
    """What was wrong with the reply before, where one was."""
    if prompt.repair is None:
        return ""
    mend = {"reply": fenced(_clipped(prompt.repair.text)), "error": prompt.repair.error}
    return _fill(_lines(_text("repair")), mend)


def _render_step(prompt: ActPrompt) -> Rendered:
    base = render(prompt.base)
    rules, last = (_fill(part, {"hand_in": "yes" if prompt.force else ""}) for part in _parts(prompt.kind))
    return Rendered(
        system=f"{base.system}\n\n{rules}",
        parts=base.parts,
        turns=prompt.turns,
        tools=prompt.tools,
        last="\n\n".join(part for part in (last, _mending(prompt)) if part),
        force=prompt.force,
    )


def render_schema(schema: str) -> str:
    """What asks for a reply of this JSON schema in words, where a provider has no mechanism of its own."""
    return _fill(_lines(_text("schema")), {"schema": schema})


@cache
def prompt_version(kind: str) -> str:
    """A short hash of the words of one kind of prompt: changed words are another call."""
    words = "\0".join(_text(name) for name in (_system(kind), kind, "repair"))
    return blake2b(words.encode(), digest_size=6).hexdigest()


def _system(kind: str) -> str:
    """What opens a prompt: one who reads is held to the material, one who works brings something of their own."""
    return "system_work" if kind in ("outline", "work", "assess", "act") else "system"


def fenced(text: str) -> str:
    """`text` as material: nothing in it can close the mark around it or open another."""
    return _MARK.sub("&lt;", text)


@cache
def _text(name: str) -> str:
    return files("swarm.prompts").joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


class _Line(NamedTuple):
    """One line or a few, ready to be filled in: with `sign`, only where the value `name` is given or is not.
    `pieces` are words and, in every second place, names of values."""

    sign: str
    name: str
    pieces: tuple[str, ...]


@cache
def _parts(kind: str) -> tuple[tuple[_Line, ...], ...]:
    return tuple(_lines(part.strip()) for part in _PART.split(_text(kind)))


@cache
def _lines(part: str) -> tuple[_Line, ...]:
    """The lines of a part. Those that always stay are one."""
    lines: list[_Line] = []
    for stays, group in groupby(part.splitlines(), key=lambda line: _CONDITION.fullmatch(line) is None):
        if stays:
            lines.append(_Line("", "", _pieces("\n".join(group))))
        else:
            found = filter(None, map(_CONDITION.fullmatch, group))
            lines += [_Line(line[1], line[2], _pieces(line[3])) for line in found]
    return tuple(lines)


def _pieces(text: str) -> tuple[str, ...]:
    pieces, at = [""], 0
    for match in Template.pattern.finditer(text):
        pieces[-1] += text[at : match.start()]
        at = match.end()
        if match["escaped"] is not None:
            pieces[-1] += Template.delimiter
        else:
            pieces += [match["named"] or match["braced"], ""]
    pieces[-1] += text[at:]
    return tuple(pieces)


def _fill(part: Iterable[_Line], values: Mapping[str, str]) -> str:
    lines: list[str] = []
    for sign, name, pieces in part:
        if sign and bool(values.get(name)) is (sign == "!"):
            continue
        if len(pieces) == 1:
            lines.append(pieces[0])
        else:
            filled = list(pieces)
            filled[1::2] = [values[name] for name in pieces[1::2]]
            lines.append("".join(filled))
    return "\n".join(lines).strip()


def _clipped(reply: str) -> str:
    """A reply as it is shown again: one that ran away is not to push the slice out of its window."""
    if len(reply) <= _REPLY_CHARS:
        return reply
    half = _REPLY_CHARS // 2
    return f"{reply[:half]}\n[…]\n{reply[-half:]}"


def _values(prompt: Prompt[Any]) -> dict[str, str]:
    values = {"question": fenced(prompt.question.strip())}
    match prompt:
        case PlanPrompt():
            values |= {prompt.output: prompt.output, "count": f"{prompt.count:,}", "chars": f"{prompt.chars:,}"}
            values["sources"] = "\n".join(f"- <source path={_quoted(path)}/>" for path in prompt.sources)
        case ReadPrompt():
            values |= {"reading": fenced(prompt.reading.strip()), "max_findings": str(prompt.max_findings)}
            values["sources"] = "\n\n".join(_sources(prompt.passages, prompt.paths))
        case ViewPrompt():
            values["omitted"] = f"{prompt.omitted:,}" if prompt.omitted else ""
            values["findings"] = "\n\n".join(_finding(shown) for shown in prompt.shown)
    values |= _of_kind(prompt)
    return values


def _of_kind(prompt: Prompt[Any]) -> dict[str, str]:
    """What one kind of prompt has beside a question and findings."""
    values: dict[str, str] = {}
    match prompt:
        case ConsolidatePrompt():
            values |= {"words": f"{prompt.words:,}", "final": "yes" if prompt.final else ""}
            values["said"] = _listed(prompt.said)
        case JudgePrompt():
            values |= {"asked": _listed(prompt.asked), "rounds_left": str(prompt.rounds_left)}
            values["said"] = _listed(prompt.said)
        case AnswerPrompt():
            values |= {"asked": _listed(prompt.asked), "said": _listed(prompt.said)}
            values["disputes"] = "\n".join(f"- {one} and {other}" for one, other in prompt.disputes)
        case WorkPrompt():
            values |= _work_values(prompt)
        case OutlinePrompt():
            values |= _plan_values(prompt)
            values |= {"goal": fenced(prompt.goal.strip()), "room": f"{prompt.room:,}"}
            values |= {"count": f"{prompt.count:,}", "may_nest": "yes" if prompt.may_nest else ""}
            values["sources"] = "\n".join(f"- <source path={_quoted(path)}/>" for path in prompt.sources)
            values["reasons"] = _listed(prompt.reasons)
        case AssessPrompt():
            values |= _plan_values(prompt)
            values |= {"outcomes": _outcomes(prompt.outcomes), "checks": _listed(prompt.checks)}
            values["rounds_left"] = str(prompt.rounds_left)
        case ComparePrompt():
            values["beside"] = "\n\n".join(_finding(shown) for shown in prompt.beside)
            values["pairs"] = "\n\n".join(
                f"Pair {number}\n{_finding(one)}\n{_finding(other)}"
                for number, (one, other) in enumerate(
                    zip(prompt.shown[::2], prompt.shown[1::2], strict=True), start=1
                )
            )
    return values


def _work_values(prompt: WorkPrompt) -> dict[str, str]:
    return {
        "objective": fenced(prompt.objective.strip()),
        "instructions": prompt.instructions.strip(),
        "schema": prompt.schema,
        "done_when": fenced(prompt.done_when.strip()),
        "boundaries": fenced(prompt.boundaries.strip()),
        "outcomes": _outcomes(prompt.outcomes),
        "sources": "\n\n".join(_sources(prompt.passages, prompt.paths)),
        "said": _listed(prompt.said),
        "settled": _listed(prompt.settled),
        "notes": fenced(prompt.notes.strip()),
        "more": f"{prompt.more:,}" if prompt.more else "",
        "number": str(prompt.leg + 1),
        "legs": str(prompt.legs),
        "last": "yes" if prompt.leg + 1 >= prompt.legs else "",
        "wrong": fenced(prompt.wrong),
        "report_tokens": f"{prompt.report_tokens:,}",
    }


def _plan_values(prompt: OutlinePrompt | AssessPrompt) -> dict[str, str]:
    return {
        "done_when": fenced(prompt.done_when.strip()),
        "standings": "\n".join(_standing(one) for one in prompt.standings),
        "unlisted": f"{prompt.unlisted:,}" if prompt.unlisted else "",
        "said": _listed(prompt.said),
        "instructions": prompt.instructions.strip(),
    }


def _standing(one: Standing) -> str:
    text = fenced(" ".join(one.text.split()))
    return f"- {fenced(one.name)} ({one.state}){f': {text}' if text else ''}"


def _outcomes(outcomes: Iterable[Outcome]) -> str:
    return "\n".join(
        f"<result of={_quoted(one.name)}{'' if one.whole else ' only=summary'}>\n{fenced(one.text)}\n</result>"
        for one in outcomes
    )


def _sources(passages: Iterable[Passage], paths: Mapping[str, str]) -> Iterable[str]:
    """One block for each unbroken stretch of a source, its text exactly as it stands there."""
    stretch: list[Passage] = []
    for passage in passages:
        joins = stretch and passage.span[:2] == (stretch[-1].span.source, stretch[-1].span.end)
        if stretch and not joins:
            yield _source(stretch, paths)
            stretch = []
        stretch.append(passage)
    if stretch:
        yield _source(stretch, paths)


def _source(stretch: list[Passage], paths: Mapping[str, str]) -> str:
    first = stretch[0]
    about = f" about={_quoted(first.context)}" if first.context else ""
    text = fenced("".join(passage.text for passage in stretch))
    return f"<source path={_quoted(paths[first.span.source])}{about}>\n{text}\n</source>"


def _finding(shown: Shown) -> str:
    about = f" about={_quoted(shown.context)}" if shown.context else ""
    lines = [
        f"<finding label={_quoted(shown.label)} from={_quoted(shown.where)}{about}>",
        fenced(shown.finding.claim),
    ]
    if shown.finding.time:
        lines.append(f"When: {fenced(shown.finding.time)}")
    claim = shown.finding.claim
    lines += [f"Quote: {fenced(quote)}" if quote != claim else "Quote: the same words" for quote in shown.quotes]
    return "\n".join([*lines, "</finding>"])


def _listed(items: Iterable[str]) -> str:
    return "\n".join(f"- {fenced(item)}" for item in items)


def _quoted(text: str) -> str:
    return f'"{html.escape(" ".join(text.split()))}"'
