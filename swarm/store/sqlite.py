"""The journal in the store's own file: a record and what follows from it are one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from typing import Any

import apsw

from swarm.models.base import Completion
from swarm.store.claims import Lease
from swarm.store.database import Database
from swarm.store.journal import (
    Account,
    Begun,
    Call,
    Entry,
    Intent,
    Outcome,
    Projection,
    Record,
    from_bytes,
    to_bytes,
    to_json,
)
from swarm.store.sqlite_rows import (
    ASKED,
    REPLY,
    begin,
    counts,
    end,
    forget,
    note,
    number_of,
    number_under,
    reply_of,
    settle_lost,
    usage_of,
)
from swarm.task import Usage

# Texts go in and come out as bytes: apsw refuses half of a surrogate pair, which a file's name or reply may hold.
_RECORDS = (
    "SELECT seq, kind, CAST(key AS BLOB), at, CAST(body AS BLOB) FROM records "
    "WHERE run = (SELECT num FROM runs WHERE id = ?)"
)
_BY_SEQ = (
    "SELECT seq, kind, CAST(key AS BLOB), at, CAST(body AS BLOB) FROM records "
    "WHERE seq IN (SELECT value FROM json_each(?))"
)
_PAGE = 2_000  # records
_USAGE = "sum(calls), sum(input_tokens), sum(output_tokens), sum(cached_tokens), sum(cost_usd)"


class SqliteJournal:
    """See `swarm.store.journal.Journal`. The database is locked for one process, so whoever opened it for writing
    holds every run in it. `clock` gives seconds since the epoch."""

    apart = False
    begins_late = True

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock
        self._nums: dict[str, int] = {}
        self._holding: set[str] = set()
        self._lease: Lease | None = None

    def under(self, lease: Lease) -> SqliteJournal:
        fenced = copy(self)
        fenced._lease = lease
        return fenced

    async def append(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        self._known(run)
        await self._database.write(self._insertion(run, entries, also))

    def append_sync(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        self._database.write_sync(self._insertion(run, entries, also))

    def _insertion(
        self, run: str, entries: tuple[Entry, ...], also: Projection | None
    ) -> Callable[[apsw.Connection], None]:
        at = self._clock()
        rows = [(entry.kind, to_bytes(entry.key), at, to_bytes(to_json(entry.body))) for entry in entries]

        def insert(connection: apsw.Connection) -> None:
            num = self._num(connection, run)
            for row in rows:
                connection.execute(
                    "INSERT INTO records (run, kind, key, at, body) "
                    "VALUES (?, ?, CAST(? AS TEXT), ?, CAST(? AS TEXT)) ON CONFLICT DO NOTHING",
                    (num, *row),
                )
            if also is not None:
                also(connection)

        return insert

    def _num(self, connection: apsw.Connection, run: str) -> int:
        """The number of a run, which may be written to. It is not remembered before it is durable."""
        lease = self._lease
        if lease is not None and lease.run == run:
            return number_under(connection, lease, self._clock())
        return self._nums.get(run) or number_of(connection, run)

    def _known(self, run: str) -> int | None:
        if run not in self._nums:
            for (num,) in self._database.read("SELECT num FROM runs WHERE id = ?", (run,)):
                self._nums[run] = num
        return self._nums.get(run)

    def records(self, run: str, kind: str) -> Iterator[Record]:
        """Their bodies are read as they are taken: of a kind there may be a million."""
        sql = "SELECT seq FROM records WHERE run = ? AND kind = ?"
        seqs = sorted(seq for (seq,) in self._database.read(sql, (self._known(run), kind)))
        for start in range(0, len(seqs), _PAGE):
            some = json.dumps(seqs[start : start + _PAGE])
            yield from self._read(run, f"{_BY_SEQ} ORDER BY seq", (some,))

    def history(self, run: str) -> Iterator[Record]:
        return self._read(run, f"{_RECORDS} ORDER BY seq", (run,))

    def record(self, run: str, kind: str, key: str) -> Record | None:
        sql = f"{_RECORDS} AND kind = ? AND key = CAST(? AS TEXT)"
        return next(self._read(run, sql, (run, kind, to_bytes(key))), None)

    def latest(self, run: str, kind: str) -> Record | None:
        return next(self._read(run, f"{_RECORDS} AND kind = ? ORDER BY seq DESC LIMIT 1", (run, kind)), None)

    def _read(self, run: str, sql: str, parameters: tuple[str | bytes, ...]) -> Iterator[Record]:
        for seq, kind, key, at, body in self._database.read(sql, parameters):
            yield Record(seq=seq, run=run, kind=kind, key=from_bytes(key), at=at, body=json.loads(body))

    def since(self, run: str, seq: int, *, bodies: Collection[str] = (), limit: int = 10_000) -> list[Record]:
        sql = (
            "SELECT seq, kind, CAST(key AS BLOB), at, CASE WHEN kind IN (SELECT value FROM json_each(?)) "
            "THEN CAST(body AS BLOB) ELSE '{}' END FROM records WHERE seq > ? AND run = ? ORDER BY seq LIMIT ?"
        )
        rows = self._database.read(sql, (json.dumps(list(bodies)), seq, self._known(run), limit))
        return [
            Record(seq=seq, run=run, kind=kind, key=from_bytes(key), at=at, body=json.loads(body))
            for seq, kind, key, at, body in rows
        ]

    def calls(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Call]:
        return self._calls("seq > ? AND run = ? ORDER BY seq LIMIT ?", (seq, self._known(run), limit))

    def tried_again(self, run: str, calls: Collection[int]) -> list[Call]:
        of_them = "seq IN (SELECT value FROM json_each(?)) AND run = ? AND tries > 1 ORDER BY seq"
        return self._calls(of_them, (json.dumps(list(calls)), self._known(run)))

    def _calls(self, which: str, parameters: tuple[Any, ...]) -> list[Call]:
        sql = (
            "SELECT seq, hex(key), CAST(asker AS BLOB), model, kind, room, tokens, cost_usd, begun, tries "  # noqa: S608
            f"FROM calls WHERE {which}"
        )
        return [
            Call(
                seq=seq, key=key.lower(), asker=from_bytes(asker), model=model, kind=kind, window=window,
                tokens=tokens, cost_usd=cost_usd, begun=begun, tries=tries,
            )
            for seq, key, asker, model, kind, window, tokens, cost_usd, begun, tries in self._database.read(
                sql, parameters
            )
        ]  # fmt: skip

    def outcomes(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Outcome]:
        sql = (
            "SELECT seq, call, begun, at, CAST(failure AS BLOB), refusal IS NOT NULL, calls, input_tokens, "
            "output_tokens, cached_tokens, cost_usd FROM outcomes WHERE seq > ? AND run = ? ORDER BY seq LIMIT ?"
        )
        return [
            Outcome(
                seq=seq, call=call, begun=begun, at=at, usage=usage_of(sums), refused=bool(refused),
                failure=None if failure is None else from_bytes(failure),
            )
            for seq, call, begun, at, failure, refused, *sums in self._database.read(
                sql, (seq, self._known(run), limit)
            )
        ]  # fmt: skip

    def keys(self, run: str, kind: str) -> list[str]:
        sql = "SELECT CAST(key AS BLOB) FROM records WHERE run = ? AND kind = ? ORDER BY seq"
        return [from_bytes(key) for (key,) in self._database.read(sql, (self._known(run), kind))]

    def count(self, run: str, kind: str) -> int:
        sql = "SELECT count(*) FROM records WHERE run = ? AND kind = ?"
        return int(self._database.read(sql, (self._known(run), kind))[0][0])

    async def begin_call(self, intent: Intent) -> Begun:
        self._known(intent.run)
        row = self._row(intent)

        def insert(connection: apsw.Connection) -> Begun:
            return begin(connection, self._num(connection, intent.run), row)

        return await self._database.write(insert)

    def _row(self, intent: Intent) -> tuple[Any, ...]:
        begun = self._clock() if intent.begun is None else intent.begun
        lease = self._lease.epoch if self._lease is not None and self._lease.run == intent.run else None
        return (
            bytes.fromhex(intent.key), intent.model, intent.kind, intent.tokens, intent.cost_usd, begun,
            to_bytes(intent.asker), intent.window, lease,
        )  # fmt: skip

    async def finish_call(self, run: str, key: str, completion: Completion, intent: Intent | None = None) -> None:
        refusal = None if completion.refusal is None else to_bytes(completion.refusal)
        await self._outcome(run, key, (to_bytes(completion.text), refusal, None), completion.usage, intent)

    async def fail_call(self, run: str, key: str, reason: str, usage: Usage) -> None:
        await self._outcome(run, key, (None, None, to_bytes(reason)), usage)

    async def _outcome(
        self, run: str, key: str, said: tuple[bytes | None, ...], usage: Usage, intent: Intent | None = None
    ) -> None:
        row = (*said, *counts(usage), self._clock(), bytes.fromhex(key))
        begun = None if intent is None else self._row(intent)

        def insert(connection: apsw.Connection) -> None:
            num = self._num(connection, run)
            if begun is not None:
                note(connection, num, begun)
            if not end(connection, num, row):
                raise LookupError(f"run {run} did not begin the call {key}")

        await self._database.write(insert)

    async def finished_call(self, key: str) -> Completion | None:
        name = (bytes.fromhex(key),)
        if not self._database.read(ASKED, name):
            return None  # as for nearly all calls: to say so is a sixth of the work
        for row in self._database.read(REPLY, name):
            return reply_of(row)
        return None

    def failed_calls(self, run: str) -> dict[str, str]:
        sql = (
            "SELECT hex(key), CAST(failure AS BLOB) FROM outcomes JOIN calls ON calls.seq = outcomes.call "
            "WHERE outcomes.run = ? AND failure IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM calls AS same JOIN outcomes AS other ON other.call = same.seq "
            "WHERE same.key = calls.key AND other.reply IS NOT NULL) ORDER BY outcomes.seq"
        )
        return {key.lower(): from_bytes(reason) for key, reason in self._database.read(sql, (self._known(run),))}

    async def settle_lost(self, run: str) -> Usage:
        at = self._clock()

        return await self._database.write(
            lambda connection: settle_lost(connection, self._num(connection, run), at)
        )

    def spent(self, run: str) -> Usage:
        sql = f"SELECT {_USAGE} FROM outcomes WHERE run = ?"  # noqa: S608
        return usage_of(self._database.read(sql, (self._known(run),))[0])

    def accounts(self) -> list[Account]:
        usages = {
            num: usage_of(sums)
            for num, *sums in self._database.read(
                f"SELECT run, {_USAGE} FROM outcomes GROUP BY run"  # noqa: S608
            )
        }
        sql = "SELECT num, id, min(at), max(at) FROM records JOIN runs ON runs.num = records.run GROUP BY num"
        return [
            Account(run=id_, begun=begun, last=last, usage=usages.get(num, Usage()))
            for num, id_, begun, last in self._database.read(sql)
        ]

    def hold(self, run: str) -> int:
        """The file is locked for this process, and every run in it; that it is at this one is noted for others."""
        self._holding.add(run)
        self._database.write_later(
            lambda connection: connection.execute("INSERT OR IGNORE INTO at_work VALUES (?)", (run,))
        )
        return 0  # while the file is open nobody else takes any

    def let_go(self, run: str) -> None:
        if run in self._holding:
            self._holding.discard(run)
            self._database.write_later(
                lambda connection: connection.execute("DELETE FROM at_work WHERE run = ?", (run,))
            )

    def held(self, run: str) -> bool:
        if self._database.ours:
            return run in self._holding
        noted = self._database.read("SELECT 1 FROM at_work WHERE run = ?", (run,))
        return bool(noted) and self._database.locked()

    async def forget(self, run: str) -> None:
        def delete(connection: apsw.Connection) -> None:
            num = self._num(connection, run)
            connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is not left in free pages
            forget(connection, num)
            connection.execute("DELETE FROM at_work WHERE run = ?", (run,))
            connection.execute("PRAGMA secure_delete = FAST")

        await self._database.write(delete)
        self._nums.pop(run, None)
        self._holding.discard(run)

    def erase(
        self, run: str, records: Sequence[tuple[str, str]], *entries: Entry, also: Projection | None = None
    ) -> None:
        names = [(kind, to_bytes(key)) for kind, key in records]
        insert = self._insertion(run, entries, also)

        def change(connection: apsw.Connection) -> None:
            connection.execute("PRAGMA secure_delete = ON")
            num = self._num(connection, run)
            for name in names:
                connection.execute(
                    "DELETE FROM records WHERE run = ? AND kind = ? AND key = CAST(? AS TEXT)", (num, *name)
                )
            insert(connection)
            connection.execute("PRAGMA secure_delete = FAST")

        self._database.write_sync(change)

    def close(self) -> None:
        """The database belongs to whoever opened it."""
