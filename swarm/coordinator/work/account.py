"""What became of a plan, told from the journal: how often it was planned and judged, and what was let in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from swarm.store.journal import Journal, Record

_NAMED = re.compile(r'"[^"]*"|\d[\d,]*')
_REASONS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """So many orders were not let in for a reason of this kind, of which `example` is one."""

    count: int
    example: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanAccount:
    """The plan of a run that works towards a goal. `slices` were let in; of the `refused` the most frequent kinds
    of reasons are told. `judged` is what the judge of the whole said last, and why."""

    plannings: int
    planners: int
    slices: int
    done: int
    dropped: int
    refused: int
    reasons: tuple[Refused, ...]
    handoffs: int
    votes: int
    discarded: int
    judged: tuple[str, str] | None


def account_of(journal: Journal, run: str) -> PlanAccount | None:
    """The account of a run's plan; None where it has none, as one that reads."""
    slices = journal.count(run, "slice")
    planned = list(journal.records(run, "planned"))
    if not slices and not planned:
        return None
    reasons = Counter[str]()
    examples: dict[str, str] = {}
    for record in planned:
        for _, reason in record.body["refused"]:
            kind = _NAMED.sub("*", reason)
            reasons[kind] += 1
            examples.setdefault(kind, reason)
    votes, discarded = _voted(journal.records(run, "report"))
    return PlanAccount(
        plannings=len(planned),
        planners=len({record.body["branch"] for record in planned}),
        slices=slices,
        done=journal.count(run, "report"),
        dropped=journal.count(run, "dropped"),
        refused=reasons.total(),
        reasons=tuple(
            Refused(count=count, example=examples[kind]) for kind, count in reasons.most_common(_REASONS)
        ),
        handoffs=journal.count(run, "handoff"),
        votes=votes,
        discarded=discarded,
        judged=_judged(journal.records(run, "judged")),
    )


def _voted(reports: Iterable[Record]) -> tuple[int, int]:
    votes = discarded = 0
    for record in reports:
        votes += record.body.get("votes", 0)
        discarded += record.body.get("discarded", 0)
    return votes, discarded


def _judged(records: Iterable[Record]) -> tuple[str, str] | None:
    last = None
    for record in records:
        if record.key.startswith(":"):
            last = record.body["verdict"], record.body["reason"]
    return last
