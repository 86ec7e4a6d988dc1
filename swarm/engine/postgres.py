"""The engine of many machines: PgQueuer, a queue in a PostgreSQL database, in the schema `swarm_queue`.

Nothing else of Swarm knows PgQueuer. What is used of it is its queue: tables, statements, notifications and their
upgrades (`Queries`). Its loop (`QueueManager.run`) is not: it forgets what is cancelled, holds a place until a
buffer of acknowledgements is flushed, needs two places at the least, and ends with its connection. Here a place is
taken as long as a handler is at it and no longer, whatever becomes of the connection meanwhile.

What a process was given is another's once it has been silent for `heartbeat_seconds`. It knows no slices.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from tenacity import AsyncRetrying, retry_if_exception, wait_random_exponential

from swarm.engine.base import Handler
from swarm.errors import StoreError
from swarm.observe.log import get_logger
from swarm.store.postgres_holds import application
from swarm.store.postgres_link import LASTING, PATIENCE_SECONDS, SETTINGS, shown, told, translated

if TYPE_CHECKING:
    from pgqueuer.adapters.persistence.queries import Queries
    from pgqueuer.domain.models import Job
    from pgqueuer.domain.settings import DBSettings
    from psycopg import AsyncConnection

T = TypeVar("T")

log = get_logger("engine")

_SCHEMA = _CHANNEL = "swarm_queue"
_SLICE = "slice"  # what PgQueuer calls an entry point
_AT_ONCE = 1_000  # references in one statement
_LOOK_SECONDS = 2.0  # at the most until it looks by itself for what no notification told of
_FIRST_SECONDS, _MOST_SECONDS = 0.2, 10.0  # until what failed is delivered again, doubled each time
_LOGGED = 20_000  # references whose log is kept, three lines each
_LETTING_GO_SECONDS = 5.0
# by what the server knows of a table that was just filled it would sort all that waits to find the first few of it
_OURS = (*SETTINGS, "SET enable_sort = off")
_MISSING = {
    "3F000", "42P01", "42704", "42883", "42P10",  # a schema, table, type, function, index is not there (yet)
    "0A000", "XX000",  # it was made anew, and a prepared statement still means the old one
}  # fmt: skip


class PostgresEngine:
    """See `swarm.engine.base.Engine`. It connects when it is first used, and one event loop uses it.

    `places` is how many references are served at once. `patience_seconds` is how long a server that is gone is
    waited for; what is served goes on meanwhile.
    """

    def __init__(
        self,
        url: str,
        places: int,
        *,
        heartbeat_seconds: float = 30.0,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.places = places
        self._url, self._heartbeat, self._patience = url, heartbeat_seconds, patience_seconds
        self._id: Any = uuid4()
        self._one = asyncio.Lock()
        self._wake = asyncio.Event()
        self._connection: AsyncConnection | None = None
        self._queries: Queries | None = None
        self._known = False  # it was reached once
        self._gone: float | None = None  # since when it is not
        self._running: dict[int, Job] = {}
        self._ended: list[tuple[Job, float | None]] = []  # and in how many seconds each is delivered again
        self._logged = 0
        self._serving = self._draining = self._closed = False

    async def submit(self, refs: Sequence[str]) -> None:
        for start in range(0, len(refs), _AT_ONCE):
            await self._do(partial(_enqueue, refs=refs[start : start + _AT_ONCE]))

    async def cancel(self, refs: Sequence[str]) -> None:
        await self._do(partial(_remove, refs=refs))

    def free_slots(self) -> int:
        return 0 if self._draining else max(0, self.places - len(self._running))

    def drain(self) -> None:
        self._draining = True
        self._wake.set()

    async def close(self) -> None:
        self._closed = True
        self._wake.set()
        await self._disconnect()

    async def serve(self, handler: Handler) -> None:
        if self._serving:
            raise RuntimeError("the engine serves already")
        self._serving = True
        try:
            if not self._draining:
                await self._do(_prune)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listen())
                await self._deliver(group, handler)
                listening.cancel()
        except BaseExceptionGroup as errors:
            await self._let_go()
            raise errors.exceptions[0] from None
        except BaseException:
            await self._let_go()
            raise
        finally:
            self._running.clear()  # what was cancelled before it began could not take itself out
            self._serving = False

    async def _deliver(self, group: asyncio.TaskGroup, handler: Handler) -> None:
        """Until it is drained: acknowledge what has ended, tell that what is served lives, take more."""
        beat = monotonic() + self._heartbeat / 3
        while True:
            self._wake.clear()
            await self._settle()
            if self._draining and not self._running and not self._ended:
                return
            if monotonic() >= beat:
                beat = monotonic() + self._heartbeat / 3
                await self._tell()
            if free := self.free_slots():
                for job in await self._take(free):
                    if job.id not in self._running:  # our own, where we were late to tell that it lives
                        self._running[job.id] = job
                        group.create_task(self._work(job, handler))
            look = random.uniform(0.5, 1.0) * _LOOK_SECONDS  # noqa: S311
            with suppress(TimeoutError):
                async with asyncio.timeout(min(look, max(0.0, beat - monotonic()))):
                    await self._wake.wait()

    async def _tell(self) -> None:
        """What is served lives."""
        if ids := list(self._running):
            await self._do(partial(_beat, ids=ids))
        if self._logged >= _LOGGED:
            self._logged = 0
            await self._do(_prune)

    async def _take(self, most: int) -> list[Job]:
        from pgqueuer.ports.repository import EntrypointExecutionParameter

        entry: Any = {_SLICE: EntrypointExecutionParameter(concurrency_limit=0)}
        silent = timedelta(seconds=self._heartbeat)
        return await self._do(
            lambda queries: queries.dequeue(
                batch_size=most,
                entrypoints=entry,
                queue_manager_id=self._id,
                global_concurrency_limit=None,
                heartbeat_timeout=silent,
            )
        )

    async def _work(self, job: Job, handler: Handler) -> None:
        ref = (job.payload or b"").decode(errors="replace")
        again: float | None = min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** min(job.attempts, 30))
        try:
            await handler(ref)
            again = None
        except Exception as error:
            log.warning("delivered again", ref=ref, reason=f"{type(error).__name__}: {error}", seconds=again)
        finally:
            del self._running[job.id]
            self._ended.append((job, again))
            self._wake.set()

    async def _settle(self) -> None:
        """Acknowledge what was served, and put back what is to be delivered again. Where that breaks off it is
        done once more, which at the worst delivers something twice."""
        ended, self._ended = self._ended, []
        try:
            await self._acknowledge([job for job, again in ended if again is None])
            for job, again in ended:
                if again is not None:
                    await self._do(partial(_put_back, job=job, seconds=again))
                    asyncio.get_running_loop().call_later(again, self._wake.set)
        except BaseException:
            self._ended = ended + self._ended
            raise

    async def _acknowledge(self, jobs: list[Job]) -> None:
        if jobs:
            await self._do(partial(_finish, jobs=jobs))
            self._logged += len(jobs)

    async def _let_go(self) -> None:
        """Of all that was given to us and is not done: others may have it at once."""
        ended, self._ended = self._ended, []
        with suppress(Exception):
            async with asyncio.timeout(_LETTING_GO_SECONDS):
                await self._acknowledge([job for job, again in ended if again is None])
                await self._do(partial(_release, holder=self._id))

    async def _listen(self) -> None:
        """Wake up when something was submitted. Without this, it is seen a little later."""
        from psycopg import Error
        from psycopg.sql import SQL, Identifier

        while True:
            with suppress(Error):
                connection = await self._connect("-queue-ear")
                try:
                    await connection.execute(SQL("LISTEN {}").format(Identifier(_CHANNEL)))
                    self._wake.set()  # for what came before
                    async for note in connection.notifies():
                        if '"delete"' not in note.payload:  # an acknowledgement, of whomever
                            self._wake.set()
                finally:
                    await connection.close()
            await asyncio.sleep(random.uniform(0.5, 1.0) * _LOOK_SECONDS)  # noqa: S311

    # The connection

    async def _do(self, work: Callable[[Queries], Awaitable[T]]) -> T:
        """What `work` returns. Where the connection breaks, or the tables are gone, they are made again and it is
        done again."""
        with translated(self._url):
            async with self._one:
                try:
                    came = await self._once(work)
                except Exception as error:
                    if not self._known or not _passes(error):
                        raise
                    log.info("server gone", reason=told(error, self._url))
                    came = await self._in_time(work)
                self._gone = None
                return came

    async def _in_time(self, work: Callable[[Queries], Awaitable[T]]) -> T:
        since = self._gone = self._gone or monotonic()
        again = AsyncRetrying(
            retry=retry_if_exception(_passes),
            stop=lambda _: self._closed or monotonic() - since > self._patience,
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            reraise=True,
        )
        try:
            return await again(self._once, work)
        except Exception as error:
            if not _passes(error):
                raise
            raise StoreError(
                f"{shown(self._url)} cannot be reached any more ({told(error, self._url)}): "
                "what was finished is kept; begin again when the server is back"
            ) from None

    async def _once(self, work: Callable[[Queries], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreError("the engine is closed")
        if self._connection is None or self._connection.closed or self._queries is None:
            await self._open()
        assert self._queries is not None
        try:
            return await work(self._queries)
        except Exception as error:
            if getattr(error, "sqlstate", None) in _MISSING:
                await self._disconnect()
            raise

    async def _open(self) -> None:
        connection = await self._connect("-queue")
        try:
            queries = _queries(connection)
            if (await queries.plan_upgrade()).statements:
                await queries.upgrade()  # one process at a time; it plans again
                await queries.optimize_autovacuum()
        except BaseException:
            await connection.close()
            raise
        self._connection, self._queries, self._known = connection, queries, True

    async def _connect(self, role: str) -> AsyncConnection:
        from psycopg import AsyncConnection

        connection = await AsyncConnection.connect(
            self._url, autocommit=True, application_name=application(role), **LASTING
        )
        try:
            await connection.execute("; ".join(_OURS))
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _disconnect(self) -> None:
        connection, self._connection, self._queries = self._connection, None, None
        if connection is not None:
            await connection.close()


# What is said to PgQueuer


@cache
def _settings() -> DBSettings:
    """Where its tables are. The environment has no say in it: all machines have to mean the same ones."""
    from pgqueuer.domain.settings import DBSettings, Durability
    from pgqueuer.domain.types import Channel

    class Ours(DBSettings):
        @classmethod
        def settings_customise_sources(cls, *_: Any, init_settings: Any, **__: Any) -> Any:  # type: ignore[override]
            return (init_settings,)

    # its log, which nobody reads, is not flushed
    return Ours(db_schema=_SCHEMA, channel=Channel(_CHANNEL), durability=Durability.balanced)


def _queries(connection: AsyncConnection) -> Queries:
    try:
        from pgqueuer.adapters.drivers.psycopg import PsycopgDriver
        from pgqueuer.adapters.persistence import qb
        from pgqueuer.adapters.persistence.queries import Queries
    except ImportError:
        raise StoreError("runs on many machines need more: pip install 'swarm-memory[postgres]'") from None
    ours = _settings()
    return Queries(
        PsycopgDriver(connection),
        qbe=qb.QueryBuilderEnvironment(ours),
        qbq=qb.QueryQueueBuilder(ours),
        qbs=qb.QuerySchedulerBuilder(ours),
    )


async def _enqueue(queries: Queries, refs: Sequence[str]) -> None:
    entries, priorities = [_SLICE] * len(refs), [0] * len(refs)
    payloads: list[bytes | None] = [ref.encode() for ref in refs]
    await queries.enqueue(entries, payloads, priorities, dedupe_key=list(refs), on_conflict="skip")


async def _remove(queries: Queries, refs: Sequence[str]) -> None:
    table = _settings().qualified.queue_table
    sql = f"DELETE FROM {table} WHERE dedupe_key = ANY($1) AND status = 'queued'"  # noqa: S608
    await queries.driver.execute(sql, list(refs))


async def _beat(queries: Queries, ids: list[Any]) -> None:
    await queries.update_heartbeat(ids)


async def _finish(queries: Queries, jobs: list[Job]) -> None:
    await queries.log_jobs([(job, "successful", None) for job in jobs])


async def _put_back(queries: Queries, job: Job, seconds: float) -> None:
    await queries.retry_job(job, timedelta(seconds=seconds), None)


async def _release(queries: Queries, holder: Any) -> None:
    from pgqueuer.domain.models import TableChangedEvent, utc_now

    table = _settings().qualified.queue_table
    await queries.driver.execute(
        f"UPDATE {table} SET status = 'queued', queue_manager_id = NULL, execute_after = now(), updated = now() "  # noqa: S608
        "WHERE queue_manager_id = $1 AND status = 'picked'",
        holder,
    )
    changed = TableChangedEvent(
        channel=_settings().channel,
        operation="update",  # of which its trigger says nothing
        sent_at=utc_now(),
        table=_settings().queue_table,
        type="table_changed_event",
    )
    await queries.driver.notify(_CHANNEL, changed.model_dump_json())


async def _prune(queries: Queries) -> None:
    """Empty the log of what was queued, picked and done, unless somebody reads it or we may not."""
    from psycopg.errors import InsufficientPrivilege, LockNotAvailable

    truncate = queries.qbq.build_truncate_log_query()
    with suppress(InsufficientPrivilege, LockNotAvailable):
        await queries.driver.execute(f"SET LOCAL lock_timeout = '200ms'; {truncate}")


def _passes(error: BaseException) -> bool:
    """Whether it may go better with another connection, and the tables made where they are missing."""
    from psycopg import InterfaceError, OperationalError

    return isinstance(error, OperationalError | InterfaceError) or getattr(error, "sqlstate", None) in _MISSING
