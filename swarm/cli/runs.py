"""`swarm runs`, `show`, `forget` and `replay`: what a store holds of runs, for a person and for a program.

`swarm/history.py` and `swarm/playback.py` do the work; this prints, and asks before anything is deleted.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm.cli.again import resume_with
from swarm.cli.asking import on_terminal, yes
from swarm.cli.estimate import limits_document
from swarm.cli.options import Settings
from swarm.cli.plain import age, clean, dollars, number, one_line, plural

if TYPE_CHECKING:
    from swarm.coordinator.work.account import PlanAccount
    from swarm.history import Run, Session, Shown
    from swarm.task import Limits

_ASKED = 60  # characters of a question in the list
_FAILURES = 5  # named

_Run = Annotated[
    str, typer.Argument(metavar="RUN", show_default=False, help="The id of the run, the beginning of it, or last.")
]
_Store = Annotated[str | None, typer.Option("--store", metavar="FILE|URL", help="The store of the run.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many to list.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def runs(store: _Store = None, limit: _Limit = 20, as_json: _Json = False) -> int:
    """List the runs of a store, the one that began last first."""
    from swarm import history

    found = history.runs(store, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        _print_json({"runs": [_run_document(run) for run in found], "more": more})
        return 0
    now = time.time()
    rows = [("run", "status", "slices", "calls", "cost", "age", "asked"), *(_row(run, now) for run in found)]
    _print_lines(_aligned(rows) if found else ["no run yet"])
    if more:
        _print_lines([f"... and more: --limit {limit * 5}"])
    return 0


def show(run: _Run, store: _Store = None, as_json: _Json = False) -> int:
    """Show a run: what it was asked, under which limits, how far it is, what it came to, and how to go on."""
    from swarm import history

    told = history.show(run, store)
    answer = told.answer
    over = answer is not None and answer.complete and told.run.why is None
    done = over or told.run.status in ("running", "paused")
    again = None if done else resume_with(Settings(store=store))(told.run.id, answer)
    if as_json:
        _print_json(_shown_document(told, again))
    else:
        _print_lines(_shown_lines(told, again))
    return 0


def forget(run: _Run, store: _Store = None, agreed: _Yes = False, as_json: _Json = False) -> int:
    """Delete a run for good: its records, its graph, and the text that no other run reads."""
    from swarm import history
    from swarm.errors import UsageError

    id_ = history.find(run, store)
    if not agreed:
        if not on_terminal():
            raise UsageError(f"{id_} would be deleted for good: give --yes where nobody can be asked")
        if not yes(
            f"delete {id_} for good, with {plural(history.show(id_, store).run.usage.calls, 'paid call')}?"
        ):
            _print_lines(["nothing was deleted"])
            return 0
    gone = asyncio.run(history.forget(id_, store))
    if as_json:
        _print_json(asdict(gone))
        return 0
    kept = f"; {plural(gone.kept, 'source')} that other runs read stayed" if gone.kept else ""
    _print_lines(
        [
            f"forgot {gone.run}: {plural(gone.calls, 'call')}, the graph, and {plural(gone.sources, 'source')} "
            f"with {number(gone.chars)} characters{kept}; {number(gone.bytes)} bytes are free"
        ]
    )
    return 0


def replay(run: _Run, store: _Store = None, as_json: _Json = False) -> int:
    """Run a run again from its journal, without a network, and tell whether the same comes of it."""
    from swarm import history
    from swarm.playback import replay as again

    id_ = history.find(run, store)
    answer = asyncio.run(again(id_, store))
    if as_json:
        _print_json({"run": id_, "same": True, "graph": answer.graph, "status": answer.status})
    else:
        _print_lines([f"{id_} comes out the same: graph {answer.graph}, {plural(answer.findings, 'finding')}"])
    return 0


# Lines


def _print_json(document: dict[str, Any]) -> None:
    from swarm.cli.document import dumps

    sys.stdout.write(f"{dumps(document)}\n")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


def _row(run: Run, now: float) -> tuple[str, ...]:
    return (
        run.id,
        run.status,
        f"{run.slices_done:,}/{run.slices_planned:,}",
        f"{run.usage.calls:,}",
        dollars(run.usage.cost_usd),
        age(max(0.0, now - run.begun)),
        one_line(run.asked, _ASKED),
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterable[str]:
    """Columns, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(row[2:-1], widths[2:-1], strict=True)]
        yield "  ".join([*left, *right, row[-1]]).rstrip()


def _shown_lines(told: Shown, again: str | None) -> Iterable[str]:
    run, usage = told.run, told.run.usage
    yield f"{run.id}: {run.status}{f' ({one_line(run.why)})' if run.why else ''}"
    yield f"asked: {one_line(run.asked)}"
    if run.task is not None and run.task.paths:
        yield f"of: {one_line(', '.join(run.task.paths), 200)}"
    for number_, session in enumerate(told.sessions):
        yield ("begun" if number_ == 0 else "went on") + f" {_when(session.at)}: {_worked(session)}"
        before = told.sessions[number_ - 1].limits if number_ else None
        yield f"  limits: {_limits(session.limits, before)}"
    yield from _plan_lines(told.plan)
    for text in told.instructions:
        yield f"added: {one_line(text, 200)}"
    if told.waiting:
        yield f"waiting: {plural(told.waiting, 'request')}, taken when it goes on"
    yield f"slices: {run.slices_done:,} of {run.slices_planned:,} done"
    doubt = f", {plural(told.in_doubt, 'call')} in doubt counted at the most" if told.in_doubt else ""
    cached = f" ({number(usage.cached_tokens)} of them from a cache)" if usage.cached_tokens else ""
    yield (
        f"spent: {plural(usage.calls, 'call')}, {number(usage.input_tokens)} tokens in{cached}, "
        f"{number(usage.output_tokens)} out, {dollars(usage.cost_usd)}{doubt}"
    )
    for slice_, reason in told.failures[:_FAILURES]:
        yield f"not done: slice {slice_[:12]}: {one_line(reason, 160)}"
    if len(told.failures) > _FAILURES:
        yield f"... and {len(told.failures) - _FAILURES:,} more not done"
    if told.answer is not None and told.answer.text:
        yield from ("", clean(told.answer.text).strip(), "")
    if again is not None:
        yield f"go on with: {again}"


def _plan_lines(plan: PlanAccount | None) -> Iterable[str]:
    """What became of a plan."""
    if plan is None:
        return
    by = (
        f"planned {plural(plan.plannings, 'time')} by {plural(plan.planners, 'planner')}: "
        if plan.plannings
        else ""
    )
    counts = [f"{plural(plan.slices, 'slice')} let in", f"{plan.done:,} done"]
    counts += [f"{plan.dropped:,} dropped"] if plan.dropped else []
    counts += [f"{plan.refused:,} refused"] if plan.refused else []
    counts += [f"{plural(plan.handoffs, 'handoff')}"] if plan.handoffs else []
    counts += [f"{plan.votes:,} votes and {plan.discarded:,} replies thrown away"] if plan.votes else []
    yield f"plan: {by}{', '.join(counts)}"
    for refused in plan.reasons:
        yield f"  refused {refused.count:,}: such as, it {one_line(refused.example, 160)}"
    if plan.judged is not None:
        yield f"judged: {plan.judged[0]}: {one_line(plan.judged[1], 200)}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _worked(session: Session) -> str:
    from swarm.observe.log import redact_text

    who = session.model if session.reader == session.model else f"{session.model}, read by {session.reader}"
    parts = [who]
    parts += [f"window {session.window:,}"] if session.window else []
    parts += [f"{session.concurrency} at once"] if session.concurrency else []
    parts += [redact_text(session.base_url)] if session.base_url else []
    parts += [f"on {session.host}"] if session.host else []
    return one_line(", ".join(parts))


def _limits(limits: Limits, before: Limits | None) -> str:
    """Those that are set; of a run that went on, with what each was before, where it changed."""
    usual = type(limits)()
    said = []
    for name, value in asdict(limits).items():
        was = getattr(before, name) if before is not None else value
        if name == "cost_is_default" or (value == getattr(usual, name) and value == was):
            continue
        default = " (the default)" if name == "cost_usd" and limits.cost_is_default else ""
        said.append(f"{name} {_value(value)}{default}" + (f", before {_value(was)}" if was != value else ""))
    return "; ".join(said) or "none"


def _value(value: Any) -> str:
    if value is None or value == math.inf:
        return "none"
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


# Documents


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "status": run.status,
        "why": run.why,
        "asked": run.asked,
        "model": run.model,
        "reader": run.reader,
        "slices": {"done": run.slices_done, "planned": run.slices_planned},
        "usage": asdict(run.usage),
        "begun": run.begun,
        "last": run.last,
    }


def _shown_document(told: Shown, again: str | None) -> dict[str, Any]:
    from swarm.cli.document import document
    from swarm.observe.log import redact_text

    sessions = [
        asdict(session)
        | {
            "base_url": session.base_url and redact_text(session.base_url),
            "limits": limits_document(session.limits),
        }
        for session in told.sessions
    ]
    return _run_document(told.run) | {
        "paths": list(told.run.task.paths) if told.run.task is not None else [],
        "sessions": sessions,
        "calls_in_doubt": told.in_doubt,
        "instructions": list(told.instructions),
        "requests_waiting": told.waiting,
        "failures": [{"slice": slice_, "reason": reason} for slice_, reason in told.failures],
        "plan": asdict(told.plan) if told.plan is not None else None,
        "answer": document(told.answer) if told.answer is not None else None,
        "go_on": again,
    }
