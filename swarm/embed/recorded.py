"""The records by which a process goes on with the tasks that another has left: of the kind "job", in their runs.

    (no key)     how the task was begun: what is asked, with which models; no secret
    left N       whoever was at it ended in good order, in the session N, and the next one is to go on with it
    stopped N    a person or an agent stopped it: it goes on when somebody says so
    failed N     it could not be done, and why: likewise

This module knows the journal; it begins nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from swarm.store.journal import Entry, Journal
from swarm.task import Limits, Task

KIND = "job"
Ended = Literal["left", "stopped", "failed"]

_TASK: TypeAdapter[Task] = TypeAdapter(Task)
_LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """A task as it was begun. `settings` are the names of its models and what shapes what is asked of them."""

    run: str
    task: Task
    settings: Mapping[str, Any]


async def note_begin(journal: Journal, begun: Begun) -> None:
    body = {"task": asdict(begun.task), "settings": dict(begun.settings)}
    await journal.append(begun.run, Entry(kind=KIND, key="", body=body))


async def note_end(journal: Journal, run: str, ended: Ended, why: str = "") -> None:
    session = journal.count(run, "session")
    await journal.append(run, Entry(kind=KIND, key=f"{ended} {session}", body={"why": why}))


def is_task(journal: Journal, run: str) -> bool:
    """Whether a run was begun as one."""
    return journal.record(run, KIND, "") is not None


def begun(journal: Journal, run: str) -> Begun | None:
    """How a task was begun; None for a run that was not begun as one, or by another version."""
    record = journal.record(run, KIND, "")
    if record is None:
        return None
    try:
        task = _TASK.validate_python(record.body["task"])
    except ValidationError:
        return None
    return Begun(run=run, task=task, settings=record.body["settings"])


def failed(journal: Journal, run: str) -> str | None:
    """Why it could not be done, the last time that somebody was at it."""
    record = journal.record(run, KIND, f"failed {journal.count(run, 'session')}")
    return str(record.body["why"]) if record is not None else None


def limits(journal: Journal, run: str) -> Limits | None:
    """Those that a task went on with last, or was begun with."""
    session = journal.latest(run, "session")
    if session is not None:
        return _LIMITS.validate_python(session.body["limits"])
    known = begun(journal, run)
    return known.task.limits if known is not None else None


def unfinished(journal: Journal) -> list[Begun]:
    """The tasks that nobody is at and that are to go on by themselves, oldest first."""
    found = []
    for account in journal.accounts():
        run = account.run
        if not is_task(journal, run) or not _goes_on(journal, run) or journal.held(run):
            continue
        if (one := begun(journal, run)) is not None:
            found.append(one)
    return found


def _goes_on(journal: Journal, run: str) -> bool:
    session = str(journal.count(run, "session"))
    keys = set(journal.keys(run, KIND))
    if {f"stopped {session}", f"failed {session}"} & keys:
        return False
    answer = journal.latest(run, "answer")
    if answer is None or answer.key != session:
        return not _asked_to_stop(journal, run)  # killed
    return f"left {session}" in keys and answer.body["stopped"] == "interrupted"


def _asked_to_stop(journal: Journal, run: str) -> bool:
    """From another process, since it last began or went on."""
    session = journal.latest(run, "session")
    return any(
        record.body["what"] == "stop" and session is not None and record.seq > session.seq
        for record in journal.records(run, "request")
    )
