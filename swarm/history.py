"""The runs of a store: which there are, how each stands, and forgetting one.

    for run in swarm.history.runs():
        print(run.id, run.status, run.usage.cost_usd)

Runs are looked at while they are at work, in this process or another; only to forget one takes the store for
itself. This module reads the journal; it begins nothing and goes on with nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from swarm.cards import run_card, shown_card
from swarm.display import Displayed
from swarm.errors import NoSuchRun, StoreError, UsageError
from swarm.observe.log import redact_text
from swarm.store.journal import LOST, Account, Journal, Record
from swarm.store.opening import Store, open_mailbox, open_store, shown
from swarm.store.published import drop
from swarm.task import Answer, Limits, Task, Usage

if TYPE_CHECKING:
    import apsw

    from swarm.coordinator.work.account import PlanAccount

RunStatus = Literal["running", "paused", "answered", "no_evidence", "partial", "interrupted"]
"""`interrupted`: the process died, and nobody is at it. One that was stopped has an answer, and is `partial`."""

LAST = "last"
"""Names the run that began last."""

_LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)
_MOST_NAMED = 5
_INDEXES = ("node_index", "passage_index")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Displayed, card=run_card):
    """One run from outside. `begun` and `last` are seconds since the epoch, of its first and last record. `why`
    says what stopped a run that is partial. Slices are counted with those that they were cut into."""

    id: str
    status: RunStatus
    why: str | None
    task: Task | None
    model: str
    reader: str
    slices_done: int
    slices_planned: int
    usage: Usage
    begun: float
    last: float

    @property
    def asked(self) -> str:
        """What the run is about, in words."""
        if self.task is None:
            return ""
        questions = "; ".join(self.task.questions)
        if self.task.output == "answer":
            return questions
        return f"{self.task.output}: {questions or ', '.join(self.task.paths)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One time that a run began or went on. `at` is in seconds since the epoch; `places` is how many slices could
    be worked at once, and `concurrency` what the user said of it."""

    at: float
    model: str
    reader: str
    concurrency: int | None
    places: int | None
    window: int | None
    base_url: str | None
    limits: Limits
    host: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown(Displayed, card=shown_card):
    """A run with all that is known of it. `in_doubt` are calls of which no reply came when a process died: they
    may have been billed, and are counted at the most. `failures` are the slices that failed and were not done
    since, with the reason, and those that a person cancelled. `instructions` were added while it was at work;
    `waiting` requests were not taken yet. `answer` is that of the last session that came to one."""

    run: Run
    sessions: tuple[Session, ...]
    in_doubt: int
    failures: tuple[tuple[str, str], ...]
    instructions: tuple[str, ...]
    waiting: int
    answer: Answer | None
    plan: PlanAccount | None
    """Of a run that works towards a goal: what became of its plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """What went with a run: `calls` that it had paid for, sources that no other run reads, and bytes on this disk.
    `kept` sources are read by other runs."""

    run: str
    calls: int
    sources: int
    chars: int
    kept: int
    bytes: int


def runs(store: str | Path | None = None, *, limit: int | None = None) -> list[Run]:
    """The runs of a store, the one that began last first, at most `limit`.

    Raises:
        StoreError: there is no such store.
    """
    with open_store(store, read_only=True) as opened:
        return [_run(opened.journal, account) for account in _newest(opened.journal)[:limit]]


def find(name: str, store: str | Path | None = None) -> str:
    """The id of a run: `name` is its id, an unambiguous beginning of it, or `last`.

    Raises:
        StoreError: there is no such store, or no such run in it.
        UsageError: several runs begin so.
    """
    with open_store(store, read_only=True) as opened:
        return named(opened.journal, name, store)


def named(journal: Journal, name: str, store: str | Path | None = None) -> str:
    """As `find`, in a journal that is open."""
    if name != LAST and journal.record(name, "task", "") is not None:
        return name  # without a look at all others
    return _account(journal, name, store).run


def check_of(run: str, store: str | Path | None = None) -> str:
    """The command by which a run that works checks itself; empty for most. Raises StoreError: no such store."""
    with open_store(store, read_only=True) as opened:
        task = task_of(opened.journal.record(run, "task", ""))
        return task.check if task is not None else ""


def show(name: str, store: str | Path | None = None) -> Shown:
    """All that is known of a run, which is named as for `find`, and raises what that raises."""
    with open_store(store, read_only=True) as opened:
        journal = opened.journal
        account = _account(journal, name, store)
        run = account.run
        answer = journal.latest(run, "answer")
        return Shown(
            run=_run(journal, account),
            sessions=tuple(session_of(record) for record in journal.records(run, "session")),
            in_doubt=sum(reason == LOST for reason in journal.failed_calls(run).values()),
            failures=tuple(_failures(journal, run)),
            instructions=tuple(redact_text(record.body["text"]) for record in journal.records(run, "instruction")),
            waiting=_waiting(run, store),
            answer=_answer(answer) if answer is not None else None,
            plan=_plan(journal, run),
        )


async def forget(name: str, store: str | Path | None = None) -> Forgotten:
    """Delete a run: its records, the calls that it paid for, its graph, and the text of the sources that no other
    run reads. Nothing of it is left in the files of this machine, nor on the server that the store is on.

    Raises:
        StoreError: as `find`, or somebody is at the run or in the store.
        UsageError: as `find`.
    """
    run = find(name, store)
    with open_store(store) as opened:
        journal = opened.journal
        journal.hold(run)
        before, usage = _size(opened), journal.spent(run)
        read, only = _sources(journal, run)
        from swarm.coordinator.work.places import forget as forget_places

        await forget_places(journal, run)
        with suppress(StoreError), closing(open_mailbox(store)) as mailbox:
            mailbox.clear(run)
        if opened.url is not None:  # before the run: whoever is broken off here can be asked once more
            await asyncio.to_thread(drop, opened.blobs, only)
        await journal.forget(run)
        chars, sources = await opened.database.write(lambda connection: _clear(connection, run, read, only))
        _compact(opened.database.path)
        kept, freed = len(read) - len(only), max(0, before - _size(opened))
        return Forgotten(run=run, calls=usage.calls, sources=sources, chars=chars, kept=kept, bytes=freed)


# Looking


def _newest(journal: Journal) -> list[Account]:
    asked = (one for one in journal.accounts() if journal.record(one.run, "task", ""))  # and no memory or account
    return sorted(asked, key=lambda account: (account.begun, account.run), reverse=True)


def _account(journal: Journal, name: str, store: str | Path | None) -> Account:
    known = _newest(journal)
    found = known[:1] if name == LAST else [account for account in known if account.run == name]
    found = found or [account for account in known if name and account.run.startswith(name)]
    if not found:
        raise NoSuchRun(f"{shown(store)} holds no run {name}: check the id, or name another --store")
    if len(found) > 1:
        some = ", ".join(account.run for account in found[:_MOST_NAMED])
        more = ", …" if len(found) > _MOST_NAMED else ""
        raise UsageError(f"{len(found)} runs begin with {name} ({some}{more}): give more of the id")
    return found[0]


def _run(journal: Journal, account: Account) -> Run:
    run = account.run
    record = journal.record(run, "task", "")
    session, answer = journal.latest(run, "session"), journal.latest(run, "answer")
    body = session.body if session is not None else record.body.get("settings", {}) if record is not None else {}
    status, why = status_of(journal, run, session, answer)
    done, planned = _progress(journal, run)
    return Run(
        id=run,
        status=status,
        why=why,
        task=task_of(record),
        model=redact_text(body.get("model") or ""),
        reader=redact_text(body.get("reader") or body.get("model") or ""),
        slices_done=done,
        slices_planned=planned,
        usage=account.usage,
        begun=account.begun,
        last=account.last,
    )


def status_of(
    journal: Journal, run: str, session: Record | None, answer: Record | None
) -> tuple[RunStatus, str | None]:
    """How a run stands, and why it is partial: by its last session and its last answer."""
    ended = answer is not None and (session is None or session.key == answer.key)
    if answer is not None and ended:
        status: RunStatus = answer.body["status"]
        why = "slices failed" if status == "partial" else None
        return status, redact_text(answer.body["stopped"] or "") or why
    if not journal.held(run):
        return "interrupted", None
    return ("paused" if _is_paused(journal, run, session) else "running"), None


def _is_paused(journal: Journal, run: str, session: Record | None) -> bool:
    """Whether the last that was asked of it this time was to pause."""
    asked = journal.latest(run, "request")
    if asked is None or session is None or asked.seq < session.seq:
        return False
    ends = [record for record in journal.records(run, "request") if record.body["what"] != "cancel"]
    return bool(ends) and ends[-1].body["what"] == "pause" and ends[-1].seq > session.seq


def _waiting(run: str, store: str | Path | None) -> int:
    with suppress(StoreError), closing(open_mailbox(store)) as mailbox:
        return len(mailbox.waiting(run))
    return 0


def _progress(journal: Journal, run: str) -> tuple[int, int]:
    """Slices that are done, and all that there are: halves take the place of one that was too long, and come to
    one whose reader had more to say."""
    planned = sum(len(record.body["slices"]) for record in journal.records(run, "plan"))
    planned += journal.count(run, "slice")
    planned += journal.count(run, "split") + 2 * journal.count(run, "closer")
    done = journal.count(run, "report")
    done += sum(len(record.body["slices"]) for record in journal.records(run, "unmatched"))
    return done, max(planned, done)  # older versions kept no plans


def _plan(journal: Journal, run: str) -> PlanAccount | None:
    from swarm.coordinator.work.account import account_of

    return account_of(journal, run)


def task_of(record: Record | None) -> Task | None:
    from swarm.coordinator.records import TASK

    try:
        return TASK.validate_python(record.body["task"]) if record is not None else None
    except ValidationError:  # another version's
        return None


def _answer(record: Record) -> Answer | None:
    from swarm.coordinator.records import ANSWER

    try:
        answer = ANSWER.validate_python(record.body)
    except ValidationError:
        return None
    failures = tuple(replace(one, reason=redact_text(one.reason)) for one in answer.failures)
    return replace(answer, stopped=redact_text(answer.stopped or "") or None, failures=failures)


def session_of(record: Record) -> Session:
    body: dict[str, Any] = record.body
    return Session(
        at=record.at,
        model=redact_text(body["model"]),
        reader=redact_text(body["reader"]),
        concurrency=body.get("concurrency"),
        places=body.get("places"),
        window=body.get("window"),
        base_url=redact_text(body["base_url"]) if body.get("base_url") else None,
        limits=_LIMITS.validate_python(body["limits"]),
        host=body.get("host", ""),
    )


def _failures(journal: Journal, run: str) -> Iterator[tuple[str, str]]:
    """The last reason of each slice that failed and was not done since."""
    from swarm.coordinator.steering import CANCELLED

    dropped = {}
    for record in journal.records(run, "dropped"):
        if record.body["reason"] == CANCELLED:
            dropped[record.key] = CANCELLED
    settled = {*journal.keys(run, "report"), *journal.keys(run, "split"), *dropped}
    reasons = {record.key.partition(":")[0]: record.body["failure"] for record in journal.records(run, "failure")}
    yield from ((slice_, redact_text(reason)) for slice_, reason in reasons.items() if slice_ not in settled)
    yield from dropped.items()


# Forgetting


def _sources(journal: Journal, run: str) -> tuple[set[str], set[str]]:
    """The sources that this run reads, and those of them that no other does. A run of an older version does not
    tell what it reads: as long as there is one, nothing is taken to be unread."""
    from swarm.coordinator.records import corpus_of

    own = corpus_of(journal, run)
    ids = {source.id for source in own.sources} if own is not None else set()
    ids |= set(journal.keys(run, "kept"))
    only = set(ids)
    for account in journal.accounts():
        if account.run == run or not only:
            continue
        corpus = corpus_of(journal, account.run)
        if corpus is not None:
            only -= {source.id for source in corpus.sources}
            only -= set(journal.keys(account.run, "kept"))
        elif journal.keys(account.run, "report"):
            only.clear()
    return ids, only


def _clear(connection: apsw.Connection, run: str, read: set[str], only: set[str]) -> tuple[int, int]:
    """Take a run's graph, and the text of what `only` it read, out of a store's file: characters and sources that
    went. What is remembered of files goes too, and with it their paths: they are looked at anew."""
    from swarm.graph.rows import delete_graph
    from swarm.store.intake import clear_all

    for (num,) in list(connection.execute("SELECT num FROM graphs WHERE run = ?", (run,))):
        delete_graph(connection, num)
    chars = count = 0
    for id_ in only:
        for num, length in list(connection.execute("SELECT num, chars FROM sources WHERE id = ?", (id_,))):
            connection.execute("UPDATE sources SET complete = 0 WHERE num = ?", (num,))
            clear_all(connection, [num])
            chars, count = chars + length, count + 1
    connection.execute("DELETE FROM files WHERE source IS NULL")
    connection.executemany("DELETE FROM files WHERE source = ?", [(id_,) for id_ in read])
    for index in _INDEXES:  # what was deleted stays among the words of an index until its parts are merged
        connection.execute(f"INSERT INTO {index} ({index}) VALUES ('optimize')")  # noqa: S608 - names from above
    return chars, count


def _compact(path: Path) -> None:
    """Write the file anew, without what was deleted. The caller has the store for itself."""
    import apsw

    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _size(store: Store) -> int:
    path = store.database.path
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
