"""The file under the store: opened once, locked for one writer, upgraded, and written in grouped commits.

SQLite in WAL mode with `synchronous=FULL`: what `write` returned from is on the disk. Writes that are waiting
are committed together, so that a thousand slices that finish at once cost one flush. Only this module knows
apsw's errors; it does not know what the tables mean.

Grouped commits: DeWitt et al. 1984, "Implementation techniques for main memory database systems".
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import apsw
from filelock import FileLock, Timeout

from swarm.errors import StoreError

T = TypeVar("T")
Row = tuple[Any, ...]

APPLICATION_ID = 0x5357524D  # "SWRM", in the file's header
_BUSY_MS = 2_000
_READ_CACHE_KB, _WRITE_CACHE_KB = 32_000, 96_000
"""Pages kept in memory, at the most: more of them make merging into a large graph a tenth faster, and no more."""
_CHECKPOINT_PAGES = 8_000  # 32 MB of log: a page that changes often is written back less often
_GROUP = 512  # writes in one commit, at the most


def _migrations() -> list[str]:
    """The schema's steps, oldest first; a store of version n has taken the first n."""
    folder = resources.files("swarm.store") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text("utf-8") for name in names]


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Apsw's errors as one clear line."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(f"{path} is not a Swarm store, or is damaged ({error}): name another --store") from None
    except (apsw.BusyError, apsw.LockedError):
        raise StoreError(f"{path} is in use by another process: wait for it, or name another --store") from None
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
        raise StoreError(f"{path} cannot be written ({error}): name another --store") from None
    except (apsw.FullError, apsw.IOError) as error:
        raise StoreError(f"{path} cannot be written ({error}): free some disk and run again") from None


class Database:
    """One open store. `read` from any thread, `write` from the event loop, `close` when done."""

    def __init__(self, path: Path, writer: apsw.Connection, reader: apsw.Connection, lock: FileLock) -> None:
        self.path = path
        self._writer, self._reader, self._lock = writer, reader, lock
        self.undone = 0
        """How often written rows were taken back: whoever remembers what it wrote forgets it when this changes."""
        self._reading = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Callable[[apsw.Connection], Any], Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name="swarm-store", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open or create the store at `path`, upgrade it, and lock it for this process.

        Raises:
            StoreError: in use by another process, from a newer version, not a store, or not writable.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = FileLock(f"{path}.lock", mode=0o600)
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{path} is in use by another process: wait for it, or name another --store"
            ) from None
        except OSError as error:
            raise StoreError(f"{path} cannot be written ({error.strerror}): name another --store") from None
        try:
            with _translated(path):
                if not path.exists():
                    path.touch(mode=0o600)
                _check(path)
                writer = _connect(path, _WRITE_CACHE_KB)
                _upgrade(writer)
                return cls(path, writer, _connect(path, _READ_CACHE_KB), lock)
        except BaseException as error:
            Path(lock.lock_file).unlink(missing_ok=True)  # no store, no lock beside it
            lock.release()
            if isinstance(error, OSError):
                raise StoreError(f"{path} cannot be written ({error.strerror}): name another --store") from None
            raise

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query. Quick ones may run on the event loop; put long ones on a thread."""
        with self._reading:
            try:
                return list(self._reader.execute(sql, parameters))
            except apsw.Error:
                with _translated(self.path):  # entered late: a view reads a thousand times
                    raise

    async def write(self, change: Callable[[apsw.Connection], T]) -> T:
        """Run `change` inside a transaction and return what it returned, once that is durable.

        A change that raises is undone alone; those committed with it are kept. It may be run a second time, so it
        must do nothing but change the database.
        """
        done: Future[T] = Future()
        self._queue.put((change, done))
        return await asyncio.wrap_future(done)

    def write_sync(self, change: Callable[[apsw.Connection], T]) -> T:
        """As `write`, for a thread that is not the event loop's."""
        done: Future[T] = Future()
        self._queue.put((change, done))
        return done.result()

    def close(self) -> None:
        """Finish what is queued, close the file and release the lock. Safe to call twice."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
            self._reader.close()
            self._writer.close()
            self._lock.release()

    def _write_loop(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            closing = False
            with suppress(queue.Empty):
                while len(group) < _GROUP:
                    more = self._queue.get_nowait()
                    if more is None:
                        closing = True
                        break
                    group.append(more)
            self._commit(group)
            if closing:
                return

    def _commit(self, group: list[tuple[Callable[[apsw.Connection], Any], Future[Any]]]) -> None:
        """One transaction for the group. Where a change raises, all are undone and each is done again in a
        savepoint of its own: savepoints copy every page they touch, which made a merge two and a half times as
        slow."""
        try:
            with _translated(self.path):
                try:
                    with self._writer:
                        results = [change(self._writer) for change, _ in group]
                except (apsw.FullError, apsw.IOError, apsw.CorruptError):
                    raise
                except Exception:
                    self.undone += 1
                    self._commit_apart(group)
                    return
        except Exception as error:
            self.undone += 1
            for _, done in group:
                _fail(done, error)
            return
        for (_, done), result in zip(group, results, strict=True):
            _succeed(done, result)

    def _commit_apart(self, group: list[tuple[Callable[[apsw.Connection], Any], Future[Any]]]) -> None:
        settled: list[Callable[[], None]] = []
        with self._writer:
            for change, done in group:
                try:
                    with self._writer:
                        result = change(self._writer)
                except apsw.FullError:
                    raise
                except Exception as error:
                    settled.append(lambda done=done, error=error: _fail(done, error))  # type: ignore[misc]
                else:
                    settled.append(lambda done=done, result=result: _succeed(done, result))  # type: ignore[misc]
        for settle in settled:
            settle()


def _succeed(done: Future[Any], result: object) -> None:
    if done.set_running_or_notify_cancel():
        done.set_result(result)


def _fail(done: Future[Any], error: BaseException) -> None:
    if done.set_running_or_notify_cancel():
        done.set_exception(error)


def _connect(path: Path, cache_kb: int) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(_BUSY_MS)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{cache_kb}")
    connection.execute("PRAGMA temp_store = MEMORY")  # what undoes one change of a group is kept in memory
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    return connection


def _check(path: Path) -> None:
    """Refuse what is not ours or not yet known, before anything is written to it."""
    connection = apsw.Connection(str(path))
    try:
        (application, version, tables) = (
            connection.pragma("application_id"),
            connection.pragma("user_version"),
            connection.execute("SELECT count(*) FROM sqlite_schema").get,
        )
    finally:
        connection.close()
    known = len(_migrations())
    if application != APPLICATION_ID and (tables or application):
        raise StoreError(f"{path} is a database of another program: name another --store")
    if version > known:
        raise StoreError(
            f"{path} was written by a newer version of Swarm (schema {version}, this one knows {known}): "
            "upgrade Swarm, or name another --store"
        )


def _upgrade(connection: apsw.Connection) -> None:
    """Take the steps of the schema that this store has not taken yet, each in a transaction."""
    taken = connection.pragma("user_version")
    for number, step in enumerate(_migrations()[taken:], start=taken + 1):
        with connection:
            connection.execute(step)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
