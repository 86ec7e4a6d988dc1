"""A run as it was recorded: its sessions, and what of them cannot be worked out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from swarm.coordinator.work.played import Ended, stand_in
from swarm.errors import StoreError
from swarm.program import Program
from swarm.store.journal import Entry, Journal, Record

__all__ = ["Ended", "Played", "Session"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One time that the run began or went on. `before` are the records between the last time and this one."""

    number: int
    body: dict[str, Any]
    before: tuple[Record, ...]
    records: dict[tuple[str, str], Record]

    def asked(self) -> list[Entry]:
        """What people asked in it, whatever came of it."""
        asked = [record for (kind, _), record in self.records.items() if kind in ("instruction", "request")]
        return [Entry(kind=one.kind, key=one.key, body=one.body) for one in sorted(asked, key=lambda one: one.seq)]

    @property
    def answer(self) -> dict[str, Any] | None:
        record = self.records.get(("answer", str(self.number)))
        return record.body if record is not None else None


class Played:
    """The journal of one run, as it is played. It tells the desk what cannot be worked out."""

    def __init__(self, journal: Journal, run: str, plan: Program | None = None) -> None:
        self.journal, self.run, self._plan = journal, run, plan
        self.sessions = list(sessions(journal, run))
        if not self.sessions:
            known = journal.record(run, "task", "") is not None
            raise StoreError(
                f"the run {run} was made by an older version, whose journal cannot be replayed"
                if known
                else f"the store holds no run {run}: check the id, or name another --store"
            )
        self.failed_calls = journal.failed_calls(run)

    @property
    def elsewhere(self) -> bool:
        """Whether slices were worked on other machines."""
        return self.journal.latest(self.run, "placed") is not None

    def carry(self, session: Session, records: list[Record]) -> None:
        """Take records of a session for such of the next one."""
        if records and session.number < len(self.sessions):
            after = self.sessions[session.number]
            carried = {(record.kind, record.key): record for record in records}
            self.sessions[session.number] = replace(after, records=carried | after.records)

    def given(self, kind: str, key: str) -> Record | None:
        """A record of a kind that is taken as it is, also before its time comes."""
        return self.journal.record(self.run, kind, key)

    def order(self, session: int) -> list[str]:
        kinds = {"report", "failure", "split", "dropped", "instruction"}
        records = sorted(self.sessions[session - 1].records.values(), key=lambda record: record.seq)
        return [record.key.partition(":")[0] for record in records if record.kind in kinds]

    def sizes(self, round_: int) -> tuple[int, int]:
        record = self.journal.record(self.run, "plan", str(round_))
        if record is None:
            raise Ended
        return record.body["most"], record.body["budget"]

    def planned(self, round_: int) -> bool:
        return self.journal.record(self.run, "plan", str(round_)) is not None

    def too_long(self, slice_: str) -> bool:
        return any(("split", slice_) in session.records for session in self.sessions)

    def failed(self, slice_: str, session: int) -> str | None:
        record = self.sessions[session - 1].records.get(("failure", f"{slice_}:{session}"))
        return record.body["failure"] if record is not None else None

    def decided(self, name: str, session: int) -> bool:
        return ("decision", name) in self.sessions[session - 1].records

    def unfinished(self, session: int) -> str | None:
        if (record := self.sessions[session - 1].records.get(("unwritten", str(session)))) is not None:
            return str(record.body["reason"])
        if (
            self.journal.latest(self.run, "planned") is not None
            or self.journal.latest(self.run, "pulled") is not None
        ):
            return None  # work: its plan may have ended it
        answer = self.sessions[session - 1].answer
        asked = (None, "interrupted", "not approved")
        if answer is None or answer["limit"] is not None or answer["stopped"] in asked:
            return None
        reason: str = answer["stopped"]  # what a failed call said: nothing else ends a run
        return reason

    def stopped(self, session: int) -> tuple[str | None, str | None]:
        answer = self.sessions[session - 1].answer
        if answer is None:
            raise Ended
        return answer["stopped"], answer["limit"]

    def instructions(self, session: int) -> list[Record]:
        records = self.sessions[session - 1].records.values()
        return sorted((one for one in records if one.kind == "instruction"), key=lambda record: record.seq)

    def cancelled(self, slice_: str, session: int) -> bool:
        return ("dropped", slice_) in self.sessions[session - 1].records

    @property
    def checks(self) -> bool:
        return self._plan is not None

    def checked(self, branch: str, number: int) -> tuple[str | None, float | None]:
        record = self.journal.record(self.run, "judged", f"{branch}:{number}")
        return (None, None) if record is None else (record.body["check"], record.body["score"])

    def claims(self, branch: str, number: int) -> int:
        record = self.journal.record(self.run, "judged", f"{branch}:{number}")
        return 0 if record is None else int(record.body["claims"])

    def records(self, session: int) -> list[Record]:
        return sorted(self.sessions[session - 1].records.values(), key=lambda record: record.seq)

    def program(self, session: Session) -> Program | None:
        """The program of a session: the one that is there again, else one that gives what was recorded."""
        record = session.records.get(("program", str(session.number)))
        if record is None or self._plan is not None:
            return self._plan if record is not None else None
        text = str((session.answer or {}).get("text", ""))
        return stand_in(record.body, self.journal.history(self.run), text)

    def marks(self, name: str, session: int) -> list[set[str]]:
        now, before = set[str](), set[str]()
        for one in self.sessions[:session]:
            found = now if one.number == session else before
            rooms = (key for kind, key in one.records if kind == "room" and key.startswith(name))
            found.update(key.removeprefix(name).partition("#")[0] for key in rooms)
        return [now, before]


def sessions(journal: Journal, run: str) -> Iterator[Session]:
    current: Session | None = None
    removals: list[Record] = []
    for record in journal.history(run):
        if record.kind == "session":
            if current is not None:
                yield current
            current = Session(number=int(record.key), body=record.body, before=tuple(removals), records={})
            removals = []
        elif record.kind == "removal":
            removals.append(record)
        elif current is not None:
            current.records[record.kind, record.key] = record
    if current is not None:
        yield current
