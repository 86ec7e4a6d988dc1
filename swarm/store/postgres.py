"""The journal on a PostgreSQL server, for runs that several machines can reach.

Writes go through one connection on one thread, and those that are waiting are one transaction, flushed before
anybody is told. Reads and look-ups go through another. What can be rebuilt (index, graph) is in a SQLite file of
this process: a record is durable on the server first, and then follows what rests on it there.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from swarm.errors import StoreError
from swarm.models.base import Completion
from swarm.store.claims import Lease
from swarm.store.database import Database
from swarm.store.grouped import Grouped
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
from swarm.store.postgres_holds import Holds, application, held
from swarm.store.postgres_link import Link, refused, translated, upgrade
from swarm.store.postgres_pages import Pages
from swarm.store.postgres_rows import (
    SUMS,
    Rows,
    erase,
    forget,
    insert,
    portions,
    reply_of,
    settle_lost,
    sign,
    usage,
)
from swarm.task import Usage

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")
Row = tuple[Any, ...]

_PAGE = 256  # records that are read at once
_RUN = "(SELECT num FROM runs WHERE id = %s)"
_COLUMNS = "seq, kind, key, at, body"
_CALL = "seq, key, asker, model, kind, room, tokens, cost_usd, begun, tries"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Change:
    """Anything that is done to a run but adding rows, given the run's number. It is `gone` after that, or not."""

    run: str
    change: Callable[[Connection, int], Any]
    gone: bool = False


class PostgresJournal:
    """See `swarm.store.journal.Journal`. Whoever writes to a run holds it from then on, but for what is written
    under a lease."""

    apart = True
    begins_late = False

    def __init__(
        self, writing: Link, reading: Link, holds: Holds, projection: Database, clock: Callable[[], float]
    ) -> None:
        self._writing, self._reading, self._holds = writing, reading, holds
        self._projection, self._clock = projection, clock
        self._lease: Lease | None = None
        self._one_reader = threading.Lock()
        self._pages = Pages(self._read)
        self._writer: Grouped[Rows | _Change, Any] = Grouped("swarm-journal", self._write)
        self._finder: Grouped[bytes, Completion | None] = Grouped("swarm-replies", self._find)

    @classmethod
    def open(cls, url: str, projection: Database, clock: Callable[[], float] = time.time) -> PostgresJournal:
        """Open or create the journal in the schema `swarm` of the database at `url`, and upgrade it.

        `projection` holds what can be rebuilt and stays the caller's to close; `clock` gives seconds since the
        epoch.

        Raises:
            StoreError: the server cannot be reached or used, the schema is from a newer version or another
                program's, or the extra `postgres` is not installed.
        """
        name = application()
        holds = Holds(name)
        with translated(url):
            writing = Link(url, name, holds.take_again)
            try:
                upgrade(writing)
                return cls(writing, Link(url, application("-reader")), holds, projection, clock)
            except BaseException:
                writing.close()
                raise

    def under(self, lease: Lease) -> PostgresJournal:
        fenced = copy(self)
        fenced._lease = lease
        return fenced

    def _under(self, run: str) -> Lease | None:
        return self._lease if self._lease is not None and self._lease.run == run else None

    async def append(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        await self._writer.ask(self._entries(run, entries))
        if also is not None:
            await self._projection.write(also)

    def append_sync(self, run: str, *entries: Entry, also: Projection | None = None) -> None:
        self._writer.ask_sync(self._entries(run, entries))
        if also is not None:
            self._projection.write_sync(also)

    def _entries(self, run: str, entries: tuple[Entry, ...]) -> Rows:
        at = self._clock()
        rows = [(entry.kind, to_bytes(entry.key), at, _body(entry)) for entry in entries]
        size = sum(len(body) for *_, body in rows)
        return Rows(run=run, lease=self._under(run), records=rows, size=size)

    def records(self, run: str, kind: str) -> Iterator[Record]:
        sql = f"SELECT seq FROM records WHERE run = {_RUN} AND kind = %s ORDER BY seq + 0"  # noqa: S608
        return self._records(run, sql, (run, kind))

    def history(self, run: str) -> Iterator[Record]:
        sql = f"SELECT seq FROM records WHERE run = {_RUN} ORDER BY seq + 0"  # noqa: S608
        return self._records(run, sql, (run,))

    def record(self, run: str, kind: str, key: str) -> Record | None:
        sql = f"SELECT {_COLUMNS} FROM records WHERE run = {_RUN} AND kind = %s AND key = %s"  # noqa: S608
        return next(_told(run, self._read(sql, (run, kind, to_bytes(key)))), None)

    def latest(self, run: str, kind: str) -> Record | None:
        # `+ 0`: else the server may look through the records of all runs from the end for one of this kind
        where = f"WHERE run = {_RUN} AND kind = %s ORDER BY seq + 0 DESC LIMIT 1"
        return next(_told(run, self._read(f"SELECT {_COLUMNS} FROM records {where}", (run, kind))), None)  # noqa: S608

    def _records(self, run: str, sql: str, parameters: Row) -> Iterator[Record]:
        """Their numbers at once and the records page by page, so that a long run is not held in memory, and
        nothing is held at the server while the caller takes its time."""
        numbers = [number for (number,) in self._read(sql, parameters)]
        of_page = f"SELECT {_COLUMNS} FROM records WHERE seq = ANY(%s) ORDER BY seq"  # noqa: S608
        for start in range(0, len(numbers), _PAGE):
            yield from _told(run, self._read(of_page, (numbers[start : start + _PAGE],)))

    def since(self, run: str, seq: int, *, bodies: Collection[str] = (), limit: int = 10_000) -> list[Record]:
        columns = "seq, kind, key, at, CASE WHEN kind = ANY(%s) THEN body ELSE '{}' END"
        return list(_told(run, self._pages.page("records", run, seq, limit, columns, (list(bodies),))))

    def calls(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Call]:
        return _calls(self._pages.page("calls", run, seq, limit, _CALL))

    def tried_again(self, run: str, calls: Collection[int]) -> list[Call]:
        of_them = f"seq = ANY(%s) AND run = {_RUN} AND tries > 1 ORDER BY seq"
        return _calls(self._read(f"SELECT {_CALL} FROM calls WHERE {of_them}", (list(calls), run)))  # noqa: S608

    def outcomes(self, run: str, seq: int = 0, *, limit: int = 10_000) -> list[Outcome]:
        columns = (
            "seq, call, begun, at, failure, refusal IS NOT NULL, calls, input_tokens, output_tokens, "
            "cached_tokens, cost_usd"
        )
        return [
            Outcome(
                seq=seq, call=call, begun=begun, at=at, usage=usage(counts), refused=refused,
                failure=None if failure is None else from_bytes(failure),
            )
            for seq, call, begun, at, failure, refused, *counts in self._pages.page(
                "outcomes", run, seq, limit, columns
            )
        ]  # fmt: skip

    def keys(self, run: str, kind: str) -> list[str]:
        sql = f"SELECT key FROM records WHERE run = {_RUN} AND kind = %s ORDER BY seq + 0"  # noqa: S608
        return [from_bytes(key) for (key,) in self._read(sql, (run, kind))]

    def count(self, run: str, kind: str) -> int:
        sql = f"SELECT count(*) FROM records WHERE run = {_RUN} AND kind = %s"  # noqa: S608
        return int(next(iter(self._read(sql, (run, kind))))[0])

    async def begin_call(self, intent: Intent) -> Begun:
        row = (*self._row(intent), False)
        begun: Begun = await self._writer.ask(Rows(run=intent.run, lease=self._under(intent.run), calls=[row]))
        return begun

    def _row(self, intent: Intent) -> Row:
        lease = self._under(intent.run)
        return (
            bytes.fromhex(intent.key), intent.model, intent.kind, intent.tokens, float(intent.cost_usd),
            self._clock() if intent.begun is None else intent.begun, to_bytes(intent.asker), intent.window,
            None if lease is None else lease.epoch,
        )  # fmt: skip

    async def finish_call(self, run: str, key: str, completion: Completion, intent: Intent | None = None) -> None:
        refusal = None if completion.refusal is None else to_bytes(completion.refusal)
        said = (to_bytes(completion.text), refusal, None)
        await self._outcome(run, key, said, completion.usage, intent)

    async def fail_call(self, run: str, key: str, reason: str, usage: Usage) -> None:
        await self._outcome(run, key, (None, None, to_bytes(reason)), usage)

    async def _outcome(
        self, run: str, key: str, said: tuple[bytes | None, ...], usage: Usage, intent: Intent | None = None
    ) -> None:
        counts = (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens, float(usage.cost_usd))
        mark = None if said[-1] is None else secrets.randbits(63)
        row = (bytes.fromhex(key), *said, mark, *counts, self._clock())
        begun = [] if intent is None else [(*self._row(intent), True)]
        size = sum(len(text or b"") for text in said)
        await self._writer.ask(Rows(run=run, lease=self._under(run), calls=begun, outcomes=[row], size=size))

    async def finished_call(self, key: str) -> Completion | None:
        return await self._finder.ask(bytes.fromhex(key))

    def _find(self, keys: list[bytes]) -> list[Completion | None]:
        sql = (
            "SELECT key, reply, refusal, outcomes.calls, input_tokens, output_tokens, cached_tokens, "
            "outcomes.cost_usd FROM calls JOIN outcomes ON call = calls.seq "
            "WHERE key = ANY(%s) AND reply IS NOT NULL ORDER BY outcomes.seq DESC"  # the first is kept below
        )
        found = {key: reply_of(*reply) for key, *reply in self._read(sql, (keys,))}
        return [found.get(key) for key in keys]

    def failed_calls(self, run: str) -> dict[str, str]:
        sql = (
            "SELECT key, failure FROM outcomes AS failed JOIN calls ON calls.seq = failed.call "  # noqa: S608
            f"WHERE failed.run = {_RUN} AND failure IS NOT NULL AND NOT EXISTS "
            "(SELECT FROM calls AS same JOIN outcomes ON outcomes.call = same.seq "
            "WHERE same.key = calls.key AND reply IS NOT NULL) ORDER BY failed.seq"
        )
        return {key.hex(): from_bytes(reason) for key, reason in self._read(sql, (run,))}

    async def settle_lost(self, run: str) -> Usage:
        mark, at = secrets.randbits(63), self._clock()
        settled = _Change(run=run, change=lambda connection, num: settle_lost(connection, num, mark, at))
        counted: Usage = await self._writer.ask(settled)
        return counted

    def spent(self, run: str) -> Usage:
        return usage(self._read(f"SELECT {SUMS} FROM outcomes WHERE run = {_RUN}", (run,))[0])  # noqa: S608

    def accounts(self) -> list[Account]:
        sums = self._read(f"SELECT run, {SUMS} FROM outcomes GROUP BY run")  # noqa: S608
        usages = {num: usage(counts) for num, *counts in sums}
        sql = "SELECT num, id, min(at), max(at) FROM records JOIN runs ON num = run GROUP BY num ORDER BY num"
        return [
            Account(run=run, begun=begun, last=last, usage=usages.get(num, Usage()))
            for num, run, begun, last in self._read(sql)
        ]

    def hold(self, run: str) -> int:
        number: int = self._writer.ask_sync(_Change(run=run, change=lambda *_: self._holds.number(run)))
        return number

    def let_go(self, run: str) -> None:
        if run not in self._holds:
            return
        self._writer.tell(_Change(run=run, change=lambda _connection, _num: None, gone=True))

    def held(self, run: str) -> bool:
        with self._one_reader, translated(self._reading.url):
            return self._reading.run(lambda connection: held(connection, run))

    async def forget(self, run: str) -> None:
        await self._writer.ask(_Change(run=run, change=forget, gone=True))

    def erase(
        self, run: str, records: Sequence[tuple[str, str]], *entries: Entry, also: Projection | None = None
    ) -> None:
        names = [(kind, to_bytes(key)) for kind, key in records]
        added = self._entries(run, entries)
        self._writer.ask_sync(
            _Change(run=run, change=lambda connection, num: erase(connection, num, names, added.records))
        )
        if also is not None:
            self._projection.write_sync(also)

    def close(self) -> None:
        """Finish what is waiting, and let go of the runs. The projection belongs to whoever opened it."""
        self._writing.hurry()
        self._reading.hurry()
        self._writer.close()
        self._finder.close()
        self._writing.close()
        with self._one_reader:
            self._reading.close()

    def _read(self, sql: str, parameters: Row = ()) -> list[Row]:
        with self._one_reader, translated(self._reading.url):
            return self._reading.run(
                lambda connection: connection.execute(sql, parameters, binary=True).fetchall()
            )

    def _write(self, asked: list[Rows | _Change]) -> list[Any]:
        """What came of each, in order. Rows that stand together are one transaction; what is in it was asked for
        by different writers, none of whom waits for another."""
        came: list[Any] = []
        for kind, several in groupby(asked, key=type):
            if kind is Rows:
                for portion in portions([rows for rows in several if isinstance(rows, Rows)]):
                    came += self._insert(portion)
            else:
                came += [self._done(change) for change in several if isinstance(change, _Change)]
        return came

    def _insert(self, several: list[Rows]) -> list[Begun | Exception | None]:
        from psycopg import Error
        from psycopg.errors import NotNullViolation

        def work(connection: Connection) -> list[Begun | Exception | None]:
            held = self._holds.take(connection, {rows.run for rows in several if rows.lease is None})
            nums = [None if rows.lease is not None else held[rows.run] for rows in several]
            ours = [
                (num, rows) for num, rows in zip(nums, several, strict=True) if not isinstance(num, StoreError)
            ]
            came = iter(insert(connection, ours) if ours else ())
            return [num if isinstance(num, StoreError) else next(came) for num in nums]

        try:
            return self._writing.run(work)
        except Error as error:
            if len(several) == 1 and isinstance(error, NotNullViolation):
                return [
                    LookupError(f"run {several[0].run} did not begin the call {several[0].outcomes[0][0].hex()}")
                ]
            if len(several) == 1:
                return [refused(error, self._writing.url)]
            return [came for rows in several for came in self._insert([rows])]  # one does not spoil the others

    def _done(self, change: _Change) -> Any:
        from psycopg import Error

        def work(connection: Connection) -> Any:
            num = self._holds.take(connection, [change.run])[change.run]
            if isinstance(num, StoreError):
                return num
            with connection.transaction():
                sign(connection, [change.run])
                came = change.change(connection, num)
            if change.gone:
                self._holds.let_go(connection, change.run)
            return came

        try:
            return self._writing.run(work)
        except Error as error:
            return refused(error, self._writing.url)


def _calls(rows: Iterable[Row]) -> list[Call]:
    return [
        Call(
            seq=seq, key=key.hex(), asker=from_bytes(asker), model=model, kind=kind, window=window,
            tokens=tokens, cost_usd=cost_usd, begun=begun, tries=tries,
        )
        for seq, key, asker, model, kind, window, tokens, cost_usd, begun, tries in rows
    ]  # fmt: skip


def _told(run: str, rows: Iterable[Row]) -> Iterator[Record]:
    for seq, kind, key, at, body in rows:
        yield Record(seq=seq, run=run, kind=kind, key=from_bytes(key), at=at, body=json.loads(body))


def _body(entry: Entry) -> bytes:
    return entry.body if isinstance(entry.body, bytes) else to_bytes(to_json(entry.body))
