"""The file under the store: opened once, locked for one writer, upgraded, and written in grouped commits.

SQLite in WAL mode with `synchronous=FULL`: what `write` returned from is on the disk. Writes that are waiting
are committed together, so that a thousand slices that finish at once cost one flush. Only this module knows
apsw's errors; it does not know what the tables mean.

Grouped commits: DeWitt et al. 1984, "Implementation techniques for main memory database systems".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import apsw
from filelock import FileLock, Timeout

from swarm.errors import StoreError, StoreInUse
from swarm.store.grouped import Grouped

T = TypeVar("T")
C = TypeVar("C", bound="Shared")
Row = tuple[Any, ...]
Change = Callable[[apsw.Connection], Any]

_BROKEN = (
    apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.BusyError, apsw.LockedError, apsw.ReadOnlyError,
    apsw.CantOpenError, apsw.NoMemError,
)  # fmt: skip
"""What stands in the way of every change, and is not the fault of one."""

APPLICATION_ID = 0x5357524D  # "SWRM", in the file's header
_MAGIC = b"SQLite format 3\0"
_BUSY_MS = 2_000
_PROBED_SECONDS = 0.2  # whoever asks whether the file is locked has the lock for a moment
_READ_CACHE_KB, _WRITE_CACHE_KB = 32_000, 96_000
"""Pages kept in memory, at the most: more of them make merging into a large graph a tenth faster, and no more."""
_CHECKPOINT_PAGES = 8_000  # 32 MB of log: a page that changes often is written back less often


class Shared(Protocol):
    """What the changes of one transaction work with together."""

    def close(self) -> None:
        """Write what is left to be written. Called before the transaction ends, where all went well."""


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
        raise StoreInUse(f"{path} is in use by another process: wait for it, or name another --store") from None
    except (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError) as error:
        raise StoreError(f"{path} cannot be written ({error}): name another --store") from None
    except (apsw.FullError, apsw.IOError) as error:
        raise StoreError(f"{path} cannot be written ({error}): free some disk and run again") from None


class Database:
    """One open store. `read` from any thread, `write` from the event loop, `close` when done. One without a
    `writer` is only looked into, while another process may be writing."""

    def __init__(
        self, path: Path, reader: apsw.Connection, writer: apsw.Connection | None, lock: FileLock | None
    ) -> None:
        self.path = path
        self._reader, self._writer, self._lock = reader, writer, lock
        self.undone = 0
        """How often written rows were taken back: whoever remembers what it wrote forgets it when this changes."""
        self.intake = threading.Lock()
        """Held by whoever writes sources: they are numbered in the order in which they are begun."""
        self._shared: dict[str, Shared] = {}
        self._reading = threading.Lock()
        self._writes = Grouped[Change, Any]("swarm-store", self._commit) if writer is not None else None

    @classmethod
    def open(cls, path: Path, wait_seconds: float = _PROBED_SECONDS) -> Database:
        """Open or create the store at `path`, upgrade it, and lock it for this process. One that is in use is
        tried for `wait_seconds`.

        Raises:
            StoreError: in use by another process, from a newer version, not a store, or not writable.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = _lock_of(path)
            lock.acquire(timeout=wait_seconds, poll_interval=_PROBED_SECONDS / 10)
        except Timeout:
            raise StoreInUse(
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
                _nobody_at_work(writer)
                return cls(path, _connect(path, _READ_CACHE_KB), writer, lock)
        except BaseException as error:
            Path(lock.lock_file).unlink(missing_ok=True)  # no store, no lock beside it
            lock.release()
            if isinstance(error, OSError):
                raise StoreError(f"{path} cannot be written ({error.strerror}): name another --store") from None
            raise

    @classmethod
    def look(cls, path: Path) -> Database:
        """Open the store at `path` to read only, also while another process is writing to it.

        Raises:
            StoreError: there is none, or it is from another version or cannot be read.
        """
        try:
            with _translated(path):
                if _check(path) < len(_migrations()):
                    _bring_up(cls, path)
                return cls(path, _connect(path, _READ_CACHE_KB, apsw.SQLITE_OPEN_READONLY), None, None)
        except FileNotFoundError:
            raise StoreError(f"{path} does not exist: name the store with --store") from None
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror}): name another --store") from None

    @property
    def ours(self) -> bool:
        """Whether it is open here for writing, and so locked for this process."""
        return self._lock is not None

    def locked(self) -> bool:
        """Whether a process that is alive, this one included, has the store open for writing."""
        if self.ours:
            return True
        lock = _lock_of(self.path)
        if not Path(lock.lock_file).exists():
            return False
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except OSError:
            return False  # not ours to write: nobody of this user is at work
        lock.release()
        return False

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

        Raises:
            StoreError: the store cannot be written, is closed, or was opened to be read only.
        """
        return cast("T", await self._writing().ask(change))

    def write_sync(self, change: Callable[[apsw.Connection], T]) -> T:
        """As `write`, for a thread that is not the event loop's."""
        return cast("T", self._writing().ask_sync(change))

    def write_later(self, change: Callable[[apsw.Connection], T]) -> None:
        """As `write`, and nobody waits for it."""
        self._writing().tell(change)

    def shared(self, name: str, begin: Callable[[], C]) -> C:
        """What the changes of a transaction work with together, by its name: begun by the first that asks. For use
        within a change: many that write to one place then read its state, and write what they add, once."""
        if name not in self._shared:
            self._shared[name] = begin()
        return cast("C", self._shared[name])

    def end_shared(self) -> None:
        """Close what is shared, before the transaction ends or anything else touches the same rows."""
        while self._shared:
            self._shared.pop(next(iter(self._shared))).close()

    def _writing(self) -> Grouped[Change, Any]:
        if self._writes is None:
            raise StoreError(f"{self.path} was opened to be read only")
        return self._writes

    def close(self) -> None:
        """Finish what is waiting, close the file and release the lock. Safe to call twice."""
        if self._writes is not None and self._writer is not None:
            self._writes.close()
            self._writer.close()
        with self._reading:  # a thread of a run that was broken off may be at it
            self._reader.close()
        if self._lock is not None:
            self._lock.release()

    def _commit(self, group: list[Change]) -> list[Any]:
        """One transaction for the group. Where a change raises, all are undone and each is done again in a
        savepoint of its own: savepoints copy every page they touch, which made a merge two and a half times as
        slow."""
        assert self._writer is not None
        try:
            with _translated(self.path):
                results = self._commit_together(self._writer, group)
        except Exception:
            self._forget_shared()
            raise
        return results

    def _commit_together(self, writer: apsw.Connection, group: list[Change]) -> list[Any]:
        try:
            with writer:
                results = [change(writer) for change in group]
                self.end_shared()
        except _BROKEN:
            raise
        except Exception:
            self._forget_shared()
            return self._commit_apart(writer, group)
        return results

    def _commit_apart(self, writer: apsw.Connection, group: list[Change]) -> list[Any]:
        results: list[Any] = []
        with writer:
            for change in group:
                try:
                    with writer:
                        result = change(writer)
                        self.end_shared()
                    results.append(result)
                except _BROKEN:
                    raise
                except Exception as error:
                    self._forget_shared()
                    results.append(error)
        return results

    def _forget_shared(self) -> None:
        """After rows were taken back."""
        self._shared.clear()
        self.undone += 1


def _lock_of(path: Path) -> FileLock:
    # a store may be closed on another thread than it was opened on
    return FileLock(f"{path}.lock", mode=0o600, thread_local=False)


def _connect(
    path: Path, cache_kb: int, flags: int = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags)
    connection.set_busy_timeout(_BUSY_MS)
    if flags & apsw.SQLITE_OPEN_READONLY:
        connection.execute(f"PRAGMA cache_size = -{cache_kb}")
        return connection
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = FAST")  # no copy of a row is left in a page that is written anyway
    connection.execute(f"PRAGMA cache_size = -{cache_kb}")
    connection.execute("PRAGMA temp_store = MEMORY")  # what undoes one change of a group is kept in memory
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    return connection


def _check(path: Path) -> int:
    """Refuse what is not ours or not yet known, before anything is written to it; tells the steps it has taken."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head and head != _MAGIC:  # SQLite takes a file of a few bytes for an empty one
        raise StoreError(f"{path} is not a Swarm store: name another --store")
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(_BUSY_MS)  # whoever closes it locks it for a moment
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
    return int(version)


def _bring_up(opens: type[Database], path: Path) -> None:
    """Take the steps that this store has not taken yet, unless whoever has it open has taken them meanwhile."""
    try:
        opens.open(path).close()
    except StoreInUse:
        if _check(path) < len(_migrations()):
            raise


def _nobody_at_work(connection: apsw.Connection) -> None:
    """Whoever was at work in this file has ended: it is locked for us."""
    if connection.execute("SELECT 1 FROM at_work LIMIT 1").fetchone():
        connection.execute("DELETE FROM at_work")


def _upgrade(connection: apsw.Connection) -> None:
    """Take the steps of the schema that this store has not taken yet, each in a transaction."""
    taken = connection.pragma("user_version")
    for number, step in enumerate(_migrations()[taken:], start=taken + 1):
        with connection:
            connection.execute(step)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
