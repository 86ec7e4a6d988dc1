"""How a task stands: counted from its events while it is at work here, and read from the journal otherwise.

Plain values, fit for JSON. This module asks nobody and begins nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Literal

from swarm.embed.allowed import plain_limits
from swarm.events import (
    Event,
    Finished,
    Paused,
    PhaseChanged,
    Resumed,
    SliceDropped,
    SliceFailed,
    SliceFinished,
    SlicesPlanned,
    SliceSplit,
    Spent,
    WentOn,
)
from swarm.history import Shown
from swarm.mounted import told
from swarm.run import Swarm
from swarm.task import Answer, Limits, Task, Usage

Standing = Literal["waiting", "running", "paused", "answered", "no_evidence", "partial", "interrupted", "failed"]
"""`waiting`: for its turn. `partial`: a limit was reached, it was stopped, or slices failed; it can be resumed.
`interrupted`: its process died. `failed`: it could not be done at all; `why` says what to do."""

AT_WORK = ("waiting", "running", "paused")


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """`slices_planned` grows while a task goes on. `findings` counts claims as they are reported. `limits` are
    those that hold, `why` says why it ended early. `answer` is None as long as there is none; its form is that of
    `swarm.mounted.told`."""

    run: str
    status: Standing
    phase: str
    asked: str
    slices_done: int
    slices_planned: int
    findings: int
    calls: int
    tokens: int
    cost_usd: float
    limits: dict[str, Any]
    why: str | None = None
    answer: dict[str, Any] | None = None

    @property
    def at_work(self) -> bool:
        return self.status in AT_WORK

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def line(self) -> str:
        """In a few words: `dispatch, 12 of 40 slices, $0.31`."""
        money = f", ${self.cost_usd:,.4f}" if self.cost_usd else ""
        phase = self.phase if self.status == "running" else self.status
        return f"{phase}, {self.slices_done:,} of {self.slices_planned:,} slices{money}"


class Live:
    """A task that is at work in this process. Whoever waits awaits `changed`, which is another one each time."""

    def __init__(self, run: str, task: Task, swarm: Swarm) -> None:
        self.run, self.task, self.swarm = run, task, swarm
        self.changed, self.ended = asyncio.Event(), asyncio.Event()
        self.under_way = asyncio.Event()
        """Its material is read in, or it has ended."""
        self.stopping = False
        self.running: asyncio.Task[None] | None = None
        self.failed: str | None = None
        self.answer: Answer | None = None
        self._phase, self._begun, self._paused = "waiting", False, False
        self._done = self._planned = self._findings = 0
        self._usage = Usage()

    def take(self, event: Event) -> None:
        self._begun = True
        match event:
            case PhaseChanged(phase=phase):
                self._phase = phase
                if phase != "gather":
                    self.under_way.set()
            case Resumed(done=done, slices=slices):
                self._done, self._planned = done, slices
            case SlicesPlanned(slices=slices):
                self._planned += slices
            case Finished(answer=answer):
                self.answer, self._usage = answer, answer.usage
            case Spent(usage=usage):
                self._usage = usage
            case Paused() | WentOn():
                self._paused = isinstance(event, Paused)
            case _:
                self._count(event)
        self.tell()

    def _count(self, event: Event) -> None:
        match event:
            case SliceFinished(report=report):
                self._done += 1
                self._findings += len(report.findings)
            case SliceFailed() | SliceDropped():
                self._done += 1
            case SliceSplit(into=into):
                self._planned += into - 1

    def tell(self) -> None:
        before, self.changed = self.changed, asyncio.Event()
        before.set()

    def end(self, failed: str | None = None) -> None:
        self.failed = failed
        self.under_way.set()
        self.ended.set()
        self.tell()

    @property
    def complete(self) -> bool:
        return self.answer is not None and self.answer.complete

    def leave(self) -> None:
        """End it, because nobody will be here: one that waits for its turn at once, others as `Swarm.stop`."""
        if not self._begun and self.running is not None:
            self.running.cancel()
        else:
            self.swarm.stop()

    def status(self) -> Status:
        answer, usage = self.answer, self._usage
        slices = answer.slices if answer is not None else 0
        return Status(
            run=self.run,
            status=self._standing(),
            phase=self._phase,
            asked=asked(self.task),
            slices_done=slices or self._done,
            slices_planned=max(self._planned, self._done, slices),
            findings=answer.findings if answer is not None else self._findings,
            calls=usage.calls,
            tokens=usage.tokens,
            cost_usd=usage.cost_usd,
            limits=plain_limits(self.task.limits),
            why=self.failed or (why(answer) if answer is not None else None),
            answer=dict(told(answer)) if answer is not None else None,
        )

    def _standing(self) -> Standing:
        if self.failed is not None:
            return "failed"
        if self.answer is not None:
            return self.answer.status
        if not self._begun:
            return "waiting"
        return "paused" if self._paused else "running"


def recorded(shown: Shown, *, failed: str | None = None, findings: int = 0) -> Status:
    """How a run stands by its journal. `failed` is why it could not be done, where it could not. `findings` are
    those that its graph holds."""
    run, answer = shown.run, shown.answer
    status: Standing = run.status
    if failed is not None and status == "interrupted":
        status = "failed"
    over = status not in AT_WORK and status not in ("interrupted", "failed")
    limits = shown.sessions[-1].limits if shown.sessions else Limits()
    return Status(
        run=run.id,
        status=status,
        phase="finish" if over else "",
        asked=asked(run.task) if run.task is not None else "",
        slices_done=run.slices_done,
        slices_planned=run.slices_planned,
        findings=answer.findings if answer is not None and over else findings,
        calls=run.usage.calls,
        tokens=run.usage.tokens,
        cost_usd=run.usage.cost_usd,
        limits=plain_limits(limits),
        why=failed if status == "failed" else run.why,
        answer=dict(told(answer)) if answer is not None and over else None,
    )


def why(answer: Answer) -> str | None:
    return answer.stopped or ("slices failed" if answer.failures else None)


def asked(task: Task) -> str:
    """What a task is about, in words."""
    words = "; ".join(task.questions) or ", ".join(task.paths)
    named = "work" if task.mode == "work" else task.output
    return words if named == "answer" else f"{named}: {words}"
