"""One connection to a PostgreSQL server: opened, the schema upgraded, and made again when it breaks.

Only this module knows how an address is shown (never with its password) and which of psycopg's errors pass by
themselves. It does not know what the tables mean.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)

from swarm.errors import StoreError

if TYPE_CHECKING:
    from psycopg import Connection, Error

T = TypeVar("T")

PATIENCE_SECONDS = 30.0
"""How long a server that is gone is waited for: a restart takes a few seconds."""
_OLDEST = 140000  # of the servers that are still maintained
_PASSING = {
    "40001", "40P01",           # two processes got in each other's way
    "53300", "57P03",           # too many connections; starting up
}  # fmt: skip
_SECRETS = re.compile(r"(?i)\b((?:ssl)?password|passphrase|secret|token)=[^&\s]*")
LASTING: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds, until what was sent and not received breaks the connection
}
"""How to connect so that a server that is gone is noticed."""
SETTINGS = (
    "SET search_path = swarm",
    "SET synchronous_commit = on",  # `off` loses what was acknowledged when the server is killed
    "SET plan_cache_mode = force_custom_plan",  # a plan made for an empty table would read a large one to its end
    "SET idle_session_timeout = 0",
    # a process that is frozen within a transaction holds up whoever takes over from it
    "SET idle_in_transaction_session_timeout = 10000",
    # the server lets go of what a dead machine held after a minute, not after the two hours of its default
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
"""Of every connection."""


def shown(url: str) -> str:
    """An address as it may be shown: without the password and other secrets, whatever characters they are of."""
    scheme, found, rest = url.partition("://")
    if not found:
        return _without_secrets(url)
    user, at, place = rest.rpartition("@")  # a password may itself hold an @ or a slash
    return f"{scheme}://{user.partition(':')[0]}{at}{_without_secrets(place)}"


def _without_secrets(text: str) -> str:
    return _SECRETS.sub(r"\1=***", text)


def _password(url: str) -> str:
    """As it is written in front of the host."""
    return url.partition("://")[2].rpartition("@")[0].partition(":")[2]


def lock_number(name: str) -> int:
    """The number of an advisory lock: 64 bits, signed."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


class Link:
    """A connection in autocommit, for one thread at a time. `name` is what an administrator sees of it; `renew`
    is called with each connection that replaces a broken one, before it is used. One that is made `later` is made
    when it is first used, as if it replaced one.

    Raises (on making one, and where `run` has waited in vain):
        StoreError: the server cannot be reached or used.
    """

    def __init__(
        self, url: str, name: str, renew: Callable[[Connection], None] = lambda _: None, *, later: bool = False
    ) -> None:
        self.url, self._name, self._renew = url, name, renew
        self._closing, self._closed = threading.Event(), False
        if set(_password(url.partition("?")[0])) & set("@:/#[] "):  # a part of it would be looked up as a host
            raise StoreError(
                f"{shown(url)} cannot be read: in its password, write %40 for @, %3A for :, %2F for /, %23 for #"
            )
        with translated(url):
            self._connection = None if later else self._connect()

    def run(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns. Where the connection breaks it is made again and `work` is done again, so it must
        come to the same when it is done twice. Other errors of psycopg pass through."""
        try:
            return self._once(work)
        except Exception as error:
            if not self._passes(error):
                raise
        again = Retrying(
            retry=retry_if_exception(self._passes),
            stop=stop_after_delay(PATIENCE_SECONDS) | stop_when_event_set(self._closing),
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            sleep=sleep_using_event(self._closing),
            reraise=True,
        )
        try:
            result: T = again(self._once, work)
            return result
        except Exception as error:
            if not self._passes(error):
                raise
            raise StoreError(
                f"{shown(self.url)} cannot be reached any more ({told(error, self.url)}): "
                "what was finished is kept; run again when the server is back"
            ) from None

    def hurry(self) -> None:
        """Wait for a server that is gone no longer."""
        self._closing.set()

    def close(self) -> None:
        """Safe to call twice; nothing runs any more."""
        self._closing.set()
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    def _once(self, work: Callable[[Connection], T]) -> T:
        if self._closed:
            raise StoreError("the store is closed: open it again")
        if self._connection is None or self._connection.closed:
            connection = self._connect()
            try:
                self._renew(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return work(self._connection)

    def _connect(self) -> Connection:
        from psycopg import connect

        connection = connect(self.url, autocommit=True, application_name=self._name, **LASTING)
        try:
            if connection.info.server_version < _OLDEST:
                raise StoreError(
                    f"{shown(self.url)} is older than PostgreSQL 14: upgrade it, or name another --store"
                )
            connection.execute("; ".join(SETTINGS))
        except BaseException:
            connection.close()
            raise
        return connection

    def _passes(self, error: BaseException) -> bool:
        """Whether it may go better another time: the connection broke, or somebody was in the way."""
        from psycopg import OperationalError

        return isinstance(error, OperationalError) and (
            error.sqlstate in _PASSING
            or error.sqlstate is None
            or self._connection is None
            or self._connection.closed
        )


class SharedLink:
    """A `Link` for many threads, one after another, to the schema as this version knows it. It is made when it is
    first used, and a server that is away is waited for then too. `begin` is called with each connection before it
    is used."""

    def __init__(self, url: str, name: str, begin: Callable[[Connection], None] = lambda _: None) -> None:
        self.url = url
        self._link = Link(url, name, begin, later=True)
        self._lock, self._upgraded = threading.Lock(), False

    def run(self, work: Callable[[Connection], T]) -> T:
        """As `Link.run`; psycopg's errors that do not pass come as StoreError."""
        with translated(self.url):
            return self.attempt(work)

    def attempt(self, work: Callable[[Connection], T]) -> T:
        """As `Link.run`."""
        with self._lock:
            if not self._upgraded:
                upgrade(self._link)
                self._upgraded = True
            return self._link.run(work)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What one statement returns, in a transaction of its own."""

        def work(connection: Connection) -> list[tuple[Any, ...]]:
            cursor = connection.execute(sql, parameters, binary=True)
            return cursor.fetchall() if cursor.description else []

        return self.run(work)

    def hurry(self) -> None:
        """Wait for a server that is gone no longer."""
        self._link.hurry()

    def close(self) -> None:
        """Safe to call twice. Who waits for a server that is gone waits no longer."""
        self.hurry()
        with self._lock:
            self._link.close()


def upgrade(link: Link) -> None:
    """Create the schema or take the steps that it has not taken yet, each in a transaction; one process at a time.

    Raises:
        StoreError: from a newer version, of another program, or not to be written.
    """
    steps, at = _migrations(), shown(link.url)

    def take(connection: Connection) -> None:
        connection.execute("SELECT pg_advisory_lock(%s)", (lock_number("swarm:schema"),))
        try:
            taken = _taken(connection, at)
            if taken > len(steps):
                raise StoreError(
                    f"{at} was written by a newer version of Swarm (schema {taken}, this one knows {len(steps)}): "
                    "upgrade Swarm, or name another --store"
                )
            for number, step in enumerate(steps[taken:], start=taken + 1):
                with connection.transaction():
                    connection.execute(step)
                    connection.execute("UPDATE version SET taken = %s", (number,))
        finally:
            with suppress(Exception):  # a broken connection has let go of it already
                connection.execute("SELECT pg_advisory_unlock(%s)", (lock_number("swarm:schema"),))

    with translated(link.url):
        link.run(take)


def _taken(connection: Connection, at: str) -> int:
    """The steps that were taken. The schema is made only where it is missing: who finds it may lack the right."""
    if _one(connection, "SELECT to_regclass('swarm.version') IS NOT NULL"):
        return int(_one(connection, "SELECT taken FROM swarm.version"))
    if _one(connection, "SELECT to_regnamespace('swarm') IS NULL"):
        connection.execute("CREATE SCHEMA swarm")
    elif _one(connection, "SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = 'swarm'::regnamespace)"):
        raise StoreError(f"the schema swarm in {at} is another program's: name another database as --store")
    return 0


def _one(connection: Connection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    return row[0] if row is not None else None


def _migrations() -> list[str]:
    """The schema's steps, oldest first; a store of version n has taken the first n."""
    folder = resources.files("swarm.store") / "postgres_schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text("utf-8") for name in names]


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Psycopg's errors, and its absence, as one clear line."""
    try:
        import psycopg
    except ImportError:
        raise StoreError("a store on PostgreSQL needs more: pip install 'swarm-memory[postgres]'") from None
    try:
        yield
    except psycopg.Error as error:
        raise refused(error, url) from None


def refused(error: Error, url: str) -> StoreError:
    """What to raise for an error that does not pass by itself."""
    return StoreError(f"{shown(url)} cannot be used ({told(error, url)}): see to it, or name another --store")


def told(error: BaseException, url: str) -> str:
    """What the server or the driver said, in one line, without the password."""
    text = " ".join(str(error).split())
    password = _password(url)
    pieces = [piece for piece in re.split("[@:/?#]", password) if len(piece) > 2]  # a driver may have split it
    for secret in [password, unquote(password), *pieces]:
        text = text.replace(secret, "***") if secret else text
    return _without_secrets(text)
