"""A run at a glance: how it stands, what it knows, what it cost, and what it came to."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from itertools import islice
from typing import Any

from swarm.graph.disputes import relations
from swarm.graph.graph import SharedGraph
from swarm.graph.nodes import KINDS
from swarm.inspect.data.answer import answer
from swarm.inspect.data.bounds import short
from swarm.inspect.data.coverage import totals
from swarm.inspect.data.machines import machines
from swarm.inspect.look import Look
from swarm.inspect.plan import STATES
from swarm.observe.log import redact_text
from swarm.task import Limits

_LATEST = 10
_FAILURES = 20
_INSTRUCTIONS = 50
_SESSIONS = 100
_SLOTS = 64  # in which contradictions are counted one by one


def overview(look: Look) -> dict[str, Any]:
    followed = look.fresh()
    task = followed.task
    return pulse(look) | {
        "run": followed.run,
        "mode": task.mode if task is not None else "read",
        "output": task.output if task is not None else "answer",
        "questions": [short(one, 4_000) for one in task.questions[:100]] if task is not None else [],
        "asked": short("; ".join(task.questions[:100]) if task is not None else "", 4_000),
        "paths": [short(redact_text(one)) for one in task.paths[:100]] if task is not None else [],
        "folder": followed.names.folder,
        "begun": followed.begun,
        "last": followed.last,
        "sessions": sessions(look),
        "machines": machines(look),
        "limits": limits(followed.limits),
        "graph": _graph(look),
        "coverage": totals(look),
        "answer": answer(look),
        "latest": _latest(look, _LATEST),
        "failures": _failures(look),
        "instructions": [short(one, 4_000) for one in followed.instructions[-_INSTRUCTIONS:]],
    }


def pulse(look: Look) -> dict[str, Any]:
    """The part of the overview that moves all the time."""
    followed = look.fresh()
    busy, of = followed.places
    look.alive.seen()
    return {
        "version": followed.version + look.alive.turns,
        "now": look.clock(),
        "status": followed.status,
        "why": short(redact_text(followed.why), 2_000) if followed.why else None,
        "live": followed.live,
        "phase": followed.phase,
        "slices": {state: followed.plan.states[state] for state in STATES},
        "places": {"busy": busy, "of": of},
        "spent": asdict(followed.spent),
        "rate": asdict(followed.rate()),
    }


def changes(look: Look) -> dict[str, Any]:
    """What is told to whoever waits for something new."""
    return pulse(look) | {"latest": _latest(look, 3)}


def limits(told: Limits) -> dict[str, Any]:
    """Those that were set; None: set to no limit."""
    found: dict[str, Any] = {}
    for field in fields(told):
        value = getattr(told, field.name)
        if isinstance(value, Limits):
            found[field.name] = limits(value)
        elif isinstance(value, float) and math.isinf(value):
            found[field.name] = None
        elif value is not None and field.name != "cost_is_default":
            found[field.name] = value
    return found


def sessions(look: Look) -> list[dict[str, Any]]:
    """The last ones."""
    return [
        {
            "at": one.at, "model": one.model, "reader": one.reader, "window": one.window,
            "places": one.places or one.concurrency, "host": one.host, "limits": limits(one.limits),
        }
        for one in look.follower.sessions[-_SESSIONS:]
    ]  # fmt: skip


def _latest(look: Look, most: int) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "claim": short(one.claim), "slice": one.slice, "at": one.at}
        for one in look.follower.latest(most)
    ]


def _failures(look: Look) -> list[dict[str, Any]]:
    """The slices that failed first."""
    plan, names = look.follower.plan, look.follower.names
    failed = (plan.slices[id_] for id_ in islice(plan.failed, _FAILURES))
    return [
        {"slice": one.slice.id, "name": short(names.of(one), 200), "reason": short(one.why, 2_000)}
        for one in failed
    ]


def _graph(look: Look) -> dict[str, Any]:
    """What the graph holds. Contradictions are counted where few slots may hold any; else there are at most as
    many as are told."""
    graph = look.graph
    counts, _ = look.kept(
        "counts", lambda: _counts(graph, ({}, 0)), graph.fingerprint(), more=lambda known: _counts(graph, known)
    )
    contradictions, exact = look.kept("disputes", lambda: count_disputes(graph), graph.fingerprint())
    counts = {**counts, "finding": len(graph)}
    return {
        "fingerprint": graph.fingerprint(),
        "findings": len(graph),
        "claims": graph.claims,
        "counts": {kind: counts[kind] for kind in KINDS if counts.get(kind)},
        "contradictions": contradictions,
        "contradictions_exact": exact,
    }


def _counts(graph: SharedGraph, known: tuple[dict[str, int], int]) -> tuple[dict[str, int], int]:
    """How many nodes there are of each kind but findings, those that are known counted already; and the number of
    the last one."""
    before, last = known
    first, most = graph.range
    rows = graph.database.read("SELECT next FROM graphs WHERE run = ?", (graph.run,))
    latest = first + int(rows[0][0]) - 1 if rows else first
    sql = (
        "SELECT count(*) FROM nodes INDEXED BY nodes_by_kind WHERE kind <> 'finding' AND kind = ? "
        "AND num BETWEEN ? AND ? AND state = 'live'"
    )
    counts: dict[str, int] = {
        kind: before.get(kind, 0) + int(graph.database.read(sql, (kind, max(first, last + 1), latest))[0][0])
        for kind in KINDS
        if kind != "finding"
    }
    return counts, min(latest, most)


def count_disputes(graph: SharedGraph) -> tuple[int, bool]:
    """How many contradictions are open, and whether that is so or the most that there can be."""
    sql = "SELECT slot FROM disputed WHERE graph = ? AND prose = 0 LIMIT ?"
    slots = graph.database.read(sql, (graph.num, _SLOTS + 1))
    verdicts = int(graph.database.read(VERDICTS.format("count(*)"), graph.range)[0][0])
    if len(slots) <= _SLOTS:
        found = [one for (slot,) in slots for one in relations(graph, slot) if one.kind == "contradicts"]
        return len(found) + verdicts, not verdicts
    sql = "SELECT count(*) FROM disputed WHERE graph = ? AND prose = 0"
    return int(graph.database.read(sql, (graph.num,))[0][0]) + verdicts, False


VERDICTS = (
    "SELECT {} FROM edges INDEXED BY verdicts WHERE kind IN (5, 6, 11, 12) AND kind = 5 AND source BETWEEN ? AND ?"
)
"""Pairs of which a model judged that they contradict."""
