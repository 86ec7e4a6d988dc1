"""What a memory's facts are in its shared graph: findings that rest on messages.

The graph is the memory as the rest of Swarm knows it, to be exported, opened and joined. What holds now, and what
was retired, is told by the tables. This module knows both words and writes neither.
"""

from __future__ import annotations

from collections.abc import Iterable

from swarm.graph.identity import finding_id, slice_id
from swarm.graph.nodes import Part as GraphPart
from swarm.graph.nodes import Removal
from swarm.memory.home import Home
from swarm.memory.log import Line
from swarm.memory.parts import Drawn, Forgotten, Kept, Noted, Part
from swarm.memory.tables import source_of
from swarm.source import Source, Span
from swarm.task import Finding, Report

MEDIA = "message"
_RELEVANCE = 0.5


def grown(home: Home, parts: Iterable[Part]) -> list[GraphPart]:
    """What parts of a memory come to in its graph."""
    found: list[GraphPart] = []
    noted: list[Noted] = []
    for part in parts:
        match part:
            case Kept():
                if part.facts:
                    message = part.message
                    text = message.text
                    source = _source(home, message.id, message.who, message.at, len(text), len(text.encode()))
                    found += _report(source, part.facts, message.at)
            case Noted():
                if part.drawn.end:
                    noted.append(part)
            case Forgotten():
                found.append(Removal(source=source_of(home.run, part.id)))
            case _:
                pass
    return [*found, *_of_noted(home, noted)]


def _of_noted(home: Home, noted: list[Noted]) -> list[GraphPart]:
    lines = {line.place: line for line in home.log.lines(one.place for one in noted)} if noted else {}
    by_place: dict[int, list[Drawn]] = {}
    for one in noted:
        by_place.setdefault(one.place, []).append(one.drawn)
    found: list[GraphPart] = []
    for place, drawn in by_place.items():
        if (line := lines.get(place)) is not None:
            found += _report(source_of_line(home, line), drawn, line.at)
    return found


def source_of_line(home: Home, line: Line) -> Source:
    """A message as a source of the library."""
    return _source(home, line.id, line.who, line.at, line.chars, line.chars)


def _source(home: Home, id_: str, who: str, at: str | None, chars: int, size: int) -> Source:
    path = " ".join((f"{who}, {at}" if at else who).replace("/", " ").split())
    return Source(id=source_of(home.run, id_), path=path, media=MEDIA, chars=chars, bytes=size)


def _report(source: Source, facts: Iterable[Drawn], at: str | None) -> list[GraphPart]:
    findings = []
    for one in facts:
        subject, attribute, value, time = (
            one.subject or None,
            one.attribute or None,
            one.value or None,
            one.at or at,
        )
        findings.append(
            Finding(
                id=finding_id(one.text, subject, attribute, value, time),
                claim=one.text,
                evidence=(Span(source.id, one.start, one.end),),
                relevance=_RELEVANCE,
                subject=subject,
                attribute=attribute,
                value=value,
                time=time,
            )
        )
    made = slice_id("", (Span(source.id, 0, source.chars),), 1, "")
    return [source, Report(slice=made, question="", findings=tuple(findings))]
