"""The kinds of nodes and edges in the shared graph, and what comes into it beside reports.

| edge | from | to |
|---|---|---|
| cites | finding | source, with the spans |
| covers | slice | source, with the spans |
| about | finding | entity |
| derived_from | finding, artifact, decision | slice that reported it |
| answers | finding | question that its slice asked |
| depends_on | slice, decision | slice it was split from, or what the decision rests on |
| supports | finding | finding that says the same and stands for both |
| contradicts | finding | finding with another value at the same time |
| supersedes | finding | finding with an earlier value |
| summarises | summary | findings, or summaries one level below |

Plain data. This module does not know how a graph is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from swarm.source import Source
from swarm.task import Report, Slice

Kind = Literal["source", "slice", "finding", "entity", "question", "decision", "artifact", "summary"]
EdgeKind = Literal[
    "cites", "covers", "about", "derived_from", "answers", "depends_on", "supports", "contradicts", "supersedes",
    "summarises",
]  # fmt: skip

KINDS: tuple[Kind, ...] = (
    "source", "slice", "finding", "entity", "question", "decision", "artifact", "summary",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One node as it is opened or listed. `more` holds what its kind has beside a text, JSON-able."""

    id: str
    kind: Kind
    text: str
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """`spans` are the places in the source, as (start, end) in characters, where the kind has them."""

    source: str
    kind: EdgeKind
    target: str
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A sentence of a summary, and the ids of those of its children that the sentence rests on."""

    text: str
    rests_on: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What stands for its children when they are read: `covers` are findings (level 1) or summaries one level
    below. `id` is the hash of the rest. Every child can be opened, also those that no statement rests on.
    `findings` counts those below it, and is 0 before it is in a graph."""

    id: str
    level: int
    statements: tuple[Statement, ...]
    covers: tuple[str, ...]
    findings: int = 0

    @property
    def text(self) -> str:
        return " ".join(statement.text for statement in self.statements)


Judgement = Literal["same", "contradicts", "supersedes", "compatible"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a model judged of two findings, ids in ascending order. `supersedes`: the one named `later` holds now,
    and the other held before."""

    one: str
    other: str
    judgement: Judgement
    later: str | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """A source was removed: nothing that rests on it alone comes back, whatever is merged later."""

    source: str


Part = Report | Source | Slice | Summary | Verdict | Removal
"""What can be merged. Everything in a graph came in as one of these, or is derived from them. All but summaries
are facts: a summary can be lost without harm, and is no part of the fingerprint."""
