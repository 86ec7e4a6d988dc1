"""The journal: the durable, append-only record of runs, and of every model call.

A record is named by its run, its kind and a key, and is written once: appending it again changes nothing. A call
is named by what was asked of whom, is begun before it is sent and finished before anyone uses its reply; a
finished call is found again by every later run on the same store and is never paid twice. Everything else that
Swarm knows of a run can be rebuilt from here. The journal does not know what the records mean.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import apsw

from swarm.models.base import Completion
from swarm.store.database import Database
from swarm.task import Usage

Body = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One thing that happened: `at` is in seconds since the epoch, for people only."""

    run: str
    kind: str
    key: str
    at: float
    body: dict[str, Any]


class Journal:
    """The journal room of a store. `clock` gives seconds since the epoch."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    async def append(
        self,
        run: str,
        kind: str,
        key: str,
        body: Body | bytes,
        also: Callable[[apsw.Connection], None] | None = None,
    ) -> None:
        """Record something, durably once this returns. A record of the same name is left as it is.

        `body` is a mapping or, where it was serialised already, JSON. `also` is what follows from the record,
        and is written with it or not at all.
        """
        await self._database.write(self.insertion(run, kind, key, body, also))

    def insertion(
        self,
        run: str,
        kind: str,
        key: str,
        body: Body | bytes,
        also: Callable[[apsw.Connection], None] | None = None,
    ) -> Callable[[apsw.Connection], None]:
        """As `append`, to be run in a transaction of the store."""
        text = body.decode() if isinstance(body, bytes) else _json(body)
        row = (run, kind, key, self._clock(), text)

        def insert(connection: apsw.Connection) -> None:
            connection.execute(
                "INSERT INTO records (run, kind, key, at, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row
            )
            if also is not None:
                also(connection)

        return insert

    def records(self, run: str, kind: str) -> Iterator[Record]:
        """The records of one kind in a run, in the order in which they were written."""
        sql = "SELECT run, kind, key, at, body FROM records WHERE run = ? AND kind = ? ORDER BY seq"
        for name, kind_, key, at, body in self._database.read(sql, (run, kind)):
            yield Record(run=name, kind=kind_, key=key, at=at, body=json.loads(body))

    def count(self, run: str, kind: str) -> int:
        """How many records of one kind a run has."""
        sql = "SELECT count(*) FROM records WHERE run = ? AND kind = ?"
        return int(self._database.read(sql, (run, kind))[0][0])

    def record(self, run: str, kind: str, key: str) -> Record | None:
        """One record by its name, or None."""
        sql = "SELECT at, body FROM records WHERE run = ? AND kind = ? AND key = ?"
        for at, body in self._database.read(sql, (run, kind, key)):
            return Record(run=run, kind=kind, key=key, at=at, body=json.loads(body))
        return None

    async def begin_call(self, run: str, key: str, about: Body) -> None:
        """Record that a call is about to be sent. `about` holds no content: model, kind, counted tokens."""
        row = (key, run, _json(about), self._clock())

        def insert(connection: apsw.Connection) -> None:
            connection.execute(
                "INSERT INTO calls (key, run, about, begun) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row
            )

        await self._database.write(insert)

    async def finish_call(self, key: str, completion: Completion) -> None:
        """Record a reply as it came, before it is used."""
        row = (completion.text, completion.refusal, _json(asdict(completion.usage)), self._clock(), key)

        def update(connection: apsw.Connection) -> None:
            connection.execute(
                "UPDATE calls SET reply = ?, refusal = ?, usage = ?, finished = ? WHERE key = ? AND reply IS NULL",
                row,
            )

        await self._database.write(update)

    def finished_call(self, key: str) -> Completion | None:
        """The reply to a call that was finished before, by any run; None where there is none."""
        sql = "SELECT reply, refusal, usage FROM calls WHERE key = ? AND reply IS NOT NULL"
        for reply, refusal, usage in self._database.read(sql, (key,)):
            return Completion(text=reply, refusal=refusal, usage=Usage(**json.loads(usage)))
        return None

    def spent(self, run: str) -> Usage:
        """What a run has paid for so far: the sum of the calls that it finished."""
        sql = "SELECT usage FROM calls WHERE run = ? AND reply IS NOT NULL"
        total = Usage()
        for (usage,) in self._database.read(sql, (run,)):
            total += Usage(**json.loads(usage))
        return total


def _json(body: Body) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
