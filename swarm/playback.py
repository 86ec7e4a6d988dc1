"""Run a run again from its journal, with no network, and hold every record that comes of it to the recorded one.

The phases are those of a run, one after another for each time that it began or went on. What a model said is taken
from the journal, and so is what cannot be worked out again: the order in which slices finished, what did not fit a
window, why calls failed and where a limit or a stop came. All else is worked out: slices, prompts, reports,
verdicts, summaries, the graph and the answer. So a replay tells whether this version of Swarm makes of the same
replies what the recorded one made, and a recorded run is a test.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter

from swarm.coordinator.recorded import Ended, Played, Session
from swarm.errors import (
    CallFailed,
    LimitReached,
    PromptTooLong,
    Refused,
    ReplayDiffers,
    RunError,
    SourceError,
    StoreError,
)
from swarm.limits.budget import Budget
from swarm.limits.gate import Gate
from swarm.limits.rates import Rates
from swarm.models.base import Completion
from swarm.models.told import Told
from swarm.program import Program
from swarm.prompts.typed import Prompt
from swarm.store.claims import Lease
from swarm.store.cuts import Cuts
from swarm.store.database import Database
from swarm.store.journal import Account, Call, Entry, Intent, Outcome, Projection, Record, to_json
from swarm.store.library import Library
from swarm.store.opening import Store, open_store
from swarm.store.sqlite import SqliteJournal
from swarm.task import Answer, Limits, Usage

_LIMITS: TypeAdapter[Limits] = TypeAdapter(Limits)
_INPUTS = {"task", "session", "corpus", "room", "pairs", "removal", "instruction", "request", "tool", "ran"}
_INPUTS |= {"landing", "landed", "tools", "found", "job", "posture", "placed"}
"""Kinds of records that are taken as they are: what they hold came from outside, or from the clock."""
_GIVEN = {"room", "pairs", "kept", "looked", "checked", "tool", "ran", "landed", "tools", "found"}
"""Kinds that may be looked up before the record of them is due: another slice may have been first."""
_AHEAD = {"kept", "named", "artifact"}
"""Kinds that another machine records before what became of its slice, which may be settled by a later session."""
_CARRIED = {"handoff", "checked", "looked"}
"""Kinds that another machine records while nobody coordinates the run."""
_OWN = ("elapsed_seconds", "usage", "window_peak", "window_limit")
"""What an answer tells of the run that made it, and not of what it found."""
_TOO_LONG = "it did not fit the window when it was recorded"

Seen = Callable[[str, Prompt[Any]], None]
"""Told of a prompt, by the key of its call in the journal."""


async def replay(
    run: str, store: Path | str | None = None, *, plan: Program | None = None, seen: Seen | None = None
) -> Answer:
    """Run a run again from its journal, and return its last answer, which came out the same. What the program of a
    run of work gave, with what its checks said and the answer that it wrote, is taken as recorded, unless it is
    given again as `plan`: then it is asked and compared. `seen` is told of each prompt as it is made again, with
    the key of its call.

    Raises:
        ReplayDiffers: something came out otherwise; the first record that does is named.
        StoreError: there is no such run, or it was made by a version whose journal does not tell enough.
    """
    with open_store(store, read_only=True) as opened:
        played = Played(opened.journal, run, plan)
        await _fetch_texts(opened, run)
        with tempfile.TemporaryDirectory(prefix="swarm-replay-") as folder:
            scratch = Database.open(Path(folder) / "replay.db")
            try:
                return await _play(played, opened, scratch, seen)
            finally:
                scratch.close()


async def _fetch_texts(store: Store, run: str) -> None:
    """Bring the text of a run on a server that this machine did not read. What is not there may not be needed."""
    from swarm.coordinator.records import corpus_of
    from swarm.store.texts import fetch

    corpus = corpus_of(store.journal, run)
    if store.url is not None and corpus is not None:
        library = Library(store.database)
        with suppress(SourceError):
            if not library.holds(corpus):
                await fetch(library, store.blobs, corpus.sources)


async def _play(played: Played, store: Store, scratch: Database, seen: Seen | None) -> Answer:
    from swarm.coordinator.machine import run as run_machine
    from swarm.coordinator.restore import restore
    from swarm.graph.graph import SharedGraph
    from swarm.graph.nodes import Removal

    made = SqliteJournal(scratch)
    graph = SharedGraph(scratch, played.run)
    answer: Answer | None = None
    for session in played.sessions:
        journal = _Checked(played, made, session)
        for record in session.before:
            removal = graph.change(Removal(source=record.body["source"]))
            await made.append(played.run, Entry(kind="removal", key=record.key, body=record.body), also=removal)
        desk = _desk(played, session, journal, store, scratch, graph)
        desk.gate.seen = seen
        restore(desk)
        try:
            made_now = await run_machine(desk)
            journal.check_answer(made_now)
        except Ended:
            played.carry(session, journal.left())
            continue
        finally:
            await made.append(played.run, *session.asked())
        journal.check_all_made()
        answer = made_now
    if answer is None:
        raise StoreError(f"the run {played.run} has no answer yet: go on with it first")
    return answer


def _desk(played: Played, session: Session, journal: _Checked, store: Store, scratch: Database, graph: Any) -> Any:
    from swarm.coordinator.desk import Desk
    from swarm.coordinator.records import TASK, corpus_of

    corpus = corpus_of(played.journal, played.run)
    record = played.journal.record(played.run, "task", "")
    assert record is not None
    if corpus is None:
        raise Ended
    limits = _LIMITS.validate_python(session.body["limits"])
    task = replace(TASK.validate_python(record.body["task"]), limits=limits)
    model, reader = (Told(session.body["facts"][name]) for name in ("model", "reader"))
    budget = Budget(replace(limits, cost_usd=None, tokens=None, calls=None, wall_seconds=None))
    return Desk(
        run=played.run,
        session=session.number,
        task=task,
        limits=limits,
        model=model,
        reader=reader if reader.name != model.name else model,
        library=Library(store.database),
        cuts=Cuts(scratch),
        journal=journal,
        gate=Gate(journal, played.run, budget, Rates(), 1, lambda _: None),
        emit=lambda _: None,
        concurrency=1,
        window=max(model.window, reader.window),
        clock=time.monotonic,
        began=time.monotonic(),
        corpus=corpus,
        graph=graph,
        program=played.program(session),
        recorded=played,
    )


class _Checked:
    """A journal of its own for a replay: replies come from the one that is played, every record is compared."""

    apart = False
    begins_late = False

    def __init__(self, played: Played, made: SqliteJournal, session: Session) -> None:
        self._played, self._made, self._session = played, made, session
        self._seen: set[tuple[str, str]] = set()
        self._ahead = _AHEAD if played.elsewhere else set[str]()

    async def append(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        for entry in entries:
            self._check(entry)
        await self._made.append(run, *entries, also=also)

    def append_sync(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        raise NotImplementedError

    def _check(self, entry: Entry) -> None:
        name = (entry.kind, entry.key)
        record = self._session.records.get(name)
        if record is None and self._made.record(self._played.run, *name) is not None:
            return  # its name was taken in an earlier session: what is written again changes nothing
        if record is None and entry.kind in self._ahead:
            record = self._played.given(*name)
        if record is None:
            self._missing(f"this version makes a {entry.kind} record {entry.key}, which the journal does not hold")
        if json.loads(to_json(entry.body)) != record.body:
            raise ReplayDiffers(_differs(record), record.seq)
        self._seen.add(name)

    def _missing(self, said: str) -> NoReturn:
        if self._session.answer is None:
            raise Ended
        after = self._unseen()
        raise ReplayDiffers(
            f"{said}; the journal goes on with {_named(after)}" if after else said, after.seq if after else 0
        )

    def left(self) -> list[Record]:
        """What other machines recorded in the session, and its coordinator did not live to come to."""
        if not self._played.elsewhere:
            return []
        made = ((self._made.record(self._played.run, *name), one) for name, one in self._session.records.items())
        return [record for known, record in made if known is None and record.kind in _CARRIED]

    def check_answer(self, answer: Answer) -> None:
        """Whether an answer is the recorded one."""
        from swarm.coordinator.records import ANSWER

        name = ("answer", str(self._session.number))
        record = self._session.records.get(name)
        if record is None:
            raise Ended
        made = json.loads(ANSWER.dump_json(answer))
        for key, value in json.loads(ANSWER.dump_json(ANSWER.validate_python(record.body))).items():
            if key not in _OWN and made[key] != value:
                raise ReplayDiffers(f"{_named(record)}: {key} came out otherwise", record.seq)
        self._seen.add(name)

    def check_all_made(self) -> None:
        """Whether every record of the session came out."""
        left = self._unseen()
        if left is not None:
            raise ReplayDiffers(f"{_named(left)} did not come out at all", left.seq)

    def _unseen(self) -> Record | None:
        """The first record of the session that has not come out yet."""
        left = [
            record
            for name, record in self._session.records.items()
            if name not in self._seen and name[0] not in _INPUTS | self._ahead
        ]
        return min(left, key=lambda record: record.seq, default=None)

    def under(self, lease: Lease) -> _Checked:  # noqa: ARG002
        return self

    async def begin_call(self, intent: Intent) -> NoReturn:
        """A call that has no reply: what became of it, as far as the journal tells."""
        reason = self._played.failed_calls.get(intent.key)
        if reason is not None:
            raise _error(reason)
        answer = self._session.answer
        if intent.kind in ("read", "work", "act") or (
            intent.kind == "plan" and ("plan", "1") in self._session.records
        ):
            raise PromptTooLong(_TOO_LONG)  # a repair, or a plan without advice: else the next record differs
        if answer is None:
            raise Ended
        if answer["stopped"] is not None:
            raise LimitReached(answer["stopped"], answer.get("limit") or "")
        if intent.kind in ("compare", "consolidate"):
            raise PromptTooLong(_TOO_LONG)
        self._missing(f"this version asks a {intent.kind} prompt to which the journal holds no reply")

    async def finish_call(self, run: str, key: str, completion: Completion, intent: Intent | None = None) -> None:
        """Never: nothing is sent."""

    async def fail_call(self, run: str, key: str, reason: str, usage: Usage) -> None:
        """It failed before, as the journal tells."""

    async def finished_call(self, key: str) -> Completion | None:
        return await self._played.journal.finished_call(key)

    def record(self, run: str, kind: str, key: str) -> Record | None:
        if kind in _GIVEN:
            return self._played.given(kind, key)
        return self._made.record(run, kind, key)

    def records(self, run: str, kind: str) -> Iterator[Record]:
        return self._made.records(run, kind)

    def history(self, run: str) -> Iterator[Record]:
        return self._made.history(run)

    def since(self, run: str, seq: int, *, bodies: Collection[str] = (), limit: int = 10_000) -> list[Record]:
        return self._made.since(run, seq, bodies=bodies, limit=limit)

    def calls(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Call]:
        return self._played.journal.calls(run, seq, limit=limit)

    def tried_again(self, run: str, calls: Collection[int]) -> list[Call]:
        return self._played.journal.tried_again(run, calls)

    def outcomes(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Outcome]:
        return self._played.journal.outcomes(run, seq, limit=limit)

    def keys(self, run: str, kind: str) -> list[str]:
        return self._made.keys(run, kind)

    def count(self, run: str, kind: str) -> int:
        return self._made.count(run, kind)

    def latest(self, run: str, kind: str) -> Record | None:
        return self._made.latest(run, kind)

    def failed_calls(self, run: str) -> dict[str, str]:  # noqa: ARG002
        return self._played.failed_calls

    async def settle_lost(self, run: str) -> Usage:  # noqa: ARG002
        return Usage()

    def spent(self, run: str) -> Usage:
        return self._played.journal.spent(run)

    def accounts(self) -> list[Account]:
        return []

    def hold(self, run: str) -> int:  # noqa: ARG002
        return 0

    def let_go(self, run: str) -> None:
        """Nobody waits for it."""

    def held(self, run: str) -> bool:  # noqa: ARG002
        return True

    async def forget(self, run: str) -> None:
        raise NotImplementedError

    def erase(
        self, run: str, records: Sequence[tuple[str, str]], *entries: Entry, also: Projection | None = None
    ) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """What it reads belongs to others."""


def _error(reason: str) -> RunError:
    """A failed call, as it was raised."""
    kind, _, said = reason.partition(": ")
    match kind:
        case "PromptTooLong":
            return PromptTooLong(said)
        case "Refused":
            return Refused(said)
        case "LimitReached":
            return LimitReached(said)
        case _:
            return CallFailed(said or reason)


def _differs(record: Record) -> str:
    return f"{_named(record)} came out otherwise"


def _named(record: Record) -> str:
    return f"record {record.seq} ({record.kind} {record.key or record.run})"
